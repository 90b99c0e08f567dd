/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Random
 *
 * The source of jitter. Its seed is given, so that the simulation can replay a
 * world from one number; it is not for secrets. (xorshift64*, Vigna 2016.)
 */

#include <stdint.h>

typedef struct Random {
        uint64_t state;
} Random;

#define RANDOM_INIT(seed)                                                                          \
        { .state = (uint64_t)(seed)*2 + 1 }

static inline uint64_t random_next(Random *random) {
        uint64_t x = random->state;

        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        random->state = x;
        return x * UINT64_C(0x2545f4914f6cdd1d);
}

/* A number of [0, limit), or 0 for limit 0. The bias of the multiplication is below 2^-32. */
static inline uint64_t random_below(Random *random, uint64_t limit) {
        return (uint64_t)(((unsigned __int128)random_next(random) * limit) >> 64);
}

/* A number of [low, high]. */
static inline uint64_t random_between(Random *random, uint64_t low, uint64_t high) {
        return low + (high > low ? random_below(random, high - low + 1) : 0);
}
