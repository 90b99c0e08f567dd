/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Our name: asked for without waiting, queued for while another has it, and asked
 * for again when the policy does not give it to us; it may be reloaded any time.
 */

#include <errno.h>
#include <string.h>

#include "report/bus-private.h"

static void bus_own(Bus *bus) {
        if (bus->owned)
                return;

        bus->owned = true;
        bus->denial_told = false;
        backoff_reset(&bus->name_backoff);
        bus_told_reset(bus);
        bus_report(bus, BUS_NAME_ACQUIRED, 0);
}

static void bus_deny(Bus *bus, int error) {
        bool tell = !bus->denial_told;

        bus->denial_told = true;
        if (error != -EEXIST)
                bus_plan(bus, RETRY_NAME, backoff_next(&bus->name_backoff, &bus->random));
        if (tell)
                bus_report(bus, BUS_NAME_DENIED, error);
}

static int on_name_reply(sd_bus_message *message, void *userdata, sd_bus_error *error _unused_) {
        _cleanup_release_ Bus *bus = bus_hold(userdata);
        uint32_t answer = 0;
        int r;

        /* The connection is going down; that is told by itself. */
        if (sd_bus_is_open(bus->link) <= 0)
                return 1;

        r = -sd_bus_message_get_errno(message);
        if (r == 0)
                r = sd_bus_message_read(message, "u", &answer);

        /* The D-Bus specification, RequestName: 1 primary owner, 2 in queue, 4 already owner. */
        if (r < 0)
                bus_deny(bus, r);
        else if (answer == 1 || answer == 4)
                bus_own(bus);
        else if (!bus->owned)
                bus_deny(bus, -EEXIST);

        return 1;
}

/*
 * We queue for the name, so that we get it in the moment that another gives it up:
 * the bus then says NameAcquired.
 */
int bus_request_name(Bus *bus) {
        int r;

        if (!bus->config.name || bus->owned)
                return 0;

        r = sd_bus_request_name_async(bus->link, NULL, bus->config.name, SD_BUS_NAME_QUEUE,
                                      on_name_reply, bus);
        return r < 0 ? r : 0;
}

/* NameAcquired and NameLost are sent to us alone, without a match (D-Bus specification). */
void bus_take_name_signal(Bus *bus, sd_bus_message *message) {
        const char *sender = sd_bus_message_get_sender(message), *name;
        bool acquired, lost;

        acquired = sd_bus_message_is_signal(message, "org.freedesktop.DBus", "NameAcquired") > 0;
        lost = sd_bus_message_is_signal(message, "org.freedesktop.DBus", "NameLost") > 0;
        if (!acquired && !lost)
                return;
        if (!sender || strcmp(sender, "org.freedesktop.DBus") != 0)
                return;
        if (sd_bus_message_read(message, "s", &name) < 0)
                return;

        (void)sd_bus_message_rewind(message, true);
        if (!bus->config.name || strcmp(name, bus->config.name) != 0)
                return;

        if (acquired) {
                bus_own(bus);
        } else if (bus->owned) {
                bus->owned = false;
                bus_plan(bus, RETRY_NAME, backoff_next(&bus->name_backoff, &bus->random));
                bus_report(bus, BUS_NAME_LOST, 0);
        }
}
