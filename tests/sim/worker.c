/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Workers: what src/service/worker-run.c does with core/restart
 */

#include "base/clock.h"
#include "core/defaults.h"
#include "sim/worker.h"

static void worker_due(World *world, void *owner);

void sim_worker_random(World *world, SimWorker *self, SimProbe *probe) {
        static const unsigned gates[] = { HALE_GATE_NONE, HALE_GATE_NONE, HALE_GATE_READY,
                                          HALE_GATE_STARTUP };
        Random *chance = &world->chance;
        RestartPolicy *policy = &self->policy;
        bool brief = world_chance(world, 500); /* its life, so that much happens */

        *self = (SimWorker){ .probe = probe, .index = (unsigned)(self - world->workers) };
        restart_policy_default(policy);
        policy->mode = world_chance(world, 700) ? HALE_RESTART_PERMANENT
                                                : (hale_restart)random_below(chance, 3);
        if (world_chance(world, 700)) {
                policy->max_restarts = (unsigned)random_below(chance, 20);
                policy->backoff_min_usec = random_between(chance, 1, 2 * USEC_PER_SEC);
                policy->backoff_max_usec =
                        policy->backoff_min_usec + random_below(chance, USEC_PER_MINUTE);
                policy->window_usec = random_between(chance, USEC_PER_SEC, USEC_PER_MINUTE);
        }
        self->is_thread = world_chance(world, 200);
        self->heartbeat_usec =
                world_chance(world, brief ? 800 : 300)
                        ? 0
                        : random_between(chance, 5 * USEC_PER_MSEC,
                                         20 * USEC_PER_SEC >> random_below(chance, 7));
        self->stop_usec =
                random_between(chance, USEC_PER_MSEC, STOP_TIMEOUT_USEC >> random_below(chance, 8));
        self->life_usec = 2 * USEC_PER_SEC << (brief ? 0 : random_below(chance, 8));
        self->gates = gates[random_below(chance, ELEMENTSOF(gates))];
        self->p_hang = (unsigned)random_below(chance, world_chance(world, 500) ? 300 : 5);
        self->p_stubborn = (unsigned)random_below(chance, world_chance(world, 200) ? 500 : 20);
        self->timer = (SimTimer)SIM_TIMER_INIT(worker_due, self);
        self->beat_timer = (SimTimer)SIM_TIMER_INIT(sim_beat_due, self);
        probe->worker = self;
        probe_policy_default(&probe->health.state.policy, HALE_GATE_NONE, true);
        probe->health.state.policy.stale_usec = USEC_NEVER;
}

bool sim_worker_is_alive(const SimWorker *self) {
        return !self->given_up && self->process.alive;
}

void sim_worker_show(World *world, SimWorker *self, hale_status status) {
        sim_probe_tell(world, self->probe, status);
}

void sim_worker_gate_live(World *world, SimWorker *self, bool live) {
        sim_probe_set_gates(world, self->probe, self->gates | (live ? HALE_GATE_LIVE : 0));
}

static void worker_runs(World *world, SimWorker *self) {
        if (self->state != HALE_WORKER_STARTING)
                return;

        sim_process_begin(world, self);
        hold_worker_runs(world, self);
        self->state = HALE_WORKER_RUNNING;
        restart_begun(&self->restart, world->now);
        world_set_timer(world, &self->timer, restart_settles_at(&self->restart));
        sim_beat_begin(world, self);
        sim_worker_show(world, self, self->restart.backoff.n_attempts == 0 ? HALE_PASS : HALE_WARN);
}

void sim_worker_start(World *world, SimWorker *self) {
        world_note(world, "worker starts", self->probe->index, 0);
        hold_worker_start(world, self);
        self->asked = self->again = self->killed = self->given_up = self->unborn = false;
        self->state = HALE_WORKER_STARTING;
        if (world_chance(world, 10)) {
                self->unborn = true;
                world_set_timer(world, &self->timer, 0);
                return;
        }

        sim_process_start(world, self);
        world_set_timer(world, &self->timer, world->now + WORKER_START_USEC);
        if (self->is_thread)
                worker_runs(world, self);
}

void sim_worker_ask(World *world, SimWorker *self, uint64_t limit_usec) {
        if (!sim_worker_is_alive(self) || self->asked)
                return;

        world_note(world, "worker asked", self->probe->index, limit_usec);
        hold_worker_asked(world, self, limit_usec);
        self->asked = true;
        self->stop_limit_usec = limit_usec;
        sim_beat_end(world, self);
        self->state = HALE_WORKER_STOPPING;
        if (!world->workers_stopping)
                sim_worker_show(world, self, HALE_WARN);
        world_set_timer(world, &self->timer, world->now + limit_usec);
        sim_process_ask(world, self);
}

void sim_worker_kill(World *world, SimWorker *self) {
        uint64_t until = world->now + WORKER_KILL_USEC;

        if (world->workers_stopping)
                until = MIN(until, world->stop_by_usec + WORKERS_REAP_USEC);

        world_note(world, "worker killed", self->probe->index, 0);
        hold_worker_killed(world, self);
        self->killed = true;
        sim_beat_end(world, self);
        self->state = HALE_WORKER_STOPPING;
        world_set_timer(world, &self->timer, until);
        sim_process_kill(world, self);
}

static void worker_start_again(World *world, SimWorker *self, uint64_t at_usec) {
        bool at_once = at_usec - world->now <= RESTART_AT_ONCE_USEC;

        sim_worker_show(world, self, at_once ? HALE_WARN : HALE_FAIL);
        if (sim_worker_is_bound(self))
                sim_group_restart(world, self, at_usec);
        else if (at_once)
                sim_worker_start(world, self);
        else
                world_set_timer(world, &self->timer, at_usec);
}

/* It died of itself, or was killed because it did not do as it should. */
static void worker_died(World *world, SimWorker *self, bool success) {
        uint64_t at_usec = world->now;
        RestartDecision decision =
                restart_ended(&self->restart, success, world->now, &world->jitter, &at_usec);

        world_note(world, "worker died", self->probe->index, decision);
        hold_worker_decided(world, self, success, decision, at_usec);
        if (decision == RESTART_NOT) {
                self->state = HALE_WORKER_ENDED;
                self->ended_well = success;
                sim_worker_show(world, self, success ? HALE_PASS : HALE_FAIL);
        } else if (decision == RESTART_ESCALATE) {
                self->state = HALE_WORKER_FAILED;
                self->again = false;
                sim_worker_show(world, self, HALE_FAIL);
                sim_worker_gate_live(world, self, true);
        } else {
                self->state = HALE_WORKER_WAITING;
                worker_start_again(world, self, at_usec);
                return;
        }

        /* It may have been waited for: killed, it is not asked any more. */
        if (self->group && self->group->pending)
                sim_group_step(world, self->group);
}

/* It stopped because it was asked to. */
static void worker_stopped(World *world, SimWorker *self) {
        bool ended = self->policy.mode == HALE_RESTART_TEMPORARY && !self->again;

        world_note(world, "worker stopped", self->probe->index, 0);
        restart_stopped(&self->restart, world->now);
        self->state = ended ? HALE_WORKER_ENDED : HALE_WORKER_WAITING;
        self->ended_well = true;
        if (world->workers_stopping)
                sim_workers_stop_next(world);
        else if (self->group && self->group->pending)
                sim_group_step(world, self->group);
        else if (self->again && !world->stopping)
                sim_worker_start(world, self);
}

static void worker_gone(World *world, SimWorker *self, bool success) {
        sim_worker_gate_live(world, self, false); /* a thread that hung has returned */
        hold_worker_gone(world, self);
        self->process.alive = false;
        self->died = true;
        self->killed = false;
        sim_beat_end(world, self);
        world_set_timer(world, &self->timer, USEC_NEVER);

        if (self->asked) {
                worker_stopped(world, self);
        } else if (world->stopping) {
                self->state = HALE_WORKER_WAITING;
                if (world->workers_stopping)
                        sim_workers_stop_next(world);
        } else {
                worker_died(world, self, success);
        }
}

void sim_worker_news(World *world, SimWorker *self, const Event *event) {
        if (!self->process.alive || event->generation != self->process.plan)
                return;

        if (event->run == FATE_RUNS)
                worker_runs(world, self);
        else
                worker_gone(world, self, !self->killed && world_chance(world, 330));
}

/* Killed, and still not gone: it hangs in the kernel, or is a thread. */
static void worker_stays(World *world, SimWorker *self) {
        sim_worker_show(world, self, HALE_FAIL);
        if (world->workers_stopping) {
                self->given_up = true;
                sim_workers_stop_next(world);
        }
}

static void worker_start_late(World *world, SimWorker *self) {
        if (self->unborn) {
                self->unborn = false;
                worker_gone(world, self, false);
                return;
        }

        world->sights[SIGHT_WORKER_NO_BEGIN]++;
        sim_worker_show(world, self, HALE_FAIL);
        sim_worker_kill(world, self);
}

static void worker_stop_late(World *world, SimWorker *self) {
        if (self->is_thread || self->killed) {
                worker_stays(world, self);
                return;
        }

        world->sights[SIGHT_WORKER_KILLED]++;
        sim_worker_show(world, self, HALE_FAIL);
        sim_worker_kill(world, self);
}

static void worker_settle(World *world, SimWorker *self) {
        bool settled = restart_settle(&self->restart, world->now);

        hold_worker_settles(world, self, settled);
        if (settled)
                sim_worker_show(world, self, HALE_PASS);
        else
                world_set_timer(world, &self->timer, restart_settles_at(&self->restart));
}

static void worker_due(World *world, void *owner) {
        SimWorker *self = owner;

        if (self->state == HALE_WORKER_WAITING && !world->stopping)
                sim_worker_start(world, self);
        else if (self->state == HALE_WORKER_STARTING)
                worker_start_late(world, self);
        else if (self->state == HALE_WORKER_RUNNING)
                worker_settle(world, self);
        else if (self->state == HALE_WORKER_STOPPING)
                worker_stop_late(world, self);
}

/* Somebody wants it started anew. Returns false if that cannot be. */
bool sim_worker_restart(World *world, SimWorker *self) {
        if (world->stopping || (self->state == HALE_WORKER_FAILED && sim_worker_is_alive(self)))
                return false;

        world_note(world, "worker restart", self->probe->index, 0);
        hold_worker_restart(world, self);
        restart_forgive(&self->restart);
        sim_worker_gate_live(world, self, false);
        self->again = true;
        if (sim_worker_is_bound(self)) {
                if (self->state == HALE_WORKER_FAILED)
                        self->state = HALE_WORKER_WAITING;
                sim_group_restart(world, self, world->now);
        } else if (sim_worker_is_alive(self)) {
                sim_worker_ask(world, self, self->stop_usec);
        } else if (!self->unborn) {
                world_set_timer(world, &self->timer, USEC_NEVER);
                sim_worker_start(world, self);
        }
        return true;
}

void sim_workers_begin(World *world) {
        sim_groups_begin(world);
        for (unsigned i = 0; i < world->n_workers; i++) {
                SimWorker *self = &world->workers[i];

                self->timer.node = (WheelNode)WHEEL_NODE_INIT;
                self->beat_timer.node = (WheelNode)WHEEL_NODE_INIT;
                self->state = HALE_WORKER_WAITING;
                self->died = false;
                restart_init(&self->restart, &self->policy);
                hold_worker_begin(self);
                sim_worker_start(world, self);
        }
}

/* They die with their service. */
void sim_workers_end(World *world) {
        for (unsigned i = 0; i < world->n_workers; i++) {
                world->workers[i].process.alive = false;
                world->workers[i].process.plan++;
        }
}
