/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Loop Lag: how late the event loop is
 *
 * It is told whenever something came later than it could have, and keeps the
 * maxima: over all time, and for each reader since that reader last looked, so
 * that one stall is one bad answer and not several. It has no clock and no timer
 * of its own: an idle service is not woken to be measured. loop-watch.h is what
 * tells it about the loop; a scheduler may add how late its own timer was.
 */

#include <stdint.h>
#include <sys/queue.h>

#include "core/histogram.h"

typedef struct LoopLagReader {
        LIST_ENTRY(LoopLagReader) link;
        uint64_t max_usec; /* since it was last read */
} LoopLagReader;

typedef struct LoopLag {
        LIST_HEAD(LoopLagReaders, LoopLagReader) readers;
        uint64_t last_usec; /* the latest that was noted */
        uint64_t max_usec;  /* over all time */
        uint64_t n_notes;
        Histogram histogram; /* of all notes */
} LoopLag;

void loop_lag_init(LoopLag *lag);

/*
 * Something that could have happened at @due_usec happens at @now_usec. For a
 * timer of sd-event that is its time and its accuracy together: up to then it
 * is early on purpose, to share a wake-up.
 */
void loop_lag_note(LoopLag *lag, uint64_t due_usec, uint64_t now_usec);

/* What the readers have not seen yet does not count: the process was stopped, or asleep. */
void loop_lag_forgive(LoopLag *lag);

void loop_lag_add_reader(LoopLag *lag, LoopLagReader *reader);
void loop_lag_remove_reader(LoopLagReader *reader);

/* The maximum since the last time, which starts anew. */
uint64_t loop_lag_read(LoopLagReader *reader);
