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
#include "sim/world.h"

/* So many can be under way that no sleep is too short for one of them to end. */
#define RUN_MAX_USEC (20 * USEC_PER_SEC)

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
        self->n_rungs = (unsigned)random_between(chance, 1, SIM_RUNGS_MAX);
        for (unsigned i = 0; i < self->n_rungs; i++) {
                RungPolicy *policy = &self->policies[i];

                rung_policy_default(policy, (unsigned)random_between(chance, 1, 6));
                policy->timeout_usec = random_between(chance, USEC_PER_MSEC, RUN_MAX_USEC);
                policy->cooldown_usec = random_below(chance, 5 * USEC_PER_MINUTE);
                policy->budget = (unsigned)random_between(chance, 1, SIM_BUDGET_MAX);
        }
}

static void arm(World *world, SimLadder *self, uint64_t at_usec) {
        wheel_advance(&world->ladders, world->now);
        wheel_set(&world->ladders, &self->node, at_usec);
}

void sim_ladder_begin(World *world, SimProbe *probe) {
        SimLadder *self = probe->remedies;

        (void)world;
        if (!self)
                return;

        ladder_init(&self->ladder);
        self->node = (WheelNode)WHEEL_NODE_INIT;
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
        arm(world, self,
            self->ladder.state == LADDER_VERIFYING ? 0 : ladder_deadline(&self->ladder));
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
                wheel_remove(&world->ladders, &probe->remedies->node);
}

/* A remedy that works ends the common cause; the probes then find out. */
void sim_ladder_end(World *world, SimProbe *probe, const Event *event) {
        SimLadder *self = probe->remedies;
        bool present = self->running && self->ladder.generation == event->generation;
        int result = world_chance(world, 100) ? -EIO : 0;

        if (result == 0 && world_chance(world, 500))
                memset(world->outage, 0, sizeof(world->outage));

        HOLD(world, ladder_ended(&self->ladder, event->generation, result, world->now) == present,
             "the end of probe %u's remedy, present: %d", probe->index, present);
        if (!present) {
                world->sights[SIGHT_RUNG_LATE]++;
                return;
        }

        world_note(world, "remedy ends", probe->index, self->ladder.current);
        hold_ladder_stopped(world, self, false);
        heard(world, self);
}

static void begin_run(World *world, SimLadder *self) {
        uint64_t limit = self->ladder.rungs[self->ladder.current].policy.timeout_usec;
        Event end = { .kind = EVENT_RUNG,
                      .probe = self->probe->index,
                      .generation = self->ladder.generation };

        world_note(world, "remedy", self->probe->index, self->ladder.current);
        hold_ladder_run(world, self);
        if (!world_chance(world, 100)) /* else it never ends */
                event_add(world, end, random_below(&world->chance, limit + limit / 4));
}

static void verify(World *world, SimLadder *self) {
        SimProbe *probe = self->probe;
        bool hurried;

        if (probe->health.state.policy.pushed)
                return;

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

static void ladder_due(World *world, SimLadder *self) {
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

        arm(world, self, ladder_deadline(&self->ladder));
        hold_ladder_settled(world, self);
}

void sim_ladders_turn(World *world) {
        WheelNode *node;

        while ((node = wheel_pop(&world->ladders, world->now)))
                ladder_due(world, CONTAINER_OF(node, SimLadder, node));
}

bool sim_ladders_heal(const World *world) {
        if (world->health.summary.live)
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
