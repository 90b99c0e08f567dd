/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Stack: where a thread is, taken by itself in a signal handler
 *
 * backtrace(3) loads libgcc when it is called first, which takes locks and 0.3 ms;
 * after stack_prime() it takes neither, and may be called in a handler. Before that only
 * the interrupted instruction is known.
 */

#include "core/recorder-format.h"

/* To be called once, in no handler. */
void stack_prime(void);

/* In a handler: where it was interrupted, without a look at the stack. */
void stack_take_top(const void *ucontext, RecorderFrames *frames);

/* In a handler: fills in the frames of what it interrupted, which @ucontext (its third argument)
 * tells. The handler's own frames are left out. Of a stack that is corrupted, those that can be
 * found, if the handler of SIGSEGV and SIGBUS calls stack_escape(). */
void stack_take(const void *ucontext, RecorderFrames *frames);

/* In a handler of a fault: does not return if it was stack_take() that met it, in this thread. */
void stack_escape(void);
