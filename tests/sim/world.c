/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * World: the process, its loop, and the manager
 */

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "core/defaults.h"
#include "sim/world.h"

bool world_chance(World *world, unsigned of_1000) {
        return random_below(&world->chance, 1000) < of_1000;
}

void world_note(World *world, const char *what, uint64_t a, uint64_t b) {
        world->trace[world->n_trace++ % TRACE_MAX] = (Trace){ world->now, what, a, b };
}

/* ---- probes ---- */

static void probe_schedule(World *world, SimProbe *probe) {
        wheel_advance(&world->wheel, world->now);
        wheel_set(&world->wheel, &probe->node, probe_state_deadline(&probe->health.state));
}

static uint64_t probe_spread(const SimProbe *probe) {
        const ProbePolicy *policy = &probe->health.state.policy;

        if (policy->gates & (HALE_GATE_READY | HALE_GATE_STARTUP))
                return 0;

        return MIN(policy->interval_usec, STAGGER_MAX_USEC);
}

void world_activate(World *world, SimProbe *probe) {
        uint64_t spread = probe_spread(probe);

        health_forget(&world->health, &probe->health);
        probe_state_activate(&probe->health.state, world->now, spread, &world->jitter);
        health_remember(&world->health, &probe->health);
        world_note(world, "activate", probe->index, 0);
        hold_activated(world, probe, spread);
        sim_ladder_reset(world, probe);
        probe_schedule(world, probe);
}

void world_deactivate(World *world, SimProbe *probe) {
        health_forget(&world->health, &probe->health);
        probe_state_deactivate(&probe->health.state);
        health_remember(&world->health, &probe->health);
        world_note(world, "deactivate", probe->index, 0);
        hold_deactivated(world, probe);
        sim_ladder_reset(world, probe);
        probe_schedule(world, probe);
}

bool world_wants(const World *world, const SimProbe *probe) {
        const ProbeState *state = &probe->health.state;

        if (!world->health.summary.started)
                return state->policy.gates & HALE_GATE_STARTUP;

        return state->policy.gates != HALE_GATE_STARTUP || !state->passed_once;
}

static void activate_all(World *world, bool anew) {
        for (unsigned i = 0; i < world->n_probes; i++) {
                SimProbe *probe = &world->probes[i];
                bool wanted = probe->in && world_wants(world, probe);

                if (wanted && (anew || !probe->health.state.active))
                        world_activate(world, probe);
                else if (probe->in && !wanted && probe->health.state.active)
                        world_deactivate(world, probe);
        }
}

static hale_status probe_result(World *world, const SimProbe *probe) {
        unsigned p_fail = world->outage[probe->outage] ? 950 : probe->p_fail;

        if (world_chance(world, probe->p_unknown))
                return HALE_UNKNOWN;
        if (world_chance(world, p_fail))
                return HALE_FAIL;
        return world_chance(world, probe->p_warn) ? HALE_WARN : HALE_PASS;
}

static void probe_take_answer(World *world, SimProbe *probe, const Event *event) {
        hale_status result = probe_result(world, probe);
        ProbeChange change = {};
        bool applied;

        health_forget(&world->health, &probe->health);
        applied = probe_state_end(&probe->health.state, event->generation, result, world->now,
                                  &world->jitter, &change);
        health_remember(&world->health, &probe->health);
        world_note(world, applied ? "answer" : "late answer", probe->index, result);
        hold_answer(world, probe, event->run, result, applied, &change);
        if (applied) {
                probe_schedule(world, probe);
                sim_ladder_answered(world, probe, result, probe->health.state.started_usec);
        }
}

static void probe_run(World *world, SimProbe *probe) {
        const ProbePolicy *policy = &probe->health.state.policy;
        Event answer = { .kind = EVENT_ANSWER, .probe = probe->index, .run = ++world->n_runs };
        uint64_t latency = random_between(&world->chance, 0, probe->latency_usec);

        answer.generation = probe_state_begin(&probe->health.state, world->now);
        world_note(world, "run", probe->index, answer.run);
        hold_run(world, probe, answer.run);
        if (world_chance(world, probe->p_never))
                return;

        if (world_chance(world, probe->p_slow))
                latency = random_between(&world->chance, 0, 5 * policy->timeout_usec);
        if (latency > 0) {
                event_add(world, answer, latency);
                return;
        }

        /* Answered in the callback. */
        probe_take_answer(world, probe, &answer);
}

static void probe_due(World *world, SimProbe *probe) {
        bool woken = true;
        ProbeWish wish;

        do {
                ProbeChange change;

                health_forget(&world->health, &probe->health);
                wish = probe_state_tick(&probe->health.state, world->now, &world->jitter, &change);
                health_remember(&world->health, &probe->health);
                HOLD(world, !woken || wish != PROBE_WAIT, "probe %u woke for nothing",
                     probe->index);
                woken = false;

                if (wish == PROBE_RUN) {
                        probe_run(world, probe);
                } else if (wish == PROBE_TIMEOUT) {
                        world_note(world, "timeout", probe->index, 0);
                        hold_timeout(world, probe, &change);
                        sim_ladder_answered(world, probe, HALE_FAIL,
                                            probe->health.state.started_usec);
                } else if (wish == PROBE_STALE) {
                        world_note(world, "stale", probe->index, 0);
                        hold_stale(world, probe, &change);
                        sim_ladder_silent(world, probe);
                }
        } while (wish != PROBE_WAIT);

        probe_schedule(world, probe);
}

static void probe_push(World *world, SimProbe *probe) {
        uint64_t interval = probe->health.state.policy.interval_usec;
        hale_status result = probe_result(world, probe);
        ProbeChange change;

        if (!world_chance(world, probe->p_never)) {
                health_forget(&world->health, &probe->health);
                probe_state_push(&probe->health.state, result, world->now, &change);
                health_remember(&world->health, &probe->health);
                world_note(world, "push", probe->index, result);
                hold_push(world, probe, result, &change);
                probe_schedule(world, probe);
                sim_ladder_answered(world, probe, result, world->now);
        }
        world_push_event(world, EVENT_PUSH, random_between(&world->chance, 1, interval * 3 / 2),
                         probe->index);
}

/* ---- the process ---- */

void world_add_probe(World *world, SimProbe *probe) {
        ProbePolicy policy = probe->health.state.policy;

        probe_state_init(&probe->health.state, &policy, world->now);
        probe->node = (WheelNode)WHEEL_NODE_INIT;
        probe->in = true;
        probe->life++;
        probe->shadow = (Shadow){ .answered_usec = world->now };
        health_add(&world->health, &probe->health);
        sim_ladder_begin(world, probe);
        if (policy.pushed)
                world_push_event(world, EVENT_PUSH,
                                 random_between(&world->chance, 0, policy.interval_usec),
                                 probe->index);
}

void world_start(World *world) {
        const GateConfig config = {
                .watchdog_usec = world->watchdog_usec,
                .managed = world_chance(world, 900),
        };

        world->alive = true;
        world->stopping = false;
        world->healing = false;
        world->incarnation++;
        world->stalled_usec = 0;
        world->gap_pending = false;
        world->maintenance_usec = USEC_NEVER;
        world->pinged_usec = world->now;
        world_note(world, "start", world->incarnation, config.watchdog_usec);

        health_init(&world->health, world->now);
        wheel_init(&world->wheel, world->now);
        wheel_init(&world->ladders, world->now);
        gate_init(&world->gate, &config, world->now);
        hold_init(world);
        for (unsigned i = 0; i < world->n_probes; i++) {
                world->probes[i].in = false;
                if (!world_chance(world, 30))
                        world_add_probe(world, &world->probes[i]);
        }

        world->health.begun = true;
        activate_all(world, false);
        world_push_event(world, EVENT_MISHAP, random_below(&world->chance, USEC_PER_MINUTE), 0);
        world_settle(world);
}

void world_end(World *world) {
        uint64_t wait;
        Backoff before = world->restart_wait;

        world->alive = false;
        world->n_ends++;
        world_note(world, "end", world->incarnation, 0);

        wait = backoff_next(&world->restart_wait, &world->chance);
        hold_backoff(world, &before, wait);
        if (world_chance(world, 300))
                backoff_reset(&world->restart_wait);
        world_push_event(world, EVENT_START, wait, 0);
}

static void world_gate(World *world) {
        GateState before = world->gate.state;
        unsigned actions;

        world->healing = sim_ladders_heal(world);
        actions = gate_step(&world->gate, world->health.summary.live, world->healing, world->now);
        if (actions)
                world_note(world, "gate", actions, world->gate.state);
        hold_gate(world, before, actions);
        hold_ladder_gate(world, actions);

        if (actions & GATE_PING) {
                world->pinged_usec = world->now;
                world->n_pings++;
        }
        if (actions & GATE_TRIGGER && world->acts)
                world_push_event(world, EVENT_ACT, random_below(&world->chance, 100000), 0);
        if (actions & (GATE_ABORT | GATE_EXIT))
                world_end(world);
}

void world_settle(World *world) {
        HealthSummary old = world->health.summary, ignored;

        if (health_update(&world->health, world->now, &old))
                world_note(world, "health", world->health.summary.status,
                           world->health.summary.live * 2U + world->health.summary.ready);
        if (!old.started && world->health.summary.started) {
                activate_all(world, false);
                (void)health_update(&world->health, world->now, &ignored);
        }

        world_gate(world);
        if (world->alive)
                hold_settled(world);
}

void world_disturb(World *world, uint64_t until_usec) {
        world->stalled_usec = MAX(world->stalled_usec, until_usec);
        world->books.disturbed_usec = MAX(world->books.disturbed_usec, until_usec);
}

/* Time has passed without us: see src/service/tick.c. */
void world_gap(World *world) {
        world_note(world, "gap", 0, 0);
        if (world->gate.state == GATE_OPEN && world->gate.config.watchdog_usec > 0)
                world->gate.ping_usec = world->now;
        if (!world->stopping)
                activate_all(world, true);
        hold_gap(world);
        world_settle(world);
}

/* Comes first whenever the loop turns. Returns false if that was the end. */
static bool world_wake(World *world) {
        if (world->gap_pending) {
                world->gap_pending = false;
                world_gap(world);
        }
        return world->alive;
}

static void world_turn(World *world) {
        WheelNode *node;

        if (!world_wake(world))
                return;
        while ((node = wheel_pop(&world->wheel, world->now)))
                probe_due(world, CONTAINER_OF(node, SimProbe, node));
        sim_ladders_turn(world);
        world_settle(world);
}

static uint64_t loop_next(const World *world) {
        uint64_t next;

        if (!world->alive)
                return USEC_NEVER;

        next = MIN(wheel_next(&world->wheel), gate_deadline(&world->gate));
        next = MIN(next, world->maintenance_usec);
        next = MIN(next, wheel_next(&world->ladders));
        return world->gap_pending ? world->stalled_usec : MAX(next, world->stalled_usec);
}

/* ---- around it ---- */

static void world_happen(World *world, const Event *event) {
        SimProbe *probe = &world->probes[event->probe];

        if (!world_wake(world))
                return;

        switch (event->kind) {
        case EVENT_ANSWER:
                if (probe->in && probe->life == event->life)
                        probe_take_answer(world, probe, event);
                break;
        case EVENT_PUSH:
                if (probe->in && probe->life == event->life)
                        probe_push(world, probe);
                break;
        case EVENT_MISHAP:
                world_push_event(world, EVENT_MISHAP, random_below(&world->chance, USEC_PER_MINUTE),
                                 0);
                world_mishap(world);
                break;
        case EVENT_RUNG:
                if (probe->in && probe->life == event->life)
                        sim_ladder_end(world, probe, event);
                break;
        case EVENT_GONE:
                world_end(world);
                break;
        default:
                break;
        }

        if (world->alive)
                world_settle(world);
}

static void manager_kill(World *world) {
        hold_killed(world);
        world->n_kills++;
        world_note(world, "killed", 0, 0);
        world_end(world);
}

static void world_event(World *world, Event event) {
        if (event.kind == EVENT_OUTAGE) {
                unsigned i = (unsigned)random_below(&world->chance, OUTAGES_MAX);

                world->outage[i] = !world->outage[i];
                world_note(world, "outage", i, world->outage[i]);
                world_push_event(world, EVENT_OUTAGE,
                                 random_below(&world->chance, world->outage[i] ? USEC_PER_MINUTE
                                                                               : world->calm_usec),
                                 0);
        } else if (event.kind == EVENT_START) {
                world_start(world);
        } else if (!world->alive || event.incarnation != world->incarnation) {
                return; /* it was meant for one who is no more */
        } else if (event.kind == EVENT_ACT) {
                manager_kill(world);
        } else if (world->now < world->stalled_usec) {
                event.at_usec = world->stalled_usec; /* waits until the loop turns */
                event_insert(world, &event);
        } else {
                world_happen(world, &event);
        }
}

void world_step(World *world) {
        uint64_t outside = world->n_events > 0 ? world->events[0].at_usec : USEC_NEVER;
        uint64_t loop = loop_next(world), kill = USEC_NEVER;

        if (world->alive && !world->stopping && world->acts && world->watchdog_usec > 0 &&
            world->gate.config.managed)
                kill = world->pinged_usec + world->watchdog_usec;

        world->n_steps++;
        world->now = MAX(world->now, MIN(MIN(outside, loop), kill));
        if (loop <= outside && loop <= kill)
                world_turn(world);
        else if (outside <= kill)
                world_event(world, event_take(world));
        else
                manager_kill(world);
}

void world_init(World *world, uint64_t seed) {
        *world = (World){ .seed = seed, .chance = RANDOM_INIT(seed), .acts = true };

        /* Neighbouring seeds begin alike. */
        for (unsigned i = 0; i < 16; i++)
                (void)random_next(&world->chance);
        world->jitter = (Random)RANDOM_INIT(random_next(&world->chance));
        world->now = random_below(&world->chance, 100 * 24 * USEC_PER_HOUR);
        backoff_init(&world->restart_wait, BACKOFF_FULL, USEC_PER_SEC, USEC_PER_MINUTE);
        world_random(world);
        world_push_event(world, EVENT_OUTAGE, random_below(&world->chance, USEC_PER_MINUTE), 0);
        world_start(world);
}

void world_done(World *world) {
        free(world->events);
        for (unsigned i = 0; i < world->n_probes; i++)
                free(world->probes[i].remedies);
        free(world->probes);
        world->events = NULL;
        world->probes = NULL;
}
