/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Random
 *
 * One seed, one sequence, which is the published one; no seed is stuck; numbers
 * stay in their range, reach both its ends and fill it evenly.
 */

#include <glib.h>

#include "base/macro.h"
#include "core/random.h"

/* xorshift64* as Vigna wrote it ("An experimental exploration of Marsaglia's xorshift generators,
 * scrambled", figure 10). */
static uint64_t reference(uint64_t *x) {
        *x ^= *x >> 12;
        *x ^= *x << 25;
        *x ^= *x >> 27;
        return *x * UINT64_C(2685821657736338717);
}

static void test_sequence(void) {
        static const uint64_t seeds[] = { 0, 1, 2, 42, UINT64_MAX / 2, UINT64_MAX };

        for (size_t i = 0; i < ELEMENTSOF(seeds); i++) {
                Random random = RANDOM_INIT(seeds[i]), again = RANDOM_INIT(seeds[i]);
                uint64_t state = random.state;

                g_assert_cmpuint(state, !=, 0);
                for (unsigned n = 0; n < 1000; n++) {
                        uint64_t number = random_next(&random);

                        g_assert_cmpuint(number, ==, reference(&state));
                        g_assert_cmpuint(number, ==, random_next(&again));
                        g_assert_cmpuint(random.state, !=, 0);
                }
        }
}

static void test_seeds_differ(void) {
        for (uint64_t seed = 0; seed < 1000; seed++) {
                Random a = RANDOM_INIT(seed), b = RANDOM_INIT(seed + 1);

                g_assert_cmpuint(random_next(&a), !=, random_next(&b));
        }
}

static void test_range(void) {
        Random random = RANDOM_INIT(g_test_rand_int());
        bool seen[11] = {};

        g_assert_cmpuint(random_below(&random, 0), ==, 0);
        g_assert_cmpuint(random_below(&random, 1), ==, 0);
        g_assert_cmpuint(random_between(&random, 7, 7), ==, 7);
        g_assert_cmpuint(random_between(&random, 7, 3), ==, 7);
        g_assert_cmpuint(random_between(&random, UINT64_MAX, UINT64_MAX), ==, UINT64_MAX);

        for (unsigned i = 0; i < 10000; i++) {
                uint64_t low = random_next(&random), high = random_next(&random), x;

                if (low > high)
                        continue;
                x = random_between(&random, low, high);
                g_assert_cmpuint(x, >=, low);
                g_assert_cmpuint(x, <=, high);

                if (low > 0)
                        g_assert_cmpuint(random_below(&random, low), <, low);
                seen[random_between(&random, 10, 20) - 10] = true;
        }

        for (size_t i = 0; i < ELEMENTSOF(seen); i++)
                g_assert_true(seen[i]);
}

/* 100 buckets of 1000 each: six standard deviations (190) are one in a billion. */
static void test_even(void) {
        Random random = RANDOM_INIT(g_test_rand_int());
        unsigned n[100] = {};

        for (unsigned i = 0; i < 100 * 1000; i++)
                n[random_below(&random, ELEMENTSOF(n))]++;

        for (size_t i = 0; i < ELEMENTSOF(n); i++) {
                g_assert_cmpuint(n[i], >, 1000 - 190);
                g_assert_cmpuint(n[i], <, 1000 + 190);
        }
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);

        g_test_add_func("/core/random/one-seed-one-sequence", test_sequence);
        g_test_add_func("/core/random/seeds-differ", test_seeds_differ);
        g_test_add_func("/core/random/range", test_range);
        g_test_add_func("/core/random/even", test_even);

        return g_test_run();
}
