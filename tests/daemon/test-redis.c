/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Links to a real Redis
 *
 * The server is stopped, killed, restarted, paused; its clients are killed; it does
 * not let us in; and others stand in its place that refuse, say nothing, or talk
 * rubbish. Each time the link says what it is about, and is back soon after the
 * server is.
 */

#include <hale/redis.h>
#include <hiredis/async.h>
#include <poll.h>
#include <stdbool.h>

#include "lib/manager.h"
#include "lib/server.h"

/* While the waits are short, a server that accepts again is found soon: how soon is the bench's to
 * say, here it is only no long wait. */
#define BACK_USEC (5 * G_USEC_PER_SEC)

/* What hangs is noticed after this; where nothing hangs, a busy machine may take its time. */
#define QUICK_USEC 200000
#define PATIENT_USEC (LIMIT_USEC / 2)

#define PASSWORD "s3cr%t word"
#define PASSWORD_IN_URL "s3cr%%25t%%20word" /* in a format */

typedef struct Fixture {
        Server server;
        hale_service *service;
        hale_link *link;
        redisAsyncContext *context; /* that the program keeps, against the rules */
        guint n_changes, n_replies, n_lost;
        uint32_t first; /* generation: the server may have been slower than the first attempt */
        char reply[256];
} Fixture;

static void on_change(hale_link *link, void *userdata) {
        (void)link;
        ((Fixture *)userdata)->n_changes++;
}

static void server_command(Server *server, const char *password) {
        char *port = g_strdup_printf("%u", server->port);
        /* clang-format off */
        const char *command[] = {
                "redis-server", "--bind", "127.0.0.1", "--port", port, "--unixsocket", "redis.sock",
                "--save", "", "--appendonly", "no", "--enable-debug-command", "yes",
                password ? "--requirepass" : NULL, password, NULL,
        };
        /* clang-format on */

        g_strfreev(server->command);
        server->command = g_strdupv((char **)command);
        g_free(port);
}

static void fixture_link_within(Fixture *f, const char *url, guint64 limit_usec) {
        f->service = service_of_test();
        g_assert_cmpint(hale_redis_add(f->service, &f->link, "cache", url), ==, 0);
        g_assert_cmpint(hale_link_set_check_interval_usec(f->link, 50000), ==, 0);
        g_assert_cmpint(hale_link_set_check_timeout_usec(f->link, limit_usec), ==, 0);
        g_assert_cmpint(hale_link_set_connect_timeout_usec(f->link, limit_usec), ==, 0);
        g_assert_cmpint(hale_link_set_stable_usec(f->link, 1000), ==, 0);
        g_assert_cmpint(hale_link_on_change(f->link, on_change, f), ==, 0);
        g_assert_cmpint(hale_service_start(f->service), ==, 0);
}

static void fixture_link(Fixture *f, const char *url) {
        fixture_link_within(f, url, QUICK_USEC);
}

static void fixture_unlink(Fixture *f) {
        hale_link_unref(f->link);
        f->service = hale_service_unref(f->service);
}

static void fixture_init_within(Fixture *f, guint64 limit_usec) {
        char *url;

        *f = (Fixture){};
        server_init(&f->server, "nobody");
        f->server.port = free_port();
        if (f->server.user)
                g_assert_cmpint(chmod(f->server.folder, 0777), ==, 0);
        server_command(&f->server, NULL);
        server_start(&f->server);

        url = g_strdup_printf("redis://127.0.0.1:%u", f->server.port);
        fixture_link_within(f, url, limit_usec);
        g_free(url);
        g_assert_true(turn_until(f->service, hale_link_is_up(f->link)));
        f->first = hale_link_get_generation(f->link);
}

static void fixture_init(Fixture *f) {
        fixture_init_within(f, QUICK_USEC);
}

static void fixture_done(Fixture *f) {
        fixture_unlink(f);
        server_done(&f->server);
}

static void on_reply(redisAsyncContext *context, void *data, void *userdata) {
        redisReply *reply = data;
        Fixture *f = userdata;

        (void)context;
        if (!reply) {
                f->n_lost++;
                return;
        }
        f->n_replies++;
        g_strlcpy(f->reply, reply->str ? reply->str : "", sizeof(f->reply));
}

/* Sends a command over the link and returns what came back. */
static const char *ask(Fixture *f, const char *command) {
        guint before = f->n_replies;
        redisAsyncContext *context = hale_redis_get(f->link);

        g_assert_nonnull(context);
        g_assert_cmpint(redisAsyncCommand(context, on_reply, f, command), ==, REDIS_OK);
        g_assert_true(turn_until(f->service, f->n_replies > before));
        return f->reply;
}

/* When the server first answers PING, by a thread that asks again and again. */
typedef struct Sentry {
        const Server *server;
        gint64 answered_usec;
        GThread *thread;
} Sentry;

static bool answers(guint16 port) {
        struct sockaddr_in in = {
                .sin_family = AF_INET,
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                .sin_port = htons(port),
        };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct pollfd pollfd = { .fd = fd, .events = POLLIN };
        char byte = 0;
        bool good;

        good = connect(fd, (struct sockaddr *)&in, sizeof(in)) == 0 &&
               send(fd, "PING\r\n", 6, MSG_NOSIGNAL) == 6 && poll(&pollfd, 1, 100) > 0 &&
               recv(fd, &byte, 1, 0) == 1 && byte == '+';
        (void)close(fd);
        return good;
}

static gpointer sentry_main(gpointer data) {
        Sentry *sentry = data;
        gint64 limit = g_get_monotonic_time() + LIMIT_USEC;

        while (!answers(sentry->server->port) && g_get_monotonic_time() < limit)
                g_assert_false(server_ended(sentry->server, 1));
        sentry->answered_usec = g_get_monotonic_time();
        return NULL;
}

/* Starts the server, and says how long after its first answer the link was up. */
static void back_after_start(Fixture *f, const char *what) {
        Sentry sentry = { .server = &f->server };
        gint64 up, back;

        g_assert_false(hale_link_is_up(f->link));
        server_start(&f->server);
        sentry.thread = g_thread_new("sentry", sentry_main, &sentry);
        g_assert_true(turn_until(f->service, hale_link_is_up(f->link)));
        up = g_get_monotonic_time();
        g_thread_join(sentry.thread);
        back = MAX(up - sentry.answered_usec, 0);
        g_test_message("%s: back %.1f ms after the server", what, (double)back / 1000);
        g_assert_cmpint(back, <=, BACK_USEC);
}

static void test_use(void) {
        Fixture f;

        fixture_init_within(&f, PATIENT_USEC);
        g_assert_cmpstr(ask(&f, "SET a 1"), ==, "OK");
        g_assert_cmpstr(ask(&f, "GET a"), ==, "1");
        g_assert_true(turn_until(f.service, hale_service_is_ready(f.service)));

        /* Checked again and again, over one connection. */
        turn_for(f.service, 300000);
        g_assert_cmpuint(hale_link_get_generation(f.link), ==, f.first);
        g_assert_cmpuint(f.n_changes, ==, 1);
        fixture_done(&f);
}

static void test_killed(void) {
        Fixture f;

        fixture_init_within(&f, PATIENT_USEC);
        for (guint i = 0; i < 5; i++) {
                redisAsyncContext *context = hale_redis_get(f.link);
                guint lost = f.n_lost;

                turn_for(f.service, 5000);
                (void)kill(f.server.pid, SIGSTOP);
                g_assert_cmpint(redisAsyncCommand(context, on_reply, &f, "GET a"), ==, REDIS_OK);
                server_end(&f.server, SIGKILL);
                g_assert_true(turn_until(f.service, !hale_link_is_up(f.link)));
                g_assert_null(hale_redis_get(f.link));
                g_assert_cmpuint(f.n_lost, ==, lost + 1);
                g_assert_cmpstr(hale_link_get_reason(f.link), !=, "");
                back_after_start(&f, "killed");
        }
        fixture_done(&f);
}

static void test_stopped(void) {
        Fixture f;

        fixture_init(&f);
        server_end(&f.server, SIGTERM);
        g_assert_true(turn_until(f.service, !hale_service_is_ready(f.service)));
        g_assert_true(
                turn_until(f.service, strstr(hale_link_get_reason(f.link), "Connection refused")));
        g_assert_nonnull(strstr(hale_link_get_reason(f.link), "127.0.0.1"));
        g_assert_true(hale_service_is_live(f.service));
        back_after_start(&f, "stopped");
        g_assert_true(turn_until(f.service, hale_service_is_ready(f.service)));
        fixture_done(&f);
}

static void test_paused(void) {
        gint64 began;
        Fixture f;

        fixture_init(&f);
        (void)kill(f.server.pid, SIGSTOP);
        began = g_get_monotonic_time();
        g_assert_true(turn_until(f.service, !hale_link_is_up(f.link)));
        g_test_message("paused: noticed after %.1f ms (interval 50 ms, time-out 200 ms)",
                       (double)(g_get_monotonic_time() - began) / 1000);
        g_assert_cmpstr(hale_link_get_reason(f.link), ==, "no answer within 200ms");

        /* It takes connections, for the kernel does, and says nothing. */
        g_assert_true(turn_until(f.service, strcmp(hale_link_get_reason(f.link),
                                                   "no connection within 200ms") == 0));
        (void)kill(f.server.pid, SIGCONT);
        g_assert_true(turn_until(f.service, hale_link_is_up(f.link)));
        g_assert_cmpuint(hale_link_get_generation(f.link), >=, f.first + 2);
        fixture_done(&f);
}

static void test_cut(void) {
        gint64 began;
        Fixture f;

        fixture_init_within(&f, PATIENT_USEC);
        turn_for(f.service, 5000); /* it has been up for long enough to be connected at once */
        g_assert_cmpint(redisAsyncCommand(hale_redis_get(f.link), on_reply, &f,
                                          "CLIENT KILL TYPE normal SKIPME no"),
                        ==, REDIS_OK);
        g_assert_true(turn_until(f.service, !hale_link_is_up(f.link)));
        began = g_get_monotonic_time();
        g_assert_true(turn_until(f.service, hale_link_is_up(f.link)));
        g_test_message("cut: back after %.1f ms", (double)(g_get_monotonic_time() - began) / 1000);
        g_assert_cmpint(g_get_monotonic_time() - began, <=, BACK_USEC);
        g_assert_cmpuint(hale_link_get_generation(f.link), ==, f.first + 1);
        g_assert_cmpstr(ask(&f, "PING"), ==, "PONG");
        fixture_done(&f);
}

/* Restarted with a password, and then asked with none, a wrong one, and the right one. */
static void test_password(void) {
        Capture capture;
        char *url;
        Fixture f;

        fixture_init(&f);
        server_end(&f.server, SIGTERM);
        server_command(&f.server, PASSWORD);
        server_start(&f.server);
        g_assert_true(turn_until(f.service, strstr(hale_link_get_reason(f.link), "NOAUTH")));
        fixture_unlink(&f);

        capture_start(&capture);
        url = g_strdup_printf("redis://:wrong-secret@127.0.0.1:%u", f.server.port);
        fixture_link(&f, url);
        g_free(url);
        g_assert_true(turn_until(f.service, g_str_has_prefix(hale_link_get_reason(f.link),
                                                             "not let in: WRONGPASS")));
        g_assert_cmpuint(capture_count(&capture, "wrong-secret"), ==, 0);
        g_assert_cmpuint(capture_count(&capture, "WRONGPASS"), >=, 1);
        capture_stop(&capture);
        fixture_unlink(&f);

        url = g_strdup_printf("redis://default:" PASSWORD_IN_URL "@localhost:%u/3", f.server.port);
        fixture_link(&f, url);
        g_free(url);
        g_assert_true(turn_until(f.service, hale_link_is_up(f.link)));
        g_assert_nonnull(strstr(ask(&f, "CLIENT INFO"), "db=3"));
        fixture_unlink(&f);

        url = g_strdup_printf("unix://:" PASSWORD_IN_URL "@%s/redis.sock?db=4", f.server.folder);
        fixture_link(&f, url);
        g_free(url);
        g_assert_true(turn_until(f.service, hale_link_is_up(f.link)));
        g_assert_nonnull(strstr(ask(&f, "CLIENT INFO"), "db=4"));
        fixture_unlink(&f);

        url = g_strdup_printf("redis://:" PASSWORD_IN_URL "@127.0.0.1:%u/4711", f.server.port);
        fixture_link(&f, url);
        g_free(url);
        g_assert_true(
                turn_until(f.service, strstr(hale_link_get_reason(f.link), "no such database")));
        fixture_done(&f);
}

/* The program writes into a connection that is gone: no SIGPIPE ends it. */
static void test_broken_pipe(void) {
        redisAsyncContext *context;
        Fixture f;

        fixture_init(&f);
        (void)signal(SIGPIPE, SIG_DFL);
        context = hale_redis_get(f.link);
        g_assert_cmpint(shutdown(context->c.fd, SHUT_WR), ==, 0);
        g_assert_cmpint(redisAsyncCommand(context, on_reply, &f, "PING"), ==, REDIS_OK);
        g_assert_true(turn_until(f.service, f.n_lost == 1));
        g_assert_true(turn_until(f.service, hale_link_is_up(f.link)));
        fixture_done(&f);
}

static void on_reply_let_go(redisAsyncContext *context, void *data, void *userdata) {
        Fixture *f = userdata;

        (void)context;
        f->n_replies += data != NULL;
        f->n_lost += data == NULL;
        if (!f->service)
                return;
        f->link = hale_link_unref(f->link);
        f->service = hale_service_unref(f->service);
}

/* The program is told of the loss, tries all the same, and gives up all in a reply. */
static void use_when_lost(hale_link *link, void *userdata) {
        redisAsyncContext *context = ((Fixture *)userdata)->context;

        if (hale_link_is_up(link))
                return;
        g_assert_null(hale_redis_get(link));
        if (context)
                (void)redisAsyncCommand(context, on_reply, userdata, "GET late");
}

static void test_used_when_lost(void) {
        Fixture f;

        fixture_init(&f);
        f.context = hale_redis_get(f.link);
        g_assert_cmpint(hale_link_on_change(f.link, use_when_lost, &f), ==, 0);
        g_assert_cmpint(hale_link_reopen(f.link), ==, 0);
        g_assert_cmpuint(f.n_lost, ==, 1);
        g_assert_true(turn_until(f.service, hale_link_is_up(f.link)));

        f.context = hale_redis_get(f.link);
        (void)kill(f.server.pid, SIGSTOP); /* no answer to a check */
        g_assert_true(turn_until(f.service, !hale_link_is_up(f.link)));
        g_assert_cmpuint(f.n_lost, ==, 2);
        f.context = NULL;
        (void)kill(f.server.pid, SIGCONT);
        g_assert_true(turn_until(f.service, hale_link_is_up(f.link)));

        f.context = hale_redis_get(f.link);
        server_end(&f.server, SIGKILL);
        g_assert_true(turn_until(f.service, !hale_link_is_up(f.link)));
        f.context = NULL;
        fixture_done(&f);
}

static void test_let_go_in_reply(void) {
        struct sd_event *event;
        Fixture f;

        fixture_init(&f);
        event = sd_event_ref(hale_service_get_event(f.service));
        for (guint i = 0; i < 3; i++)
                g_assert_cmpint(redisAsyncCommand(hale_redis_get(f.link), on_reply_let_go, &f,
                                                  "PING"),
                                ==, REDIS_OK);
        for (gint64 limit = g_get_monotonic_time() + LIMIT_USEC; f.service;) {
                g_assert_cmpint(g_get_monotonic_time(), <, limit);
                g_assert_cmpint(sd_event_run(event, 20000), >=, 0);
        }
        g_assert_cmpuint(f.n_replies, ==, 1);
        g_assert_cmpuint(f.n_lost, ==, 2);
        (void)sd_event_unref(event);
        server_done(&f.server);
}

static void with_nobody(const char *url, guint16 port, const char *reason) {
        char *full = g_strdup_printf("redis://%s:%u", url, port);
        Fixture f = {};

        fixture_link(&f, full);
        g_assert_true(turn_until(f.service, strstr(hale_link_get_reason(f.link), reason)));
        g_assert_null(hale_redis_get(f.link));
        g_assert_true(hale_service_is_live(f.service));
        g_test_message("%s: %s", url, hale_link_get_reason(f.link));
        g_free(full);
        fixture_unlink(&f);
}

static void test_not_redis(void) {
        Babbler babbler;
        guint16 port = 0;
        int fd, fds[8];

        with_nobody("127.0.0.1", free_port(), "Connection refused");
        with_nobody("no-such-name.invalid", 6379, "no-such-name.invalid");

        fd = listen_full(&port, fds);
        with_nobody("127.0.0.1", port, "no connection within 200ms");
        for (guint i = 0; i < G_N_ELEMENTS(fds); i++)
                (void)close(fds[i]);
        (void)close(fd);

        babbler_start(&babbler, NULL);
        with_nobody("127.0.0.1", babbler.port, "no connection within 200ms");
        g_assert_cmpint(g_atomic_int_get(&babbler.n_accepted), >=, 1);
        babbler_stop(&babbler);

        /* It is Redis, but cannot serve. */
        babbler_start(&babbler, "-LOADING Redis is loading the dataset in memory\r\n");
        with_nobody("127.0.0.1", babbler.port, "LOADING Redis is loading");
        babbler_stop(&babbler);

        babbler_start(&babbler, "HTTP/1.1 400 Bad Request\r\n\r\n\n\1\2\3");
        with_nobody("127.0.0.1", babbler.port, "rotocol error");
        babbler_stop(&babbler);
}

static void test_urls(void) {
        static const char *const bad[] = {
                "",
                "redis:",
                "redis://",
                "http://localhost",
                "rediss://localhost",
                "redis://host:0",
                "redis://host:65536",
                "redis://host:12a",
                "redis://host/db",
                "redis://host/1/2",
                "redis://host/99999",
                "redis://:%zz@host",
                "redis://:%00@host",
                "redis://:%4@host",
                "redis://[::1",
                "redis://[::1]x",
                "redis://host?db=1",
                "unix://relative",
                "unix:///path?database=1",
                "unix:///path?db=x",
        };
        hale_service *service = service_of_test();
        hale_link *link = NULL;

        for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
                g_test_message("%s", bad[i]);
                g_assert_cmpint(hale_redis_add(service, &link, "x", bad[i]), ==, -EINVAL);
        }
        g_assert_null(link);
        g_assert_cmpint(hale_redis_add(service, NULL, "bracket", "redis://[::1]:7000/15"), ==, 0);
        g_assert_cmpint(hale_redis_add(service, NULL, "bracket", "redis://[::1]"), ==, -EEXIST);
        g_assert_cmpint(hale_redis_add(service, NULL, "slash", "redis://u:p@host/"), ==, 0);

        g_assert_cmpint(hale_service_add_link(service, &link, "other", NULL, NULL), ==, 0);
        g_assert_null(hale_redis_get(link));
        g_assert_null(hale_redis_get(NULL));
        hale_link_unref(link);
        hale_service_unref(service);
}

int main(int argc, char **argv) {
        char *program = g_find_program_in_path("redis-server");

        if (!program)
                return skip_all("redis-server is not installed (package redis-server)");
        g_free(program);

        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/adapter/redis/urls", test_urls);
        g_test_add_func("/adapter/redis/use", test_use);
        g_test_add_func("/adapter/redis/killed", test_killed);
        g_test_add_func("/adapter/redis/stopped", test_stopped);
        g_test_add_func("/adapter/redis/paused", test_paused);
        g_test_add_func("/adapter/redis/cut", test_cut);
        g_test_add_func("/adapter/redis/password", test_password);
        g_test_add_func("/adapter/redis/broken-pipe", test_broken_pipe);
        g_test_add_func("/adapter/redis/used-when-lost", test_used_when_lost);
        g_test_add_func("/adapter/redis/let-go-in-reply", test_let_go_in_reply);
        g_test_add_func("/adapter/redis/not-redis", test_not_redis);
        return g_test_run();
}
