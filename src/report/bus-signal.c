/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What changed, told. Changes of the whole are told as the difference to what was
 * told last, so that nothing is told twice, and a change that had to wait for the
 * end of a window is told as it stands then.
 */

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "report/bus-object.h"

/* Each property that emits, and whether it differs. */
enum {
        CHANGED_MAX = 16,
};

typedef struct Changes {
        const char *names[CHANGED_MAX + 1];
        unsigned n;
} Changes;

static void changes_add(Changes *changes, bool differs, const char *name) {
        if (!differs)
                return;

        assert(changes->n < CHANGED_MAX);
        changes->names[changes->n++] = name;
}

static void bus_take_stock(const Bus *bus, BusTold *ret) {
        const Health *health = bus_health(bus);
        BusWatchdog watchdog = { .gate = "open" };

        bus->source->watchdog(bus->data, &watchdog);

        *ret = (BusTold){
                .summary = health->summary,
                .since_usec = health->status_since_usec,
                .maintenance = health->maintenance,
                .gate = watchdog.gate,
                .n_untold = bus->n_untold,
        };
        memcpy(ret->n_verdict, health->n_verdict, sizeof(ret->n_verdict));
        (void)snprintf(ret->rehearsal, sizeof(ret->rehearsal), "%s", health->rehearsal ?: "");
        if (health->maintenance) {
                ret->until_usec = health->maintenance_until_usec;
                (void)snprintf(ret->reason, sizeof(ret->reason), "%s", health->maintenance_reason);
        }
}

void bus_told_reset(Bus *bus) {
        bus_take_stock(bus, &bus->told);
}

static void changes_between(const BusTold *a, const BusTold *b, Changes *ret) {
        const HealthSummary *x = &a->summary, *y = &b->summary;

        changes_add(ret, x->status != y->status, "Status");
        changes_add(ret, x->phase != y->phase, "Phase");
        changes_add(ret, x->live != y->live, "Live");
        changes_add(ret, x->ready != y->ready, "Ready");
        changes_add(ret, x->started != y->started, "Started");
        changes_add(ret, a->since_usec != b->since_usec, "StatusSinceUSec");
        changes_add(ret, a->maintenance != b->maintenance, "Maintenance");
        changes_add(ret, strcmp(a->reason, b->reason) != 0, "MaintenanceReason");
        changes_add(ret, a->until_usec != b->until_usec, "MaintenanceUntilUSec");
        changes_add(ret, memcmp(a->n_verdict, b->n_verdict, sizeof(a->n_verdict)) != 0, "Verdicts");
        changes_add(ret, a->n_untold != b->n_untold, "UntoldChanges");
        changes_add(ret, strcmp(a->gate, b->gate) != 0, "WatchdogGate");
        changes_add(ret, strcmp(a->rehearsal, b->rehearsal) != 0, "Rehearsal");
}

static int emit_status_changed(Bus *bus, hale_status from, const Health *health) {
        char text[STATUS_LENGTH_MAX + 1];
        const HealthSummary *summary = &health->summary;

        return sd_bus_emit_signal(bus->link, HEALTH_PATH, HEALTH_INTERFACE, "StatusChanged",
                                  "sssa{sv}", hale_status_to_string(from),
                                  hale_status_to_string(summary->status),
                                  health_sentence(health, text, sizeof(text)), 3, "Phase", "s",
                                  hale_phase_to_string(summary->phase), "Live", "b", summary->live,
                                  "Ready", "b", summary->ready);
}

void bus_tell(Bus *bus) {
        BusTold now, before = bus->told;
        Changes changes = {};

        if (!bus_has_room(bus))
                return;

        bus_take_stock(bus, &now);
        changes_between(&before, &now, &changes);
        if (changes.n == 0)
                return;

        /* What cannot be sent because of memory or a dying connection is not sent again: whoever
         * looks, reads the state as it is. */
        bus->told = now;
        (void)sd_bus_emit_properties_changed_strv(bus->link, HEALTH_PATH, HEALTH_INTERFACE,
                                                  (char **)changes.names);
        if (before.summary.status != now.summary.status)
                (void)emit_status_changed(bus, before.summary.status, bus_health(bus));
}

static int on_tell(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        _cleanup_release_ Bus *bus = bus_hold(userdata);

        if (bus_is_up(bus))
                bus_tell(bus);

        return 0;
}

/* Plans to tell what is so at the end of this window. */
static void bus_tell_later(Bus *bus) {
        int enabled = SD_EVENT_OFF;

        if (bus->tell_source)
                (void)sd_event_source_get_enabled(bus->tell_source, &enabled);
        if (enabled != SD_EVENT_OFF)
                return;

        (void)bus_arm(bus, &bus->tell_source, usec_add(bus->window_usec, BUS_WINDOW_USEC), on_tell,
                      "bus-tell");
}

/* Takes one of the @max signals of this window. */
static bool bus_take_signal(Bus *bus, unsigned *n_taken, unsigned max) {
        uint64_t now_usec = bus_now_usec(bus);

        if (now_usec - bus->window_usec >= BUS_WINDOW_USEC) {
                bus->window_usec = now_usec;
                bus->n_probe_signals = 0;
                bus->n_health_signals = 0;
        }

        if (*n_taken >= max)
                return false;

        (*n_taken)++;
        return true;
}

void bus_health_changed(Bus *bus) {
        if (!bus_is_up(bus))
                return;

        _cleanup_release_ Bus *held = bus_hold(bus);

        if (bus_take_signal(held, &held->n_health_signals, BUS_HEALTH_SIGNALS_MAX))
                bus_tell(held);
        else
                bus_tell_later(held);
}

bool bus_may_tell_one(Bus *bus) {
        bool may = bus_take_signal(bus, &bus->n_probe_signals, BUS_PROBE_SIGNALS_MAX);

        if (!may)
                bus->n_untold++;
        bus_tell_later(bus); /* Verdicts and UntoldChanges */

        return may && bus_has_room(bus);
}

void bus_probe_changed(Bus *bus, const HealthProbe *probe, hale_status from) {
        _cleanup_free_ char *path = NULL;

        assert(probe);

        if (!bus_is_up(bus))
                return;

        _cleanup_release_ Bus *held = bus_hold(bus);

        if (!bus_may_tell_one(held) || bus_probe_path(probe->name, &path) < 0)
                return;

        (void)sd_bus_emit_properties_changed(held->link, path, PROBE_INTERFACE, "Status",
                                             "StatusSinceUSecMonotonic", NULL);
        (void)sd_bus_emit_signal(held->link, HEALTH_PATH, HEALTH_INTERFACE, "ProbeStatusChanged",
                                 "sosssa{sv}", probe->name, path, hale_status_to_string(from),
                                 hale_status_to_string(probe->state.verdict), probe->output, 0);
}

void bus_probe_added(Bus *bus, const HealthProbe *probe) {
        _cleanup_free_ char *path = NULL;

        assert(probe);

        if (!bus_is_up(bus))
                return;

        _cleanup_release_ Bus *held = bus_hold(bus);

        if (bus_may_tell_one(held) && bus_probe_path(probe->name, &path) >= 0)
                (void)sd_bus_emit_interfaces_added(held->link, path, PROBE_INTERFACE, NULL);
}

void bus_probe_removed(Bus *bus, const HealthProbe *probe) {
        _cleanup_free_ char *path = NULL;

        assert(probe);

        if (!bus_is_up(bus))
                return;

        _cleanup_release_ Bus *held = bus_hold(bus);

        bus_calls_fail(held, probe->name, ERROR_NO_SUCH_PROBE, "The probe was removed meanwhile");
        if (bus_may_tell_one(held) && bus_probe_path(probe->name, &path) >= 0)
                (void)sd_bus_emit_interfaces_removed(held->link, path, PROBE_INTERFACE, NULL);
}
