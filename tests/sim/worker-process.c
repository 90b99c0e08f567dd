/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The Processes of Workers, as they are: they begin, beat, hang, spin, starve, are
 * traced, end when they are asked to, or do not
 *
 * A process that beats makes no event of it: what it did is reckoned when somebody
 * looks, and when the machine becomes another.
 */

#include "base/clock.h"
#include "core/defaults.h"
#include "sim/worker.h"

static void plan(World *world, SimWorker *self, Fate fate, uint64_t after_usec) {
        event_add(world,
                  (Event){ .kind = EVENT_WORKER,
                           .probe = self->probe->index,
                           .generation = ++self->process.plan,
                           .run = fate },
                  after_usec);
}

/* How long of [from, until) it waits for a processor that it does not get. */
static void live_starved(SimProcess *self, uint64_t from, uint64_t until) {
        uint64_t wants = self->next_beat_usec < self->hangs_usec ? self->next_beat_usec
                         : self->spins                           ? MAX(self->hangs_usec, from)
                                                                 : USEC_NEVER;

        if (self->waits_usec == 0 && wants < until)
                self->waits_usec = MAX(wants, from);
        self->could_usec += (self->waits_usec == 0 ? until : MAX(self->waits_usec, from)) - from;
}

static void live_free(SimProcess *self, uint64_t from, uint64_t until) {
        uint64_t works = MIN(until, self->hangs_usec - 1);

        self->could_usec += until - from;
        if (self->spins && until > self->hangs_usec)
                self->run_usec += until - MAX(from, self->hangs_usec);
        if (self->next_beat_usec > works)
                return;

        self->beat_usec = self->next_beat_usec +
                          (works - self->next_beat_usec) / self->period_usec * self->period_usec;
        self->next_beat_usec = self->beat_usec + self->period_usec;
        self->could_usec = until - self->beat_usec;
        self->unseen_usec = 0;
        self->run_usec += (works - MIN(from, works)) / 16;
}

void sim_process_live(const World *world, SimProcess *self, uint64_t until) {
        uint64_t from = self->lived_usec;

        if (!self->alive || until <= from)
                return;

        self->lived_usec = until;
        if (self->traced) {
                self->next_beat_usec = usec_add(self->next_beat_usec, until - from);
                self->hangs_usec = usec_add(self->hangs_usec, until - from);
                self->disturbed_usec = until;
        } else if (world->starving) {
                live_starved(self, from, until);
                self->disturbed_usec = until;
        } else {
                live_free(self, from, until);
        }
}

/* There are processors again: who has waited for one gets it, and the kernel adds up how long. Some
 * have work left then before they beat. */
static void process_wake(World *world, SimProcess *self, uint64_t now_usec) {
        if (self->waits_usec == 0)
                return;

        self->waited_usec = now_usec - MIN(self->waits_usec, now_usec);
        self->wait_usec += self->waited_usec;
        self->waits_usec = 0;
        if (self->next_beat_usec >= self->hangs_usec)
                return;

        self->hangs_usec = MAX(self->hangs_usec, now_usec + 1);
        if (world_chance(world, 500)) {
                self->next_beat_usec =
                        now_usec + random_between(&world->chance, 1, self->period_usec / 2 + 1);
                return;
        }

        self->beat_usec = now_usec;
        self->next_beat_usec = now_usec + self->period_usec;
        self->could_usec = self->unseen_usec = 0;
        self->run_usec++;
}

bool sim_process_hangs(const World *world, const SimProcess *self) {
        return self->hangs_usec <= world->now;
}

void sim_process_look(const World *world, SimProcess *self, HeartbeatChance *ret_chance) {
        sim_process_live(world, self, world->now);
        self->seen = self->seen || self->traced;
        *ret_chance = (HeartbeatChance){
                .known = world->schedstat,
                .runnable = !self->traced && (self->waits_usec > 0 ||
                                              (self->spins && sim_process_hangs(world, self))),
                .traced = self->traced,
                .run_usec = self->run_usec,
                .wait_usec = self->wait_usec,
        };
}

void sim_starve(World *world) {
        world->starving = !world->starving;
        world_note(world, "starve", world->starving, 0);
        for (unsigned i = 0; i < world->n_workers; i++) {
                SimProcess *process = &world->workers[i].process;

                world->starving = !world->starving; /* until now it was the other way */
                sim_process_live(world, process, world->now);
                world->starving = !world->starving;
                if (!world->starving && process->alive)
                        process_wake(world, process, MAX(world->now, process->lived_usec));
        }

        world_push_event(world, EVENT_STARVE,
                         world->starving
                                 ? random_below(&world->chance,
                                                USEC_PER_MINUTE >> random_below(&world->chance, 14))
                                 : random_below(&world->chance, 20 * USEC_PER_MINUTE),
                         0);
}

/* A debugger lets go of it, whoever that is by now. */
void sim_worker_release(World *world, SimWorker *self) {
        SimProcess *process = &self->process;

        sim_process_live(world, process, world->now);
        if (process->alive && process->traced && !process->seen)
                process->unseen_usec += world->now - process->traced_usec;
        process->traced_usec = world->now;
        process->traced = false;
}

/* A debugger stops it for a while. */
void sim_worker_trace(World *world, SimWorker *self) {
        SimProcess *process = &self->process;

        sim_process_live(world, process, world->now);
        if (!process->alive || process->waits_usec > 0 || process->traced)
                return;

        world_note(world, "trace", self->probe->index, 0);
        process->traced = true;
        process->seen = false;
        process->traced_usec = world->now;
        world_push_event(world, EVENT_RELEASE,
                         random_below(&world->chance, 3 * (self->heartbeat_usec + USEC_PER_SEC)),
                         self->probe->index);
}

/* How late a look may be without a reason: core/heartbeat takes what is above it for one. */
static bool is_excused(const SimWorker *self, uint64_t until_usec) {
        uint64_t due = self->heartbeat.due_usec, limit = self->heartbeat_usec;

        return usec_sub(until_usec, due) > limit / 4 + 2 * USEC_PER_MSEC;
}

/* They are frozen with their service: for them that time is not. */
void sim_workers_freeze(World *world, uint64_t length_usec) {
        for (unsigned i = 0; i < world->n_workers; i++) {
                SimWorker *self = &world->workers[i];
                SimProcess *process = &self->process;

                sim_process_live(world, process, world->now);
                process->lived_usec = MAX(process->lived_usec, world->now) + length_usec;
                process->disturbed_usec = process->lived_usec;
                process->next_beat_usec = usec_add(process->next_beat_usec, length_usec);
                process->hangs_usec = usec_add(process->hangs_usec, length_usec);
                if ((length_usec < GAP_USEC || world->stopping) &&
                    !is_excused(self, process->lived_usec))
                        process->unseen_usec += length_usec;
        }
}

/* Some never get to their work; a thread is there at once. */
void sim_process_start(World *world, SimWorker *self) {
        Random *chance = &world->chance;

        self->process = (SimProcess){
                .alive = true,
                .plan = self->process.plan + 1,
                .lived_usec = world->now,
                .beat_usec = world->now,
                .next_beat_usec = USEC_NEVER,
                .hangs_usec = USEC_NEVER,
        };
        if (self->is_thread)
                return;
        if (world_chance(world, 970))
                plan(world, self, FATE_RUNS, random_below(chance, 50 * USEC_PER_MSEC));
        else if (world_chance(world, 800))
                plan(world, self, FATE_DIES, random_below(chance, USEC_PER_SEC));
}

/* Some lives are long enough to settle, and some without end. */
void sim_process_begin(World *world, SimWorker *self) {
        SimProcess *process = &self->process;
        Random *chance = &world->chance;

        process->lived_usec = MAX(process->lived_usec, world->now);
        process->beat_usec = process->lived_usec;
        process->could_usec = 0;
        if (self->heartbeat_usec > 0) {
                process->period_usec = random_between(chance, 1, self->heartbeat_usec / 2);
                process->next_beat_usec = process->beat_usec + process->period_usec;
        }
        if (world_chance(world, self->p_hang)) {
                process->hangs_usec = world->now + 1 + random_below(chance, USEC_PER_MINUTE);
                process->spins = world_chance(world, 500);
                if (self->is_thread && world_chance(world, 500))
                        plan(world, self, FATE_DIES, random_below(chance, 5 * USEC_PER_MINUTE));
        } else if (world_chance(world, 950)) {
                plan(world, self, FATE_DIES,
                     random_below(chance, world_chance(world, 250) ? 3 * self->policy.stable_usec
                                                                   : self->life_usec));
        }
}

void sim_process_ask(World *world, SimWorker *self) {
        if (sim_process_hangs(world, &self->process) || world_chance(world, self->p_stubborn)) {
                self->process.plan++; /* it does not hear */
                return;
        }
        plan(world, self, FATE_ENDS, random_below(&world->chance, self->stop_usec * 5 / 4));
}

/* Nobody can be asked or told who hangs in the kernel. */
void sim_process_kill(World *world, SimWorker *self) {
        if (world_chance(world, 20))
                plan(world, self, FATE_ENDS, random_below(&world->chance, 4 * WORKER_KILL_USEC));
        else
                plan(world, self, FATE_ENDS, random_below(&world->chance, 10 * USEC_PER_MSEC));
}
