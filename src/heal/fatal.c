/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/macro.h"
#include "heal/fatal.h"
#include "heal/stack.h"

static const int fatal_signals[] = { SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGSYS };

static _Atomic(RecorderFrames *) fatal_place;
static uint32_t fatal_run;
static pid_t fatal_pid; /* a fork has our handlers and our record, but its end is not ours */
static atomic_flag said = ATOMIC_FLAG_INIT;

static void on_fatal(int number, siginfo_t *info, void *ucontext) {
        RecorderFrames *place = atomic_load(&fatal_place);
        const struct sigaction standard = { .sa_handler = SIG_DFL };
        int saved = errno;

        /* The first is the cause, also if a second one interrupts us, or another thread is hit. */
        if (place && getpid() == fatal_pid && !atomic_flag_test_and_set(&said)) {
                RecorderFrames frames;

                memset(&frames, 0, sizeof(frames));
                frames.run = fatal_run;
                frames.usec = clock_now_usec(CLOCK_MONOTONIC);
                frames.signal = number;
                frames.code = info->si_code;
                frames.sender = info->si_code <= 0 ? info->si_pid : 0;

                /* First without, lest the unwinding itself crashes. */
                recorder_write_frames(place, &frames);
                stack_take(ucontext, &frames);
                recorder_write_frames(place, &frames);
        }

        /* It is blocked while we are here, and delivered on return; a fault simply recurs. */
        (void)sigaction(number, &standard, NULL);
        (void)raise(number);
        errno = saved;
}

static bool is_ours(int number) {
        struct sigaction action;

        return sigaction(number, NULL, &action) == 0 && (action.sa_flags & SA_SIGINFO) &&
               action.sa_sigaction == on_fatal;
}

static bool is_free(int number) {
        struct sigaction action;

        return sigaction(number, NULL, &action) == 0 && !(action.sa_flags & SA_SIGINFO) &&
               action.sa_handler == SIG_DFL;
}

void fatal_install(RecorderFrames *place, uint32_t run) {
        struct sigaction action = { .sa_sigaction = on_fatal, .sa_flags = SA_SIGINFO | SA_ONSTACK };

        assert(place);

        fatal_run = run;
        fatal_pid = getpid();
        atomic_flag_clear(&said);
        atomic_store(&fatal_place, place);
        (void)sigemptyset(&action.sa_mask);
        for (size_t i = 0; i < ELEMENTSOF(fatal_signals); i++)
                if (is_free(fatal_signals[i]))
                        (void)sigaction(fatal_signals[i], &action, NULL);
}

void fatal_remove(void) {
        const struct sigaction standard = { .sa_handler = SIG_DFL };

        for (size_t i = 0; i < ELEMENTSOF(fatal_signals); i++)
                if (is_ours(fatal_signals[i]))
                        (void)sigaction(fatal_signals[i], &standard, NULL);
        atomic_store(&fatal_place, NULL);
}
