/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Histogram
 *
 * How often something took how long, in a hundred bytes and without memory of its
 * own: ten buckets from a millisecond to ten seconds, three times as wide each, so
 * that a quantile is known to within that factor. A note costs a few comparisons;
 * what is quick costs one.
 */

#include <stdint.h>

#define HISTOGRAM_BOUNDS 9
#define HISTOGRAM_BUCKETS (HISTOGRAM_BOUNDS + 1)

/* A zeroed one is empty. */
typedef struct Histogram {
        uint64_t n[HISTOGRAM_BUCKETS]; /* each for itself; the last is for all above the bounds */
        uint64_t sum_usec;             /* saturating */
} Histogram;

/* Up to and including which time each bucket counts, growing. */
extern const uint64_t histogram_bounds_usec[HISTOGRAM_BOUNDS];

void histogram_note(Histogram *histogram, uint64_t usec);

/* How many notes there are in all. */
uint64_t histogram_count(const Histogram *histogram);
