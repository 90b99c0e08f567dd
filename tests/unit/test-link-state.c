/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Link State
 *
 * The states follow one another as they may; every wait lies within the bounds of
 * its kind; the breaker opens after so many failures in a row and closes when a
 * connection has lasted; what is late changes nothing; and in an outage of ten
 * minutes there are never more than 64 attempts, whatever the luck.
 */

#include <glib.h>

#include "base/clock.h"
#include "base/macro.h"
#include "core/defaults.h"
#include "core/link-state.h"

#define OUTAGE_USEC (10 * USEC_PER_MINUTE)
#define ATTEMPTS_MAX 64

typedef struct Fixture {
        LinkPolicy policy;
        LinkState state;
        Random random;
        uint64_t now;
} Fixture;

static void fixture_init(Fixture *f, uint64_t seed, bool checked) {
        *f = (Fixture){ .random = RANDOM_INIT(seed), .now = 1000 * USEC_PER_SEC };
        link_policy_default(&f->policy);
        f->policy.checked = checked;
        link_state_init(&f->state, &f->policy);
        link_state_start(&f->state, f->now);
}

static LinkWish fixture_tick(Fixture *f) {
        return link_state_tick(&f->state, f->now, &f->random);
}

/* Waits until something is due, and returns what. */
static LinkWish fixture_next(Fixture *f) {
        g_assert_cmpuint(link_state_deadline(&f->state), !=, USEC_NEVER);
        f->now = MAX(f->now, link_state_deadline(&f->state));
        return fixture_tick(f);
}

static void fixture_come_up(Fixture *f) {
        g_assert_cmpint(fixture_next(f), ==, LINK_OPEN);
        g_assert_cmpint(link_state_up(&f->state, 0, f->now), ==, LINK_CAME_UP);
}

static void fixture_fail(Fixture *f) {
        g_assert_cmpint(fixture_next(f), ==, LINK_OPEN);
        g_assert_cmpint(link_state_down(&f->state, 0, f->now, &f->random), ==, LINK_FAILED);
}

static void test_begins_at_once(void) {
        Fixture f;

        fixture_init(&f, 1, true);
        g_assert_cmpuint(link_state_deadline(&f.state), ==, f.now);
        g_assert_cmpint(fixture_tick(&f), ==, LINK_OPEN);
        g_assert_cmpint(f.state.status, ==, LINK_CONNECTING);
        g_assert_cmpuint(f.state.generation, ==, 1);
        g_assert_cmpint(fixture_tick(&f), ==, LINK_WAIT);

        g_assert_cmpint(link_state_up(&f.state, 1, f.now + 5), ==, LINK_CAME_UP);
        g_assert_cmpint(f.state.status, ==, LINK_UP);
        g_assert_cmpuint(f.state.up_usec, ==, f.now + 5);
        g_assert_cmpuint(link_state_deadline(&f.state), ==, f.now + 5 + LINK_CHECK_INTERVAL_USEC);
}

static void test_deadline_of_an_attempt(void) {
        Fixture f;

        fixture_init(&f, 2, true);
        g_assert_cmpint(fixture_tick(&f), ==, LINK_OPEN);
        f.now += LINK_CONNECT_USEC - 1;
        g_assert_cmpint(fixture_tick(&f), ==, LINK_WAIT);
        f.now++;
        g_assert_cmpint(fixture_tick(&f), ==, LINK_GIVE_UP);
        g_assert_cmpint(f.state.status, ==, LINK_DOWN);
        g_assert_cmpuint(f.state.n_failures, ==, 1);

        /* Its answer comes too late, before and after the next attempt has begun. */
        g_assert_cmpint(link_state_up(&f.state, 1, f.now), ==, LINK_LATE);
        g_assert_cmpint(link_state_up(&f.state, 0, f.now), ==, LINK_LATE);
        g_assert_cmpint(fixture_next(&f), ==, LINK_OPEN);
        g_assert_cmpuint(f.state.generation, ==, 2);
        g_assert_cmpint(link_state_up(&f.state, 1, f.now), ==, LINK_LATE);
        g_assert_cmpint(link_state_down(&f.state, 1, f.now, &f.random), ==, LINK_LATE);
        g_assert_cmpint(f.state.status, ==, LINK_CONNECTING);
        g_assert_cmpuint(f.state.n_late, ==, 4);
}

static void test_checks(void) {
        Fixture f;

        fixture_init(&f, 3, true);
        fixture_come_up(&f);
        g_assert_cmpint(fixture_next(&f), ==, LINK_CHECK);
        g_assert_true(f.state.checking);
        g_assert_cmpuint(link_state_deadline(&f.state), ==, f.now + LINK_CHECK_TIMEOUT_USEC);
        f.now += LINK_CHECK_TIMEOUT_USEC - 1;
        g_assert_cmpint(link_state_up(&f.state, 0, f.now), ==, LINK_SAME);
        g_assert_cmpuint(link_state_deadline(&f.state), ==, f.now + LINK_CHECK_INTERVAL_USEC);

        /* Asked early, once. */
        link_state_hurry(&f.state, f.now);
        g_assert_cmpint(fixture_tick(&f), ==, LINK_CHECK);
        link_state_hurry(&f.state, f.now);
        g_assert_cmpint(fixture_tick(&f), ==, LINK_WAIT);

        f.now += LINK_CHECK_TIMEOUT_USEC;
        g_assert_cmpint(fixture_tick(&f), ==, LINK_UNANSWERED);
        g_assert_cmpint(f.state.status, ==, LINK_DOWN);
        g_assert_false(f.state.checking);
        g_assert_cmpuint(f.state.n_losses, ==, 1);

        fixture_init(&f, 3, false);
        fixture_come_up(&f);
        g_assert_cmpuint(link_state_deadline(&f.state), ==, USEC_NEVER);
        link_state_hurry(&f.state, f.now);
        g_assert_cmpuint(link_state_deadline(&f.state), ==, USEC_NEVER);
}

/* The first few waits are so short that a server that is back is found within 300 ms; then they
 * grow, by at least the pauses of the breaker, and end at 30 s. */
static void test_waits(void) {
        static const uint64_t pauses[] = { 400, 800, 1600, 3200, 6400, 12000, 12000, 12000 };
        Fixture f;

        for (uint64_t seed = 0; seed < 200; seed++) {
                fixture_init(&f, seed, true);
                for (unsigned i = 0; i < 100; i++) {
                        uint64_t wait;

                        g_assert_cmpint(link_state_breaker(&f.state, f.now), ==,
                                        i < LINK_BREAKER_AFTER ? BREAKER_CLOSED : BREAKER_OPEN);
                        fixture_fail(&f);
                        wait = link_state_deadline(&f.state) - f.now;
                        g_assert_cmpuint(wait, >=, RECONNECT_MIN_USEC);
                        g_assert_cmpuint(wait, <=, RECONNECT_MAX_USEC);
                        if (i + 1 < LINK_BREAKER_AFTER)
                                g_assert_cmpuint(wait, <=, RECONNECT_MIN_USEC * 5 / 4);
                        else
                                g_assert_cmpuint(wait, >=,
                                                 pauses[MIN(i + 1 - LINK_BREAKER_AFTER,
                                                            ELEMENTSOF(pauses) - 1)] *
                                                         USEC_PER_MSEC);
                }
        }
}

static void test_breaker(void) {
        Fixture f;

        fixture_init(&f, 4, true);
        for (unsigned i = 0; i < LINK_BREAKER_AFTER; i++)
                fixture_fail(&f);
        g_assert_cmpint(link_state_breaker(&f.state, f.now), ==, BREAKER_OPEN);

        /* One trial; that it succeeds is not enough. */
        fixture_come_up(&f);
        g_assert_cmpint(link_state_breaker(&f.state, f.now), ==, BREAKER_HALF);
        f.now += LINK_STABLE_USEC - 1;
        g_assert_cmpint(link_state_down(&f.state, 0, f.now, &f.random), ==, LINK_WENT_DOWN);
        g_assert_cmpint(link_state_breaker(&f.state, f.now), ==, BREAKER_OPEN);
        g_assert_cmpuint(f.state.n_failures, ==, LINK_BREAKER_AFTER + 1);

        fixture_come_up(&f);
        f.now += LINK_STABLE_USEC;
        g_assert_cmpint(link_state_breaker(&f.state, f.now), ==, BREAKER_CLOSED);
        g_assert_cmpint(link_state_down(&f.state, 0, f.now, &f.random), ==, LINK_WENT_DOWN);
        g_assert_cmpuint(f.state.n_failures, ==, 0);

        /* What has lasted is connected anew at once, but for the jitter. */
        g_assert_cmpuint(link_state_deadline(&f.state) - f.now, <=, RECONNECT_MIN_USEC / 4);

        f.policy.breaker_after = 0;
        link_state_init(&f.state, &f.policy);
        link_state_start(&f.state, f.now);
        for (unsigned i = 0; i < 20; i++)
                fixture_fail(&f);
        g_assert_cmpint(link_state_breaker(&f.state, f.now), ==, BREAKER_CLOSED);
}

static void test_told(void) {
        Fixture f;

        fixture_init(&f, 5, false);
        f.policy.told = true;
        link_state_init(&f.state, &f.policy);
        link_state_start(&f.state, f.now);
        g_assert_cmpuint(link_state_deadline(&f.state), ==, USEC_NEVER);
        g_assert_cmpint(link_state_reopen(&f.state, f.now), ==, LINK_LATE);
        g_assert_cmpint(link_state_down(&f.state, 0, f.now, &f.random), ==, LINK_SAME);
        g_assert_cmpint(link_state_up(&f.state, 0, f.now), ==, LINK_CAME_UP);
        g_assert_cmpint(link_state_up(&f.state, 0, f.now), ==, LINK_SAME);
        g_assert_cmpint(link_state_down(&f.state, 0, f.now, &f.random), ==, LINK_WENT_DOWN);
        g_assert_cmpuint(link_state_deadline(&f.state), ==, USEC_NEVER);
        g_assert_cmpint(link_state_up(&f.state, 1, f.now), ==, LINK_CAME_UP);
        g_assert_cmpuint(f.state.generation, ==, 2);
}

static void test_reopen(void) {
        Fixture f;

        fixture_init(&f, 6, true);
        g_assert_cmpint(fixture_next(&f), ==, LINK_OPEN);
        g_assert_cmpint(link_state_reopen(&f.state, f.now), ==, LINK_SAME);
        g_assert_cmpint(link_state_up(&f.state, 0, f.now), ==, LINK_CAME_UP);
        g_assert_cmpint(link_state_reopen(&f.state, f.now), ==, LINK_WENT_DOWN);
        g_assert_cmpuint(link_state_deadline(&f.state), ==, f.now);
        g_assert_cmpuint(f.state.n_failures, ==, 0);
        for (unsigned i = 0; i < 20; i++)
                fixture_fail(&f);
        g_assert_cmpuint(link_state_deadline(&f.state), >, f.now);
        g_assert_cmpint(link_state_reopen(&f.state, f.now), ==, LINK_FAILED);
        g_assert_cmpint(fixture_tick(&f), ==, LINK_OPEN);

        /* A connection that has lasted makes up for the failures, whatever ends it. */
        g_assert_cmpint(link_state_up(&f.state, 0, f.now), ==, LINK_CAME_UP);
        f.now += LINK_STABLE_USEC;
        g_assert_cmpint(link_state_reopen(&f.state, f.now), ==, LINK_WENT_DOWN);
        g_assert_cmpint(link_state_breaker(&f.state, f.now), ==, BREAKER_CLOSED);
        fixture_fail(&f);
        g_assert_cmpuint(link_state_deadline(&f.state) - f.now, <=, RECONNECT_MIN_USEC * 5 / 4);

        link_state_stop(&f.state, f.now);
        g_assert_cmpint(link_state_reopen(&f.state, f.now), ==, LINK_LATE);
        g_assert_cmpint(link_state_up(&f.state, 0, f.now), ==, LINK_LATE);
        g_assert_cmpuint(link_state_deadline(&f.state), ==, USEC_NEVER);
}

/* How a server can be out of order. */
typedef enum Outage {
        OUTAGE_REFUSES, /* at once */
        OUTAGE_SILENT,  /* until the deadline */
        OUTAGE_FLAPS,   /* lets us in, and is gone again before long */
        OUTAGE_MIXED,
        _OUTAGE_MAX,
} Outage;

static void outage_step(Fixture *f, Outage kind) {
        if (kind == OUTAGE_MIXED)
                kind = (Outage)random_below(&f->random, OUTAGE_MIXED);

        if (kind == OUTAGE_SILENT) {
                g_assert_cmpint(fixture_next(f), ==, LINK_GIVE_UP);
                return;
        }
        if (kind == OUTAGE_FLAPS) {
                g_assert_cmpint(link_state_up(&f->state, 0, f->now), ==, LINK_CAME_UP);
                f->now += random_below(&f->random, LINK_STABLE_USEC / 100);
        }
        g_assert_cmpint(link_state_down(&f->state, 0, f->now, &f->random), !=, LINK_LATE);
}

/* Returns how many attempts there were in ten minutes, of which the link was up before. */
static unsigned outage_attempts(uint64_t seed, Outage kind) {
        unsigned n_attempts = 0;
        uint64_t began;
        Fixture f;

        fixture_init(&f, seed, true);
        fixture_come_up(&f);
        f.now += random_below(&f.random, 2) * LINK_STABLE_USEC;
        (void)link_state_down(&f.state, 0, f.now, &f.random);
        began = f.now;
        while (link_state_deadline(&f.state) < began + OUTAGE_USEC) {
                g_assert_cmpint(fixture_next(&f), ==, LINK_OPEN);
                n_attempts++;
                outage_step(&f, kind);
        }

        return n_attempts;
}

static void test_outage(void) {
        for (Outage kind = 0; kind < _OUTAGE_MAX; kind++) {
                unsigned most = 0, sum = 0;

                for (uint64_t seed = 0; seed < 1000; seed++) {
                        unsigned n = outage_attempts(seed, kind);

                        g_assert_cmpuint(n, >=, 15);
                        most = MAX(most, n);
                        sum += n;
                }
                g_test_message("outage %d: at most %u attempts, %.1f on average", (int)kind, most,
                               sum / 1000.0);
                g_assert_cmpuint(most, <=, ATTEMPTS_MAX);
        }
}

/* The bound must not hang on luck: here every draw is the shortest that there can be. */
static void test_outage_at_its_worst(void) {
        unsigned n = 0;
        uint64_t began;
        Fixture f;

        fixture_init(&f, 7, true);
        began = f.now;
        while (f.now < began + OUTAGE_USEC) {
                f.random.state = 0; /* random_next() stays at 0 */
                g_assert_cmpint(fixture_next(&f), ==, LINK_OPEN);
                n++;
                (void)link_state_down(&f.state, 0, f.now, &f.random);
        }
        g_test_message("at worst: %u attempts", n);
        g_assert_cmpuint(n, >, 50);
        g_assert_cmpuint(n, <=, ATTEMPTS_MAX);
}

/* What an observer knows of it, from what happened and not from the state. */
typedef struct Shadow {
        LinkStatus status;
        uint32_t generation;
        bool checking;
} Shadow;

static void walk_tick(Fixture *f, Shadow *s) {
        switch (fixture_tick(f)) {
        case LINK_OPEN:
                g_assert_cmpint(s->status, ==, LINK_DOWN);
                g_assert_cmpuint(f->state.generation, ==, s->generation + 1);
                *s = (Shadow){ LINK_CONNECTING, s->generation + 1, false };
                break;
        case LINK_GIVE_UP:
                g_assert_cmpint(s->status, ==, LINK_CONNECTING);
                s->status = LINK_DOWN;
                break;
        case LINK_CHECK:
                g_assert_cmpint(s->status, ==, LINK_UP);
                g_assert_false(s->checking);
                s->checking = true;
                break;
        case LINK_UNANSWERED:
                g_assert_true(s->status == LINK_UP && s->checking);
                *s = (Shadow){ LINK_DOWN, s->generation, false };
                break;
        case LINK_WAIT:
                g_assert_cmpuint(f->now, <, link_state_deadline(&f->state));
                break;
        }
}

static void walk_tell(Fixture *f, Shadow *s) {
        uint32_t generation = s->generation - (uint32_t)g_test_rand_int_range(0, 2);
        bool late = generation != 0 && generation != s->generation;
        LinkChange change;

        if (g_test_rand_bit()) {
                change = link_state_up(&f->state, generation, f->now);
                g_assert_cmpint(change, ==,
                                late || s->status == LINK_DOWN ? LINK_LATE
                                : s->status == LINK_UP         ? LINK_SAME
                                                               : LINK_CAME_UP);
                if (change != LINK_LATE)
                        *s = (Shadow){ LINK_UP, s->generation, false };
        } else {
                change = link_state_down(&f->state, generation, f->now, &f->random);
                g_assert_cmpint(change, ==,
                                late || s->status == LINK_DOWN ? LINK_LATE
                                : s->status == LINK_UP         ? LINK_WENT_DOWN
                                                               : LINK_FAILED);
                if (change != LINK_LATE)
                        *s = (Shadow){ LINK_DOWN, s->generation, false };
        }
}

static void test_walk(void) {
        Shadow s = { LINK_DOWN, 0, false };
        Fixture f;

        fixture_init(&f, g_test_rand_int(), true);
        for (unsigned i = 0; i < 200000; i++) {
                f.now += (uint64_t)g_test_rand_int_range(0, 4000000);
                if (g_test_rand_int_range(0, 3) > 0)
                        walk_tick(&f, &s);
                else if (s.generation > 1)
                        walk_tell(&f, &s);

                g_assert_cmpint(f.state.status, ==, s.status);
                g_assert_cmpint(f.state.checking, ==, s.checking);
                g_assert_cmpuint(link_state_deadline(&f.state), !=, USEC_NEVER);
                g_assert_cmpuint(link_state_deadline(&f.state), <=, f.now + RECONNECT_MAX_USEC);
        }
        g_assert_cmpuint(f.state.n_ups, >, 100);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/core/link-state/begins-at-once", test_begins_at_once);
        g_test_add_func("/core/link-state/deadline-of-an-attempt", test_deadline_of_an_attempt);
        g_test_add_func("/core/link-state/checks", test_checks);
        g_test_add_func("/core/link-state/waits", test_waits);
        g_test_add_func("/core/link-state/breaker", test_breaker);
        g_test_add_func("/core/link-state/told", test_told);
        g_test_add_func("/core/link-state/reopen", test_reopen);
        g_test_add_func("/core/link-state/outage", test_outage);
        g_test_add_func("/core/link-state/outage-at-its-worst", test_outage_at_its_worst);
        g_test_add_func("/core/link-state/walk", test_walk);
        return g_test_run();
}
