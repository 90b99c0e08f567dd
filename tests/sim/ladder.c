/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Remedies: what src/service/remedy-run.c does with the ladders of the core, with
 * remedies that heal or not, fail, end late, or never.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "core/defaults.h"
#include "sim/hold.h"
#include "sim/link.h"
#include "sim/worker.h"

/* How often a link or a worker is looked at that is being reopened or restarted: seldom enough that
 * a world has something else to do, too. */
#define POLL_USEC (200 * USEC_PER_MSEC)

/* So many can be under way that no sleep is too short for one of them to end. */
#define RUN_MAX_USEC (20 * USEC_PER_SEC)

static void ladder_due(World *world, void *owner);

/* What there is to be reopened and restarted; the program's own functions otherwise. */
static SimCure random_cure(World *world) {
        SimCure cure = (SimCure)random_below(&world->chance, _CURE_MAX);

        if ((cure == CURE_REOPEN && world->n_links == 0) ||
            (cure == CURE_RESTART && world->n_workers == 0))
                return CURE_CALL;

        return cure;
}

void sim_ladder_random(World *world, SimProbe *probe) {
        Random *chance = &world->chance;
        SimLadder *self;

        if (!world_chance(world, 500))
                return;

        self = calloc(1, sizeof(*self));
        if (!self)
                world_fail(world, "no memory");

        probe->remedies = self;
        self->probe = probe;
        self->timer = (SimTimer)SIM_TIMER_INIT(ladder_due, self);
        self->n_rungs = (unsigned)random_between(chance, 1, SIM_RUNGS_MAX);
        for (unsigned i = 0; i < self->n_rungs; i++) {
                RungPolicy *policy = &self->policies[i];

                rung_policy_default(policy, (unsigned)random_between(chance, 1, 6));
                policy->timeout_usec = random_between(chance, USEC_PER_MSEC, RUN_MAX_USEC);
                policy->cooldown_usec = random_below(chance, 5 * USEC_PER_MINUTE);
                policy->budget = (unsigned)random_between(chance, 1, SIM_BUDGET_MAX);
                self->cures[i] = random_cure(world);
        }
}

void sim_ladder_begin(World *world, SimProbe *probe) {
        SimLadder *self = probe->remedies;

        (void)world;
        if (!self)
                return;

        ladder_init(&self->ladder);
        self->timer.node = (WheelNode)WHEEL_NODE_INIT;
        for (unsigned i = 0; i < self->n_rungs; i++)
                (void)ladder_add(&self->ladder, &self->policies[i], self->times[i]);
        hold_ladder_begin(self);
}

static uint64_t patience(const SimProbe *probe) {
        const ProbePolicy *policy = &probe->health.state.policy;

        return policy->pushed ? policy->interval_usec + policy->timeout_usec
                              : 2 * policy->timeout_usec + FAST_INTERVAL_USEC;
}

/* What the service does in a timer of its own is due at once. */
static void heard(World *world, SimLadder *self) {
        world_set_timer(world, &self->timer,
                        self->ladder.state == LADDER_VERIFYING ? 0
                                                               : ladder_deadline(&self->ladder));
        hold_ladder_settled(world, self);
}

void sim_ladder_answered(World *world, SimProbe *probe, hale_status result, uint64_t asked_usec) {
        SimLadder *self = probe->remedies;
        LadderEnd end;

        if (!self || result == HALE_UNKNOWN)
                return;

        if (result == HALE_FAIL) {
                ladder_fails(&self->ladder, asked_usec, patience(probe), world->now);
                hold_ladder_failed(self);
        } else if (ladder_passes(&self->ladder, asked_usec,
                                 probe->health.state.verdict != HALE_FAIL, &end)) {
                hold_ladder_over(world, self, &end);
        }

        if (self->ladder.state == LADDER_IDLE)
                hold_ladder_calm(self);
        heard(world, self);
}

void sim_ladder_silent(World *world, SimProbe *probe) {
        SimLadder *self = probe->remedies;

        if (!self)
                return;

        ladder_silent(&self->ladder, patience(probe), world->now);
        self->n_failures = UINT32_MAX;
        heard(world, self);
}

void sim_ladder_reset(World *world, SimProbe *probe) {
        SimLadder *self = probe->remedies;
        bool running;
        LadderEnd end;

        if (!self)
                return;

        running = self->ladder.state == LADDER_RUNNING;
        if (ladder_reset(&self->ladder, world->now, &end)) {
                if (running)
                        hold_ladder_stopped(world, self, false);
                hold_ladder_over(world, self, &end);
        }
        hold_ladder_calm(self);
        heard(world, self);
}

void sim_ladder_drop(World *world, SimProbe *probe) {
        if (probe->remedies)
                wheel_remove(&world->timers, &probe->remedies->timer.node);
}

static SimLink *ladder_link(World *world, const SimLadder *self) {
        return self->probe->link ? self->probe->link
                                 : &world->links[self->probe->index % world->n_links];
}

static SimWorker *ladder_worker(World *world, const SimLadder *self) {
        return self->probe->worker ? self->probe->worker
                                   : &world->workers[self->probe->index % world->n_workers];
}

/* What has become of the present run: PENDING, 0, or a negative errno. */
#define PENDING 1

/* One that works ends the common cause; the probes then find out. */
static int cure_call(World *world, const SimLadder *self) {
        int result = world_chance(world, 100) ? -EIO : 0;

        (void)self;
        if (result == 0 && world_chance(world, 500))
                memset(world->outage, 0, sizeof(world->outage));

        return result;
}

static int cure_reopen(World *world, const SimLadder *self) {
        LinkStatus status = ladder_link(world, self)->state.status;

        return status == LINK_UP ? 0 : status == LINK_CONNECTING ? PENDING : -ENOTCONN;
}

static int cure_restart(World *world, const SimLadder *self) {
        hale_worker_state state = ladder_worker(world, self)->state;

        return state == HALE_WORKER_RUNNING                                ? 0
               : state == HALE_WORKER_ENDED || state == HALE_WORKER_FAILED ? -ECHILD
                                                                           : PENDING;
}

static int (*const cures[])(World *world, const SimLadder *self) = {
        [CURE_CALL] = cure_call,
        [CURE_REOPEN] = cure_reopen,
        [CURE_RESTART] = cure_restart,
};

static_assert(ELEMENTSOF(cures) == _CURE_MAX, "a kind of remedy lacks its end");

void sim_ladder_end(World *world, SimProbe *probe, const Event *event) {
        SimLadder *self = probe->remedies;
        bool present = self->running && self->ladder.generation == event->generation;
        SimCure cure = (SimCure)event->run;
        int result = present || cure == CURE_CALL ? cures[cure](world, self) : -EIO;

        if (result == PENDING) {
                event_add(world, *event, POLL_USEC);
                return;
        }

        HOLD(world, ladder_ended(&self->ladder, event->generation, result, world->now) == present,
             "the end of probe %u's remedy, present: %d", probe->index, present);
        if (!present) {
                world->sights[SIGHT_RUNG_LATE]++;
                return;
        }

        world_note(world, "remedy ends", probe->index, self->ladder.current);
        world->sights[SIGHT_WORKER_CURED] += cure == CURE_RESTART && result == 0;
        hold_ladder_stopped(world, self, false);
        heard(world, self);
}

static void begin_run(World *world, SimLadder *self) {
        uint64_t limit = self->ladder.rungs[self->ladder.current].policy.timeout_usec;
        SimCure cure = self->cures[self->ladder.current];
        Event end = { .kind = EVENT_RUNG,
                      .probe = self->probe->index,
                      .generation = self->ladder.generation,
                      .run = cure };

        world_note(world, "remedy", self->probe->index, self->ladder.current);
        hold_ladder_run(world, self);
        if (cure == CURE_REOPEN) {
                SimLink *link = ladder_link(world, self);

                link->shadow.curing = sim_link_reopen(world, link) != LINK_LATE;
        } else if (cure == CURE_RESTART) {
                (void)sim_worker_restart(world, ladder_worker(world, self));
        }

        if (cure != CURE_CALL)
                event_add(world, end, POLL_USEC);
        else if (!world_chance(world, 100)) /* else it never ends */
                event_add(world, end, random_below(&world->chance, limit + limit / 4));
}

static void verify(World *world, SimLadder *self) {
        SimProbe *probe = self->probe;
        ProbeState *state = &probe->health.state;
        LadderEnd end;
        bool hurried;

        /* Who tells by himself may have told already, while we were at it. */
        if (state->policy.pushed) {
                if (state->answered_usec >= self->ladder.began_usec &&
                    (state->result == HALE_PASS || state->result == HALE_WARN) &&
                    ladder_passes(&self->ladder, self->ladder.ended_usec,
                                  state->verdict != HALE_FAIL, &end))
                        hold_ladder_over(world, self, &end);
                if (self->ladder.state == LADDER_IDLE)
                        hold_ladder_calm(self);
                return;
        }

        hurried = probe_state_hurry(&probe->health.state, world->now);
        hold_hurried(world, probe, hurried);
        wheel_advance(&world->wheel, world->now);
        wheel_set(&world->wheel, &probe->node, probe_state_deadline(&probe->health.state));
}

/* Returns false when there is nothing more to do for now. */
static bool do_wish(World *world, SimLadder *self, LadderWish wish, const LadderEnd *end) {
        switch (wish) {
        case LADDER_RUN:
                begin_run(world, self);
                return true;
        case LADDER_LATE:
                world->sights[SIGHT_RUNG_TIMEOUT]++;
                hold_ladder_stopped(world, self, true);
                return true;
        case LADDER_OVER:
                hold_ladder_over(world, self, end);
                return true;
        case LADDER_GAVE_UP:
                world_note(world, "remedies spent", self->probe->index, 0);
                hold_ladder_spent(world, self);
                return true;
        case LADDER_VERIFY:
                verify(world, self);
                return false;
        case LADDER_WAIT:
        default:
                return false;
        }
}

static void ladder_due(World *world, void *owner) {
        SimLadder *self = owner;
        LadderEnd end;
        bool more;

        if (world->stopping)
                return;

        do {
                bool spent = self->ladder.state == LADDER_SPENT;
                LadderWish wish = ladder_step(&self->ladder, world->now, &end);

                /* A new climb begins, and perhaps ends at once. */
                if (spent && (self->ladder.state != LADDER_SPENT || wish == LADDER_GAVE_UP))
                        hold_ladder_calm(self);
                more = do_wish(world, self, wish, &end);
        } while (more);

        world_set_timer(world, &self->timer, ladder_deadline(&self->ladder));
        hold_ladder_settled(world, self);
}

bool sim_ladders_heal(const World *world) {
        if (world->health.summary.live || world->gate.state > GATE_WITHHELD)
                return false;

        for (unsigned i = 0; i < world->n_probes; i++) {
                const SimProbe *probe = &world->probes[i];

                if (!probe->in || health_probe_passes(&probe->health, HALE_GATE_LIVE))
                        continue;
                if (!probe->remedies || !ladder_is_healing(&probe->remedies->ladder))
                        return false;
        }

        return true;
}
