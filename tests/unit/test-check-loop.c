/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The lag of the loop: each reader sees each stall once, a loop that is watched
 * sees how long its handlers take and is not woken by being watched, and loop:
 * says pass, warn and fail at its limits.
 */

#include "check-fixture.h"

#include <signal.h>
#include <sys/time.h>

#include "check/loop-watch.h"
#include "core/defaults.h"

static void test_readers(void) {
        LoopLagReader a, b;
        LoopLag lag;

        loop_lag_init(&lag);
        loop_lag_add_reader(&lag, &a);
        loop_lag_note(&lag, 100, 400);
        loop_lag_add_reader(&lag, &b);
        loop_lag_note(&lag, 1000, 1200);
        loop_lag_note(&lag, 2000, 1900);

        g_assert_cmpuint(loop_lag_read(&a), ==, 300);
        g_assert_cmpuint(loop_lag_read(&a), ==, 0);
        g_assert_cmpuint(loop_lag_read(&b), ==, 200);
        g_assert_cmpuint(lag.max_usec, ==, 300);
        g_assert_cmpuint(lag.last_usec, ==, 0);
        g_assert_cmpuint(lag.n_notes, ==, 3);

        loop_lag_note(&lag, 0, 50);
        loop_lag_forgive(&lag);
        g_assert_cmpuint(loop_lag_read(&a), ==, 0);

        loop_lag_remove_reader(&a);
        loop_lag_note(&lag, 0, 70);
        g_assert_cmpuint(loop_lag_read(&b), ==, 70);
        loop_lag_remove_reader(&b);
}

/* Whatever is noted, a reader has the maximum since it last read. */
static void test_walk(void) {
        uint64_t expected = 0, all = 0;
        LoopLagReader reader;
        LoopLag lag;

        loop_lag_init(&lag);
        loop_lag_add_reader(&lag, &reader);
        for (unsigned i = 0; i < 10000; i++) {
                uint64_t late = (uint64_t)g_test_rand_int_range(0, 1000000);

                loop_lag_note(&lag, i, i + late);
                expected = MAX(expected, late);
                all = MAX(all, late);
                g_assert_cmpuint(lag.max_usec, ==, all);
                if (g_test_rand_int_range(0, 5) == 0) {
                        g_assert_cmpuint(loop_lag_read(&reader), ==, expected);
                        expected = 0;
                }
        }
        loop_lag_remove_reader(&reader);
}

/* Occupies the loop for that long, as a handler that computes does. */
static int on_busy(sd_event_source *source, void *userdata) {
        uint64_t end_usec = clock_now_usec(CLOCK_MONOTONIC) + *(uint64_t *)userdata;

        (void)source;
        while (clock_now_usec(CLOCK_MONOTONIC) < end_usec)
                ;
        return 0;
}

static void test_watch(void) {
        uint64_t busy_usec = 30 * USEC_PER_MSEC, before;
        LoopLagReader reader;
        Fixture fixture;
        LoopWatch watch;

        fixture_init(&fixture);
        loop_lag_add_reader(&fixture.lag, &reader);
        g_assert_cmpint(loop_watch_init(&watch, fixture.event, &fixture.lag), ==, 0);

        /* Nothing to do: the loop is not woken for our sake. */
        g_assert_cmpint(sd_event_run(fixture.event, 20 * USEC_PER_MSEC), ==, 0);

        g_assert_cmpint(sd_event_add_defer(fixture.event, NULL, on_busy, &busy_usec), >=, 0);
        before = clock_now_usec(CLOCK_MONOTONIC);
        g_assert_cmpint(sd_event_run(fixture.event, USEC_PER_SEC), ==, 1);
        g_assert_cmpint(sd_event_run(fixture.event, 0), ==, 0);
        g_assert_cmpuint(loop_lag_read(&reader), >=, busy_usec);
        g_assert_cmpuint(watch.polled_usec, >=, before + busy_usec);

        /* Waiting is not lag. */
        loop_lag_forgive(&fixture.lag);
        g_assert_cmpint(sd_event_run(fixture.event, 50 * USEC_PER_MSEC), ==, 0);
        g_assert_cmpint(sd_event_run(fixture.event, 0), ==, 0);
        g_assert_cmpuint(loop_lag_read(&reader), <, 50 * USEC_PER_MSEC);

        loop_watch_done(&watch);
        loop_lag_remove_reader(&reader);
        fixture_done(&fixture);
}

static volatile uint64_t interrupted_usec;

static void on_alarm(int number) {
        (void)number;
        interrupted_usec = clock_now_usec(CLOCK_MONOTONIC);
}

/* A poll that a signal has ended goes on: what passed in it is no lag, and it began when it began.
 */
static void test_interrupted(void) {
        const struct itimerval soon = { .it_value.tv_usec = 50 * USEC_PER_MSEC };
        struct sigaction action = { .sa_handler = on_alarm }, old;
        LoopLagReader reader;
        Fixture fixture;
        LoopWatch watch;

        fixture_init(&fixture);
        loop_lag_add_reader(&fixture.lag, &reader);
        g_assert_cmpint(loop_watch_init(&watch, fixture.event, &fixture.lag), ==, 0);
        g_assert_cmpint(sd_event_run(fixture.event, 0), ==, 0);

        g_assert_cmpint(sigaction(SIGALRM, &action, &old), ==, 0);
        g_assert_cmpint(setitimer(ITIMER_REAL, &soon, NULL), ==, 0);
        while (interrupted_usec == 0)
                g_assert_cmpint(sd_event_run(fixture.event, 20 * USEC_PER_SEC), >=, 0);
        g_assert_cmpint(sd_event_run(fixture.event, 0), ==, 0);
        g_assert_cmpuint(watch.polled_usec, <, interrupted_usec);
        g_assert_cmpuint(loop_lag_read(&reader), <, 50 * USEC_PER_MSEC);

        (void)sigaction(SIGALRM, &old, NULL);
        loop_watch_done(&watch);
        loop_lag_remove_reader(&reader);
        fixture_done(&fixture);
}

/* That a poll lasted longer than it should have is seen also when others came first. */
static void test_overslept(void) {
        uint64_t began, woken;
        Fixture fixture;
        LoopWatch watch;

        fixture_init(&fixture);
        g_assert_cmpint(loop_watch_init(&watch, fixture.event, &fixture.lag), ==, 0);
        g_assert_cmpint(sd_event_run(fixture.event, 0), ==, 0);

        began = clock_now_usec(CLOCK_MONOTONIC);
        g_assert_cmpint(sd_event_run(fixture.event, 50 * USEC_PER_MSEC), ==, 0);
        for (unsigned i = 0; i < 3; i++)
                g_assert_cmpint(sd_event_run(fixture.event, 0), ==, 0);

        g_assert_cmpint(sd_event_now(fixture.event, CLOCK_MONOTONIC, &woken), ==, 0);
        g_assert_cmpuint(loop_watch_overslept(&watch, began + 10 * USEC_PER_MSEC, woken), >=,
                         40 * USEC_PER_MSEC);
        /* It is told once, and not to whom it did not concern. */
        g_assert_cmpuint(loop_watch_overslept(&watch, began + 10 * USEC_PER_MSEC, woken), <,
                         40 * USEC_PER_MSEC);

        g_assert_cmpint(sd_event_run(fixture.event, 50 * USEC_PER_MSEC), ==, 0);
        g_assert_cmpint(sd_event_run(fixture.event, 0), ==, 0);
        g_assert_cmpuint(loop_watch_overslept(&watch, clock_now_usec(CLOCK_MONOTONIC), woken), ==,
                         0);

        loop_watch_done(&watch);
        fixture_done(&fixture);
}

static void test_verdicts(void) {
        Fixture fixture;
        Check *check;

        fixture_init(&fixture);
        check = fixture_check(&fixture, "loop:");

        g_assert_true(fixture_ask_check(&fixture, check, USEC_PER_SEC));
        g_assert_cmpint(fixture.result.status, ==, HALE_PASS);

        loop_lag_note(&fixture.lag, 0, LOOP_LAG_WARN_USEC);
        (void)fixture_ask_check(&fixture, check, USEC_PER_SEC);
        g_assert_cmpint(fixture.result.status, ==, HALE_PASS);
        g_assert_cmpfloat(fixture.result.value, ==, 200);
        g_assert_cmpstr(fixture.result.unit, ==, "ms");

        loop_lag_note(&fixture.lag, 0, LOOP_LAG_WARN_USEC + 1);
        (void)fixture_ask_check(&fixture, check, USEC_PER_SEC);
        g_assert_cmpint(fixture.result.status, ==, HALE_WARN);

        loop_lag_note(&fixture.lag, 0, LOOP_LAG_FAIL_USEC + 1);
        (void)fixture_ask_check(&fixture, check, USEC_PER_SEC);
        g_assert_cmpint(fixture.result.status, ==, HALE_FAIL);
        g_assert_nonnull(strstr(fixture.result.output, "limit 5s"));

        /* One stall is one bad answer. */
        (void)fixture_ask_check(&fixture, check, USEC_PER_SEC);
        g_assert_cmpint(fixture.result.status, ==, HALE_PASS);

        check_free(check);
        g_assert_true(LIST_EMPTY(&fixture.lag.readers));
        fixture_done(&fixture);
}

static void test_limits(void) {
        Fixture fixture;
        Check *check;

        fixture_init(&fixture);
        fixture_refuse(&fixture, "loop:?warn=2s&fail=1s",
                       "loop:?warn=2s&fail=1s: the limit at character 12; "
                       "expected at most that of 'fail'");
        g_assert_true(LIST_EMPTY(&fixture.lag.readers));

        /* A limit below the default warning warns nowhere. */
        check = fixture_check(&fixture, "loop:?fail=100ms");
        loop_lag_note(&fixture.lag, 0, 100 * USEC_PER_MSEC + 1);
        (void)fixture_ask_check(&fixture, check, USEC_PER_SEC);
        g_assert_cmpint(fixture.result.status, ==, HALE_FAIL);
        check_free(check);
        fixture_done(&fixture);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/check/loop-lag/each-reader-sees-a-stall-once", test_readers);
        g_test_add_func("/check/loop-lag/random-walk", test_walk);
        g_test_add_func("/check/loop-watch/sees-handlers-wakes-nobody", test_watch);
        g_test_add_func("/check/loop-watch/interrupted", test_interrupted);
        g_test_add_func("/check/loop-watch/overslept", test_overslept);
        g_test_add_func("/check/loop/verdicts", test_verdicts);
        g_test_add_func("/check/loop/limits", test_limits);
        return g_test_run();
}
