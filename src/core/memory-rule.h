/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Memory Rule
 *
 * Decides, from what a control group uses of its limit, when memory is to be given
 * back and when only a restart in order is left, before the kernel kills: high at
 * 90 % in several samples, and beyond help when it was at 95 % for a minute after
 * something was given back, or the kernel has begun to kill.
 *
 * Nobody waits for samples and minutes that the limit will not leave: who at the
 * present growth would reach it within seconds gives back at 80 %, and goes at 95 %
 * if it still grows after that.
 */

#include <stdbool.h>
#include <stdint.h>

typedef enum MemoryAdvice {
        MEMORY_CALM,
        MEMORY_HIGH, /* once more: too few samples so far */
        MEMORY_TRIM,
        MEMORY_RESTART,
        _MEMORY_ADVICE_MAX,
} MemoryAdvice;

typedef struct MemoryRule {
        unsigned n_high;        /* samples in a row, saturating */
        uint64_t critical_usec; /* at 95 % since then; USEC_NEVER if it is not */
        uint64_t trimmed_usec;  /* the first end of a trim since it is high; USEC_NEVER */

        uint64_t from_used, from_usec; /* growth is measured from there; USEC_NEVER: not begun */
        uint64_t grown, took_usec;     /* the pace that was measured last; 0: it does not grow */
        uint64_t left_usec;            /* to the limit, at that pace; USEC_NEVER */
        bool measured;                 /* whether the pace is known */
} MemoryRule;

void memory_rule_init(MemoryRule *rule);

/* @limit: UINT64_MAX if there is none. @oom: the kernel has killed in the group since last time. */
MemoryAdvice
memory_rule_look(MemoryRule *rule, uint64_t used, uint64_t limit, bool oom, uint64_t now_usec);

/* What could be given back has been. Growth is measured anew from the next look on. */
void memory_rule_trimmed(MemoryRule *rule, uint64_t now_usec);

/* After how long to look again, given what the last look saw. USEC_NEVER: there is no hurry. */
uint64_t memory_rule_look_again(const MemoryRule *rule);
