/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The life of a Bus, and where to look for it.
 */

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "core/defaults.h"
#include "report/bus-private.h"

#define SYSTEM_BUS_ADDRESS "unix:path=/run/dbus/system_bus_socket"

/* "unix:path=DIR/bus", with what is special in an address written as %xx (D-Bus specification). */
static int address_below(const char *directory, char **ret) {
        _cleanup_(text_done) Text text = TEXT_INIT;

        (void)text_append(&text, "unix:path=");
        for (const char *p = directory; *p; p++)
                (void)text_appendf(&text,
                                   isalnum((unsigned char)*p) || strchr("-_/.", *p) ? "%c"
                                                                                    : "%%%02x",
                                   (unsigned char)*p);
        (void)text_append(&text, "/bus");
        if (text.error < 0)
                return text.error;

        *ret = TAKE_PTR(text.data);
        return 0;
}

/* Leaves NULL in @ret_address if there is nothing to go by. */
static int address_find(const BusConfig *config, char **ret_address) {
        const char *found = config->address;

        if (!found)
                found = secure_getenv(config->user ? "DBUS_SESSION_BUS_ADDRESS"
                                                   : "DBUS_SYSTEM_BUS_ADDRESS");
        if (!found && !config->user)
                found = SYSTEM_BUS_ADDRESS;
        if (!found) {
                const char *directory = secure_getenv("XDG_RUNTIME_DIR");

                return directory ? address_below(directory, ret_address) : 0;
        }

        *ret_address = strdup(found);
        return *ret_address ? 0 : -ENOMEM;
}

/* True if @source can be asked all that it must answer. */
static bool source_is_complete(const BusSource *source) {
        return source->health && source->find_probe && source->watchdog && source->report &&
               source->report_formats && source->get_log_level && source->get_log_target &&
               source->run_probe && source->set_maintenance && source->on_state;
}

int bus_new(Bus **ret,
            struct sd_event *event,
            int64_t priority,
            const BusConfig *config,
            const BusSource *source,
            void *data) {
        Bus *bus;
        int r;

        assert(ret);
        assert(event);
        assert(config && config->service);
        assert(source && source_is_complete(source));

        if (config->name &&
            (sd_bus_service_name_is_valid(config->name) <= 0 || config->name[0] == ':'))
                return -EINVAL;

        bus = malloc(sizeof(*bus));
        if (!bus)
                return -ENOMEM;

        *bus = (Bus){
                .priority = priority,
                .pid = getpid(),
                .uid = getuid(),
                .config = *config,
                .source = source,
                .data = data,
                .random = RANDOM_INIT(config->seed),
        };
        TAILQ_INIT(&bus->calls);
        backoff_init(&bus->connect_backoff, BACKOFF_DECORRELATED, RECONNECT_MIN_USEC,
                     RECONNECT_MAX_USEC);
        backoff_init(&bus->name_backoff, BACKOFF_DECORRELATED, RECONNECT_MIN_USEC,
                     RECONNECT_MAX_USEC);

        r = address_find(config, &bus->address);
        if (r < 0) {
                free(bus);
                return r;
        }

        bus->event = sd_event_ref(event);
        *ret = bus;
        return 0;
}

static void bus_free_memory(Bus *bus) {
        sd_event_unref(bus->event);
        free(bus->address);
        free(bus);
}

void bus_release(Bus **held) {
        Bus *bus = *held;

        assert(bus->n_holds > 0);

        if (--bus->n_holds == 0 && bus->dead)
                bus_free_memory(bus);
}

Bus *bus_free(Bus *bus) {
        if (!bus)
                return NULL;

        /* The connection and the loop belong to our parent: a child keeps its hands off them. */
        if (bus->pid != getpid())
                return NULL;

        bus_stop(bus);
        bus->dead = true;
        if (bus->n_holds == 0)
                bus_free_memory(bus);

        return NULL;
}

void bus_freep(Bus **bus) {
        bus_free(*bus);
}
