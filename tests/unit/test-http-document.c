/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * HTTP Document and Output
 *
 * A document is one reply in one piece, for every kind of connection; nobody can
 * write lines of his own into its head; its Date changes only while nobody reads
 * it. An output brings replies to the other side whole and in order, however
 * little the socket takes at a time.
 */

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/macro.h"
#include "report/http-document.h"
#include "report/http-output.h"

#define COMMON                                                                                     \
        "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"                                                  \
        "Content-Type: text/plain\r\n"                                                             \
        "Content-Length: 2\r\n"                                                                    \
        "Cache-Control: no-store\r\n"                                                              \
        "X-Content-Type-Options: nosniff\r\n"                                                      \
        "Retry-After: 5\r\n"                                                                       \
        "\r\n"

static char *document_show(const HttpDocument *document, HttpReplyKind kind, bool head) {
        struct iovec parts[HTTP_REPLY_PARTS_MAX];
        unsigned n = http_document_parts(document, kind, head, parts);
        GString *shown = g_string_new(NULL);

        for (unsigned i = 0; i < n; i++)
                g_string_append_len(shown, parts[i].iov_base, (gssize)parts[i].iov_len);

        return g_string_free(shown, FALSE);
}

static HttpDocument *document_make(const char *body, size_t n) {
        HttpDocument *document = NULL;

        g_assert_cmpint(http_document_new(&document, 503, "text/plain", "Retry-After: 5\r\n", body,
                                          n),
                        ==, 0);
        return document;
}

static void test_bytes(void) {
        _cleanup_(http_document_unrefp) HttpDocument *document = document_make("no", 2);
        static const struct {
                HttpReplyKind kind;
                bool head;
                const char *bytes;
        } rows[] = {
                { HTTP_REPLY_PLAIN, false, "HTTP/1.1 503 Service Unavailable\r\n" COMMON "no" },
                { HTTP_REPLY_PLAIN, true, "HTTP/1.1 503 Service Unavailable\r\n" COMMON },
                { HTTP_REPLY_KEEP_ALIVE, false,
                  "HTTP/1.1 503 Service Unavailable\r\nConnection: keep-alive\r\n" COMMON "no" },
                { HTTP_REPLY_CLOSE, false,
                  "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n" COMMON "no" },
                { HTTP_REPLY_CLOSE, true,
                  "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n" COMMON },
        };
        size_t n;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                g_autofree char *shown = document_show(document, rows[i].kind, rows[i].head);

                g_assert_cmpstr(shown, ==, rows[i].bytes);
        }

        g_assert_cmpuint(http_document_status(document), ==, 503);
        const char *body = http_document_body(document, &n);
        g_assert_cmpmem(body, (int)n, "no", 2);
}

static void test_empty(void) {
        _cleanup_(http_document_unrefp) HttpDocument *document = NULL;

        g_assert_cmpint(http_document_new(&document, 200, NULL, NULL, NULL, 0), ==, 0);

        g_autofree char *shown = document_show(document, HTTP_REPLY_PLAIN, false);
        g_assert_true(g_str_has_suffix(shown, "nosniff\r\n\r\n"));
        g_assert_nonnull(strstr(shown, "Content-Length: 0\r\n"));
        g_assert_null(strstr(shown, "\r\nContent-Type:"));
}

static void test_invalid(void) {
        static const char *const fields[] = {
                "X",       "X: y", "X: y\n",       "X y\r\n",     " X: y\r\n",     "X : y\r\n",
                ": y\r\n", "\r\n", "X: y\r\n\r\n", "X: y\rz\r\n", "X: y\r\nz\r\n", "X: \x01\r\n",
        };
        HttpDocument *document = NULL;

        for (size_t i = 0; i < ELEMENTSOF(fields); i++)
                g_assert_cmpint(http_document_new(&document, 200, NULL, fields[i], NULL, 0), ==,
                                -EINVAL);

        g_assert_cmpint(http_document_new(&document, 200, "a/b\r\nX: y", NULL, NULL, 0), ==,
                        -EINVAL);
        g_assert_cmpint(http_document_new(&document, 200, NULL, NULL, "", HTTP_DOCUMENT_MAX + 1),
                        ==, -E2BIG);
        g_assert_null(document);
}

static void assert_date(const HttpDocument *document, const char *date) {
        g_autofree char *shown = document_show(document, HTTP_REPLY_PLAIN, true);
        g_autofree char *line = g_strdup_printf("\r\nDate: %s\r\n", date);

        g_assert_nonnull(strstr(shown, line));
}

static void test_date(void) {
        _cleanup_(http_document_unrefp) HttpDocument *document = document_make("no", 2);
        HttpDate date = {};

        http_document_touch(document, &date);
        assert_date(document, "Thu, 01 Jan 1970 00:00:00 GMT");

        http_date_update(&date, 784111777 * USEC_PER_SEC + 999999);
        http_document_touch(document, &date);
        assert_date(document, "Sun, 06 Nov 1994 08:49:37 GMT");

        http_document_hold(document);
        http_date_update(&date, UINT64_C(951782400) * USEC_PER_SEC);
        http_document_touch(document, &date);
        assert_date(document, "Sun, 06 Nov 1994 08:49:37 GMT");

        http_document_release(document);
        http_document_touch(document, &date);
        assert_date(document, "Tue, 29 Feb 2000 00:00:00 GMT");

        /* A clock gone mad keeps the last date that can be written. */
        http_date_update(&date, UINT64_MAX);
        g_assert_cmpstr(date.text, ==, "Tue, 29 Feb 2000 00:00:00 GMT");
}

static void test_statuses(void) {
        static const unsigned statuses[] = {
                400, 404, 405, 408, 413, 414, 417, 431, 500, 501, 503, 505,
        };

        for (size_t i = 0; i < ELEMENTSOF(statuses); i++) {
                _cleanup_(http_document_unrefp) HttpDocument *document = NULL;

                g_assert_cmpint(http_document_new_status(&document, statuses[i]), ==, 0);

                g_autofree char *shown = document_show(document, HTTP_REPLY_PLAIN, false);
                g_assert_cmpstr(http_status_reason(statuses[i]), !=, "Unknown");
                g_assert_true(g_str_has_suffix(shown, "\n"));
                g_assert_true((strstr(shown, "\r\nAllow: GET, HEAD\r\n") != NULL) ==
                              (statuses[i] == 405));
        }
        g_assert_cmpstr(http_status_reason(299), ==, "Unknown");
}

/* Reads some of what is there. */
static void take(int fd, GString *got) {
        char buffer[8192];
        ssize_t n = read(fd, buffer, (size_t)g_test_rand_int_range(1, sizeof(buffer)));

        if (n > 0)
                g_string_append_len(got, buffer, n);
}

/* One whole walk: replies of random kinds through a socket that takes little at a time. */
static void walk(HttpDocument *const *documents, size_t n_documents) {
        g_autoptr(GString) expected = g_string_new(NULL);
        g_autoptr(GString) got = g_string_new(NULL);
        HttpOutput output = {}, *waiting = NULL;
        int fds[2], r;

        g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), ==, 0);
        g_assert_cmpint(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &(int){ 4096 }, sizeof(int)), ==,
                        0);

        for (int i = g_test_rand_int_range(1, HTTP_BATCH_MAX + 1); i > 0; i--) {
                HttpDocument *document = documents[g_test_rand_int_range(0, (int)n_documents)];
                HttpReplyKind kind = (HttpReplyKind)g_test_rand_int_range(0, _HTTP_REPLY_KIND_MAX);
                bool head = g_test_rand_bit();
                g_autofree char *shown = document_show(document, kind, head);

                g_string_append(expected, shown);
                http_output_add(&output, http_document_ref(document), kind, head);
        }
        g_assert_true(http_output_is_full(&output) == (output.end == HTTP_BATCH_MAX));

        r = http_output_flush(&output, fds[0]);
        if (r == -EAGAIN)
                g_assert_cmpint(http_output_detach(&output, &waiting), ==, 0);
        g_assert_true(http_output_is_empty(&output));

        while (waiting && r == -EAGAIN) {
                take(fds[1], got);
                r = http_output_flush(waiting, fds[0]);
        }
        g_assert_cmpint(r, ==, 0);
        waiting = http_output_free(waiting);

        while (got->len < expected->len)
                take(fds[1], got);
        g_assert_cmpstr(got->str, ==, expected->str);

        (void)close(fds[0]);
        (void)close(fds[1]);
}

static void test_output(void) {
        g_autofree char *large = g_strnfill(50000, 'x');
        HttpDocument *documents[] = {
                document_make("no", 2),
                document_make(large, 50000),
                document_make("", 0),
        };

        for (unsigned i = 0; i < 300; i++)
                walk(documents, ELEMENTSOF(documents));

        for (size_t i = 0; i < ELEMENTSOF(documents); i++)
                http_document_unref(documents[i]);
}

static void test_lost(void) {
        g_autofree char *large = g_strnfill(1000000, 'x');
        HttpDocument *document = document_make(large, 1000000);
        HttpOutput output = {}, *waiting;
        HttpDate date = {};
        int fds[2];

        g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), ==, 0);
        http_output_add(&output, http_document_ref(document), HTTP_REPLY_CLOSE, false);
        http_output_add(&output, http_document_ref(document), HTTP_REPLY_PLAIN, true);
        g_assert_cmpint(http_output_flush(&output, fds[0]), ==, -EAGAIN);
        g_assert_cmpint(http_output_detach(&output, &waiting), ==, 0);

        (void)close(fds[1]);
        g_assert_cmpint(http_output_flush(waiting, fds[0]), ==, -EPIPE);
        http_output_free(waiting);
        (void)close(fds[0]);

        /* Nobody holds it any more: its date moves again. */
        http_date_update(&date, 784111777 * USEC_PER_SEC);
        http_document_touch(document, &date);
        assert_date(document, "Sun, 06 Nov 1994 08:49:37 GMT");
        http_document_unref(document);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);

        g_test_add_func("/report/http-document/is-the-whole-reply", test_bytes);
        g_test_add_func("/report/http-document/may-be-empty", test_empty);
        g_test_add_func("/report/http-document/takes-no-foreign-lines", test_invalid);
        g_test_add_func("/report/http-document/date-stands-still-while-read", test_date);
        g_test_add_func("/report/http-document/every-refusal-has-its-words", test_statuses);
        g_test_add_func("/report/http-output/whole-and-in-order", test_output);
        g_test_add_func("/report/http-output/lets-go-when-the-client-is-lost", test_lost);

        return g_test_run();
}
