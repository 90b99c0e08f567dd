/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * HTTP
 *
 * The first byte says how the rest is cut: 0 not at all, else in pieces of that
 * many bytes. The parser must come to the same end however it is cut; then a
 * server is told the same over a connection, and must neither crash, nor leave
 * anything behind, nor answer with anything that does not begin as a reply.
 */

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "base/macro.h"
#include "report/http-query.h"
#include "report/http-server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
        do {                                                                                       \
                if (!(condition))                                                                  \
                        abort();                                                                   \
        } while (0)

static sd_event *event;
static HttpServer server;

/* Uses all that a request has to offer. */
static int answer(const HttpRequest *request, HttpDocument **ret, void *userdata) {
        static const char *const offers[] = { "text/plain;version=0.0.4", "application/json" };
        HttpSlice path = request->path, query = request->query, key, value;
        char name[64];
        size_t n = 0;

        (void)userdata;

        CHECK(request->method == HTTP_METHOD_GET || request->method == HTTP_METHOD_HEAD);
        CHECK(path.length > 0 && path.data[0] == '/');
        CHECK(!memchr(path.data, '\0', path.length));

        while (http_path_next(&path, &key))
                if (http_unescape(key, false, name, sizeof(name)) >= 0)
                        n += strlen(name);
        while (http_query_next(&query, &key, &value))
                if (value.data && http_unescape(value, true, name, sizeof(name)) >= 0)
                        n += strlen(name);
        n += http_accept_choose(request->accept, offers, ELEMENTSOF(offers));

        if (n > 100)
                return -ENOENT;
        return http_document_new(ret, 200, "text/plain", NULL, name, MIN(n, sizeof(name)));
}

static void start(void) {
        if (event)
                return;

        CHECK(sd_event_new(&event) >= 0);
        CHECK(http_server_init(&server, event, NULL, answer, NULL) >= 0);
        CHECK(http_server_start(&server, 0) >= 0);
}

static int parse(HttpParser *parser, const char *data, size_t size, size_t step) {
        size_t have = MIN(step, size);
        int r;

        while ((r = http_parser_feed(parser, data, have)) == -EAGAIN && have < size)
                have = MIN(have + step, size);

        return r;
}

static void fuzz_parser(const char *data, size_t size, size_t step) {
        HttpParser whole = {}, cut = {};
        int r = parse(&whole, data, size, size);

        CHECK(parse(&cut, data, size, step) == r);
        if (r == 0) {
                CHECK(memcmp(&whole, &cut, sizeof(whole)) == 0);
                CHECK(whole.length <= size && whole.method <= HTTP_METHOD_HEAD);
        }
}

/* Turns the loop until nothing happens, and takes the replies. */
static void turn(int fd, bool *first) {
        static char buffer[65536];
        ssize_t n;

        do {
                while (sd_event_run(event, 0) > 0)
                        ;
                n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
                if (n > 0 && *first) {
                        CHECK(n >= 9 && memcmp(buffer, "HTTP/1.1 ", 9) == 0);
                        *first = false;
                }
        } while (n > 0);
}

static void fuzz_connection(const char *data, size_t size, size_t step) {
        bool first = true;
        int fds[2];

        CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) >= 0);
        CHECK(http_server_add_connection(&server, fds[0]) >= 0);

        for (size_t at = 0; at < size; at += step) {
                if (send(fds[1], data + at, MIN(step, size - at), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                        break;
                turn(fds[1], &first);
        }

        (void)shutdown(fds[1], SHUT_WR);
        turn(fds[1], &first);
        (void)close(fds[1]);
        turn(-1, &first);
        CHECK(server.counters.n_connections == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        size_t step;

        if (size < 2 || size > 65536)
                return 0;

        start();
        step = data[0] > 0 ? data[0] : size;
        fuzz_parser((const char *)data + 1, size - 1, step);
        fuzz_connection((const char *)data + 1, size - 1, step);
        return 0;
}
