/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * HTTP Fixture: a server in this very process, and its clients
 *
 * Server and clients share one thread: a client writes what it has to say, and
 * then the loop is turned until what must come has come. Nothing sleeps, and
 * nothing waits for longer than PATIENCE_USEC.
 *
 * The server listens on a local socket that it has bound itself and on a TCP
 * socket that it is handed, as from systemd, of which the test keeps a copy.
 */

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/macro.h"
#include "report/http-server.h"

#define PATIENCE_USEC (20 * USEC_PER_SEC)
#define BIG_LENGTH 1000000

typedef struct Fixture {
        sd_event *event;
        HttpServer server;
        HttpDocument *big;
        char *folder, *path;
        int tcp; /* our copy of the listening socket */
        struct sockaddr_in tcp_address;
        uint64_t until_usec;
        unsigned n_drained;
} Fixture;

/* Says what was asked: METHOD path?query accept. */
static inline int fixture_answer(const HttpRequest *request, HttpDocument **ret, void *userdata) {
        Fixture *fixture = userdata;
        g_autofree char *body = NULL;

        if (http_slice_equal(request->path, "/missing"))
                return -ENOENT;
        if (http_slice_equal(request->path, "/no-memory"))
                return -ENOMEM;
        if (http_slice_equal(request->path, "/broken"))
                return -EIO;
        if (http_slice_equal(request->path, "/big")) {
                *ret = http_document_ref(fixture->big);
                return 0;
        }

        body = g_strdup_printf("%s %.*s?%.*s %.*s %s\n",
                               request->method == HTTP_METHOD_HEAD ? "HEAD" : "GET",
                               (int)request->path.length, request->path.data,
                               (int)request->query.length,
                               request->query.data ? request->query.data : "",
                               (int)request->accept.length,
                               request->accept.data ? request->accept.data : "",
                               request->local ? "local" : "remote");
        return http_document_new(ret, 200, "text/plain", NULL, body, strlen(body));
}

static inline void fixture_init(Fixture *fixture, const HttpLimits *limits) {
        socklen_t length = sizeof(fixture->tcp_address);
        g_autofree char *big = g_strnfill(BIG_LENGTH, 'x');
        int handed;

        *fixture = (Fixture){
                .folder = g_dir_make_tmp("hale-http-XXXXXX", NULL),
                .tcp_address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } },
        };
        fixture->path = g_build_filename(fixture->folder, "x.http", NULL);

        g_assert_cmpint(sd_event_new(&fixture->event), >=, 0);
        g_assert_cmpint(http_server_init(&fixture->server, fixture->event, limits, fixture_answer,
                                         fixture),
                        ==, 0);
        g_assert_cmpint(http_document_new(&fixture->big, 200, "text/plain", NULL, big, BIG_LENGTH),
                        ==, 0);

        fixture->tcp = socket(AF_INET, SOCK_STREAM, 0);
        g_assert_cmpint(bind(fixture->tcp, (struct sockaddr *)&fixture->tcp_address, length), ==,
                        0);
        g_assert_cmpint(listen(fixture->tcp, 1024), ==, 0);
        g_assert_cmpint(getsockname(fixture->tcp, (struct sockaddr *)&fixture->tcp_address,
                                    &length),
                        ==, 0);
        handed = dup(fixture->tcp);
        g_assert_cmpint(http_server_add_listener(&fixture->server, handed), ==, 0);
        g_assert_cmpint(http_server_listen(&fixture->server, fixture->path), ==, 0);
        g_assert_cmpint(http_server_start(&fixture->server, 0), ==, 0);
}

static inline void fixture_done(Fixture *fixture) {
        http_server_done(&fixture->server);
        http_document_unref(fixture->big);
        sd_event_unref(fixture->event);
        (void)close(fixture->tcp);

        /* It has removed its socket, or the folder could not go. */
        g_assert_cmpint(g_rmdir(fixture->folder), ==, 0);
        g_free(fixture->folder);
        g_free(fixture->path);
}

static inline const HttpCounters *counters(const Fixture *fixture) {
        return http_server_get_counters(&fixture->server);
}

/* A condition that must come true: while (waiting(fixture, condition)) one turn of the loop. */
static inline bool waiting(Fixture *fixture, bool come) {
        uint64_t now = clock_now_usec(CLOCK_MONOTONIC);

        if (come) {
                fixture->until_usec = 0;
                return false;
        }
        if (fixture->until_usec == 0)
                fixture->until_usec = now + PATIENCE_USEC;
        g_assert_cmpuint(now, <, fixture->until_usec);

        g_assert_cmpint(sd_event_run(fixture->event, 2 * USEC_PER_MSEC), >=, 0);
        return true;
}

/* Turns the loop until it has nothing to do. */
static inline void settle(Fixture *fixture) {
        while (sd_event_run(fixture->event, 0) > 0)
                ;
}

static inline int client_socket(int family) {
        int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

        g_assert_cmpint(fd, >=, 0);
        return fd;
}

static inline void client_connect(const Fixture *fixture, int fd, int family) {
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        int r;

        g_strlcpy(un.sun_path, fixture->path, sizeof(un.sun_path));
        if (family == AF_UNIX)
                r = connect(fd, (struct sockaddr *)&un, sizeof(un));
        else
                r = connect(fd, (const struct sockaddr *)&fixture->tcp_address,
                            sizeof(fixture->tcp_address));
        g_assert_cmpint(r, ==, 0);
        g_assert_cmpint(fcntl(fd, F_SETFL, O_NONBLOCK), ==, 0);
}

static inline int client_open(const Fixture *fixture, int family) {
        int fd = client_socket(family);

        client_connect(fixture, fd, family);
        return fd;
}

/* Says all of it, while the server listens. */
static inline void client_say(Fixture *fixture, int fd, const char *text) {
        size_t length = strlen(text);

        do {
                ssize_t n = send(fd, text, length, MSG_NOSIGNAL);

                if (n > 0) {
                        text += n;
                        length -= (size_t)n;
                }
        } while (length > 0 && waiting(fixture, false));

        fixture->until_usec = 0;
}

/* Takes what is there. Returns false at the end, which must be an orderly one. */
static inline bool client_take(int fd, GString *got) {
        char buffer[65536];
        ssize_t n;

        while ((n = recv(fd, buffer, sizeof(buffer), 0)) > 0)
                g_string_append_len(got, buffer, n);
        if (n < 0)
                g_assert_cmpint(errno, ==, EAGAIN);

        return n != 0;
}

/* Everything up to the end. */
static inline char *client_hear_all(Fixture *fixture, int fd) {
        GString *got = g_string_new(NULL);
        bool open = true;

        while (waiting(fixture, !open))
                open = client_take(fd, got);

        return g_string_free(got, FALSE);
}

/* Exactly one reply; @head: without a body. */
static inline char *client_hear(Fixture *fixture, int fd, bool head) {
        GString *got = g_string_new(NULL);
        const char *end = NULL;
        size_t need = SIZE_MAX;

        while (waiting(fixture, got->len >= need)) {
                bool open = client_take(fd, got);

                end = strstr(got->str, "\r\n\r\n");
                if (end) {
                        const char *length = strstr(got->str, "Content-Length: ");

                        g_assert_nonnull(length);
                        need = (size_t)(end + 4 - got->str);
                        if (!head)
                                need += (size_t)g_ascii_strtoull(length + 16, NULL, 10);
                }
                g_assert_true(open || got->len >= need);
        }
        g_assert_cmpuint(got->len, ==, need);

        return g_string_free(got, FALSE);
}

static inline bool is_reply(const char *reply, unsigned status) {
        g_autofree char *start = g_strdup_printf("HTTP/1.1 %u ", status);

        return g_str_has_prefix(reply, start);
}

/* Asks, and is answered @status; the connection stays. */
static inline void client_ask(Fixture *fixture, int fd, const char *request, unsigned status) {
        g_autofree char *reply = NULL;

        client_say(fixture, fd, request);
        reply = client_hear(fixture, fd, g_str_has_prefix(request, "HEAD"));
        g_test_message("%s", reply);
        g_assert_true(is_reply(reply, status));
}

/* The server hangs up without another word. */
static inline void client_hear_nothing(Fixture *fixture, int fd) {
        g_autofree char *rest = client_hear_all(fixture, fd);

        g_assert_cmpstr(rest, ==, "");
}
