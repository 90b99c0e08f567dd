/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Ladder
 *
 * The stories go up it in every way: healed, of no help, late, refused, given up, out
 * of turn. The random walk keeps books of its own and holds: one rung at a time, none
 * before its failures, none while it cools down, none above its budget, none twice in
 * one climb, an end for each run, and nothing left to wait for once it is spent.
 */

#include <errno.h>
#include <glib.h>

#include "base/clock.h"
#include "base/macro.h"
#include "core/defaults.h"
#include "core/ladder.h"

#define SECOND USEC_PER_SEC
#define VERIFY (5 * SECOND)

typedef struct Fixture {
        Ladder ladder;
        uint64_t times[RUNGS_MAX][RUNG_BUDGET_MAX];
        uint64_t now;
        LadderEnd end;
} Fixture;

static Fixture *fixture_new(void) {
        Fixture *f = g_new0(Fixture, 1);

        f->now = 1000 * SECOND;
        ladder_init(&f->ladder);
        return f;
}

static unsigned add(Fixture *f, unsigned after) {
        RungPolicy policy;
        int r;

        rung_policy_default(&policy, after);
        r = ladder_add(&f->ladder, &policy, f->times[f->ladder.n_rungs]);
        g_assert_cmpint(r, >=, 0);
        return (unsigned)r;
}

static void fails(Fixture *f) {
        ladder_fails(&f->ladder, f->now, VERIFY, f->now);
}

static bool passes(Fixture *f) {
        return ladder_passes(&f->ladder, f->now, true, &f->end);
}

static LadderWish step(Fixture *f) {
        return ladder_step(&f->ladder, f->now, &f->end);
}

/* Runs the present rung to its end, and fails it. */
static void climb(Fixture *f) {
        g_assert_cmpint(step(f), ==, LADDER_RUN);
        f->now += SECOND;
        g_assert_true(ladder_ended(&f->ladder, f->ladder.generation, 0, f->now));
        g_assert_cmpint(step(f), ==, LADDER_VERIFY);
        fails(f);
        g_assert_cmpint(step(f), ==, LADDER_OVER);
}

static void test_healed(void) {
        g_autofree Fixture *f = fixture_new();
        uint64_t asked;

        (void)add(f, 2);
        g_assert_true(ladder_is_healing(&f->ladder));
        g_assert_cmpuint(ladder_deadline(&f->ladder), ==, USEC_NEVER);

        fails(f);
        g_assert_cmpint(step(f), ==, LADDER_WAIT);
        g_assert_cmpuint(ladder_deadline(&f->ladder), ==, USEC_NEVER);
        fails(f);
        g_assert_cmpuint(ladder_deadline(&f->ladder), <=, f->now);
        g_assert_cmpint(step(f), ==, LADDER_RUN);
        g_assert_true(ladder_is_busy(&f->ladder));

        /* An answer to what was asked before the end says nothing of it. */
        asked = f->now;
        f->now += SECOND;
        g_assert_true(ladder_ended(&f->ladder, 1, 0, f->now));
        f->now += 1;
        g_assert_false(ladder_passes(&f->ladder, asked, true, &f->end));
        g_assert_cmpint(step(f), ==, LADDER_VERIFY);
        g_assert_true(passes(f));
        g_assert_cmpint(f->end.outcome, ==, RUNG_HEALED);
        g_assert_cmpuint(f->end.duration_usec, ==, SECOND);
        g_assert_cmpuint(f->ladder.rungs[0].n_outcomes[RUNG_HEALED], ==, 1);
        g_assert_cmpint(f->ladder.state, ==, LADDER_IDLE);
}

static void test_spent(void) {
        g_autofree Fixture *f = fixture_new();

        (void)add(f, 1);
        (void)add(f, 1);
        fails(f);
        climb(f);
        g_assert_cmpint(f->end.outcome, ==, RUNG_NO_HELP);
        g_assert_cmpuint(f->end.rung, ==, 0);
        g_assert_true(ladder_is_healing(&f->ladder));
        climb(f);
        g_assert_cmpuint(f->end.rung, ==, 1);
        g_assert_cmpint(step(f), ==, LADDER_GAVE_UP);
        g_assert_false(ladder_is_healing(&f->ladder));
        g_assert_false(f->ladder.gave_up);
        g_assert_cmpint(step(f), ==, LADDER_WAIT);

        /* Slowly, it is tried again: after the cooldown, and a failure since. */
        g_assert_cmpuint(ladder_deadline(&f->ladder), ==, f->ladder.rungs[0].ready_usec);
        f->now = ladder_deadline(&f->ladder);
        g_assert_cmpint(step(f), ==, LADDER_WAIT);
        fails(f);
        climb(f);
        g_assert_cmpuint(f->end.rung, ==, 0);
}

static void test_late(void) {
        g_autofree Fixture *f = fixture_new();

        (void)add(f, 1);
        fails(f);
        g_assert_cmpint(step(f), ==, LADDER_RUN);
        f->now = ladder_deadline(&f->ladder);
        g_assert_cmpint(step(f), ==, LADDER_LATE);
        g_assert_false(ladder_ended(&f->ladder, f->ladder.generation, 0, f->now));
        g_assert_cmpuint(f->ladder.rungs[0].n_timeouts, ==, 1);
        fails(f);
        g_assert_cmpint(step(f), ==, LADDER_OVER);
        g_assert_cmpint(f->end.outcome, ==, RUNG_TIMEOUT);

        /* And one whose end comes in time to be heard, but not in time. */
        g_assert_cmpint(step(f), ==, LADDER_GAVE_UP);
        f->now = ladder_deadline(&f->ladder);
        (void)step(f);
        fails(f);
        g_assert_cmpint(step(f), ==, LADDER_RUN);
        f->now += REMEDY_TIMEOUT_USEC + 1;
        g_assert_true(ladder_ended(&f->ladder, f->ladder.generation, 0, f->now));
        g_assert_cmpuint(f->ladder.rungs[0].n_timeouts, ==, 2);

        /* It came too late for its deadline, not for the patient. */
        f->now++;
        g_assert_true(passes(f));
        g_assert_cmpint(f->end.outcome, ==, RUNG_HEALED);
}

static void test_no_answer(void) {
        g_autofree Fixture *f = fixture_new();

        (void)add(f, 1);
        fails(f);
        g_assert_cmpint(step(f), ==, LADDER_RUN);
        g_assert_true(ladder_ended(&f->ladder, 1, -EIO, f->now));
        g_assert_cmpuint(ladder_deadline(&f->ladder), ==, f->now + VERIFY);
        f->now += VERIFY;
        g_assert_cmpint(step(f), ==, LADDER_OVER);
        g_assert_cmpint(f->end.outcome, ==, RUNG_ERROR);
        g_assert_cmpint(f->end.result, ==, -EIO);
}

static void test_refused(void) {
        g_autofree Fixture *f = fixture_new();
        Rung *rung;

        (void)add(f, 1);
        rung = &f->ladder.rungs[0];
        for (unsigned i = 0; i < 4; i++) {
                uint64_t cooldown = rung->cooldown_usec;

                fails(f);
                g_assert_cmpint(step(f), ==, LADDER_RUN);
                g_assert_true(ladder_ended(&f->ladder, f->ladder.generation, 0, f->now));
                g_assert_cmpuint(rung->ready_usec, ==, f->now + cooldown);
                g_assert_cmpuint(rung->cooldown_usec, ==, 2 * cooldown);
                g_assert_true(passes(f));

                /* It fails again while the rung cools down: refused, and nothing is left. */
                fails(f);
                g_assert_cmpint(step(f), ==, LADDER_GAVE_UP);
                g_assert_cmpuint(rung->n_refused_cooldown, ==, i + 1);
                (void)passes(f);
                g_assert_cmpint(f->ladder.state, ==, LADDER_IDLE);
                f->now = rung->ready_usec;
        }

        /* Not needed for a long while: it begins anew, but the hour's budget holds. */
        f->now += REMEDY_STABLE_USEC;
        fails(f);
        g_assert_cmpint(step(f), ==, LADDER_RUN);
        g_assert_true(ladder_ended(&f->ladder, f->ladder.generation, 0, f->now));
        g_assert_cmpuint(rung->cooldown_usec, ==, 2 * REMEDY_COOLDOWN_USEC);
        g_assert_true(passes(f));
}

static void test_budget(void) {
        g_autofree Fixture *f = fixture_new();
        RungPolicy policy;
        uint64_t first = f->now;

        rung_policy_default(&policy, 1);
        policy.cooldown_usec = 0;
        policy.budget = 3;
        g_assert_cmpint(ladder_add(&f->ladder, &policy, f->times[0]), ==, 0);
        for (unsigned i = 0; i < 3; i++) {
                fails(f);
                g_assert_cmpint(step(f), ==, LADDER_RUN);
                g_assert_true(ladder_ended(&f->ladder, f->ladder.generation, 0, f->now));
                g_assert_true(passes(f));
                f->now += SECOND;
        }
        fails(f);
        g_assert_cmpint(step(f), ==, LADDER_GAVE_UP);
        g_assert_cmpuint(f->ladder.rungs[0].n_refused_budget, ==, 1);
        g_assert_cmpuint(ladder_deadline(&f->ladder), ==, first + REMEDY_BUDGET_USEC);
}

static void test_give_up(void) {
        g_autofree Fixture *f = fixture_new();
        RungPolicy policy;

        (void)add(f, 1);
        rung_policy_default(&policy, 3);
        policy.give_up = true;
        g_assert_cmpint(ladder_add(&f->ladder, &policy, NULL), ==, 1);
        g_assert_cmpint(ladder_add(&f->ladder, &policy, NULL), ==, -EINVAL);

        fails(f);
        climb(f);
        g_assert_cmpint(step(f), ==, LADDER_WAIT);
        fails(f);
        g_assert_cmpint(step(f), ==, LADDER_GAVE_UP);
        g_assert_true(f->ladder.gave_up);
        g_assert_cmpuint(ladder_deadline(&f->ladder), ==, USEC_NEVER);
        g_assert_cmpint(ladder_press(&f->ladder, 0, VERIFY, f->now), ==, -ESTALE);
        (void)passes(f);
        g_assert_true(ladder_is_healing(&f->ladder));
}

static void test_out_of_turn(void) {
        g_autofree Fixture *f = fixture_new();

        (void)add(f, 3);
        g_assert_cmpint(ladder_press(&f->ladder, 0, VERIFY, f->now), ==, 0);
        g_assert_cmpint(ladder_press(&f->ladder, 0, VERIFY, f->now), ==, -EBUSY);
        g_assert_cmpuint(ladder_deadline(&f->ladder), ==, 0);
        g_assert_cmpint(step(f), ==, LADDER_RUN);
        g_assert_true(ladder_ended(&f->ladder, 1, 0, f->now));
        g_assert_true(passes(f));
        g_assert_cmpint(f->end.outcome, ==, RUNG_DONE);
        g_assert_cmpint(ladder_press(&f->ladder, 0, VERIFY, f->now), ==, -EAGAIN);
        g_assert_cmpint(f->ladder.state, ==, LADDER_IDLE);

        /* A spent ladder is spent afterwards, too. */
        for (unsigned i = 0; i < 3; i++)
                fails(f);
        g_assert_cmpint(step(f), ==, LADDER_GAVE_UP);
        f->now += REMEDY_COOLDOWN_USEC;
        g_assert_cmpint(ladder_press(&f->ladder, 0, VERIFY, f->now), ==, 0);
        g_assert_cmpint(step(f), ==, LADDER_RUN);
        g_assert_true(ladder_ended(&f->ladder, 2, 0, f->now));
        fails(f);
        g_assert_cmpint(step(f), ==, LADDER_OVER);
        g_assert_cmpint(f->end.outcome, ==, RUNG_NO_HELP);
        g_assert_false(ladder_is_healing(&f->ladder));
}

static void test_silent_and_reset(void) {
        g_autofree Fixture *f = fixture_new();

        (void)add(f, 1000);
        ladder_silent(&f->ladder, VERIFY, f->now);
        g_assert_cmpint(step(f), ==, LADDER_RUN);
        f->now += SECOND;
        g_assert_true(ladder_reset(&f->ladder, f->now, &f->end));
        g_assert_cmpint(f->end.outcome, ==, RUNG_CANCELED);
        g_assert_cmpint(f->ladder.state, ==, LADDER_IDLE);
        g_assert_false(ladder_ended(&f->ladder, 1, 0, f->now));
        g_assert_false(ladder_reset(&f->ladder, f->now, &f->end));
}

static void test_empty(void) {
        g_autofree Fixture *f = fixture_new();

        fails(f);
        ladder_silent(&f->ladder, VERIFY, f->now);
        g_assert_cmpint(step(f), ==, LADDER_WAIT);
        g_assert_false(ladder_is_healing(&f->ladder));
        g_assert_cmpuint(ladder_deadline(&f->ladder), ==, USEC_NEVER);
}

/* ---- the walk ---- */

typedef struct Books {
        GArray *starts[RUNGS_MAX]; /* of each rung */
        uint64_t ended[RUNGS_MAX];
        unsigned failures, climbed; /* of this climb: rungs below this one were had */
        bool running, in_turn;
        uint64_t n_ends, n_runs;
} Books;

static void books_run(Books *books, const Fixture *f, bool in_turn) {
        const Ladder *ladder = &f->ladder;
        const Rung *rung = &ladder->rungs[ladder->current];
        GArray *starts = books->starts[ladder->current];
        unsigned n = 0;

        g_assert_false(books->running);
        books->running = true;
        books->in_turn = in_turn;
        books->n_runs++;
        if (in_turn) {
                g_assert_cmpuint(ladder->current, >=, books->climbed);
                books->climbed = ladder->current + 1;
                g_assert_cmpuint(books->failures, >=, rung->policy.after);
        }

        if (starts->len > 0)
                g_assert_cmpuint(f->now, >=,
                                 books->ended[ladder->current] + rung->policy.cooldown_usec);
        for (unsigned i = 0; i < starts->len; i++)
                n += f->now - g_array_index(starts, uint64_t, i) < REMEDY_BUDGET_USEC;
        g_assert_cmpuint(n, <, rung->policy.budget);
        g_array_append_val(starts, f->now);
}

static void books_end(Books *books, const Fixture *f) {
        g_assert_true(books->running);
        g_assert_cmpuint(f->end.rung, ==, f->ladder.current);
        books->running = false;
        books->n_ends++;
        if (f->ladder.state == LADDER_IDLE)
                books->failures = books->climbed = 0;
}

static void walk_steps(Fixture *f, Books *books) {
        Ladder *ladder = &f->ladder;
        LadderWish wish;
        unsigned n = 0;

        do {
                LadderState before = ladder->state;
                bool pressed = ladder->pressed;

                g_assert_cmpuint(++n, <, 100);
                if (before == LADDER_SPENT && !pressed && f->now >= ladder_deadline(ladder))
                        books->failures = books->climbed = 0;
                wish = step(f);
                if (wish == LADDER_RUN)
                        books_run(books, f, !pressed);
                if (wish == LADDER_LATE)
                        books->ended[ladder->current] = f->now;
                if (wish == LADDER_OVER)
                        books_end(books, f);
                if (wish == LADDER_GAVE_UP)
                        g_assert_false(ladder_is_healing(ladder));
        } while (wish != LADDER_WAIT && wish != LADDER_VERIFY);

        /* Whatever is not an answer or an end comes with time, and is announced. */
        g_assert_true(ladder_deadline(ladder) > f->now);
        g_assert_cmpint(ladder->state == LADDER_RUNNING || ladder->state == LADDER_VERIFYING, ==,
                        books->running);
}

static void walk_event(Fixture *f, Books *books) {
        Ladder *ladder = &f->ladder;
        uint64_t asked = f->now - (uint64_t)g_test_rand_int_range(0, 2) * SECOND;

        switch (g_test_rand_int_range(0, 12)) {
        case 0 ... 4:
                ladder_fails(ladder, asked, VERIFY, f->now);
                books->failures++;
                break;
        case 5:
        case 6: {
                bool settled = g_test_rand_bit();
                LadderState before = ladder->state;

                if (ladder_passes(ladder, asked, settled, &f->end))
                        books_end(books, f);
                else if (settled && before != ladder->state)
                        books->failures = books->climbed = 0;
                break;
        }
        case 7:
        case 8:
                if (ladder->state == LADDER_RUNNING) {
                        books->ended[ladder->current] = f->now;
                        g_assert_true(ladder_ended(ladder, ladder->generation,
                                                   -g_test_rand_int_range(0, 2), f->now));
                } else {
                        g_assert_false(ladder_ended(ladder, ladder->generation, 0, f->now));
                }
                g_assert_false(ladder_ended(ladder, ladder->generation - 1, 0, f->now));
                break;
        case 9:
                (void)ladder_press(ladder, (unsigned)g_test_rand_int_range(0, (int)ladder->n_rungs),
                                   VERIFY, f->now);
                break;
        case 10:
                if (g_test_rand_int_range(0, 20) > 0)
                        break;
                if (ladder->state == LADDER_RUNNING)
                        books->ended[ladder->current] = f->now;
                if (ladder_reset(ladder, f->now, &f->end))
                        books_end(books, f);
                books->failures = books->climbed = 0;
                break;
        default:
                if (g_test_rand_int_range(0, 50) == 0) {
                        ladder_silent(ladder, VERIFY, f->now);
                        books->failures = UINT32_MAX;
                }
                break;
        }
        books->failures = MIN(books->failures, UINT32_MAX - 1000);
}

static void test_walk(void) {
        for (unsigned world = 0; world < 200; world++) {
                g_autofree Fixture *f = fixture_new();
                Books books = {};
                int n_rungs = g_test_rand_int_range(1, RUNGS_MAX + 1);
                uint64_t sum = 0;

                for (int i = 0; i < n_rungs; i++) {
                        RungPolicy policy;

                        rung_policy_default(&policy, (unsigned)g_test_rand_int_range(1, 6));
                        policy.cooldown_usec = (uint64_t)g_test_rand_int_range(0, 100) * SECOND;
                        policy.budget = (unsigned)g_test_rand_int_range(1, 10);
                        policy.timeout_usec = (uint64_t)g_test_rand_int_range(1, 60) * SECOND;
                        g_assert_cmpint(ladder_add(&f->ladder, &policy, f->times[i]), ==, i);
                        books.starts[i] = g_array_new(FALSE, FALSE, sizeof(uint64_t));
                }
                for (unsigned i = 0; i < 2000; i++) {
                        f->now += (uint64_t)g_test_rand_int_range(0, 20) * SECOND;
                        walk_event(f, &books);
                        walk_steps(f, &books);
                }

                for (int i = 0; i < n_rungs; i++) {
                        const Rung *rung = &f->ladder.rungs[i];

                        g_assert_cmpuint(rung->n_runs, ==, books.starts[i]->len);
                        for (int o = 0; o < _RUNG_OUTCOME_MAX; o++)
                                sum += rung->n_outcomes[o];
                        g_array_unref(books.starts[i]);
                }
                g_assert_cmpuint(sum, ==, books.n_ends);
                g_assert_cmpuint(books.n_runs, ==, books.n_ends + books.running);
        }
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/core/ladder/heals-and-says-so", test_healed);
        g_test_add_func("/core/ladder/is-spent-and-tries-again-slowly", test_spent);
        g_test_add_func("/core/ladder/late-runs-are-abandoned", test_late);
        g_test_add_func("/core/ladder/a-probe-without-answer-is-no-cure", test_no_answer);
        g_test_add_func("/core/ladder/cooldown-grows-and-refuses", test_refused);
        g_test_add_func("/core/ladder/budget-refuses", test_budget);
        g_test_add_func("/core/ladder/gives-up-for-good", test_give_up);
        g_test_add_func("/core/ladder/out-of-turn", test_out_of_turn);
        g_test_add_func("/core/ladder/silence-and-reset", test_silent_and_reset);
        g_test_add_func("/core/ladder/empty", test_empty);
        g_test_add_func("/core/ladder/random-walk", test_walk);
        return g_test_run();
}
