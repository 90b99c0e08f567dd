/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * HTTP Server: limits
 *
 * Who is too slow is sent away, who waits too long makes room, and a new client is
 * served whatever the others do.
 */

#include "http-fixture.h"
#include "report/http-connection.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define ASK(fixture, fd, path, status) client_ask(fixture, fd, GET(path), status)

static HttpLimits limits_quick(void) {
        HttpLimits limits = HTTP_LIMITS_DEFAULT;

        limits.idle_usec = limits.header_usec = limits.send_usec = limits.linger_usec =
                40 * USEC_PER_MSEC;
        return limits;
}

static void test_slow_header(void) {
        HttpLimits limits = limits_quick();
        Fixture fixture;

        limits.idle_usec = HTTP_IDLE_USEC;
        fixture_init(&fixture, &limits);

        int silent = client_open(&fixture, AF_UNIX);
        int half = client_open(&fixture, AF_UNIX);
        int second = client_open(&fixture, AF_INET);

        ASK(&fixture, second, "/", 200);
        client_say(&fixture, half, "GET / HTTP/1.1\r\nHost:");
        client_say(&fixture, second, "G");

        client_hear_nothing(&fixture, silent);
        g_autofree char *reply = client_hear_all(&fixture, half);
        g_autofree char *other = client_hear_all(&fixture, second);
        g_assert_true(is_reply(reply, 408));
        g_assert_true(is_reply(other, 408));
        g_assert_cmpuint(counters(&fixture)->n_timeouts, ==, 3);

        (void)close(silent);
        (void)close(half);
        (void)close(second);
        fixture_done(&fixture);
}

/* A byte now and then buys no time. */
static void test_trickle(void) {
        HttpLimits limits = limits_quick();
        g_autoptr(GString) got = g_string_new(NULL);
        Fixture fixture;

        fixture_init(&fixture, &limits);
        int fd = client_open(&fixture, AF_UNIX);
        uint64_t start = clock_now_usec(CLOCK_MONOTONIC);

        client_say(&fixture, fd, "GET / HTTP/1.1\r\nX: ");
        while (waiting(&fixture, got->len > 0)) {
                (void)send(fd, "x", 1, MSG_NOSIGNAL);
                (void)client_take(fd, got);
        }
        g_assert_true(is_reply(got->str, 408));
        g_assert_cmpuint(clock_now_usec(CLOCK_MONOTONIC) - start, >=, limits.header_usec);

        /* Nor does it when the answer is out: the conversation is over. */
        while (waiting(&fixture, counters(&fixture)->n_connections == 0))
                (void)send(fd, "x", 1, MSG_NOSIGNAL);

        (void)close(fd);
        fixture_done(&fixture);
}

/* Whoever was refused cannot talk for ever, however fast. */
static void test_linger_bytes(void) {
        g_autofree char *noise = g_strnfill(65536, 'n');
        Fixture fixture;

        fixture_init(&fixture, NULL);
        int fd = client_open(&fixture, AF_UNIX);

        client_say(&fixture, fd, "\n");
        while (waiting(&fixture,
                       counters(&fixture)->n_connections == 0 && counters(&fixture)->n_bad == 1))
                (void)send(fd, noise, 65536, MSG_NOSIGNAL | MSG_DONTWAIT);

        (void)close(fd);
        fixture_done(&fixture);
}

static void test_idle(void) {
        HttpLimits limits = limits_quick();
        Fixture fixture;

        fixture_init(&fixture, &limits);
        int fd = client_open(&fixture, AF_INET);

        ASK(&fixture, fd, "/", 200);
        client_hear_nothing(&fixture, fd);
        g_assert_cmpuint(counters(&fixture)->n_idle, ==, 1);
        g_assert_cmpuint(counters(&fixture)->n_timeouts, ==, 0);
        g_assert_cmpuint(fixture.server.armed_usec, ==, USEC_NEVER);

        (void)close(fd);
        fixture_done(&fixture);
}

static void test_no_reader(void) {
        HttpLimits limits = limits_quick();
        Fixture fixture;

        fixture_init(&fixture, &limits);
        int fd = client_open(&fixture, AF_UNIX);

        client_say(&fixture, fd, GET("/big") GET("/big") GET("/big"));
        while (waiting(&fixture, counters(&fixture)->n_timeouts == 1 &&
                                         counters(&fixture)->n_connections == 0))
                ;

        (void)close(fd);
        fixture_done(&fixture);
}

static void test_requests(void) {
        HttpLimits limits = HTTP_LIMITS_DEFAULT;
        Fixture fixture;

        limits.requests_max = 3;
        fixture_init(&fixture, &limits);
        int fd = client_open(&fixture, AF_INET);

        ASK(&fixture, fd, "/", 200);
        ASK(&fixture, fd, "/", 200);
        client_say(&fixture, fd, GET("/"));
        g_autofree char *last = client_hear_all(&fixture, fd);
        g_assert_nonnull(strstr(last, "\r\nConnection: close\r\n"));

        (void)close(fd);
        fixture_done(&fixture);
}

static void test_eviction(void) {
        HttpLimits limits = HTTP_LIMITS_DEFAULT;
        Fixture fixture;
        int fds[5];

        limits.connections_max = 4;
        fixture_init(&fixture, &limits);

        for (unsigned i = 0; i < 4; i++) {
                fds[i] = client_open(&fixture, AF_UNIX);
                ASK(&fixture, fds[i], "/", 200);
        }
        ASK(&fixture, fds[0], "/", 200);

        /* The second has been idle for longest now. */
        fds[4] = client_open(&fixture, AF_INET);
        ASK(&fixture, fds[4], "/", 200);
        client_hear_nothing(&fixture, fds[1]);
        (void)close(fds[1]);

        ASK(&fixture, fds[0], "/", 200);
        ASK(&fixture, fds[2], "/", 200);
        ASK(&fixture, fds[3], "/", 200);
        ASK(&fixture, fds[4], "/", 200);

        /* One that does not stay costs nobody his place. */
        fds[1] = client_open(&fixture, AF_INET);
        client_say(&fixture, fds[1], "GET / HTTP/1.0\r\n\r\n");
        g_autofree char *reply = client_hear_all(&fixture, fds[1]);
        g_assert_true(is_reply(reply, 200));
        g_assert_cmpuint(counters(&fixture)->n_evicted, ==, 1);
        g_assert_cmpuint(counters(&fixture)->n_connections, ==, 4);

        for (unsigned i = 0; i < 5; i++)
                (void)close(fds[i]);
        fixture_done(&fixture);
}

/* Connections that say nothing, half of it, or do not listen, five times as many as there may be:
 * whoever asks is answered, also those whose question came before their time was up. */
static void test_siege(void) {
        enum {
                MAX = 20,
                CLIENTS = 100
        };
        static const char *const texts[] = { "", "GET / HT", GET("/big") GET("/big"), "\n" };
        HttpLimits limits = HTTP_LIMITS_DEFAULT;
        Fixture fixture;
        int fds[CLIENTS];

        limits.connections_max = MAX;
        fixture_init(&fixture, &limits);

        for (unsigned i = 0; i < CLIENTS; i++) {
                fds[i] = client_open(&fixture, i % 3 ? AF_UNIX : AF_INET);
                client_say(&fixture, fds[i], texts[g_test_rand_int_range(0, ELEMENTSOF(texts))]);
                if (g_test_rand_bit())
                        settle(&fixture);

                int fd = client_open(&fixture, i % 2 ? AF_UNIX : AF_INET);
                bool early = g_test_rand_bit();

                if (!early)
                        settle(&fixture);
                client_say(&fixture, fd, GET("/") "GET / HTTP/1.0\r\n\r\n");
                g_autofree char *reply = client_hear_all(&fixture, fd);
                g_assert_true(is_reply(reply, 200));
                g_assert_true(g_str_has_suffix(reply, "local\n"));
                (void)close(fd);
                g_assert_cmpuint(counters(&fixture)->n_connections, <=, MAX);
        }

        for (unsigned i = 0; i < CLIENTS; i++)
                (void)close(fds[i]);
        fixture_done(&fixture);
}

/* More clients at once than may be kept: the question of one who has to go is already there. */
static void test_crowd(void) {
        enum {
                MAX = 10,
                CLIENTS = 60
        };
        HttpLimits limits = HTTP_LIMITS_DEFAULT;
        Fixture fixture;
        int fds[CLIENTS];

        limits.connections_max = MAX;
        fixture_init(&fixture, &limits);

        for (unsigned i = 0; i < CLIENTS; i++) {
                fds[i] = client_open(&fixture, AF_UNIX);
                if (i < MAX)
                        settle(&fixture);
        }
        for (unsigned i = 0; i < CLIENTS; i++)
                g_assert_cmpint(send(fds[i], GET("/"), strlen(GET("/")), 0), >, 0);

        for (unsigned i = 0; i < CLIENTS; i++) {
                g_autofree char *reply = client_hear(&fixture, fds[i], false);

                g_assert_true(is_reply(reply, 200));
                (void)close(fds[i]);
        }
        fixture_done(&fixture);
}

static void add_stranger(Fixture *fixture, uint64_t id, int *ret_fd) {
        HttpPeer peer = { .kind = HTTP_PEER_INET, .id = id };
        int fds[2];

        g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), ==, 0);
        http_connection_open(&fixture->server, fds[0], &peer, false);
        *ret_fd = fds[1];
}

static void test_peers(void) {
        HttpLimits limits = HTTP_LIMITS_DEFAULT;
        Fixture fixture;
        int fds[3], other;

        limits.peer_connections_max = 2;
        fixture_init(&fixture, &limits);

        add_stranger(&fixture, 2, &other);
        ASK(&fixture, other, "/", 200);
        for (unsigned i = 0; i < 3; i++) {
                add_stranger(&fixture, 1, &fds[i]);
                ASK(&fixture, fds[i], "/", 200);
        }

        /* The third of one peer ends his first, not that of another, who was there before. */
        client_hear_nothing(&fixture, fds[0]);
        ASK(&fixture, fds[1], "/", 200);
        ASK(&fixture, fds[2], "/", 200);
        ASK(&fixture, other, "/", 200);
        g_assert_cmpuint(counters(&fixture)->n_evicted, ==, 1);

        for (unsigned i = 0; i < 3; i++)
                (void)close(fds[i]);
        (void)close(other);
        fixture_done(&fixture);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);

        g_test_add_func("/report/http-limits/slow-header-is-408", test_slow_header);
        g_test_add_func("/report/http-limits/a-trickle-buys-no-time", test_trickle);
        g_test_add_func("/report/http-limits/refused-noise-ends", test_linger_bytes);
        g_test_add_func("/report/http-limits/idle-ends", test_idle);
        g_test_add_func("/report/http-limits/who-does-not-read-is-dropped", test_no_reader);
        g_test_add_func("/report/http-limits/requests-of-a-connection", test_requests);
        g_test_add_func("/report/http-limits/oldest-idle-gives-way", test_eviction);
        g_test_add_func("/report/http-limits/served-under-siege", test_siege);
        g_test_add_func("/report/http-limits/all-of-a-crowd-are-answered", test_crowd);
        g_test_add_func("/report/http-limits/a-peer-takes-only-from-itself", test_peers);

        return g_test_run();
}
