/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * HTTP Server: talking
 *
 * What a client gets, over TCP and a local socket: whole replies, in the order of
 * its requests, however the bytes were cut on either way, and after a refusal the
 * refusal itself and not a reset.
 */

#include "http-fixture.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define ASK(fixture, fd, path, status) client_ask(fixture, fd, GET(path), status)

static const int families[] = { AF_INET, AF_UNIX };

static void test_answers(void) {
        Fixture fixture;

        fixture_init(&fixture, NULL);

        for (size_t i = 0; i < ELEMENTSOF(families); i++) {
                int fd = client_open(&fixture, families[i]);
                g_autofree char *reply = NULL, *head = NULL;

                client_say(&fixture, fd, "GET /a?b HTTP/1.1\r\nHost: a\r\nAccept: c/d\r\n\r\n");
                reply = client_hear(&fixture, fd, false);
                g_assert_true(g_str_has_suffix(reply, "\r\n\r\nGET /a?b c/d local\n"));
                g_assert_null(strstr(reply, "Connection:"));

                client_say(&fixture, fd, "HEAD /a?b HTTP/1.1\r\nHost: a\r\n\r\n");
                head = client_hear(&fixture, fd, true);
                g_assert_true(is_reply(head, 200));

                ASK(&fixture, fd, "/missing", 404);
                ASK(&fixture, fd, "/no-memory", 503);
                ASK(&fixture, fd, "/broken", 500);
                ASK(&fixture, fd, "http://example.org", 200);
                (void)close(fd);
        }

        while (waiting(&fixture, counters(&fixture)->n_connections == 0))
                ;
        g_assert_cmpuint(counters(&fixture)->n_requests, ==, 12);
        g_assert_cmpuint(counters(&fixture)->n_status[2], ==, 6);
        g_assert_cmpuint(counters(&fixture)->n_status[4], ==, 2);
        g_assert_cmpuint(counters(&fixture)->n_status[5], ==, 4);
        g_assert_cmpuint(counters(&fixture)->n_bad, ==, 0);
        fixture_done(&fixture);
}

static void test_closes(void) {
        static const char *const requests[] = {
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                "GET / HTTP/1.0\r\n\r\n",
                "GET / HTTP/1.0\r\nConnection: close\r\n\r\n",
        };
        Fixture fixture;

        fixture_init(&fixture, NULL);

        for (size_t i = 0; i < ELEMENTSOF(requests) * 2; i++) {
                int fd = client_open(&fixture, families[i % 2]);
                g_autofree char *reply = NULL;

                client_say(&fixture, fd, requests[i / 2]);
                reply = client_hear_all(&fixture, fd);
                g_assert_true(is_reply(reply, 200));
                g_assert_nonnull(strstr(reply, "\r\nConnection: close\r\n"));
                g_assert_true(g_str_has_suffix(reply, "GET /?  local\n"));
                (void)close(fd);
        }

        fixture_done(&fixture);
}

static void test_old_keep_alive(void) {
        Fixture fixture;

        fixture_init(&fixture, NULL);
        int fd = client_open(&fixture, AF_INET);

        for (unsigned i = 0; i < 3; i++) {
                g_autofree char *reply = NULL;

                client_say(&fixture, fd, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
                reply = client_hear(&fixture, fd, false);
                g_assert_nonnull(strstr(reply, "\r\nConnection: keep-alive\r\n"));
        }

        (void)close(fd);
        fixture_done(&fixture);
}

/* @n requests in one text, the last of which closes, and the bodies to be heard in answer. */
static void make_pipeline(unsigned n, GString *requests, GString *bodies) {
        for (unsigned i = 0; i < n; i++) {
                g_string_append_printf(requests, "GET /%u HTTP/1.1\r\nHost: a\r\n%s\r\n", i,
                                       i == n - 1 ? "Connection: close\r\n" : "");
                g_string_append_printf(bodies, "GET /%u?  local\n", i);
        }
}

/* The bodies of many replies, one after the other. */
static char *bodies_of(const char *replies) {
        GString *bodies = g_string_new(NULL);
        const char *end;

        for (; (end = strstr(replies, "\r\n\r\n")); replies = strchr(end + 4, '\n') + 1) {
                g_assert_true(is_reply(replies, 200));
                g_string_append_len(bodies, end + 4, strchr(end + 4, '\n') + 1 - (end + 4));
        }
        g_assert_cmpstr(replies, ==, "");

        return g_string_free(bodies, FALSE);
}

static void test_pipeline(void) {
        static const unsigned lengths[] = { 1, 2, 31, 32, 33, 64, 65, 1000, 3000 };
        Fixture fixture;

        fixture_init(&fixture, NULL);

        for (size_t i = 0; i < ELEMENTSOF(lengths) * 2; i++) {
                g_autoptr(GString) requests = g_string_new(NULL), expected = g_string_new(NULL);
                int fd = client_open(&fixture, families[i % 2]);
                g_autofree char *replies = NULL, *bodies = NULL;

                make_pipeline(lengths[i / 2], requests, expected);
                client_say(&fixture, fd, requests->str);
                replies = client_hear_all(&fixture, fd);
                bodies = bodies_of(replies);
                g_assert_cmpstr(bodies, ==, expected->str);
                (void)close(fd);
        }

        fixture_done(&fixture);
}

/* The same cut at random places, with a turn of the loop at each. */
static void test_cut(void) {
        Fixture fixture;

        fixture_init(&fixture, NULL);

        for (unsigned k = 0; k < 40; k++) {
                g_autoptr(GString) requests = g_string_new(NULL), expected = g_string_new(NULL);
                int fd = client_open(&fixture, families[k % 2]);
                g_autofree char *replies = NULL, *bodies = NULL;

                make_pipeline(10, requests, expected);
                for (size_t at = 0; at < requests->len;) {
                        size_t step = k < 2 ? 1 : (size_t)g_test_rand_int_range(1, 60);
                        g_autofree char *part = g_strndup(requests->str + at, step);

                        client_say(&fixture, fd, part);
                        settle(&fixture);
                        at += step;
                }
                replies = client_hear_all(&fixture, fd);
                bodies = bodies_of(replies);
                g_assert_cmpstr(bodies, ==, expected->str);
                (void)close(fd);
        }

        fixture_done(&fixture);
}

/* Bytes after the request that was refused, more than fit into any socket, must not cost the
 * client its answer. */
static void test_refusals(void) {
        static const struct {
                const char *request;
                unsigned status;
        } rows[] = {
                { "\x16\x03\x01", 400 },
                { "GET / HTTP/1.1\r\n\r\n", 400 },
                { "DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", 405 },
                { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", 413 },
                { "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501 },
                { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505 },
        };
        g_autofree char *body = g_strnfill(100000, 'b');
        Fixture fixture;

        fixture_init(&fixture, NULL);

        for (size_t i = 0; i < ELEMENTSOF(rows) * 2; i++) {
                int fd = client_open(&fixture, families[i % 2]);
                g_autofree char *reply = NULL;

                client_say(&fixture, fd, GET("/first"));
                client_say(&fixture, fd, rows[i / 2].request);
                client_say(&fixture, fd, body);
                reply = client_hear_all(&fixture, fd);

                const char *second = strstr(reply, "local\n");
                g_assert_nonnull(second);
                g_assert_true(is_reply(second + 6, rows[i / 2].status));
                g_assert_nonnull(strstr(second, "\r\nConnection: close\r\n"));
                (void)close(fd);
        }

        g_assert_cmpuint(counters(&fixture)->n_bad, ==, ELEMENTSOF(rows) * 2);
        while (waiting(&fixture, counters(&fixture)->n_connections == 0))
                ;
        fixture_done(&fixture);
}

/* A refused HEAD has no body either. */
static void test_refused_head(void) {
        Fixture fixture;

        fixture_init(&fixture, NULL);
        int fd = client_open(&fixture, AF_INET);

        client_say(&fixture, fd, "HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n");
        g_autofree char *reply = client_hear_all(&fixture, fd);
        g_assert_true(is_reply(reply, 413));
        g_assert_true(g_str_has_suffix(reply, "\r\n\r\n"));

        (void)close(fd);
        fixture_done(&fixture);
}

/* A client that has nothing more to say can still listen. */
static void test_half_closed(void) {
        Fixture fixture;

        fixture_init(&fixture, NULL);

        for (size_t i = 0; i < ELEMENTSOF(families) * 2; i++) {
                int fd = client_open(&fixture, families[i % 2]);
                g_autofree char *reply = NULL;

                if (i >= 2) /* accepted before it says anything */
                        settle(&fixture);
                g_assert_cmpint(send(fd, GET("/x"), strlen(GET("/x")), 0), >, 0);
                g_assert_cmpint(shutdown(fd, SHUT_WR), ==, 0);
                reply = client_hear_all(&fixture, fd);
                g_assert_true(g_str_has_suffix(reply, "GET /x?  local\n"));
                (void)close(fd);
        }

        fixture_done(&fixture);
}

/* Documents that no socket takes at once, more of them than one turn answers, to one who reads
 * little by little; others are served in the meantime. */
static void test_slow_reader(void) {
        enum {
                REQUESTS = 40
        };
        Fixture fixture;

        fixture_init(&fixture, NULL);

        for (size_t i = 0; i < ELEMENTSOF(families); i++) {
                int slow = client_open(&fixture, families[i]);
                int other = client_open(&fixture, families[i]);
                size_t total = 0, n_turns = 0;
                ssize_t n = -1;
                static char buffer[150000];

                for (unsigned k = 0; k < REQUESTS; k++)
                        client_say(&fixture, slow, GET("/big"));
                client_say(&fixture, slow, "GET / HTTP/1.0\r\n\r\n");
                settle(&fixture);

                while (waiting(&fixture, n == 0)) {
                        n = recv(slow, buffer, sizeof(buffer), 0);
                        if (n > 0)
                                total += (size_t)n;
                        if (n_turns++ % 64 == 0)
                                ASK(&fixture, other, "/", 200);
                }
                g_assert_cmpuint(total, >, (size_t)REQUESTS * BIG_LENGTH);
                g_assert_cmpuint(total, <, (size_t)REQUESTS * BIG_LENGTH + 20000);
                g_assert_nonnull(memmem(buffer, sizeof(buffer), "GET /?  local\n", 14));
                (void)close(slow);
                (void)close(other);
        }

        fixture_done(&fixture);
}

/* Clients that come, ask and go while another is in the middle of something. */
static void test_many_short(void) {
        enum {
                CLIENTS = 10000
        };
        Fixture fixture;

        fixture_init(&fixture, NULL);

        int idle = client_open(&fixture, AF_UNIX);
        ASK(&fixture, idle, "/", 200);
        int first = client_socket(AF_INET);
        (void)close(first);

        for (unsigned i = 0; i < CLIENTS; i++) {
                int fd = client_open(&fixture, families[i % 2]);
                g_autofree char *reply = NULL;

                client_say(&fixture, fd, "GET / HTTP/1.0\r\n\r\n");
                reply = client_hear_all(&fixture, fd);
                g_assert_true(is_reply(reply, 200));
                (void)close(fd);
        }

        ASK(&fixture, idle, "/", 200);
        g_assert_cmpuint(counters(&fixture)->n_accepted, ==, CLIENTS + 1);
        g_assert_cmpuint(counters(&fixture)->n_connections, ==, 1);
        g_assert_cmpuint(counters(&fixture)->n_connections_max, <=, 3);

        /* No descriptor was left behind. */
        int last = client_socket(AF_INET);
        g_assert_cmpint(last, ==, first);
        (void)close(last);
        (void)close(idle);
        fixture_done(&fixture);
}

/* Gone in the middle of everything. */
static void test_vanishing(void) {
        static const char *const texts[] = { "", "GET", GET("/"), GET("/big") GET("/big"), "x\n" };
        Fixture fixture;

        fixture_init(&fixture, NULL);

        for (unsigned i = 0; i < 500; i++) {
                int fd = client_open(&fixture, families[g_test_rand_int_range(0, 2)]);
                bool reset = g_test_rand_bit();

                client_say(&fixture, fd, texts[g_test_rand_int_range(0, ELEMENTSOF(texts))]);
                if (g_test_rand_bit())
                        settle(&fixture);
                if (reset)
                        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER,
                                         &(struct linger){ .l_onoff = 1 }, sizeof(struct linger));
                (void)close(fd);
        }

        while (waiting(&fixture, counters(&fixture)->n_connections == 0))
                ;
        fixture_done(&fixture);
}

static void test_adopted(void) {
        Fixture fixture;
        int fds[2];

        fixture_init(&fixture, NULL);
        g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
        g_assert_cmpint(fcntl(fds[1], F_SETFL, O_NONBLOCK), ==, 0);

        g_assert_cmpint(http_server_add_connection(&fixture.server, fds[0]), ==, 0);
        ASK(&fixture, fds[1], "/", 200);

        g_assert_cmpint(http_server_add_connection(&fixture.server, fixture.tcp), ==, -ENOTCONN);
        (void)close(fds[1]);
        fixture_done(&fixture);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);

        g_test_add_func("/report/http-server/answers", test_answers);
        g_test_add_func("/report/http-server/closes-when-it-must", test_closes);
        g_test_add_func("/report/http-server/keeps-alive-as-of-old", test_old_keep_alive);
        g_test_add_func("/report/http-server/pipeline-in-order", test_pipeline);
        g_test_add_func("/report/http-server/cut-anywhere", test_cut);
        g_test_add_func("/report/http-server/refusals-are-heard", test_refusals);
        g_test_add_func("/report/http-server/refused-head-has-no-body", test_refused_head);
        g_test_add_func("/report/http-server/half-closed-is-answered", test_half_closed);
        g_test_add_func("/report/http-server/slow-reader-gets-all", test_slow_reader);
        g_test_add_func("/report/http-server/ten-thousand-come-and-go", test_many_short);
        g_test_add_func("/report/http-server/clients-vanish", test_vanishing);
        g_test_add_func("/report/http-server/adopts-a-connection", test_adopted);

        return g_test_run();
}
