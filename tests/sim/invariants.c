/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Invariants
 *
 * What must hold in every world (DESIGN 9), judged by books of its own: each
 * probe's Shadow is moved by what happened, by the words of the headers, and then
 * compared with what the core made of it.
 */

#include "base/clock.h"
#include "core/defaults.h"
#include "sim/hold.h"
#include "sim/link.h"
#include "sim/worker.h"

/* An eighth of the delay (8/62 where the wheel's borders lie badly) and a tick. */
uint64_t hold_slack(uint64_t delay_usec) {
        return delay_usec / 62 * 8 + 8 + 1024;
}

bool hold_in_time(const World *world, uint64_t latest_usec) {
        return world->now <= MAX(latest_usec, world->books.disturbed_usec);
}

/* ---- one probe ---- */

static void shadow_compare(World *world, const SimProbe *probe) {
        const ProbeState *state = &probe->health.state;
        const Shadow *shadow = &probe->shadow;

        HOLD(world, state->verdict == shadow->verdict, "probe %u, %d not %d", probe->index,
             state->verdict, shadow->verdict);
        HOLD(world, state->running == shadow->running, "probe %u", probe->index);
        HOLD(world, state->active == shadow->active, "probe %u", probe->index);
        HOLD(world, state->stale == shadow->stale, "probe %u", probe->index);
        HOLD(world, state->passed_once == shadow->passed_once, "probe %u", probe->index);
        HOLD(world, state->n_timeouts == shadow->n_timeouts, "probe %u", probe->index);
        HOLD(world, state->n_late == shadow->n_late, "probe %u", probe->index);
        HOLD(world, state->n_changes == shadow->n_changes, "probe %u", probe->index);
        for (unsigned i = 0; i < ELEMENTSOF(shadow->n_results); i++)
                HOLD(world, state->n_results[i] == shadow->n_results[i], "probe %u", probe->index);
}

static uint64_t shadow_stale_at(const SimProbe *probe) {
        return usec_add(probe->shadow.answered_usec, probe->health.state.policy.stale_usec);
}

static void shadow_enter(Shadow *shadow, hale_status verdict) {
        shadow->n_changes += shadow->verdict != verdict;
        shadow->verdict = verdict;
}

static void shadow_reset(Shadow *shadow) {
        shadow->n_fail = shadow->n_pass = 0;
        shadow->window = 0;
        shadow_enter(shadow, HALE_UNKNOWN);
}

/* The rule of thresholds: so many in a row, or M of the last N since it last recovered. */
static hale_status shadow_rule(const SimProbe *probe, hale_status result) {
        const ProbePolicy *policy = &probe->health.state.policy;
        const Shadow *shadow = &probe->shadow;
        uint64_t window = shadow->window << (64 - policy->window_n % 64) % 64;

        if (result == HALE_FAIL)
                return shadow->n_fail >= policy->fail_after ||
                                       (policy->window_m > 0 &&
                                        (unsigned)__builtin_popcountll(window) >= policy->window_m)
                               ? HALE_FAIL
                               : shadow->verdict;

        return shadow->verdict == HALE_FAIL && shadow->n_pass < policy->pass_after ? HALE_FAIL
                                                                                   : result;
}

static void shadow_take(World *world, SimProbe *probe, hale_status result) {
        Shadow *shadow = &probe->shadow;
        hale_status verdict;

        shadow->n_results[result]++;
        shadow->asked_in_vain = result == HALE_UNKNOWN;
        if (result == HALE_UNKNOWN)
                return;

        shadow->answered_usec = world->now;
        shadow->n_fail = result == HALE_FAIL ? shadow->n_fail + 1 : 0;
        shadow->n_pass = result == HALE_FAIL ? 0 : shadow->n_pass + 1;
        shadow->window = shadow->window << 1 | (result == HALE_FAIL);
        world->books.n_bad += result == HALE_FAIL;

        verdict = shadow_rule(probe, result);
        world->sights[SIGHT_WINDOW] += verdict != shadow->verdict && verdict == HALE_FAIL &&
                                       shadow->n_fail < probe->health.state.policy.fail_after;
        if (shadow->verdict == HALE_FAIL && verdict != HALE_FAIL)
                shadow->window = 0;
        /* A verdict that was lost is found again by the next one, not by the first answer. */
        if (shadow->stale && verdict != HALE_UNKNOWN) {
                shadow->stale = false;
                world->sights[SIGHT_UNSTALE]++;
        }
        if (verdict == HALE_PASS || verdict == HALE_WARN)
                shadow->passed_once = true;
        shadow_enter(shadow, verdict);
}

static void
hold_change(World *world, const Shadow *before, const SimProbe *probe, const ProbeChange *change) {
        const Shadow *after = &probe->shadow;

        HOLD(world, change->verdict == (before->verdict != after->verdict), "probe %u",
             probe->index);
        HOLD(world, change->first == (!before->passed_once && after->passed_once), "probe %u",
             probe->index);
        HOLD(world,
             !change->verdict || (change->from == before->verdict && change->to == after->verdict),
             "probe %u", probe->index);
        shadow_compare(world, probe);
}

/* A run has ended: the next begins within a tenth of the interval that applies, and what the wheel
 * adds to it. */
static void shadow_await(World *world, SimProbe *probe) {
        const ProbePolicy *policy = &probe->health.state.policy;
        Shadow *shadow = &probe->shadow;
        bool doubt = shadow->verdict == HALE_UNKNOWN ||
                     (shadow->verdict == HALE_FAIL ? shadow->n_pass > 0 : shadow->n_fail > 0);
        uint64_t interval =
                doubt ? MIN(policy->fast_usec, policy->interval_usec) : policy->interval_usec;

        shadow->running = false;
        shadow->earliest_usec = world->now + interval - interval / 10;
        shadow->latest_usec =
                world->now + interval + interval / 10 + hold_slack(interval + interval / 10);
}

void hold_activated(World *world, SimProbe *probe, uint64_t spread_usec) {
        const ProbePolicy *policy = &probe->health.state.policy;
        Shadow *shadow = &probe->shadow;

        /* What was pushed before its turn came still counts, while it is fresh. */
        if (policy->pushed && !shadow->active && shadow->verdict != HALE_UNKNOWN &&
            world->now < shadow_stale_at(probe)) {
                shadow->active = true;
                shadow_compare(world, probe);
                return;
        }

        shadow_reset(shadow);
        shadow->active = true;
        shadow->running = false;
        shadow->stale = false;
        shadow->asked_in_vain = false;
        shadow->answered_usec = world->now;
        shadow->earliest_usec = world->now;
        shadow->latest_usec = world->now + spread_usec + hold_slack(spread_usec);
        shadow_compare(world, probe);
}

void hold_deactivated(World *world, SimProbe *probe) {
        probe->shadow.active = false;
        probe->shadow.running = false;
        shadow_compare(world, probe);
}

void hold_hurried(World *world, SimProbe *probe, bool hurried) {
        Shadow *shadow = &probe->shadow;

        HOLD(world,
             hurried == (shadow->active && !shadow->running && !probe->health.state.policy.pushed),
             "probe %u", probe->index);
        if (hurried) {
                shadow->earliest_usec = MIN(shadow->earliest_usec, world->now);
                shadow->latest_usec = MIN(shadow->latest_usec, world->now + hold_slack(0));
        }
}

void hold_run(World *world, SimProbe *probe, uint64_t run) {
        Shadow *shadow = &probe->shadow;

        HOLD(world, shadow->active, "probe %u is asked out of turn", probe->index);
        HOLD(world, !shadow->running, "probe %u runs twice", probe->index);
        HOLD(world, !probe->health.state.policy.pushed, "probe %u is pushed", probe->index);
        HOLD(world, world->now >= shadow->earliest_usec, "probe %u is early by %" PRIu64,
             probe->index, shadow->earliest_usec - world->now);
        HOLD(world, hold_in_time(world, shadow->latest_usec), "probe %u is late by %" PRIu64,
             probe->index, world->now - shadow->latest_usec);

        shadow->running = true;
        shadow->run = run;
        shadow->started_usec = world->now;
        shadow_compare(world, probe);
}

void hold_timeout(World *world, SimProbe *probe, const ProbeChange *change) {
        uint64_t timeout = probe->health.state.policy.timeout_usec;
        Shadow before = probe->shadow;

        HOLD(world, before.running, "probe %u", probe->index);
        HOLD(world, world->now >= before.started_usec + timeout, "probe %u", probe->index);
        HOLD(world, hold_in_time(world, before.started_usec + timeout + hold_slack(timeout)),
             "probe %u, by %" PRIu64, probe->index, world->now - before.started_usec - timeout);

        probe->shadow.n_timeouts++;
        world->sights[SIGHT_TIMEOUT]++;
        shadow_take(world, probe, HALE_FAIL);
        shadow_await(world, probe);
        hold_change(world, &before, probe, change);
}

void hold_stale(World *world, SimProbe *probe, const ProbeChange *change) {
        const ProbePolicy *policy = &probe->health.state.policy;
        Shadow before = probe->shadow;
        uint64_t at = shadow_stale_at(probe);

        HOLD(world, before.active && !before.stale, "probe %u", probe->index);
        HOLD(world, world->now >= at, "probe %u", probe->index);
        HOLD(world, hold_in_time(world, at + hold_slack(policy->stale_usec)), "probe %u",
             probe->index);
        HOLD(world,
             policy->pushed || before.asked_in_vain ||
                     world->books.disturbed_usec > before.answered_usec,
             "probe %u answers in time", probe->index);

        shadow_reset(&probe->shadow);
        probe->shadow.stale = true;
        world->sights[SIGHT_STALE]++;
        world->books.n_bad++;
        hold_change(world, &before, probe, change);
}

void hold_answer(World *world,
                 SimProbe *probe,
                 uint64_t run,
                 hale_status result,
                 bool applied,
                 const ProbeChange *change) {
        Shadow before = probe->shadow;

        HOLD(world, applied == (before.running && before.run == run), "probe %u", probe->index);
        if (!applied) {
                probe->shadow.n_late++;
                world->sights[SIGHT_LATE]++;
                shadow_compare(world, probe);
                return;
        }

        shadow_take(world, probe, result);
        shadow_await(world, probe);
        hold_change(world, &before, probe, change);
}

void hold_push(World *world, SimProbe *probe, hale_status result, const ProbeChange *change) {
        Shadow before = probe->shadow;

        shadow_take(world, probe, result);
        hold_change(world, &before, probe, change);
}

/* ---- the whole ---- */

void hold_init(World *world) {
        world->books = (Books){
                .disturbed_usec = world->now,
                .triggered_usec = USEC_NEVER,
        };
}

/* A gap by itself closes nothing: whatever was bad before it has been forgotten. */
void hold_gap(World *world) {
        world->books.n_bad = 0;
        world->books.gap_usec = world->now;
        world->sights[SIGHT_GAP]++;
        for (unsigned i = 0; i < world->n_probes; i++) {
                const SimProbe *probe = &world->probes[i];

                if (!probe->in)
                        continue;
                /* An escalated worker of `startup` alone was not active any more, and stays as it
                 * was. */
                HOLD(world,
                     !probe->shadow.active || probe->shadow.verdict == HALE_UNKNOWN ||
                             (probe->worker && probe->shadow.gates & HALE_GATE_LIVE),
                     "probe %u", probe->index);
                world->books.n_bad += probe->shadow.verdict == HALE_FAIL;
        }
}

static void hold_ping(World *world) {
        HOLD(world, world->gate.state == GATE_OPEN && !world->stopping, "state %d",
             world->gate.state);
        HOLD(world, world->watchdog_usec > 0, "nobody listens");

        for (unsigned i = 0; i < world->n_probes; i++) {
                const SimProbe *probe = &world->probes[i];

                if (!probe->in || !(probe->shadow.gates & HALE_GATE_LIVE))
                        continue;
                HOLD(world, probe->shadow.verdict != HALE_FAIL, "pings while probe %u fails",
                     probe->index);
                HOLD(world, !probe->shadow.stale, "pings while probe %u is stale", probe->index);
        }
}

void hold_gate(World *world, GateState before, unsigned actions) {
        const Gate *gate = &world->gate;
        bool live = world->health.summary.live;
        Books *books = &world->books;

        HOLD(world, actions == 0 || !world->stopping, "actions %x", actions);
        if (actions & GATE_PING) {
                hold_ping(world);
                books->n_pings++;
        }
        if (actions & (GATE_TRIGGER | GATE_EXIT)) {
                HOLD(world, !live && !world->healing, "acts without need");
                HOLD(world, books->n_bad > 0, "acts for a gap alone");
                HOLD(world, gate->config.managed == !!(actions & GATE_TRIGGER), "actions %x",
                     actions);
                HOLD(world, before <= GATE_WITHHELD, "acts twice");
                books->triggered_usec = world->now;
                world->sights[actions & GATE_TRIGGER ? SIGHT_TRIGGER : SIGHT_EXIT]++;
        }
        if (actions & GATE_ABORT)
                HOLD(world,
                     before == GATE_TRIGGERED &&
                             world->now >= books->triggered_usec + TRIGGER_GRACE_USEC,
                     "aborts within the grace");
        if (actions & GATE_OPENED)
                HOLD(world, actions & GATE_PING || world->watchdog_usec == 0, "healed, and silent");

        world->sights[SIGHT_ABORT] += !!(actions & GATE_ABORT);
        world->sights[SIGHT_HEALED] += !!(actions & GATE_OPENED);
        HOLD(world, gate->n_pings == books->n_pings, "miscounted");
        HOLD(world,
             world->stopping || gate->state >= GATE_TRIGGERED || (gate->state == GATE_OPEN) == live,
             "gate %d, live %d", gate->state, live);
        HOLD(world, world->stopping || gate->state != GATE_WITHHELD || world->healing,
             "nothing left to wait for");
        HOLD(world,
             world->stopping || gate->state != GATE_TRIGGERED ||
                     hold_in_time(world, books->triggered_usec + TRIGGER_GRACE_USEC),
             "nobody acts, and it does not end");
}

/* The health from nothing: from the shadows, not from the core's states. */
static HealthSummary shadow_summary(World *world) {
        bool live = true, ready = true, startup = true, ready_once = true, warn = false;
        const Health *health = &world->health;
        Books *books = &world->books;

        for (unsigned i = 0; i < world->n_probes; i++) {
                const SimProbe *probe = &world->probes[i];
                const Shadow *shadow = &probe->shadow;
                unsigned gates = shadow->gates;

                if (!probe->in)
                        continue;
                if (gates & HALE_GATE_LIVE)
                        live &= shadow->verdict != HALE_FAIL && !shadow->stale;
                if (gates & HALE_GATE_READY) {
                        ready &= shadow->verdict == HALE_PASS || shadow->verdict == HALE_WARN;
                        ready_once &= shadow->passed_once;
                }
                if (gates & HALE_GATE_STARTUP)
                        startup &= shadow->passed_once;
                warn |= shadow->verdict == HALE_WARN ||
                        (gates == 0 && shadow->verdict == HALE_FAIL);
        }

        books->started |= startup;
        books->announced |= books->started && ready_once;
        ready &= books->announced && !health->maintenance && !health->stopping;

        return (HealthSummary){
                .live = live,
                .ready = ready,
                .started = books->started,
                .status = !live || !ready ? HALE_FAIL
                          : warn          ? HALE_WARN
                                          : HALE_PASS,
                .phase = health->stopping      ? HALE_STOPPING
                         : !books->announced   ? HALE_STARTING
                         : health->reloading   ? HALE_RELOADING
                         : health->maintenance ? HALE_MAINTENANCE
                                               : HALE_RUNNING,
        };
}

static void hold_summary(World *world) {
        const HealthSummary *summary = &world->health.summary;
        HealthSummary expected = shadow_summary(world);
        const Health *health = &world->health;
        const Books *books = &world->books;

        world->sights[SIGHT_READY_LOST] += books->announced && !expected.ready;
        HOLD(world, summary->live == expected.live, "%d", expected.live);
        HOLD(world, summary->ready == expected.ready, "%d", expected.ready);
        HOLD(world, summary->started == expected.started, "%d", expected.started);
        HOLD(world, summary->status == expected.status, "%d not %d", summary->status,
             expected.status);
        HOLD(world, summary->phase == expected.phase, "%d not %d", summary->phase, expected.phase);
        HOLD(world,
             health->n_verdict[0] + health->n_verdict[1] + health->n_verdict[2] +
                             health->n_verdict[3] ==
                     health->n_probes,
             "miscounted");
        HOLD(world, (health_culprit(health, HALE_GATE_LIVE) != NULL) == !summary->live,
             "no culprit");
        HOLD(world,
             !health->maintenance || world->now < health->maintenance_until_usec ||
                     world->books.disturbed_usec > world->now,
             "maintenance goes on");
}

/* Nothing has been forgotten: no run, no deadline, no answer's age. */
static void hold_probe(World *world, const SimProbe *probe) {
        const ProbePolicy *policy = &probe->health.state.policy;
        const Shadow *shadow = &probe->shadow;

        if (!probe->in || !shadow->active)
                return;

        if (shadow->running)
                HOLD(world,
                     hold_in_time(world, shadow->started_usec + policy->timeout_usec +
                                                 hold_slack(policy->timeout_usec)),
                     "probe %u never ends", probe->index);
        else if (!policy->pushed)
                HOLD(world, hold_in_time(world, shadow->latest_usec), "probe %u is not asked",
                     probe->index);

        HOLD(world,
             shadow->verdict == HALE_UNKNOWN ||
                     hold_in_time(world,
                                  usec_add(shadow_stale_at(probe), hold_slack(policy->stale_usec))),
             "probe %u is old", probe->index);
}

/* After each turn. What costs more the more probes there are is done the more seldom. */
void hold_settled(World *world) {
        uint64_t period = MAX(world->watchdog_usec / 2, PING_MIN_USEC);

        if (world->health.summary.live && world->gate.state == GATE_OPEN &&
            world->watchdog_usec > 0 && !world->stopping)
                HOLD(world, world->now - world->pinged_usec <= period,
                     "well, and silent for %" PRIu64, world->now - world->pinged_usec);

        /* What stays so once it was so is looked at when it is. */
        if (world->books.checks++ % (1 + world->n_probes / 8) != 0 &&
            world->health.started == world->books.started &&
            world->health.announced == world->books.announced)
                return;

        hold_summary(world);
        for (unsigned i = 0; i < world->n_probes; i++)
                hold_probe(world, &world->probes[i]);
        hold_links_settled(world);
        hold_workers_settled(world);
        hold_groups_settled(world);
}

/* The manager acts when it was asked to, or when pings stopped for cause. */
void hold_killed(World *world) {
        HOLD(world, !world->stopping || world->gate.state == GATE_TRIGGERED,
             "killed while stopping");
        world->sights[SIGHT_KILL]++;
        HOLD(world,
             world->gate.state == GATE_TRIGGERED || world->gate.state == GATE_WITHHELD ||
                     world->books.disturbed_usec > world->pinged_usec,
             "killed in good health");
}

void hold_backoff(World *world, const Backoff *before, uint64_t wait_usec) {
        uint64_t low = before->kind == BACKOFF_FULL ? 0 : before->min_usec, high;

        if (before->kind == BACKOFF_DECORRELATED)
                high = 3 * MAX(before->last_usec, before->min_usec);
        else if (before->n_attempts == 0)
                high = 0;
        else
                high = before->n_attempts > 20 ? before->max_usec
                                               : before->min_usec << (before->n_attempts - 1);

        HOLD(world, wait_usec >= low && wait_usec <= MIN(high, before->max_usec), "waits %" PRIu64,
             wait_usec);
}
