/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Links of a Service: the calls of link.h that make them and ask about them
 *
 * Who keeps whom: the service holds one reference until its end; with @ret the
 * caller has one as well, and so has each call in the pool.
 */

#include <string.h>
#include <unistd.h>

#include "base/names.h"
#include "service/link.h"

static const char *const state_names[] = {
        [HALE_LINK_DOWN] = "down",
        [HALE_LINK_CONNECTING] = "connecting",
        [HALE_LINK_UP] = "up",
};

static_assert((int)HALE_LINK_UP == (int)LINK_UP, "the same states under two names");
static_assert(ELEMENTSOF(state_names) == (size_t)_LINK_STATUS_MAX, "a state lacks its name");

_public_ const char *hale_link_state_to_string(hale_link_state state) {
        return (size_t)state < ELEMENTSOF(state_names) ? state_names[state] : NULL;
}

_public_ hale_link *hale_service_find_link(hale_service *service, const char *name) {
        hale_link *link;

        if (!service || !name)
                return NULL;

        TAILQ_FOREACH (link, &service->links, entry) {
                if (strcmp(link->name, name) == 0)
                        return link;
        }

        return NULL;
}

/* In whichever thread comes last. */
static void link_free(hale_link *self) {
        assert(!self->service);

        if (self->ops && self->ops->free)
                self->ops->free(self->userdata);
        (void)hale_probe_unref(self->probe);
        free(self->name);
        free(self);
}

_public_ hale_link *hale_link_ref(hale_link *link) {
        if (link)
                (void)__atomic_add_fetch(&link->n_ref, 1, __ATOMIC_RELAXED);

        return link;
}

_public_ hale_link *hale_link_unref(hale_link *link) {
        if (link && __atomic_sub_fetch(&link->n_ref, 1, __ATOMIC_ACQ_REL) == 0)
                link_free(link);

        return NULL;
}

_public_ void hale_link_unrefp(hale_link **link) {
        (void)hale_link_unref(*link);
}

static hale_link *link_new(const char *name, const hale_link_ops *ops, void *userdata) {
        hale_link *self;

        self = calloc(1, sizeof(*self));
        if (!self)
                return NULL;

        self->n_ref = 1;
        self->name = strdup(name);
        if (!self->name) {
                free(self);
                return NULL;
        }

        self->ops = ops;
        self->userdata = userdata;
        self->gates = HALE_GATE_READY;
        return self;
}

/* The link always knows how it is: what it says does not age, and is told to the journal once. */
static int link_add_probe(hale_service *service, hale_link *self) {
        int r;

        r = hale_service_add_probe(service, &self->probe, self->name, self->gates, NULL, NULL);
        if (r < 0)
                return r;

        self->probe->health.type = "link";
        self->probe->is_link = true;
        self->probe->health.state.policy.stale_usec = USEC_NEVER;
        probe_schedule(self->probe);
        return 0;
}

static int service_check_link(hale_service *service, const char *name) {
        const char *complaint = name_complaint(name);

        if (complaint) {
                service_tell_error(service, "Cannot add link '%s': %s", name ? name : "",
                                   complaint);
                return -EINVAL;
        }
        if (service->n_links >= LINKS_MAX) {
                service_tell_error(service, "Cannot add link '%s': there are %u already", name,
                                   service->n_links);
                return -E2BIG;
        }

        return 0;
}

/* As long as it is not in the service, its memory alone goes: @userdata stays the caller's. */
static void link_discard(hale_link *self) {
        (void)hale_probe_unref(self->probe);
        free(self->name);
        free(self);
}

static int service_take_link(hale_service *service, hale_link *self) {
        const hale_link_ops *ops = self->ops;
        LinkPolicy policy;
        int r;

        link_policy_default(&policy);
        policy.told = !ops || !ops->open;
        policy.checked = ops && ops->check;
        link_init(&self->link, &policy, &link_handler, &service->random);
        self->service = service;
        r = link_add_probe(service, self);
        if (r >= 0 && service->state == SERVICE_RUNNING) {
                r = link_begin(self);
                if (r < 0)
                        (void)hale_probe_drop(self->probe);
        }
        if (r < 0)
                return r;

        TAILQ_INSERT_TAIL(&service->links, self, entry);
        service->n_links++;
        bus_link_added(service->bus, self->name);
        return 0;
}

_public_ int hale_service_add_link(hale_service *service,
                                   hale_link **ret,
                                   const char *name,
                                   const hale_link_ops *ops,
                                   void *userdata) {
        hale_link *self;
        int r;

        SERVICE_CHECK(service);
        RETURN_IF_FAIL(service->state <= SERVICE_RUNNING, -ESTALE);

        r = service_check_link(service, name);
        if (r < 0)
                return r;

        self = link_new(name, ops, userdata);
        if (!self)
                return -ENOMEM;

        r = service_take_link(service, self);
        if (r < 0) {
                link_discard(self);
                return r;
        }

        if (ret)
                *ret = hale_link_ref(self);
        return 0;
}

int service_links_start(hale_service *service) {
        hale_link *link;
        int r;

        TAILQ_FOREACH (link, &service->links, entry) {
                r = link_begin(link);
                if (r < 0)
                        return r;
        }

        return 0;
}

void service_links_ask(hale_service *service) {
        hale_link *link;

        TAILQ_FOREACH (link, &service->links, entry) {
                link_show(link);
                link_hurry(&link->link);
        }
}

/* The last that was added is the first to go: it may build upon the others. */
void service_links_stop(hale_service *service) {
        hale_link *link;

        TAILQ_FOREACH_REVERSE(link, &service->links, Links, entry) {
                link_resolve_cancel(link);
                link_stop(&link->link);
        }
}

void service_links_drop(hale_service *service) {
        hale_link *link;

        service_links_stop(service);
        while ((link = TAILQ_LAST(&service->links, Links))) {
                TAILQ_REMOVE(&service->links, link, entry);
                service->n_links--;
                link_queue_done(link);
                link_resolve_done(link);
                link->service = NULL;
                (void)hale_link_unref(link);
        }
}

_public_ int hale_link_is_up(hale_link *link) {
        return link && link->service && link->link.state.status == LINK_UP;
}

_public_ hale_link_state hale_link_get_state(hale_link *link) {
        return link && link->service ? (hale_link_state)link->link.state.status : HALE_LINK_DOWN;
}

_public_ const char *hale_link_get_name(hale_link *link) {
        return link ? link->name : NULL;
}

_public_ const char *hale_link_get_reason(hale_link *link) {
        return link && link->link.state.status != LINK_UP ? link->link.reason : "";
}

_public_ uint32_t hale_link_get_generation(hale_link *link) {
        return link ? link->link.state.generation : 0;
}

_public_ uint64_t hale_link_get_n_attempts(hale_link *link) {
        return link ? link->link.state.n_attempts_total : 0;
}

_public_ hale_service *hale_link_get_service(hale_link *link) {
        return link ? link->service : NULL;
}

_public_ void *hale_link_get_userdata(hale_link *link, const hale_link_ops *ops) {
        return link && ops && link->ops == ops ? link->userdata : NULL;
}
