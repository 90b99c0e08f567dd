/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <execinfo.h>
#include <stdatomic.h>
#include <string.h>
#include <ucontext.h>

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

void stack_take(const void *ucontext, RecorderFrames *frames) {
        void *found[STACK_FRAMES_MAX + HANDLER_FRAMES + 1];
        uint64_t instruction = interrupted_instruction(ucontext);
        int n = 0, first = 0;

        assert(frames);

        if (atomic_load(&primed))
                n = backtrace(found, (int)ELEMENTSOF(found));

        while (first < n && (uint64_t)(uintptr_t)found[first] != instruction)
                first++;
        frames->exact = first < n;
        if (first == n)
                first = MIN(n, HANDLER_FRAMES);

        frames->n_frames = 0;
        for (int i = first; i < n && frames->n_frames < STACK_FRAMES_MAX; i++)
                frames->frames[frames->n_frames++] = (uint64_t)(uintptr_t)found[i];

        if (frames->n_frames == 0 && instruction != 0) {
                frames->frames[frames->n_frames++] = instruction;
                frames->exact = 1;
        }
}
