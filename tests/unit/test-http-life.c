/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * HTTP Server: its life
 *
 * What it listens on; how it goes on serving when the process has no descriptors
 * left; and the end: what is under way is finished, what is idle is closed, and a
 * socket that somebody else holds goes on listening.
 */

#include <sys/resource.h>

#include "http-fixture.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define ASK(fixture, fd, path, status) client_ask(fixture, fd, GET(path), status)

typedef struct Shortage {
        struct rlimit before;
        GArray *fds;
} Shortage;

/* Takes every descriptor that there is. (Valgrind plays the limit by closing what was accepted:
 * skip these two there.) */
static Shortage shortage_begin(void) {
        Shortage shortage = { .fds = g_array_new(FALSE, FALSE, sizeof(int)) };
        struct rlimit few;
        int fd;

        g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &shortage.before), ==, 0);
        few = shortage.before;
        few.rlim_cur = 100;
        g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &few), ==, 0);

        while ((fd = dup(0)) >= 0)
                g_array_append_val(shortage.fds, fd);
        g_assert_cmpint(errno, ==, EMFILE);
        return shortage;
}

static void shortage_end(Shortage *shortage) {
        for (unsigned i = 0; i < shortage->fds->len; i++)
                (void)close(g_array_index(shortage->fds, int, i));
        g_array_unref(shortage->fds);
        g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &shortage->before), ==, 0);
}

static void test_no_descriptors(void) {
        Fixture fixture;
        Shortage shortage;
        int fds[6], kept, silent;

        fixture_init(&fixture, NULL);
        kept = client_open(&fixture, AF_UNIX);
        ASK(&fixture, kept, "/", 200);
        silent = client_socket(AF_UNIX);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                fds[i] = client_socket(i % 2 ? AF_UNIX : AF_INET);
        shortage = shortage_begin();

        /* One after the other, each on the descriptor kept for this. */
        for (size_t i = 0; i < 3; i++) {
                client_connect(&fixture, fds[i], i % 2 ? AF_UNIX : AF_INET);
                client_say(&fixture, fds[i], GET("/"));
                g_autofree char *reply = client_hear_all(&fixture, fds[i]);
                g_assert_true(is_reply(reply, 200));
                g_assert_nonnull(strstr(reply, "\r\nConnection: close\r\n"));
        }
        g_assert_cmpuint(counters(&fixture)->n_exhausted, >=, 3);
        ASK(&fixture, kept, "/", 200);

        /* One who sits on it and says nothing. */
        client_connect(&fixture, silent, AF_UNIX);
        settle(&fixture);
        for (size_t i = 3; i < ELEMENTSOF(fds); i++) {
                client_connect(&fixture, fds[i], i % 2 ? AF_UNIX : AF_INET);
                ASK(&fixture, fds[i], "/", 200);
        }

        shortage_end(&shortage);
        g_assert_cmpint(fixture.server.reserve_fd, >=, 0);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                (void)close(fds[i]);
        (void)close(kept);
        (void)close(silent);
        fixture_done(&fixture);
}

/* Not even the reserved one, as somebody else was quicker: wait without spinning, then go on. */
static void test_no_reserve(void) {
        Fixture fixture;
        Shortage shortage;
        int fd = client_socket(AF_INET);
        unsigned n_turns = 0;

        fixture_init(&fixture, NULL);
        shortage = shortage_begin();
        (void)close(fixture.server.reserve_fd);
        g_array_append_val(shortage.fds, fixture.server.reserve_fd);
        g_assert_cmpint(dup(0), ==, fixture.server.reserve_fd);
        fixture.server.reserve_fd = -EBADF;

        client_connect(&fixture, fd, AF_INET);
        client_say(&fixture, fd, GET("/"));
        while (waiting(&fixture, counters(&fixture)->n_exhausted >= 3))
                n_turns++;
        g_assert_cmpuint(fixture.server.resume_usec, !=, USEC_NEVER);
        g_assert_cmpuint(n_turns, >=, 10);

        shortage_end(&shortage);
        g_autofree char *reply = client_hear(&fixture, fd, false);
        g_assert_true(is_reply(reply, 200));
        g_assert_cmpuint(fixture.server.resume_usec, ==, USEC_NEVER);

        (void)close(fd);
        fixture_done(&fixture);
}

static void on_drained(HttpServer *server, void *userdata) {
        Fixture *fixture = userdata;

        g_assert_true(server == &fixture->server);
        fixture->n_drained++;
}

static void test_drain(void) {
        Fixture fixture;
        int idle, asked, slow, queued, late;

        fixture_init(&fixture, NULL);
        idle = client_open(&fixture, AF_INET);
        asked = client_open(&fixture, AF_INET);
        slow = client_open(&fixture, AF_UNIX);
        ASK(&fixture, idle, "/", 200);
        ASK(&fixture, asked, "/", 200);
        client_say(&fixture, slow, GET("/big"));
        settle(&fixture);

        /* Asked and connected before the end, but not seen yet. */
        g_assert_cmpint(send(asked, GET("/"), strlen(GET("/")), 0), >, 0);
        queued = client_open(&fixture, AF_UNIX);
        g_assert_cmpint(send(queued, GET("/"), strlen(GET("/")), 0), >, 0);

        g_assert_cmpint(http_server_drain(&fixture.server, 60 * USEC_PER_SEC, on_drained, &fixture),
                        ==, 1);
        g_assert_false(g_file_test(fixture.path, G_FILE_TEST_EXISTS));

        g_autofree char *answer = client_hear_all(&fixture, asked);
        g_autofree char *another = client_hear_all(&fixture, queued);
        g_assert_true(is_reply(answer, 200));
        g_assert_true(is_reply(another, 200));
        client_hear_nothing(&fixture, idle);

        g_assert_cmpuint(fixture.n_drained, ==, 0);
        g_autofree char *big = client_hear_all(&fixture, slow);
        g_assert_cmpuint(strlen(big), >, BIG_LENGTH);
        while (waiting(&fixture, fixture.n_drained == 1))
                ;

        /* The socket that was handed in still takes clients, for whoever comes next. */
        late = client_open(&fixture, AF_INET);
        int handed = accept(fixture.tcp, NULL, NULL);
        g_assert_cmpint(handed, >=, 0);
        g_assert_cmpint(http_server_add_listener(&fixture.server, fixture.tcp), ==, -ESHUTDOWN);

        (void)close(handed);
        (void)close(late);
        (void)close(queued);
        (void)close(slow);
        (void)close(asked);
        (void)close(idle);
        fixture_done(&fixture);
}

static void test_drain_timeout(void) {
        Fixture fixture;

        fixture_init(&fixture, NULL);
        int fd = client_open(&fixture, AF_UNIX);
        client_say(&fixture, fd, GET("/big"));
        settle(&fixture);

        g_assert_cmpint(http_server_drain(&fixture.server, 40 * USEC_PER_MSEC, on_drained,
                                          &fixture),
                        ==, 1);
        while (waiting(&fixture, fixture.n_drained == 1))
                ;
        g_assert_cmpuint(counters(&fixture)->n_connections, ==, 0);

        (void)close(fd);
        fixture_done(&fixture);
}

/* Stopped in the middle of everything: nothing is left, as the sanitizer will tell. */
static void test_stop(void) {
        static const char *const texts[] = { "", "GET / HT", GET("/big"), GET("/"), "\n" };
        Fixture fixture;
        int fds[ELEMENTSOF(texts)];

        fixture_init(&fixture, NULL);
        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                fds[i] = client_open(&fixture, AF_UNIX);
                client_say(&fixture, fds[i], texts[i]);
        }
        settle(&fixture);
        g_assert_cmpuint(counters(&fixture)->n_connections, ==, ELEMENTSOF(texts));

        http_server_stop(&fixture.server);
        g_assert_cmpuint(counters(&fixture)->n_connections, ==, 0);
        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                (void)close(fds[i]);
        fixture_done(&fixture);
}

/* One of its two addresses is taken, and the other let go again. */
static void test_half_taken(void) {
        struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
        socklen_t length = sizeof(in6);
        int fd = socket(AF_INET6, SOCK_STREAM, 0);
        Fixture fixture;

        if (fd < 0 || bind(fd, (struct sockaddr *)&in6, length) < 0) {
                g_test_skip("no IPv6 here");
                if (fd >= 0)
                        (void)close(fd);
                return;
        }

        fixture_init(&fixture, NULL);
        g_assert_cmpint(listen(fd, 1), ==, 0);
        g_assert_cmpint(getsockname(fd, (struct sockaddr *)&in6, &length), ==, 0);

        g_autofree char *port = g_strdup_printf("%u", ntohs(in6.sin6_port));
        g_assert_cmpint(http_server_listen(&fixture.server, port), ==, -EADDRINUSE);
        g_assert_cmpuint(fixture.server.n_listeners, ==, 2);

        (void)close(fd);
        fixture_done(&fixture);
}

static void test_listeners(void) {
        Fixture fixture;
        int fds[2], datagram = socket(AF_INET, SOCK_DGRAM, 0), fresh = client_socket(AF_INET);

        fixture_init(&fixture, NULL);
        g_assert_cmpint(pipe(fds), ==, 0);

        g_assert_cmpint(http_server_add_listener(&fixture.server, fds[0]), ==, -EINVAL);
        g_assert_cmpint(http_server_add_listener(&fixture.server, datagram), ==, -EINVAL);
        g_assert_cmpint(http_server_add_listener(&fixture.server, fresh), ==, -EINVAL);
        g_assert_cmpint(http_server_listen(&fixture.server, fixture.path), ==, -EADDRINUSE);
        g_assert_cmpint(http_server_listen(&fixture.server, "nonsense"), ==, -EINVAL);
        g_assert_cmpuint(fixture.server.n_listeners, ==, 2);

        for (unsigned i = 2; i < HTTP_LISTENERS_MAX; i++)
                g_assert_cmpint(http_server_add_listener(&fixture.server, dup(fixture.tcp)), ==, 0);
        g_assert_cmpint(http_server_add_listener(&fixture.server, fixture.tcp), ==, -E2BIG);

        (void)close(fds[0]);
        (void)close(fds[1]);
        (void)close(datagram);
        (void)close(fresh);
        fixture_done(&fixture);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);

        g_test_add_func("/report/http-life/served-without-descriptors", test_no_descriptors);
        g_test_add_func("/report/http-life/waits-without-spinning", test_no_reserve);
        g_test_add_func("/report/http-life/drains", test_drain);
        g_test_add_func("/report/http-life/drain-has-an-end", test_drain_timeout);
        g_test_add_func("/report/http-life/stops-anywhere", test_stop);
        g_test_add_func("/report/http-life/listeners", test_listeners);

        g_test_add_func("/report/http-life/all-addresses-or-none", test_half_taken);

        return g_test_run();
}
