/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/macro.h"
#include "hale/probe.h"
#include "heal/link.h"

void link_init(Link *link, const LinkPolicy *policy, const LinkHandler *handler, Random *random) {
        assert(link);
        assert(handler);
        assert(random);

        *link = (Link){
                .handler = handler,
                .random = random,
                .timer_usec = USEC_NEVER,
        };
        link_state_init(&link->state, policy);
}

static uint64_t link_now(void) {
        return clock_now_usec(CLOCK_MONOTONIC);
}

/* A short wait is kept to the millisecond; a long one may come together with other wake-ups. */
static uint64_t timer_accuracy(uint64_t wait_usec) {
        return CLAMP(wait_usec / 32, USEC_PER_MSEC, 250 * USEC_PER_MSEC);
}

static void link_arm(Link *link) {
        uint64_t at = link_state_deadline(&link->state);

        if (!link->timer || at == link->timer_usec)
                return;

        link->timer_usec = at;
        if (at == USEC_NEVER) {
                (void)sd_event_source_set_enabled(link->timer, SD_EVENT_OFF);
                return;
        }

        (void)sd_event_source_set_time(link->timer, at);
        (void)sd_event_source_set_time_accuracy(link->timer,
                                                timer_accuracy(usec_sub(at, link_now())));
        (void)sd_event_source_set_enabled(link->timer, SD_EVENT_ONESHOT);
}

static void link_set_reason(Link *link, const char *reason) {
        (void)snprintf(link->reason, sizeof(link->reason), "%s", reason ? reason : "");
}

static void link_close(Link *link) {
        if (!link->opened)
                return;

        link->opened = false;
        link->handler->close(link);
}

/* Whatever has changed: the owner hears of it, and what is lost is closed, unless the owner has
 * gone on to something else meanwhile. */
static LinkChange link_conclude(Link *link, LinkChange change, const char *reason) {
        bool down = change == LINK_FAILED || change == LINK_WENT_DOWN;

        if (change == LINK_LATE)
                return change;

        link_set_reason(link, change == LINK_CAME_UP || (change == LINK_SAME && !link->reason[0])
                                      ? NULL
                                      : reason);
        link->handler->hold(link);
        link->handler->changed(link, change);
        if (down && link->state.status == LINK_DOWN)
                link_close(link);

        link_arm(link);
        link->handler->release(link);
        return change;
}

LinkChange link_tell_up(Link *link, uint32_t generation) {
        assert(link);

        if (link->in_call && (generation == 0 || generation == link->state.generation)) {
                link->said = LINK_CAME_UP;
                return LINK_SAME;
        }

        return link_conclude(link, link_state_up(&link->state, generation, link_now()), NULL);
}

LinkChange link_tell_down(Link *link, uint32_t generation, const char *reason) {
        assert(link);

        if (link->in_call && (generation == 0 || generation == link->state.generation)) {
                link->said = LINK_FAILED;
                (void)snprintf(link->said_reason, sizeof(link->said_reason), "%s",
                               reason ? reason : "");
                return LINK_SAME;
        }

        return link_conclude(link,
                             link_state_down(&link->state, generation, link_now(), link->random),
                             reason);
}

/* What open() or check() has come to. */
static void link_answered(Link *link, int result) {
        char text[128];

        if (link->said == LINK_CAME_UP) {
                (void)link_tell_up(link, 0);
        } else if (link->said == LINK_FAILED) {
                (void)link_tell_down(link, 0, link->said_reason);
        } else if (result == 0) {
                (void)link_tell_up(link, 0);
        } else if (result < 0) {
                (void)link_tell_down(link, 0, strerror(-result));
        } else if (result != HALE_PENDING) {
                (void)snprintf(text, sizeof(text), "the callback returned %d, which means nothing",
                               result);
                (void)link_tell_down(link, 0, text);
        }
}

static void link_call(Link *link, int (*function)(Link *link)) {
        int r;

        link->in_call = true;
        link->said = LINK_SAME;
        r = function(link);
        link->in_call = false;

        /* Stopped from within. */
        if (!link->state.active)
                link_close(link);
        else
                link_answered(link, r);
}

static void link_give_up(Link *link, LinkChange change, const char *what, uint64_t limit_usec) {
        char text[128], usec[USEC_TEXT_MAX];

        (void)snprintf(text, sizeof(text), "%s within %s", what, usec_format(limit_usec, usec));
        (void)link_conclude(link, change, text);
}

static void link_due(Link *link) {
        const LinkPolicy *policy = &link->state.policy;

        switch (link_state_tick(&link->state, link_now(), link->random)) {
        case LINK_OPEN:
                link_close(link); /* what somebody reopened from within changed() */
                link->opened = true;
                link_call(link, link->handler->open);
                break;

        case LINK_CHECK:
                link_call(link, link->handler->check);
                break;

        case LINK_GIVE_UP:
                link_give_up(link, LINK_FAILED, "no connection", policy->connect_usec);
                break;

        case LINK_UNANSWERED:
                link_give_up(link, LINK_WENT_DOWN, "no answer", policy->check_timeout_usec);
                break;

        case LINK_WAIT:
                break;
        }

        link_arm(link);
}

static int on_link_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Link *link = userdata;

        (void)source, (void)usec;
        link->timer_usec = USEC_NEVER;
        link->handler->hold(link);
        link_due(link);
        link->handler->release(link);
        return 0;
}

int link_start(Link *link, sd_event *event, int64_t priority) {
        int r;

        assert(link);
        assert(!link->timer);

        r = sd_event_add_time(event, &link->timer, CLOCK_MONOTONIC, USEC_NEVER, 0, on_link_timer,
                              link);
        if (r < 0)
                return r;

        (void)sd_event_source_set_description(link->timer, "hale-link");
        (void)sd_event_source_set_enabled(link->timer, SD_EVENT_OFF);
        r = sd_event_source_set_priority(link->timer, priority);
        if (r < 0) {
                link->timer = sd_event_source_disable_unref(link->timer);
                return r;
        }

        link_state_start(&link->state, link_now());
        link_arm(link);
        return 0;
}

void link_stop(Link *link) {
        assert(link);

        link->timer = sd_event_source_disable_unref(link->timer);
        link_state_stop(&link->state, link_now());
        link->handler->stopped(link);
        if (!link->in_call)
                link_close(link);
}

LinkChange link_reopen(Link *link, const char *reason) {
        LinkChange change;

        assert(link);

        change = link_state_reopen(&link->state, link_now());
        if (change == LINK_WENT_DOWN)
                return link_conclude(link, change, reason);

        link_arm(link);
        return change;
}

void link_hurry(Link *link) {
        assert(link);

        link_state_hurry(&link->state, link_now());
        link_arm(link);
}
