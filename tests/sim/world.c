/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * World: the process, its loop, and the manager
 */

#include "base/clock.h"
#include "core/defaults.h"
#include "sim/hold.h"
#include "sim/link.h"
#include "sim/worker.h"

bool world_chance(World *world, unsigned of_1000) {
        return random_below(&world->chance, 1000) < of_1000;
}

void world_note(World *world, const char *what, uint64_t a, uint64_t b) {
        world->trace[world->n_trace++ % TRACE_MAX] = (Trace){ world->now, what, a, b };
}

/* ---- the process ---- */

void world_start(World *world) {
        const GateConfig config = {
                .watchdog_usec = world->watchdog_usec,
                .managed = world_chance(world, 900),
        };

        world->alive = true;
        world->stopping = false;
        world->healing = false;
        world->workers_stopping = false;
        world->incarnation++;
        world->stalled_usec = 0;
        world->gap_pending = false;
        world->maintenance_usec = USEC_NEVER;
        world->pinged_usec = world->now;
        world_note(world, "start", world->incarnation, config.watchdog_usec);

        health_init(&world->health, world->now);
        wheel_init(&world->wheel, world->now);
        wheel_init(&world->timers, world->now);
        gate_init(&world->gate, &config, world->now);
        hold_init(world);
        for (unsigned i = 0; i < world->n_probes; i++) {
                SimProbe *probe = &world->probes[i];

                probe->in = false;
                if (probe->worker)
                        probe->health.state.policy.gates = probe->worker->gates;
                if (probe->link || probe->worker || !world_chance(world, 30))
                        sim_probe_add(world, probe);
        }

        world->health.begun = true;
        sim_probes_activate(world, false);
        sim_workers_begin(world);
        sim_links_begin(world);
        world_push_event(world, EVENT_MISHAP, random_below(&world->chance, USEC_PER_MINUTE), 0);
        world_settle(world);
}

void world_end(World *world) {
        uint64_t wait;
        Backoff before = world->restart_wait;

        world->alive = false;
        world->n_ends++;
        sim_workers_end(world);
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
        if (!old.started && world->health.summary.started && !world->stopping) {
                sim_probes_activate(world, false);
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
                sim_probes_activate(world, true);
        hold_gap(world);
        if (!world->stopping) {
                sim_workers_forgive(world);
                sim_links_forgive(world);
        }
        world_settle(world);
}

void world_set_timer(World *world, SimTimer *timer, uint64_t at_usec) {
        wheel_advance(&world->timers, world->now);
        wheel_set(&world->timers, &timer->node, at_usec);
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
                sim_probe_due(world, CONTAINER_OF(node, SimProbe, node));
        while (world->alive && (node = wheel_pop(&world->timers, world->now))) {
                SimTimer *timer = CONTAINER_OF(node, SimTimer, node);

                timer->fire(world, timer->owner);
        }
        if (world->alive)
                world_settle(world);
}

static uint64_t loop_next(const World *world) {
        uint64_t next;

        if (!world->alive)
                return USEC_NEVER;

        next = MIN(wheel_next(&world->wheel), gate_deadline(&world->gate));
        next = MIN(next, world->maintenance_usec);
        if (world->timers.n_nodes > 0)
                next = MIN(next, wheel_next(&world->timers));
        return world->gap_pending ? world->stalled_usec : MAX(next, world->stalled_usec);
}

/* ---- around it ---- */

static void world_happen(World *world, const Event *event) {
        SimProbe *probe = &world->probes[event->probe];

        if (!world_wake(world))
                return;

        switch (event->kind) {
        case EVENT_ANSWER:
                sim_probe_answer(world, probe, event);
                break;
        case EVENT_PUSH:
                sim_probe_push(world, probe);
                break;
        case EVENT_MISHAP:
                world_push_event(world, EVENT_MISHAP, random_below(&world->chance, USEC_PER_MINUTE),
                                 0);
                world_mishap(world);
                break;
        case EVENT_RUNG:
                sim_ladder_end(world, probe, event);
                break;
        case EVENT_LINK:
                sim_link_news(world, probe->link, event);
                break;
        case EVENT_TELL:
                sim_link_tell(world, probe->link);
                break;
        case EVENT_WORKER:
                sim_worker_news(world, probe->worker, event);
                break;
        case EVENT_RELEASE:
                sim_worker_release(world, probe->worker);
                break;
        case EVENT_STOPPED:
                sim_workers_stop(world);
                break;
        default:
                break;
        }

        if (world->alive)
                world_settle(world);
}

/* Is it about a probe, and that still the one it was? */
static bool event_counts(const World *world, const Event *event) {
        const SimProbe *probe = &world->probes[event->probe];

        return event->kind == EVENT_MISHAP || event->kind == EVENT_STOPPED ||
               (probe->in && probe->life == event->life);
}

static void manager_kill(World *world) {
        hold_killed(world);
        world->n_kills++;
        world_note(world, "killed", 0, 0);
        world_end(world);
}

static void world_outage(World *world) {
        unsigned i = (unsigned)random_below(&world->chance, OUTAGES_MAX);

        world->outage[i] = !world->outage[i];
        world_note(world, "outage", i, world->outage[i]);
        world_push_event(world, EVENT_OUTAGE,
                         random_below(&world->chance,
                                      world->outage[i] ? USEC_PER_MINUTE : world->calm_usec),
                         0);
}

/* What happens whatever the process does. Returns false for what it takes part in. */
static bool world_event_outside(World *world, const Event *event) {
        switch (event->kind) {
        case EVENT_OUTAGE:
                world_outage(world);
                return true;
        case EVENT_SERVER:
                sim_server_event(world, world->probes[event->probe].link);
                return true;
        case EVENT_STARVE:
                sim_starve(world);
                return true;
        case EVENT_START:
                world_start(world);
                return true;
        default:
                return false;
        }
}

static void world_event(World *world, Event event) {
        if (world_event_outside(world, &event))
                return;

        if (!world->alive || event.incarnation != world->incarnation) {
                return; /* it was meant for one who is no more */
        } else if (event.kind == EVENT_ACT) {
                manager_kill(world);
        } else if (world->now < world->stalled_usec) {
                event.at_usec = world->stalled_usec; /* waits until the loop turns */
                event_insert(world, &event);
        } else if (event_counts(world, &event)) {
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
        if (world->n_workers > 0)
                world_push_event(world, EVENT_STARVE,
                                 random_below(&world->chance, 20 * USEC_PER_MINUTE), 0);
        world_start(world);
}

void world_done(World *world) {
        free(world->events);
        for (unsigned i = 0; i < world->n_probes; i++)
                free(world->probes[i].remedies);
        free(world->probes);
        free(world->links);
        free(world->workers);
        free(world->groups);
        world->events = NULL;
        world->probes = NULL;
}
