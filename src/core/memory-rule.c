/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/clock.h"
#include "base/macro.h"
#include "core/defaults.h"
#include "core/memory-rule.h"

void memory_rule_init(MemoryRule *rule) {
        assert(rule);

        *rule = (MemoryRule){ .critical_usec = USEC_NEVER, .trimmed_usec = USEC_NEVER };
}

static bool reaches(uint64_t used, uint64_t limit, unsigned percent) {
        return (unsigned __int128)used * 100 >= (unsigned __int128)limit * percent;
}

MemoryAdvice
memory_rule_look(MemoryRule *rule, uint64_t used, uint64_t limit, bool oom, uint64_t now_usec) {
        assert(rule);

        if (limit == UINT64_MAX || !reaches(used, limit, MEMORY_TRIM_PERCENT)) {
                memory_rule_init(rule);
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
            now_usec >= usec_add(MAX(rule->critical_usec, rule->trimmed_usec), MEMORY_RESTART_USEC))
                return MEMORY_RESTART;

        return rule->n_high >= MEMORY_TRIM_SAMPLES ? MEMORY_TRIM : MEMORY_HIGH;
}

void memory_rule_trimmed(MemoryRule *rule, uint64_t now_usec) {
        assert(rule);

        if (rule->n_high > 0 && rule->trimmed_usec == USEC_NEVER)
                rule->trimmed_usec = now_usec;
}
