/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/macro.h"
#include "heal/fatal.h"
#include "heal/stack.h"

static const int fatal_signals[] = { SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGSYS };

static _Atomic(RecorderFrames *) fatal_place;
static uint32_t fatal_run;
static pid_t fatal_pid;
static _Atomic pid_t speaker; /* the thread whose last words these are; 0: nobody's yet */
static atomic_bool said;

/* A second thread is hit, too: the first one's words are the cause, and should not be cut short. */
static void wait_until_said(void) {
        for (unsigned i = 0; i < 100 && !atomic_load(&said); i++)
                (void)poll(NULL, 0, 10);
}

static void say(RecorderFrames *place, int number, const siginfo_t *info, const void *ucontext) {
        pid_t nobody = 0, self = gettid();
        RecorderFrames frames;

        /* Also a second signal that interrupts us here is no cause. */
        if (!atomic_compare_exchange_strong(&speaker, &nobody, self)) {
                if (nobody != self)
                        wait_until_said();
                return;
        }

        memset(&frames, 0, sizeof(frames));
        frames.run = fatal_run;
        frames.usec = clock_now_usec(CLOCK_MONOTONIC);
        frames.signal = number;
        frames.code = info->si_code;
        frames.sender = info->si_code <= 0 ? info->si_pid : 0;

        /* First without the stack, lest the unwinding itself crashes. */
        stack_take_top(ucontext, &frames);
        recorder_write_frames(place, &frames);
        stack_take(ucontext, &frames);
        recorder_write_frames(place, &frames);
        atomic_store(&said, true);
}

static void on_fatal(int number, siginfo_t *info, void *ucontext) {
        RecorderFrames *place = atomic_load(&fatal_place);
        const struct sigaction standard = { .sa_handler = SIG_DFL };
        int saved = errno;

        stack_escape();

        /* A forked child has the handler and the record, but its death is not ours. */
        if (place && getpid() == fatal_pid)
                say(place, number, info, ucontext);

        /* It is blocked while we are here, and delivered on return: as it came, so that a core dump
         * shows the fault itself (rt_tgsigqueueinfo(2)). */
        (void)sigaction(number, &standard, NULL);
        if (syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), number, info) < 0)
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
        atomic_store(&speaker, 0);
        atomic_store(&said, false);
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
