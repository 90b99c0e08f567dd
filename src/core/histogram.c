/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/clock.h"
#include "base/macro.h"
#include "core/histogram.h"

const uint64_t histogram_bounds_usec[HISTOGRAM_BOUNDS] = {
        1 * USEC_PER_MSEC,    3 * USEC_PER_MSEC,   10 * USEC_PER_MSEC,
        30 * USEC_PER_MSEC,   100 * USEC_PER_MSEC, 300 * USEC_PER_MSEC,
        1000 * USEC_PER_MSEC, 3 * USEC_PER_SEC,    10 * USEC_PER_SEC,
};

void histogram_note(Histogram *histogram, uint64_t usec) {
        unsigned i = 0;

        assert(histogram);

        while (i < HISTOGRAM_BOUNDS && usec > histogram_bounds_usec[i])
                i++;

        histogram->n[i]++;
        histogram->sum_usec = usec_add(histogram->sum_usec, usec);
}

uint64_t histogram_count(const Histogram *histogram) {
        uint64_t n = 0;

        assert(histogram);

        for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
                n += histogram->n[i];

        return n;
}
