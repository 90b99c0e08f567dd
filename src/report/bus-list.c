/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * ListProbes(): all probes in one answer, as far as they fit.
 */

#include <errno.h>

#include "report/bus-object.h"

static int append_probe(sd_bus_message *reply, const HealthProbe *probe) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = bus_probe_path(probe->name, &path);
        if (r < 0)
                return r;

        r = sd_bus_message_open_container(reply, 'r', "ssasssttoa{sv}");
        if (r < 0)
                return r;

        r = sd_bus_message_append(reply, "ss", probe->name, probe->type);
        if (r < 0)
                return r;

        r = bus_append_gates(reply, probe->state.policy.gates);
        if (r < 0)
                return r;

        r = sd_bus_message_append(reply, "ssttoa{sv}", hale_status_to_string(probe->state.verdict),
                                  probe->output, probe->realtime_usec, probe->state.duration_usec,
                                  path, 0);
        if (r < 0)
                return r;

        return sd_bus_message_close_container(reply);
}

/* The worst first, so that what does not fit is what matters least. */
static int append_probes(sd_bus_message *reply, const Health *health) {
        static const hale_status order[] = { HALE_FAIL, HALE_UNKNOWN, HALE_WARN, HALE_PASS };
        unsigned room = BUS_LIST_MAX;
        const HealthProbe *probe;
        int r;

        for (size_t i = 0; i < ELEMENTSOF(order); i++) {
                unsigned left = health->n_verdict[order[i]];

                TAILQ_FOREACH (probe, &health->probes, link) {
                        if (room == 0 || left == 0)
                                break;
                        if (probe->state.verdict != order[i])
                                continue;

                        r = append_probe(reply, probe);
                        if (r < 0)
                                return r;
                        room--;
                        left--;
                }
        }

        return 0;
}

int bus_method_list_probes(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Bus *bus = userdata;
        int r;

        if (!bus_has_room_for_much(bus, error))
                return -EBUSY;

        r = sd_bus_message_new_method_return(message, &reply);
        if (r < 0)
                return r;

        r = sd_bus_message_open_container(reply, 'a', "(ssasssttoa{sv})");
        if (r < 0)
                return r;

        r = append_probes(reply, bus_health(bus));
        if (r < 0)
                return r;

        r = sd_bus_message_close_container(reply);
        if (r < 0)
                return r;

        return sd_bus_send(NULL, reply, NULL);
}
