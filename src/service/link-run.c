/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Running Links: what the machine wants done, and what the program tells it
 */

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/str.h"
#include "service/link.h"

static int handler_open(Link *link) {
        hale_link *self = link_owner(link);
        int r;

        bus_link_changed(self->service->bus, self->name);
        blame_enter("the opening of link", self->name);
        r = self->blocking ? link_queue_open(self) : self->ops->open(self, self->userdata);
        blame_leave();
        return r;
}

static int handler_check(Link *link) {
        hale_link *self = link_owner(link);
        int r;

        blame_enter("the check of link", self->name);
        r = self->blocking ? link_queue_check(self) : self->ops->check(self, self->userdata);
        blame_leave();
        return r;
}

static void handler_close(Link *link) {
        hale_link *self = link_owner(link);

        link_resolve_cancel(self);
        self->paused = NULL;
        self->again = sd_event_source_disable_unref(self->again);
        blame_enter("the closing of link", self->name);
        if (self->blocking)
                link_queue_close(self);
        else if (self->ops->close)
                self->ops->close(self, self->userdata);
        blame_leave();
}

/* The last reference may be given back in any function of the program. */
static void handler_hold(Link *link) {
        (void)hale_service_ref(link_owner(link)->service);
}

static void handler_release(Link *link) {
        (void)hale_service_unref(link_owner(link)->service);
}

const LinkHandler link_handler = {
        .open = handler_open,
        .check = handler_check,
        .close = handler_close,
        .changed = link_changed,
        .stopped = link_stopped,
        .hold = handler_hold,
        .release = handler_release,
};

int link_begin(hale_link *self) {
        return link_start(&self->link, self->service->event, PRIORITY_LINK);
}

static int result_of(LinkChange change) {
        return change == LINK_LATE ? -ESTALE : HALE_REPORTED;
}

_public_ int hale_link_up(hale_link *link) {
        RETURN_IF_FAIL(link, -EINVAL);
        RETURN_IF_FAIL(on_loop_thread, -EPERM);
        LINK_CHECK_CALL(link);

        return result_of(link_tell_up(&link->link, 0));
}

_public_ int hale_link_down(hale_link *link, const char *format, ...) {
        char reason[OUTPUT_LENGTH_MAX];
        va_list ap;

        RETURN_IF_FAIL(link, -EINVAL);

        va_start(ap, format);
        str_clean(reason, sizeof(reason), format, ap);
        va_end(ap);

        if (link_job_say(link, reason))
                return HALE_REPORTED;

        RETURN_IF_FAIL(on_loop_thread, -EPERM);
        LINK_CHECK_CALL(link);
        return result_of(link_tell_down(&link->link, 0, reason));
}

_public_ int hale_link_answer(hale_link *link, uint32_t generation, int result) {
        LinkChange change;

        RETURN_IF_FAIL(link, -EINVAL);
        RETURN_IF_FAIL(on_loop_thread, -EPERM);
        LINK_CHECK_CALL(link);
        RETURN_IF_FAIL(generation != 0 && result <= 0, -EINVAL);

        change = result == 0 ? link_tell_up(&link->link, generation)
                             : link_tell_down(&link->link, generation, strerror(-result));
        return result_of(change);
}

_public_ int hale_link_reopen(hale_link *link) {
        RETURN_IF_FAIL(link, -EINVAL);
        RETURN_IF_FAIL(on_loop_thread, -EPERM);
        LINK_CHECK_CALL(link);
        RETURN_IF_FAIL(!link->link.state.policy.told, -EOPNOTSUPP);
        RETURN_IF_FAIL(link->link.state.active, -ESTALE);

        return link_reopen(&link->link, "reopened") == LINK_SAME ? -EINPROGRESS : 0;
}

static int on_again(sd_event_source *source, void *userdata) {
        hale_link *self = userdata;
        sd_event_source **paused = TAKE_PTR(self->paused);

        (void)source;
        if (paused && *paused)
                (void)sd_event_source_set_enabled(*paused, SD_EVENT_ON);
        return 0;
}

/* Where HTTP is, the last in the loop: of two that are always ready each has its turn. */
static int link_add_again(hale_link *self) {
        int r;

        if (self->again)
                return 0;

        r = sd_event_add_defer(self->service->event, &self->again, on_again, self);
        if (r < 0)
                return r;

        (void)sd_event_source_set_description(self->again, "hale-link-again");
        return sd_event_source_set_priority(self->again, PRIORITY_HTTP);
}

_public_ int hale_link_give_way(hale_link *link, struct sd_event_source **source) {
        int r;

        RETURN_IF_FAIL(link && source && *source, -EINVAL);
        RETURN_IF_FAIL(on_loop_thread, -EPERM);
        LINK_CHECK_CALL(link);

        if (link->paused || ++link->n_turns < LINK_TURNS_MAX)
                return 0;

        r = link_add_again(link);
        if (r < 0)
                return r;

        link->n_turns = 0;
        link->paused = source;
        (void)sd_event_source_set_enabled(link->again, SD_EVENT_ONESHOT);
        (void)sd_event_source_set_enabled(*source, SD_EVENT_OFF);
        return 1;
}

_public_ int hale_link_tune_socket(int fd) {
        return link_tune_socket(fd);
}
