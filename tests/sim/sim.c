/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Sim
 *
 * Runs many worlds, each from its own seed, for so many steps. A world in which
 * something does not hold prints what, the last events, and the line that replays
 * it.
 */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "sim/world.h"

#define ENOUGH_STEPS 2000000

/* clang-format off */
static const char *const sight_names[] = {
        [SIGHT_TIMEOUT]    = "timeouts",
        [SIGHT_LATE]       = "late answers",
        [SIGHT_STALE]      = "stale verdicts",
        [SIGHT_UNSTALE]    = "fresh again",
        [SIGHT_WINDOW]     = "fails by M of N",
        [SIGHT_GAP]        = "gaps",
        [SIGHT_HEALED]     = "healed",
        [SIGHT_TRIGGER]    = "triggers",
        [SIGHT_ABORT]      = "aborts",
        [SIGHT_EXIT]       = "exits",
        [SIGHT_KILL]       = "kills",
        [SIGHT_READY_LOST] = "times not ready",
        [SIGHT_RUNG_HEALED] = "remedies that healed",
        [SIGHT_RUNG_IN_VAIN] = "that did not",
        [SIGHT_RUNG_TIMEOUT] = "were over time",
        [SIGHT_RUNG_LATE] = "ended late",
        [SIGHT_RUNG_CANCELED] = "were broken off",
        [SIGHT_RUNG_REFUSED] = "were refused",
        [SIGHT_LADDER_SPENT] = "ladders spent",
        [SIGHT_LADDER_SPARED] = "restarts spared",
        [SIGHT_LINK_FAILED] = "attempts that failed",
        [SIGHT_LINK_GAVE_UP] = "were over time",
        [SIGHT_LINK_UNANSWERED] = "checks without an answer",
        [SIGHT_LINK_CUT] = "connections cut",
        [SIGHT_LINK_LATE] = "late news of links",
        [SIGHT_LINK_TOLD] = "links told to be up",
        [SIGHT_LINK_REOPENED] = "reopened",
        [SIGHT_LINK_CURED] = "cured by that",
        [SIGHT_LINK_TRIAL] = "trials of the breaker",
        [SIGHT_LINK_LASTED] = "connections that made up for failures",
        [SIGHT_LINK_BACK] = "links back",
        [SIGHT_LINK_UNREADY] = "looks at ready closed by a link",
        [SIGHT_LINK_DANGEROUS] = "at live",
        [SIGHT_WORKER_DIED] = "deaths of workers",
        [SIGHT_WORKER_ENDED] = "for good",
        [SIGHT_WORKER_NO_BEGIN] = "that never began",
        [SIGHT_WORKER_HUNG] = "that hung",
        [SIGHT_WORKER_STARVED] = "looks at starved ones",
        [SIGHT_WORKER_PATIENCE] = "starved for too long",
        [SIGHT_WORKER_TRACED] = "looks at traced ones",
        [SIGHT_WORKER_SETTLED] = "settled",
        [SIGHT_WORKER_ESCALATED] = "escalations",
        [SIGHT_WORKER_FORGIVEN] = "restarted by hand then",
        [SIGHT_WORKER_CURED] = "by a remedy",
        [SIGHT_WORKER_KILLED] = "killed when asked in vain",
        [SIGHT_THREAD_HUNG] = "threads that hung",
        [SIGHT_THREAD_BACK] = "and returned",
        [SIGHT_GROUP] = "restarts of several",
        [SIGHT_GROUP_JOINED] = "joined",
        [SIGHT_STOP] = "orderly stops",
        [SIGHT_STOP_GIVEN_UP] = "workers left behind",
};
/* clang-format on */

static_assert(ELEMENTSOF(sight_names) == _SIGHT_MAX, "a sight lacks its name");

static uint64_t arg_seed = 0;
static uint64_t arg_worlds = 400;
static uint64_t arg_steps = 20000;

static World *present; /* for those who cannot be handed it */
static const char *program;

/* A sanitizer, where there is one, calls this before it ends the process. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void print_last(void) {
        World *world = present;

        if (!world)
                return;

        present = NULL;
        for (uint64_t i = world->n_trace > TRACE_MAX ? world->n_trace - TRACE_MAX : 0;
             i < world->n_trace; i++) {
                const Trace *trace = &world->trace[i % TRACE_MAX];

                (void)fprintf(stderr, "%14.6f  %-18s %" PRIu64 " %" PRIu64 "\n",
                              (double)trace->at_usec / 1e6, trace->what, trace->a, trace->b);
        }
        (void)fprintf(stderr,
                      "world %" PRIu64
                      ": %u probes, %u links and %u workers among them, step %" PRIu64
                      ", time %.6f\n",
                      world->seed, world->n_probes, world->n_links, world->n_workers,
                      world->n_steps, (double)world->now / 1e6);
        (void)fprintf(stderr, "replay: %s --seed=%" PRIu64 " --worlds=1 --steps=%" PRIu64 "\n",
                      program, world->seed, world->n_steps + 1);
}

/* Assertions of the core end here. */
static void on_abort(int signal_number) {
        (void)signal_number;
        print_last();
}

void world_fail(World *world, const char *format, ...) {
        va_list args;

        va_start(args, format);
        (void)vfprintf(stderr, format, args);
        va_end(args);
        (void)fputc('\n', stderr);

        present = world;
        abort();
}

static int parse_number(const char *text, uint64_t *ret) {
        char *end;

        errno = 0;
        *ret = strtoull(text, &end, 0);
        return errno != 0 || *end || end == text ? -EINVAL : 0;
}

static int parse_arguments(int argc, char *argv[]) {
        static const struct option options[] = {
                { "seed", required_argument, NULL, 's' },
                { "worlds", required_argument, NULL, 'w' },
                { "steps", required_argument, NULL, 'n' },
                {},
        };
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                uint64_t *target = c == 's'   ? &arg_seed
                                   : c == 'w' ? &arg_worlds
                                   : c == 'n' ? &arg_steps
                                              : NULL;

                if (!target || parse_number(optarg, target) < 0) {
                        (void)fprintf(stderr, "Usage: %s [--seed=N] [--worlds=N] [--steps=N]\n",
                                      argv[0]);
                        return -EINVAL;
                }
        }
        return 0;
}

typedef struct Totals {
        uint64_t n_steps, n_runs, n_pings, n_kills, n_ends, usec;
        uint64_t sights[_SIGHT_MAX];
} Totals;

static void run_world(uint64_t seed, Totals *totals) {
        static World world;
        uint64_t began;

        present = &world;
        world_init(&world, seed);
        began = world.now;
        while (world.n_steps < arg_steps)
                world_step(&world);

        totals->n_steps += world.n_steps;
        totals->n_runs += world.n_runs;
        totals->n_kills += world.n_kills;
        totals->n_ends += world.n_ends;
        totals->n_pings += world.n_pings;
        totals->usec += world.now - began;
        for (unsigned i = 0; i < _SIGHT_MAX; i++)
                totals->sights[i] += world.sights[i];
        world_done(&world);
        present = NULL;
}

/* Short runs need not have met everything. */
static int check_sights(const Totals *totals) {
        int r = 0;

        for (unsigned i = 0; i < _SIGHT_MAX; i++) {
                (void)printf("%s%" PRIu64 " %s", i ? ", " : "met: ", totals->sights[i],
                             sight_names[i]);
                if (totals->sights[i] == 0 && totals->n_steps >= ENOUGH_STEPS)
                        r = -ENODATA;
        }
        (void)printf("\n");
        if (r < 0)
                (void)fprintf(stderr,
                              "Something was never met: these worlds prove nothing about it\n");
        return r;
}

int main(int argc, char *argv[]) {
        Totals totals = {};
        uint64_t began, took;

        program = argv[0];
        if (parse_arguments(argc, argv) < 0)
                return 2;

        (void)signal(SIGABRT, on_abort);
        if (__sanitizer_set_death_callback)
                __sanitizer_set_death_callback(print_last);

        began = clock_now_usec(CLOCK_MONOTONIC);
        for (uint64_t i = 0; i < arg_worlds; i++)
                run_world(arg_seed + i, &totals);
        took = MAX(clock_now_usec(CLOCK_MONOTONIC) - began, (uint64_t)1);

        (void)printf("%" PRIu64 " worlds, %" PRIu64 " steps, %.1f days: %" PRIu64 " runs, %" PRIu64
                     " pings, %" PRIu64 " ends (%" PRIu64 " killed); %.2f million steps/s\n",
                     arg_worlds, totals.n_steps, (double)totals.usec / 1e6 / 86400, totals.n_runs,
                     totals.n_pings, totals.n_ends, totals.n_kills,
                     (double)totals.n_steps / (double)took);
        return check_sights(&totals) < 0;
}
