/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Probe State, at random
 *
 * Holds every step against a model that keeps all answers since the last reset
 * and counts them anew each time: verdict, staleness, what a change reports, which
 * answers apply, when to run next. test-probe-state.c walks the same by hand.
 */

#include <glib.h>
#include <string.h>

#include "base/clock.h"
#include "base/macro.h"
#include "core/probe-state.h"

static Random source = RANDOM_INIT(1);

#define HISTORY_MAX 4096

typedef struct Model {
        const ProbePolicy *policy;
        char history[HISTORY_MAX]; /* p w f, since the last reset */
        unsigned n_history, window_from;
        hale_status verdict;
        bool passed_once, stale, active, running;
        uint64_t answered_usec, since_usec, started_usec;
        uint64_t n_results[4], n_timeouts, n_late;
} Model;

static unsigned model_suffix(const Model *model, bool fails) {
        unsigned n = 0;

        while (n < model->n_history && (model->history[model->n_history - 1 - n] == 'f') == fails)
                n++;
        return n;
}

static unsigned model_window(const Model *model) {
        unsigned n = 0;

        for (unsigned i = 0; i < model->policy->window_n && i < model->n_history; i++)
                if (model->n_history - 1 - i >= model->window_from)
                        n += model->history[model->n_history - 1 - i] == 'f';
        return n;
}

static void model_enter(Model *model, hale_status verdict, uint64_t now) {
        model->stale = model->stale && verdict == HALE_UNKNOWN;
        if (model->verdict != verdict)
                model->since_usec = now;
        model->verdict = verdict;
}

static void model_reset(Model *model, uint64_t now) {
        model->n_history = 0;
        model->window_from = 0;
        model_enter(model, HALE_UNKNOWN, now);
}

static void model_take(Model *model, hale_status result, uint64_t now) {
        const ProbePolicy *policy = model->policy;

        model->n_results[result]++;
        if (result == HALE_UNKNOWN)
                return;

        if (model->n_history == HISTORY_MAX) { /* more than any threshold or window looks back */
                memmove(model->history, model->history + HISTORY_MAX / 2, HISTORY_MAX / 2);
                model->n_history = HISTORY_MAX / 2;
                model->window_from = usec_sub(model->window_from, HISTORY_MAX / 2) & G_MAXUINT;
        }

        model->answered_usec = now;
        model->history[model->n_history++] = result == HALE_FAIL ? 'f' : 'p';

        if (result == HALE_FAIL) {
                if (model_suffix(model, true) >= policy->fail_after ||
                    (policy->window_m > 0 && model_window(model) >= policy->window_m))
                        model_enter(model, HALE_FAIL, now);
                return;
        }

        if (model->verdict == HALE_FAIL) {
                if (model_suffix(model, false) < policy->pass_after)
                        return;
                model->window_from = model->n_history;
        }
        model->passed_once = true;
        model_enter(model, result, now);
}

static void model_compare(const Model *model, const ProbeState *state) {
        g_assert_cmpint(state->verdict, ==, model->verdict);
        g_assert_cmpint(state->stale, ==, model->stale);
        g_assert_cmpint(state->active, ==, model->active);
        g_assert_cmpint(state->running, ==, model->running);
        g_assert_cmpint(state->passed_once, ==, model->passed_once);
        g_assert_cmpuint(state->answered_usec, ==, model->answered_usec);
        g_assert_cmpuint(state->since_usec, ==, model->since_usec);
        g_assert_cmpuint(state->n_timeouts, ==, model->n_timeouts);
        g_assert_cmpuint(state->n_late, ==, model->n_late);
        g_assert_cmpmem(state->n_results, sizeof(state->n_results), model->n_results,
                        sizeof(model->n_results));
        g_assert_cmpuint(state->n_fail, <=, state->policy.fail_after);
        g_assert_cmpuint(state->n_pass, <=, state->policy.pass_after);
        g_assert_cmpint(state->due_usec == USEC_NEVER, ==,
                        state->running || state->policy.pushed || !state->active);
}

typedef struct Walk {
        ProbePolicy policy;
        ProbeState state;
        Model model;
        uint64_t now;
        uint32_t generation;
        hale_status verdict; /* before the step, to hold the change against */
        bool passed_once;
} Walk;

static void walk_init(Walk *walk) {
        ProbePolicy *policy = &walk->policy;

        *walk = (Walk){ .now = (uint64_t)g_test_rand_int_range(1, G_MAXINT) };
        probe_policy_default(policy, (unsigned)g_test_rand_int_range(0, 8),
                             g_test_rand_int_range(0, 4) == 0);
        policy->fail_after = (unsigned)g_test_rand_int_range(1, 6);
        policy->pass_after = (unsigned)g_test_rand_int_range(1, 5);
        if (g_test_rand_bit()) {
                policy->window_n =
                        (unsigned)g_test_rand_int_range(1, g_test_rand_bit() ? 6 : WINDOW_MAX + 1);
                policy->window_m = (unsigned)g_test_rand_int_range(1, (int)policy->window_n + 1);
        }
        policy->interval_usec = (uint64_t)g_test_rand_int_range(1000, 100 * 1000 * 1000);
        policy->timeout_usec =
                1 + (uint64_t)g_test_rand_double_range(0, (double)policy->interval_usec);
        policy->stale_usec = policy->interval_usec * (uint64_t)g_test_rand_int_range(1, 4) +
                             policy->timeout_usec;

        probe_state_init(&walk->state, policy, walk->now);
        walk->model =
                (Model){ .policy = policy, .answered_usec = walk->now, .since_usec = walk->now };
}

static void walk_remember(Walk *walk) {
        walk->verdict = walk->state.verdict;
        walk->passed_once = walk->state.passed_once;
}

static void walk_check_change(const Walk *walk, const ProbeChange *change) {
        g_assert_cmpint(change->verdict, ==, walk->verdict != walk->state.verdict);
        g_assert_cmpint(change->first, ==, !walk->passed_once && walk->state.passed_once);
        if (change->verdict) {
                g_assert_cmpint(change->from, ==, walk->verdict);
                g_assert_cmpint(change->to, ==, walk->state.verdict);
        }
}

/* The next run lies within a tenth of the interval that applies. */
static void walk_check_due(const Walk *walk) {
        uint64_t interval = walk->policy.interval_usec;
        uint64_t delay = walk->state.due_usec - walk->now;

        if (probe_state_in_transition(&walk->state))
                interval = MIN(interval, walk->policy.fast_usec);
        g_assert_cmpuint(delay, >=, interval - interval / 10);
        g_assert_cmpuint(delay, <=, interval + interval / 10);
}

static void walk_tick(Walk *walk) {
        uint64_t now = walk->now;

        for (unsigned n = 0;; n++) {
                uint64_t deadline = probe_state_deadline(&walk->state);
                ProbeChange change;
                ProbeWish wish;

                walk_remember(walk);
                wish = probe_state_tick(&walk->state, now, &source, &change);
                g_assert_cmpint(wish == PROBE_WAIT, ==, deadline > now);
                g_assert_cmpuint(n, <, 4);

                if (wish == PROBE_TIMEOUT) {
                        g_assert_true(walk->model.running);
                        g_assert_cmpuint(now, >=,
                                         walk->model.started_usec + walk->policy.timeout_usec);
                        walk->model.running = false;
                        walk->model.n_timeouts++;
                        model_take(&walk->model, HALE_FAIL, now);
                        walk_check_due(walk);
                } else if (wish == PROBE_STALE) {
                        g_assert_cmpuint(now, >=,
                                         walk->model.answered_usec + walk->policy.stale_usec);
                        walk->model.stale = true;
                        model_reset(&walk->model, now);
                } else if (wish == PROBE_RUN) {
                        g_assert_false(walk->model.running);
                        walk->generation = probe_state_begin(&walk->state, now);
                        walk->model.running = true;
                        walk->model.started_usec = now;
                }

                walk_check_change(walk, &change);
                model_compare(&walk->model, &walk->state);
                if (wish == PROBE_WAIT)
                        break;
        }

        g_assert_true(!walk->model.active || walk->state.verdict == HALE_UNKNOWN ||
                      now - walk->model.answered_usec < walk->policy.stale_usec);
}

static hale_status random_result(void) {
        return (hale_status)g_test_rand_int_range(HALE_UNKNOWN, HALE_FAIL + 1);
}

static void walk_answer(Walk *walk) {
        bool good = g_test_rand_int_range(0, 4) > 0;
        uint32_t generation = good ? walk->generation : (uint32_t)g_test_rand_int();
        hale_status result = random_result();
        bool applies = walk->model.running && generation == walk->generation;
        ProbeChange change = {};

        walk_remember(walk);
        g_assert_cmpint(probe_state_end(&walk->state, generation, result, walk->now, &source,
                                        &change),
                        ==, applies);
        if (applies) {
                walk->model.running = false;
                model_take(&walk->model, result, walk->now);
                walk_check_change(walk, &change);
                walk_check_due(walk);
        } else {
                walk->model.n_late++;
        }
}

static void walk_push(Walk *walk) {
        hale_status result = random_result();
        ProbeChange change;

        walk_remember(walk);
        probe_state_push(&walk->state, result, walk->now, &change);
        model_take(&walk->model, result, walk->now);
        walk_check_change(walk, &change);
}

static void walk_activate(Walk *walk, bool active) {
        bool kept = walk->policy.pushed && !walk->model.active &&
                    walk->model.verdict != HALE_UNKNOWN &&
                    walk->now < walk->model.answered_usec + walk->policy.stale_usec;

        walk->model.active = active;
        walk->model.running = false;
        if (!active) {
                probe_state_deactivate(&walk->state);
                return;
        }

        probe_state_activate(&walk->state, walk->now, 1000, &source);
        if (kept)
                return;

        walk->model.stale = false;
        walk->model.answered_usec = walk->now;
        model_reset(&walk->model, walk->now);
        g_assert_true(walk->policy.pushed || walk->state.due_usec - walk->now <= 1000);
}

static void walk_step(Walk *walk) {
        uint64_t deadline = probe_state_deadline(&walk->state);

        switch (g_test_rand_int_range(0, 40)) {
        case 0:
                walk_activate(walk, true);
                break;
        case 1:
                walk_activate(walk, g_test_rand_int_range(0, 4) > 0);
                break;
        case 2 ... 4:
                walk_push(walk);
                break;
        case 5 ... 6:
                g_assert_cmpint(probe_state_hurry(&walk->state, walk->now), ==,
                                walk->model.active && !walk->model.running && !walk->policy.pushed);
                break;
        case 7 ... 12: /* a little, often not enough for anything */
                walk->now += (uint64_t)g_test_rand_int_range(0, 100000);
                break;
        case 13: /* a stall */
                walk->now +=
                        (uint64_t)g_test_rand_double_range(0, 5 * (double)walk->policy.stale_usec);
                break;
        case 14 ... 25:
                walk_answer(walk);
                break;
        default:
                if (deadline != USEC_NEVER)
                        walk->now = MAX(walk->now, deadline);
        }

        model_compare(&walk->model, &walk->state);
        walk_tick(walk);
}

static void test_random_walk(void) {
        static Walk walk;

        for (unsigned i = 0; i < 200; i++) {
                walk_init(&walk);
                for (unsigned step = 0; step < 1000; step++)
                        walk_step(&walk);
        }
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        source = (Random)RANDOM_INIT(g_test_rand_int());

        g_test_add_func("/core/probe-state/random-walk", test_random_walk);

        return g_test_run();
}
