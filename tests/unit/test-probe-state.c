/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Probe State
 *
 * The tables walk thresholds, windows, times and lives by hand; test-probe-walk.c
 * does the same at random.
 */

#include <glib.h>
#include <string.h>

#include "base/clock.h"
#include "base/macro.h"
#include "core/defaults.h"
#include "core/probe-state.h"

#define START_USEC (1000 * USEC_PER_SEC)

static Random source = RANDOM_INIT(1);

static ProbePolicy policy_of(unsigned fail_after, unsigned pass_after, unsigned m, unsigned n) {
        ProbePolicy policy;

        probe_policy_default(&policy, HALE_GATE_LIVE, false);
        policy.fail_after = fail_after;
        policy.pass_after = pass_after;
        policy.window_m = m;
        policy.window_n = n;
        return policy;
}

static hale_status status_of(char c) {
        return c == 'p' ? HALE_PASS : c == 'w' ? HALE_WARN : c == 'f' ? HALE_FAIL : HALE_UNKNOWN;
}

/* Runs once, at the deadline, and answers @result after 1 ms. */
static ProbeChange answer(ProbeState *state, uint64_t *now, hale_status result) {
        ProbeChange change;
        uint32_t generation;

        *now = MAX(*now, state->due_usec);
        g_assert_cmpint(probe_state_tick(state, *now, &source, &change), ==, PROBE_RUN);
        generation = probe_state_begin(state, *now);
        *now += USEC_PER_MSEC;
        g_assert_true(probe_state_end(state, generation, result, *now, &source, &change));
        return change;
}

/* clang-format off */
static const struct {
        unsigned fail_after, pass_after, m, n;
        const char *results; /* p pass, w warn, f fail, u unknown */
        const char *verdicts;
} walks[] = {
        { 3, 1, 0, 0, "ppp",          "ppp"          },
        { 3, 1, 0, 0, "wpw",          "wpw"          },
        { 3, 1, 0, 0, "fffpf",        "uufpp"        },
        { 3, 1, 0, 0, "pffpfff",      "ppppppf"      },
        { 3, 1, 0, 0, "pfufufuuf",    "pppppffff"    },
        { 3, 1, 0, 0, "uuu",          "uuu"          },
        { 1, 1, 0, 0, "fpfw",         "fpfw"         },
        { 1, 2, 0, 0, "pfpfpp",       "pffffp"       },
        { 1, 3, 0, 0, "fpwpfppw",     "fffpfffw"     },
        { 1, 2, 0, 0, "fpup",         "fffp"         },
        { 3, 2, 0, 0, "p",            "p"            },
        { 3, 2, 0, 0, "fp",           "up"           },
        { 9, 1, 2, 4, "fpf",          "upf"          },
        { 9, 1, 2, 4, "fpppf",        "upppp"        },
        { 9, 1, 2, 4, "fppf",         "uppf"         },
        { 9, 1, 2, 4, "fuuuf",        "uuuuf"        },
        { 9, 1, 2, 4, "ffppfpf",      "ufppppf"      },
        { 9, 1, 2, 4, "ffpfpf",       "ufpppf"       },
        { 9, 3, 2, 4, "ffppfppp",     "uffffffp"     },
        { 9, 1, 1, 1, "pfp",          "pfp"          },
        { 2, 1, 5, 9, "pff",          "ppf"          },
        { 64, 1, 64, 64, "pff",       "ppp"          },
};
/* clang-format on */

static void test_walks(void) {
        for (size_t i = 0; i < ELEMENTSOF(walks); i++) {
                ProbePolicy policy =
                        policy_of(walks[i].fail_after, walks[i].pass_after, walks[i].m, walks[i].n);
                uint64_t now = START_USEC;
                ProbeState state;

                g_test_message("walk %zu: %s", i, walks[i].results);
                g_assert_cmpuint(strlen(walks[i].results), ==, strlen(walks[i].verdicts));

                probe_state_init(&state, &policy, now);
                probe_state_activate(&state, now, 0, &source);
                for (size_t c = 0; walks[i].results[c]; c++) {
                        (void)answer(&state, &now, status_of(walks[i].results[c]));
                        g_assert_cmpint(state.verdict, ==, status_of(walks[i].verdicts[c]));
                }
        }
}

static void test_window_of_64(void) {
        ProbePolicy policy = policy_of(1000, 1, 32, 64);
        uint64_t now = START_USEC;
        ProbeState state;

        probe_state_init(&state, &policy, now);
        probe_state_activate(&state, now, 0, &source);

        /* 31 fails among any 64: never. */
        for (unsigned i = 0; i < 640; i++) {
                (void)answer(&state, &now, i % 64 < 31 ? HALE_FAIL : HALE_PASS);
                g_assert_cmpint(state.verdict, !=, HALE_FAIL);
        }
        for (unsigned i = 0; i < 32; i++)
                (void)answer(&state, &now, HALE_FAIL);
        g_assert_cmpint(state.verdict, ==, HALE_FAIL);
}

static void test_defaults(void) {
        /* clang-format off */
        static const struct {
                unsigned gates, pass_after;
                uint64_t interval_usec, timeout_usec;
        } rows[] = {
                { HALE_GATE_LIVE,                     1, 10 * USEC_PER_SEC, 3 * USEC_PER_SEC },
                { HALE_GATE_READY,                    2, 5 * USEC_PER_SEC,  2 * USEC_PER_SEC },
                { HALE_GATE_STARTUP,                  1, 1 * USEC_PER_SEC,  1 * USEC_PER_SEC },
                { HALE_GATE_NONE,                     1, 10 * USEC_PER_SEC, 2 * USEC_PER_SEC },
                { HALE_GATE_STARTUP | HALE_GATE_LIVE, 1, 1 * USEC_PER_SEC,  1 * USEC_PER_SEC },
        };
        /* clang-format on */

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                ProbePolicy asked, pushed;

                probe_policy_default(&asked, rows[i].gates, false);
                g_assert_cmpuint(asked.gates, ==, rows[i].gates);
                g_assert_cmpuint(asked.fail_after, ==, 3);
                g_assert_cmpuint(asked.pass_after, ==, rows[i].pass_after);
                g_assert_cmpuint(asked.interval_usec, ==, rows[i].interval_usec);
                g_assert_cmpuint(asked.timeout_usec, ==, rows[i].timeout_usec);
                g_assert_cmpuint(asked.stale_usec, ==,
                                 3 * asked.interval_usec + asked.timeout_usec);
                g_assert_cmpuint(asked.window_m, ==, 0);
                g_assert_false(asked.pushed);

                probe_policy_default(&pushed, rows[i].gates, true);
                g_assert_true(pushed.pushed);
                g_assert_cmpuint(pushed.fail_after, ==, 1);
                g_assert_cmpuint(pushed.pass_after, ==, 1);
        }
}

static void test_timeout(void) {
        ProbePolicy policy = policy_of(1, 1, 0, 0);
        uint64_t now = START_USEC;
        ProbeChange change;
        ProbeState state;
        uint32_t generation;

        probe_state_init(&state, &policy, now);
        g_assert_cmpuint(probe_state_deadline(&state), ==, USEC_NEVER);
        probe_state_activate(&state, now, 0, &source);
        g_assert_cmpuint(probe_state_deadline(&state), ==, now);

        generation = probe_state_begin(&state, now);
        g_assert_cmpuint(probe_state_deadline(&state), ==, now + policy.timeout_usec);
        g_assert_false(probe_state_hurry(&state, now));

        now += policy.timeout_usec;
        g_assert_cmpint(probe_state_tick(&state, now - 1, &source, &change), ==, PROBE_WAIT);
        g_assert_cmpint(probe_state_tick(&state, now, &source, &change), ==, PROBE_TIMEOUT);
        g_assert_true(change.verdict);
        g_assert_cmpint(change.from, ==, HALE_UNKNOWN);
        g_assert_cmpint(change.to, ==, HALE_FAIL);
        g_assert_false(state.running);
        g_assert_cmpuint(state.n_timeouts, ==, 1);
        g_assert_cmpuint(state.duration_usec, ==, policy.timeout_usec);
        g_assert_cmpint(probe_state_tick(&state, now, &source, &change), ==, PROBE_WAIT);
        g_assert_false(change.verdict);

        /* Its answer comes after all, and once more while the next run is under way. */
        g_assert_false(probe_state_end(&state, generation, HALE_PASS, now, &source, &change));
        now = state.due_usec;
        (void)probe_state_begin(&state, now);
        g_assert_false(probe_state_end(&state, generation, HALE_PASS, now, &source, &change));
        g_assert_true(state.running);
        g_assert_cmpint(state.verdict, ==, HALE_FAIL);
        g_assert_cmpuint(state.n_late, ==, 2);
        g_assert_cmpuint(state.n_results[HALE_PASS], ==, 0);
}

static void test_stale(void) {
        ProbePolicy policy;
        uint64_t now = START_USEC;
        ProbeChange change;
        ProbeState state;

        probe_policy_default(&policy, HALE_GATE_READY, true);
        probe_state_init(&state, &policy, now);
        probe_state_activate(&state, now, 0, &source);
        probe_state_push(&state, HALE_PASS, now, &change);
        g_assert_true(change.verdict && change.first);
        g_assert_cmpuint(probe_state_deadline(&state), ==, now + policy.stale_usec);

        /* That the question could not be put does not make the last answer younger. */
        now += policy.stale_usec - 1;
        probe_state_push(&state, HALE_UNKNOWN, now, &change);
        g_assert_false(change.verdict);
        g_assert_cmpint(probe_state_tick(&state, now, &source, &change), ==, PROBE_WAIT);
        g_assert_cmpint(state.verdict, ==, HALE_PASS);

        now++;
        g_assert_cmpint(probe_state_tick(&state, now, &source, &change), ==, PROBE_STALE);
        g_assert_true(change.verdict && state.stale);
        g_assert_cmpint(change.from, ==, HALE_PASS);
        g_assert_cmpint(state.verdict, ==, HALE_UNKNOWN);
        g_assert_cmpint(probe_state_tick(&state, now, &source, &change), ==, PROBE_WAIT);
        g_assert_cmpuint(probe_state_deadline(&state), ==, USEC_NEVER);

        now += USEC_PER_HOUR;
        probe_state_push(&state, HALE_WARN, now, &change);
        g_assert_true(change.verdict && !change.first && !state.stale);
        g_assert_cmpint(state.verdict, ==, HALE_WARN);
        g_assert_cmpuint(probe_state_deadline(&state), ==, now + policy.stale_usec);
}

/* A failure below its threshold is no verdict, and what is closed for want of one stays closed. */
static void test_stale_until_decided(void) {
        ProbePolicy policy;
        uint64_t now = START_USEC;
        ProbeChange change;
        ProbeState state;

        probe_policy_default(&policy, HALE_GATE_LIVE, true);
        policy.fail_after = 2;
        probe_state_init(&state, &policy, now);
        probe_state_activate(&state, now, 0, &source);
        now += policy.stale_usec;
        g_assert_cmpint(probe_state_tick(&state, now, &source, &change), ==, PROBE_STALE);

        probe_state_push(&state, HALE_UNKNOWN, now, &change);
        g_assert_true(state.stale);
        probe_state_push(&state, HALE_FAIL, now, &change);
        g_assert_true(state.stale);
        g_assert_cmpint(state.verdict, ==, HALE_UNKNOWN);
        probe_state_push(&state, HALE_FAIL, now, &change);
        g_assert_false(state.stale);
        g_assert_cmpint(state.verdict, ==, HALE_FAIL);
}

static void test_age(void) {
        ProbePolicy policy = policy_of(3, 1, 0, 0);
        uint64_t now = START_USEC;
        ProbeChange change;
        ProbeState state;

        probe_state_init(&state, &policy, now);
        probe_state_activate(&state, now, 0, &source);
        g_assert_cmpuint(probe_state_age(&state, now + 5), ==, USEC_NEVER);

        (void)answer(&state, &now, HALE_PASS);
        g_assert_cmpuint(probe_state_age(&state, now + 5), ==, 5);

        /* News that nobody asked for are an answer too, also in the middle of a run. */
        now = state.due_usec;
        (void)probe_state_begin(&state, now);
        now += USEC_PER_SEC;
        probe_state_push(&state, HALE_PASS, now, &change);
        g_assert_true(state.running);
        g_assert_cmpuint(probe_state_age(&state, now + 5), ==, 5);
}

static void test_activate_anew(void) {
        ProbePolicy policy = policy_of(2, 2, 2, 3);
        uint64_t now = START_USEC;
        ProbeChange change;
        ProbeState state;
        uint32_t generation;

        probe_state_init(&state, &policy, now);
        probe_state_activate(&state, now, 0, &source);
        (void)answer(&state, &now, HALE_PASS);
        (void)answer(&state, &now, HALE_FAIL);
        now = state.due_usec;
        generation = probe_state_begin(&state, now);

        /* Asleep for an hour in the middle of a run. */
        now += USEC_PER_HOUR;
        probe_state_activate(&state, now, 0, &source);
        g_assert_false(state.running);
        g_assert_false(state.stale);
        g_assert_cmpint(state.verdict, ==, HALE_UNKNOWN);
        g_assert_cmpint(probe_state_tick(&state, now, &source, &change), ==, PROBE_RUN);
        g_assert_false(probe_state_end(&state, generation, HALE_FAIL, now, &source, &change));

        /* One fail from before and one from after are not two. */
        (void)answer(&state, &now, HALE_FAIL);
        g_assert_cmpint(state.verdict, ==, HALE_UNKNOWN);
        (void)answer(&state, &now, HALE_FAIL);
        g_assert_cmpint(state.verdict, ==, HALE_FAIL);
}

/* What a program pushes while it starts is not lost when the startup gate opens, nor made younger.
 */
static void test_pushed_before_activation(void) {
        uint64_t now = START_USEC;
        ProbePolicy policy;
        ProbeChange change;
        ProbeState state;

        probe_policy_default(&policy, HALE_GATE_READY, true);
        probe_state_init(&state, &policy, now);
        probe_state_push(&state, HALE_PASS, now, &change);
        g_assert_true(change.first);

        now += policy.stale_usec - 1;
        g_assert_cmpuint(probe_state_deadline(&state), ==, USEC_NEVER);
        probe_state_activate(&state, now, 0, &source);
        g_assert_true(state.active && state.passed_once);
        g_assert_cmpint(state.verdict, ==, HALE_PASS);
        g_assert_cmpuint(probe_state_deadline(&state), ==, now + 1);

        /* After a gap it is not spared. */
        probe_state_activate(&state, now, 0, &source);
        g_assert_cmpint(state.verdict, ==, HALE_UNKNOWN);
        g_assert_cmpuint(probe_state_deadline(&state), ==, now + policy.stale_usec);
}

static void test_deactivate(void) {
        ProbePolicy policy = policy_of(1, 1, 0, 0);
        uint64_t now = START_USEC;
        ProbeChange change;
        ProbeState state;
        uint32_t generation;

        probe_state_init(&state, &policy, now);
        g_assert_false(probe_state_hurry(&state, now));
        probe_state_activate(&state, now, 0, &source);
        (void)answer(&state, &now, HALE_WARN);
        now = state.due_usec;
        generation = probe_state_begin(&state, now);
        probe_state_deactivate(&state);

        g_assert_cmpuint(probe_state_deadline(&state), ==, USEC_NEVER);
        g_assert_cmpint(probe_state_tick(&state, now + USEC_PER_HOUR, &source, &change), ==,
                        PROBE_WAIT);
        g_assert_false(probe_state_end(&state, generation, HALE_FAIL, now, &source, &change));
        g_assert_false(probe_state_hurry(&state, now));
        g_assert_cmpint(state.verdict, ==, HALE_WARN);
        g_assert_true(state.passed_once);
}

/* First runs fill the spread, later ones the jitter, both ways and not beyond. */
static void test_spread_and_jitter(void) {
        ProbePolicy policy = policy_of(3, 1, 0, 0);
        uint64_t first_low = UINT64_MAX, first_high = 0, low = UINT64_MAX, high = 0;

        for (unsigned i = 0; i < 2000; i++) {
                uint64_t now = START_USEC, first, delay;
                ProbeState state;

                probe_state_init(&state, &policy, now);
                probe_state_activate(&state, now, STAGGER_MAX_USEC, &source);
                first = state.due_usec - now;
                (void)answer(&state, &now, HALE_PASS);
                delay = state.due_usec - now;

                first_low = MIN(first_low, first);
                first_high = MAX(first_high, first);
                low = MIN(low, delay);
                high = MAX(high, delay);
        }

        g_assert_cmpuint(first_low, <, STAGGER_MAX_USEC / 50);
        g_assert_cmpuint(first_high, >, STAGGER_MAX_USEC / 50 * 49);
        g_assert_cmpuint(first_high, <=, STAGGER_MAX_USEC);
        g_assert_cmpuint(low, >=, policy.interval_usec / 10 * 9);
        g_assert_cmpuint(low, <, policy.interval_usec / 100 * 91);
        g_assert_cmpuint(high, >, policy.interval_usec / 100 * 109);
        g_assert_cmpuint(high, <=, policy.interval_usec / 10 * 11);
}

static void test_fast_in_transition(void) {
        /* clang-format off */
        static const struct {
                const char *results;
                bool fast;
        } rows[] = {
                { "u",    true  }, { "f",     true  }, { "p",    false }, { "w",    false },
                { "pf",   true  }, { "pff",   true  }, { "pfff", false }, { "pffp", false },
                { "fffp", true  }, { "fffpf", false }, { "fffpp", false }, { "pu",  false },
        };
        /* clang-format on */

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                ProbePolicy policy = policy_of(3, 2, 0, 0);
                uint64_t now = START_USEC, delay;
                ProbeState state;

                probe_state_init(&state, &policy, now);
                probe_state_activate(&state, now, 0, &source);
                for (const char *c = rows[i].results; *c; c++)
                        (void)answer(&state, &now, status_of(*c));

                g_test_message("%s", rows[i].results);
                delay = state.due_usec - now;
                g_assert_cmpint(probe_state_in_transition(&state), ==, rows[i].fast);
                g_assert_cmpint(delay < 2 * FAST_INTERVAL_USEC, ==, rows[i].fast);

                g_assert_true(probe_state_hurry(&state, now));
                g_assert_cmpuint(probe_state_deadline(&state), <=, now);
        }
}

/* A fast interval above the interval does not slow a probe down. */
static void test_fast_is_never_slower(void) {
        ProbePolicy policy = policy_of(3, 1, 0, 0);
        uint64_t now = START_USEC;
        ProbeState state;

        policy.interval_usec = 10 * USEC_PER_MSEC;
        policy.timeout_usec = 5 * USEC_PER_MSEC;
        policy.stale_usec = USEC_PER_SEC;
        probe_state_init(&state, &policy, now);
        probe_state_activate(&state, now, 0, &source);
        (void)answer(&state, &now, HALE_FAIL);
        g_assert_cmpuint(state.due_usec - now, <=, 11 * USEC_PER_MSEC);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        source = (Random)RANDOM_INIT(g_test_rand_int());

        g_test_add_func("/core/probe-state/walks", test_walks);
        g_test_add_func("/core/probe-state/window-of-64", test_window_of_64);
        g_test_add_func("/core/probe-state/defaults", test_defaults);
        g_test_add_func("/core/probe-state/timeout", test_timeout);
        g_test_add_func("/core/probe-state/stale", test_stale);
        g_test_add_func("/core/probe-state/stale-until-decided", test_stale_until_decided);
        g_test_add_func("/core/probe-state/age", test_age);
        g_test_add_func("/core/probe-state/activate-anew", test_activate_anew);
        g_test_add_func("/core/probe-state/pushed-before-activation",
                        test_pushed_before_activation);
        g_test_add_func("/core/probe-state/deactivate", test_deactivate);
        g_test_add_func("/core/probe-state/spread-and-jitter", test_spread_and_jitter);
        g_test_add_func("/core/probe-state/fast-in-transition", test_fast_in_transition);
        g_test_add_func("/core/probe-state/fast-is-never-slower", test_fast_is_never_slower);

        return g_test_run();
}
