/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Strategy
 *
 * The ranges are those of the strategies; members stop last first, one at a time,
 * and start first first, when all are gone and the time has come; a walk with
 * members that die when they like ends with all that is wanted alive. The shares
 * of the stop never exceed what there is, and starve nobody.
 */

#include <glib.h>

#include "base/clock.h"
#include "base/macro.h"
#include "core/defaults.h"
#include "core/random.h"
#include "core/strategy.h"

static void test_ranges(void) {
        static const struct {
                hale_strategy strategy;
                unsigned dead, n, first, last;
        } rows[] = {
                { HALE_ONE_FOR_ONE, 1, 4, 1, 1 },  { HALE_ONE_FOR_ALL, 1, 4, 0, 3 },
                { HALE_REST_FOR_ONE, 1, 4, 1, 3 }, { HALE_REST_FOR_ONE, 3, 4, 3, 3 },
                { HALE_REST_FOR_ONE, 0, 4, 0, 3 }, { HALE_ONE_FOR_ALL, 0, 1, 0, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                StrategyRange range = strategy_range(rows[i].strategy, rows[i].dead, rows[i].n);

                g_assert_cmpuint(range.first, ==, rows[i].first);
                g_assert_cmpuint(range.last, ==, rows[i].last);
        }
}

static void expect_step(const StrategyMember members[],
                        bool starting,
                        uint64_t now,
                        StrategyAction action,
                        unsigned index) {
        StrategyStep step = strategy_next(members, (StrategyRange){ 0, 2 }, starting, 100, now);

        g_assert_cmpint(step.action, ==, action);
        g_assert_cmpuint(step.index, ==, index);
}

static void test_steps(void) {
        StrategyMember members[] = {
                { .alive = true, .wanted = true },
                { .wanted = true }, /* who died */
                { .alive = true, .wanted = true },
        };

        expect_step(members, false, 50, STRATEGY_STOP, 2);
        members[2].stopping = true;
        expect_step(members, false, 50, STRATEGY_WAIT, 2);
        members[2].alive = members[2].stopping = false;
        expect_step(members, false, 50, STRATEGY_STOP, 0);
        members[0].alive = false;
        expect_step(members, false, 50, STRATEGY_SLEEP, 0);
        expect_step(members, false, 100, STRATEGY_START, 0);
        members[0].alive = true;
        members[1].wanted = false; /* temporary */
        expect_step(members, true, 100, STRATEGY_START, 2);
        members[2].alive = true;
        expect_step(members, true, 100, STRATEGY_DONE, 2);
}

/* Members start, stop and die at random; what must hold is looked at in each step. */
static void test_walk(void) {
        Random random = RANDOM_INIT(g_test_rand_int());

        for (unsigned round = 0; round < 2000; round++) {
                StrategyMember members[8];
                unsigned n = 1 + (unsigned)random_below(&random, ELEMENTSOF(members));
                StrategyRange range = strategy_range((hale_strategy)random_below(&random, 3),
                                                     (unsigned)random_below(&random, n), n);
                uint64_t now = 0, at = random_below(&random, 50);
                bool starting = false;
                unsigned next = range.first;

                for (unsigned i = 0; i < n; i++)
                        members[i] = (StrategyMember){
                                .alive = random_below(&random, 2),
                                .wanted = random_below(&random, 4),
                        };

                for (;;) {
                        StrategyStep step = strategy_next(members, range, starting, at, now);

                        if (step.action == STRATEGY_DONE)
                                break;
                        g_assert_cmpuint(step.index, >=, range.first);
                        g_assert_cmpuint(step.index, <=, range.last);
                        if (step.action == STRATEGY_STOP) {
                                g_assert_false(starting);
                                for (unsigned i = step.index + 1; i <= range.last; i++)
                                        g_assert_false(members[i].alive);
                                members[step.index].stopping = true;
                        } else if (step.action == STRATEGY_WAIT) {
                                g_assert_true(members[step.index].stopping);
                                members[step.index].alive = members[step.index].stopping = false;
                        } else if (step.action == STRATEGY_START) {
                                g_assert_cmpuint(now, >=, at);
                                g_assert_cmpuint(step.index, >=, next);
                                g_assert_true(members[step.index].wanted);
                                if (!starting)
                                        for (unsigned i = range.first; i <= range.last; i++)
                                                g_assert_false(members[i].alive);
                                starting = true;
                                members[step.index].alive = true;
                                next = step.index + 1;
                        } else {
                                g_assert_cmpuint(now, <, at);
                                now = at;
                        }
                }
                for (unsigned i = range.first; i <= range.last; i++)
                        g_assert_cmpint(members[i].alive, ==, members[i].wanted);
        }
}

static void test_shares(void) {
        Random random = RANDOM_INIT(g_test_rand_int());

        g_assert_cmpuint(strategy_stop_share(20000000, 5000000, 1), ==, 5000000);
        g_assert_cmpuint(strategy_stop_share(20000000, 5000000, 16), ==, 5000000);
        g_assert_cmpuint(strategy_stop_share(0, 5000000, 16), ==, 0);

        for (unsigned round = 0; round < 2000; round++) {
                uint64_t all = random_below(&random, 40 * USEC_PER_SEC), left = all, share;
                unsigned n = 1 + (unsigned)random_below(&random, 256);
                uint64_t fair = all / n;

                for (unsigned i = n; i > 0; i--) {
                        uint64_t wanted = random_between(&random, 1, 20 * USEC_PER_SEC);

                        share = strategy_stop_share(left, wanted, i);
                        g_assert_cmpuint(share, <=, left);
                        g_assert_cmpuint(share, <=, wanted);
                        g_assert_cmpuint(share + 1, >=, MIN(wanted, MIN(fair, STOP_SHARE_USEC)));
                        left -= share;
                }
        }
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);

        g_test_add_func("/core/strategy/ranges", test_ranges);
        g_test_add_func("/core/strategy/steps", test_steps);
        g_test_add_func("/core/strategy/walk", test_walk);
        g_test_add_func("/core/strategy/shares", test_shares);

        return g_test_run();
}
