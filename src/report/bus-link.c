/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * org.hale.Link1. As with workers, the objects exist only while somebody looks at
 * them; what is looked at is copied out of the source for as long as that takes.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/bus-object.h"

/* clang-format off */
/* What the source answers when it does not open a link anew. */
static const struct {
        int error;
        const char *name;
        const char *text; /* after "Link 'x' " */
} reopen_errors[] = {
        { -ENOENT,     ERROR_NO_SUCH_LINK,         "does not exist"                           },
        { -ESTALE,     ERROR_NOT_RUNNING,          "is not kept up in this phase"             },
        { -EOPNOTSUPP, SD_BUS_ERROR_NOT_SUPPORTED, "cannot be opened anew from here: the program "
                                                   "connects it by itself"                    },
};
/* clang-format on */

static int link_path(const char *name, char **ret_path) {
        return sd_bus_path_encode(LINKS_PATH, name, ret_path);
}

/* Probe: that of the same name, which fails while the link is not up. */
static int property_get_probe(sd_bus *link _unused_,
                              const char *path _unused_,
                              const char *interface _unused_,
                              const char *property _unused_,
                              sd_bus_message *reply,
                              void *userdata,
                              sd_bus_error *error _unused_) {
        const BusLink *shown = userdata;
        _cleanup_free_ char *probe = NULL;
        int r;

        r = bus_probe_path(shown->name, &probe);
        if (r < 0)
                return r;

        return sd_bus_message_append(reply, "o", probe);
}

static int property_get_since(sd_bus *link _unused_,
                              const char *path _unused_,
                              const char *interface _unused_,
                              const char *property _unused_,
                              sd_bus_message *reply,
                              void *userdata,
                              sd_bus_error *error _unused_) {
        const BusLink *shown = userdata;

        return sd_bus_message_append(reply, "t", bus_realtime_usec(shown->since_usec));
}

static int perform_reopen(BusCall *call, sd_bus_error *error) {
        char name[NAME_LENGTH_MAX + 1];
        Bus *bus = call->bus;
        int r;

        /* The call may be gone when the source comes back. */
        memcpy(name, call->probe, sizeof(name));
        r = bus->source->reopen_link(bus->data, name, call->uid);
        if (r == -EINPROGRESS)
                return 0;

        for (size_t i = 0; i < ELEMENTSOF(reopen_errors); i++) {
                if (reopen_errors[i].error == r)
                        return sd_bus_error_setf(error, reopen_errors[i].name, "Link '%s' %s", name,
                                                 reopen_errors[i].text);
        }

        return MIN(r, 0);
}

static int method_reopen(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        const BusLink *shown = userdata;
        sd_bus *link = sd_bus_message_get_bus(message);
        Bus *bus = sd_bus_slot_get_userdata(sd_bus_get_current_slot(link));

        return bus_call_begin(bus, message, ACTION_REOPEN_LINK, shown->name, perform_reopen, error);
}

int bus_method_reopen_link(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        Bus *bus = userdata;
        const char *name;
        BusLink shown;
        int r;

        r = sd_bus_message_read(message, "s", &name);
        if (r < 0)
                return r;

        if (!bus->source->find_link || !bus->source->find_link(bus->data, name, &shown))
                return sd_bus_error_setf(error, ERROR_NO_SUCH_LINK, "Link '%s' does not exist",
                                         name);

        return bus_call_begin(bus, message, ACTION_REOPEN_LINK, name, perform_reopen, error);
}

#define IN_LINK(member) offsetof(BusLink, member)
#define EMITS SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
#define FIXED SD_BUS_VTABLE_PROPERTY_CONST

/* Mirrors dbus/org.hale.Link1.xml; test-bus-contract compares the two. */
/* clang-format off */
static const sd_bus_vtable link_vtable[] = {
        SD_BUS_VTABLE_START(0),

        SD_BUS_PROPERTY("Name",  "s", NULL, IN_LINK(name), FIXED),
        SD_BUS_PROPERTY("Kind",  "s", NULL, IN_LINK(kind), FIXED),
        SD_BUS_PROPERTY("Probe", "o", property_get_probe, 0, FIXED),

        SD_BUS_PROPERTY("State",      "s", NULL, IN_LINK(state), EMITS),
        SD_BUS_PROPERTY("Up",         "b", NULL, IN_LINK(up), EMITS),
        SD_BUS_PROPERTY("Reason",     "s", NULL, IN_LINK(reason), EMITS),
        SD_BUS_PROPERTY("Generation", "u", NULL, IN_LINK(generation), EMITS),
        SD_BUS_PROPERTY("Attempts",   "t", NULL, IN_LINK(n_attempts), EMITS),
        SD_BUS_PROPERTY("SinceUSec",  "t", property_get_since, 0, EMITS),

        SD_BUS_PROPERTY("Breaker",       "s", NULL, IN_LINK(breaker), 0),
        SD_BUS_PROPERTY("FailuresInRow", "u", NULL, IN_LINK(n_failures), 0),
        SD_BUS_PROPERTY("Connections",   "t", NULL, IN_LINK(n_ups), 0),
        SD_BUS_PROPERTY("Losses",        "t", NULL, IN_LINK(n_losses), 0),
        SD_BUS_PROPERTY("LateAnswers",   "t", NULL, IN_LINK(n_late), 0),

        SD_BUS_PROPERTY("ConnectTimeoutUSec", "t", NULL, IN_LINK(connect_usec), 0),
        SD_BUS_PROPERTY("CheckIntervalUSec",  "t", NULL, IN_LINK(check_interval_usec), 0),
        SD_BUS_PROPERTY("CheckTimeoutUSec",   "t", NULL, IN_LINK(check_timeout_usec), 0),
        SD_BUS_PROPERTY("BackoffMinUSec",     "t", NULL, IN_LINK(backoff_min_usec), 0),
        SD_BUS_PROPERTY("BackoffMaxUSec",     "t", NULL, IN_LINK(backoff_max_usec), 0),

        SD_BUS_METHOD("Reopen", NULL, NULL, method_reopen, SD_BUS_VTABLE_UNPRIVILEGED),

        SD_BUS_VTABLE_END,
};
/* clang-format on */

static int find_link(sd_bus *link _unused_,
                     const char *path,
                     const char *interface _unused_,
                     void *userdata,
                     void **ret_found,
                     sd_bus_error *error _unused_) {
        _cleanup_free_ char *name = NULL;
        Bus *bus = userdata;
        int r;

        if (!bus->source->find_link)
                return 0;

        r = sd_bus_path_decode(path, LINKS_PATH, &name);
        if (r <= 0)
                return r;
        if (!bus->source->find_link(bus->data, name, &bus->seen_link))
                return 0;

        *ret_found = &bus->seen_link;
        return 1;
}

static int enumerate_links(sd_bus *link _unused_,
                           const char *prefix _unused_,
                           void *userdata,
                           char ***ret_paths,
                           sd_bus_error *error _unused_) {
        Bus *bus = userdata;
        unsigned n = bus->source->n_links ? bus->source->n_links(bus->data) : 0;

        /* At most LINKS_MAX: no answer is too large. */
        return bus_list_paths(LINKS_PATH, n, bus->source->link_name, bus->data, ret_paths);
}

void bus_link_changed(Bus *bus, const char *name) {
        _cleanup_free_ char *path = NULL;

        assert(name);

        if (!bus_is_up(bus))
                return;

        _cleanup_release_ Bus *held = bus_hold(bus);

        if (!bus_may_tell_one(held) || link_path(name, &path) < 0)
                return;

        (void)sd_bus_emit_properties_changed(held->link, path, LINK_INTERFACE, "State", "Up",
                                             "Reason", "Generation", "Attempts", "SinceUSec", NULL);
}

void bus_link_added(Bus *bus, const char *name) {
        _cleanup_free_ char *path = NULL;

        assert(name);

        if (!bus_is_up(bus))
                return;

        _cleanup_release_ Bus *held = bus_hold(bus);

        if (bus_may_tell_one(held) && link_path(name, &path) >= 0)
                (void)sd_bus_emit_interfaces_added(held->link, path, LINK_INTERFACE, NULL);
}

int bus_export_links(Bus *bus, sd_bus *link) {
        int r;

        r = sd_bus_add_node_enumerator(link, bus_next_slot(bus), LINKS_PATH, enumerate_links, bus);
        if (r < 0)
                return r;

        return sd_bus_add_fallback_vtable(link, bus_next_slot(bus), LINKS_PATH, LINK_INTERFACE,
                                          link_vtable, find_link, bus);
}
