/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Sizes and levels are read as they are documented and nothing else is; what is
 * printed is read back as about the same.
 */

#include <errno.h>
#include <glib.h>

#include "base/macro.h"
#include "check/size.h"

static const struct {
        const char *text;
        int r;
        uint64_t size;
} sizes[] = {
        { "0", 0, 0 },
        { "4096", 0, 4096 },
        { "4096B", 0, 4096 },
        { "64K", 0, 65536 },
        { "1.5G", 0, 1610612736 },
        { "16777215T", 0, UINT64_C(16777215) << 40 },
        { "16777216T", -ERANGE, 0 },
        { "18446744073709551615", 0, UINT64_MAX },
        { "18446744073709551616", -ERANGE, 0 },
        { "1.5", -EINVAL, 0 },
        { "", -EINVAL, 0 },
        { "K", -EINVAL, 0 },
        { "1KB", -EINVAL, 0 },
        { "1k", -EINVAL, 0 },
        { "-1", -EINVAL, 0 },
        { " 1", -EINVAL, 0 },
        { "1 ", -EINVAL, 0 },
        { "1.K", -EINVAL, 0 },
        { "0x10", -EINVAL, 0 },
};

static void test_sizes(void) {
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                uint64_t size = 7;

                g_test_message("'%s'", sizes[i].text);
                g_assert_cmpint(size_parse(sizes[i].text, &size), ==, sizes[i].r);
                g_assert_cmpuint(size, ==, sizes[i].r < 0 ? 7 : sizes[i].size);
        }
}

static void test_levels(void) {
        Level level = { .amount = 7 };

        g_assert_cmpint(level_parse("5%", &level), ==, 0);
        g_assert_true(level.is_percent);
        g_assert_cmpfloat(level.percent, ==, 5);
        g_assert_cmpuint(level_of(&level, 1000), ==, 50);

        g_assert_cmpint(level_parse("0.5%", &level), ==, 0);
        g_assert_cmpuint(level_of(&level, 1000), ==, 5);

        g_assert_cmpint(level_parse("100%", &level), ==, 0);
        g_assert_cmpuint(level_of(&level, 1000), ==, 1000);

        g_assert_cmpint(level_parse("2K", &level), ==, 0);
        g_assert_false(level.is_percent);
        g_assert_cmpuint(level_of(&level, 1), ==, 2048);

        g_assert_cmpint(level_parse("100.1%", &level), ==, -ERANGE);
        g_assert_cmpint(level_parse("101%", &level), ==, -ERANGE);
        g_assert_cmpint(level_parse("%", &level), ==, -EINVAL);
        g_assert_cmpint(level_parse("5%%", &level), ==, -EINVAL);
        g_assert_cmpint(level_parse("5K%", &level), ==, -EINVAL);
        g_assert_cmpint(level_parse("-5%", &level), ==, -EINVAL);
        g_assert_cmpuint(level.amount, ==, 2048);
}

static void test_formats(void) {
        char text[SIZE_TEXT_MAX];

        g_assert_cmpstr(size_format(0, text), ==, "0B");
        g_assert_cmpstr(size_format(1023, text), ==, "1023B");
        g_assert_cmpstr(size_format(1536, text), ==, "1.5K");
        g_assert_cmpstr(size_format(UINT64_C(200) << 20, text), ==, "200M");
        g_assert_cmpstr(level_format(&LEVEL_PERCENT(12.5), true, text), ==, "12.5%");
        g_assert_cmpstr(level_format(&(Level){ .amount = 2048 }, true, text), ==, "2.0K");
        g_assert_cmpstr(level_format(&(Level){ .amount = 2048 }, false, text), ==, "2048");
        g_assert_cmpfloat(percent_of(1, 0), ==, 0);
}

static void test_round_trip(void) {
        for (unsigned i = 0; i < 10000; i++) {
                uint64_t size, back;
                char text[SIZE_TEXT_MAX];

                size = ((uint64_t)g_test_rand_int() << 32 | (uint32_t)g_test_rand_int()) >>
                       g_test_rand_int_range(1, 64);
                g_assert_cmpint(size_parse(size_format(size, text), &back), ==, 0);
                g_assert_cmpuint(back > size ? back - size : size - back, <=, size / 20);
        }
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/check/size/sizes", test_sizes);
        g_test_add_func("/check/size/levels", test_levels);
        g_test_add_func("/check/size/formats", test_formats);
        g_test_add_func("/check/size/what-is-printed-is-read-back", test_round_trip);
        return g_test_run();
}
