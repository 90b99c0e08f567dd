/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * org.hale.Probe1. The objects exist only while somebody looks at them: a fallback
 * vtable finds the probe by its path, and an enumerator names the paths, so that a
 * hundred thousand probes cost nothing here.
 */

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "report/bus-object.h"

/* clang-format off */
static const struct {
        hale_gate gate;
        const char *name;
} gates[] = {
        { HALE_GATE_LIVE,    "live" },
        { HALE_GATE_READY,   "ready" },
        { HALE_GATE_STARTUP, "startup" },
};
/* clang-format on */

int bus_probe_path(const char *name, char **ret_path) {
        return sd_bus_path_encode(PROBES_PATH, name, ret_path);
}

int bus_append_gates(sd_bus_message *message, unsigned mask) {
        int r;

        r = sd_bus_message_open_container(message, 'a', "s");
        if (r < 0)
                return r;

        for (size_t i = 0; i < ELEMENTSOF(gates); i++) {
                if (!(mask & (unsigned)gates[i].gate))
                        continue;

                r = sd_bus_message_append(message, "s", gates[i].name);
                if (r < 0)
                        return r;
        }

        return sd_bus_message_close_container(message);
}

static int property_get_gates(sd_bus *link _unused_,
                              const char *path _unused_,
                              const char *interface _unused_,
                              const char *property _unused_,
                              sd_bus_message *reply,
                              void *userdata,
                              sd_bus_error *error _unused_) {
        const HealthProbe *probe = userdata;

        return bus_append_gates(reply, probe->state.policy.gates);
}

/* @userdata is the hale_status itself. */
static int property_get_status(sd_bus *link _unused_,
                               const char *path _unused_,
                               const char *interface _unused_,
                               const char *property _unused_,
                               sd_bus_message *reply,
                               void *userdata,
                               sd_bus_error *error _unused_) {
        const hale_status *status = userdata;

        return sd_bus_message_append(reply, "s", hale_status_to_string(*status));
}

static int property_get_bool(sd_bus *link _unused_,
                             const char *path _unused_,
                             const char *interface _unused_,
                             const char *property _unused_,
                             sd_bus_message *reply,
                             void *userdata,
                             sd_bus_error *error _unused_) {
        const bool *value = userdata;

        return sd_bus_message_append(reply, "b", *value);
}

static int property_get_value(sd_bus *link _unused_,
                              const char *path _unused_,
                              const char *interface _unused_,
                              const char *property _unused_,
                              sd_bus_message *reply,
                              void *userdata,
                              sd_bus_error *error _unused_) {
        const HealthProbe *probe = userdata;

        return sd_bus_message_append(reply, "d", probe->unit ? probe->value : (double)NAN);
}

static int property_get_results(sd_bus *link _unused_,
                                const char *path _unused_,
                                const char *interface _unused_,
                                const char *property _unused_,
                                sd_bus_message *reply,
                                void *userdata,
                                sd_bus_error *error _unused_) {
        const uint64_t *n_results = userdata;
        int r;

        r = sd_bus_message_open_container(reply, 'a', "{st}");
        if (r < 0)
                return r;

        for (hale_status status = HALE_UNKNOWN; status <= HALE_FAIL; status++) {
                r = sd_bus_message_append(reply, "{st}", hale_status_to_string(status),
                                          n_results[status]);
                if (r < 0)
                        return r;
        }

        return sd_bus_message_close_container(reply);
}

static int method_run(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        const HealthProbe *probe = userdata;
        sd_bus *link = sd_bus_message_get_bus(message);
        Bus *bus = sd_bus_slot_get_userdata(sd_bus_get_current_slot(link));

        return bus_call_begin(bus, message, ACTION_RUN_PROBE, probe->name, bus_call_run_probe,
                              error);
}

#define IN_PROBE(member) offsetof(HealthProbe, member)
#define EMITS SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
#define FIXED SD_BUS_VTABLE_PROPERTY_CONST

/* Mirrors dbus/org.hale.Probe1.xml; test-bus-contract compares the two. */
/* clang-format off */
static const sd_bus_vtable probe_vtable[] = {
        SD_BUS_VTABLE_START(0),

        SD_BUS_PROPERTY("Name",  "s",  NULL, IN_PROBE(name), FIXED),
        SD_BUS_PROPERTY("Type",  "s",  NULL, IN_PROBE(type), FIXED),
        SD_BUS_PROPERTY("Gates", "as", property_get_gates, 0, FIXED),

        SD_BUS_PROPERTY("Status", "s", property_get_status, IN_PROBE(state.verdict), EMITS),
        SD_BUS_PROPERTY("StatusSinceUSecMonotonic", "t", NULL, IN_PROBE(state.since_usec), EMITS),

        SD_BUS_PROPERTY("LastResult", "s", property_get_status, IN_PROBE(state.result), 0),
        SD_BUS_PROPERTY("LastResultUSec", "t", NULL, IN_PROBE(realtime_usec), 0),
        SD_BUS_PROPERTY("LastDurationUSec", "t", NULL, IN_PROBE(state.duration_usec), 0),
        SD_BUS_PROPERTY("Output", "s", NULL, IN_PROBE(output), 0),
        SD_BUS_PROPERTY("Value", "d", property_get_value, 0, 0),
        SD_BUS_PROPERTY("ValueUnit", "s", NULL, IN_PROBE(unit), 0),
        SD_BUS_PROPERTY("Running", "b", property_get_bool, IN_PROBE(state.running), 0),

        SD_BUS_PROPERTY("Results", "a{st}", property_get_results, IN_PROBE(state.n_results), 0),
        SD_BUS_PROPERTY("FailuresInRow", "t", NULL, IN_PROBE(state.n_failed_in_row), 0),
        SD_BUS_PROPERTY("Timeouts", "t", NULL, IN_PROBE(state.n_timeouts), 0),
        SD_BUS_PROPERTY("LateAnswers", "t", NULL, IN_PROBE(state.n_late), 0),
        SD_BUS_PROPERTY("Changes", "t", NULL, IN_PROBE(state.n_changes), 0),

        SD_BUS_PROPERTY("IntervalUSec", "t", NULL, IN_PROBE(state.policy.interval_usec), 0),
        SD_BUS_PROPERTY("TimeoutUSec", "t", NULL, IN_PROBE(state.policy.timeout_usec), 0),
        SD_BUS_PROPERTY("StaleUSec", "t", NULL, IN_PROBE(state.policy.stale_usec), 0),
        SD_BUS_PROPERTY("FailAfter", "u", NULL, IN_PROBE(state.policy.fail_after), 0),
        SD_BUS_PROPERTY("PassAfter", "u", NULL, IN_PROBE(state.policy.pass_after), 0),

        SD_BUS_METHOD_WITH_ARGS("Run",
                                SD_BUS_NO_ARGS,
                                SD_BUS_RESULT("s", status, "s", output, "t", duration_usec,
                                              "a{sv}", details),
                                method_run,
                                SD_BUS_VTABLE_UNPRIVILEGED),

        SD_BUS_VTABLE_END,
};
/* clang-format on */

static int find_probe(sd_bus *link _unused_,
                      const char *path,
                      const char *interface _unused_,
                      void *userdata,
                      void **ret_found,
                      sd_bus_error *error _unused_) {
        _cleanup_free_ char *name = NULL;
        const HealthProbe *probe;
        Bus *bus = userdata;
        int r;

        r = sd_bus_path_decode(path, PROBES_PATH, &name);
        if (r <= 0)
                return r;

        probe = bus->source->find_probe(bus->data, name);
        if (!probe)
                return 0;

        /* sd-bus keeps it as long as it takes to read a property; nobody writes through it. */
        *ret_found = (void *)(uintptr_t)probe;
        return 1;
}

static void paths_free(char **paths) {
        for (char **p = paths; p && *p; p++)
                free(*p);
        free(paths);
}

static int enumerate_probes(sd_bus *link _unused_,
                            const char *prefix _unused_,
                            void *userdata,
                            char ***ret_paths,
                            sd_bus_error *error) {
        const HealthProbe *probe;
        Bus *bus = userdata;
        const Health *health = bus_health(bus);
        size_t n = 0, max = MIN(health->n_probes, (unsigned)BUS_OBJECTS_MAX);
        char **paths;
        int r;

        if (!bus_has_room_for_much(bus, error))
                return 0;

        paths = calloc(max + 1, sizeof(*paths));
        if (!paths)
                return -ENOMEM;

        TAILQ_FOREACH (probe, &health->probes, link) {
                if (n == max)
                        break;

                r = bus_probe_path(probe->name, &paths[n]);
                if (r < 0) {
                        paths_free(paths);
                        return r;
                }
                n++;
        }

        *ret_paths = paths;
        return 0;
}

int bus_export_probes(Bus *bus, sd_bus *link) {
        int r;

        r = sd_bus_add_object_manager(link, bus_next_slot(bus), HEALTH_PATH);
        if (r < 0)
                return r;

        r = sd_bus_add_node_enumerator(link, bus_next_slot(bus), PROBES_PATH, enumerate_probes,
                                       bus);
        if (r < 0)
                return r;

        return sd_bus_add_fallback_vtable(link, bus_next_slot(bus), PROBES_PATH, PROBE_INTERFACE,
                                          probe_vtable, find_probe, bus);
}
