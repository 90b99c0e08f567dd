/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Settings of a Probe: the calls of probe.h that change its policy
 *
 * A policy is changed whole or not at all; what is refused is said to the log, with
 * what was expected.
 */

#include "core/defaults.h"
#include "service/service.h"

#define INTERVAL_MIN_USEC USEC_PER_MSEC
#define INTERVAL_MAX_USEC (24 * USEC_PER_HOUR)
#define THRESHOLD_MAX 1000U

/* A policy is changed as a whole, and the summary knows of it. */
static void probe_apply(hale_probe *probe, const ProbePolicy *policy) {
        ProbeState *state = &probe->health.state;
        uint64_t now_usec = service_now();

        state->policy = *policy;
        if (state->active && !state->running && !policy->pushed)
                state->due_usec = MIN(state->due_usec, usec_add(now_usec, policy->interval_usec));

        probe->service->results_revision++;
        probe_schedule(probe);
}

static int
probe_complain(hale_probe *probe, const char *what, uint64_t usec, const char *expected) {
        char text[USEC_TEXT_MAX];

        service_tell_error(probe->service, "Probe '%s': %s %s is %s", probe->name, what,
                           usec_format(usec, text), expected);
        return -EINVAL;
}

/* The least age at which a result may be called stale: an interval and a time-out, both late by as
 * much as jitter and the wheel's grid may make them. */
static uint64_t stale_least(uint64_t interval_usec, uint64_t timeout_usec) {
        return (interval_usec + timeout_usec) / 4 * 5;
}

/* Time-outs and ages that nobody chose follow the interval. */
static void policy_follow(const hale_probe *probe, ProbePolicy *policy) {
        if (!probe->timeout_set)
                policy->timeout_usec = MIN(policy->timeout_usec, policy->interval_usec);
        if (!probe->stale_set)
                policy->stale_usec = STALE_INTERVALS * policy->interval_usec + policy->timeout_usec;
        policy->fast_usec = MIN(FAST_INTERVAL_USEC, policy->interval_usec);
}

_public_ int hale_probe_set_interval_usec(hale_probe *probe, uint64_t interval_usec) {
        ProbePolicy policy;

        PROBE_CHECK(probe);

        policy = probe->health.state.policy;
        if (interval_usec < INTERVAL_MIN_USEC || interval_usec > INTERVAL_MAX_USEC)
                return probe_complain(probe, "an interval of", interval_usec,
                                      "out of range, expected 1 ms to one day");
        if (probe->timeout_set && interval_usec < policy.timeout_usec)
                return probe_complain(probe, "an interval of", interval_usec,
                                      "below the time-out; lower that first");

        policy.interval_usec = interval_usec;
        policy_follow(probe, &policy);
        if (probe->stale_set && policy.stale_usec < stale_least(interval_usec, policy.timeout_usec))
                return probe_complain(probe, "an interval of", interval_usec,
                                      "too long for the age at which results are stale");

        probe_apply(probe, &policy);
        return 0;
}

_public_ int hale_probe_set_timeout_usec(hale_probe *probe, uint64_t timeout_usec) {
        ProbePolicy policy;

        PROBE_CHECK(probe);

        policy = probe->health.state.policy;
        if (timeout_usec == 0 || timeout_usec > policy.interval_usec)
                return probe_complain(
                        probe, "a time-out of", timeout_usec,
                        "out of range, expected more than 0 and at most the interval");

        policy.timeout_usec = timeout_usec;
        if (!probe->stale_set)
                policy.stale_usec = STALE_INTERVALS * policy.interval_usec + timeout_usec;
        if (policy.stale_usec < stale_least(policy.interval_usec, timeout_usec))
                return probe_complain(probe, "a time-out of", timeout_usec,
                                      "too long for the age at which results are stale");

        probe->timeout_set = true;
        probe_apply(probe, &policy);
        return 0;
}

_public_ int
hale_probe_set_thresholds(hale_probe *probe, unsigned fail_after, unsigned pass_after) {
        ProbePolicy policy;

        PROBE_CHECK(probe);

        if (fail_after == 0 || fail_after > THRESHOLD_MAX || pass_after == 0 ||
            pass_after > THRESHOLD_MAX) {
                service_tell_error(
                        probe->service,
                        "Probe '%s': thresholds %u and %u are out of range, expected 1 to %u",
                        probe->name, fail_after, pass_after, THRESHOLD_MAX);
                return -EINVAL;
        }

        policy = probe->health.state.policy;
        policy.fail_after = fail_after;
        policy.pass_after = pass_after;
        probe_apply(probe, &policy);
        return 0;
}

_public_ int hale_probe_set_window(hale_probe *probe, unsigned m, unsigned n) {
        ProbePolicy policy;

        PROBE_CHECK(probe);

        if ((m > 0 || n > 0) && (m == 0 || m > n || n > WINDOW_MAX)) {
                service_tell_error(probe->service,
                                   "Probe '%s': a window of %u in %u makes no sense, expected 1 <= "
                                   "m <= n <= %u",
                                   probe->name, m, n, (unsigned)WINDOW_MAX);
                return -EINVAL;
        }

        policy = probe->health.state.policy;
        policy.window_m = m;
        policy.window_n = n;
        probe_apply(probe, &policy);
        return 0;
}

_public_ int hale_probe_set_stale_usec(hale_probe *probe, uint64_t stale_usec) {
        ProbePolicy policy;

        PROBE_CHECK(probe);

        policy = probe->health.state.policy;
        if (stale_usec < stale_least(policy.interval_usec, policy.timeout_usec))
                return probe_complain(probe, "a stale age of", stale_usec,
                                      "too short, expected at least 5/4 of interval + time-out");

        policy.stale_usec = stale_usec;
        probe->stale_set = true;
        probe_apply(probe, &policy);
        return 0;
}

_public_ int hale_probe_set_blocking(hale_probe *probe, int blocking) {
        PROBE_CHECK(probe);
        RETURN_IF_FAIL(probe->callback, -EINVAL);
        RETURN_IF_FAIL(!probe->health.state.running, -EBUSY);

        probe->blocking = blocking != 0;
        return 0;
}
