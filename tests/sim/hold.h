/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Hold: what is told of what happens, and ends the world in which something is not as it
 * must be. The books of links and workers are with them, in link.h and worker.h.
 */

#include "sim/world.h"

#define HOLD(world, condition, ...)                                                                \
        do {                                                                                       \
                if (!(condition))                                                                  \
                        world_fail(world, "does not hold: " #condition ": " __VA_ARGS__);          \
        } while (0)

/* hold-ladder.c */
void hold_ladder_begin(SimLadder *self);
void hold_ladder_failed(SimLadder *self);
void hold_ladder_run(World *world, SimLadder *self);
void hold_ladder_stopped(World *world, SimLadder *self, bool late);
void hold_ladder_over(World *world, SimLadder *self, const LadderEnd *end);
void hold_ladder_spent(World *world, SimLadder *self);
void hold_ladder_calm(SimLadder *self);
void hold_ladder_settled(World *world, SimLadder *self);
void hold_ladder_gate(World *world, unsigned actions);

/* invariants.c: how much later than asked the wheel may wake us, and whether it is not later than
 * that, or than the loop turned again */
uint64_t hold_slack(uint64_t delay_usec);
bool hold_in_time(const World *world, uint64_t latest_usec);

/* invariants.c: told after each of these */
void hold_init(World *world);
void hold_activated(World *world, SimProbe *probe, uint64_t spread_usec);
void hold_deactivated(World *world, SimProbe *probe);
void hold_hurried(World *world, SimProbe *probe, bool hurried);
void hold_run(World *world, SimProbe *probe, uint64_t run);
void hold_timeout(World *world, SimProbe *probe, const ProbeChange *change);
void hold_stale(World *world, SimProbe *probe, const ProbeChange *change);
void hold_answer(World *world,
                 SimProbe *probe,
                 uint64_t run,
                 hale_status result,
                 bool applied,
                 const ProbeChange *change);
void hold_push(World *world, SimProbe *probe, hale_status result, const ProbeChange *change);
void hold_gap(World *world);
void hold_gate(World *world, GateState before, unsigned actions);
void hold_settled(World *world);
void hold_killed(World *world);
void hold_backoff(World *world, const Backoff *before, uint64_t wait_usec);
