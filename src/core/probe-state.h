/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Probe State
 *
 * The part of a probe that only thinks. It is told when a run begins, what the
 * answer was and what time it is, and keeps the verdict: thresholds, M of N, the
 * fast interval while in doubt, staleness, generations. It owns no timer, file
 * descriptor or memory; what it wants next is probe_state_deadline().
 *
 * All times are CLOCK_MONOTONIC microseconds and never go back.
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/random.h"
#include "hale/health.h"

#define WINDOW_MAX 64

typedef struct ProbePolicy {
        unsigned gates; /* HALE_GATE_* */
        bool pushed;    /* never asked: results come by themselves, about one an interval */
        unsigned fail_after, pass_after;
        unsigned window_m, window_n; /* 0, 0: off */
        uint64_t interval_usec;
        uint64_t timeout_usec;
        uint64_t fast_usec;
        uint64_t stale_usec;
} ProbePolicy;

/* Why a result is what it is: the `result` label of the metrics. */
typedef enum ProbeCause {
        CAUSE_ANSWER,  /* the probe said so */
        CAUSE_TIMEOUT, /* the run passed its deadline */
        _CAUSE_MAX,
} ProbeCause;

typedef struct ProbeState {
        ProbePolicy policy;

        /* Touched by every run, and therefore close together. */
        hale_status verdict;
        hale_status result;  /* the last answer as it came, before thresholds */
        bool active;         /* asked at all: the startup gate has opened for it */
        bool running;        /* a run is under way */
        bool passed_once;    /* ever: what READY=1 waits for, and `startup` */
        bool stale;          /* verdict is unknown because of age, and not decided since */
        uint32_t generation; /* of the current or last run; a late answer carries an older one */
        unsigned n_fail, n_pass; /* in a row, saturating at the thresholds */
        unsigned n_window;       /* how many bits of @window count */
        uint64_t window; /* bit 0 is the last result, 1 is a fail; begins anew when a fail heals */

        uint64_t due_usec;        /* when to run next; USEC_NEVER while running or pushed */
        uint64_t started_usec;    /* start of the current or last run */
        uint64_t answered_usec;   /* last answer other than unknown; activation before the first */
        uint64_t finished_usec;   /* last end of a run, or news; 0 before the first */
        uint64_t duration_usec;   /* of the last run */
        uint64_t passed_usec;     /* last pass or warn; 0 if never */
        uint64_t n_results[4];    /* by hale_status */
        uint64_t n_failed_in_row; /* results, not saturating: for people */

        uint64_t since_usec; /* when the verdict was entered */
        uint64_t n_timeouts, n_late, n_changes;
} ProbeState;

/* What an event changed. */
typedef struct ProbeChange {
        bool verdict; /* the verdict is another one */
        bool first;   /* the probe passed for the first time since its activation */
        hale_status from, to;
} ProbeChange;

void probe_policy_default(ProbePolicy *policy, unsigned gates, bool pushed);

void probe_state_init(ProbeState *state, const ProbePolicy *policy, uint64_t now_usec);

/*
 * From now on the probe is asked: at once (@spread_usec 0) or somewhere in the
 * next @spread_usec. Also starts it anew after a gap: verdict unknown,
 * thresholds at zero, and nothing held against it. A pushed probe that was not
 * active keeps a verdict that is fresh.
 */
void probe_state_activate(ProbeState *state,
                          uint64_t now_usec,
                          uint64_t spread_usec,
                          Random *random);

/* No longer asked (another phase). Keeps verdict and history. */
void probe_state_deactivate(ProbeState *state);

/* A run begins. Returns its generation. Not while one is running. */
uint32_t probe_state_begin(ProbeState *state, uint64_t now_usec);

/*
 * The run of @generation answered @result. Returns false, and only counts it,
 * if that run is not the one under way (it was late).
 */
bool probe_state_end(ProbeState *state,
                     uint32_t generation,
                     hale_status result,
                     uint64_t now_usec,
                     Random *random,
                     ProbeChange *ret_change);

/* A result that nobody asked for. Does not touch a run under way. */
void probe_state_push(ProbeState *state,
                      hale_status result,
                      uint64_t now_usec,
                      ProbeChange *ret_change);

typedef enum ProbeWish {
        PROBE_WAIT,    /* nothing before probe_state_deadline() */
        PROBE_RUN,     /* call probe_state_begin() and ask */
        PROBE_TIMEOUT, /* the run is over time: it was failed by this call; stop asking */
        PROBE_STALE,   /* the verdict became unknown by this call */
} ProbeWish;

/* What is due now. Call again until it says PROBE_WAIT. */
ProbeWish
probe_state_tick(ProbeState *state, uint64_t now_usec, Random *random, ProbeChange *ret_change);

/* When to call probe_state_tick() next, or USEC_NEVER. */
uint64_t probe_state_deadline(const ProbeState *state);

/* Ask at the next tick. Returns false if a run is under way. */
bool probe_state_hurry(ProbeState *state, uint64_t now_usec);

/* Is the latest answer at odds with the verdict, or the verdict not known yet? */
bool probe_state_in_transition(const ProbeState *state);

/* How old the last answer is; USEC_NEVER if there was none. */
uint64_t probe_state_age(const ProbeState *state, uint64_t now_usec);
