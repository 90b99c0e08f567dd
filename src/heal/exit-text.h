/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Exit Text: how a worker ended, in words
 *
 * What the kernel says of its end, what its own function returned, and why we
 * ended it, if it was us, become one short sentence for the journal, the bus and
 * the probe: "killed by SIGSEGV (core dumped)".
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum ExitKind {
        EXIT_STATUS,   /* @code is the status */
        EXIT_SIGNAL,   /* @code is the signal */
        EXIT_CORE,     /* the same, with a core dump */
        EXIT_RETURNED, /* a thread: only @result is known */
        EXIT_UNKNOWN,  /* somebody else in this process has taken the status */
        EXIT_NO_START, /* it could not even be started; @code is the negative errno */
        _EXIT_KIND_MAX,
} ExitKind;

typedef enum ExitReason {
        REASON_ITSELF,
        REASON_ASKED,    /* to stop, and it did */
        REASON_HUNG,     /* no heartbeat: killed */
        REASON_NO_STOP,  /* asked to stop, and it did not: killed */
        REASON_NO_BEGIN, /* did not get as far as hale_service_run(): killed */
        REASON_ENDED,    /* killed, because the service ends */
        _EXIT_REASON_MAX,
} ExitReason;

typedef struct WorkerExit {
        ExitKind kind;
        int code;
        bool has_result; /* its function returned, with: */
        int result;
        bool oom; /* the kernel ran out of memory meanwhile and killed somebody in our group */
        ExitReason reason;
        uint64_t limit_usec; /* that it overran, for the three "killed" */
} WorkerExit;

/* Did it end well? An end of which nothing is known is none. */
bool exit_is_success(const WorkerExit *end);

/* How it ended, in one word of a few: for counting. */
typedef enum ExitWord {
        EXIT_WORD_SUCCESS,
        EXIT_WORD_STATUS, /* an exit status, or an error that its function returned */
        EXIT_WORD_SIGNAL,
        EXIT_WORD_CORE,
        EXIT_WORD_OOM,
        EXIT_WORD_HUNG,
        EXIT_WORD_NO_STOP,
        EXIT_WORD_NO_START, /* could not be started, or did not get as far as hale_service_run() */
        EXIT_WORD_UNKNOWN,
        _EXIT_WORD_MAX,
} ExitWord;

ExitWord exit_word(const WorkerExit *end);

/* "success", "no-start", ... */
extern const char *const exit_words[_EXIT_WORD_MAX];

/* Returns @buffer. */
const char *exit_describe(const WorkerExit *end, char *buffer, size_t size);
