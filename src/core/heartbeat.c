/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/clock.h"
#include "base/macro.h"
#include "core/defaults.h"
#include "core/heartbeat.h"

void heartbeat_begin(Heartbeat *heartbeat,
                     uint64_t limit_usec,
                     uint64_t value,
                     const HeartbeatChance *chance,
                     uint64_t now_usec) {
        assert(heartbeat);
        assert(limit_usec > 0);
        assert(chance);

        *heartbeat = (Heartbeat){
                .limit_usec = limit_usec,
                .value = value,
                .since_usec = now_usec,
                .due_usec = usec_add(now_usec, limit_usec),
                .looked = *chance,
                .run_usec = chance->run_usec,
                .wait_usec = chance->wait_usec,
        };
}

/* How late one may look without a reason: timers are rounded up to about an eighth. */
static uint64_t heartbeat_slack(const Heartbeat *heartbeat) {
        return heartbeat->limit_usec / 4 + 2 * USEC_PER_MSEC;
}

/* The part of the silence in which the worker could have beaten. */
static uint64_t heartbeat_own(const Heartbeat *heartbeat, const HeartbeatChance *chance) {
        uint64_t own = usec_sub(heartbeat->silent_usec, heartbeat->excused_usec);

        if (!chance->known || !heartbeat->looked.known)
                return own;
        if (chance->runnable)
                return MIN(own, usec_sub(chance->run_usec, heartbeat->run_usec));

        return usec_sub(own, usec_sub(chance->wait_usec, heartbeat->wait_usec));
}

/*
 * A beat since the last look. Its time is what the worker wrote, if that can be. What
 * the scheduler said when it came is not known, so of the two looks around it
 * each time the one counts that is better for the worker.
 */
static void heartbeat_take(Heartbeat *heartbeat,
                           uint64_t value,
                           const HeartbeatChance *chance,
                           uint64_t now_usec) {
        heartbeat->value = value;
        heartbeat->since_usec = CLAMP(value, heartbeat->since_usec, now_usec);
        heartbeat->excused_usec = 0;
        heartbeat->n_late = 0;
        heartbeat->run_usec = chance->run_usec;
        heartbeat->wait_usec = heartbeat->looked.wait_usec;
}

/* When to look again. What excuses the worker may end any moment. */
static uint64_t heartbeat_pause(const Heartbeat *heartbeat, uint64_t own) {
        uint64_t limit = heartbeat->limit_usec;

        if (heartbeat->silent_usec < limit)
                return limit - heartbeat->silent_usec;

        return MAX(MIN(usec_sub(limit, own), limit / 4), 1);
}

HeartbeatVerdict heartbeat_check(Heartbeat *heartbeat,
                                 uint64_t value,
                                 const HeartbeatChance *chance,
                                 uint64_t now_usec) {
        uint64_t limit, own;
        bool late;

        assert(heartbeat);
        assert(chance);

        limit = heartbeat->limit_usec;

        /* Let go of since the last look, it may have had next to nothing of the time from there. */
        if (chance->traced || heartbeat->looked.traced) {
                heartbeat_begin(heartbeat, limit, value, chance, now_usec);
                return HEARTBEAT_STARVED;
        }

        late = usec_sub(now_usec, heartbeat->due_usec) > heartbeat_slack(heartbeat);
        if (value != heartbeat->value)
                heartbeat_take(heartbeat, value, chance, now_usec);

        heartbeat->silent_usec = usec_sub(now_usec, heartbeat->since_usec);
        if (late && heartbeat->n_late < HEARTBEAT_PATIENCE) {
                heartbeat->excused_usec = heartbeat->silent_usec;
                heartbeat->n_late++;
        }

        own = heartbeat_own(heartbeat, chance);
        heartbeat->looked = *chance;
        if (own >= limit ||
            usec_sub(heartbeat->silent_usec, heartbeat->excused_usec) / limit >= HEARTBEAT_PATIENCE)
                return HEARTBEAT_HUNG;

        heartbeat->due_usec = usec_add(now_usec, heartbeat_pause(heartbeat, own));
        return heartbeat->silent_usec < limit ? HEARTBEAT_FINE : HEARTBEAT_STARVED;
}

bool heartbeat_looks_along(const Heartbeat *heartbeat, uint64_t now_usec) {
        assert(heartbeat);

        return usec_sub(heartbeat->due_usec, now_usec) < heartbeat->limit_usec / 2;
}
