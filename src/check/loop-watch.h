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
        uint64_t woke_usec;   /* when the loop last came back from it */
        uint64_t polled_usec; /* when the loop last went to poll */
} LoopWatch;

/* Returns 0, or what sd-event returned. @lag must stay, and @watch where it is, until _done(). */
int loop_watch_init(LoopWatch *watch, sd_event *event, LoopLag *lag);

void loop_watch_done(LoopWatch *watch);
