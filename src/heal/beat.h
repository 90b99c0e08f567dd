/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Beat: what a worker and its service share
 *
 * One page of shared memory for each worker process, and a plain structure for a
 * thread. A beat is one store. The other side is not to be trusted with more than
 * its own page: the memory is sealed, so that it cannot be cut off under us, and
 * whatever stands in it is taken for what a crashed program may have left there.
 */

#include <stdatomic.h>
#include <stdint.h>

#include "base/clock.h"

/*
 * Who a spare is: its state, and the generation of the active worker that it is
 * about, in one word, so that a decision about the last one is never taken for one
 * about the next.
 */
typedef enum SpareState {
        SPARE_WAITS, /* and does nothing unasked */
        SPARE_ARMED, /* takes over when the active worker of this generation has died */
        SPARE_TAKES, /* is the active worker */
} SpareState;

#define SPARE_TURN(generation, state) ((uint32_t)(generation) << 2 | (uint32_t)(state))

/* In one cache line of its own. */
typedef struct BeatSlot {
        _Alignas(64) _Atomic uint64_t beat_usec; /* CLOCK_MONOTONIC */
        _Atomic uint32_t stop;                   /* not 0: the worker should stop */
        _Atomic uint32_t turn;                   /* SPARE_TURN() */
        _Atomic uint32_t returned;               /* not 0: the worker's function has, with: */
        _Atomic int32_t result;
        _Atomic int32_t tid;      /* of a thread */
        _Atomic uint32_t watched; /* not 0: the service would see a process end */
} BeatSlot;

typedef struct Beat {
        BeatSlot *slot; /* NULL: none */
        int fd;
} Beat;

#define BEAT_INIT                                                                                  \
        { .fd = -EBADF }

/* Makes the page. Returns 0, or what memfd_create(2), ftruncate(2) or mmap(2) returned. */
int beat_init(Beat *beat);
void beat_done(Beat *beat);

/* For the next worker: as it was at the beginning. */
void beat_clear(BeatSlot *slot);

/* The beat. For any thread of the worker. */
static inline void beat_now(BeatSlot *slot) {
        atomic_store_explicit(&slot->beat_usec, clock_now_usec(CLOCK_MONOTONIC),
                              memory_order_relaxed);
}

/* In the worker: maps the page behind @fd. Returns 0, -EBADF for something else, or what mmap(2)
 * returned. */
int beat_map(int fd, BeatSlot **ret);
