/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Back-off
 *
 * Every wait lies within the bounds of its kind, computed here a second time;
 * waits grow to the greatest and stay there for ever, are spread, and start
 * small again after a reset.
 */

#include <glib.h>

#include "base/clock.h"
#include "base/macro.h"
#include "core/backoff.h"
#include "core/defaults.h"

/* What the next wait may be at most, in floating point so that nothing wraps. */
static double expected_limit(const Backoff *backoff, uint64_t last, unsigned n_before) {
        double limit;

        if (backoff->kind == BACKOFF_DECORRELATED)
                limit = 3.0 * (double)MAX(last, backoff->min_usec);
        else if (n_before == 0)
                return 0;
        else
                limit = (double)backoff->min_usec *
                        (n_before > 64 ? 1e20 : (double)(1ULL << (n_before - 1)));

        return MIN(limit, (double)backoff->max_usec);
}

static void check_bounds(BackoffKind kind, uint64_t min, uint64_t max, unsigned n, Random *random) {
        Backoff backoff;
        uint64_t last = 0;

        backoff_init(&backoff, kind, min, max);
        for (unsigned i = 0; i < n; i++) {
                double limit = expected_limit(&backoff, last, i);
                uint64_t wait = backoff_next(&backoff, random);

                g_assert_cmpfloat((double)wait, <=, limit);
                g_assert_cmpuint(wait, <=, max);
                if (kind == BACKOFF_DECORRELATED)
                        g_assert_cmpuint(wait, >=, min);
                g_assert_cmpuint(backoff.n_attempts, ==, i + 1);
                last = wait;
        }

        backoff_reset(&backoff);
        g_assert_cmpuint(backoff.n_attempts, ==, 0);
        g_assert_cmpfloat((double)backoff_next(&backoff, random), <=,
                          expected_limit(&backoff, 0, 0));
}

static void test_bounds(void) {
        static const struct {
                uint64_t min, max;
        } rows[] = {
                { RECONNECT_MIN_USEC, RECONNECT_MAX_USEC },
                { USEC_PER_SEC, USEC_PER_MINUTE },
                { 1, 1 },
                { 1, 2 },
                { 7, UINT64_MAX },
                { UINT64_MAX / 2, UINT64_MAX },
                { UINT64_MAX, UINT64_MAX },
        };
        Random random = RANDOM_INIT(g_test_rand_int());

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                check_bounds(BACKOFF_DECORRELATED, rows[i].min, rows[i].max, 500, &random);
                check_bounds(BACKOFF_FULL, rows[i].min, rows[i].max, 500, &random);
        }
}

static void test_bounds_random(void) {
        Random random = RANDOM_INIT(g_test_rand_int());

        for (unsigned i = 0; i < 2000; i++) {
                uint64_t min = (random_next(&random) >> random_below(&random, 64)) | 1;
                uint64_t max = random_between(&random, min, UINT64_MAX);

                check_bounds(i % 2 ? BACKOFF_FULL : BACKOFF_DECORRELATED, min, max, 100, &random);
        }
}

/* A connection that is tried for ever is tried at the greatest wait's pace, and not all at once:
 * over many runs the waits of one attempt cover their range. */
static void test_spread(void) {
        Random random = RANDOM_INIT(g_test_rand_int());
        double sum = 0;
        uint64_t low = UINT64_MAX, high = 0;

        for (unsigned i = 0; i < 2000; i++) {
                uint64_t wait = 0;
                Backoff backoff;

                backoff_init(&backoff, BACKOFF_FULL, USEC_PER_SEC, USEC_PER_MINUTE);
                for (unsigned n = 0; n < 20; n++)
                        wait = backoff_next(&backoff, &random);
                low = MIN(low, wait);
                high = MAX(high, wait);
                sum += (double)wait;
        }

        g_assert_cmpuint(low, <, USEC_PER_SEC);
        g_assert_cmpuint(high, >, 59 * USEC_PER_SEC);
        g_assert_cmpfloat(sum / 2000, >, 27e6);
        g_assert_cmpfloat(sum / 2000, <, 33e6);
}

static void test_decorrelated_grows(void) {
        Random random = RANDOM_INIT(g_test_rand_int());
        double sum = 0;
        Backoff backoff;

        backoff_init(&backoff, BACKOFF_DECORRELATED, RECONNECT_MIN_USEC, RECONNECT_MAX_USEC);
        for (unsigned n = 0; n < 20000; n++)
                sum += (double)backoff_next(&backoff, &random);

        /* In the long run about a third of the greatest wait, and never stuck at the shortest. */
        g_assert_cmpfloat(sum / 20000, >, 6e6);
        g_assert_cmpfloat(sum / 20000, <, 14e6);
}

static void test_attempts_do_not_wrap(void) {
        Random random = RANDOM_INIT(1);
        Backoff backoff;

        backoff_init(&backoff, BACKOFF_FULL, USEC_PER_SEC, USEC_PER_MINUTE);
        backoff.n_attempts = UINT32_MAX;
        (void)backoff_next(&backoff, &random);
        g_assert_cmpuint(backoff.n_attempts, ==, UINT32_MAX);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);

        g_test_add_func("/core/backoff/bounds", test_bounds);
        g_test_add_func("/core/backoff/bounds-random", test_bounds_random);
        g_test_add_func("/core/backoff/spread", test_spread);
        g_test_add_func("/core/backoff/decorrelated-grows", test_decorrelated_grows);
        g_test_add_func("/core/backoff/attempts-do-not-wrap", test_attempts_do_not_wrap);

        return g_test_run();
}
