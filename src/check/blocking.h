/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Blocking Questions
 *
 * For checks that only ask something of the kernel that may hang: the question
 * is a flat piece of memory, the answer a CheckResult, and a function in a thread
 * makes the one of the other. The check keeps its question; the thread gets a
 * copy that lives apart from the check, since it may outlive it.
 */

#include "check/check-type.h"

/* In a thread. Must touch nothing but its arguments. */
typedef void (*blocking_ask_t)(const void *question, CheckResult *ret_result);

typedef struct BlockingJob BlockingJob;

typedef struct Blocking {
        blocking_ask_t ask;
        void *question; /* ours */
        size_t size;
        BlockingJob *job; /* NULL, or kept for the next time */
} Blocking;

/* @question was malloc()ed and becomes ours, in any case. */
void blocking_init(Blocking *blocking, blocking_ask_t ask, void *question, size_t size);
void blocking_done(Blocking *blocking);

/* Asks, and gives @check its answer. Returns CHECK_PENDING, or CHECK_ANSWERED if that failed. */
int blocking_start(Blocking *blocking, Check *check, CheckResult *result);

/* The thread may be stuck: leaves it to the pool, and says so in @result (which may be NULL). */
void blocking_cancel(Blocking *blocking, Check *check, CheckResult *result);

/* The answer when the pool did not take a job: @error is what pool_submit() returned. */
int blocking_refused(CheckResult *result, int error);
