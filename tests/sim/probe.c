/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Probes: what src/service/probe-run.c does with core/probe-state, with probes that ask
 * things that fail, and others that are told
 */

#include "base/clock.h"
#include "core/defaults.h"
#include "sim/hold.h"
#include "sim/world.h"

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

void sim_probe_activate(World *world, SimProbe *probe) {
        uint64_t spread = probe_spread(probe);

        health_forget(&world->health, &probe->health);
        probe_state_activate(&probe->health.state, world->now, spread, &world->jitter);
        health_remember(&world->health, &probe->health);
        world_note(world, "activate", probe->index, 0);
        hold_activated(world, probe, spread);
        sim_ladder_reset(world, probe);
        probe_schedule(world, probe);
}

void sim_probe_deactivate(World *world, SimProbe *probe) {
        health_forget(&world->health, &probe->health);
        probe_state_deactivate(&probe->health.state);
        health_remember(&world->health, &probe->health);
        world_note(world, "deactivate", probe->index, 0);
        hold_deactivated(world, probe);
        sim_ladder_reset(world, probe);
        probe_schedule(world, probe);
}

bool sim_probe_wanted(const World *world, const SimProbe *probe) {
        const ProbeState *state = &probe->health.state;

        if (!world->health.summary.started)
                return state->policy.gates & HALE_GATE_STARTUP;

        return state->policy.gates != HALE_GATE_STARTUP || !state->passed_once;
}

void sim_probes_activate(World *world, bool anew) {
        for (unsigned i = 0; i < world->n_probes; i++) {
                SimProbe *probe = &world->probes[i];
                bool wanted = probe->in && sim_probe_wanted(world, probe);

                if (wanted && (anew || !probe->health.state.active))
                        sim_probe_activate(world, probe);
                else if (probe->in && !wanted && probe->health.state.active)
                        sim_probe_deactivate(world, probe);
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

void sim_probe_answer(World *world, SimProbe *probe, const Event *event) {
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
        sim_probe_answer(world, probe, &answer);
}

void sim_probe_due(World *world, SimProbe *probe) {
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

/* Somebody says it without being asked. */
void sim_probe_tell(World *world, SimProbe *probe, hale_status result) {
        ProbeChange change;

        health_forget(&world->health, &probe->health);
        probe_state_push(&probe->health.state, result, world->now, &change);
        health_remember(&world->health, &probe->health);
        world_note(world, "push", probe->index, result);
        hold_push(world, probe, result, &change);
        probe_schedule(world, probe);
        sim_ladder_answered(world, probe, result, world->now);
}

void sim_probe_set_gates(World *world, SimProbe *probe, unsigned gates) {
        health_forget(&world->health, &probe->health);
        probe->health.state.policy.gates = gates;
        health_remember(&world->health, &probe->health);
}

void sim_probe_push(World *world, SimProbe *probe) {
        uint64_t interval = probe->health.state.policy.interval_usec;
        hale_status result = probe_result(world, probe);

        if (!world_chance(world, probe->p_never))
                sim_probe_tell(world, probe, result);
        world_push_event(world, EVENT_PUSH, random_between(&world->chance, 1, interval * 3 / 2),
                         probe->index);
}

void sim_probe_add(World *world, SimProbe *probe) {
        ProbePolicy policy = probe->health.state.policy;

        probe_state_init(&probe->health.state, &policy, world->now);
        probe->node = (WheelNode)WHEEL_NODE_INIT;
        probe->in = true;
        probe->life++;
        probe->shadow = (Shadow){ .answered_usec = world->now, .gates = policy.gates };
        health_add(&world->health, &probe->health);
        sim_ladder_begin(world, probe);
        if (policy.pushed && !probe->link && !probe->worker)
                world_push_event(world, EVENT_PUSH,
                                 random_between(&world->chance, 0, policy.interval_usec),
                                 probe->index);
}
