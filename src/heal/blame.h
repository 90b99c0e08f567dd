/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Blame: who holds up the loop
 *
 * A thread beside the loop that sees it hang, takes the stack of the loop's thread with
 * a signal, and hands both to a callback, while there is still time before the watchdog
 * kills. It never pings.
 *
 * An idle service is not woken for it: whoever owns the loop's timers says when the loop
 * has to turn next, and the thread sleeps until that time and the limit have passed.
 * Since the loop turns in time and says the next time, that moves on before it comes.
 *
 * All calls are for the loop's thread.
 */

#include <errno.h>
#include <sys/types.h>

#include "core/recorder-format.h"

typedef struct Blame Blame;

/* What is known of a stall. */
typedef struct BlameReport {
        uint64_t usec;        /* when it was seen */
        uint64_t silent_usec; /* at least so long */
        char doing[2 * (NAME_LENGTH_MAX + 1)];
        const RecorderFrames *frames; /* NULL: the thread has not shown its stack */
        const char *excuse;           /* then: why not */
} BlameReport;

typedef struct BlameConfig {
        uint64_t limit_usec;    /* silence that is too long */
        int signal;             /* for the stack; 0: none */
        uint32_t run;           /* for the frames */
        RecorderFrames *frames; /* written in the handler already; must stay */

        /* Called in the thread, once for each stall. */
        void (*stalled)(const BlameReport *report, void *userdata);
        void *userdata;
} BlameConfig;

/* Those who say when the loop has to turn next. */
typedef enum BlameTimer {
        BLAME_TICK,
        BLAME_WATCH,
        _BLAME_TIMER_MAX,
} BlameTimer;

/*
 * Starts the thread, for the calling one. Does without the stack if the program has a
 * handler for the signal. Returns 0, or what pthread_create(), timerfd_create() or
 * eventfd() returned. At most one in a process: -EBUSY.
 */
int blame_new(Blame **ret, const BlameConfig *config);

/* Waits for the thread to end. Takes NULL and returns NULL. */
Blame *blame_free(Blame *blame);

/* Does blame find the stack of a loop that hangs? */
bool blame_has_signal(const Blame *blame);

/* The loop has to turn at @due_usec at the latest; USEC_NEVER: it need not. Takes NULL. */
void blame_expect(Blame *blame, BlameTimer timer, uint64_t due_usec);

/* Brackets a call of which a stall would be blamed: "probe", "engine". These two take whatever
 * blame there is in the process, for the call may free it. */
void blame_enter(const char *what, const char *name);
void blame_leave(void);

/* Was a stall told since the last time? It is over if we are here to ask. Takes NULL. */
bool blame_take_told(Blame *blame);
