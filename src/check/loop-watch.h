/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Loop Watch: measures the lag of an sd-event loop
 *
 * Before each poll it compares the clock with the moment at which the loop last
 * woke: whatever was dispatched between the two is how long everything else had
 * to wait. That costs one look at the clock a turn, and no turn of its own.
 *
 * It does not see a source that is starved by others of higher priority, each of
 * them quick: who owns a timer should besides note how late that is.
 */

#include <stdint.h>
#include <systemd/sd-event.h>

#include "check/loop-lag.h"

typedef struct LoopWatch {
        LoopLag *lag; /* not ours */
        sd_event_source *source;
        uint64_t polled_usec;           /* when the loop last went to poll */
        uint64_t woke_usec;             /* and when it came back from the poll before that */
        uint64_t from_usec, until_usec; /* the longest poll since somebody asked, but the last */
} LoopWatch;

/* Returns 0, or what sd-event returned. @lag must stay, and @watch where it is, until _done(). */
int loop_watch_init(LoopWatch *watch, sd_event *event, LoopLag *lag);

/*
 * How long after @due_usec the loop was still in a poll, of those since this was last
 * asked up to the one from which it woke at @woken_usec: what is due ends a poll, so in
 * all that time nothing ran, by no fault of the loop's. Somebody else's source may have
 * been dispatched since, and another poll come and gone.
 */
uint64_t loop_watch_overslept(LoopWatch *watch, uint64_t due_usec, uint64_t woken_usec);

void loop_watch_done(LoopWatch *watch);
