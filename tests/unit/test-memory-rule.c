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

#define MIB ((uint64_t)1024 * 1024)
#define LIMIT 1000 /* MiB */
#define NONE 0xffffffff
#define SECOND USEC_PER_SEC

typedef struct Sample {
        uint64_t after_msec;
        uint64_t used_mib;
        bool oom, trimmed; /* before it is looked at */
        MemoryAdvice advice;
} Sample;

typedef struct Story {
        const char *name;
        uint64_t limit_mib;
        Sample samples[10];
} Story;

/* clang-format off */
static const Story stories[] = {
        { "no-limit-only-warns", NONE, {
                {    1000, 9999998,        true,  true,  MEMORY_CALM    },
                {    1000, 9999999,        false, false, MEMORY_CALM    } } },
        { "three-samples-in-a-row", LIMIT, {
                {   10000, 899,            false, false, MEMORY_CALM    },
                {   10000, 900,            false, false, MEMORY_HIGH    },
                {   10000, 910,            false, false, MEMORY_HIGH    },
                {   10000, 899,            false, false, MEMORY_CALM    },
                {   10000, 950,            false, false, MEMORY_HIGH    },
                {   10000, 960,            false, false, MEMORY_HIGH    },
                {   10000, 900,            false, false, MEMORY_TRIM    },
                {   10000, 900,            false, false, MEMORY_TRIM    },
                {   10000, 100,            false, false, MEMORY_CALM    } } },
        { "never-a-restart-before-a-trim", LIMIT, {
                {    1000, 990,            false, false, MEMORY_HIGH    },
                {    1000, 990,            false, false, MEMORY_HIGH    },
                { 3600000, 990,            false, false, MEMORY_TRIM    },
                {   59000, 990,            false, true,  MEMORY_TRIM    },
                {    1000, 990,            false, true,  MEMORY_RESTART } } },
        { "ninety-percent-is-no-reason-to-restart", LIMIT, {
                {    1000, 940,            false, false, MEMORY_HIGH    },
                {    1000, 940,            false, false, MEMORY_HIGH    },
                {    1000, 940,            false, true,  MEMORY_TRIM    },
                { 3600000, 949,            false, false, MEMORY_TRIM    },
                {    1000, 950,            false, false, MEMORY_TRIM    },
                {   59000, 950,            false, false, MEMORY_TRIM    },
                {    1000, 950,            false, false, MEMORY_RESTART } } },
        { "a-dip-begins-the-minute-anew", LIMIT, {
                {    1000, 960,            false, false, MEMORY_HIGH    },
                {    1000, 960,            false, false, MEMORY_HIGH    },
                {    1000, 960,            false, true,  MEMORY_TRIM    },
                {   50000, 949,            false, false, MEMORY_TRIM    },
                {   10000, 950,            false, false, MEMORY_TRIM    },
                {   59000, 950,            false, false, MEMORY_TRIM    },
                {    1000, 950,            false, false, MEMORY_RESTART } } },
        { "the-kernel-kills-already", LIMIT, {
                {    1000, 100,            true,  false, MEMORY_CALM    },
                {   60000, 950,            true,  false, MEMORY_RESTART } } },
        { "a-limit-of-nothing", 0, {
                {    1000, 0,              false, false, MEMORY_HIGH    } } },
        /* 160 a second: the limit is there in less than a second. */
        { "a-leak-is-given-no-minute", LIMIT, {
                {    1000, 700,            false, false, MEMORY_CALM    },
                {     500, 780,            false, false, MEMORY_CALM    },
                {     500, 860,            false, false, MEMORY_TRIM    },
                {     100, 880,            false, true,  MEMORY_HIGH    }, /* nothing is known yet */
                {     250, 920,            false, false, MEMORY_TRIM    },
                {     100, 936,            false, false, MEMORY_TRIM    },
                {     100, 952,            false, false, MEMORY_RESTART } } },
        { "a-leak-is-no-reason-before-a-trim", LIMIT, {
                {    1000, 700,            false, false, MEMORY_CALM    },
                {    1000, 860,            false, false, MEMORY_TRIM    },
                {     500, 960,            false, false, MEMORY_TRIM    },
                {     100, 980,            false, true,  MEMORY_TRIM    },
                {     250, 990,            false, false, MEMORY_RESTART } } },
        { "who-stops-growing-is-left-alone", LIMIT, {
                {    1000, 700,            false, false, MEMORY_CALM    },
                {    1000, 870,            false, false, MEMORY_TRIM    },
                {     100, 870,            false, true,  MEMORY_HIGH    },
                {     500, 870,            false, false, MEMORY_CALM    },
                {    1000, 870,            false, false, MEMORY_CALM    } } },
        { "a-trim-a-moment-ago-counts", LIMIT, {
                {    1000, 700,            false, false, MEMORY_CALM    },
                {    1000, 870,            false, false, MEMORY_TRIM    },
                {     100, 600,            false, true,  MEMORY_CALM    },
                {    1000, 760,            false, false, MEMORY_CALM    },
                {    1000, 920,            false, false, MEMORY_TRIM    },
                {     250, 960,            false, false, MEMORY_RESTART } } },
        { "a-trim-long-ago-does-not", LIMIT, {
                {    1000, 700,            false, false, MEMORY_CALM    },
                {    1000, 870,            false, false, MEMORY_TRIM    },
                {     100, 600,            false, true,  MEMORY_CALM    },
                {   29000, 700,            false, false, MEMORY_CALM    },
                {    1000, 700,            false, false, MEMORY_CALM    },
                {    1000, 870,            false, false, MEMORY_TRIM    },
                {     500, 960,            false, false, MEMORY_TRIM    } } },
};
/* clang-format on */

static void test_story(gconstpointer data) {
        const Story *story = data;
        uint64_t now = 1000 * SECOND;
        uint64_t limit = story->limit_mib == NONE ? UINT64_MAX : story->limit_mib * MIB;
        MemoryRule rule;

        memory_rule_init(&rule);
        for (size_t i = 0; i < ELEMENTSOF(story->samples) && story->samples[i].after_msec; i++) {
                const Sample *sample = &story->samples[i];

                if (sample->trimmed)
                        memory_rule_trimmed(&rule, now);
                now += sample->after_msec * USEC_PER_MSEC;
                g_assert_cmpint(memory_rule_look(&rule, sample->used_mib * MIB, limit, sample->oom,
                                                 now),
                                ==, sample->advice);
        }
}

/* Whatever the samples: no restart below 95 %, nor without a trim before it. */
static void test_walk(void) {
        uint64_t now = 0, trimmed = USEC_NEVER;
        unsigned n_restarts = 0, n_at_once = 0;
        MemoryRule rule;

        memory_rule_init(&rule);
        for (unsigned i = 0; i < 200000; i++) {
                uint64_t used = (uint64_t)g_test_rand_int_range(i % 2000 < 1000 ? 930 : 750, 1001);
                MemoryAdvice advice;

                now += (uint64_t)g_test_rand_int_range(50, 10000) * USEC_PER_MSEC;
                advice = memory_rule_look(&rule, used * MIB, LIMIT * MIB, false, now);
                if (used < 800)
                        g_assert_cmpint(advice, ==, MEMORY_CALM);
                if (used >= 900)
                        g_assert_cmpint(advice, !=, MEMORY_CALM);
                if (advice == MEMORY_RESTART) {
                        g_assert_cmpuint(used, >=, 950);
                        g_assert_cmpuint(trimmed, <=, now);
                        n_restarts++;
                        n_at_once += now - trimmed < 60 * SECOND;
                }
                if (advice == MEMORY_CALM && trimmed != USEC_NEVER && now >= trimmed + 30 * SECOND)
                        trimmed = USEC_NEVER;
                if (advice == MEMORY_TRIM && g_test_rand_bit()) {
                        memory_rule_trimmed(&rule, now);
                        trimmed = MIN(trimmed, now);
                }
        }
        g_assert_cmpuint(n_restarts, >, n_at_once);
        g_assert_cmpuint(n_at_once, >, 0);
}

/*
 * Steady leaks, slow and fast, of a program that gives back nothing: looked at as often
 * as the rule asks, or every 10 s, each ends in order before the kernel kills, and no
 * earlier than at 95 %. How much is used at first, and so when the looks fall, is chance.
 */
static void test_leaks(void) {
        /* A percent of the limit in so many ms at the fastest: what is small is looked at in
         * coarser steps, as growth below a megabyte means nothing. */
        static const struct {
                uint64_t limit;
                int fastest_msec;
        } cases[] = { { 16 * MIB, 250 }, { 96 * MIB, 80 }, { 8192 * MIB, 80 } };

        for (unsigned i = 0; i < 20000; i++) {
                uint64_t limit = cases[i % ELEMENTSOF(cases)].limit, now = 0, trimmed = USEC_NEVER;
                uint64_t first = limit / 100 * (uint64_t)g_test_rand_int_range(1, 50);
                double pace =
                        (double)limit / 100 /
                        g_test_rand_int_range(cases[i % ELEMENTSOF(cases)].fastest_msec, 10000) /
                        1000;
                MemoryAdvice advice = MEMORY_CALM;
                MemoryRule rule;

                memory_rule_init(&rule);
                while (advice != MEMORY_RESTART) {
                        uint64_t used = first + (uint64_t)(pace * (double)now);

                        g_assert_cmpuint(used, <, limit);
                        advice = memory_rule_look(&rule, used, limit, false, now);
                        if (advice == MEMORY_RESTART)
                                g_assert_true(used >= limit / 100 * 95);
                        if (advice == MEMORY_TRIM && trimmed == USEC_NEVER) {
                                /* It takes a moment, and is looked at again at once. */
                                now += 20 * USEC_PER_MSEC;
                                trimmed = now;
                                memory_rule_trimmed(&rule, now);
                        } else {
                                now += MIN(memory_rule_look_again(&rule),
                                           (uint64_t)10 * USEC_PER_SEC);
                        }
                }
                g_assert_cmpuint(trimmed, !=, USEC_NEVER);
        }
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        for (size_t i = 0; i < ELEMENTSOF(stories); i++) {
                g_autofree char *path = g_strdup_printf("/core/memory-rule/%s", stories[i].name);

                g_test_add_data_func(path, &stories[i], test_story);
        }
        g_test_add_func("/core/memory-rule/random-walk", test_walk);
        g_test_add_func("/core/memory-rule/leaks-end-in-time", test_leaks);
        return g_test_run();
}
