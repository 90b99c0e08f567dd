/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Strings
 *
 * Whatever bytes come in, one line of valid UTF-8 without control characters comes
 * out, within its bound and cut at the border of a character. Secrets do not get
 * through. A Text keeps to its bound and remembers its first failure. The random
 * walks hold sanitising against GLib's own idea of UTF-8.
 */

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "base/str.h"

/* clang-format off */
static const struct {
        const char *input;
        gsize size;
        const char *expected;
} sanitized[] = {
        { "",                            16, ""                              },
        { "connection refused",          64, "connection refused"            },
        { "a\nMAINPID=1",                64, "a MAINPID=1"                   },
        { "a\r\nb\tc\vd\033[31m",        64, "a  b c d [31m"                 },
        { "del\x7f.",                    64, "del ."                         },
        { "c1\xc2\x85.\xc2\x9b.",        64, "c1 . ."                        },
        { "nbsp\xc2\xa0.",               64, "nbsp\xc2\xa0."                 },
        { "ls\xe2\x80\xa8ps\xe2\x80\xa9", 64, "ls ps "                       },
        { "bidi\xe2\x80\xae\xe2\x81\xa6", 64, "bidi  "                       },
        { "\xff\xfe",                    64, "\xef\xbf\xbd\xef\xbf\xbd"      },
        { "over\xc0\x80long",            64, "over\xef\xbf\xbd\xef\xbf\xbdlong" },
        { "\xed\xa0\x80",                64, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xf4\x90\x80\x80",            64, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        { "cut\xe2\x82",                 64, "cut\xef\xbf\xbd\xef\xbf\xbd"   },
        { "\xef\xbf\xbe\xef\xb7\x90",    64, "\xef\xbf\xbd\xef\xbf\xbd"      }, /* noncharacters */
        { "\xf0\x9f\xbf\xbf",            64, "\xef\xbf\xbd"                  },
        { "gr\xc3\xbc\xc3\x9f \xf0\x9f\x8d\x8e", 64, "gr\xc3\xbc\xc3\x9f \xf0\x9f\x8d\x8e" },
        { "12345678",                     9, "12345678"                      },
        { "123456789",                    9, "12345..."                      },
        { "1234\xc3\xbc" "678",           9, "1234..."                       },
        { "\xf0\x9f\x8d\x8e\xf0\x9f\x8d\x8e", 6, "..."                       },
        { "abcdef",                       4, "abc"                           },
        { "\xc3\xbc" "b",                 2, ""                              },
        { "abc",                          1, ""                              },
};
/* clang-format on */

static void test_sanitize(void) {
        for (gsize i = 0; i < G_N_ELEMENTS(sanitized); i++) {
                g_autofree char *buffer = g_malloc(sanitized[i].size);
                gsize n = str_sanitize(sanitized[i].input, buffer, sanitized[i].size);

                g_test_message("row %" G_GSIZE_FORMAT, i);
                g_assert_cmpstr(buffer, ==, sanitized[i].expected);
                g_assert_cmpuint(n, ==, strlen(buffer));
        }
}

static void test_sanitize_takes_null_and_nul(void) {
        char buffer[16];

        g_assert_cmpuint(str_sanitize(NULL, buffer, sizeof(buffer)), ==, 0);
        g_assert_cmpstr(buffer, ==, "");
        g_assert_cmpuint(str_sanitize_n("a\0b", 3, buffer, sizeof(buffer)), ==, 3);
        g_assert_cmpstr(buffer, ==, "a b");
}

/* Bytes that make trouble, more often than chance would. */
static guchar random_byte(void) {
        static const guchar nasty[] = { '\n', '\r', 0,    0xc2, 0x85, 0xe2, 0x80, 0xa8, 0xef, 0xbf,
                                        0xbe, 0xf0, 0x9f, 0xed, 0xa0, 0xff, '=',  'a',  0x7f };

        return g_test_rand_bit() ? nasty[g_test_rand_int_range(0, G_N_ELEMENTS(nasty))]
                                 : (guchar)g_test_rand_int_range(0, 256);
}

static void assert_clean(const char *text) {
        g_assert_true(g_utf8_validate(text, -1, NULL));

        for (const char *c = text; *c; c = g_utf8_next_char(c)) {
                gunichar u = g_utf8_get_char(c);

                g_assert_false(g_unichar_iscntrl(u));
                g_assert_true(u != 0x2028 && u != 0x2029);
                g_assert_true((u & 0xfffe) != 0xfffe && !(u >= 0xfdd0 && u <= 0xfdef));
        }
}

static void test_sanitize_random(void) {
        for (guint round = 0; round < 20000; round++) {
                gsize n = (gsize)g_test_rand_int_range(0, 64),
                      size = (gsize)g_test_rand_int_range(1, 80);
                g_autofree char *input = g_malloc(n + 1), *buffer = g_malloc(size);
                char again[128];

                for (gsize i = 0; i < n; i++)
                        input[i] = (char)random_byte();

                gsize length = str_sanitize_n(input, n, buffer, size);
                g_assert_cmpuint(length, <, size);
                g_assert_cmpuint(length, ==, strlen(buffer));
                assert_clean(buffer);

                /* What is clean stays as it is. */
                (void)str_sanitize(buffer, again, sizeof(again));
                g_assert_cmpstr(again, ==, buffer);
        }
}

static void test_utf8_sequence_agrees_with_glib(void) {
        for (guint round = 0; round < 50000; round++) {
                char bytes[5] = { 0 };

                for (gsize i = 0; i < 4; i++)
                        bytes[i] = (char)random_byte();

                gsize n = utf8_sequence(bytes, 4);
                gunichar u = g_utf8_get_char_validated(bytes, 4);
                gboolean valid = u != (gunichar)-1 && u != (gunichar)-2;

                if (bytes[0] == 0)
                        g_assert_cmpuint(n, ==, 1);
                else
                        g_assert_cmpuint(n, ==, valid ? (gsize)g_unichar_to_utf8(u, NULL) : 0);
        }

        g_assert_cmpuint(utf8_sequence("\xc3\xbc", 1), ==, 0);
        g_assert_cmpuint(utf8_sequence("a", 0), ==, 0);
}

static void test_cut(void) {
        static const struct {
                const char *input;
                gsize n;
                const char *expected;
        } rows[] = {
                { "", 5, "" },
                { "12345", 5, "12345" },
                { "123456", 5, "12..." },
                { "\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc", 4, "\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc" },
                { "\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc"
                  "5",
                  4, "\xc3\xbc..." },
                { "1234", 3, "..." },
        };

        for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
                g_autofree char *text = g_strdup(rows[i].input);

                g_assert_cmpuint(str_cut(text, rows[i].n), ==, strlen(rows[i].expected));
                g_assert_cmpstr(text, ==, rows[i].expected);
        }
}

/* clang-format off */
static const struct {
        const char *input, *expected;
} redacted[] = {
        { "nothing to hide",                     "nothing to hide"                     },
        { "password=hunter2",                    "password=*******"                    },
        { "host=db password=hunter2 port=5432",  "host=db password=******* port=5432"  },
        { "PGPASSWORD=x;a",                      "PGPASSWORD=*;a"                      },
        { "Password: 'a b' c",                   "Password: '***' c"                   },
        { "passwd = x, pwd=y&token=z",           "passwd = *, pwd=*&token=*"           },
        { "client_secret=s&a=b",                 "client_secret=*&a=b"                 },
        { "{\"password\":\"a,b\",\"x\":1}",      "{\"password\":\"***\",\"x\":1}"      },
        { "password",                            "password"                            },
        { "password=",                           "password="                           },
        { "password='open",                      "password='****"                      },
        { "tokens: 5",                           "tokens: 5"                           },
        { "postgres://me:pw@db/orders",          "postgres://*****@db/orders"          },
        { "a redis://:pw@h b //u@k",             "a redis://***@h b //*@k"             },
        { "http://h/a@b?c=d@e",                  "http://h/a@b?c=d@e"                  },
        { "http://h:80/a@b",                     "http://h:80/a@b"                     },
        { "pg://u:p/w@db",                       "pg://*****@db"                       },
        { "http://[::1]:80/a@b",                 "http://[::1]:80/a@b"                 },
        { "http://a:b@c@h/",                     "http://*****@h/"                     },
        { "//",                                  "//"                                  },
};
/* clang-format on */

static void test_redact(void) {
        for (gsize i = 0; i < G_N_ELEMENTS(redacted); i++) {
                g_autofree char *text = g_strdup(redacted[i].input);

                str_redact(text);
                g_assert_cmpstr(text, ==, redacted[i].expected);
        }
}

static void test_redact_keeps_length_and_utf8(void) {
        static const char *const parts[] = { "password", "=",        "'", "\"", "//",
                                             "@",        ":",        "/", " ",  "token",
                                             "a",        "\xc3\xbc", ";", "&",  "7" };

        for (guint round = 0; round < 20000; round++) {
                g_autoptr(GString) text = g_string_new(NULL);
                gsize n;

                for (gint i = g_test_rand_int_range(0, 20); i > 0; i--)
                        g_string_append(text, parts[g_test_rand_int_range(0, G_N_ELEMENTS(parts))]);
                n = text->len;

                str_redact(text->str);
                g_assert_cmpuint(strlen(text->str), ==, n);
                g_assert_true(g_utf8_validate(text->str, -1, NULL));
        }
}

static void test_text_grows(void) {
        Text text = TEXT_INIT;
        g_autoptr(GString) expected = g_string_new(NULL);

        for (guint i = 0; i < 1000; i++) {
                g_assert_cmpint(text_append(&text, "x"), ==, 0);
                g_assert_cmpint(text_appendf(&text, "%u,", i), ==, 0);
                g_assert_cmpint(text_append_n(&text, "", 0), ==, 0);
                g_string_append_printf(expected, "x%u,", i);
        }
        g_assert_cmpstr(text.data, ==, expected->str);
        g_assert_cmpuint(text.length, ==, expected->len);

        text_clear(&text);
        g_assert_cmpstr(text.data, ==, "");
        g_assert_cmpuint(text.length, ==, 0);

        text_done(&text);
        g_assert_null(text.data);
}

static void test_text_keeps_its_bound(void) {
        Text text = { .max = 8 };

        g_assert_cmpint(text_append(&text, "12345678"), ==, 0);
        g_assert_cmpint(text_append(&text, "9"), ==, -E2BIG);
        g_assert_cmpint(text_append(&text, ""), ==, -E2BIG);
        g_assert_cmpint(text_appendf(&text, "%d", 1), ==, -E2BIG);
        g_assert_cmpint(text.error, ==, -E2BIG);
        g_assert_cmpstr(text.data, ==, "12345678");

        text_clear(&text);
        g_assert_cmpint(text_appendf(&text, "%s", "again"), ==, 0);
        g_assert_cmpstr(text.data, ==, "again");
        text_done(&text);
}

static void test_starts(void) {
        g_assert_true(str_starts("tcp://x", "tcp://"));
        g_assert_true(str_starts("x", ""));
        g_assert_false(str_starts("tcp", "tcp://"));
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);

        g_test_add_func("/base/str/sanitize", test_sanitize);
        g_test_add_func("/base/str/sanitize-takes-null-and-nul", test_sanitize_takes_null_and_nul);
        g_test_add_func("/base/str/sanitize-random", test_sanitize_random);
        g_test_add_func("/base/str/utf8-sequence-agrees-with-glib",
                        test_utf8_sequence_agrees_with_glib);
        g_test_add_func("/base/str/cut", test_cut);
        g_test_add_func("/base/str/redact", test_redact);
        g_test_add_func("/base/str/redact-keeps-length-and-utf8",
                        test_redact_keeps_length_and_utf8);
        g_test_add_func("/base/str/text-grows", test_text_grows);
        g_test_add_func("/base/str/text-keeps-its-bound", test_text_keeps_its_bound);
        g_test_add_func("/base/str/starts", test_starts);

        return g_test_run();
}
