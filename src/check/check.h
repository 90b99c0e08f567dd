/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Checks: the questions that hale can ask by itself
 *
 * A check is made from a spec such as "disk:/var?free=5%" (hale-checks(7)) and
 * asked again and again. Asking never blocks: the answer is there at once, or
 * comes on the event loop; what can hang runs in the pool.
 *
 * The deadline is the caller's: when it is over, check_cancel() ends the asking
 * and says what the check was waiting for. A check that was cancelled or freed
 * calls nobody any more and leaves nothing open, even if a thread is stuck.
 *
 * All calls are for the thread of the loop. The callback may start, cancel and
 * free any check, its own too.
 */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/limits.h"
#include "check/loop-lag.h"
#include "check/pool.h"
#include "check/spec.h"
#include "hale/health.h"

typedef struct Check Check;

/* What checks work with. Belongs to the service, and must outlive every check. */
typedef struct CheckContext {
        sd_event *event;
        int64_t priority;
        Pool *pool;
        LoopLag *lag;     /* "loop:" reads it */
        const char *root; /* before /proc and what it names; NULL but in tests */
} CheckContext;

typedef struct CheckResult {
        hale_status status; /* unknown: the question could not be put */
        bool has_value;
        double value;
        const char *unit;               /* of @value; static */
        char output[OUTPUT_LENGTH_MAX]; /* one clean line of UTF-8 */
} CheckResult;

/* The answer to a check_start() that returned CHECK_PENDING; called exactly once, unless cancelled.
 */
typedef void (*check_done_t)(Check *check, const CheckResult *result, void *userdata);

enum {
        CHECK_ANSWERED = 0,
        CHECK_PENDING = 1,
};

/*
 * Makes a check from @spec. Returns 0; -EINVAL for a spec that does not parse or
 * contradicts itself, with @error saying where; -ENOMEM, or what sd-event
 * returned, with a text in @error, too.
 */
int check_new(Check **ret, const char *spec, const CheckContext *context, CheckError *error);

/* Cancels and frees. Takes NULL. */
Check *check_free(Check *check);
void check_freep(Check **check);

/*
 * Asks, unless it is being asked. Returns CHECK_ANSWERED with the answer in
 * @ret_result (and @done is not called), or CHECK_PENDING (@ret_result is
 * untouched, and @done will be called later, never from within). Whatever goes
 * wrong is an answer; the only error is -EINPROGRESS.
 *
 * @timeout_usec is what the caller means to wait: a check that has several ways
 * to try, such as the addresses of a host, divides it among them.
 */
int check_start(Check *check,
                uint64_t timeout_usec,
                CheckResult *ret_result,
                check_done_t done,
                void *userdata);

/*
 * Ends the asking: @done will not be called. @ret_result may be NULL; else it
 * gets the fail to report, "connecting to 192.0.2.1:80 timed out after 2s".
 * Returns true if the check was being asked (else @ret_result is untouched).
 */
bool check_cancel(Check *check, CheckResult *ret_result);

bool check_is_pending(const Check *check);

/* "tcp", "disk", ... */
const char *check_get_scheme(const Check *check);

/* Is the answer of the kind that can hang in a thread? */
bool check_is_blocking(const Check *check);
