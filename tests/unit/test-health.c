/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Health
 *
 * The table says what each kind of probe in each verdict does to live, ready and
 * status. The random walk changes a crowd of probes and the phase, and holds the
 * summary that is kept by counting against one that is made from nothing.
 */

#include <glib.h>
#include <string.h>

#include "base/clock.h"
#include "base/macro.h"
#include "core/health.h"

#define LIVE HALE_GATE_LIVE
#define READY HALE_GATE_READY
#define STARTUP HALE_GATE_STARTUP

static void probe_init(HealthProbe *probe, const char *name, unsigned gates) {
        ProbePolicy policy;

        probe_policy_default(&policy, gates, true);
        *probe = (HealthProbe){ .name = name, .type = "pushed", .output = "" };
        probe_state_init(&probe->state, &policy, 0);
}

/* What probe-state does, without its ways. */
static void probe_set(Health *health, HealthProbe *probe, hale_status verdict, bool stale) {
        health_forget(health, probe);
        probe->state.verdict = verdict;
        probe->state.stale = stale;
        if (verdict == HALE_PASS || verdict == HALE_WARN)
                probe->state.passed_once = true;
        health_remember(health, probe);
}

static void begin(Health *health) {
        health->begun = true;
        (void)health_update(health, 0, NULL);
}

/* clang-format off */
static const struct {
        unsigned gates;
        hale_status verdict;
        bool stale, live, ready;
        hale_status status;
} effects[] = {
        { 0,            HALE_UNKNOWN, false, true,  true,  HALE_PASS },
        { 0,            HALE_UNKNOWN, true,  true,  true,  HALE_PASS },
        { 0,            HALE_PASS,    false, true,  true,  HALE_PASS },
        { 0,            HALE_WARN,    false, true,  true,  HALE_WARN },
        { 0,            HALE_FAIL,    false, true,  true,  HALE_WARN },
        { LIVE,         HALE_UNKNOWN, false, true,  true,  HALE_PASS },
        { LIVE,         HALE_UNKNOWN, true,  false, true,  HALE_FAIL },
        { LIVE,         HALE_PASS,    false, true,  true,  HALE_PASS },
        { LIVE,         HALE_WARN,    false, true,  true,  HALE_WARN },
        { LIVE,         HALE_FAIL,    false, false, true,  HALE_FAIL },
        { READY,        HALE_UNKNOWN, false, true,  false, HALE_FAIL },
        { READY,        HALE_UNKNOWN, true,  true,  false, HALE_FAIL },
        { READY,        HALE_PASS,    false, true,  true,  HALE_PASS },
        { READY,        HALE_WARN,    false, true,  true,  HALE_WARN },
        { READY,        HALE_FAIL,    false, true,  false, HALE_FAIL },
        { LIVE | READY, HALE_UNKNOWN, true,  false, false, HALE_FAIL },
        { LIVE | READY, HALE_FAIL,    false, false, false, HALE_FAIL },
        { LIVE | READY, HALE_WARN,    false, true,  true,  HALE_WARN },
};
/* clang-format on */

static void test_effects(void) {
        for (size_t i = 0; i < ELEMENTSOF(effects); i++) {
                HealthProbe probe;
                Health health;

                g_test_message("row %zu", i);
                health_init(&health, 0);
                probe_init(&probe, "db", effects[i].gates);
                health_add(&health, &probe);
                probe_set(&health, &probe, HALE_PASS, false);
                begin(&health);
                g_assert_true(health.summary.live && health.summary.ready);

                probe_set(&health, &probe, effects[i].verdict, effects[i].stale);
                (void)health_update(&health, 1, NULL);
                g_assert_cmpint(health.summary.live, ==, effects[i].live);
                g_assert_cmpint(health.summary.ready, ==, effects[i].ready);
                g_assert_cmpint(health.summary.status, ==, effects[i].status);
                g_assert_cmpint(health.summary.phase, ==, HALE_RUNNING);
                g_assert_cmpint(health_culprit(&health, LIVE) == &probe, ==, !effects[i].live);
                g_assert_cmpint(health_culprit(&health, READY) == &probe, ==, !effects[i].ready);
        }
}

/* Readiness starts closed and liveness open; READY=1 waits for startup and then for ready. */
static void test_start(void) {
        HealthProbe startup, ready, live;
        HealthSummary old;
        Health health;

        health_init(&health, 0);
        g_assert_true(health.summary.live);
        g_assert_false(health.summary.ready || health.summary.started);
        g_assert_cmpint(health.summary.phase, ==, HALE_STARTING);
        (void)health_update(&health, 0, NULL);
        g_assert_false(health.summary.started);

        probe_init(&startup, "warm", STARTUP);
        probe_init(&ready, "db", READY);
        probe_init(&live, "queue", LIVE);
        health_add(&health, &startup);
        health_add(&health, &ready);
        health_add(&health, &live);
        begin(&health);
        g_assert_false(health.summary.started);
        g_assert_true(health_culprit(&health, STARTUP) == &startup);

        /* Ready first is not enough. */
        probe_set(&health, &ready, HALE_PASS, false);
        (void)health_update(&health, 1, NULL);
        g_assert_false(health.summary.started || health.summary.ready || health.announced);

        probe_set(&health, &startup, HALE_WARN, false);
        g_assert_true(health_update(&health, 2, &old));
        g_assert_false(old.started || old.ready);
        g_assert_true(health.summary.started && health.summary.ready && health.announced);
        g_assert_cmpint(health.summary.phase, ==, HALE_RUNNING);

        /* Started stays so; a ready probe that fails later does not take the phase back. */
        probe_set(&health, &startup, HALE_FAIL, false);
        probe_set(&health, &ready, HALE_FAIL, false);
        (void)health_update(&health, 3, NULL);
        g_assert_true(health.summary.started && !health.summary.ready);
        g_assert_cmpint(health.summary.phase, ==, HALE_RUNNING);
}

static void test_empty(void) {
        HealthSummary old;
        Health health;

        health_init(&health, 0);
        g_assert_false(health_update(&health, 1, &old));
        health.begun = true;
        g_assert_true(health_update(&health, 2, &old));
        g_assert_false(old.ready);
        g_assert_true(health.summary.ready && health.summary.live && health.summary.started);
        g_assert_cmpint(health.summary.status, ==, HALE_PASS);
        g_assert_null(health_culprit(&health, LIVE));
        g_assert_null(health_culprit(&health, READY));
        g_assert_false(health_update(&health, 3, &old));
}

static void test_phases(void) {
        Health health;

        health_init(&health, 0);
        begin(&health);

        health.reloading = true;
        (void)health_update(&health, 1, NULL);
        g_assert_cmpint(health.summary.phase, ==, HALE_RELOADING);
        health.reloading = false;

        health.maintenance = true;
        health.maintenance_until_usec = 100;
        (void)health_update(&health, 99, NULL);
        g_assert_cmpint(health.summary.phase, ==, HALE_MAINTENANCE);
        g_assert_true(health.summary.live && !health.summary.ready);
        g_assert_cmpint(health.summary.status, ==, HALE_FAIL);
        g_assert_cmpuint(health.status_since_usec, ==, 99);

        (void)health_update(&health, 100, NULL);
        g_assert_cmpint(health.summary.phase, ==, HALE_RUNNING);
        g_assert_true(health.summary.ready);
        g_assert_cmpuint(health.status_since_usec, ==, 100);

        health.maintenance = true;
        health.maintenance_until_usec = USEC_NEVER;
        (void)health_update(&health, USEC_NEVER - 1, NULL);
        g_assert_false(health.summary.ready);

        health.stopping = true;
        (void)health_update(&health, USEC_NEVER - 1, NULL);
        g_assert_cmpint(health.summary.phase, ==, HALE_STOPPING);
        health.maintenance = false;
        (void)health_update(&health, USEC_NEVER - 1, NULL);
        g_assert_false(health.summary.ready);
}

/* A probe that is taken out takes what it closed with it. */
static void test_remove(void) {
        HealthProbe probes[3];
        Health health;

        health_init(&health, 0);
        probe_init(&probes[0], "a", LIVE);
        probe_init(&probes[1], "b", READY);
        probe_init(&probes[2], "c", STARTUP);
        for (size_t i = 0; i < ELEMENTSOF(probes); i++)
                health_add(&health, &probes[i]);
        probe_set(&health, &probes[0], HALE_FAIL, false);
        begin(&health);
        g_assert_false(health.summary.live || health.summary.ready || health.summary.started);

        for (size_t i = 0; i < ELEMENTSOF(probes); i++)
                health_remove(&health, &probes[i]);
        (void)health_update(&health, 1, NULL);
        g_assert_true(health.summary.live && health.summary.ready && health.summary.started);
        g_assert_cmpuint(health.n_probes, ==, 0);
}

static void test_sentence(void) {
        HealthProbe live, ready;
        char text[256], tiny[8];
        Health health;

        health_init(&health, 0);
        probe_init(&live, "queue", LIVE);
        probe_init(&ready, "db", READY);
        health_add(&health, &live);
        health_add(&health, &ready);
        begin(&health);
        g_assert_cmpstr(health_sentence(&health, text, sizeof(text)), ==,
                        "starting; waiting for db: not answered yet");

        probe_set(&health, &live, HALE_PASS, false);
        probe_set(&health, &ready, HALE_PASS, false);
        (void)health_update(&health, 1, NULL);
        g_assert_cmpstr(health_sentence(&health, text, sizeof(text)), ==, "ready; 2 probes pass");

        ready.output = "connection refused";
        probe_set(&health, &ready, HALE_FAIL, false);
        (void)health_update(&health, 2, NULL);
        g_assert_cmpstr(health_sentence(&health, text, sizeof(text)), ==,
                        "not ready: db: connection refused");

        /* The graver comes first. */
        live.output = "1001 orders";
        probe_set(&health, &live, HALE_FAIL, false);
        (void)health_update(&health, 3, NULL);
        g_assert_cmpstr(health_sentence(&health, text, sizeof(text)), ==,
                        "not live: queue: 1001 orders");
        g_assert_cmpuint(strlen(health_sentence(&health, tiny, sizeof(tiny))), <, sizeof(tiny));

        probe_set(&health, &live, HALE_PASS, false);
        health.maintenance = true;
        health.maintenance_until_usec = USEC_NEVER;
        health.maintenance_reason = "new disk";
        (void)health_update(&health, 4, NULL);
        g_assert_cmpstr(health_sentence(&health, text, sizeof(text)), ==, "maintenance: new disk");

        health.stopping = true;
        (void)health_update(&health, 5, NULL);
        g_assert_cmpstr(health_sentence(&health, text, sizeof(text)), ==, "stopping");
}

static void test_words(void) {
        g_assert_cmpstr(hale_status_to_string(HALE_UNKNOWN), ==, "unknown");
        g_assert_cmpstr(hale_status_to_string(HALE_PASS), ==, "pass");
        g_assert_cmpstr(hale_status_to_string(HALE_WARN), ==, "warn");
        g_assert_cmpstr(hale_status_to_string(HALE_FAIL), ==, "fail");
        g_assert_null(hale_status_to_string((hale_status)4));
        g_assert_null(hale_status_to_string((hale_status)-1));
        g_assert_cmpstr(hale_phase_to_string(HALE_STARTING), ==, "starting");
        g_assert_cmpstr(hale_phase_to_string(HALE_RUNNING), ==, "running");
        g_assert_cmpstr(hale_phase_to_string(HALE_RELOADING), ==, "reloading");
        g_assert_cmpstr(hale_phase_to_string(HALE_MAINTENANCE), ==, "maintenance");
        g_assert_cmpstr(hale_phase_to_string(HALE_STOPPING), ==, "stopping");
        g_assert_null(hale_phase_to_string((hale_phase)5));
        g_assert_null(hale_phase_to_string((hale_phase)-1));
}

/* ---- the same from nothing ---- */

typedef struct Latches {
        bool started, announced;
} Latches;

static HealthSummary summarize(const Health *health, Latches *latches) {
        bool live = true, ready = true, startup = true, all_ready_once = true, warn = false;
        const HealthProbe *probe;

        for (probe = TAILQ_FIRST(&health->probes); probe; probe = TAILQ_NEXT(probe, link)) {
                hale_status verdict = probe->state.verdict;
                unsigned gates = probe->state.policy.gates;

                if (gates & LIVE)
                        live &= verdict != HALE_FAIL && !probe->state.stale;
                if (gates & READY) {
                        ready &= verdict == HALE_PASS || verdict == HALE_WARN;
                        all_ready_once &= probe->state.passed_once;
                }
                if (gates & STARTUP)
                        startup &= probe->state.passed_once;
                warn |= verdict == HALE_WARN || (gates == 0 && verdict == HALE_FAIL);
        }

        latches->started |= health->begun && startup;
        latches->announced |= latches->started && all_ready_once;
        ready &= latches->announced && !health->maintenance && !health->stopping;

        return (HealthSummary){
                .live = live,
                .ready = ready,
                .started = latches->started,
                .phase = health->stopping      ? HALE_STOPPING
                         : !latches->announced ? HALE_STARTING
                         : health->reloading   ? HALE_RELOADING
                         : health->maintenance ? HALE_MAINTENANCE
                                               : HALE_RUNNING,
                .status = !live || !ready ? HALE_FAIL
                          : warn          ? HALE_WARN
                                          : HALE_PASS,
        };
}

static bool same(const HealthSummary *a, const HealthSummary *b) {
        return a->status == b->status && a->phase == b->phase && a->live == b->live &&
               a->ready == b->ready && a->started == b->started;
}

typedef struct Walk {
        Health health;
        Latches latches;
        HealthProbe probes[40];
        bool in[40];
        uint64_t now, n_changes;
} Walk;

static void walk_probe(Walk *walk) {
        size_t i = (size_t)g_test_rand_int_range(0, ELEMENTSOF(walk->probes));
        HealthProbe *probe = &walk->probes[i];
        hale_status verdict = (hale_status)g_test_rand_int_range(0, 4);

        if (!walk->in[i]) {
                probe_init(probe, "p", (unsigned)g_test_rand_int_range(0, 8));
                health_add(&walk->health, probe);
                walk->in[i] = true;
        } else if (g_test_rand_int_range(0, 6) == 0) {
                health_remove(&walk->health, probe);
                walk->in[i] = false;
        } else {
                if (g_test_rand_int_range(0, 4) > 0)
                        verdict = HALE_PASS;
                probe_set(&walk->health, probe, verdict,
                          verdict == HALE_UNKNOWN && g_test_rand_bit());
        }
}

static void walk_phase(Walk *walk) {
        switch (g_test_rand_int_range(0, 60)) {
        case 0 ... 9:
                walk->health.begun = true;
                break;
        case 10 ... 19:
                walk->health.reloading = !walk->health.reloading;
                break;
        case 20 ... 24:
                walk->health.maintenance = !walk->health.maintenance;
                walk->health.maintenance_until_usec =
                        g_test_rand_bit() ? USEC_NEVER : walk->now + 50;
                break;
        case 25:
                walk->health.stopping = true;
                break;
        default:
                break;
        }
}

static void walk_check(Walk *walk) {
        Health *health = &walk->health;
        HealthSummary before = health->summary, old, expected;
        uint64_t revision = health->revision;
        bool changed;

        if (health->maintenance && walk->now >= health->maintenance_until_usec) {
                changed = health_update(health, walk->now, &old);
                g_assert_false(health->maintenance);
                expected = summarize(health, &walk->latches);
        } else {
                expected = summarize(health, &walk->latches);
                changed = health_update(health, walk->now, &old);
        }

        g_assert_true(same(&health->summary, &expected));
        g_assert_cmpint(changed, ==, !same(&before, &expected));
        walk->n_changes += changed;
        g_assert_cmpuint(health->n_changes, ==, walk->n_changes);
        if (changed) {
                g_assert_true(same(&old, &before));
                g_assert_cmpuint(health->revision, >, revision);
        }
        if (before.status != expected.status)
                g_assert_cmpuint(health->status_since_usec, ==, walk->now);

        g_assert_cmpint(health_culprit(health, LIVE) == NULL, ==, expected.live);
        g_assert_cmpuint(health->n_verdict[0] + health->n_verdict[1] + health->n_verdict[2] +
                                 health->n_verdict[3],
                         ==, health->n_probes);
}

static void test_random_walk(void) {
        static Walk walk;

        for (unsigned i = 0; i < 200; i++) {
                int pace = g_test_rand_int_range(1, 200);

                memset(&walk, 0, sizeof(walk));
                health_init(&walk.health, 0);
                for (unsigned step = 0; step < 500; step++) {
                        walk.now += (uint64_t)g_test_rand_int_range(0, 20);
                        walk_probe(&walk);
                        if (g_test_rand_int_range(0, pace) == 0)
                                walk_phase(&walk);
                        walk_check(&walk);
                }
        }
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);

        g_test_add_func("/core/health/effects", test_effects);
        g_test_add_func("/core/health/start", test_start);
        g_test_add_func("/core/health/empty", test_empty);
        g_test_add_func("/core/health/phases", test_phases);
        g_test_add_func("/core/health/remove", test_remove);
        g_test_add_func("/core/health/sentence", test_sentence);
        g_test_add_func("/core/health/words", test_words);
        g_test_add_func("/core/health/random-walk", test_random_walk);

        return g_test_run();
}
