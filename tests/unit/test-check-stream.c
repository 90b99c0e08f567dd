/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * tcp:// and unix: against real servers in this process that answer, say
 * nothing, say rubbish, hang up and reset; against queues that are full, names
 * that are unknown and resolvers that hang (getaddrinfo(3) is replaced). Nothing
 * blocks, and no descriptor stays behind, above all when it was cancelled.
 */

#include "check-fixture.h"
#include "stream-server.h"

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <semaphore.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "check/stream.h"

static sem_t resolver_gate, resolver_entered;

static int real_getaddrinfo(const char *host,
                            const char *port,
                            const struct addrinfo *hints,
                            struct addrinfo **ret) {
        static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

        *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
        return real(host, port, hints, ret);
}

/* "A+B.test" has the addresses A and B; the others do what their names say. */
int getaddrinfo(const char *restrict host,
                const char *restrict port,
                const struct addrinfo *restrict hints,
                struct addrinfo **restrict ret) {
        static const struct {
                const char *host, *first, *second;
        } names[] = {
                { "one.test", "127.0.0.1", NULL },
                { "first-refuses.test", "127.0.0.2", "127.0.0.1" },
                { "six-refuses.test", "::1", "127.0.0.1" },
                { "first-hangs.test", "127.0.0.3", "127.0.0.1" },
                { "all-refuse.test", "127.0.0.2", "127.0.0.4" },
        };
        int r;

        if (hints->ai_flags & AI_NUMERICHOST)
                return real_getaddrinfo(host, port, hints, ret);

        if (strcmp(host, "hangs.test") == 0) {
                (void)sem_post(&resolver_entered);
                while (sem_wait(&resolver_gate) < 0)
                        ;
                return EAI_AGAIN;
        }
        if (strcmp(host, "unknown.test") == 0)
                return EAI_NONAME;
        if (strcmp(host, "silent.test") == 0)
                return EAI_AGAIN;

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                if (strcmp(host, names[i].host) != 0)
                        continue;
                r = real_getaddrinfo(names[i].first, port, hints, ret);
                if (r == 0 && names[i].second)
                        r = real_getaddrinfo(names[i].second, port, hints, &(*ret)->ai_next);
                return r;
        }

        return real_getaddrinfo(host, port, hints, ret);
}

static const struct {
        Manner manner;
        const char *keys;
        hale_status status; /* HALE_UNKNOWN: times out */
        const char *output;
} manners[] = {
        { SILENT, "", HALE_PASS, " connected in " },
        { SILENT, "?send=QUIT", HALE_PASS, " connected in " },
        { SILENT, "?warn=0", HALE_WARN, "; limit 0us" },
        { SILENT, "?warn=1h", HALE_PASS, " connected in " },
        { SILENT, "?expect=hello", HALE_UNKNOWN, "no 'hello' from " },
        { SILENT, "?expect=hello", HALE_UNKNOWN, ": timed out after 100ms; it sent nothing" },
        { HANGS_UP, "", HALE_PASS, " connected in " },
        { HANGS_UP, "?expect=hello", HALE_FAIL,
          " closed the connection without 'hello'; it sent nothing" },
        { RESETS, "?expect=hello", HALE_FAIL, "connection reset by " },
        { BANNER, "?expect=220", HALE_PASS, " answered in " },
        { BANNER, "?expect=welcome\\r\\n", HALE_PASS, " answered in " },
        { BANNER, "?expect=250%20", HALE_UNKNOWN, "; it sent '220 welcome  '" },
        { SLOW_BANNER, "?expect=welcome", HALE_PASS, " answered in " },
        { SLOW_BANNER, "?expect=welcome&warn=10ms", HALE_WARN, "; limit 10ms" },
        { RUBBISH, "?expect=hello", HALE_FAIL,
          "closed the connection without 'hello'; it sent ' [2J \xef\xbf\xbd WATCHDOG=trigger '" },
        { FLOOD, "?expect=hello", HALE_FAIL, " sent 4 KiB without 'hello'; it sent 'zzzz" },
        { ECHO, "?send=PING\\r\\n%00&expect=PING\\x0d\\n\\0", HALE_PASS, " answered in " },
        { ECHO, "?send=PING&expect=PONG", HALE_UNKNOWN, "; it sent 'PING'" },
};

static void check_manners(const char *path) {
        Fixture fixture;
        Server server;

        fixture_init(&fixture);
        for (size_t i = 0; i < ELEMENTSOF(manners); i++) {
                bool times_out = manners[i].status == HALE_UNKNOWN;
                g_autofree char *spec = NULL;
                unsigned n_fds;

                /* A closed AF_UNIX peer is no reset, whatever SO_LINGER says. */
                if (path && manners[i].manner == RESETS)
                        continue;

                server_start(&server, &fixture, manners[i].manner, path);
                spec = server_spec(&server, manners[i].keys);
                n_fds = count_fds();
                if (times_out) {
                        g_assert_cmpint(fixture_ask(&fixture, spec, 100 * USEC_PER_MSEC), ==,
                                        HALE_FAIL);
                        if (!strstr(fixture.result.output, manners[i].output))
                                g_error("%s", fixture.result.output);
                        g_assert_false(fixture.result.has_value);
                } else
                        fixture_expect(&fixture, spec, manners[i].status, manners[i].output);

                if (manners[i].status == HALE_PASS || manners[i].status == HALE_WARN) {
                        g_assert_true(fixture.result.has_value);
                        g_assert_cmpstr(fixture.result.unit, ==, "ms");
                }
                server_drop_client(&server);
                g_assert_cmpuint(count_fds(), ==, n_fds);
                server_stop(&server);
        }
        fixture_done(&fixture);
}

static void test_tcp_manners(void) {
        check_manners(NULL);
}

static void test_unix_manners(void) {
        g_autofree char *folder = g_dir_make_tmp("hale-XXXXXX", NULL);
        g_autofree char *path = g_build_filename(folder, "s", NULL);
        g_autofree char *abstract = g_strdup_printf("@hale-test-%d", (int)getpid());

        check_manners(path);
        check_manners(abstract);
        g_assert_cmpint(rmdir(folder), ==, 0);
}

/* A port that nobody listens on: bound, so that nobody else gets it. */
static void test_refused(void) {
        g_autofree char *spec = NULL, *output = NULL;
        Fixture fixture;
        uint16_t port;
        int fd = listen_at("127.0.0.1", 0, -1, &port);

        fixture_init(&fixture);
        spec = g_strdup_printf("tcp://127.0.0.1:%u", port);
        output = g_strdup_printf("connection refused by 127.0.0.1:%u", port);
        fixture_expect(&fixture, spec, HALE_FAIL, output);
        g_assert_cmpstr(fixture.result.output, ==, output);

        fixture_expect(&fixture, "unix:/nowhere/at/all", HALE_FAIL, "no socket at /nowhere/at/all");
        fixture_expect(&fixture, "unix:@hale-nobody", HALE_FAIL,
                       "connection refused by @hale-nobody");
        fixture_expect(&fixture, "unix:/etc/passwd", HALE_FAIL,
                       "connection refused by /etc/passwd");
        fixture_done(&fixture);
        close(fd);
}

/* Fills the queue of a listener, so that the next SYN gets no answer. */
static void fill_queue(const struct sockaddr *address, socklen_t n, int fds[static 4]) {
        for (unsigned i = 0; i < 4; i++) {
                fds[i] = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                g_assert_cmpint(fds[i], >=, 0);
                (void)connect(fds[i], address, n);
        }
}

static void close_all(int fds[static 4]) {
        for (unsigned i = 0; i < 4; i++)
                close(fds[i]);
}

static void test_black_hole(void) {
        struct sockaddr_in in = { .sin_family = AF_INET };
        g_autofree char *spec = NULL, *output = NULL;
        int fillers[4], fd;
        Fixture fixture;
        unsigned n_fds;
        uint16_t port;

        fixture_init(&fixture);
        fd = listen_at("127.0.0.3", 0, 0, &port);
        in.sin_port = htons(port);
        g_assert_cmpint(inet_pton(AF_INET, "127.0.0.3", &in.sin_addr), ==, 1);
        fill_queue((struct sockaddr *)&in, sizeof(in), fillers);

        n_fds = count_fds();
        spec = g_strdup_printf("tcp://127.0.0.3:%u", port);
        output = g_strdup_printf("connecting to 127.0.0.3:%u timed out after 100ms", port);
        g_assert_cmpint(fixture_ask(&fixture, spec, 100 * USEC_PER_MSEC), ==, HALE_FAIL);
        g_assert_cmpstr(fixture.result.output, ==, output);
        g_assert_cmpuint(count_fds(), ==, n_fds);

        close_all(fillers);
        close(fd);
        fixture_done(&fixture);
}

static void test_full_unix_queue(void) {
        struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "\0hale-full" };
        int fillers[4], fd;
        Fixture fixture;

        fixture_init(&fixture);
        fd = listen_unix("@hale-full", 0);
        fill_queue((struct sockaddr *)&un,
                   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen("@hale-full")),
                   fillers);
        fixture_expect(&fixture, "unix:@hale-full", HALE_FAIL, "@hale-full has a full queue");
        close_all(fillers);
        close(fd);
        fixture_done(&fixture);
}

static char *named_spec(const Server *server, const char *name) {
        return g_strdup_printf("tcp://%s:%u", name, server->port);
}

static void test_names(void) {
        static const char *const names[] = { "one.test", "first-refuses.test", "six-refuses.test" };
        g_autofree char *output = NULL, *nobody = NULL;
        Fixture fixture;
        Server server;

        fixture_init(&fixture);
        server_start(&server, &fixture, SILENT, NULL);
        output = g_strdup_printf("127.0.0.1:%u connected in ", server.port);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                g_autofree char *spec = named_spec(&server, names[i]);

                fixture_expect(&fixture, spec, HALE_PASS, output);
        }
        g_assert_cmpuint(server.n_clients, <=, ELEMENTSOF(names));

        nobody = named_spec(&server, "all-refuse.test");
        fixture_expect(&fixture, nobody, HALE_FAIL, "connection refused by 127.0.0.2:");
        fixture_expect(&fixture, nobody, HALE_FAIL, "(2 addresses tried)");
        fixture_expect(&fixture, "tcp://unknown.test:1", HALE_FAIL,
                       "the name 'unknown.test' is not known");
        fixture_expect(&fixture, "tcp://silent.test:1", HALE_FAIL,
                       "no name server answers for 'silent.test'");
        server_stop(&server);
        fixture_done(&fixture);
}

/* The first address hangs: the second gets its share of the time. */
static void test_second_gets_its_share(void) {
        struct sockaddr_in in = { .sin_family = AF_INET };
        g_autofree char *spec = NULL;
        Fixture fixture;
        Server server;
        int fillers[4], hole;
        uint16_t port;

        fixture_init(&fixture);
        server_start(&server, &fixture, SILENT, NULL);
        hole = listen_at("127.0.0.3", server.port, 0, &port);
        in.sin_port = htons(port);
        g_assert_cmpint(inet_pton(AF_INET, "127.0.0.3", &in.sin_addr), ==, 1);
        fill_queue((struct sockaddr *)&in, sizeof(in), fillers);

        spec = named_spec(&server, "first-hangs.test");
        g_assert_cmpint(fixture_ask(&fixture, spec, 4 * USEC_PER_SEC), ==, HALE_PASS);
        g_assert_cmpfloat(fixture.result.value, >=, 2000);
        g_assert_cmpfloat(fixture.result.value, <, 4000);

        close_all(fillers);
        close(hole);
        server_stop(&server);
        fixture_done(&fixture);
}

static void test_resolver_hangs(void) {
        PoolStats stats;
        Fixture fixture;
        Check *check;

        fixture_init(&fixture);
        check = fixture_check(&fixture, "tcp://hangs.test:80");

        for (unsigned i = 0; i < POOL_ABANDONED_MAX; i++) {
                g_assert_cmpint(check_start(check, 50 * USEC_PER_MSEC, &fixture.result,
                                            fixture_take_answer, &fixture),
                                ==, CHECK_PENDING);
                while (sem_wait(&resolver_entered) < 0)
                        ;
                g_assert_true(check_cancel(check, &fixture.result));
                g_assert_cmpstr(fixture.result.output, ==,
                                "resolving 'hangs.test' timed out after 50ms");
        }

        g_assert_true(fixture_ask_check(&fixture, check, USEC_PER_SEC));
        g_assert_cmpint(fixture.result.status, ==, HALE_FAIL);
        g_assert_true(g_str_has_prefix(fixture.result.output, "not asked: 4 earlier"));

        /* Numbers need no resolver. */
        fixture_expect(&fixture, "tcp://127.0.0.1:1", HALE_FAIL, "refused by 127.0.0.1:1");

        /* They return after all; the check is gone by then. */
        check_free(check);
        for (unsigned i = 0; i < POOL_ABANDONED_MAX; i++)
                g_assert_cmpint(sem_post(&resolver_gate), ==, 0);
        do
                pool_get_stats(&fixture.pool, &stats);
        while (stats.n_abandoned > 0);
        fixture.n_answers = 0;
        fixture_expect(&fixture, "tcp://unknown.test:1", HALE_FAIL, "is not known");
        g_assert_cmpuint(fixture.n_answers, ==, 1);
        fixture_done(&fixture);
}

/* At any moment of an asking it can be ended, and asked again with a new answer. */
static void test_cancel_anywhere(void) {
        Fixture fixture;
        Server server;

        fixture_init(&fixture);
        server_start(&server, &fixture, ECHO, NULL);

        for (unsigned i = 0; i < 300; i++) {
                g_autofree char *spec =
                        g_strdup_printf("tcp://%s:%u?send=abc&expect=abc",
                                        i % 2 ? "one.test" : "127.0.0.1", server.port);
                unsigned before = fixture.n_answers, turns = (unsigned)g_test_rand_int_range(0, 6);
                Check *check = fixture_check(&fixture, spec);

                for (unsigned again = 0; again < 2; again++) {
                        int r = check_start(check, USEC_PER_SEC, &fixture.result,
                                            fixture_take_answer, &fixture);

                        g_assert_cmpint(r, ==, CHECK_PENDING);
                        for (unsigned turn = 0; turn < turns; turn++)
                                g_assert_cmpint(sd_event_run(fixture.event, 1000), >=, 0);
                        (void)check_cancel(check, NULL);
                        g_assert_cmpuint(fixture.n_answers - before, <=, again + 1);
                }

                before = fixture.n_answers;
                g_assert_true(fixture_ask_check(&fixture, check, PATIENCE_USEC));
                g_assert_cmpint(fixture.result.status, ==, HALE_PASS);
                g_assert_cmpuint(fixture.n_answers, ==, before + 1);
                check_free(check);
        }

        server_stop(&server);
        fixture_done(&fixture);
}

static void free_check(Check *check, const CheckResult *result, void *userdata) {
        Fixture *fixture = userdata;

        fixture->result = *result;
        fixture->n_answers++;
        check_free(check);
}

static void test_free_from_callback(void) {
        static const char *const specs[] = { "tcp://one.test:1", "tcp://unknown.test:1", "file:/" };
        Fixture fixture;

        fixture_init(&fixture);
        for (size_t i = 0; i < ELEMENTSOF(specs); i++) {
                Check *check = fixture_check(&fixture, specs[i]);

                g_assert_cmpint(check_start(check, USEC_PER_SEC, &fixture.result, free_check,
                                            &fixture),
                                ==, CHECK_PENDING);
                fixture_wait(&fixture, &fixture.n_answers, (unsigned)i + 1);
        }
        fixture_done(&fixture);
}

/* One port, bound and connected to itself. */
static void test_self_connection(void) {
        struct sockaddr_in in = { .sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t n = sizeof(in);
        Fixture fixture;
        Server server;
        int fd;

        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        g_assert_cmpint(bind(fd, (struct sockaddr *)&in, n), ==, 0);
        g_assert_cmpint(getsockname(fd, (struct sockaddr *)&in, &n), ==, 0);
        g_assert_cmpint(connect(fd, (struct sockaddr *)&in, n), ==, 0);
        g_assert_true(stream_is_self_connected(fd));
        close(fd);

        fixture_init(&fixture);
        server_start(&server, &fixture, SILENT, NULL);
        in.sin_port = htons(server.port);
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        g_assert_cmpint(connect(fd, (struct sockaddr *)&in, n), ==, 0);
        g_assert_false(stream_is_self_connected(fd));
        close(fd);
        server_stop(&server);
        fixture_done(&fixture);
}

/* Exits 0 if every question that needs a descriptor is answered by unknown. */
static void child_without_descriptors(void) {
        static const char *const specs[] = { "tcp://127.0.0.1:1", "unix:@hale",
                                             "tcp://unknown.test:1" };
        struct rlimit limit = { .rlim_cur = 64, .rlim_max = 64 };
        Check *checks[ELEMENTSOF(specs)];
        Fixture fixture;

        fixture_init(&fixture);
        for (size_t i = 0; i < ELEMENTSOF(specs); i++)
                checks[i] = fixture_check(&fixture, specs[i]);
        if (close_range(64, ~0U, 0) < 0 || setrlimit(RLIMIT_NOFILE, &limit) < 0)
                _exit(2);
        while (dup(0) >= 0)
                ;
        for (size_t i = 0; i < ELEMENTSOF(specs); i++)
                if (!fixture_ask_check(&fixture, checks[i], PATIENCE_USEC) ||
                    fixture.result.status != HALE_UNKNOWN ||
                    !strstr(fixture.result.output, "Too many open files"))
                        _exit((int)(10 + i));
        _exit(0);
}

static void test_no_descriptors(void) {
        pid_t pid = fork();
        int status;

        g_assert_cmpint(pid, >=, 0);
        if (pid == 0)
                child_without_descriptors();
        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
        g_assert_true(WIFEXITED(status));
        g_assert_cmpint(WEXITSTATUS(status), ==, 0);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_assert_cmpint(sem_init(&resolver_gate, 0, 0) | sem_init(&resolver_entered, 0, 0), ==, 0);
        g_test_add_func("/check/stream/tcp-servers-of-all-manners", test_tcp_manners);
        g_test_add_func("/check/stream/unix-servers-of-all-manners", test_unix_manners);
        g_test_add_func("/check/stream/refused", test_refused);
        g_test_add_func("/check/stream/black-hole", test_black_hole);
        g_test_add_func("/check/stream/full-unix-queue", test_full_unix_queue);
        g_test_add_func("/check/stream/names", test_names);
        g_test_add_func("/check/stream/second-address-gets-its-share", test_second_gets_its_share);
        g_test_add_func("/check/stream/resolver-hangs", test_resolver_hangs);
        g_test_add_func("/check/stream/cancel-anywhere", test_cancel_anywhere);
        g_test_add_func("/check/stream/free-from-callback", test_free_from_callback);
        g_test_add_func("/check/stream/self-connection", test_self_connection);
        g_test_add_func("/check/stream/no-descriptors-left", test_no_descriptors);
        return g_test_run();
}
