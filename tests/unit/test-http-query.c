/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * HTTP Query and Accept
 *
 * Paths and queries come apart as they are written, escapes are undone only into
 * what is harmless, and the media type that a client gets is the one that RFC
 * 9110 says it likes best. Random text is only to be survived.
 */

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "base/limits.h"
#include "base/macro.h"
#include "report/http-query.h"

static HttpSlice slice(const char *text) {
        return (HttpSlice){ .data = text, .length = strlen(text) };
}

/* "[key=value]" for every part; "[key]" if there is no value. */
static char *query_show(const char *text) {
        HttpSlice query = slice(text), key, value;
        GString *shown = g_string_new(NULL);

        while (http_query_next(&query, &key, &value)) {
                g_string_append_printf(shown, "[%.*s", (int)key.length, key.data);
                if (value.data)
                        g_string_append_printf(shown, "=%.*s", (int)value.length, value.data);
                g_string_append_c(shown, ']');
        }

        return g_string_free(shown, FALSE);
}

static void test_query(void) {
        static const struct {
                const char *query, *shown;
        } rows[] = {
                { "", "" },
                { "verbose", "[verbose]" },
                { "exclude=a&exclude=b", "[exclude=a][exclude=b]" },
                { "a=&=b&&c&", "[a=][=b][c]" },
                { "a=b=c", "[a=b=c]" },
                { "&&&", "" },
                { "a;b=c", "[a;b=c]" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                g_autofree char *shown = query_show(rows[i].query);

                g_assert_cmpstr(shown, ==, rows[i].shown);
        }

        g_assert_true(http_query_has(slice("a&verbose=1"), "verbose"));
        g_assert_false(http_query_has(slice("a&verbosely"), "verbose"));
        g_assert_false(http_query_has((HttpSlice){}, "verbose"));
}

static void test_path(void) {
        static const struct {
                const char *path, *shown;
        } rows[] = {
                { "", "" },
                { "/", "[]" },
                { "/livez", "[livez]" },
                { "/readyz/db", "[readyz][db]" },
                { "/readyz/", "[readyz][]" },
                { "//a", "[][a]" },
                { "a/b", "" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                g_autoptr(GString) shown = g_string_new(NULL);
                HttpSlice path = slice(rows[i].path), segment;

                while (http_path_next(&path, &segment))
                        g_string_append_printf(shown, "[%.*s]", (int)segment.length, segment.data);
                g_assert_cmpstr(shown->str, ==, rows[i].shown);
        }
}

static void test_unescape(void) {
        static const struct {
                const char *raw;
                bool plus;
                int length;
                const char *text;
        } rows[] = {
                { "db", false, 2, "db" },
                { "", false, 0, "" },
                { "%64%62", false, 2, "db" },
                { "a+b", false, 3, "a+b" },
                { "a+b%2B", true, 4, "a b+" },
                { "%c3%A9", false, 2, "\xc3\xa9" },
                { "%2F%2e%2e", false, 3, "/.." },
                { "%00", false, -EINVAL, NULL },
                { "a%0d%0ab", false, -EINVAL, NULL },
                { "%7f", false, -EINVAL, NULL },
                { "\n", false, -EINVAL, NULL },
                { "%", false, -EINVAL, NULL },
                { "%4", false, -EINVAL, NULL },
                { "%4g", false, -EINVAL, NULL },
                { "%-1", false, -EINVAL, NULL },
                { "1234567", false, 7, "1234567" },
                { "12345678", false, -ENOBUFS, NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                char buffer[8];

                g_assert_cmpint(http_unescape(slice(rows[i].raw), rows[i].plus, buffer,
                                              sizeof(buffer)),
                                ==, rows[i].length);
                if (rows[i].text)
                        g_assert_cmpstr(buffer, ==, rows[i].text);
        }
}

#define PROMETHEUS                                                                                 \
        "application/openmetrics-text;version=1.0.0;q=0.5,"                                        \
        "application/openmetrics-text;version=0.0.1;q=0.4,"                                        \
        "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"

static void test_quality(void) {
        static const struct {
                const char *accept, *offer;
                int quality;
        } rows[] = {
                { "", "text/plain", -1 },
                { "text/plain", "text/plain", 1000 },
                { "TEXT/Plain", "text/plain", 1000 },
                { "text/*;q=0.5", "text/plain", 500 },
                { "*/*;q=0.001", "text/plain", 1 },
                { "text/html", "text/plain", -1 },
                { "text/plain;q=0", "text/plain", 0 },
                { "*/*, text/plain;q=0.2", "text/plain", 200 },
                { "text/plain;q=0.2, */*", "text/plain", 200 },
                { "text/plain;q=0.2 , text/*", "text/html", 1000 },
                { "text/plain;version=1;q=0.9,text/plain;q=0.1", "text/plain;version=1", 900 },
                { "text/plain;version=1;q=0.9,text/plain;q=0.1", "text/plain", 100 },
                { "text/plain; version=\"1\"", "text/plain;version=1", 1000 },
                { "text/plain;a=\",\";q=0.3, text/html", "text/html", 1000 },
                { "text/plain;q=1.000", "text/plain", 1000 },
                { "text/plain;q=1.001", "text/plain", 1000 },
                { "text/plain;q=0.1234", "text/plain", 0 },
                { "text/plain;q=2", "text/plain", 0 },
                { "text/plain;q=.5", "text/plain", 0 },
                { "text/plain;q=", "text/plain", 0 },
                { "text/plain;q", "text/plain", 0 },
                { "text/plain;Q=0.7;ext=1", "text/plain", 700 },
                { "text", "text/plain", -1 },
                { "/plain, text/, text/plain", "text/plain", 1000 },
                { ",,;, text/plain", "text/plain", 1000 },
                { "text/plain;a=\"unclosed", "text/plain", -1 },
                { PROMETHEUS, "application/openmetrics-text; version=1.0.0", 500 },
                { PROMETHEUS, "text/plain; version=0.0.4", 300 },
                { PROMETHEUS, "text/html", 200 },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                g_test_message("%s: %s", rows[i].offer, rows[i].accept);
                g_assert_cmpint(http_accept_quality(slice(rows[i].accept), rows[i].offer), ==,
                                rows[i].quality);
        }
}

static void test_choose(void) {
        static const char *const offers[] = {
                "application/health+json",
                "application/vnd.spring-boot.actuator.v3+json",
                "text/plain",
        };
        static const struct {
                const char *accept;
                size_t chosen;
        } rows[] = {
                { "", 0 },
                { "*/*", 0 },
                { "text/plain", 2 },
                { "text/plain;q=0.5, application/*", 0 },
                { "application/vnd.spring-boot.actuator.v3+json, application/json", 1 },
                { "image/png", 0 },
                { "*/*;q=0", 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                g_assert_cmpuint(http_accept_choose(slice(rows[i].accept), offers,
                                                    ELEMENTSOF(offers)),
                                 ==, rows[i].chosen);
}

/* Of very many ranges only the first are looked at. */
static void test_many_ranges(void) {
        g_autoptr(GString) accept = g_string_new(NULL);

        for (unsigned i = 0; i < HTTP_ACCEPT_RANGES_MAX - 1; i++)
                g_string_append(accept, "a/b,");
        g_string_append(accept, "text/plain,text/html");

        g_assert_cmpint(http_accept_quality(slice(accept->str), "text/plain"), ==, 1000);
        g_assert_cmpint(http_accept_quality(slice(accept->str), "text/html"), ==, -1);
}

/* Text that looks a little like what is expected, in a buffer of exactly its size. */
static void test_random(void) {
        static const char pieces[] = "text/plain*;q=0.5\",\\ &%4a+\t";

        for (unsigned k = 0; k < 50000; k++) {
                size_t n = (size_t)g_test_rand_int_range(1, 24);
                g_autofree char *text = g_malloc(n);
                HttpSlice raw = { .data = text, .length = n }, rest = raw, key, value;
                char buffer[16];

                for (size_t i = 0; i < n; i++)
                        text[i] = pieces[g_test_rand_int_range(0, (int)sizeof(pieces) - 1)];

                int quality = http_accept_quality(raw, "text/plain;a=b");
                g_assert_true(quality >= -1 && quality <= 1000);

                int length = http_unescape(raw, true, buffer, sizeof(buffer));
                g_assert_true(length < (int)sizeof(buffer));
                if (length >= 0)
                        g_assert_cmpint((int)strlen(buffer), ==, length);

                while (http_query_next(&rest, &key, &value))
                        g_assert_true(key.data >= text && key.data + key.length <= text + n);
                g_assert_cmpuint(rest.length, ==, 0);
        }
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);

        g_test_add_func("/report/http-query/parts-come-in-order", test_query);
        g_test_add_func("/report/http-query/segments-come-in-order", test_path);
        g_test_add_func("/report/http-query/escapes-hide-nothing", test_unescape);
        g_test_add_func("/report/http-accept/quality-is-of-the-most-specific", test_quality);
        g_test_add_func("/report/http-accept/chooses-what-is-liked-best", test_choose);
        g_test_add_func("/report/http-accept/looks-at-a-bounded-number", test_many_ranges);
        g_test_add_func("/report/http-query/survives-random-text", test_random);

        return g_test_run();
}
