/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Worker Sim
 *
 *     worker-sim [--seed=N] [--worlds=N] [--steps=N]
 *
 * Groups of workers in virtual time that die when they like, in the middle of one
 * another's restarts, too. core/restart and core/strategy decide; what is done
 * here with their decisions is what service/worker*.c does. What must hold:
 *
 *   - nobody is started who is alive, and nobody is stopped twice;
 *   - never more than max_restarts own restarts within a window, and each at once or
 *     within the longest wait; who escalates is never started again;
 *   - within a restart the last stops first, and the first starts when all are gone;
 *   - a death in a one-for-one group stops nobody;
 *   - when the deaths end, everybody who should be is soon at work again.
 *
 * A world in which one of these does not hold prints the line that replays it.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/macro.h"
#include "core/random.h"
#include "core/restart.h"
#include "core/strategy.h"

#define WORKERS 6
#define HISTORY 128

typedef enum State {
        WAITING,
        RUNNING,
        STOPPING,
        ENDED,
        FAILED
} State;

typedef struct Worker {
        State state;
        Restart restart;
        uint64_t due_usec; /* of its start, its death, or its end after it was asked to stop */
        bool asked;
        uint64_t history[HISTORY]; /* of its own restarts */
        unsigned n_history;
} Worker;

typedef struct World {
        uint64_t seed, n_steps, now;
        Random random;
        hale_strategy strategy;
        Worker workers[WORKERS];
        unsigned n_workers;
        bool pending, starting, quiet;
        StrategyRange range;
        uint64_t at_usec;
} World;

static struct {
        uint64_t n_steps, n_deaths, n_escalations, n_group_restarts, n_joins, n_ends;
} totals;

static World world;

static void fail(const char *what, unsigned worker) {
        (void)fprintf(stderr,
                      "worker %u: %s\nstep %" PRIu64
                      ", time %.6f\nreplay: worker-sim --seed=%" PRIu64
                      " --worlds=1 --steps=%" PRIu64 "\n",
                      worker, what, world.n_steps, (double)world.now / 1e6, world.seed,
                      world.n_steps + 1);
        abort();
}

#define HOLD(expression, what, worker)                                                             \
        do {                                                                                       \
                if (!(expression))                                                                 \
                        fail((what), (worker));                                                    \
        } while (0)

static bool is_alive(const Worker *worker) {
        return worker->state == RUNNING || worker->state == STOPPING;
}

static bool is_bound(void) {
        return world.strategy != HALE_ONE_FOR_ONE;
}

/* Mostly short lives, so that much happens; some long enough to settle. */
static uint64_t draw_life(const Worker *worker) {
        if (world.quiet)
                return USEC_NEVER;
        if (random_below(&world.random, 4) == 0)
                return random_below(&world.random, 3 * worker->restart.policy.stable_usec);

        return random_below(&world.random, 2 * USEC_PER_SEC);
}

static void start(unsigned i) {
        Worker *worker = &world.workers[i];

        HOLD(!is_alive(worker), "is started while it is alive", i);
        HOLD(worker->state != FAILED, "is started after it escalated", i);
        worker->state = RUNNING;
        worker->asked = false;
        restart_begun(&worker->restart, world.now);
        worker->due_usec = usec_add(world.now, draw_life(worker));
}

static void ask(unsigned i) {
        Worker *worker = &world.workers[i];

        HOLD(worker->state == RUNNING, "is asked to stop while it does not run", i);
        HOLD(is_bound(), "is stopped for another's death in a one-for-one group", i);
        for (unsigned k = i + 1; k <= world.range.last; k++)
                HOLD(!is_alive(&world.workers[k]), "is stopped before one that comes after it", i);
        worker->state = STOPPING;
        worker->asked = true;
        worker->due_usec = world.now + random_below(&world.random, USEC_PER_SEC);
}

static void look(StrategyMember members[static WORKERS]) {
        for (unsigned i = 0; i < world.n_workers; i++) {
                const Worker *worker = &world.workers[i];

                members[i] = (StrategyMember){
                        .alive = is_alive(worker),
                        .stopping = worker->state == STOPPING,
                        .wanted = worker->state != FAILED &&
                                  worker->restart.policy.mode != HALE_RESTART_TEMPORARY,
                };
        }
}

static void step_group(void) {
        StrategyMember members[WORKERS];
        StrategyStep step;

        while (world.pending) {
                look(members);
                step = strategy_next(members, world.range, world.starting, world.at_usec,
                                     world.now);
                if (step.action == STRATEGY_WAIT || step.action == STRATEGY_SLEEP)
                        return;
                if (step.action == STRATEGY_DONE) {
                        world.pending = world.starting = false;
                } else if (step.action == STRATEGY_STOP) {
                        ask(step.index);
                } else {
                        for (unsigned i = world.range.first;
                             !world.starting && i <= world.range.last; i++)
                                HOLD(!is_alive(&world.workers[i]), "is alive at the first start",
                                     i);
                        world.starting = true;
                        start(step.index);
                }
        }
}

static void restart_group(unsigned i, uint64_t at_usec) {
        StrategyRange range = strategy_range(world.strategy, i, world.n_workers);

        totals.n_group_restarts++;
        totals.n_joins += world.pending;
        world.range = world.pending ? strategy_join(world.range, range) : range;
        world.at_usec = world.pending ? MAX(world.at_usec, at_usec) : at_usec;
        world.pending = true;
        world.starting = false;
        step_group();
}

static void check_restart(unsigned i, uint64_t at_usec) {
        Worker *worker = &world.workers[i];
        const RestartPolicy *policy = &worker->restart.policy;

        HOLD(at_usec >= world.now && at_usec - world.now <= policy->backoff_max_usec,
             "waits too long", i);
        if (policy->max_restarts <= worker->n_history)
                HOLD(at_usec - worker->history[(worker->n_history - policy->max_restarts) %
                                               HISTORY] >=
                             policy->window_usec,
                     "is restarted too often", i);
        worker->history[worker->n_history++ % HISTORY] = at_usec;
}

static void die(unsigned i) {
        Worker *worker = &world.workers[i];
        RestartDecision decision;
        uint64_t at_usec = 0;

        totals.n_deaths++;
        decision = restart_ended(&worker->restart, random_below(&world.random, 3) == 0, world.now,
                                 &world.random, &at_usec);
        worker->due_usec = USEC_NEVER;
        worker->state = WAITING;
        if (decision == RESTART_ESCALATE) {
                totals.n_escalations++;
                worker->state = FAILED;
        } else if (decision == RESTART_NOT) {
                totals.n_ends++;
                worker->state = ENDED;
        } else {
                check_restart(i, at_usec);
                if (is_bound())
                        restart_group(i, at_usec);
                else
                        worker->due_usec = at_usec;
        }
        step_group(); /* it may have been waited for */
}

static void stop_done(unsigned i) {
        Worker *worker = &world.workers[i];

        worker->state = worker->restart.policy.mode == HALE_RESTART_TEMPORARY ? ENDED : WAITING;
        worker->due_usec = USEC_NEVER;
        worker->restart.started_usec = USEC_NEVER;
        step_group();
}

static void build_world(uint64_t seed) {
        world = (World){
                .seed = seed,
                .now = USEC_PER_HOUR,
                .random = RANDOM_INIT(seed),
        };
        (void)random_next(&world.random);
        world.strategy = (hale_strategy)random_below(&world.random, 3);
        world.n_workers = 1 + (unsigned)random_below(&world.random, WORKERS);
        for (unsigned i = 0; i < world.n_workers; i++) {
                RestartPolicy policy;

                restart_policy_default(&policy);
                policy.mode = (hale_restart)random_below(&world.random, 3);
                policy.max_restarts = (unsigned)random_below(&world.random, 20);
                policy.backoff_min_usec = random_between(&world.random, 1, 2 * USEC_PER_SEC);
                policy.backoff_max_usec =
                        policy.backoff_min_usec + random_below(&world.random, USEC_PER_MINUTE);
                policy.window_usec = random_between(&world.random, USEC_PER_SEC, USEC_PER_MINUTE);
                restart_init(&world.workers[i].restart, &policy);
                start(i);
        }
}

/* The next thing that happens; false when nothing will. */
static bool step(void) {
        uint64_t at_usec = USEC_NEVER;
        unsigned who = 0;

        for (unsigned i = 0; i < world.n_workers; i++)
                if (world.workers[i].due_usec < at_usec) {
                        at_usec = world.workers[i].due_usec;
                        who = i;
                }
        if (world.pending && world.at_usec > world.now && world.at_usec < at_usec) {
                world.now = world.at_usec;
                step_group();
                return true;
        }
        if (at_usec == USEC_NEVER)
                return false;

        world.now = MAX(world.now, at_usec);
        if (world.workers[who].state == RUNNING)
                die(who);
        else if (world.workers[who].state == STOPPING)
                stop_done(who);
        else
                start(who);
        return true;
}

static void run_world(uint64_t seed, uint64_t n_steps) {
        build_world(seed);
        while (world.n_steps < n_steps && step()) {
                world.n_steps++;
                totals.n_steps++;
        }

        world.quiet = true;
        for (unsigned i = 0; i < world.n_workers; i++)
                if (world.workers[i].state == RUNNING)
                        world.workers[i].due_usec = USEC_NEVER;
        while (step())
                ;
        HOLD(!world.pending, "waits in a restart that never ends", 0);
        for (unsigned i = 0; i < world.n_workers; i++)
                HOLD(world.workers[i].state == RUNNING || world.workers[i].state == FAILED ||
                             world.workers[i].restart.policy.mode != HALE_RESTART_PERMANENT,
                     "is not at work in the end", i);
}

int main(int argc, char *argv[]) {
        uint64_t seed = 0, n_worlds = 20000, n_steps = 500;

        for (int i = 1; i < argc; i++)
                if (sscanf(argv[i], "--seed=%" SCNu64, &seed) != 1 &&
                    sscanf(argv[i], "--worlds=%" SCNu64, &n_worlds) != 1 &&
                    sscanf(argv[i], "--steps=%" SCNu64, &n_steps) != 1) {
                        (void)fprintf(stderr, "worker-sim [--seed=N] [--worlds=N] [--steps=N]\n");
                        return 2;
                }

        for (uint64_t i = 0; i < n_worlds; i++)
                run_world(seed + i, n_steps);

        (void)printf("%" PRIu64 " worlds, %" PRIu64 " steps: %" PRIu64 " deaths, %" PRIu64
                     " escalations, %" PRIu64 " restarts of groups, %" PRIu64 " of them joined, "
                     "%" PRIu64 " ends\n",
                     n_worlds, totals.n_steps, totals.n_deaths, totals.n_escalations,
                     totals.n_group_restarts, totals.n_joins, totals.n_ends);

        /* Worlds in which nothing of this happens prove nothing. */
        return n_worlds >= 1000 &&
               (totals.n_escalations == 0 || totals.n_joins == 0 || totals.n_ends == 0);
}
