/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Heartbeats: what src/service/worker-beat.c does with core/heartbeat
 */

#include "base/clock.h"
#include "sim/worker.h"

void sim_beat_begin(World *world, SimWorker *self) {
        HeartbeatChance chance;

        if (self->heartbeat_usec == 0)
                return;

        sim_process_look(world, &self->process, &chance);
        heartbeat_begin(&self->heartbeat, self->heartbeat_usec, self->process.beat_usec, &chance,
                        world->now);
        world_set_timer(world, &self->beat_timer, self->heartbeat.due_usec);
}

void sim_beat_end(World *world, SimWorker *self) {
        world_set_timer(world, &self->beat_timer, USEC_NEVER);
}

static void worker_hung(World *world, SimWorker *self) {
        world_note(world, "hangs", self->probe->index, self->heartbeat.silent_usec);
        hold_worker_hung(world, self);
        sim_beat_end(world, self);
        if (!self->is_thread) {
                sim_worker_kill(world, self);
                sim_worker_show(world, self, HALE_WARN);
                return;
        }

        self->state = HALE_WORKER_FAILED;
        sim_worker_show(world, self, HALE_FAIL);
        world_set_timer(world, &self->timer, USEC_NEVER);
        sim_worker_gate_live(world, self, true);
}

void sim_beat_due(World *world, void *owner) {
        SimWorker *self = owner;
        HeartbeatVerdict verdict;
        HeartbeatChance chance;

        if (self->state != HALE_WORKER_RUNNING)
                return;

        sim_process_look(world, &self->process, &chance);
        verdict = heartbeat_check(&self->heartbeat, self->process.beat_usec, &chance, world->now);
        world->sights[SIGHT_WORKER_STARVED] += verdict == HEARTBEAT_STARVED && !chance.traced;
        world->sights[SIGHT_WORKER_TRACED] += chance.traced;
        if (verdict == HEARTBEAT_HUNG)
                worker_hung(world, self);
        else
                world_set_timer(world, &self->beat_timer, self->heartbeat.due_usec);
}

/* The present state, for the probe that was made to forget it. */
static void tell_anew(World *world, SimWorker *self) {
        bool settled = self->restart.backoff.n_attempts == 0;
        const hale_status shown[] = {
                [HALE_WORKER_WAITING] = HALE_FAIL,
                [HALE_WORKER_STARTING] = HALE_FAIL,
                [HALE_WORKER_RUNNING] = settled ? HALE_PASS : HALE_WARN,
                [HALE_WORKER_STOPPING] = HALE_WARN,
                [HALE_WORKER_ENDED] = self->ended_well ? HALE_PASS : HALE_FAIL,
                [HALE_WORKER_FAILED] = HALE_FAIL,
        };

        if (self->state > HALE_WORKER_STARTING || self->died)
                sim_worker_show(world, self, shown[self->state]);
}

void sim_workers_forgive(World *world) {
        for (unsigned i = 0; i < world->n_workers; i++) {
                SimWorker *self = &world->workers[i];

                if (self->state == HALE_WORKER_RUNNING)
                        sim_beat_begin(world, self);
                tell_anew(world, self);
        }
}
