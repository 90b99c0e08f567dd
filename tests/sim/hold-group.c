/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What must hold of several workers: a restart of a group comes to its end, and so does
 * the stop of all, in its time. Who may be stopped and started before whom is in
 * hold-worker.c.
 */

#include "base/clock.h"
#include "core/defaults.h"
#include "sim/hold.h"
#include "sim/worker.h"

/* How long the members of a group may take to stop, one after the other. */
static uint64_t group_span(const SimGroup *group) {
        uint64_t span = 0;

        for (unsigned i = 0; i < group->n_members; i++) {
                uint64_t stop = group->members[i].stop_usec;

                span += stop + hold_slack(stop) + 4 * WORKER_KILL_USEC + 2 * hold_slack(0);
        }
        return span;
}

/* Who is concerned, by the words of hale/worker.h: all, or those from the dead one on. */
void hold_group(World *world, const SimWorker *dead, bool joined) {
        SimGroup *group = dead->group;
        unsigned from = group->strategy == HALE_ONE_FOR_ALL ? 0 : dead->member;

        group->from = joined ? MIN(group->from, from) : from;
        HOLD(world, group->strategy != HALE_ONE_FOR_ONE, "worker %u dies alone",
             dead->probe->index);
        HOLD(world, group->range.first == group->from && group->range.last == group->n_members - 1,
             "for worker %u, %u to %u", dead->probe->index, group->range.first, group->range.last);
        group->until_usec = MAX(world->now, group->at_usec) +
                            hold_slack(usec_sub(group->at_usec, world->now)) + group_span(group);
        world->sights[SIGHT_GROUP]++;
        world->sights[SIGHT_GROUP_JOINED] += joined;
}

static void hold_group_settled(World *world, const SimGroup *group) {
        for (unsigned i = 0; i < group->n_members; i++)
                if (group->members[i].is_thread && group->members[i].state == HALE_WORKER_STOPPING)
                        return; /* it need not end */

        HOLD(world,
             !group->pending || world->stopping ||
                     world->now <= MAX(group->until_usec,
                                       world->books.disturbed_usec + group_span(group)),
             "a restart of several never ends");
}

/* So late all are gone, or given up: those that are left then are not waited for any more. */
static bool is_stopped_in_time(const World *world) {
        uint64_t latest = world->stop_by_usec + WORKERS_REAP_USEC + hold_slack(STOP_TIMEOUT_USEC);

        return world->now <= MAX(latest, world->books.disturbed_usec) +
                                     world->n_workers * hold_slack(WORKERS_REAP_USEC);
}

void hold_workers_stopped(World *world) {
        HOLD(world, is_stopped_in_time(world), "the stop took too long");
        for (unsigned i = 0; i < world->n_workers; i++) {
                const SimWorker *worker = &world->workers[i];

                HOLD(world, !worker->shadow.alive || worker->given_up, "worker %u is left behind",
                     worker->probe->index);
                world->sights[SIGHT_STOP_GIVEN_UP] += worker->given_up;
        }
        world->sights[SIGHT_STOP] += world->n_workers > 1;
}

void hold_groups_settled(World *world) {
        for (unsigned i = 0; i < world->n_groups; i++)
                hold_group_settled(world, &world->groups[i]);
        HOLD(world, !world->workers_stopping || is_stopped_in_time(world), "the stop never ends");
}
