/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Names
 *
 * A name is valid exactly when the regular expression of the header says so, and
 * every invalid one has a complaint. The words of a table lead back to the
 * values they came from, and nothing else does.
 */

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "base/limits.h"
#include "base/macro.h"
#include "base/names.h"

#define LONGEST "0123456789012345678901234567890123456789012345678901234567890az"

static_assert(sizeof(LONGEST) == NAME_LENGTH_MAX + 1, "the longest name there may be");

static void test_valid(void) {
        static const char *const valid[] = { "a", "0", "db", "a-b", "a--b", "0-9", "x1", LONGEST };
        static const char *const invalid[] = {
                NULL,     "",         "-",      "-a",  "a-",         "A",
                "aB",     "a_b",      "a.b",    "a b", "a/b",        "a\nb",
                "a\x01b", "\xc3\xa4", "db\xff", " db", LONGEST "-a", LONGEST "a",
        };

        for (size_t i = 0; i < ELEMENTSOF(valid); i++) {
                g_assert_true(name_is_valid(valid[i]));
                g_assert_null(name_complaint(valid[i]));
        }
        for (size_t i = 0; i < ELEMENTSOF(invalid); i++) {
                g_assert_false(name_is_valid(invalid[i]));
                g_assert_cmpuint(strlen(name_complaint(invalid[i])), >, 0);
        }
}

static void test_valid_random(void) {
        static const char alphabet[] = "abz059----A_. \n\xc3\xa4";
        g_autoptr(GRegex) regex = g_regex_new("\\A[a-z0-9]([a-z0-9-]*[a-z0-9])?\\z", G_REGEX_RAW,
                                              (GRegexMatchFlags)0, NULL);
        unsigned n_valid = 0;

        for (unsigned i = 0; i < 50000; i++) {
                char name[NAME_LENGTH_MAX + 4];
                int n = i % 2 ? g_test_rand_int_range(0, 6)
                              : g_test_rand_int_range(NAME_LENGTH_MAX - 3, NAME_LENGTH_MAX + 4);
                int n_letters = g_test_rand_bit() ? 10 : (int)sizeof(alphabet) - 1;
                bool expected;

                for (int c = 0; c < n; c++)
                        name[c] = alphabet[g_test_rand_int_range(0, n_letters)];
                name[n] = '\0';

                expected = n <= NAME_LENGTH_MAX &&
                           g_regex_match(regex, name, (GRegexMatchFlags)0, NULL);
                g_assert_cmpint(name_is_valid(name), ==, expected);
                g_assert_cmpint(name_complaint(name) == NULL, ==, expected);
                n_valid += expected;
        }

        /* The walk would prove nothing if it met only one kind. */
        g_assert_cmpuint(n_valid, >, 5000);
        g_assert_cmpuint(n_valid, <, 45000);
}

static void test_table(void) {
        static const char *const words[] = { "zero", NULL, "two" };

        g_assert_cmpstr(name_table_to_string(words, 3, 0), ==, "zero");
        g_assert_null(name_table_to_string(words, 3, 1));
        g_assert_cmpstr(name_table_to_string(words, 3, 2), ==, "two");
        g_assert_null(name_table_to_string(words, 3, 3));
        g_assert_null(name_table_to_string(words, 3, -1));
        g_assert_null(name_table_to_string(words, 3, G_MININT));
        g_assert_null(name_table_to_string(words, 3, G_MAXINT));

        g_assert_cmpint(name_table_from_string(words, 3, "zero"), ==, 0);
        g_assert_cmpint(name_table_from_string(words, 3, "two"), ==, 2);
        g_assert_cmpint(name_table_from_string(words, 2, "two"), ==, -EINVAL);
        g_assert_cmpint(name_table_from_string(words, 3, "tw"), ==, -EINVAL);
        g_assert_cmpint(name_table_from_string(words, 3, "Two"), ==, -EINVAL);
        g_assert_cmpint(name_table_from_string(words, 3, ""), ==, -EINVAL);
        g_assert_cmpint(name_table_from_string(words, 3, NULL), ==, -EINVAL);
        g_assert_cmpint(name_table_from_string(words, 0, "zero"), ==, -EINVAL);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);

        g_test_add_func("/base/names/valid", test_valid);
        g_test_add_func("/base/names/valid-random", test_valid_random);
        g_test_add_func("/base/names/table", test_table);

        return g_test_run();
}
