/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * HTTP Parser
 *
 * The table says of each request how it must end. Each is then given again one
 * byte at a time and cut at random places, which must not change the outcome or
 * what was found; and random damage must never get past what may be answered.
 * Every byte is handed over in a buffer of exactly its size, so that a look too
 * far is seen by the sanitizer.
 */

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "base/limits.h"
#include "base/macro.h"
#include "report/http-chars.h"
#include "report/http-parse.h"

typedef struct Row {
        const char *text;
        const char *path, *query, *accept;
        bool close;
} Row;

#define H "Host: a\r\n"
#define GET "GET / HTTP/1.1\r\n"

/* clang-format off */
/* What must be answered. */
static const Row good[] = {
        { .text = GET H "\r\n", .path = "/" },
        { .text = "GET /livez?verbose&exclude=a HTTP/1.1\r\n" H "\r\n",
          .path = "/livez", .query = "verbose&exclude=a" },
        { .text = "HEAD /a%20b/c?d=%2f HTTP/1.1\r\n" H "\r\n",
          .path = "/a%20b/c", .query = "d=%2f" },
        { .text = "GET /? HTTP/1.1\r\n" H "\r\n", .path = "/", .query = "" },
        { .text = "GET /?a?/b HTTP/1.1\r\n" H "\r\n", .path = "/", .query = "a?/b" },
        { .text = "GET //../a;b=c,d:e@f!$&'()*+~._- HTTP/1.1\r\n" H "\r\n",
          .path = "//../a;b=c,d:e@f!$&'()*+~._-" },
        { .text = "\r\n" GET H "\r\n", .path = "/" },
        { .text = "GET http://example.org:80/x?y HTTP/1.1\r\n" H "\r\n",
          .path = "/x", .query = "y" },
        { .text = "GET HTTP://[::1]:80 HTTP/1.1\r\n" H "\r\n", .path = "" },
        { .text = "GET http://a?q HTTP/1.1\r\n" H "\r\n", .path = "", .query = "q" },
        { .text = GET "Host:\r\n\r\n", .path = "/" },
        { .text = GET "hOsT:\t[::1]:8080 \t\r\n\r\n", .path = "/" },
        { .text = GET H "Accept: text/plain \r\n\r\n", .path = "/", .accept = "text/plain" },
        { .text = GET H "Accept: a/b\r\nAccept: c/d\r\n\r\n", .path = "/", .accept = "a/b" },
        { .text = GET H "Accept:\r\n\r\n", .path = "/", .accept = "" },
        { .text = GET H "X-Odd: \x80\xff\t\"~\r\n\r\n", .path = "/" },
        { .text = GET H "!#$%&'*+-.^_`|~09az: x\r\n\r\n", .path = "/" },
        { .text = GET H "Content-Length: 0\r\n\r\n", .path = "/" },
        { .text = GET H "Content-Length: 000\r\n\r\n", .path = "/" },
        { .text = GET H "Expect: 100-Continue\r\n\r\n", .path = "/" },
        { .text = GET H "Upgrade: h2c\r\nConnection: upgrade\r\n\r\n", .path = "/" },
        { .text = GET H "Connection: close\r\n\r\n", .path = "/", .close = true },
        { .text = GET H "Connection: keep-alive,, \t ,CLOSE\r\n\r\n", .path = "/", .close = true },
        { .text = GET H "Connection: keep-alive\r\nConnection: close\r\n\r\n",
          .path = "/", .close = true },
        { .text = GET H "Connection: closed, not-close\r\n\r\n", .path = "/" },
        { .text = GET H "Connection:\r\n\r\n", .path = "/" },
        { .text = "GET / HTTP/1.0\r\n\r\n", .path = "/", .close = true },
        { .text = "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", .path = "/" },
        { .text = "GET / HTTP/1.0\r\nConnection: Keep-Alive, close\r\n\r\n",
          .path = "/", .close = true },
        { .text = "GET / HTTP/1.9\r\n" H "\r\n", .path = "/" },
        { .text = GET H "\r\nrest", .path = "/" },
        { .text = GET H "\r\n" GET, .path = "/" },
};

/* Not complete yet. */
static const char *const incomplete[] = {
        "", "G", "\r", "\r\n", "GET / HTTP/1.1", GET, GET H, GET H "\r", "GET /?%",
};

/* Malformed, or to be understood in two ways. */
static const char *const refused_400[] = {
        "\n", "\r\n\r\n", " GET / HTTP/1.1\r\n", "\x16\x03\x01", "GET / HTTP/1.1\n", "GET /\r\n",
        "GET\r\n", "GET \r\n", "GET  / HTTP/1.1\r\n", "GET /  HTTP/1.1\r\n",
        "GET / HTTP/1.1 \r\n", "GET\t/ HTTP/1.1\r\n", "GET /\tHTTP/1.1\r\n",
        "GET / HTTP/1.1\r\r\n", "GET / http/1.1\r\n", "GET / HTTP/1.\r\n", "GET / HTTP/11\r\n",
        "GET / HTTP/1.10\r\n", "GET / HTTP/1,1\r\n", "GET / XTTP/1.1\r\n",
        "GET livez HTTP/1.1\r\n", "GET * HTTP/1.1\r\n", "GET ?a HTTP/1.1\r\n",
        "GET /a#b HTTP/1.1\r\n", "GET /a\\b HTTP/1.1\r\n", "GET /\xc3\xa9 HTTP/1.1\r\n",
        "GET /a\x01 HTTP/1.1\r\n", "GET /\"<>^`{|} HTTP/1.1\r\n", "GET /[a] HTTP/1.1\r\n",
        "GET /% HTTP/1.1\r\n", "GET /%2 HTTP/1.1\r\n", "GET /%zz HTTP/1.1\r\n",
        "GET /?%a HTTP/1.1\r\n", "GET https://a/ HTTP/1.1\r\n", "GET http:/// HTTP/1.1\r\n",
        "GET http://u@a/ HTTP/1.1\r\n", "GET http://:80/ HTTP/1.1\r\n",
        "GET http:// HTTP/1.1\r\n", "GET http HTTP/1.1\r\n", "GET a:80 HTTP/1.1\r\n",
        "POST % HTTP/1.1\r\n" H "\r\n", GET "Host : a\r\n", GET "Host\t: a\r\n", GET "Host\r\n",
        GET ": a\r\n", GET " Host: a\r\n", GET H "\tfolded\r\n", GET H " \r\n",
        GET "Ho st: a\r\n", GET "H(st: a\r\n", GET "H\xc3\xb6st: a\r\n", GET "Host: a\n",
        GET H "\n", GET H "X: a\rb\r\n", GET H "X: a\x7f\r\n", GET H "X: a\x0b\r\n",
        GET H "X: a\r\r\n", GET H "\r\r\n", GET "\r\n", GET H H, GET "Host: a b\r\n",
        GET "Host: a/b\r\n", GET "Host: u@a\r\n", GET H "Connection: a b\r\n",
        GET H "Connection: \"x\"\r\n",
        GET H "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
        GET H "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
        "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        GET H "Content-Length: 0\r\nContent-Length: 0\r\n", GET H "Content-Length: 0, 0\r\n",
        GET H "Content-Length:\r\n", GET H "Content-Length: +1\r\n",
        GET H "Content-Length: -1\r\n", GET H "Content-Length: 0x0\r\n",
        GET H "Content-Length: 1 2\r\n", GET H "Content-Length: 1;\r\n",
};

static const char *const refused_405[] = {
        "POST / HTTP/1.1\r\n" H "\r\n", "OPTIONS * HTTP/1.1\r\n" H "\r\n",
        "CONNECT a:80 HTTP/1.1\r\n" H "\r\n", "DELETE / HTTP/1.1\r\n" H "\r\n",
};

/* Bodies. */
static const char *const refused_413[] = {
        GET H "Content-Length: 1\r\n\r\n",
        GET H "Content-Length: 99999999999999999999999\r\n\r\n",
        "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello",
        "POST / HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        GET H "Transfer-Encoding: chunked\r\n\r\n", GET H "transfer-encoding:\r\n\r\n",
        GET H "Transfer-Encoding: identity\r\n\r\n",
};

static const char *const refused_417[] = {
        GET H "Expect: everything\r\n\r\n", GET H "Expect: 100-continue, x\r\n\r\n",
};

static const char *const refused_501[] = {
        "get / HTTP/1.1\r\n" H "\r\n", "GETS / HTTP/1.1\r\n" H "\r\n",
        "BREW pot: HTTP/1.1\r\n" H "\r\n",
};

static const char *const refused_505[] = {
        "GET / HTTP/2.0\r\n", "GET / HTTP/0.9\r\n", "PRI * HTTP/2.0\r\n\r\n",
};
/* clang-format on */

/* Feeds @text as its prefixes of the lengths that @step (0: random) leads to. */
static int feed(HttpParser *parser, const char *text, size_t n, size_t step) {
        size_t have = step == SIZE_MAX ? n : 0;

        *parser = (HttpParser){};

        for (;;) {
                g_autofree char *exact = g_memdup2(text, have);
                int r = http_parser_feed(parser, exact, have);

                if (r != -EAGAIN || have == n)
                        return r;
                have += step > 0 ? step : (size_t)g_test_rand_int_range(0, 40);
                have = MIN(have, n);
        }
}

static void assert_span(HttpSpan span, const char *text, const char *expected) {
        g_autofree char *found = g_strndup(text + span.start, span.length);

        g_assert_cmpstr(found, ==, expected ? expected : "");
}

/* However it is cut, it ends with @outcome; yields what was found. */
static HttpParser assert_outcome(const char *text, int outcome) {
        size_t n = strlen(text);
        g_autofree char *shown = g_strescape(text, NULL);
        HttpParser whole, cut;

        g_test_message("%s", shown);
        g_assert_cmpint(feed(&whole, text, n, SIZE_MAX), ==, outcome);
        g_assert_cmpint(feed(&cut, text, n, 1), ==, outcome);
        if (outcome == 0)
                g_assert_cmpmem(&whole, sizeof(whole), &cut, sizeof(cut));
        for (unsigned k = 0; k < 20; k++)
                g_assert_cmpint(feed(&cut, text, n, 0), ==, outcome);

        return whole;
}

static void test_good(void) {
        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                const Row *row = &good[i];
                HttpParser parser = assert_outcome(row->text, 0);

                assert_span(parser.path, row->text, row->path);
                assert_span(parser.query, row->text, row->query);
                assert_span(parser.accept, row->text, row->accept);
                g_assert_true(http_parser_keeps_alive(&parser) == !row->close);
                g_assert_cmpint(parser.length, ==,
                                strstr(row->text + 2, "\r\n\r\n") + 4 - row->text);
        }
}

/* clang-format off */
static const struct {
        int outcome;
        const char *const *texts;
        size_t n;
} bad[] = {
        { -EAGAIN, incomplete,   ELEMENTSOF(incomplete) },
        { 400,     refused_400,  ELEMENTSOF(refused_400) },
        { 405,     refused_405,  ELEMENTSOF(refused_405) },
        { 413,     refused_413,  ELEMENTSOF(refused_413) },
        { 417,     refused_417,  ELEMENTSOF(refused_417) },
        { 501,     refused_501,  ELEMENTSOF(refused_501) },
        { 505,     refused_505,  ELEMENTSOF(refused_505) },
};
/* clang-format on */

static void test_bad(void) {
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                for (size_t k = 0; k < bad[i].n; k++)
                        (void)assert_outcome(bad[i].texts[k], bad[i].outcome);
}

static void test_nul(void) {
        static const char in_target[] = "GET /\0 HTTP/1.1\r\n" H "\r\n";
        static const char in_name[] = GET "Ho\0st: a\r\n\r\n";
        static const char in_value[] = GET H "X: a\0b\r\n\r\n";
        static const char in_known[] = GET H "Connection: close\0\r\n\r\n";
        HttpParser parser;

        g_assert_cmpint(feed(&parser, in_target, sizeof(in_target) - 1, 1), ==, 400);
        g_assert_cmpint(feed(&parser, in_name, sizeof(in_name) - 1, 1), ==, 400);
        g_assert_cmpint(feed(&parser, in_value, sizeof(in_value) - 1, 1), ==, 400);
        g_assert_cmpint(feed(&parser, in_known, sizeof(in_known) - 1, 1), ==, 400);
}

static char *repeated(const char *before, const char *middle, size_t n, const char *after) {
        GString *text = g_string_new(before);

        while (n-- > 0)
                g_string_append(text, middle);
        g_string_append(text, after);
        return g_string_free(text, FALSE);
}

/* The outcome of a request that is @before, n times @middle, @after; however it is cut. */
static int outcome_of(const char *before, const char *middle, size_t n, const char *after) {
        g_autofree char *text = repeated(before, middle, n, after);
        size_t length = strlen(text);
        HttpParser parser;
        int whole = feed(&parser, text, length, SIZE_MAX);

        g_assert_cmpint(feed(&parser, text, length, 1), ==, whole);
        g_assert_cmpint(feed(&parser, text, length, 0), ==, whole);
        return whole;
}

static void test_limits(void) {
        const char *end = " HTTP/1.1\r\n" H "\r\n";

        g_assert_cmpint(outcome_of("GET /", "a", HTTP_TARGET_MAX - 1, end), ==, 0);
        g_assert_cmpint(outcome_of("GET /", "a", HTTP_TARGET_MAX, end), ==, 414);
        g_assert_cmpint(outcome_of("GET /?", "a", HTTP_TARGET_MAX - 1, end), ==, 414);
        g_assert_cmpint(outcome_of("GET /", "a", 100000, ""), ==, 414);
        g_assert_cmpint(outcome_of("GET http://", "a", HTTP_TARGET_MAX, end), ==, 414);
        g_assert_cmpint(outcome_of("", "A", HTTP_REQUEST_LINE_MAX + 1, ""), ==, 414);
        g_assert_cmpint(outcome_of("", "A", HTTP_REQUEST_LINE_MAX, ""), ==, -EAGAIN);

        g_assert_cmpint(outcome_of(GET H, "X: y\r\n", HTTP_FIELD_LINES_MAX - 1, "\r\n"), ==, 0);
        g_assert_cmpint(outcome_of(GET H, "X: y\r\n", HTTP_FIELD_LINES_MAX, "\r\n"), ==, 431);

        size_t room = HTTP_FIELDS_MAX - strlen(H "X: \r\n\r\n");

        g_assert_cmpint(outcome_of(GET H "X: ", "y", room, "\r\n\r\n"), ==, 0);
        g_assert_cmpint(outcome_of(GET H "X: ", "y", room + 1, "\r\n\r\n"), ==, 431);
        g_assert_cmpint(outcome_of(GET H "X: ", "y", 100000, ""), ==, 431);
        g_assert_cmpint(outcome_of(GET H, "y", 100000, ""), ==, 431);
}

/* Damaged at random: what is answered must still be a plain request without a body. */
static void test_damage(void) {
        static const char *const seeds[] = {
                "GET /livez?verbose HTTP/1.1\r\n" H
                "Content-Length: 0\r\nConnection: close\r\n\r\n",
                "HEAD http://a:1/x HTTP/1.0\r\nConnection: keep-alive\r\nAccept: a/b\r\n\r\n",
        };

        for (unsigned k = 0; k < 200000; k++) {
                g_autofree char *text = g_strdup(seeds[k % 2]);
                size_t n = strlen(text);
                HttpParser parser = {};

                for (int d = g_test_rand_int_range(1, 4); d > 0; d--)
                        text[g_test_rand_int_range(0, (int)n)] =
                                (char)(g_test_rand_bit()
                                               ? g_test_rand_int_range(0, 256)
                                               : "\r\n :,/?%\t0"[g_test_rand_int_range(0, 10)]);

                int r = http_parser_feed(&parser, text, n);

                g_assert_true(r == -EAGAIN || r == 0 || (r >= 400 && r <= 505));
                if (r != 0)
                        continue;

                g_assert_cmpuint(parser.length, <=, n);
                g_assert_cmpint(parser.method, <=, HTTP_METHOD_HEAD);
                g_assert_cmpmem(text + parser.length - 4, 4, "\r\n\r\n", 4);
                g_assert_null(memchr(text, '\0', parser.length));
                g_assert_false(parser.seen & (HTTP_SEEN_BODY | HTTP_SEEN_TRANSFER_ENCODING));
                g_assert_true(parser.path.length == 0 || text[parser.path.start] == '/');
        }
}

#define ALPHA "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGIT "0123456789"
#define PCHAR                                                                                      \
        ALPHA DIGIT "-._~"                                                                         \
                    "!$&'()*+,;="                                                                  \
                    ":@"

static void assert_class(unsigned class, const char *members) {
        for (int c = 1; c < 128; c++)
                g_assert_true(http_char_is((char)c, class) == (strchr(members, c) != NULL));

        g_assert_false(http_char_is('\0', class));
        for (int c = 128; c < 256; c++)
                g_assert_true(http_char_is((char)c, class) == (class == HTTP_CHAR_FIELD));
}

/* The table against the rules it was made from. */
static void test_chars(void) {
        char field[128] = "\t";

        for (int c = 32; c < 127; c++)
                field[c - 31] = (char)c;

        assert_class(HTTP_CHAR_TOKEN, ALPHA DIGIT "!#$%&'*+-.^_`|~");
        assert_class(HTTP_CHAR_FIELD, field);
        assert_class(HTTP_CHAR_PATH, PCHAR "/");
        assert_class(HTTP_CHAR_QUERY, PCHAR "/?");
        assert_class(HTTP_CHAR_AUTHORITY, ALPHA DIGIT "-._~!$&'()*+,;=:[]");
        assert_class(HTTP_CHAR_HEX, DIGIT "abcdefABCDEF");
        assert_class(HTTP_CHAR_BLANK, " \t");
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);

        g_test_add_func("/report/http-parse/answers-what-it-must-and-finds-all-in-it", test_good);
        g_test_add_func("/report/http-parse/refuses-what-it-must", test_bad);
        g_test_add_func("/report/http-parse/refuses-nul-anywhere", test_nul);
        g_test_add_func("/report/http-parse/limits-hold-to-the-byte", test_limits);
        g_test_add_func("/report/http-parse/damage-never-gets-through", test_damage);
        g_test_add_func("/report/http-parse/characters-are-those-of-the-rfcs", test_chars);

        return g_test_run();
}
