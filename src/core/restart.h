/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Restart
 *
 * Decides what becomes of a worker that has ended: nothing, a restart at some
 * time, or the admission that restarts do not help. It is told when a run begins
 * and how it ended; it owns no timer and no process.
 *
 * A restart that comes after the wait counts at the time it comes; more than
 * max_restarts of them within a window never happen.
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/backoff.h"
#include "core/random.h"
#include "hale/worker.h"

/* The most restarts that an intensity can be about. */
#define RESTARTS_MAX 64

typedef struct RestartPolicy {
        hale_restart mode;
        uint64_t backoff_min_usec, backoff_max_usec;
        unsigned max_restarts; /* 0: the first death is one too many */
        uint64_t window_usec;
        uint64_t stable_usec; /* a run of this length makes up for the deaths before */
} RestartPolicy;

typedef enum RestartDecision {
        RESTART_NOT, /* it has ended, as it may */
        RESTART_AT,
        RESTART_ESCALATE, /* too often */
} RestartDecision;

typedef struct Restart {
        RestartPolicy policy;
        Backoff backoff;
        uint64_t times[RESTARTS_MAX]; /* of the last restarts, a ring */
        unsigned n_times, next;
        uint64_t started_usec; /* of the present run, USEC_NEVER between two */
        uint64_t n_total;
        bool escalated;
} Restart;

void restart_policy_default(RestartPolicy *policy);
void restart_init(Restart *restart, const RestartPolicy *policy);

/* A run begins. */
void restart_begun(Restart *restart, uint64_t now_usec);

/* The run has lasted for so long that the next wait is short again. Tells whether it has. */
bool restart_settle(Restart *restart, uint64_t now_usec);

/* When to call restart_settle(): USEC_NEVER if there is nothing to make up for. */
uint64_t restart_settles_at(const Restart *restart);

/*
 * The run ended, or could not begin. @ret_at_usec is written for RESTART_AT only,
 * and is then counted as a restart at that time.
 */
RestartDecision restart_ended(Restart *restart,
                              bool success,
                              uint64_t now_usec,
                              Random *random,
                              uint64_t *ret_at_usec);

/* The run ended because it was asked to: no death, and what comes now is not part of it. */
void restart_stopped(Restart *restart, uint64_t now_usec);

/* Would a death now lead to a restart at once, whatever its kind? */
bool restart_is_at_once(const Restart *restart, uint64_t now_usec);

/* Somebody restarts it by hand: what has been counts no more. */
void restart_forgive(Restart *restart);

/*
 * Can a worker that dies at once ever be restarted too often, or do its waits
 * keep it below the intensity for ever? The latter is an endless loop that nobody
 * notices (in OTP terms: a window that cannot be filled).
 */
bool restart_can_escalate(const RestartPolicy *policy);
