/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/macro.h"
#include "base/names.h"
#include "core/health.h"

/* clang-format off */
static const char *const status_names[] = {
        [HALE_UNKNOWN] = "unknown",
        [HALE_PASS]    = "pass",
        [HALE_WARN]    = "warn",
        [HALE_FAIL]    = "fail",
};

static const char *const phase_names[] = {
        [HALE_STARTING]    = "starting",
        [HALE_RUNNING]     = "running",
        [HALE_RELOADING]   = "reloading",
        [HALE_MAINTENANCE] = "maintenance",
        [HALE_STOPPING]    = "stopping",
};
/* clang-format on */

static_assert(ELEMENTSOF(status_names) == HALE_FAIL + 1, "a status lacks its name");
static_assert(ELEMENTSOF(phase_names) == HALE_STOPPING + 1, "a phase lacks its name");

_public_ const char *hale_status_to_string(hale_status status) {
        return name_table_to_string(status_names, ELEMENTSOF(status_names), (int)status);
}

_public_ const char *hale_phase_to_string(hale_phase phase) {
        return name_table_to_string(phase_names, ELEMENTSOF(phase_names), (int)phase);
}

static void health_summarize(const Health *health, HealthSummary *summary) {
        bool open = !health->maintenance && !health->stopping;

        *summary = (HealthSummary){
                .phase = health->stopping      ? HALE_STOPPING
                         : !health->announced  ? HALE_STARTING
                         : health->reloading   ? HALE_RELOADING
                         : health->maintenance ? HALE_MAINTENANCE
                                               : HALE_RUNNING,
                .live = health->n_live_bad == 0,
                .ready = open && health->announced && health->n_ready_bad == 0,
                .started = health->started,
        };

        summary->status = !summary->live || !summary->ready               ? HALE_FAIL
                          : health->n_warn > 0 || health->n_info_fail > 0 ? HALE_WARN
                                                                          : HALE_PASS;
}

void health_init(Health *health, uint64_t now_usec) {
        assert(health);

        *health = (Health){
                .maintenance_reason = "",
                .status_since_usec = now_usec,
        };
        TAILQ_INIT(&health->probes);
        health_summarize(health, &health->summary);
}

bool health_probe_passes(const HealthProbe *probe, hale_gate gate) {
        const ProbeState *state;

        assert(probe);

        state = &probe->state;
        if (!(state->policy.gates & (unsigned)gate))
                return true;
        if (gate == HALE_GATE_LIVE)
                return state->verdict != HALE_FAIL && !state->stale;
        if (gate == HALE_GATE_STARTUP)
                return state->passed_once;

        return state->verdict == HALE_PASS || state->verdict == HALE_WARN;
}

/* Adds what @probe counts for (@by 1) or takes it away (@by -1). */
static void health_count(Health *health, const HealthProbe *probe, int by) {
        const ProbeState *state = &probe->state;
        bool gates_ready = state->policy.gates & HALE_GATE_READY;

        if (!health_probe_passes(probe, HALE_GATE_LIVE))
                health->n_live_bad += (unsigned)by;
        if (!health_probe_passes(probe, HALE_GATE_READY))
                health->n_ready_bad += (unsigned)by;
        if (!health_probe_passes(probe, HALE_GATE_STARTUP))
                health->n_startup_waiting += (unsigned)by;
        if (gates_ready && !state->passed_once)
                health->n_ready_waiting += (unsigned)by;
        if (state->verdict == HALE_WARN)
                health->n_warn += (unsigned)by;
        if (state->policy.gates == HALE_GATE_NONE && state->verdict == HALE_FAIL)
                health->n_info_fail += (unsigned)by;

        health->n_verdict[state->verdict] += (unsigned)by;
}

void health_forget(Health *health, const HealthProbe *probe) {
        assert(health);
        assert(probe);

        health_count(health, probe, -1);
}

void health_remember(Health *health, const HealthProbe *probe) {
        assert(health);
        assert(probe);

        health_count(health, probe, 1);
}

void health_add(Health *health, HealthProbe *probe) {
        assert(health);
        assert(probe);
        assert(probe->name && probe->output);

        TAILQ_INSERT_TAIL(&health->probes, probe, link);
        health->n_probes++;
        health->revision++;
        health_remember(health, probe);
}

void health_remove(Health *health, HealthProbe *probe) {
        assert(health);
        assert(probe);
        assert(health->n_probes > 0);

        health_forget(health, probe);
        TAILQ_REMOVE(&health->probes, probe, link);
        health->n_probes--;
        health->revision++;
}

bool health_update(Health *health, uint64_t now_usec, HealthSummary *ret_old) {
        HealthSummary old, summary;

        assert(health);

        if (health->begun && health->n_startup_waiting == 0)
                health->started = true;
        if (health->started && health->n_ready_waiting == 0)
                health->announced = true;
        if (health->maintenance && now_usec >= health->maintenance_until_usec)
                health->maintenance = false;

        health_summarize(health, &summary);
        old = health->summary;
        if (old.status == summary.status && old.phase == summary.phase &&
            old.live == summary.live && old.ready == summary.ready &&
            old.started == summary.started)
                return false;

        health->summary = summary;
        health->n_changes++;
        health->revision++;
        if (old.status != summary.status) {
                health->status_since_usec = now_usec;
                health->n_transitions[old.status][summary.status]++;
        }
        if (ret_old)
                *ret_old = old;
        return true;
}

const HealthProbe *health_culprit(const Health *health, hale_gate gate) {
        const HealthProbe *probe;

        assert(health);

        TAILQ_FOREACH (probe, &health->probes, link)
                if (!health_probe_passes(probe, gate))
                        return probe;

        return NULL;
}

/* "db: connection refused", or what there is to say of a probe without output. */
static void describe(const HealthProbe *probe, char *buffer, size_t size) {
        const char *why = probe->output;

        if (probe->state.stale)
                why = "no news for too long";
        else if (!why[0])
                why = probe->state.finished_usec == 0 ? "not answered yet" : "failed";

        (void)snprintf(buffer, size, "%s: %s", probe->name, why);
}

static const HealthProbe *health_first_warning(const Health *health) {
        const HealthProbe *probe;

        TAILQ_FOREACH (probe, &health->probes, link)
                if (probe->state.verdict == HALE_WARN ||
                    (probe->state.verdict == HALE_FAIL &&
                     probe->state.policy.gates == HALE_GATE_NONE))
                        return probe;

        return NULL;
}

static void sentence_open(const Health *health, char *buffer, size_t size) {
        const HealthProbe *warning = health_first_warning(health);
        unsigned n_pass = health->n_verdict[HALE_PASS];
        char what[512];

        if (!warning) {
                (void)snprintf(buffer, size, "ready; %u probe%s pass%s", n_pass,
                               n_pass == 1 ? "" : "s", n_pass == 1 ? "es" : "");
                return;
        }

        describe(warning, what, sizeof(what));
        (void)snprintf(buffer, size, "ready; %u of %u probes pass; %s", n_pass, health->n_probes,
                       what);
}

/* The first probe of the gate that the phase waits for. */
static const HealthProbe *health_awaited(const Health *health) {
        return health->started ? health_culprit(health, HALE_GATE_READY)
                               : health_culprit(health, HALE_GATE_STARTUP);
}

static void sentence_plain(const Health *health, char *buffer, size_t size) {
        const HealthSummary *summary = &health->summary;
        const HealthProbe *probe;
        char what[512];

        if (summary->phase == HALE_STOPPING) {
                (void)snprintf(buffer, size, "stopping");
        } else if (!summary->live && (probe = health_culprit(health, HALE_GATE_LIVE))) {
                describe(probe, what, sizeof(what));
                (void)snprintf(buffer, size, "not live: %s", what);
        } else if (summary->phase == HALE_STARTING) {
                probe = health_awaited(health);
                if (probe)
                        describe(probe, what, sizeof(what));
                (void)snprintf(buffer, size, "starting%s%s", probe ? "; waiting for " : "",
                               probe ? what : "");
        } else if (health->maintenance) {
                (void)snprintf(buffer, size, "maintenance: %s", health->maintenance_reason);
        } else if (!summary->ready && (probe = health_culprit(health, HALE_GATE_READY))) {
                describe(probe, what, sizeof(what));
                (void)snprintf(buffer, size, "not ready: %s", what);
        } else {
                sentence_open(health, buffer, size);
        }
}

bool health_is_rehearsing(const Health *health) {
        assert(health);

        return health->rehearsal && health->rehearsal[0];
}

const char *health_sentence(const Health *health, char *buffer, size_t size) {
        size_t n = 0;

        assert(health);
        assert(buffer);
        assert(size > 0);

        if (health_is_rehearsing(health)) {
                (void)snprintf(buffer, size, "REHEARSAL (%s): ", health->rehearsal);
                n = strlen(buffer);
        }

        sentence_plain(health, buffer + n, size - n);
        return buffer;
}
