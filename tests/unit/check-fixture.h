/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Check Fixture: a loop, a pool and somebody who asks
 *
 * ask() makes a check, asks it once with a deadline, as the service does, and
 * frees it.
 */

#include <glib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/macro.h"
#include "check/check.h"

/* What a test waits at most for what must come. */
#define PATIENCE_USEC (20 * USEC_PER_SEC)

typedef struct Fixture {
        sd_event *event;
        Pool pool;
        LoopLag lag;
        CheckContext context;
        CheckResult result; /* of the last answer */
        unsigned n_answers;
} Fixture;

static inline int fixture_on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        (void)source, (void)usec, (void)userdata;
        return 0;
}

static inline void fixture_init(Fixture *fixture) {
        *fixture = (Fixture){};
        g_assert_cmpint(sd_event_new(&fixture->event), >=, 0);
        /* The loop keeps the descriptor of its first timer: so that descriptors can be compared. */
        g_assert_cmpint(sd_event_add_time(fixture->event, NULL, CLOCK_MONOTONIC, UINT64_MAX, 0,
                                          fixture_on_timer, NULL),
                        >=, 0);
        g_assert_cmpint(pool_init(&fixture->pool, fixture->event, 0), ==, 0);
        loop_lag_init(&fixture->lag);
        fixture->context = (CheckContext){
                .event = fixture->event,
                .pool = &fixture->pool,
                .lag = &fixture->lag,
        };
}

static inline void fixture_done(Fixture *fixture) {
        pool_done(&fixture->pool);
        sd_event_unref(fixture->event);
}

static inline void fixture_take_answer(Check *check, const CheckResult *result, void *userdata) {
        Fixture *fixture = userdata;

        g_assert_false(check_is_pending(check));
        fixture->result = *result;
        fixture->n_answers++;
}

/* Asks a check that exists. The answer is in fixture->result. Returns false on a time-out. */
static inline bool fixture_ask_check(Fixture *fixture, Check *check, uint64_t timeout_usec) {
        uint64_t end_usec = usec_add(clock_now_usec(CLOCK_MONOTONIC), timeout_usec);
        unsigned before = fixture->n_answers;
        int r;

        r = check_start(check, timeout_usec, &fixture->result, fixture_take_answer, fixture);
        if (r == CHECK_ANSWERED) {
                g_assert_cmpuint(fixture->n_answers, ==, before);
                return true;
        }
        g_assert_cmpint(r, ==, CHECK_PENDING);

        while (fixture->n_answers == before) {
                uint64_t now_usec = clock_now_usec(CLOCK_MONOTONIC);

                if (now_usec >= end_usec) {
                        g_assert_true(check_cancel(check, &fixture->result));
                        return false;
                }
                g_assert_cmpint(sd_event_run(fixture->event, end_usec - now_usec), >=, 0);
        }

        g_assert_cmpuint(fixture->n_answers, ==, before + 1);
        return true;
}

static inline Check *fixture_check(Fixture *fixture, const char *spec) {
        CheckError error = {};
        Check *check = NULL;
        int r;

        r = check_new(&check, spec, &fixture->context, &error);
        if (r < 0)
                g_test_message("%s", error.text);
        g_assert_cmpint(r, ==, 0);
        return check;
}

static inline hale_status fixture_ask(Fixture *fixture, const char *spec, uint64_t timeout_usec) {
        Check *check = fixture_check(fixture, spec);

        (void)fixture_ask_check(fixture, check, timeout_usec);
        check_free(check);
        g_test_message("%s -> %d: %s", spec, (int)fixture->result.status, fixture->result.output);
        return fixture->result.status;
}

/* The answer must be @status and its text contain @part. */
static inline void
fixture_expect(Fixture *fixture, const char *spec, hale_status status, const char *part) {
        g_assert_cmpint(fixture_ask(fixture, spec, PATIENCE_USEC), ==, status);
        if (!strstr(fixture->result.output, part))
                g_error("%s: '%s' lacks '%s'", spec, fixture->result.output, part);
}

/* The spec must be refused with exactly that text. */
static inline void fixture_refuse(Fixture *fixture, const char *spec, const char *text) {
        CheckError error = {};
        Check *check = NULL;

        g_assert_cmpint(check_new(&check, spec, &fixture->context, &error), ==, -EINVAL);
        g_assert_null(check);
        g_assert_cmpstr(error.text, ==, text);
}

/* Turns the loop until *@flag reaches @value. */
static inline void fixture_wait(Fixture *fixture, const unsigned *flag, unsigned value) {
        uint64_t end_usec = clock_now_usec(CLOCK_MONOTONIC) + PATIENCE_USEC;

        while (*flag < value) {
                g_assert_cmpuint(clock_now_usec(CLOCK_MONOTONIC), <, end_usec);
                g_assert_cmpint(sd_event_run(fixture->event, USEC_PER_SEC), >=, 0);
        }
}

/* Open descriptors of this process. */
static inline unsigned count_fds(void) {
        unsigned n = 0;
        GDir *dir = g_dir_open("/proc/self/fd", 0, NULL);

        g_assert_nonnull(dir);
        while (g_dir_read_name(dir))
                n++;
        g_dir_close(dir);
        return n;
}
