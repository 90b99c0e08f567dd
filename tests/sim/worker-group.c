/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Several Workers: what src/service/worker-group.c and worker-stop.c do with
 * core/strategy
 */

#include "base/clock.h"
#include "core/defaults.h"
#include "sim/link.h"
#include "sim/worker.h"

static void group_due(World *world, void *owner) {
        sim_group_step(world, owner);
}

/* Neighbours make a group; some are in none. */
void sim_groups_random(World *world) {
        unsigned i = 0;

        world->groups = calloc(SIM_WORKERS_MAX, sizeof(SimGroup));
        if (!world->groups)
                world_fail(world, "no memory");

        while (i < world->n_workers) {
                unsigned n = (unsigned)random_between(&world->chance, 1, world->n_workers - i);
                SimGroup *group = &world->groups[world->n_groups];

                if (world_chance(world, 300)) {
                        i++;
                        continue;
                }

                *group = (SimGroup){
                        .strategy = (hale_strategy)random_below(&world->chance, 3),
                        .members = &world->workers[i],
                        .n_members = n,
                        .timer = SIM_TIMER_INIT(group_due, group),
                };
                for (unsigned k = 0; k < n; k++) {
                        group->members[k].group = group;
                        group->members[k].member = k;
                }
                world->n_groups++;
                i += n;
        }
}

void sim_groups_begin(World *world) {
        for (unsigned i = 0; i < world->n_groups; i++) {
                world->groups[i].pending = false;
                world->groups[i].timer.node = (WheelNode)WHEEL_NODE_INIT;
        }
}

bool sim_worker_is_bound(const SimWorker *self) {
        return self->group && self->group->strategy != HALE_ONE_FOR_ONE;
}

void sim_group_restart(World *world, SimWorker *self, uint64_t at_usec) {
        SimGroup *group = self->group;
        StrategyRange range = strategy_range(group->strategy, self->member, group->n_members);
        bool joined = group->pending;

        group->range = joined ? strategy_join(group->range, range) : range;
        group->at_usec = joined ? MAX(group->at_usec, at_usec) : at_usec;
        group->pending = true;
        group->starting = false;
        hold_group(world, self, joined);
        sim_group_step(world, group);
}

static void group_look(const SimGroup *group, StrategyMember members[static SIM_WORKERS_MAX]) {
        for (unsigned i = 0; i < group->n_members; i++) {
                const SimWorker *worker = &group->members[i];

                members[i] = (StrategyMember){
                        .alive = worker->state == HALE_WORKER_STARTING ||
                                 worker->state == HALE_WORKER_RUNNING ||
                                 worker->state == HALE_WORKER_STOPPING,
                        .stopping = worker->state == HALE_WORKER_STOPPING,
                        .wanted = worker->again || (worker->policy.mode != HALE_RESTART_TEMPORARY &&
                                                    worker->state != HALE_WORKER_FAILED),
                };
        }
}

/* One that could not even be started has nothing that could be stopped. */
static void group_stop_member(World *world, SimWorker *worker) {
        if (sim_worker_is_alive(worker)) {
                sim_worker_ask(world, worker, worker->stop_usec);
                return;
        }

        worker->unborn = false;
        world_set_timer(world, &worker->timer, USEC_NEVER);
        hold_worker_gone(world, worker);
        worker->state = HALE_WORKER_WAITING;
}

void sim_group_step(World *world, SimGroup *group) {
        StrategyMember members[SIM_WORKERS_MAX];

        while (group->pending && !world->stopping) {
                StrategyStep step;

                group_look(group, members);
                step = strategy_next(members, group->range, group->starting, group->at_usec,
                                     world->now);
                switch (step.action) {
                case STRATEGY_STOP:
                        group_stop_member(world, &group->members[step.index]);
                        break;
                case STRATEGY_WAIT:
                        return;
                case STRATEGY_SLEEP:
                        world_set_timer(world, &group->timer, group->at_usec);
                        return;
                case STRATEGY_START:
                        group->starting = true;
                        sim_worker_start(world, &group->members[step.index]);
                        break;
                case STRATEGY_DONE:
                        group->pending = false;
                }
        }
}

/* Asks the next, if all before it are gone. Returns false when nobody is left. */
static bool workers_ask_next(World *world) {
        SimWorker *last = NULL;
        unsigned n_left = 0;

        for (unsigned i = 0; i < world->n_workers; i++)
                if (sim_worker_is_alive(&world->workers[i])) {
                        last = &world->workers[i];
                        n_left++;
                }

        if (!last)
                return false;

        if (last->asked && !last->killed)
                world_set_timer(world, &last->timer,
                                MIN(world->now + last->stop_limit_usec, world->stop_by_usec));
        else if (!last->killed)
                sim_worker_ask(world, last,
                               strategy_stop_share(usec_sub(world->stop_by_usec, world->now),
                                                   last->stop_usec, n_left));
        return true;
}

void sim_workers_stop_next(World *world) {
        if (workers_ask_next(world))
                return;

        hold_workers_stopped(world);
        sim_links_end(world);
        world_end(world);
}

/* The program has done its part of the stop: now the workers, and then we. */
void sim_workers_stop(World *world) {
        world->workers_stopping = true;
        world->stop_by_usec =
                MAX(world->stopping_usec + STOP_TIMEOUT_USEC, world->now + WORKERS_STOP_MIN_USEC);
        for (unsigned i = 0; i < world->n_groups; i++) {
                world->groups[i].pending = false;
                world_set_timer(world, &world->groups[i].timer, USEC_NEVER);
        }
        for (unsigned i = 0; i < world->n_workers; i++)
                if (!sim_worker_is_alive(&world->workers[i]))
                        world_set_timer(world, &world->workers[i].timer, USEC_NEVER);

        sim_workers_stop_next(world);
}
