/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Clock
 *
 * Sums of times do not wrap round; time spans are read as systemd.time(7) says
 * and refused otherwise, with nothing written; what usec_format() writes for
 * people is short, and means what went in.
 */

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "base/clock.h"
#include "base/macro.h"

static void test_sums(void) {
        static const struct {
                uint64_t a, b, sum, difference;
        } rows[] = {
                { 0, 0, 0, 0 },
                { 2, 1, 3, 1 },
                { 1, 2, 3, 0 },
                { USEC_NEVER, 0, USEC_NEVER, USEC_NEVER },
                { USEC_NEVER, 1, USEC_NEVER, USEC_NEVER - 1 },
                { 1, USEC_NEVER, USEC_NEVER, 0 },
                { USEC_NEVER - 1, 1, USEC_NEVER, USEC_NEVER - 2 },
                { USEC_NEVER - 1, 2, USEC_NEVER, USEC_NEVER - 3 },
                { USEC_NEVER, USEC_NEVER, USEC_NEVER, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                g_assert_cmpuint(usec_add(rows[i].a, rows[i].b), ==, rows[i].sum);
                g_assert_cmpuint(usec_sub(rows[i].a, rows[i].b), ==, rows[i].difference);
        }
}

/* clang-format off */
static const struct {
        const char *text;
        int r;
        uint64_t usec;
} spans[] = {
        { "0",                  0, 0                                          },
        { "30",                 0, 30 * USEC_PER_SEC                          },
        { "1.5",                0, 1500 * USEC_PER_MSEC                       },
        { "5us",                0, 5                                          },
        { "5usec",              0, 5                                          },
        { "5\xc2\xb5s",         0, 5                                          },
        { "200ms",              0, 200 * USEC_PER_MSEC                        },
        { "200msec",            0, 200 * USEC_PER_MSEC                        },
        { "2s",                 0, 2 * USEC_PER_SEC                           },
        { "2sec",               0, 2 * USEC_PER_SEC                           },
        { "2second",            0, 2 * USEC_PER_SEC                           },
        { "2seconds",           0, 2 * USEC_PER_SEC                           },
        { "3m",                 0, 3 * USEC_PER_MINUTE                        },
        { "3min",               0, 3 * USEC_PER_MINUTE                        },
        { "3minute",            0, 3 * USEC_PER_MINUTE                        },
        { "3 minutes",          0, 3 * USEC_PER_MINUTE                        },
        { "1.5h",               0, 90 * USEC_PER_MINUTE                       },
        { "1hr",                0, USEC_PER_HOUR                              },
        { "1 hour",             0, USEC_PER_HOUR                              },
        { "4 hours",            0, 4 * USEC_PER_HOUR                          },
        { "1d",                 0, 24 * USEC_PER_HOUR                         },
        { "1day",               0, 24 * USEC_PER_HOUR                         },
        { "2 days",             0, 48 * USEC_PER_HOUR                         },
        { "1w",                 0, 168 * USEC_PER_HOUR                        },
        { "1week",              0, 168 * USEC_PER_HOUR                        },
        { "2weeks",             0, 336 * USEC_PER_HOUR                        },
        { "5min 20s",           0, 320 * USEC_PER_SEC                         },
        { "5min20s",            0, 320 * USEC_PER_SEC                         },
        { "  5 min  20 s  ",    0, 320 * USEC_PER_SEC                         },
        { "1h 1min 1s 1ms 1us", 0, 3661 * USEC_PER_SEC + USEC_PER_MSEC + 1    },
        { "0.000001s",          0, 1                                          },
        { "0.123456789s",       0, 123456                                     },
        { "0.1us",              0, 0                                          },
        { "1.999999w",          0, 168 * USEC_PER_HOUR / 1000000 * 1999999    },
        { "18446744073709551615us", 0, UINT64_MAX                             },
        { "infinity",           0, USEC_NEVER                                 },

        { NULL,                 -EINVAL, 0 },
        { "",                   -EINVAL, 0 },
        { " ",                  -EINVAL, 0 },
        { "s",                  -EINVAL, 0 },
        { "-1",                 -EINVAL, 0 },
        { "-0.0s",              -EINVAL, 0 },
        { "+1",                 -EINVAL, 0 },
        { "1.",                 -EINVAL, 0 },
        { "1.s",                -EINVAL, 0 },
        { ".",                  -EINVAL, 0 },
        { "1..5s",              -EINVAL, 0 },
        { "1,5s",               -EINVAL, 0 },
        { "1parsec",            -EINVAL, 0 },
        { "1S",                 -EINVAL, 0 },
        { "1s x",               -EINVAL, 0 },
        { "0x10",               -EINVAL, 0 },
        { "1e3",                -EINVAL, 0 },
        { "5min, 20s",          -EINVAL, 0 },
        { "infinity 1s",        -EINVAL, 0 },
        { "infinite",           -EINVAL, 0 },
        { "1\xc2s",             -EINVAL, 0 },

        { "18446744073709551616us",    -ERANGE, 0 },
        { "99999999999999999999999",   -ERANGE, 0 },
        { "18446744073709551615s",     -ERANGE, 0 },
        { "18446744073709551615us 1us", -ERANGE, 0 },
        { "30500569 weeks 1w",         -ERANGE, 0 },
};
/* clang-format on */

static void test_parse(void) {
        for (size_t i = 0; i < ELEMENTSOF(spans); i++) {
                uint64_t usec = 4711;

                g_assert_cmpint(usec_parse(spans[i].text, &usec), ==, spans[i].r);
                g_assert_cmpuint(usec, ==, spans[i].r < 0 ? 4711 : spans[i].usec);
        }
}

static void test_parse_random(void) {
        static const char alphabet[] = "0123456789.. smhduwinfty-\xc2\xb5";

        for (unsigned i = 0; i < 20000; i++) {
                char text[24];
                int n = g_test_rand_int_range(0, sizeof(text));
                uint64_t usec = 4711;
                int r;

                for (int c = 0; c < n; c++)
                        text[c] = alphabet[g_test_rand_int_range(0, sizeof(alphabet) - 1)];
                text[n] = '\0';

                r = usec_parse(text, &usec);
                g_assert_true(r == 0 || r == -EINVAL || r == -ERANGE);
                g_assert_true(r == 0 || usec == 4711);
        }
}

static void test_format(void) {
        static const struct {
                uint64_t usec;
                const char *text;
        } rows[] = {
                { 0, "0us" },
                { 999, "999us" },
                { 200 * USEC_PER_MSEC, "200ms" },
                { 1500 * USEC_PER_MSEC, "1.5s" },
                { 10 * USEC_PER_SEC, "10s" },
                { 185 * USEC_PER_SEC, "3min 5s" },
                { 90 * USEC_PER_MINUTE, "1h 30min" },
                { USEC_NEVER, "never" },
        };
        char buffer[USEC_TEXT_MAX];

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                g_assert_true(usec_format(rows[i].usec, buffer) == buffer);
                g_assert_cmpstr(buffer, ==, rows[i].text);
        }
}

/* What was written for people can be read again, and is off by 2 % at most. */
static void test_format_random(void) {
        for (unsigned i = 0; i < 20000; i++) {
                unsigned bits = (unsigned)g_test_rand_int_range(1, 53);
                uint64_t usec, again = 0;
                char buffer[USEC_TEXT_MAX];

                usec = (uint64_t)g_test_rand_double_range(0, (double)(UINT64_C(1) << bits));
                if (g_test_rand_bit())
                        usec = usec_sub(((uint64_t[]){ USEC_PER_MSEC, USEC_PER_SEC, USEC_PER_MINUTE,
                                                       USEC_PER_HOUR })[i % 4],
                                        usec % 1000);

                (void)usec_format(usec, buffer);
                g_assert_cmpint(usec_parse(buffer, &again), ==, 0);
                g_assert_cmpuint(MAX(usec, again) - MIN(usec, again), <=, usec / 50);
        }
}

static void test_timestamp(void) {
        static const struct {
                uint64_t usec;
                const char *text;
        } rows[] = {
                { 0, "1970-01-01T00:00:00.000Z" },
                { 1999, "1970-01-01T00:00:00.001Z" },
                { UINT64_C(951827696987654), "2000-02-29T12:34:56.987Z" },
                { UINT64_C(4102444799999999), "2099-12-31T23:59:59.999Z" },
        };
        char buffer[TIMESTAMP_TEXT_MAX];

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                g_assert_cmpstr(timestamp_format(rows[i].usec, buffer), ==, rows[i].text);

        /* Whatever the clock says, the buffer holds. */
        g_assert_cmpuint(strlen(timestamp_format(UINT64_MAX, buffer)), <, TIMESTAMP_TEXT_MAX);
}

static void test_now(void) {
        uint64_t before = clock_now_usec(CLOCK_MONOTONIC);
        gint64 glib = g_get_monotonic_time();
        uint64_t after = clock_now_usec(CLOCK_MONOTONIC);

        g_assert_cmpuint(before, <=, (uint64_t)glib);
        g_assert_cmpuint((uint64_t)glib, <=, after);
        g_assert_cmpuint(clock_now_usec((clockid_t)-1000), ==, 0);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);

        g_test_add_func("/base/clock/sums-do-not-wrap", test_sums);
        g_test_add_func("/base/clock/parse", test_parse);
        g_test_add_func("/base/clock/parse-random", test_parse_random);
        g_test_add_func("/base/clock/format", test_format);
        g_test_add_func("/base/clock/format-random", test_format_random);
        g_test_add_func("/base/clock/timestamp", test_timestamp);
        g_test_add_func("/base/clock/now", test_now);

        return g_test_run();
}
