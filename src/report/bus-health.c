/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * org.hale.Health1: the properties and methods of the whole.
 */

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "report/bus-object.h"

uint64_t bus_realtime_usec(uint64_t at_usec) {
        uint64_t now_usec = clock_now_usec(CLOCK_MONOTONIC);
        uint64_t real_usec = clock_now_usec(CLOCK_REALTIME);

        if (at_usec == 0 || at_usec == USEC_NEVER)
                return at_usec;
        if (at_usec >= now_usec)
                return usec_add(real_usec, at_usec - now_usec);

        return usec_sub(real_usec, now_usec - at_usec);
}

/* Getters take the Bus and answer from what it knows now; which one it is, the name says. */
#define PROPERTY(getter, signature, expression)                                                    \
        static int getter(sd_bus *link _unused_, const char *path _unused_,                        \
                          const char *interface _unused_, const char *property _unused_,           \
                          sd_bus_message *reply, void *userdata, sd_bus_error *error _unused_) {   \
                const Bus *bus = userdata;                                                         \
                return sd_bus_message_append(reply, signature, (expression));                      \
        }

static BusWatchdog watchdog_of(const Bus *bus) {
        BusWatchdog watchdog = { .gate = "open" };

        bus->source->watchdog(bus->data, &watchdog);
        return watchdog;
}

static uint64_t maintenance_until(const Health *health) {
        return health->maintenance ? bus_realtime_usec(health->maintenance_until_usec) : 0;
}

static const char *maintenance_reason(const Health *health) {
        return health->maintenance ? health->maintenance_reason : "";
}

static const HealthSummary *summary_of(const Bus *bus) {
        return &bus_health(bus)->summary;
}

PROPERTY(property_get_service, "s", bus->config.service)
PROPERTY(property_get_version, "s", bus->config.version ?: "")
PROPERTY(property_get_unit, "s", bus->config.unit ?: "")
PROPERTY(property_get_invocation_id, "s", bus->config.invocation_id ?: "")
PROPERTY(property_get_status, "s", hale_status_to_string(summary_of(bus)->status))
PROPERTY(property_get_phase, "s", hale_phase_to_string(summary_of(bus)->phase))
PROPERTY(property_get_live, "b", summary_of(bus)->live)
PROPERTY(property_get_ready, "b", summary_of(bus)->ready)
PROPERTY(property_get_started, "b", summary_of(bus)->started)
PROPERTY(property_get_since, "t", bus_realtime_usec(bus_health(bus)->status_since_usec))
PROPERTY(property_get_maintenance, "b", bus_health(bus)->maintenance)
PROPERTY(property_get_reason, "s", maintenance_reason(bus_health(bus)))
PROPERTY(property_get_until, "t", maintenance_until(bus_health(bus)))
PROPERTY(property_get_rehearsal, "s", bus_health(bus)->rehearsal ?: "")
PROPERTY(property_get_watchdog, "t", watchdog_of(bus).watchdog_usec)
PROPERTY(property_get_gate, "s", watchdog_of(bus).gate)
PROPERTY(property_get_pings, "t", watchdog_of(bus).n_pings)
PROPERTY(property_get_last_ping, "t", watchdog_of(bus).last_ping_usec)

static int property_get_status_text(sd_bus *link _unused_,
                                    const char *path _unused_,
                                    const char *interface _unused_,
                                    const char *property _unused_,
                                    sd_bus_message *reply,
                                    void *userdata,
                                    sd_bus_error *error _unused_) {
        char buffer[STATUS_LENGTH_MAX + 1];

        return sd_bus_message_append(reply, "s",
                                     health_sentence(bus_health(userdata), buffer, sizeof(buffer)));
}

static int property_get_verdicts(sd_bus *link _unused_,
                                 const char *path _unused_,
                                 const char *interface _unused_,
                                 const char *property _unused_,
                                 sd_bus_message *reply,
                                 void *userdata,
                                 sd_bus_error *error _unused_) {
        const Health *health = bus_health(userdata);
        int r;

        r = sd_bus_message_open_container(reply, 'a', "{su}");
        if (r < 0)
                return r;

        for (hale_status status = HALE_UNKNOWN; status <= HALE_FAIL; status++) {
                r = sd_bus_message_append(reply, "{su}", hale_status_to_string(status),
                                          health->n_verdict[status]);
                if (r < 0)
                        return r;
        }

        return sd_bus_message_close_container(reply);
}

static int method_get_report(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        _cleanup_(text_done) Text text = { .max = BUS_REPORT_MAX };
        Bus *bus = userdata;
        const char *format;
        int r;

        r = sd_bus_message_read(message, "s", &format);
        if (r < 0)
                return r;

        if (!bus_has_room_for_much(bus, error))
                return -EBUSY;

        r = bus->source->report(bus->data, format, &text);
        if (r == -EINVAL)
                return sd_bus_error_setf(error, ERROR_INVALID_FORMAT,
                                         "No report is called '%s'; there are: %s", format,
                                         bus->source->report_formats);
        if (r == -E2BIG || text.error == -E2BIG)
                return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                         "This report is longer than a message may be (%d MiB); "
                                         "ask for it over HTTP",
                                         BUS_REPORT_MAX / 1024 / 1024);
        if (r < 0)
                return r;
        if (text.error < 0)
                return text.error;

        return sd_bus_reply_method_return(message, "s", text.data ?: "");
}

static int method_run_probe(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        Bus *bus = userdata;
        const char *name;
        int r;

        r = sd_bus_message_read(message, "s", &name);
        if (r < 0)
                return r;

        if (!bus->source->find_probe(bus->data, name))
                return sd_bus_error_setf(
                        error, ERROR_NO_SUCH_PROBE,
                        "Probe '%s' does not exist; ListProbes() names those that do", name);

        return bus_call_begin(bus, message, ACTION_RUN_PROBE, name, bus_call_run_probe, error);
}

static int perform_set_maintenance(BusCall *call, sd_bus_error *error) {
        char reason[OUTPUT_LENGTH_MAX];
        Bus *bus = call->bus;
        const char *given;
        uint64_t usec;
        int r;

        r = sd_bus_message_rewind(call->message, true);
        if (r < 0)
                return r;

        r = sd_bus_message_read(call->message, "ts", &usec, &given);
        if (r < 0)
                return r;

        (void)str_sanitize(given, reason, sizeof(reason));
        r = bus->source->set_maintenance(bus->data, usec, reason, call->uid);
        if (r == -ESTALE)
                return sd_bus_error_set(error, ERROR_NOT_RUNNING, "The service is stopping");

        return r < 0 ? r : 0;
}

static int method_set_maintenance(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        return bus_call_begin(userdata, message, ACTION_SET_MAINTENANCE, NULL,
                              perform_set_maintenance, error);
}

#define EMITS SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
#define FIXED SD_BUS_VTABLE_PROPERTY_CONST

/* Mirrors dbus/org.hale.Health1.xml; test-bus-contract compares the two. Methods are open to all
 * because sd-bus would block to find out who calls; bus-call.c asks without waiting. */
/* clang-format off */
static const sd_bus_vtable health_vtable[] = {
        SD_BUS_VTABLE_START(0),

        SD_BUS_PROPERTY("ServiceName",  "s", property_get_service, 0, FIXED),
        SD_BUS_PROPERTY("Version",      "s", property_get_version, 0, FIXED),
        SD_BUS_PROPERTY("Unit",         "s", property_get_unit, 0, FIXED),
        SD_BUS_PROPERTY("InvocationID", "s", property_get_invocation_id, 0, FIXED),
        SD_BUS_PROPERTY("PreviousRun",  "a{sv}", bus_get_previous_run, 0, FIXED),

        SD_BUS_PROPERTY("Status",  "s", property_get_status, 0, EMITS),
        SD_BUS_PROPERTY("Phase",   "s", property_get_phase, 0, EMITS),
        SD_BUS_PROPERTY("Live",    "b", property_get_live, 0, EMITS),
        SD_BUS_PROPERTY("Ready",   "b", property_get_ready, 0, EMITS),
        SD_BUS_PROPERTY("Started", "b", property_get_started, 0, EMITS),
        SD_BUS_PROPERTY("StatusSinceUSec", "t", property_get_since, 0, EMITS),
        SD_BUS_PROPERTY("StatusText", "s", property_get_status_text, 0, 0),

        SD_BUS_PROPERTY("Maintenance", "b", property_get_maintenance, 0, EMITS),
        SD_BUS_PROPERTY("MaintenanceReason", "s", property_get_reason, 0, EMITS),
        SD_BUS_PROPERTY("MaintenanceUntilUSec", "t", property_get_until, 0, EMITS),

        SD_BUS_PROPERTY("Rehearsal", "s", property_get_rehearsal, 0, EMITS),

        SD_BUS_PROPERTY("Verdicts", "a{su}", property_get_verdicts, 0, EMITS),
        SD_BUS_PROPERTY("UntoldChanges", "t", NULL, offsetof(Bus, n_untold), EMITS),

        SD_BUS_PROPERTY("WatchdogUSec", "t", property_get_watchdog, 0, 0),
        SD_BUS_PROPERTY("WatchdogGate", "s", property_get_gate, 0, EMITS),
        SD_BUS_PROPERTY("Pings", "t", property_get_pings, 0, 0),
        SD_BUS_PROPERTY("LastPingUSecMonotonic", "t", property_get_last_ping, 0, 0),

        SD_BUS_METHOD_WITH_ARGS("ListProbes",
                                SD_BUS_NO_ARGS,
                                SD_BUS_RESULT("a(ssasssttoa{sv})", probes),
                                bus_method_list_probes,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetReport",
                                SD_BUS_ARGS("s", format),
                                SD_BUS_RESULT("s", report),
                                method_get_report,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("RunProbe",
                                SD_BUS_ARGS("s", name),
                                SD_BUS_RESULT("s", status, "s", output, "t", duration_usec,
                                              "a{sv}", details),
                                method_run_probe,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("SetMaintenance",
                                SD_BUS_ARGS("t", usec, "s", reason),
                                SD_BUS_NO_RESULT,
                                method_set_maintenance,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("RestartWorker",
                                SD_BUS_ARGS("s", name),
                                SD_BUS_NO_RESULT,
                                bus_method_restart_worker,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ReopenLink",
                                SD_BUS_ARGS("s", name),
                                SD_BUS_NO_RESULT,
                                bus_method_reopen_link,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("InjectFault",
                                SD_BUS_ARGS("s", kind, "s", target, "t", duration_usec),
                                SD_BUS_NO_RESULT,
                                bus_method_inject_fault,
                                SD_BUS_VTABLE_UNPRIVILEGED),

        SD_BUS_SIGNAL_WITH_ARGS("StatusChanged",
                                SD_BUS_ARGS("s", old_status, "s", new_status, "s", text,
                                            "a{sv}", details),
                                0),
        SD_BUS_SIGNAL_WITH_ARGS("ProbeStatusChanged",
                                SD_BUS_ARGS("s", probe, "o", path, "s", old_status,
                                            "s", new_status, "s", output, "a{sv}", details),
                                0),

        SD_BUS_VTABLE_END,
};
/* clang-format on */

int bus_export_health(Bus *bus, sd_bus *link) {
        return sd_bus_add_object_vtable(link, bus_next_slot(bus), HEALTH_PATH, HEALTH_INTERFACE,
                                        health_vtable, bus);
}
