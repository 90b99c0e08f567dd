/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Heartbeat
 *
 * Decides whether a worker that has not beaten for a while hangs, or merely did
 * not get to run. Silence counts only as far as the worker had the chance to
 * break it:
 *
 *   - what it waited for a processor does not count (the scheduler says how long);
 *   - while it waits for one right now, which the scheduler has not added up yet,
 *     only the time that it did run counts;
 *   - when the one who looks is late himself, nothing counts so far: whatever held
 *     him up (a paused machine, a frozen group) may have held up the worker, too;
 *   - a worker that a debugger has stopped is not looked at, and has its whole limit
 *     from the first look that does not find it so.
 *
 * After HEARTBEAT_PATIENCE limits without a beat nothing of this matters any more.
 */

#include <stdbool.h>
#include <stdint.h>

/* What is known of the worker's chances, as running totals. */
typedef struct HeartbeatChance {
        bool known;         /* false: the kernel does not tell, and nothing is excused by it */
        bool runnable;      /* runs, or waits for a processor, at this moment */
        bool traced;        /* stopped by a debugger */
        uint64_t run_usec;  /* on a processor */
        uint64_t wait_usec; /* for a processor, up to the last time it got one */
} HeartbeatChance;

typedef enum HeartbeatVerdict {
        HEARTBEAT_FINE,
        HEARTBEAT_STARVED, /* silent for too long, and excused for now */
        HEARTBEAT_HUNG,
} HeartbeatVerdict;

typedef struct Heartbeat {
        uint64_t limit_usec;
        uint64_t value;         /* the last beat seen; not to be trusted as a time */
        uint64_t since_usec;    /* silent since then */
        uint64_t due_usec;      /* when to look again */
        uint64_t excused_usec;  /* of the silence, because the looker was late */
        unsigned n_late;        /* how often he was, in this silence */
        HeartbeatChance looked; /* at the last look */
        uint64_t run_usec;      /* of the chance at the look that saw the last beat */
        uint64_t wait_usec;     /* and at the look before that one */
        uint64_t silent_usec;   /* as of the last look */
} Heartbeat;

/* The worker begins to work, or is forgiven: silence counts from @now_usec. */
void heartbeat_begin(Heartbeat *heartbeat,
                     uint64_t limit_usec,
                     uint64_t value,
                     const HeartbeatChance *chance,
                     uint64_t now_usec);

/* Looks at the beat that stands in @value. Afterwards, unless it hangs, due_usec is later than
 * @now_usec. */
HeartbeatVerdict heartbeat_check(Heartbeat *heartbeat,
                                 uint64_t value,
                                 const HeartbeatChance *chance,
                                 uint64_t now_usec);

/* Whether to look now already, because another worker is looked at: so that workers that beat at
 * different times have one wake-up together, and not one each. Asking each at every look makes
 * it at most two of them a limit. */
bool heartbeat_looks_along(const Heartbeat *heartbeat, uint64_t now_usec);
