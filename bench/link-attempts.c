/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * link-attempts: how often a link tries in an outage of ten minutes
 *
 *     link-attempts SEEDS
 *
 * Runs the state machine that decides it, with the defaults and in virtual time, once
 * for each seed of its jitter and each kind of outage. Prints a JSON object: for each
 * kind the most attempts that any seed has led to, and how many there are on average.
 * A link that was up is lost at the beginning; every attempt counts, also the last
 * one that begins before the ten minutes are over.
 */

#include <stdio.h>
#include <stdlib.h>

#include "core/defaults.h"
#include "core/link-state.h"

#define OUTAGE_USEC (10 * USEC_PER_MINUTE)
#define SEEDS_MAX 10000000

typedef enum Outage {
        OUTAGE_REFUSES,  /* at once */
        OUTAGE_SILENT,   /* until the deadline of the attempt */
        OUTAGE_FLAPS,    /* lets us in, and is gone again before long */
        OUTAGE_MIXED,    /* now one, now the other */
        OUTAGE_SHORTEST, /* refuses, and each draw of the jitter is the shortest that there is */
        _OUTAGE_MAX,
} Outage;

static const char *const outage_names[] = {
        [OUTAGE_REFUSES] = "refuses", [OUTAGE_SILENT] = "silent",     [OUTAGE_FLAPS] = "flaps",
        [OUTAGE_MIXED] = "mixed",     [OUTAGE_SHORTEST] = "shortest",
};

typedef struct World {
        LinkState state;
        Random random;
        uint64_t now;
} World;

static LinkWish world_next(World *world, Outage kind) {
        world->now = link_state_deadline(&world->state);
        if (kind == OUTAGE_SHORTEST)
                world->random.state = 0; /* random_next() stays at 0 */
        return link_state_tick(&world->state, world->now, &world->random);
}

/* Up, for as long as a link needs to forget what was before, or for a moment; and lost. */
static void world_begin(World *world, uint64_t seed) {
        LinkPolicy policy;

        *world = (World){ .random = RANDOM_INIT(seed), .now = USEC_PER_SEC };
        link_policy_default(&policy);
        link_state_init(&world->state, &policy);
        link_state_start(&world->state, world->now);
        (void)link_state_tick(&world->state, world->now, &world->random);
        (void)link_state_up(&world->state, 0, world->now);
        world->now += random_below(&world->random, 2) * LINK_STABLE_USEC;
        (void)link_state_down(&world->state, 0, world->now, &world->random);
}

/* What becomes of an attempt. */
static void world_fail(World *world, Outage kind) {
        if (kind == OUTAGE_MIXED)
                kind = (Outage)random_below(&world->random, OUTAGE_MIXED);

        if (kind == OUTAGE_SILENT) {
                (void)world_next(world, kind);
                return;
        }
        if (kind == OUTAGE_FLAPS) {
                (void)link_state_up(&world->state, 0, world->now);
                world->now += random_below(&world->random, LINK_STABLE_USEC / 100);
        }
        (void)link_state_down(&world->state, 0, world->now, &world->random);
}

static unsigned count_attempts(uint64_t seed, Outage kind) {
        unsigned n = 0;
        uint64_t end;
        World world;

        world_begin(&world, seed);
        end = world.now + OUTAGE_USEC;
        while (link_state_deadline(&world.state) < end)
                if (world_next(&world, kind) == LINK_OPEN) {
                        n++;
                        world_fail(&world, kind);
                }
        return n;
}

int main(int argc, char *argv[]) {
        unsigned long n_seeds = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;

        if (n_seeds == 0 || n_seeds > SEEDS_MAX) {
                fprintf(stderr, "link-attempts SEEDS\n");
                return 2;
        }

        for (Outage kind = 0; kind < _OUTAGE_MAX; kind++) {
                unsigned worst = 0;
                uint64_t sum = 0;

                for (unsigned long seed = 0; seed < n_seeds; seed++) {
                        unsigned n = count_attempts(seed, kind);

                        sum += n;
                        worst = n > worst ? n : worst;
                }
                printf("%s\"%s\": {\"worst\": %u, \"mean\": %.1f}", kind == 0 ? "{" : ", ",
                       outage_names[kind], worst, (double)sum / (double)n_seeds);
        }
        puts("}");
        return 0;
}
