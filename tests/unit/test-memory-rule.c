/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Memory Rule: the 90 and 95 of the 80/90/95 rule, sample by sample. (80 is the
 * warning of the probe itself.)
 */

#include <glib.h>

#include "base/clock.h"
#include "base/macro.h"
#include "core/defaults.h"
#include "core/memory-rule.h"

#define LIMIT 1000U
#define SECOND USEC_PER_SEC

typedef struct Sample {
        uint64_t after_sec;
        uint64_t used;
        bool oom, trimmed; /* before it is looked at */
        MemoryAdvice advice;
} Sample;

typedef struct Story {
        const char *name;
        uint64_t limit;
        Sample samples[10];
} Story;

/* clang-format off */
static const Story stories[] = {
        { "no-limit-only-warns", UINT64_MAX, {
                { 1, UINT64_MAX - 1, true,  true,  MEMORY_CALM    },
                { 1, UINT64_MAX,     false, false, MEMORY_CALM    } } },
        { "three-samples-in-a-row", LIMIT, {
                { 1, 899,            false, false, MEMORY_CALM    },
                { 1, 900,            false, false, MEMORY_HIGH    },
                { 1, 910,            false, false, MEMORY_HIGH    },
                { 1, 899,            false, false, MEMORY_CALM    },
                { 1, 950,            false, false, MEMORY_HIGH    },
                { 1, 999,            false, false, MEMORY_HIGH    },
                { 1, 900,            false, false, MEMORY_TRIM    },
                { 1, 900,            false, false, MEMORY_TRIM    },
                { 1, 100,            false, false, MEMORY_CALM    } } },
        { "never-a-restart-before-a-trim", LIMIT, {
                { 1, 990,            false, false, MEMORY_HIGH    },
                { 1, 990,            false, false, MEMORY_HIGH    },
                { 3600, 990,         false, false, MEMORY_TRIM    },
                { 59, 990,           false, true,  MEMORY_TRIM    },
                { 1, 990,            false, true,  MEMORY_RESTART } } },
        { "ninety-percent-is-no-reason-to-restart", LIMIT, {
                { 1, 940,            false, false, MEMORY_HIGH    },
                { 1, 940,            false, false, MEMORY_HIGH    },
                { 1, 940,            false, true,  MEMORY_TRIM    },
                { 3600, 949,         false, false, MEMORY_TRIM    },
                { 1, 950,            false, false, MEMORY_TRIM    },
                { 59, 950,           false, false, MEMORY_TRIM    },
                { 1, 950,            false, false, MEMORY_RESTART } } },
        { "a-dip-begins-the-minute-anew", LIMIT, {
                { 1, 960,            false, false, MEMORY_HIGH    },
                { 1, 960,            false, false, MEMORY_HIGH    },
                { 1, 960,            false, true,  MEMORY_TRIM    },
                { 50, 949,           false, false, MEMORY_TRIM    },
                { 10, 950,           false, false, MEMORY_TRIM    },
                { 59, 950,           false, false, MEMORY_TRIM    },
                { 1, 950,            false, false, MEMORY_RESTART } } },
        { "the-kernel-kills-already", LIMIT, {
                { 1, 100,            true,  false, MEMORY_CALM    },
                { 1, 950,            true,  false, MEMORY_RESTART } } },
        { "a-limit-of-nothing", 0, {
                { 1, 0,              false, false, MEMORY_HIGH    } } },
};
/* clang-format on */

static void test_story(gconstpointer data) {
        const Story *story = data;
        uint64_t now = 1000 * SECOND;
        MemoryRule rule;

        memory_rule_init(&rule);
        for (size_t i = 0; i < ELEMENTSOF(story->samples) && story->samples[i].after_sec; i++) {
                const Sample *sample = &story->samples[i];

                if (sample->trimmed)
                        memory_rule_trimmed(&rule, now);
                now += sample->after_sec * SECOND;
                g_assert_cmpint(memory_rule_look(&rule, sample->used, story->limit, sample->oom,
                                                 now),
                                ==, sample->advice);
        }
}

/* Whatever the samples: no restart but at 95 % or when the kernel kills, and after a minute. */
static void test_walk(void) {
        uint64_t now = 0, critical = USEC_NEVER, trimmed = USEC_NEVER;
        unsigned n_restarts = 0;
        MemoryRule rule;

        memory_rule_init(&rule);
        for (unsigned i = 0; i < 200000; i++) {
                uint64_t used = (uint64_t)g_test_rand_int_range(i % 2000 < 1000 ? 930 : 850, 1001);
                MemoryAdvice advice;

                now += (uint64_t)g_test_rand_int_range(1, 10) * SECOND;
                advice = memory_rule_look(&rule, used, LIMIT, false, now);
                g_assert_cmpint(advice == MEMORY_CALM, ==, used < 900);
                if (used < 900)
                        trimmed = USEC_NEVER;
                critical = used < 950 ? USEC_NEVER : MIN(critical, now);
                if (advice == MEMORY_RESTART) {
                        g_assert_cmpuint(critical, <=, now - 60 * SECOND);
                        g_assert_cmpuint(trimmed, <=, now - 60 * SECOND);
                        n_restarts++;
                }
                if (advice == MEMORY_TRIM && g_test_rand_bit()) {
                        memory_rule_trimmed(&rule, now);
                        trimmed = MIN(trimmed, now);
                }
        }
        g_assert_cmpuint(n_restarts, >, 0);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        for (size_t i = 0; i < ELEMENTSOF(stories); i++) {
                g_autofree char *path = g_strdup_printf("/core/memory-rule/%s", stories[i].name);

                g_test_add_data_func(path, &stories[i], test_story);
        }
        g_test_add_func("/core/memory-rule/random-walk", test_walk);
        return g_test_run();
}
