/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Heartbeat
 *
 * A worker that could have beaten for a whole limit and has not is hung, at once
 * after the limit; one that beats, or did not get to run, or was looked at late, is
 * not; nobody is excused for ever; and many are looked at together. In the walk, a small scheduler
 * decides who runs, and says so as late as the kernel does.
 */

#include <glib.h>

#include "base/clock.h"
#include "base/macro.h"
#include "core/defaults.h"
#include "core/heartbeat.h"
#include "core/random.h"

#define LIMIT (100 * USEC_PER_MSEC)
#define START (50 * USEC_PER_SEC)

static const HeartbeatChance unknown = {};
static const HeartbeatChance idle = { .known = true };

static HeartbeatVerdict
check_at(const HeartbeatChance *first, const HeartbeatChance *then, uint64_t due, uint64_t now) {
        Heartbeat heartbeat;

        heartbeat_begin(&heartbeat, LIMIT, 1, first, START);
        g_assert_cmpuint(heartbeat.due_usec, ==, START + LIMIT);
        heartbeat.due_usec = START + due;
        return heartbeat_check(&heartbeat, 1, then, START + now);
}

static void test_table(void) {
        static const struct {
                const char *what;
                HeartbeatChance then;
                uint64_t due_msec, now_msec;
                HeartbeatVerdict expected;
        } rows[] = {
                { "not yet", { .known = true }, 99, 99, HEARTBEAT_FINE },
                { "asleep", { .known = true }, 100, 100, HEARTBEAT_HUNG },
                { "nothing known", {}, 100, 100, HEARTBEAT_HUNG },
                { "busy", { true, true, false, 100000, 0 }, 100, 100, HEARTBEAT_HUNG },
                { "waited for a processor, and sleeps now",
                  { true, false, false, 0, 30000 },
                  100,
                  100,
                  HEARTBEAT_STARVED },
                { "the same, and later",
                  { true, false, false, 0, 30000 },
                  130,
                  130,
                  HEARTBEAT_HUNG },
                { "waits for one right now",
                  { true, true, false, 5000, 0 },
                  100,
                  100,
                  HEARTBEAT_STARVED },
                { "but not for ever", { true, true, false, 5000, 0 }, 1000, 1000, HEARTBEAT_HUNG },
                { "half the time busy",
                  { true, true, false, 50000, 50000 },
                  100,
                  100,
                  HEARTBEAT_STARVED },
                { "twice as long",
                  { true, true, false, 100000, 100000 },
                  200,
                  200,
                  HEARTBEAT_HUNG },
                { "debugger", { true, false, true, 0, 0 }, 5000, 5000, HEARTBEAT_STARVED },
                { "debugger, nothing else known",
                  { false, false, true, 0, 0 },
                  5000,
                  5000,
                  HEARTBEAT_STARVED },
                { "looked a little late", { .known = true }, 100, 120, HEARTBEAT_HUNG },
                { "looked very late", { .known = true }, 100, 190, HEARTBEAT_STARVED },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                HeartbeatVerdict verdict = check_at(rows[i].then.known ? &idle : &unknown,
                                                    &rows[i].then, rows[i].due_msec * USEC_PER_MSEC,
                                                    rows[i].now_msec * USEC_PER_MSEC);

                if (verdict != rows[i].expected)
                        g_error("%s: %d instead of %d", rows[i].what, verdict, rows[i].expected);
        }
}

static void test_beats(void) {
        Heartbeat heartbeat;
        uint64_t now = START;

        heartbeat_begin(&heartbeat, LIMIT, 0, &idle, now);
        for (unsigned i = 0; i < 100; i++) {
                uint64_t beat = heartbeat.due_usec - 20 * USEC_PER_MSEC;

                now = heartbeat.due_usec;
                g_assert_cmpint(heartbeat_check(&heartbeat, beat, &idle, now), ==, HEARTBEAT_FINE);
                g_assert_cmpuint(heartbeat.due_usec, ==, beat + LIMIT);
        }
        g_assert_cmpint(heartbeat_check(&heartbeat, heartbeat.value, &idle, heartbeat.due_usec), ==,
                        HEARTBEAT_HUNG);
}

/* Whatever a crashed program leaves there, the next silence is seen within the limit. */
static void test_rubbish(void) {
        static const uint64_t rubbish[] = { 0, 1, START, START * 2, UINT64_MAX - 1, UINT64_MAX };

        for (size_t i = 0; i < ELEMENTSOF(rubbish); i++) {
                Heartbeat heartbeat;
                uint64_t now = START + LIMIT / 2;

                heartbeat_begin(&heartbeat, LIMIT, 42, &idle, START);
                (void)heartbeat_check(&heartbeat, rubbish[i], &idle, now);
                g_assert_cmpuint(heartbeat.since_usec, <=, now);
                g_assert_cmpuint(heartbeat.due_usec, >, now);
                g_assert_cmpuint(heartbeat.due_usec, <=, now + LIMIT);
                g_assert_cmpint(heartbeat_check(&heartbeat, rubbish[i], &idle, heartbeat.due_usec),
                                ==, HEARTBEAT_HUNG);
        }
}

/* A looker who is always late does not look away for ever. */
static void test_always_late(void) {
        HeartbeatVerdict verdict = HEARTBEAT_FINE;
        Heartbeat heartbeat;
        unsigned n = 0;

        heartbeat_begin(&heartbeat, LIMIT, 1, &idle, START);
        while (verdict != HEARTBEAT_HUNG) {
                verdict = heartbeat_check(&heartbeat, 1, &idle, heartbeat.due_usec + LIMIT / 2);
                g_assert_cmpuint(++n, <=, HEARTBEAT_PATIENCE + 3);
        }
        g_assert_cmpuint(n, >, 2);
}

/* A worker that did nothing wrong under a debugger gets its whole limit afterwards. */
static void test_after_debugger(void) {
        const HeartbeatChance traced = { .known = true, .traced = true };
        Heartbeat heartbeat;
        uint64_t end = START + 100 * LIMIT;

        heartbeat_begin(&heartbeat, LIMIT, 1, &idle, START);
        while (heartbeat.due_usec < end)
                g_assert_cmpint(heartbeat_check(&heartbeat, 1, &traced, heartbeat.due_usec), ==,
                                HEARTBEAT_STARVED);
        g_assert_cmpint(heartbeat_check(&heartbeat, 1, &idle, heartbeat.due_usec - 1), ==,
                        HEARTBEAT_STARVED);
        g_assert_cmpint(heartbeat_check(&heartbeat, 1, &idle, heartbeat.due_usec - 1), ==,
                        HEARTBEAT_FINE);
        g_assert_cmpint(heartbeat_check(&heartbeat, 1, &idle, heartbeat.due_usec), ==,
                        HEARTBEAT_HUNG);

        /* Let go of just before the look: what was before does not count. */
        heartbeat_begin(&heartbeat, LIMIT, 1, &idle, START);
        g_assert_cmpint(heartbeat_check(&heartbeat, 1, &traced, heartbeat.due_usec), ==,
                        HEARTBEAT_STARVED);
        end = heartbeat.due_usec;
        g_assert_cmpint(heartbeat_check(&heartbeat, 1, &idle, end), ==, HEARTBEAT_STARVED);
        g_assert_cmpuint(heartbeat.due_usec, ==, end + LIMIT);
        g_assert_cmpint(heartbeat_check(&heartbeat, 1, &idle, heartbeat.due_usec), ==,
                        HEARTBEAT_HUNG);
}

/*
 * A worker that beats after each 10 ms of work, on a machine that lets it run
 * a slice now and then, and a service that looks when it said it would.
 */
typedef struct World {
        Random random;
        uint64_t now, beat;
        uint64_t run, wait, waiting_since;
        bool running, hangs, busy;
        uint64_t own;        /* since the last beat */
        unsigned starvation; /* per cent of the time that it does not get */
} World;

static void world_step(World *world) {
        if (world->hangs && !world->busy) {
                world->running = false;
        } else if (random_below(&world->random, 100) < world->starvation) {
                if (world->running)
                        world->waiting_since = world->now;
                world->running = false;
        } else {
                if (!world->running)
                        world->wait += world->now - world->waiting_since;
                world->running = true;
        }

        world->now += USEC_PER_MSEC;
        if (world->running) {
                world->run += USEC_PER_MSEC;
                world->own += USEC_PER_MSEC;
        }
        if (!world->hangs && world->own >= 10 * USEC_PER_MSEC) {
                world->beat = world->now;
                world->own = 0;
        }
}

static HeartbeatChance world_chance(const World *world) {
        return (HeartbeatChance){
                .known = true,
                .runnable = !world->hangs || world->busy,
                .run_usec = world->run,
                .wait_usec = world->wait,
        };
}

/* Returns how long it took to be seen hung after it began to hang; never before. */
static uint64_t world_run(World *world, uint64_t hang_at) {
        HeartbeatChance chance = world_chance(world);
        Heartbeat heartbeat;

        heartbeat_begin(&heartbeat, LIMIT, world->beat, &chance, world->now);
        for (;;) {
                if (world->now >= hang_at && !world->hangs) {
                        world->hangs = true;
                        if (!world->busy && !world->running)
                                world->wait += world->now - world->waiting_since;
                }
                world_step(world);
                if (world->now < heartbeat.due_usec)
                        continue;

                chance = world_chance(world);
                if (heartbeat_check(&heartbeat, world->beat, &chance, world->now) ==
                    HEARTBEAT_HUNG) {
                        g_assert_true(world->hangs);
                        return world->now - hang_at;
                }
                g_assert_cmpuint(heartbeat.due_usec, >, world->now);
        }
}

/* Workers that beat when they like are looked at together: at most twice a limit, and in time. */
static void test_looks_along(void) {
        enum {
                N_WORKERS = 16,
                N_LIMITS = 100
        };
        Heartbeat heartbeats[N_WORKERS];
        uint64_t phases[N_WORKERS], now = START;
        unsigned n_looks = 0;

        for (unsigned i = 0; i < N_WORKERS; i++) {
                phases[i] = (uint64_t)g_test_rand_int_range(1, LIMIT / 3);
                heartbeat_begin(&heartbeats[i], LIMIT, START, &idle, START);
        }

        for (; now < START + N_LIMITS * LIMIT; n_looks++) {
                now = USEC_NEVER;
                for (unsigned i = 0; i < N_WORKERS; i++)
                        now = MIN(now, heartbeats[i].due_usec);

                for (unsigned i = 0; i < N_WORKERS; i++) {
                        uint64_t beat = now - (now - START + phases[i]) % (LIMIT / 3);

                        if (!heartbeat_looks_along(&heartbeats[i], now))
                                continue;
                        g_assert_cmpint(heartbeat_check(&heartbeats[i], beat, &idle, now), ==,
                                        HEARTBEAT_FINE);
                }
                for (unsigned i = 0; i < N_WORKERS; i++)
                        g_assert_cmpuint(heartbeats[i].due_usec, >, now);
        }

        g_test_message("%u looks in %u limits", n_looks, (unsigned)N_LIMITS);
        g_assert_cmpuint(n_looks, <=, 2 * N_LIMITS);
        g_assert_cmpuint(n_looks, >=, N_LIMITS);
}

static void test_walk(void) {
        for (unsigned round = 0; round < 200; round++) {
                World world = {
                        .random = RANDOM_INIT(g_test_rand_int()),
                        .now = START,
                        .beat = START,
                        .waiting_since = START,
                        .starvation = (unsigned)g_test_rand_int_range(0, 80),
                        .busy = round % 2,
                };
                uint64_t took = world_run(&world, START + 5 * USEC_PER_SEC);

                g_assert_cmpuint(took, <=, (HEARTBEAT_PATIENCE + 1) * LIMIT);
                if (world.starvation == 0 || !world.busy)
                        g_assert_cmpuint(took, <=, 3 * LIMIT);
        }
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);

        g_test_add_func("/core/heartbeat/table", test_table);
        g_test_add_func("/core/heartbeat/beats", test_beats);
        g_test_add_func("/core/heartbeat/rubbish", test_rubbish);
        g_test_add_func("/core/heartbeat/always-late", test_always_late);
        g_test_add_func("/core/heartbeat/after-debugger", test_after_debugger);
        g_test_add_func("/core/heartbeat/looks-along", test_looks_along);
        g_test_add_func("/core/heartbeat/walk", test_walk);

        return g_test_run();
}
