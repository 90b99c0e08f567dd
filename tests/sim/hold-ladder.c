/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What must hold of remedies: one of a ladder at a time, none before its turn, none
 * while it cools down or above its budget, an end for each, and for the gate: as long
 * as all that keep `live` closed have one left, systemd is not asked to act.
 */

#include <string.h>

#include "base/clock.h"
#include "core/defaults.h"
#include "sim/hold.h"
#include "sim/world.h"

void hold_ladder_begin(SimLadder *self) {
        memset(self->rungs, 0, sizeof(self->rungs));
        for (unsigned i = 0; i < self->n_rungs; i++)
                self->rungs[i].cooldown_usec = self->policies[i].cooldown_usec;
        self->running = self->verifying = self->spent = false;
        self->climbed = 0;
        self->n_failures = self->n_ends = 0;
}

void hold_ladder_failed(SimLadder *self) {
        self->n_failures++;
}

/* The trouble is over, or is looked at anew. */
void hold_ladder_calm(SimLadder *self) {
        self->climbed = 0;
        self->spent = false;
        if (self->ladder.state == LADDER_IDLE)
                self->n_failures = 0;
}

void hold_ladder_run(World *world, SimLadder *self) {
        unsigned i = self->ladder.current, n = 0;
        const RungPolicy *policy = &self->policies[i];
        ShadowRung *rung = &self->rungs[i];

        HOLD(world, !self->running && !self->verifying, "two remedies of probe %u at once",
             self->probe->index);
        HOLD(world, !world->stopping, "a service that goes repairs itself");
        HOLD(world, i >= self->climbed, "remedy %u of probe %u twice in a climb", i,
             self->probe->index);
        HOLD(world, self->n_failures >= policy->after, "remedy %u before its time", i);
        HOLD(world, world->now >= rung->ready_usec, "remedy %u is still cooling down", i);
        for (unsigned j = 0; j < SIM_BUDGET_MAX; j++)
                n += rung->starts[j] > 0 && world->now - rung->starts[j] < REMEDY_BUDGET_USEC;
        HOLD(world, n < policy->budget, "remedy %u is above its budget", i);

        if (world->now >= rung->ready_usec + REMEDY_STABLE_USEC)
                rung->cooldown_usec = policy->cooldown_usec;
        memmove(rung->starts + 1, rung->starts, sizeof(rung->starts) - sizeof(rung->starts[0]));
        rung->starts[0] = world->now;
        rung->n_runs++;
        self->running = true;
        self->climbed = i + 1;
}

void hold_ladder_stopped(World *world, SimLadder *self, bool late) {
        unsigned i = self->ladder.current;
        const RungPolicy *policy = &self->policies[i];
        ShadowRung *rung = &self->rungs[i];

        HOLD(world, self->running, "what did not run has ended");
        HOLD(world, !late || world->now >= rung->starts[0] + policy->timeout_usec, "too early");
        rung->ready_usec = world->now + rung->cooldown_usec;
        rung->cooldown_usec = MIN(2 * rung->cooldown_usec, REMEDY_COOLDOWN_MAX_USEC);
        self->stopped_usec = world->now;
        self->running = false;
        self->verifying = true;
}

void hold_ladder_over(World *world, SimLadder *self, const LadderEnd *end) {
        static const Sight sights[] = {
                [RUNG_HEALED] = SIGHT_RUNG_HEALED,     [RUNG_NO_HELP] = SIGHT_RUNG_IN_VAIN,
                [RUNG_ERROR] = SIGHT_RUNG_IN_VAIN,     [RUNG_TIMEOUT] = SIGHT_RUNG_IN_VAIN,
                [RUNG_CANCELED] = SIGHT_RUNG_CANCELED,
        };
        const ProbeState *state = &self->probe->health.state;

        HOLD(world, self->verifying, "over before it was verified");
        HOLD(world, end->outcome != RUNG_DONE, "nobody pressed");
        HOLD(world, end->rung == self->ladder.current, "rung %u", end->rung);
        if (end->outcome == RUNG_HEALED)
                HOLD(world,
                     (state->result == HALE_PASS || state->result == HALE_WARN) &&
                             (state->policy.pushed || state->started_usec >= self->stopped_usec),
                     "probe %u is said to be healed", self->probe->index);
        self->verifying = false;
        self->n_ends++;
        world->sights[sights[end->outcome]]++;
}

/* Nothing may be left: each rung was had in this climb, or may not be used. */
void hold_ladder_spent(World *world, SimLadder *self) {
        uint64_t n_refused = 0;

        HOLD(world, !self->running && !self->verifying, "spent in the midst of one");
        for (unsigned i = 0; i < self->n_rungs; i++) {
                const Rung *rung = &self->ladder.rungs[i];

                n_refused += rung->n_refused_budget + rung->n_refused_cooldown;
                HOLD(world, self->n_failures >= self->policies[i].after, "remedy %u was not tried",
                     i);
        }
        self->spent = true;
        world->sights[SIGHT_RUNG_REFUSED] += n_refused > 0;
        world->sights[SIGHT_LADDER_SPENT]++;
}

void hold_ladder_settled(World *world, SimLadder *self) {
        const Ladder *ladder = &self->ladder;
        uint64_t n_runs = 0;

        HOLD(world, (ladder->state == LADDER_RUNNING) == self->running, "state %d", ladder->state);
        HOLD(world, (ladder->state == LADDER_VERIFYING) == self->verifying, "state %d",
             ladder->state);
        HOLD(world, (ladder->state == LADDER_SPENT) == self->spent, "state %d", ladder->state);
        for (unsigned i = 0; i < self->n_rungs; i++) {
                HOLD(world, ladder->rungs[i].n_runs == self->rungs[i].n_runs, "miscounted");
                n_runs += self->rungs[i].n_runs;
        }
        HOLD(world, n_runs == self->n_ends + (self->running || self->verifying), "a run was lost");
}

/* From the shadows: what keeps `live` closed, and has nothing left. */
void hold_ladder_gate(World *world, unsigned actions) {
        bool lost = false, closed = false;

        /* Once systemd has been asked to act, nothing of this matters any more. */
        if (world->health.summary.live || world->stopping ||
            (actions == GATE_NOTHING && world->gate.state != GATE_WITHHELD))
                return;

        for (unsigned i = 0; i < world->n_probes; i++) {
                const SimProbe *probe = &world->probes[i];

                if (!probe->in || !(probe->shadow.gates & HALE_GATE_LIVE) ||
                    (probe->shadow.verdict != HALE_FAIL && !probe->shadow.stale))
                        continue;
                closed = true;
                lost = lost || !probe->remedies || probe->remedies->spent;
        }

        HOLD(world, closed, "nothing keeps live closed");
        HOLD(world, lost || !(actions & (GATE_TRIGGER | GATE_EXIT)),
             "systemd is asked to act with a remedy left");
        HOLD(world, !lost || world->gate.state != GATE_WITHHELD, "no remedy left, and nobody acts");
        world->sights[SIGHT_LADDER_SPARED] += actions == GATE_CLOSED;
}
