/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/clock.h"
#include "base/macro.h"
#include "core/defaults.h"
#include "core/link-state.h"

static const char *const status_names[] = {
        [LINK_DOWN] = "down",
        [LINK_CONNECTING] = "connecting",
        [LINK_UP] = "up",
};

static const char *const breaker_names[] = {
        [BREAKER_CLOSED] = "closed",
        [BREAKER_OPEN] = "open",
        [BREAKER_HALF] = "half-open",
};

static_assert(ELEMENTSOF(status_names) == _LINK_STATUS_MAX, "a status lacks its name");
static_assert(ELEMENTSOF(breaker_names) == _LINK_BREAKER_MAX, "a state lacks its name");

const char *link_status_to_string(LinkStatus status) {
        assert(status < _LINK_STATUS_MAX);

        return status_names[status];
}

const char *link_breaker_to_string(LinkBreaker breaker) {
        assert(breaker < _LINK_BREAKER_MAX);

        return breaker_names[breaker];
}

void link_policy_default(LinkPolicy *policy) {
        assert(policy);

        *policy = (LinkPolicy){
                .connect_usec = LINK_CONNECT_USEC,
                .check_interval_usec = LINK_CHECK_INTERVAL_USEC,
                .check_timeout_usec = LINK_CHECK_TIMEOUT_USEC,
                .backoff_min_usec = RECONNECT_MIN_USEC,
                .backoff_max_usec = RECONNECT_MAX_USEC,
                .stable_usec = LINK_STABLE_USEC,
                .breaker_after = LINK_BREAKER_AFTER,
        };
}

static void link_state_forgive(LinkState *state) {
        const LinkPolicy *policy = &state->policy;

        backoff_init(&state->backoff, BACKOFF_DECORRELATED, policy->backoff_min_usec,
                     policy->backoff_max_usec);
        state->pause_usec = MIN(2 * policy->backoff_min_usec, policy->backoff_max_usec);
        state->n_failures = 0;
}

void link_state_set_policy(LinkState *state, const LinkPolicy *policy) {
        assert(state);
        assert(state->generation == 0);
        assert(policy);
        assert(policy->backoff_min_usec > 0);
        assert(policy->backoff_max_usec >= policy->backoff_min_usec);

        state->policy = *policy;
        link_state_forgive(state);
}

void link_state_init(LinkState *state, const LinkPolicy *policy) {
        assert(state);

        *state = (LinkState){ .status = LINK_DOWN, .due_usec = USEC_NEVER };
        link_state_set_policy(state, policy);
}

/* The only place that writes @status. */
static void
link_state_enter(LinkState *state, LinkStatus status, uint64_t due_usec, uint64_t now_usec) {
        if (state->status == LINK_UP && status != LINK_UP)
                state->down_usec = now_usec;
        if (status != state->status)
                state->since_usec = now_usec;

        state->status = status;
        state->checking = false;
        state->due_usec = due_usec;
}

void link_state_start(LinkState *state, uint64_t now_usec) {
        assert(state);
        assert(!state->active);

        state->active = true;
        if (state->status == LINK_UP) /* told so before the start */
                return;

        state->down_usec = now_usec;
        state->n_attempts = 0;
        link_state_forgive(state);
        link_state_enter(state, LINK_DOWN, state->policy.told ? USEC_NEVER : now_usec, now_usec);
}

void link_state_stop(LinkState *state, uint64_t now_usec) {
        assert(state);

        state->active = false;
        link_state_enter(state, LINK_DOWN, USEC_NEVER, now_usec);
}

static bool link_state_is_stable(const LinkState *state, uint64_t now_usec) {
        return state->status == LINK_UP &&
               usec_sub(now_usec, state->up_usec) >= state->policy.stable_usec;
}

/* How long to wait after the failure that has just been counted. */
static uint64_t link_state_wait(LinkState *state, Random *random) {
        const LinkPolicy *policy = &state->policy;
        uint64_t wait_usec;

        /* Soon enough for a server that is being restarted, and never at the same time as all its
         * other clients. */
        if (state->n_failures < policy->breaker_after)
                return random_between(random, policy->backoff_min_usec,
                                      policy->backoff_min_usec + policy->backoff_min_usec / 4);

        wait_usec = backoff_next(&state->backoff, random);
        if (policy->breaker_after == 0)
                return wait_usec;

        wait_usec = MAX(wait_usec, state->pause_usec);
        state->pause_usec =
                MIN(2 * state->pause_usec, MIN(LINK_PAUSE_MAX_USEC, policy->backoff_max_usec));
        return wait_usec;
}

/* What was up for long enough is connected again at once, but for a jitter. */
static uint64_t link_state_fall(LinkState *state, uint64_t now_usec, Random *random) {
        if (state->policy.told)
                return USEC_NEVER;

        if (link_state_is_stable(state, now_usec)) {
                link_state_forgive(state);
                return usec_add(now_usec,
                                random_between(random, 0, state->policy.backoff_min_usec / 4));
        }

        if (state->n_failures < UINT32_MAX)
                state->n_failures++;
        return usec_add(now_usec, link_state_wait(state, random));
}

static LinkChange link_state_lose(LinkState *state, uint64_t now_usec, Random *random) {
        bool was_up = state->status == LINK_UP;

        if (was_up) {
                state->n_losses++;
                state->n_attempts = 0;
        }
        link_state_enter(state, LINK_DOWN, link_state_fall(state, now_usec, random), now_usec);
        return was_up ? LINK_WENT_DOWN : LINK_FAILED;
}

static LinkWish link_state_begin(LinkState *state, uint64_t now_usec) {
        state->generation = state->generation == UINT32_MAX ? 1 : state->generation + 1;
        state->n_attempts_total++;
        if (state->n_attempts < UINT32_MAX)
                state->n_attempts++;
        link_state_enter(state, LINK_CONNECTING, usec_add(now_usec, state->policy.connect_usec),
                         now_usec);
        return LINK_OPEN;
}

LinkWish link_state_tick(LinkState *state, uint64_t now_usec, Random *random) {
        assert(state);
        assert(random);

        if (!state->active || now_usec < state->due_usec)
                return LINK_WAIT;

        switch (state->status) {
        case LINK_DOWN:
                return link_state_begin(state, now_usec);

        case LINK_CONNECTING:
                (void)link_state_lose(state, now_usec, random);
                return LINK_GIVE_UP;

        default:
                if (state->checking) {
                        (void)link_state_lose(state, now_usec, random);
                        return LINK_UNANSWERED;
                }

                state->checking = true;
                state->due_usec = usec_add(now_usec, state->policy.check_timeout_usec);
                return LINK_CHECK;
        }
}

uint64_t link_state_deadline(const LinkState *state) {
        assert(state);

        return state->active ? state->due_usec : USEC_NEVER;
}

static bool link_state_knows(LinkState *state, uint32_t generation) {
        if (generation == 0 || generation == state->generation)
                return true;

        state->n_late++;
        return false;
}

static uint64_t link_state_next_check(const LinkState *state, uint64_t now_usec) {
        return state->policy.checked ? usec_add(now_usec, state->policy.check_interval_usec)
                                     : USEC_NEVER;
}

LinkChange link_state_up(LinkState *state, uint32_t generation, uint64_t now_usec) {
        assert(state);

        if (!link_state_knows(state, generation))
                return LINK_LATE;

        if (state->status == LINK_UP) {
                state->checking = false;
                state->due_usec = link_state_next_check(state, now_usec);
                return LINK_SAME;
        }

        if (state->status == LINK_DOWN) {
                if (!state->policy.told) {
                        state->n_late++;
                        return LINK_LATE;
                }
                (void)link_state_begin(state, now_usec);
        }

        state->n_ups++;
        state->up_usec = now_usec;
        link_state_enter(state, LINK_UP, link_state_next_check(state, now_usec), now_usec);
        return LINK_CAME_UP;
}

LinkChange
link_state_down(LinkState *state, uint32_t generation, uint64_t now_usec, Random *random) {
        assert(state);
        assert(random);

        if (!link_state_knows(state, generation))
                return LINK_LATE;

        if (state->status == LINK_DOWN) {
                if (state->policy.told)
                        return LINK_SAME;

                state->n_late++;
                return LINK_LATE;
        }

        return link_state_lose(state, now_usec, random);
}

LinkChange link_state_reopen(LinkState *state, uint64_t now_usec) {
        LinkStatus status;

        assert(state);

        status = state->status;
        if (!state->active || state->policy.told)
                return LINK_LATE;
        if (status == LINK_CONNECTING)
                return LINK_SAME;

        if (link_state_is_stable(state, now_usec))
                link_state_forgive(state);
        if (status == LINK_UP)
                state->n_attempts = 0;
        link_state_enter(state, LINK_DOWN, now_usec, now_usec);
        return status == LINK_UP ? LINK_WENT_DOWN : LINK_FAILED;
}

void link_state_hurry(LinkState *state, uint64_t now_usec) {
        assert(state);

        if (state->active && state->status == LINK_UP && state->policy.checked && !state->checking)
                state->due_usec = MIN(state->due_usec, now_usec);
}

LinkBreaker link_state_breaker(const LinkState *state, uint64_t now_usec) {
        assert(state);

        if (state->policy.breaker_after == 0 || state->n_failures < state->policy.breaker_after ||
            link_state_is_stable(state, now_usec))
                return BREAKER_CLOSED;

        return state->status == LINK_DOWN ? BREAKER_OPEN : BREAKER_HALF;
}
