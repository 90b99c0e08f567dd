/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Chance: what a world is made of, and what befalls it
 */

#include "base/clock.h"
#include "core/defaults.h"
#include "sim/hold.h"
#include "sim/link.h"
#include "sim/worker.h"

static void probe_random(World *world, SimProbe *probe) {
        static const unsigned gates[] = { HALE_GATE_LIVE,
                                          HALE_GATE_LIVE,
                                          HALE_GATE_READY,
                                          HALE_GATE_READY,
                                          HALE_GATE_LIVE | HALE_GATE_READY,
                                          HALE_GATE_NONE,
                                          HALE_GATE_STARTUP,
                                          HALE_GATE_STARTUP | HALE_GATE_LIVE };
        ProbePolicy *policy = &probe->health.state.policy;
        Random *chance = &world->chance;

        probe_policy_default(policy, gates[random_below(chance, ELEMENTSOF(gates))],
                             world_chance(world, 150));
        if (world_chance(world, 600)) {
                policy->interval_usec = random_between(chance, 20 * USEC_PER_MSEC,
                                                       USEC_PER_MINUTE >> random_below(chance, 10));
                policy->timeout_usec =
                        random_between(chance, 10 * USEC_PER_MSEC, policy->interval_usec);
                policy->stale_usec =
                        STALE_MIN_USEC(policy) + random_below(chance, 4 * policy->interval_usec);
                policy->fail_after = (unsigned)random_between(chance, 1, 6);
                policy->pass_after = (unsigned)random_between(chance, 1, 4);
        }
        if (world_chance(world, 300)) {
                policy->window_n = (unsigned)random_between(chance, 1, WINDOW_MAX);
                policy->window_m = (unsigned)random_between(chance, 1, policy->window_n);
        }

        probe->p_fail = (unsigned)random_below(chance, world_chance(world, 200) ? 400 : 30);
        probe->p_warn = (unsigned)random_below(chance, 100);
        probe->p_unknown = (unsigned)random_below(chance, world_chance(world, 100) ? 500 : 2);
        probe->p_never = (unsigned)random_below(chance, world_chance(world, 100) ? 300 : 2);
        probe->p_slow = (unsigned)random_below(chance, world_chance(world, 100) ? 500 : 5);
        probe->latency_usec =
                world_chance(world, 300) ? 0 : random_below(chance, policy->timeout_usec);
        probe->outage = (unsigned)random_below(chance, OUTAGES_MAX);
}

static unsigned random_size(World *world) {
        uint64_t dice = random_below(&world->chance, 100);

        return (unsigned)random_between(&world->chance, 1, dice < 70 ? 12 : dice < 98 ? 200 : 5000);
}

/* From a second, below which systemd's own delays count, to minutes; or none. */
static uint64_t random_watchdog(World *world) {
        return world_chance(world, 200)
                       ? 0
                       : random_between(&world->chance, USEC_PER_SEC,
                                        USEC_PER_MINUTE >> random_below(&world->chance, 5));
}

static void *alloc(World *world, size_t n, size_t size) {
        void *memory = calloc(MAX(n, (size_t)1), size);

        if (!memory)
                world_fail(world, "no memory");
        return memory;
}

/* Some of the probes are what links and workers are seen by. */
static void world_random_parts(World *world, unsigned n_plain) {
        SimProbe *probe = world->probes + n_plain;

        world->links = alloc(world, world->n_links, sizeof(SimLink));
        world->workers = alloc(world, world->n_workers, sizeof(SimWorker));
        for (unsigned i = 0; i < world->n_links; i++)
                sim_link_random(world, &world->links[i], probe++);
        for (unsigned i = 0; i < world->n_workers; i++)
                sim_worker_random(world, &world->workers[i], probe++);
        sim_groups_random(world);
}

/* In some worlds hardly anything but links and workers can fail, and those live long enough. */
void world_random(World *world) {
        bool calm = world_chance(world, 400);
        unsigned n_plain = calm ? 1 : random_size(world);

        world->watchdog_usec = random_watchdog(world);
        world->calm_usec = USEC_PER_MINUTE << random_below(&world->chance, 8);
        world->n_links = world_chance(world, calm ? 700 : 400)
                                 ? (unsigned)random_between(&world->chance, 1, SIM_LINKS_MAX)
                                 : 0;
        world->n_workers = world_chance(world, calm ? 900 : 400)
                                   ? (unsigned)random_between(&world->chance, 1, SIM_WORKERS_MAX)
                                   : 0;
        world->schedstat = world_chance(world, 900);
        world->n_probes = n_plain + world->n_links + world->n_workers;
        world->probes = alloc(world, world->n_probes, sizeof(SimProbe));

        for (unsigned i = 0; i < world->n_probes; i++) {
                world->probes[i] = (SimProbe){ .index = i };
                world->probes[i].health = (HealthProbe){ .name = "p", .type = "sim", .output = "" };
        }
        for (unsigned i = 0; i < n_plain; i++)
                probe_random(world, &world->probes[i]);
        if (calm)
                world->probes[0].health.state.policy.gates = HALE_GATE_NONE;
        world_random_parts(world, n_plain);
        for (unsigned i = 0; i < world->n_probes; i++)
                sim_ladder_random(world, &world->probes[i]);
}

/* The program itself blocks its loop. */
static void befall_stall(World *world) {
        uint64_t length = random_below(&world->chance,
                                       world_chance(world, 800) ? USEC_PER_SEC : 90 * USEC_PER_SEC);

        world_note(world, "stall", length, 0);
        world_disturb(world, world->now + length);
}

/* A debugger, or the freezer: time goes on, for the manager too. What is short is not noticed. */
static void befall_freeze(World *world) {
        uint64_t length =
                world_chance(world, 300)
                        ? random_below(&world->chance, GAP_USEC)
                        : random_between(&world->chance, GAP_USEC,
                                         USEC_PER_HOUR >> random_below(&world->chance, 11));

        world_note(world, "freeze", length, 0);
        sim_workers_freeze(world, length);
        world_disturb(world, world->now + length);
        world->gap_pending = world->gap_pending || length >= GAP_USEC;
}

/* CLOCK_MONOTONIC stands still meanwhile, for all. */
static void befall_suspend(World *world) {
        world_gap(world);
}

static void befall_maintenance(World *world) {
        Health *health = &world->health;

        health->maintenance = !health->maintenance;
        health->maintenance_until_usec = USEC_NEVER;
        if (world_chance(world, 700))
                health->maintenance_until_usec =
                        world->now + random_below(&world->chance, 10 * USEC_PER_MINUTE);
        world->maintenance_usec = health->maintenance ? health->maintenance_until_usec : USEC_NEVER;
        world_note(world, "maintenance", health->maintenance, health->maintenance_until_usec);
}

static void befall_reload(World *world) {
        world->health.reloading = !world->health.reloading;
        world_note(world, "reload", world->health.reloading, 0);
}

static void befall_stop(World *world) {
        if (world->stopping || !world_chance(world, 300))
                return;

        world_note(world, "stop", 0, 0);
        world->stopping = true;
        world->stopping_usec = world->now;
        world->health.stopping = true;
        world->gate.stopping = true;
        for (unsigned i = 0; i < world->n_probes; i++)
                if (world->probes[i].in)
                        sim_probe_deactivate(world, &world->probes[i]);
        world_push_event(world, EVENT_STOPPED, random_below(&world->chance, STOP_TIMEOUT_USEC), 0);
}

/* WATCHDOG_USEC= starts the manager's period anew. */
static void befall_watchdog(World *world) {
        world->watchdog_usec = random_watchdog(world);
        world->pinged_usec = world->now;
        world_note(world, "watchdog", world->watchdog_usec, 0);
        gate_set_watchdog(&world->gate, world->watchdog_usec, world->now);
}

static void befall_service_watchdogs(World *world) {
        world->acts = !world->acts;
        world->pinged_usec = world->now;
        world_note(world, "service-watchdogs", world->acts, 0);
}

static SimProbe *random_probe(World *world) {
        return &world->probes[random_below(&world->chance, world->n_probes)];
}

static void befall_hurry(World *world) {
        SimProbe *probe = random_probe(world);
        bool hurried;

        if (!probe->in)
                return;

        hurried = probe_state_hurry(&probe->health.state, world->now);
        world_note(world, "hurry", probe->index, hurried);
        hold_hurried(world, probe, hurried);
        wheel_advance(&world->wheel, world->now);
        wheel_set(&world->wheel, &probe->node, probe_state_deadline(&probe->health.state));
}

static void befall_probe(World *world) {
        SimProbe *probe = random_probe(world);

        if (probe->link || probe->worker)
                return;

        world_note(world, probe->in ? "drop" : "add", probe->index, 0);
        if (!probe->in) {
                sim_probe_add(world, probe);
                if (!world->stopping && sim_probe_wanted(world, probe))
                        sim_probe_activate(world, probe);
                return;
        }

        wheel_remove(&world->wheel, &probe->node);
        sim_ladder_drop(world, probe);
        health_remove(&world->health, &probe->health);
        probe->in = false;
}

static void befall_reopen(World *world) {
        if (world->n_links > 0)
                (void)sim_link_reopen(world,
                                      &world->links[random_below(&world->chance, world->n_links)]);
}

static SimWorker *random_worker(World *world) {
        return world->n_workers > 0
                       ? &world->workers[random_below(&world->chance, world->n_workers)]
                       : NULL;
}

static void befall_restart(World *world) {
        SimWorker *worker = random_worker(world);

        if (worker)
                (void)sim_worker_restart(world, worker);
}

static void befall_trace(World *world) {
        SimWorker *worker = random_worker(world);

        if (worker)
                sim_worker_trace(world, worker);
}

void world_mishap(World *world) {
        static void (*const mishaps[])(World *) = {
                befall_stall,
                befall_stall,
                befall_freeze,
                befall_suspend,
                befall_reload,
                befall_hurry,
                befall_hurry,
                befall_hurry,
                befall_probe,
                befall_probe,
                befall_probe,
                befall_maintenance,
                befall_stop,
                befall_reload,
                befall_watchdog,
                befall_maintenance,
                befall_service_watchdogs,
                befall_reopen,
                befall_reopen,
                befall_restart,
                befall_restart,
                befall_trace,
                befall_trace,
        };

        mishaps[random_below(&world->chance, ELEMENTSOF(mishaps))](world);
}
