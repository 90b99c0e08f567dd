/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Back-off
 *
 * How long to wait before the next attempt. Two ways to spread the attempts of
 * many ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015):
 * decorrelated for connections, which wait somewhere between the shortest time
 * and three times the last wait; full for restarts, which go at once the first
 * time and then wait somewhere between 0 and the doubling limit.
 */

#include <stdint.h>

#include "core/random.h"

typedef enum BackoffKind {
        BACKOFF_DECORRELATED,
        BACKOFF_FULL,
} BackoffKind;

typedef struct Backoff {
        BackoffKind kind;
        uint64_t min_usec, max_usec;
        uint64_t last_usec;
        unsigned n_attempts; /* since the last reset */
} Backoff;

void backoff_init(Backoff *backoff, BackoffKind kind, uint64_t min_usec, uint64_t max_usec);

/* The wait before the next attempt. */
uint64_t backoff_next(Backoff *backoff, Random *random);

/* It worked, for long enough: the next failure starts small again. */
void backoff_reset(Backoff *backoff);
