/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Health
 *
 * The one health state of the process, which every surface shows. It is summed
 * up from the verdicts as they change, so that a hundred thousand probes cost no
 * more to sum up than one.
 *
 *   live     no live probe's verdict is fail, and none is stale
 *   started  every startup probe has passed once (it stays so)
 *   ready    running, not in maintenance, and every ready probe passes or warns
 *   status   fail when not live or not ready; warn when some probe warns, or one
 *            that closes nothing fails; pass otherwise
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/histogram.h"
#include "core/probe-state.h"
#include "hale/health.h"

/* A probe as all surfaces see it: what it is called, and what it thinks. */
typedef struct HealthProbe {
        /* Touched by every run: close to the state. */
        const char *output;     /* the owner's, cleaned and one line; never NULL */
        const char *unit;       /* of @value; NULL: no value */
        uint64_t realtime_usec; /* of the last result, 0 if none */
        Histogram *durations;   /* the owner's, of the runs; NULL: they are not counted */
        ProbeState state;

        TAILQ_ENTRY(HealthProbe) link;
        const char *name; /* the owner's */
        const char *type; /* "callback", "pushed", or the scheme of a check */
        double value;
        void *owner;
} HealthProbe;

TAILQ_HEAD(HealthProbes, HealthProbe);

typedef struct HealthSummary {
        hale_status status;
        hale_phase phase;
        bool live, ready, started;
} HealthSummary;

typedef struct Health {
        struct HealthProbes probes;
        unsigned n_probes;
        HealthSummary summary; /* as of the last health_update() */

        /* Live probes that are fail or stale, ready probes not (pass or warn), startup probes
         * that have not passed once, ready probes that have not passed once, and so on. */
        unsigned n_live_bad, n_ready_bad, n_startup_waiting, n_ready_waiting;
        unsigned n_warn, n_info_fail;
        unsigned n_verdict[4];

        bool begun;     /* the service runs: only now may an empty list open a gate */
        bool started;   /* latched when no startup probe waits any more */
        bool announced; /* latched when besides every ready probe has passed once: READY=1 */
        bool reloading, stopping;
        bool maintenance;
        uint64_t maintenance_until_usec; /* CLOCK_MONOTONIC; USEC_NEVER: until ended */
        const char *maintenance_reason;  /* the owner's; never NULL */

        const char *rehearsal; /* the faults injected on purpose; NULL or "": none; the owner's */

        uint64_t status_since_usec; /* CLOCK_MONOTONIC */
        uint64_t status_since_realtime_usec;
        uint64_t n_changes;
        uint64_t n_transitions[4][4]; /* of the status, from and to */
        uint64_t revision;            /* grows with every change of anything shown */
} Health;

void health_init(Health *health, uint64_t now_usec);

void health_add(Health *health, HealthProbe *probe);
void health_remove(Health *health, HealthProbe *probe);

/* Bracket each change of a probe's state: forget it, change it, remember it. */
void health_forget(Health *health, const HealthProbe *probe);
void health_remember(Health *health, const HealthProbe *probe);

/*
 * Looks at everything again and writes the summary. Returns true if it differs
 * from before, with the old one in @ret_old.
 */
bool health_update(Health *health, uint64_t now_usec, HealthSummary *ret_old);

/*
 * The first probe that keeps the gate closed, for the sentence that says why;
 * NULL if none does (the phase does then, or the gate is open).
 */
const HealthProbe *health_culprit(const Health *health, hale_gate gate);

/* One sentence for people: "ready; 4 probes pass", "not ready: db: connection refused". */
const char *health_sentence(const Health *health, char *buffer, size_t size);

/* Is something broken on purpose? Then every report says so. */
bool health_is_rehearsing(const Health *health);

/* Is this probe's part of @gate open? */
bool health_probe_passes(const HealthProbe *probe, hale_gate gate);
