/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/clock.h"
#include "base/macro.h"
#include "core/defaults.h"
#include "core/memory-rule.h"

void memory_rule_init(MemoryRule *rule) {
        assert(rule);

        *rule = (MemoryRule){
                .critical_usec = USEC_NEVER,
                .trimmed_usec = USEC_NEVER,
                .from_usec = USEC_NEVER,
                .left_usec = USEC_NEVER,
        };
}

static bool reaches(uint64_t used, uint64_t limit, unsigned percent) {
        return (unsigned __int128)used * 100 >= (unsigned __int128)limit * percent;
}

/* How long @room lasts at @grown bytes in @took_usec. */
static uint64_t memory_lasts(uint64_t room, uint64_t grown, uint64_t took_usec) {
        unsigned __int128 usec = grown ? (unsigned __int128)room * took_usec / grown : USEC_NEVER;

        return usec < USEC_NEVER ? (uint64_t)usec : USEC_NEVER;
}

/* Growth is measured anew from here. */
static void memory_rule_mark(MemoryRule *rule, uint64_t used, uint64_t now_usec) {
        rule->from_used = used;
        rule->from_usec = now_usec;
}

static void memory_rule_pace(MemoryRule *rule, uint64_t grown, uint64_t took_usec) {
        rule->grown = grown;
        rule->took_usec = took_usec;
}

static void memory_rule_grow(MemoryRule *rule, uint64_t used, uint64_t limit, uint64_t now_usec) {
        uint64_t step = MAX(limit / 100, MEMORY_GROWTH_BYTES), room = usec_sub(limit, used);
        uint64_t grown = usec_sub(used, rule->from_used);
        uint64_t took_usec = usec_sub(now_usec, rule->from_usec);

        if (rule->from_usec == USEC_NEVER || used < rule->from_used) {
                memory_rule_pace(rule, 0, 0);
                memory_rule_mark(rule, used, now_usec);
        } else if (grown >= step && took_usec >= MEMORY_GROWTH_USEC) {
                memory_rule_pace(rule, grown, took_usec);
                memory_rule_mark(rule, used, now_usec);
                rule->measured = true;
        } else if (grown < step) {
                /* Not by that much in that time: it is no faster than that. */
                uint64_t least_usec = memory_lasts(room, step, took_usec);

                if (memory_lasts(room, rule->grown, rule->took_usec) < least_usec)
                        memory_rule_pace(rule, step, took_usec);
                rule->measured |= least_usec > MEMORY_SOON_USEC;
                if (took_usec >= MEMORY_RESTART_USEC)
                        memory_rule_mark(rule, used, now_usec);
        }
        rule->left_usec = memory_lasts(room, rule->grown, rule->took_usec);
}

/* A trim is remembered for as long as there would not be another one. */
static void memory_rule_calm(MemoryRule *rule, uint64_t now_usec) {
        rule->n_high = 0;
        rule->critical_usec = USEC_NEVER;
        if (rule->trimmed_usec != USEC_NEVER &&
            now_usec >= usec_add(rule->trimmed_usec, MEMORY_TRIM_COOLDOWN_USEC))
                rule->trimmed_usec = USEC_NEVER;
}

/* Close to the limit, or on the way there; who was on the way is so until it is known otherwise. */
static bool memory_rule_is_high(const MemoryRule *rule, uint64_t used, uint64_t limit) {
        if (limit == UINT64_MAX || !reaches(used, limit, MEMORY_WARN_PERCENT))
                return false;

        return reaches(used, limit, MEMORY_TRIM_PERCENT) || rule->left_usec <= MEMORY_SOON_USEC ||
               (rule->n_high > 0 && !rule->measured);
}

static bool memory_rule_lasts(const MemoryRule *rule, uint64_t now_usec) {
        return now_usec >=
               usec_add(MAX(rule->critical_usec, rule->trimmed_usec), MEMORY_RESTART_USEC);
}

MemoryAdvice
memory_rule_look(MemoryRule *rule, uint64_t used, uint64_t limit, bool oom, uint64_t now_usec) {
        bool soon;

        assert(rule);

        memory_rule_grow(rule, used, limit, now_usec);
        soon = rule->left_usec <= MEMORY_SOON_USEC;
        if (!memory_rule_is_high(rule, used, limit)) {
                memory_rule_calm(rule, now_usec);
                return MEMORY_CALM;
        }

        rule->n_high = MIN(rule->n_high + 1, (unsigned)MEMORY_TRIM_SAMPLES);
        if (!reaches(used, limit, MEMORY_FAIL_PERCENT))
                rule->critical_usec = USEC_NEVER;
        else if (rule->critical_usec == USEC_NEVER)
                rule->critical_usec = now_usec;

        if (oom)
                return MEMORY_RESTART;
        if (rule->critical_usec != USEC_NEVER && rule->trimmed_usec != USEC_NEVER &&
            (soon || memory_rule_lasts(rule, now_usec)))
                return MEMORY_RESTART;

        return soon || rule->n_high >= MEMORY_TRIM_SAMPLES ? MEMORY_TRIM : MEMORY_HIGH;
}

void memory_rule_trimmed(MemoryRule *rule, uint64_t now_usec) {
        assert(rule);

        if (rule->n_high == 0)
                return;

        if (rule->trimmed_usec == USEC_NEVER)
                rule->trimmed_usec = now_usec;
        rule->from_usec = rule->left_usec = USEC_NEVER;
        rule->measured = false;
        memory_rule_pace(rule, 0, 0);
}

uint64_t memory_rule_look_again(const MemoryRule *rule) {
        uint64_t usec = USEC_NEVER;

        assert(rule);

        if (rule->n_high > 0)
                usec = rule->measured ? FAST_INTERVAL_USEC : MEMORY_GROWTH_USEC;
        else if (!rule->measured)
                usec = FAST_INTERVAL_USEC;

        /* Half the way, and then half of what is left. */
        return rule->left_usec == USEC_NEVER
                       ? usec
                       : MIN(usec, MAX(rule->left_usec / 2, MEMORY_LOOK_USEC));
}
