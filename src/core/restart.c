/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/clock.h"
#include "base/macro.h"
#include "core/defaults.h"
#include "core/restart.h"

void restart_policy_default(RestartPolicy *policy) {
        assert(policy);

        *policy = (RestartPolicy){
                .mode = HALE_RESTART_PERMANENT,
                .backoff_min_usec = WORKER_BACKOFF_MIN_USEC,
                .backoff_max_usec = WORKER_BACKOFF_MAX_USEC,
                .max_restarts = WORKER_RESTARTS,
                .window_usec = WORKER_WINDOW_USEC,
                .stable_usec = WORKER_STABLE_USEC,
        };
}

void restart_init(Restart *restart, const RestartPolicy *policy) {
        assert(restart);
        assert(policy);
        assert(policy->max_restarts <= RESTARTS_MAX);
        assert(policy->window_usec > 0);

        *restart = (Restart){ .policy = *policy, .started_usec = USEC_NEVER };
        backoff_init(&restart->backoff, BACKOFF_FULL, policy->backoff_min_usec,
                     policy->backoff_max_usec);
}

void restart_begun(Restart *restart, uint64_t now_usec) {
        assert(restart);

        restart->started_usec = now_usec;
}

uint64_t restart_settles_at(const Restart *restart) {
        assert(restart);

        if (restart->started_usec == USEC_NEVER || restart->backoff.n_attempts == 0)
                return USEC_NEVER;

        return usec_add(restart->started_usec, restart->policy.stable_usec);
}

bool restart_settle(Restart *restart, uint64_t now_usec) {
        if (now_usec < restart_settles_at(restart))
                return false;

        backoff_reset(&restart->backoff);
        return true;
}

/* How many of the restarts lie within the window that ends at @at_usec. */
static unsigned restart_count(const Restart *restart, uint64_t at_usec) {
        unsigned n = 0;

        for (unsigned i = 0; i < restart->n_times; i++)
                if (usec_sub(at_usec, restart->times[i]) < restart->policy.window_usec)
                        n++;

        return n;
}

static void restart_note(Restart *restart, uint64_t at_usec) {
        restart->times[restart->next] = at_usec;
        restart->next = (restart->next + 1) % RESTARTS_MAX;
        restart->n_times = MIN(restart->n_times + 1, RESTARTS_MAX);
        restart->n_total++;
}

static bool restart_is_wanted(const Restart *restart, bool success) {
        switch (restart->policy.mode) {
        case HALE_RESTART_TEMPORARY:
                return false;
        case HALE_RESTART_TRANSIENT:
                return !success;
        case HALE_RESTART_PERMANENT:
        default:
                return true;
        }
}

RestartDecision restart_ended(Restart *restart,
                              bool success,
                              uint64_t now_usec,
                              Random *random,
                              uint64_t *ret_at_usec) {
        uint64_t at;

        assert(restart);
        assert(random);
        assert(ret_at_usec);

        if (now_usec >= restart_settles_at(restart))
                backoff_reset(&restart->backoff);
        restart->started_usec = USEC_NEVER;

        if (!restart_is_wanted(restart, success))
                return RESTART_NOT;

        at = usec_add(now_usec, backoff_next(&restart->backoff, random));
        if (restart_count(restart, at) >= restart->policy.max_restarts) {
                restart->escalated = true;
                return RESTART_ESCALATE;
        }

        restart_note(restart, at);
        *ret_at_usec = at;
        return RESTART_AT;
}

void restart_stopped(Restart *restart, uint64_t now_usec) {
        assert(restart);

        (void)restart_settle(restart, now_usec);
        restart->started_usec = USEC_NEVER;
}

bool restart_is_at_once(const Restart *restart, uint64_t now_usec) {
        assert(restart);

        if (restart->policy.mode != HALE_RESTART_PERMANENT || restart->escalated)
                return false;
        if (restart_count(restart, now_usec) >= restart->policy.max_restarts)
                return false;

        return restart->backoff.n_attempts == 0 || now_usec >= restart_settles_at(restart) ||
               restart->policy.backoff_max_usec <= RESTART_AT_ONCE_USEC;
}

void restart_forgive(Restart *restart) {
        assert(restart);

        backoff_reset(&restart->backoff);
        restart->n_times = 0;
        restart->next = 0;
        restart->escalated = false;
        restart->started_usec = USEC_NEVER;
}

bool restart_can_escalate(const RestartPolicy *policy) {
        uint64_t sum = 0, limit;

        assert(policy);

        /* The longest that the waits from the first restart to the one too many can be. */
        limit = policy->backoff_min_usec;
        for (unsigned i = 0; i < policy->max_restarts; i++) {
                sum = usec_add(sum, limit);
                limit = limit > policy->backoff_max_usec / 2 ? policy->backoff_max_usec : limit * 2;
        }

        return sum < policy->window_usec;
}
