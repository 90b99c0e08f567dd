/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Restart
 *
 * The kinds of restart do as they are called; the first restart is at once and
 * the next wait within the bounds of the back-off; a long run makes up for it;
 * never more than max_restarts lie within a window, and one too many escalates;
 * whatever is at once according to restart_is_at_once() is at once.
 */

#include <glib.h>

#include "base/clock.h"
#include "base/macro.h"
#include "core/defaults.h"
#include "core/restart.h"

static Random random_of_test(void) {
        return (Random)RANDOM_INIT(g_test_rand_int());
}

static RestartPolicy policy_of(hale_restart mode) {
        RestartPolicy policy;

        restart_policy_default(&policy);
        policy.mode = mode;
        return policy;
}

static void test_modes(void) {
        static const struct {
                hale_restart mode;
                bool success;
                RestartDecision expected;
        } rows[] = {
                { HALE_RESTART_PERMANENT, true, RESTART_AT },
                { HALE_RESTART_PERMANENT, false, RESTART_AT },
                { HALE_RESTART_TRANSIENT, true, RESTART_NOT },
                { HALE_RESTART_TRANSIENT, false, RESTART_AT },
                { HALE_RESTART_TEMPORARY, true, RESTART_NOT },
                { HALE_RESTART_TEMPORARY, false, RESTART_NOT },
        };
        Random random = random_of_test();

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                RestartPolicy policy = policy_of(rows[i].mode);
                uint64_t at = 7;
                Restart restart;

                restart_init(&restart, &policy);
                restart_begun(&restart, 1000);
                g_assert_cmpint(restart_ended(&restart, rows[i].success, 2000, &random, &at), ==,
                                rows[i].expected);
                g_assert_cmpuint(at, ==, rows[i].expected == RESTART_AT ? 2000 : 7);
                g_assert_cmpuint(restart.n_total, ==, rows[i].expected == RESTART_AT);
        }
}

static void test_escalates(void) {
        RestartPolicy policy = policy_of(HALE_RESTART_PERMANENT);
        Random random = random_of_test();
        uint64_t now = USEC_PER_HOUR, at;
        Restart restart;

        restart_init(&restart, &policy);
        for (unsigned i = 0; i < WORKER_RESTARTS; i++) {
                restart_begun(&restart, now);
                g_assert_cmpint(restart_ended(&restart, false, now, &random, &at), ==, RESTART_AT);
                g_assert_cmpuint(at, >=, now);
                g_assert_cmpuint(at - now, <=, i == 0 ? 0 : WORKER_BACKOFF_MIN_USEC << (i - 1));
                now = at;
        }
        restart_begun(&restart, now);
        g_assert_cmpint(restart_ended(&restart, false, now, &random, &at), ==, RESTART_ESCALATE);
        g_assert_true(restart.escalated);
        g_assert_false(restart_is_at_once(&restart, now + USEC_PER_HOUR));

        restart_forgive(&restart);
        g_assert_false(restart.escalated);
        g_assert_true(restart_is_at_once(&restart, now));
}

static void test_none_allowed(void) {
        RestartPolicy policy = policy_of(HALE_RESTART_PERMANENT);
        Random random = random_of_test();
        Restart restart;
        uint64_t at;

        policy.max_restarts = 0;
        restart_init(&restart, &policy);
        g_assert_false(restart_is_at_once(&restart, 0));
        g_assert_cmpint(restart_ended(&restart, false, 0, &random, &at), ==, RESTART_ESCALATE);
}

static void test_settles(void) {
        RestartPolicy policy = policy_of(HALE_RESTART_PERMANENT);
        Random random = random_of_test();
        uint64_t at;
        Restart restart;

        restart_init(&restart, &policy);
        restart_begun(&restart, 100);
        g_assert_cmpuint(restart_settles_at(&restart), ==, USEC_NEVER);
        g_assert_true(restart_is_at_once(&restart, 100));

        (void)restart_ended(&restart, false, 200, &random, &at);
        restart_begun(&restart, at);
        g_assert_cmpuint(restart_settles_at(&restart), ==, at + WORKER_STABLE_USEC);
        g_assert_false(restart_is_at_once(&restart, at + WORKER_STABLE_USEC - 1));
        g_assert_true(restart_is_at_once(&restart, at + WORKER_STABLE_USEC));
        g_assert_false(restart_settle(&restart, at + WORKER_STABLE_USEC - 1));
        g_assert_true(restart_settle(&restart, at + WORKER_STABLE_USEC));
        g_assert_cmpuint(restart_settles_at(&restart), ==, USEC_NEVER);

        /* The same without anybody having looked meanwhile. */
        (void)restart_ended(&restart, false, at + WORKER_STABLE_USEC, &random, &at);
        restart_begun(&restart, at);
        (void)restart_ended(&restart, false, at + WORKER_STABLE_USEC, &random, &at);
        g_assert_cmpuint(restart.backoff.n_attempts, ==, 1);
}

/* What stopped because it was asked to has not run since, and what it lasted counts. */
static void test_stopped(void) {
        RestartPolicy policy = policy_of(HALE_RESTART_PERMANENT);
        Random random = random_of_test();
        uint64_t now = 1000, at;
        Restart restart;

        restart_init(&restart, &policy);
        restart_begun(&restart, now);
        g_assert_cmpint(restart_ended(&restart, false, now, &random, &at), ==, RESTART_AT);
        restart_begun(&restart, now);
        restart_stopped(&restart, now + 1);
        g_assert_cmpuint(restart_settles_at(&restart), ==, USEC_NEVER);
        now += WORKER_STABLE_USEC;
        g_assert_cmpint(restart_ended(&restart, false, now, &random, &at), ==, RESTART_AT);
        g_assert_cmpuint(restart.backoff.n_attempts, ==, 2);

        restart_begun(&restart, now);
        now += WORKER_STABLE_USEC;
        restart_stopped(&restart, now);
        g_assert_cmpuint(restart.backoff.n_attempts, ==, 0);
        g_assert_cmpuint(restart.n_total, ==, 2);
}

static void test_can_escalate(void) {
        static const struct {
                uint64_t min, max, window;
                unsigned restarts;
                bool expected;
        } rows[] = {
                { WORKER_BACKOFF_MIN_USEC, WORKER_BACKOFF_MAX_USEC, WORKER_WINDOW_USEC,
                  WORKER_RESTARTS, true },
                { 1, 1, USEC_PER_SEC, 64, true },
                { 1, UINT64_MAX, USEC_PER_SEC, 64, false },
                { USEC_PER_SEC, USEC_PER_MINUTE, USEC_PER_SEC, 1, false },
                { USEC_PER_SEC, USEC_PER_MINUTE, USEC_PER_SEC + 1, 1, true },
                { USEC_PER_SEC, USEC_PER_MINUTE, USEC_PER_SEC, 0, true },
                { UINT64_MAX, UINT64_MAX, UINT64_MAX, 2, false },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const RestartPolicy policy = {
                        .backoff_min_usec = rows[i].min,
                        .backoff_max_usec = rows[i].max,
                        .window_usec = rows[i].window,
                        .max_restarts = rows[i].restarts,
                };

                g_assert_cmpint(restart_can_escalate(&policy), ==, rows[i].expected);
        }
}

/* The restarts that did happen, kept by the test itself. */
typedef struct Walk {
        uint64_t times[10000];
        unsigned n;
} Walk;

static void check_window(const Walk *walk, const RestartPolicy *policy) {
        for (unsigned i = policy->max_restarts; i < walk->n; i++)
                g_assert_cmpuint(walk->times[i] - walk->times[i - policy->max_restarts], >=,
                                 policy->window_usec);
}

static bool walk_step(Walk *walk, Restart *restart, Random *random, uint64_t *now) {
        const uint64_t longest = 1 + 2 * restart->policy.window_usec / 8;
        unsigned attempts;
        uint64_t at = 0;
        bool at_once;

        restart_begun(restart, *now);
        *now += random_below(random, longest);
        attempts = restart->backoff.n_attempts;
        if (*now >= restart_settles_at(restart))
                attempts = 0;
        at_once = restart_is_at_once(restart, *now);
        if (restart_ended(restart, false, *now, random, &at) == RESTART_ESCALATE) {
                g_assert_false(at_once);
                return false;
        }

        g_assert_cmpuint(at, >=, *now);
        g_assert_cmpuint(at - *now, <=, restart->policy.backoff_max_usec);
        if (attempts == 0)
                g_assert_cmpuint(at, ==, *now);
        if (at_once)
                g_assert_cmpuint(at - *now, <=, RESTART_AT_ONCE_USEC);
        walk->times[walk->n++] = *now = at;
        return true;
}

static void test_walk(void) {
        Random random = random_of_test();
        Walk *walk = g_new0(Walk, 1);

        for (unsigned round = 0; round < 300; round++) {
                RestartPolicy policy = policy_of(HALE_RESTART_PERMANENT);
                uint64_t now = random_below(&random, USEC_PER_HOUR);
                Restart restart;

                policy.max_restarts = 1 + (unsigned)random_below(&random, RESTARTS_MAX);
                policy.window_usec = random_between(&random, USEC_PER_SEC, USEC_PER_HOUR);
                policy.backoff_min_usec = random_between(&random, 1, USEC_PER_SEC);
                policy.backoff_max_usec =
                        policy.backoff_min_usec + random_below(&random, USEC_PER_MINUTE);
                policy.stable_usec = random_between(&random, USEC_PER_SEC, USEC_PER_HOUR);
                restart_init(&restart, &policy);

                walk->n = 0;
                while (walk->n < 500 && walk_step(walk, &restart, &random, &now))
                        ;
                check_window(walk, &policy);
        }
        g_free(walk);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);

        g_test_add_func("/core/restart/modes", test_modes);
        g_test_add_func("/core/restart/escalates", test_escalates);
        g_test_add_func("/core/restart/none-allowed", test_none_allowed);
        g_test_add_func("/core/restart/settles", test_settles);
        g_test_add_func("/core/restart/stopped", test_stopped);
        g_test_add_func("/core/restart/can-escalate", test_can_escalate);
        g_test_add_func("/core/restart/walk", test_walk);

        return g_test_run();
}
