/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <execinfo.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/macro.h"
#include "heal/stack.h"

/* The frames of the handler and of the kernel's trampoline, where it is not known better. */
#define HANDLER_FRAMES 3

static atomic_bool primed;

void stack_prime(void) {
        void *frames[2];

        (void)backtrace(frames, (int)ELEMENTSOF(frames));
        atomic_store(&primed, true);
}

/* 0 where we do not know how to ask. */
static uint64_t interrupted_instruction(const void *ucontext) {
        const ucontext_t *context = ucontext;

        (void)context;
#if defined(__x86_64__)
        return (uint64_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
        return context->uc_mcontext.pc;
#elif defined(__riscv)
        return (uint64_t)context->uc_mcontext.__gregs[REG_PC];
#else
        return 0;
#endif
}

void stack_take_top(const void *ucontext, RecorderFrames *frames) {
        uint64_t instruction = interrupted_instruction(ucontext);

        assert(frames);

        frames->frames[0] = instruction;
        frames->n_frames = frames->exact = instruction != 0;
}

/* The unwinder believes what it reads on the stack, and a corrupted one leads it astray. */
static _Atomic pid_t unwinding; /* the thread that does; 0: none */
static sigjmp_buf way_out;

void stack_escape(void) {
        if (atomic_load(&unwinding) == gettid())
                siglongjmp(way_out, 1);
}

/* Fills in @found, which is empty, as far as it gets. */
static void unwind_guarded(void *found[], int n) {
        sigset_t faults;

        /* This brings the mask back, too. */
        if (sigsetjmp(way_out, 1) != 0)
                return;

        (void)sigemptyset(&faults);
        (void)sigaddset(&faults, SIGSEGV);
        (void)sigaddset(&faults, SIGBUS);
        (void)pthread_sigmask(SIG_UNBLOCK, &faults, NULL);
        (void)backtrace(found, n);
}

static int unwind(void *found[], int n) {
        pid_t nobody = 0;
        sigset_t mask;
        int i = 0;

        /* Two threads at once: one of them has to do without the guard. */
        if (!atomic_compare_exchange_strong(&unwinding, &nobody, gettid()))
                return backtrace(found, n);

        (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
        unwind_guarded(found, n);
        atomic_store(&unwinding, 0);
        (void)pthread_sigmask(SIG_SETMASK, &mask, NULL);

        while (i < n && found[i])
                i++;
        return i;
}

void stack_take(const void *ucontext, RecorderFrames *frames) {
        void *found[STACK_FRAMES_MAX + HANDLER_FRAMES + 1] = {};
        uint64_t instruction = interrupted_instruction(ucontext);
        int n = 0, first = 0;

        assert(frames);

        if (atomic_load(&primed))
                n = unwind(found, (int)ELEMENTSOF(found));

        while (first < n && (uint64_t)(uintptr_t)found[first] != instruction)
                first++;
        frames->exact = first < n;
        if (first == n)
                first = MIN(n, HANDLER_FRAMES);

        frames->n_frames = 0;
        for (int i = first; i < n && frames->n_frames < STACK_FRAMES_MAX; i++)
                frames->frames[frames->n_frames++] = (uint64_t)(uintptr_t)found[i];

        if (frames->n_frames == 0)
                stack_take_top(ucontext, frames);
}
