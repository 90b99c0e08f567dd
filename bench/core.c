/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * core: how many results a second the core takes
 *
 *     core PROBES RESULTS
 *
 * Runs PROBES one-second probes in virtual time, as the service does: the wheel
 * hands out what is due, the probe begins and ends, the health is summed up and
 * the next deadline goes back into the wheel. One answer in sixteen is a fail.
 *
 * The reference visits as many structures of the same size through a list and
 * calls a function for each: what it costs to touch the memory and no more.
 * Counted is the CPU time of this thread.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/macro.h"
#include "core/health.h"
#include "core/wheel.h"
#include "nsec.h"

#define N_PROBES_MAX 1000000
#define N_RESULTS_MAX 100000000

typedef struct Subject {
        HealthProbe health;
        WheelNode node;
        struct Subject *next;
        int (*call)(struct Subject *subject);
} Subject;

typedef struct World {
        Health health;
        Wheel wheel;
        Random random;
        uint64_t now_usec;
        Subject *subjects;
        uint64_t n_results, n_changes;
} World;

static int count(Subject *subject) {
        subject->health.state.n_late++;
        return 0;
}

static int world_init(World *world, size_t n_probes) {
        ProbePolicy policy;

        world->subjects = calloc(n_probes, sizeof(Subject));
        if (!world->subjects)
                return -1;

        world->now_usec = USEC_PER_SEC;
        world->random = (Random)RANDOM_INIT(1);
        health_init(&world->health, world->now_usec);
        world->health.begun = true;
        wheel_init(&world->wheel, world->now_usec);
        probe_policy_default(&policy, HALE_GATE_READY, false);
        policy.interval_usec = USEC_PER_SEC;
        policy.timeout_usec = USEC_PER_SEC / 2;

        for (size_t i = 0; i < n_probes; i++) {
                Subject *subject = &world->subjects[i];

                subject->health.name = "probe";
                subject->health.output = "";
                subject->node = (WheelNode)WHEEL_NODE_INIT;
                subject->next = &world->subjects[(i + 1) % n_probes];
                subject->call = count;
                probe_state_init(&subject->health.state, &policy, world->now_usec);
                health_add(&world->health, &subject->health);
                probe_state_activate(&subject->health.state, world->now_usec, USEC_PER_SEC,
                                     &world->random);
                wheel_set(&world->wheel, &subject->node,
                          probe_state_deadline(&subject->health.state));
        }
        return 0;
}

/* One answer, the way that src/service/probe-run.c takes it. */
static void subject_answer(World *world, Subject *subject) {
        hale_status result = random_below(&world->random, 16) == 0 ? HALE_FAIL : HALE_PASS;
        ProbeState *state = &subject->health.state;
        HealthSummary old;
        ProbeChange change;
        uint32_t generation;

        generation = probe_state_begin(state, world->now_usec);

        health_forget(&world->health, &subject->health);
        (void)probe_state_end(state, generation, result, world->now_usec, &world->random, &change);
        health_remember(&world->health, &subject->health);

        world->n_changes += health_update(&world->health, world->now_usec, &old);
        world->n_results++;
}

static void subject_due(World *world, Subject *subject) {
        ProbeState *state = &subject->health.state;
        ProbeChange change;
        ProbeWish wish;

        health_forget(&world->health, &subject->health);
        wish = probe_state_tick(state, world->now_usec, &world->random, &change);
        health_remember(&world->health, &subject->health);

        if (wish == PROBE_RUN)
                subject_answer(world, subject);
        wheel_set(&world->wheel, &subject->node, probe_state_deadline(state));
}

static uint64_t world_run(World *world, uint64_t n_results) {
        uint64_t started = now_nsec(CLOCK_THREAD_CPUTIME_ID);
        uint64_t end = world->n_results + n_results;

        while (world->n_results < end) {
                WheelNode *node;

                world->now_usec = MAX(world->now_usec, wheel_next(&world->wheel));
                while ((node = wheel_pop(&world->wheel, world->now_usec)))
                        subject_due(world, CONTAINER_OF(node, Subject, node));
        }
        return now_nsec(CLOCK_THREAD_CPUTIME_ID) - started;
}

static uint64_t world_walk(const World *world, uint64_t n_calls) {
        uint64_t started = now_nsec(CLOCK_THREAD_CPUTIME_ID);
        Subject *subject = world->subjects;

        for (uint64_t i = 0; i < n_calls; i++) {
                (void)subject->call(subject);
                subject = subject->next;
        }
        return now_nsec(CLOCK_THREAD_CPUTIME_ID) - started;
}

int main(int argc, char *argv[]) {
        uint64_t n_probes = argc == 3 ? strtoull(argv[1], NULL, 10) : 0;
        uint64_t n_results = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;
        World world = {};
        uint64_t nsec, reference_nsec, first;

        if (n_probes < 1 || n_probes > N_PROBES_MAX || n_results < 1 || n_results > N_RESULTS_MAX ||
            world_init(&world, n_probes) < 0) {
                fprintf(stderr, "core PROBES RESULTS\n");
                return 2;
        }

        (void)world_run(&world, n_probes); /* the first answers, and warm caches */
        first = world.n_results;
        nsec = world_run(&world, n_results);
        reference_nsec = world_walk(&world, n_results);

        n_results = world.n_results - first;
        printf("{\"probes\": %" PRIu64 ", \"results\": %" PRIu64 ", \"changes\": %" PRIu64
               ", \"nsec\": %.2f, \"reference_nsec\": %.2f}\n",
               n_probes, n_results, world.n_changes, (double)nsec / (double)n_results,
               (double)reference_nsec / (double)n_results);
        free(world.subjects);
        return 0;
}
