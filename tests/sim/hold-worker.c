/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What must hold of workers
 *
 *   - nobody is started who is alive, nobody is asked to stop twice, and nobody is
 *     started by a service that stops;
 *   - never more than max_restarts own restarts within a window, each at once or within
 *     the longest wait; who escalates is not started again by itself, and closes `live`;
 *   - who hangs is found within the limit and what the looks add to it; nobody is killed
 *     for time in which it could not run, but for HEARTBEAT_PATIENCE limits of it;
 *   - within a restart of several the last stops first, and the first starts when all
 *     are gone; a death in a one-for-one group stops nobody; a restart comes to its end;
 *   - all are stopped in the reverse order, and within their time.
 */

#include "base/clock.h"
#include "core/defaults.h"
#include "sim/hold.h"
#include "sim/worker.h"

#define HOLD_WORKER(world, condition, worker, what)                                                \
        HOLD(world, condition, "worker %u " what, (worker)->probe->index)

void hold_worker_begin(SimWorker *self) {
        self->shadow = (ShadowWorker){ .latest_usec = USEC_NEVER };
        self->probe->shadow.gates = self->gates;
}

/* A thread that hangs is still there, and nobody waits for it. */
static bool is_in_the_way(const SimWorker *self) {
        return self->shadow.alive && !self->shadow.escalated && !self->given_up;
}

/* Those of its group that come after it and are restarted with it. */
static void hold_later_gone(World *world, const SimWorker *self) {
        const SimGroup *group = self->group;

        HOLD_WORKER(world, group->pending && self->member >= group->range.first, self,
                    "is not concerned");
        for (unsigned i = self->member + 1; i <= group->range.last; i++)
                HOLD_WORKER(world, !is_in_the_way(&group->members[i]), self,
                            "comes before one that comes after it");
}

void hold_worker_start(World *world, SimWorker *self) {
        ShadowWorker *shadow = &self->shadow;

        HOLD_WORKER(world, world->alive && !world->stopping, self, "is started by one that goes");
        HOLD_WORKER(world, !shadow->alive, self, "is started while it is alive");
        HOLD_WORKER(world, !shadow->escalated, self, "is started after it escalated");
        HOLD_WORKER(world,
                    !shadow->ended || shadow->wanted ||
                            (sim_worker_is_bound(self) &&
                             self->policy.mode != HALE_RESTART_TEMPORARY),
                    self, "is started after it ended");
        HOLD_WORKER(world, world->now >= shadow->earliest_usec, self, "is started early");
        if (sim_worker_is_bound(self) && self->died)
                hold_later_gone(world, self);
        else
                HOLD_WORKER(world, hold_in_time(world, shadow->latest_usec), self,
                            "is started late");

        shadow->alive = true;
        shadow->ended = shadow->asked = shadow->killed = shadow->hung = shadow->wanted = false;
        shadow->started_usec = world->now;
        shadow->begun_usec = 0;
        shadow->earliest_usec = 0;
        shadow->latest_usec = USEC_NEVER;
}

void hold_worker_runs(World *world, SimWorker *self) {
        self->shadow.begun_usec = world->now;
}

void hold_worker_asked(World *world, SimWorker *self, uint64_t limit_usec) {
        ShadowWorker *shadow = &self->shadow;

        HOLD_WORKER(world, shadow->alive && !shadow->asked, self, "is asked in vain");
        HOLD_WORKER(world, limit_usec <= self->stop_usec, self, "is given too much time");
        if (world->workers_stopping) {
                for (unsigned i = self->index + 1; i < world->n_workers; i++)
                        HOLD_WORKER(world,
                                    !world->workers[i].shadow.alive || world->workers[i].given_up,
                                    self, "is stopped before one that comes after it");
        } else if (sim_worker_is_bound(self)) {
                hold_later_gone(world, self);
        } else {
                HOLD_WORKER(world, self->again, self, "is stopped for another's death");
        }

        shadow->asked = true;
        shadow->asked_usec = world->now;
        shadow->limit_usec = limit_usec;
}

/* Since the last beat, or the beginning, for who looks. */
static uint64_t silent_since(const SimWorker *self) {
        return MAX(self->process.beat_usec, self->shadow.begun_usec);
}

void hold_worker_hung(World *world, SimWorker *self) {
        uint64_t limit = self->heartbeat_usec, silent = world->now - silent_since(self);
        const SimProcess *process = &self->process;
        bool could = process->could_usec >= limit;

        HOLD_WORKER(world, self->shadow.begun_usec > 0 && !self->process.traced, self,
                    "is looked at out of turn");
        HOLD(world,
             process->could_usec + process->unseen_usec >= limit ||
                     silent >= HEARTBEAT_PATIENCE * limit || (!world->schedstat && silent >= limit),
             "worker %u is killed for %" PRIu64 " of %" PRIu64 ", and could beat in %" PRIu64,
             self->probe->index, silent, limit, self->process.could_usec);
        HOLD_WORKER(world, !could || sim_process_hangs(world, &self->process), self,
                    "is well and killed");

        self->shadow.hung = true;
        world->sights[SIGHT_WORKER_PATIENCE] += silent >= HEARTBEAT_PATIENCE * limit;
        if (!self->is_thread) {
                world->sights[SIGHT_WORKER_HUNG]++;
                return;
        }

        world->sights[SIGHT_THREAD_HUNG]++;
        self->shadow.escalated = true;
        self->probe->shadow.gates |= HALE_GATE_LIVE;
}

void hold_worker_killed(World *world, SimWorker *self) {
        ShadowWorker *shadow = &self->shadow;
        uint64_t now = world->now;

        HOLD_WORKER(world, shadow->alive && !self->is_thread, self, "cannot be killed");
        HOLD_WORKER(world,
                    shadow->hung ||
                            (shadow->asked &&
                             now >= MIN(shadow->asked_usec + shadow->limit_usec,
                                        world->workers_stopping ? world->stop_by_usec
                                                                : USEC_NEVER)) ||
                            (shadow->begun_usec == 0 &&
                             now >= shadow->started_usec + WORKER_START_USEC),
                    self, "is killed without need");
        shadow->killed = true;
}

void hold_worker_gone(World *world, SimWorker *self) {
        ShadowWorker *shadow = &self->shadow;

        HOLD_WORKER(world, shadow->alive, self, "is gone twice");
        if (shadow->begun_usec > 0 && world->now - shadow->begun_usec >= self->policy.stable_usec)
                shadow->n_waits = 0;
        world->sights[SIGHT_THREAD_BACK] += shadow->escalated;
        world->sights[SIGHT_WORKER_DIED] += !shadow->asked;
        shadow->alive = shadow->escalated = false;
        shadow->begun_usec = 0;
        self->probe->shadow.gates = self->gates;
}

/* The @n-th of its last restarts, from 1. */
static uint64_t restart_before(const ShadowWorker *shadow, unsigned n) {
        return shadow->restarts[(shadow->n_restarts - n) % SIM_RESTARTS_MAX];
}

static void hold_restart(World *world, SimWorker *self, uint64_t at_usec) {
        const RestartPolicy *policy = &self->policy;
        ShadowWorker *shadow = &self->shadow;
        uint64_t wait = at_usec - world->now;
        uint64_t longest = shadow->n_waits == 0
                                   ? 0
                                   : MIN(policy->backoff_min_usec << MIN(shadow->n_waits - 1, 30U),
                                         policy->backoff_max_usec);

        HOLD(world, wait <= longest, "worker %u waits %" PRIu64 ", not %" PRIu64,
             self->probe->index, wait, longest);
        HOLD_WORKER(world, policy->max_restarts > 0, self, "may not be restarted");
        if (shadow->n_restarts >= policy->max_restarts)
                HOLD_WORKER(world,
                            at_usec - restart_before(shadow, policy->max_restarts) >=
                                    policy->window_usec,
                            self, "is restarted too often");
        shadow->restarts[shadow->n_restarts++ % SIM_RESTARTS_MAX] = at_usec;
        shadow->n_waits++;
        shadow->earliest_usec = wait > RESTART_AT_ONCE_USEC ? at_usec : world->now;
        shadow->latest_usec = sim_worker_is_bound(self) ? USEC_NEVER : at_usec + hold_slack(wait);
}

/* Would one more restart, now or after a wait, be more than there may be in a window? */
static bool is_too_often(const World *world, const SimWorker *self) {
        const ShadowWorker *shadow = &self->shadow;
        unsigned max = self->policy.max_restarts;

        return max == 0 ||
               (shadow->n_restarts >= max &&
                usec_sub(world->now, restart_before(shadow, max)) < self->policy.window_usec);
}

void hold_worker_decided(World *world,
                         SimWorker *self,
                         bool success,
                         RestartDecision decision,
                         uint64_t at_usec) {
        const RestartPolicy *policy = &self->policy;
        ShadowWorker *shadow = &self->shadow;
        bool wanted = policy->mode == HALE_RESTART_PERMANENT ||
                      (policy->mode == HALE_RESTART_TRANSIENT && !success);

        HOLD_WORKER(world, (decision != RESTART_NOT) == wanted, self, "is against its policy");
        if (decision == RESTART_AT) {
                hold_restart(world, self, at_usec);
        } else if (decision == RESTART_NOT) {
                shadow->ended = true;
                shadow->ended_well = success;
                world->sights[SIGHT_WORKER_ENDED]++;
        } else {
                HOLD_WORKER(world, is_too_often(world, self), self, "escalates without need");
                shadow->escalated = true;
                shadow->wanted = false;
                self->probe->shadow.gates |= HALE_GATE_LIVE;
                world->sights[SIGHT_WORKER_ESCALATED]++;
        }
}

void hold_worker_settles(World *world, SimWorker *self, bool settled) {
        ShadowWorker *shadow = &self->shadow;

        HOLD_WORKER(world,
                    !settled || (shadow->begun_usec > 0 &&
                                 world->now - shadow->begun_usec >= self->policy.stable_usec),
                    self, "has not lasted");
        if (settled)
                shadow->n_waits = 0;
        world->sights[SIGHT_WORKER_SETTLED] += settled;
}

/* By hand, or by a remedy: what has been counts no more. */
void hold_worker_restart(World *world, SimWorker *self) {
        ShadowWorker *shadow = &self->shadow;

        world->sights[SIGHT_WORKER_FORGIVEN] += shadow->escalated;
        shadow->escalated = shadow->ended = false;
        shadow->wanted = true;
        shadow->n_waits = shadow->n_restarts = 0;
        shadow->earliest_usec = 0;
        shadow->latest_usec = USEC_NEVER;
        self->probe->shadow.gates = self->gates;
}

/*
 * By when a silent worker must have been found to hang: within the limit, and what timers add. One
 * that spins might have been starved as well, and what it ran before the look that saw its last
 * beat is held for that; what has kept it from running may have done so since the look before.
 */
static uint64_t hung_by(const World *world, const SimWorker *self) {
        const SimProcess *process = &self->process;
        uint64_t limit = self->heartbeat_usec;
        uint64_t since = MAX(silent_since(self), world->books.gap_usec);
        uint64_t slack = hold_slack(limit) + limit / 4 + 2 * USEC_PER_MSEC;
        uint64_t disturbed = MAX(process->disturbed_usec, world->books.disturbed_usec);
        uint64_t forgiven = MAX(process->traced_usec + limit + slack, world->books.disturbed_usec);
        uint64_t patience = MAX(since, forgiven) + (HEARTBEAT_PATIENCE + 1) * limit + slack;

        if (process->traced || !world->schedstat)
                return USEC_NEVER;
        if (process->waits_usec > 0)
                return patience;
        if (!process->spins && disturbed + 2 * (limit + slack) < since)
                return since + limit + slack;

        return MIN(MAX(since, disturbed) + process->waited_usec + 2 * (limit + slack), patience);
}

/* It is not there: somebody is to start it, and in time. */
static bool is_awaited(const World *world, const SimWorker *self) {
        const ShadowWorker *shadow = &self->shadow;

        if (sim_worker_is_bound(self))
                return self->group->pending ||
                       (self->policy.mode == HALE_RESTART_TEMPORARY && !shadow->wanted);

        return shadow->latest_usec != USEC_NEVER && hold_in_time(world, shadow->latest_usec);
}

static void hold_worker_settled(World *world, const SimWorker *self) {
        const ShadowWorker *shadow = &self->shadow;
        hale_status verdict = self->probe->shadow.verdict;
        bool runs = shadow->begun_usec > 0 && !shadow->asked && !shadow->killed;
        bool awaits = self->group && self->group->pending; /* its turn to stop */

        HOLD_WORKER(world, self->probe->health.state.policy.gates == self->probe->shadow.gates,
                    self, "closes the wrong gates");
        HOLD_WORKER(world,
                    !shadow->escalated || (verdict == HALE_FAIL && !world->health.summary.live),
                    self, "is beyond help, and live open");
        if (shadow->ended)
                HOLD_WORKER(world, verdict == (shadow->ended_well ? HALE_PASS : HALE_FAIL), self,
                            "has ended, and does not say so");
        if (runs && !shadow->escalated) {
                HOLD_WORKER(world,
                            awaits || verdict == (shadow->n_waits == 0 ? HALE_PASS : HALE_WARN),
                            self, "runs, and does not say so");
                if (self->heartbeat_usec > 0)
                        HOLD_WORKER(world, hold_in_time(world, hung_by(world, self)), self,
                                    "hangs, and nobody sees it");
        }
        if (world->stopping)
                return;

        if (!shadow->alive)
                HOLD_WORKER(world, shadow->ended || shadow->escalated || is_awaited(world, self),
                            self, "is not started again");
        else if (shadow->begun_usec == 0 && !shadow->asked && !shadow->killed)
                HOLD_WORKER(world,
                            hold_in_time(world, shadow->started_usec + WORKER_START_USEC +
                                                        hold_slack(WORKER_START_USEC)),
                            self, "never begins");
        else if (shadow->asked && !shadow->killed && !self->is_thread)
                HOLD_WORKER(world,
                            hold_in_time(world, shadow->asked_usec + shadow->limit_usec +
                                                        hold_slack(shadow->limit_usec)),
                            self, "does not stop, and is not killed");
}

void hold_workers_settled(World *world) {
        for (unsigned i = 0; i < world->n_workers; i++) {
                sim_process_live(world, &world->workers[i].process, world->now);
                hold_worker_settled(world, &world->workers[i]);
        }
}
