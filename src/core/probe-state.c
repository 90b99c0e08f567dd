/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/clock.h"
#include "base/macro.h"
#include "core/defaults.h"
#include "core/probe-state.h"

/* One row a gate, the strictest first: a probe with several takes the first that fits. */
/* clang-format off */
static const struct {
        unsigned gate;
        unsigned pass_after;
        uint64_t interval_usec, timeout_usec;
} gate_defaults[] = {
        { HALE_GATE_STARTUP, PASS_AFTER,       STARTUP_INTERVAL_USEC, STARTUP_TIMEOUT_USEC },
        { HALE_GATE_LIVE,    PASS_AFTER,       LIVE_INTERVAL_USEC,    LIVE_TIMEOUT_USEC    },
        { HALE_GATE_READY,   READY_PASS_AFTER, READY_INTERVAL_USEC,   READY_TIMEOUT_USEC   },
        { HALE_GATE_NONE,    PASS_AFTER,       INFO_INTERVAL_USEC,    INFO_TIMEOUT_USEC    },
};
/* clang-format on */

void probe_policy_default(ProbePolicy *policy, unsigned gates, bool pushed) {
        size_t row = 0;

        assert(policy);

        while (gate_defaults[row].gate != HALE_GATE_NONE && !(gates & gate_defaults[row].gate))
                row++;

        *policy = (ProbePolicy){
                .gates = gates,
                .pushed = pushed,
                .fail_after = pushed ? PUSHED_FAIL_AFTER : FAIL_AFTER,
                .pass_after = pushed ? PUSHED_PASS_AFTER : gate_defaults[row].pass_after,
                .interval_usec = gate_defaults[row].interval_usec,
                .timeout_usec = gate_defaults[row].timeout_usec,
                .fast_usec = FAST_INTERVAL_USEC,
                .stale_usec = STALE_INTERVALS * gate_defaults[row].interval_usec +
                              gate_defaults[row].timeout_usec,
        };
}

void probe_state_init(ProbeState *state, const ProbePolicy *policy, uint64_t now_usec) {
        assert(state);
        assert(policy);
        assert(policy->fail_after > 0 && policy->pass_after > 0);
        assert(policy->window_m <= policy->window_n && policy->window_n <= WINDOW_MAX);

        *state = (ProbeState){
                .policy = *policy,
                .verdict = HALE_UNKNOWN,
                .result = HALE_UNKNOWN,
                .due_usec = USEC_NEVER,
                .answered_usec = now_usec,
                .since_usec = now_usec,
        };
}

/* The only place that writes @verdict. */
static void
probe_state_enter(ProbeState *state, hale_status verdict, uint64_t now_usec, ProbeChange *change) {
        if (state->verdict == verdict)
                return;

        *change = (ProbeChange){
                .verdict = true,
                .first = change->first,
                .from = change->verdict ? change->from : state->verdict,
                .to = verdict,
        };
        state->verdict = verdict;
        state->since_usec = now_usec;
        state->n_changes++;
}

static void probe_state_forget_results(ProbeState *state) {
        state->n_fail = 0;
        state->n_pass = 0;
        state->n_window = 0;
        state->window = 0;
}

void probe_state_activate(ProbeState *state,
                          uint64_t now_usec,
                          uint64_t spread_usec,
                          Random *random) {
        ProbeChange ignored = {};

        assert(state);
        assert(random);

        /* What was pushed before its turn came still counts, and is as old as it is. */
        if (state->policy.pushed && !state->active && state->verdict != HALE_UNKNOWN &&
            now_usec < usec_add(state->answered_usec, state->policy.stale_usec)) {
                state->active = true;
                return;
        }

        probe_state_enter(state, HALE_UNKNOWN, now_usec, &ignored);
        probe_state_forget_results(state);
        state->active = true;
        state->stale = false;
        state->answered_usec = now_usec;

        /* A run under way when the world stood still is of the old world. */
        if (state->running) {
                state->running = false;
                state->generation++;
        }

        state->due_usec = state->policy.pushed
                                  ? USEC_NEVER
                                  : usec_add(now_usec, random_below(random, spread_usec));
}

void probe_state_deactivate(ProbeState *state) {
        assert(state);

        state->active = false;
        state->due_usec = USEC_NEVER;
        if (state->running) {
                state->running = false;
                state->generation++;
        }
}

bool probe_state_in_transition(const ProbeState *state) {
        assert(state);

        if (state->verdict == HALE_UNKNOWN)
                return true;

        return state->verdict == HALE_FAIL ? state->n_pass > 0 : state->n_fail > 0;
}

/* When to run again after a run that ended now. */
static uint64_t probe_state_next_due(const ProbeState *state, uint64_t now_usec, Random *random) {
        const ProbePolicy *policy = &state->policy;
        uint64_t interval = policy->interval_usec;
        uint64_t jitter;

        if (probe_state_in_transition(state))
                interval = MIN(interval, policy->fast_usec);

        jitter = interval / 100 * JITTER_PERCENT;
        return usec_add(now_usec, random_between(random, interval - jitter, interval + jitter));
}

uint32_t probe_state_begin(ProbeState *state, uint64_t now_usec) {
        assert(state);
        assert(state->active);
        assert(!state->running);
        assert(!state->policy.pushed);

        state->running = true;
        state->started_usec = now_usec;
        state->due_usec = USEC_NEVER;
        return ++state->generation;
}

/* The bits of the last @n results. */
static uint64_t window_mask(unsigned n) {
        return n >= WINDOW_MAX ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

static bool window_full_of_fails(const ProbeState *state) {
        if (state->policy.window_m == 0)
                return false;

        return (unsigned)__builtin_popcountll(state->window &
                                              window_mask(state->policy.window_n)) >=
               state->policy.window_m;
}

static void probe_state_take_fail(ProbeState *state, uint64_t now_usec, ProbeChange *change) {
        state->n_pass = 0;
        state->n_failed_in_row++;
        if (state->n_fail < state->policy.fail_after)
                state->n_fail++;

        if (state->n_fail >= state->policy.fail_after || window_full_of_fails(state))
                probe_state_enter(state, HALE_FAIL, now_usec, change);
}

static void probe_state_take_pass(ProbeState *state,
                                  hale_status result,
                                  uint64_t now_usec,
                                  ProbeChange *change) {
        state->n_fail = 0;
        state->n_failed_in_row = 0;
        state->passed_usec = now_usec;
        if (state->n_pass < state->policy.pass_after)
                state->n_pass++;

        if (state->verdict == HALE_FAIL && state->n_pass < state->policy.pass_after)
                return;

        /* What was held against it has been answered: M of N begins anew. */
        if (state->verdict == HALE_FAIL) {
                state->window = 0;
                state->n_window = 0;
        }

        if (!state->passed_once)
                change->first = true;
        state->passed_once = true;
        probe_state_enter(state, result, now_usec, change);
}

static void
probe_state_take(ProbeState *state, hale_status result, uint64_t now_usec, ProbeChange *change) {
        assert(result >= HALE_UNKNOWN && result <= HALE_FAIL);

        state->result = result;
        state->n_results[result]++;

        if (result == HALE_UNKNOWN)
                return;

        state->answered_usec = now_usec;
        state->window = state->window << 1 | (result == HALE_FAIL);
        if (state->n_window < WINDOW_MAX)
                state->n_window++;

        if (result == HALE_FAIL)
                probe_state_take_fail(state, now_usec, change);
        else
                probe_state_take_pass(state, result, now_usec, change);

        /* A first failure says that it can be asked again, and not that it is well: what was closed
         * for want of an answer stays so until there is a verdict. */
        if (state->verdict != HALE_UNKNOWN)
                state->stale = false;
}

static void probe_state_finish(ProbeState *state,
                               hale_status result,
                               uint64_t now_usec,
                               Random *random,
                               ProbeChange *change) {
        state->running = false;
        state->finished_usec = now_usec;
        state->duration_usec = usec_sub(now_usec, state->started_usec);
        probe_state_take(state, result, now_usec, change);
        state->due_usec = probe_state_next_due(state, now_usec, random);
}

bool probe_state_end(ProbeState *state,
                     uint32_t generation,
                     hale_status result,
                     uint64_t now_usec,
                     Random *random,
                     ProbeChange *ret_change) {
        ProbeChange change = {};

        assert(state);
        assert(random);
        assert(ret_change);

        if (!state->running || state->generation != generation) {
                state->n_late++;
                return false;
        }

        probe_state_finish(state, result, now_usec, random, &change);
        *ret_change = change;
        return true;
}

void probe_state_push(ProbeState *state,
                      hale_status result,
                      uint64_t now_usec,
                      ProbeChange *ret_change) {
        ProbeChange change = {};

        assert(state);
        assert(ret_change);

        state->finished_usec = now_usec;
        if (!state->running)
                state->duration_usec = 0;
        probe_state_take(state, result, now_usec, &change);
        *ret_change = change;
}

static uint64_t probe_state_timeout_at(const ProbeState *state) {
        return state->running ? usec_add(state->started_usec, state->policy.timeout_usec)
                              : USEC_NEVER;
}

static uint64_t probe_state_stale_at(const ProbeState *state) {
        if (!state->active || state->stale)
                return USEC_NEVER;

        return usec_add(state->answered_usec, state->policy.stale_usec);
}

ProbeWish
probe_state_tick(ProbeState *state, uint64_t now_usec, Random *random, ProbeChange *ret_change) {
        ProbeChange change = {};

        assert(state);
        assert(random);
        assert(ret_change);

        *ret_change = change;

        if (now_usec >= probe_state_timeout_at(state)) {
                state->n_timeouts++;
                probe_state_finish(state, HALE_FAIL, now_usec, random, &change);
                *ret_change = change;
                return PROBE_TIMEOUT;
        }

        if (now_usec >= probe_state_stale_at(state)) {
                state->stale = true;
                probe_state_forget_results(state);
                probe_state_enter(state, HALE_UNKNOWN, now_usec, &change);
                *ret_change = change;
                return PROBE_STALE;
        }

        return state->active && now_usec >= state->due_usec ? PROBE_RUN : PROBE_WAIT;
}

uint64_t probe_state_deadline(const ProbeState *state) {
        uint64_t at;

        assert(state);

        at = MIN(state->due_usec, probe_state_timeout_at(state));
        return MIN(at, probe_state_stale_at(state));
}

bool probe_state_hurry(ProbeState *state, uint64_t now_usec) {
        assert(state);

        if (state->running || state->policy.pushed || !state->active)
                return false;

        state->due_usec = MIN(state->due_usec, now_usec);
        return true;
}

uint64_t probe_state_age(const ProbeState *state, uint64_t now_usec) {
        assert(state);

        return state->finished_usec == 0 ? USEC_NEVER : usec_sub(now_usec, state->finished_usec);
}
