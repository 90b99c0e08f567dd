/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Histograms: each note is in the one bucket that it belongs to, the bounds belong to
 * the bucket below them, and the sum does not run over.
 */

#include <glib.h>

#include "base/clock.h"
#include "base/macro.h"
#include "core/histogram.h"

static void test_bounds(void) {
        static const struct {
                uint64_t usec;
                unsigned bucket;
        } rows[] = {
                { 0, 0 },        { 1, 0 },          { 1000, 0 },    { 1001, 1 },    { 3000, 1 },
                { 3001, 2 },     { 10000, 2 },      { 30000, 3 },   { 100000, 4 },  { 300000, 5 },
                { 300001, 6 },   { 1000000, 6 },    { 3000000, 7 }, { 9999999, 8 }, { 10000000, 8 },
                { 10000001, 9 }, { UINT64_MAX, 9 },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                Histogram histogram = {};

                histogram_note(&histogram, rows[i].usec);
                g_assert_cmpuint(histogram.n[rows[i].bucket], ==, 1);
                g_assert_cmpuint(histogram_count(&histogram), ==, 1);
                g_assert_cmpuint(histogram.sum_usec, ==, rows[i].usec);
        }
}

static void test_growing(void) {
        for (unsigned i = 1; i < HISTOGRAM_BOUNDS; i++)
                g_assert_cmpuint(histogram_bounds_usec[i], >, histogram_bounds_usec[i - 1]);

        /* It is kept for each of many probes. */
        g_assert_cmpuint(sizeof(Histogram), <=, 100);
}

static void test_saturates(void) {
        Histogram histogram = {};

        histogram_note(&histogram, USEC_NEVER - 1);
        histogram_note(&histogram, 7);
        g_assert_cmpuint(histogram.sum_usec, ==, USEC_NEVER);
        histogram_note(&histogram, 7);
        g_assert_cmpuint(histogram.sum_usec, ==, USEC_NEVER);
        g_assert_cmpuint(histogram_count(&histogram), ==, 3);
}

static void test_walk(void) {
        uint64_t below[HISTOGRAM_BOUNDS] = {}, sum = 0;
        Histogram histogram = {};
        uint64_t n = 0;

        for (unsigned i = 1; i <= 20000; i++) {
                uint64_t usec =
                        (uint32_t)g_test_rand_int() >> (unsigned)g_test_rand_int_range(0, 32);

                histogram_note(&histogram, usec);
                sum += usec;
                for (unsigned j = 0; j < HISTOGRAM_BOUNDS; j++)
                        below[j] += usec <= histogram_bounds_usec[j];
        }

        for (unsigned j = 0; j < HISTOGRAM_BOUNDS; j++) {
                n += histogram.n[j];
                g_assert_cmpuint(n, ==, below[j]);
        }
        g_assert_cmpuint(histogram_count(&histogram), ==, 20000);
        g_assert_cmpuint(histogram.sum_usec, ==, sum);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/core/histogram/bounds", test_bounds);
        g_test_add_func("/core/histogram/growing", test_growing);
        g_test_add_func("/core/histogram/saturates", test_saturates);
        g_test_add_func("/core/histogram/walk", test_walk);
        return g_test_run();
}
