/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Links to a real PostgreSQL
 *
 * The server is stopped, killed, restarted, paused; its backend is paused or told to
 * end; it does not let us in; and others stand in its place that refuse, say nothing,
 * or talk rubbish. Each time the link says what it is about, and is back soon after
 * the server is.
 */

#include <hale/postgres.h>
#include <libpq-fe.h>
#include <stdbool.h>

#include "lib/manager.h"
#include "lib/postgres-server.h"

/* While the waits are short, a server that accepts again is found soon: how soon is the bench's to
 * say, here it is only no long wait. */
#define BACK_USEC (5 * G_USEC_PER_SEC)

/* What hangs is noticed after this; where nothing hangs, a busy machine may take its time. */
#define QUICK_USEC 300000
#define PATIENT_USEC (LIMIT_USEC / 2)

#define PASSWORD "s3cret word"

typedef struct Fixture {
        hale_service *service;
        hale_link *link;
        guint n_changes;
        uint32_t first;
} Fixture;

static Server server; /* one cluster for all: initdb takes seconds */

static void on_change(hale_link *link, void *userdata) {
        (void)link;
        ((Fixture *)userdata)->n_changes++;
}

static char *conninfo(const char *host, guint port, const char *password) {
        return g_strdup_printf("host=%s port=%u user=orders dbname=postgres password='%s'", host,
                               port, password);
}

static void fixture_link_within(Fixture *f, const char *text, guint64 limit_usec) {
        f->service = service_of_test();
        g_assert_cmpint(hale_postgres_add(f->service, &f->link, "db", text), ==, 0);
        g_assert_cmpint(hale_link_set_check_interval_usec(f->link, 50000), ==, 0);
        g_assert_cmpint(hale_link_set_check_timeout_usec(f->link, limit_usec), ==, 0);
        g_assert_cmpint(hale_link_set_connect_timeout_usec(f->link, limit_usec), ==, 0);
        g_assert_cmpint(hale_link_set_stable_usec(f->link, 1000), ==, 0);
        g_assert_cmpint(hale_link_on_change(f->link, on_change, f), ==, 0);
        g_assert_cmpint(hale_service_start(f->service), ==, 0);
}

static void fixture_link(Fixture *f, const char *text) {
        fixture_link_within(f, text, QUICK_USEC);
}

static void fixture_done(Fixture *f) {
        hale_link_unref(f->link);
        f->service = hale_service_unref(f->service);
}

static bool answers(void) {
        char *text = conninfo("127.0.0.1", server.port, PASSWORD);
        PGconn *connection = PQconnectdb(text);
        bool good = PQstatus(connection) == CONNECTION_OK;

        PQfinish(connection);
        g_free(text);
        return good;
}

/* The cluster runs, and lets us in. */
static void server_up(void) {
        gint64 limit = g_get_monotonic_time() + LIMIT_USEC;

        while (!answers()) {
                g_assert_cmpint(g_get_monotonic_time(), <, limit);
                if (server.pid != 0 && server_ended(&server, 2))
                        server_end(&server, 0); /* others of a killed one were still there */
                if (server.pid == 0)
                        server_start(&server);
        }
}

static void fixture_init_within(Fixture *f, const char *host, guint64 limit_usec) {
        char *text = conninfo(host, server.port, PASSWORD);

        server_up();
        *f = (Fixture){};
        fixture_link_within(f, text, limit_usec);
        g_free(text);
        g_assert_true(turn_until(f->service, hale_link_is_up(f->link)));
        f->first = hale_link_get_generation(f->link);
}

static void fixture_init(Fixture *f, const char *host) {
        fixture_init_within(f, host, QUICK_USEC);
}

/* The connection; where the answer to a check takes its time, after that. */
static PGconn *take(Fixture *f) {
        PGconn *connection = NULL;

        g_assert_true(turn_until(f->service, (connection = hale_postgres_get(f->link)) != NULL));
        return connection;
}

/* The one value that @query yields, over the link and without blocking. */
static char *ask(Fixture *f, const char *query) {
        PGconn *connection = take(f);
        PGresult *result;
        char *value;

        g_assert_cmpint(PQsendQuery(connection, query), ==, 1);
        g_assert_cmpint(PQflush(connection), ==, 0);
        g_assert_true(turn_until(f->service, PQconsumeInput(connection) && !PQisBusy(connection)));
        result = PQgetResult(connection);
        g_assert_nonnull(result);
        value = g_strdup(PQgetvalue(result, 0, 0));
        PQclear(result);
        while ((result = PQgetResult(connection)))
                PQclear(result);
        return value;
}

typedef struct Sentry {
        gint64 answered_usec;
        GThread *thread;
} Sentry;

static gpointer sentry_main(gpointer data) {
        Sentry *sentry = data;
        gint64 limit = g_get_monotonic_time() + LIMIT_USEC;

        while (!answers() && g_get_monotonic_time() < limit)
                g_assert_false(server_ended(&server, 1));
        sentry->answered_usec = g_get_monotonic_time();
        return NULL;
}

/* Starts the server, and says how long after its first answer the link was up. */
static void back_after_start(Fixture *f, const char *what) {
        Sentry sentry = {};
        gint64 up, back;

        g_assert_false(hale_link_is_up(f->link));
        server_start(&server);
        sentry.thread = g_thread_new("sentry", sentry_main, &sentry);
        g_assert_true(turn_until(f->service, hale_link_is_up(f->link)));
        up = g_get_monotonic_time();
        g_thread_join(sentry.thread);
        back = MAX(up - sentry.answered_usec, 0);
        g_test_message("%s: back %.1f ms after the server, at attempt %u", what,
                       (double)back / 1000, hale_link_get_generation(f->link) - f->first);
        if (hale_link_get_generation(f->link) - f->first <= 5)
                g_assert_cmpint(back, <=, BACK_USEC);
}

static void test_use(void) {
        PGconn *connection;
        Fixture f;
        char *one;

        fixture_init_within(&f, "localhost", PATIENT_USEC);
        one = ask(&f, "SELECT 40 + 2");
        g_assert_cmpstr(one, ==, "42");
        g_free(one);
        one = ask(&f, "SHOW tcp_user_timeout");
        g_assert_cmpstr(one, !=, "");
        g_free(one);
        one = ask(&f, "SELECT current_setting('application_name')");
        g_assert_cmpstr(one, ==, "subject");
        g_free(one);

        /* Checked again and again over one connection, also while a command or a transaction is
         * under way, which the checks leave alone. */
        turn_for(f.service, 200000);
        connection = take(&f);
        g_assert_cmpint(PQisnonblocking(connection), ==, 1);
        g_assert_cmpint(PQsendQuery(connection, "SELECT pg_sleep(0.4)"), ==, 1);
        turn_for(f.service, 200000);
        g_assert_true(hale_link_is_up(f.link));
        g_assert_true(turn_until(f.service, PQconsumeInput(connection) && !PQisBusy(connection)));
        for (PGresult *r; (r = PQgetResult(connection));)
                PQclear(r);
        g_free(ask(&f, "SELECT 1"));
        turn_for(f.service, 200000);
        g_assert_cmpuint(hale_link_get_generation(f.link), ==, f.first);
        g_assert_cmpuint(f.n_changes, ==, 1);
        fixture_done(&f);
}

/* Asked for at any moment, also when a check is under way, the connection can be used. */
static void test_get_while_asked(void) {
        char *text = conninfo("127.0.0.1", server.port, PASSWORD);
        Fixture f = {};

        server_up();
        f.service = service_of_test();
        g_assert_cmpint(hale_postgres_add(f.service, &f.link, "db", text), ==, 0);
        g_assert_cmpint(hale_link_set_check_interval_usec(f.link, 1000), ==, 0);
        g_assert_cmpint(hale_service_start(f.service), ==, 0);
        g_assert_true(turn_until(f.service, hale_link_is_up(f.link)));
        for (guint i = 0; i < 300; i++) {
                PGconn *connection = take(&f);
                PGresult *result;

                result = PQexec(connection, "SELECT 1");
                g_assert_cmpint(PQresultStatus(result), ==, PGRES_TUPLES_OK);
                PQclear(result);
                turn_for(f.service, 1000 + i % 7 * 100);
        }
        g_assert_cmpuint(hale_link_get_n_attempts(f.link), ==, 1);
        g_free(text);
        fixture_done(&f);
}

static void test_local_socket(void) {
        Fixture f;
        char *one;

        fixture_init(&f, server.folder);
        one = ask(&f, "SELECT coalesce(host(inet_client_addr()), 'local')");
        g_assert_cmpstr(one, ==, "local");
        g_free(one);
        fixture_done(&f);
}

/* The first host does not exist, the second refuses, the third is it. */
static void test_several_hosts(void) {
        char *text = g_strdup_printf("host=no-such-name.invalid,127.0.0.1,localhost "
                                     "port=5432,%u,%u user=orders dbname=postgres password='%s'",
                                     free_port(), server.port, PASSWORD);
        Fixture f = {};

        server_up();
        fixture_link(&f, text);
        g_assert_true(turn_until(f.service, hale_link_is_up(f.link)));
        g_free(text);
        fixture_done(&f);
}

/* The first address is a black hole: each attempt begins with another. */
static void test_rotation(void) {
        guint16 port = 0;
        int fds[8], fd = listen_full(&port, fds);
        char *text = g_strdup_printf("host=127.0.0.1,127.0.0.1 port=%u,%u user=orders "
                                     "dbname=postgres password='%s'",
                                     port, server.port, PASSWORD);
        Fixture f = {};

        server_up();
        fixture_link(&f, text);
        g_assert_true(turn_until(f.service, hale_link_is_up(f.link)));
        g_assert_cmpuint(hale_link_get_n_attempts(f.link) % 2, ==, 0); /* one that began there */
        g_free(text);
        fixture_done(&f);
        for (guint i = 0; i < G_N_ELEMENTS(fds); i++)
                (void)close(fds[i]);
        (void)close(fd);
}

/* Stopped in the ways that it knows; an operator's restart is one of them. */
static void test_stopped(void) {
        static const struct {
                int signal;
                const char *what, *reason;
        } rows[] = {
                { SIGINT, "stopped (fast)", "administrator command" },
                { SIGQUIT, "stopped (immediate)", NULL },
        };

        for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
                Fixture f;

                fixture_init(&f, "127.0.0.1");
                (void)kill(server.pid, rows[i].signal);
                g_assert_true(turn_until(f.service, !hale_link_is_up(f.link)));
                g_test_message("%s: %s", rows[i].what, hale_link_get_reason(f.link));
                if (rows[i].reason)
                        g_assert_nonnull(strstr(hale_link_get_reason(f.link), rows[i].reason));
                g_assert_null(hale_postgres_get(f.link));
                server_end(&server, rows[i].signal);
                back_after_start(&f, rows[i].what);
                g_assert_true(turn_until(f.service, hale_service_is_ready(f.service)));
                fixture_done(&f);
        }
}

static void test_killed(void) {
        Fixture f;

        fixture_init(&f, "127.0.0.1");
        server_end(&server, SIGKILL);
        g_assert_true(turn_until(f.service, !hale_link_is_up(f.link)));
        g_test_message("killed: %s", hale_link_get_reason(f.link));
        server_up();
        g_assert_true(turn_until(f.service, hale_link_is_up(f.link)));
        fixture_done(&f);
}

/* Only our own server process is ended, as pg_terminate_backend() does it. */
static void test_cut(void) {
        Fixture f;

        fixture_init_within(&f, "127.0.0.1", PATIENT_USEC);
        for (guint i = 0; i < 5; i++) {
                gint64 began = g_get_monotonic_time();
                char *query, *text = conninfo("127.0.0.1", server.port, PASSWORD);
                PGconn *other = PQconnectdb(text), *connection = take(&f);

                query = g_strdup_printf("SELECT pg_terminate_backend(%d)",
                                        PQbackendPID(connection));
                PQclear(PQexec(other, query));
                PQfinish(other);
                g_free(query);
                g_free(text);

                g_assert_true(turn_until(f.service, !hale_link_is_up(f.link)));
                /* It says so, or has closed the connection before it was read. */
                g_assert_true(strstr(hale_link_get_reason(f.link), "administrator command") ||
                              strstr(hale_link_get_reason(f.link), "closed the connection"));
                began = g_get_monotonic_time();
                g_assert_true(turn_until(f.service, hale_link_is_up(f.link)));
                g_test_message("cut: back after %.1f ms",
                               (double)(g_get_monotonic_time() - began) / 1000);
                g_assert_cmpint(g_get_monotonic_time() - began, <=, BACK_USEC);
                g_assert_cmpuint(hale_link_get_generation(f.link), ==, f.first + i + 1);
                turn_for(f.service, 5000);
        }
        fixture_done(&f);
}

/* The process at the other end of our connection hangs; the server does not. */
static void test_backend_paused(void) {
        gint64 began;
        Fixture f;
        int pid;

        fixture_init(&f, "127.0.0.1");
        pid = PQbackendPID(take(&f));
        (void)kill(pid, SIGSTOP);
        began = g_get_monotonic_time();
        g_assert_true(turn_until(f.service, !hale_link_is_up(f.link)));
        g_test_message("paused: noticed after %.1f ms (interval 50 ms, time-out 300 ms)",
                       (double)(g_get_monotonic_time() - began) / 1000);
        g_assert_cmpstr(hale_link_get_reason(f.link), ==, "no answer within 300ms");
        g_assert_true(turn_until(f.service, hale_link_is_up(f.link)));
        (void)kill(pid, SIGCONT);
        fixture_done(&f);
}

/* All of it hangs: the kernel takes connections, and nobody serves them. */
static void test_paused(void) {
        Fixture f;
        int pid;

        fixture_init(&f, "127.0.0.1");
        pid = PQbackendPID(take(&f));
        (void)kill(server.pid, SIGSTOP);
        (void)kill(pid, SIGSTOP);
        g_assert_true(turn_until(f.service, strcmp(hale_link_get_reason(f.link),
                                                   "no connection within 300ms") == 0));
        (void)kill(pid, SIGCONT);
        (void)kill(server.pid, SIGCONT);
        g_assert_true(turn_until(f.service, hale_link_is_up(f.link)));
        fixture_done(&f);
}

static void with_nobody(const char *text, const char *reason) {
        Capture capture;
        Fixture f = {};

        capture_start(&capture);
        fixture_link(&f, text);
        g_assert_true(turn_until(f.service, strstr(hale_link_get_reason(f.link), reason)));
        g_assert_null(hale_postgres_get(f.link));
        g_assert_true(hale_service_is_live(f.service));
        g_assert_cmpuint(capture_count(&capture, "wrong-secret"), ==, 0);
        g_assert_cmpuint(capture_count(&capture, "Link 'db' is down"), ==, 1);
        capture_stop(&capture);
        g_test_message("%s", hale_link_get_reason(f.link));
        fixture_done(&f);
}

static void with_nobody_at(const char *host, guint port, const char *reason) {
        char *text = conninfo(host, port, "wrong-secret");

        with_nobody(text, reason);
        g_free(text);
}

static void test_not_let_in(void) {
        char *text = g_strdup_printf("postgresql://orders:wrong-secret@127.0.0.1:%u/postgres",
                                     server.port);

        server_up();
        with_nobody_at("127.0.0.1", server.port, "password authentication failed");
        with_nobody_at(server.folder, server.port, "password authentication failed");
        with_nobody(text, "password authentication failed");
        g_free(text);
}

static void test_not_postgres(void) {
        Babbler babbler;
        guint16 port = 0;
        int fd, fds[8];

        with_nobody_at("127.0.0.1", free_port(), "Connection refused");
        with_nobody_at("no-such-name.invalid", 5432, "no-such-name.invalid");
        with_nobody_at("/nonexistent", 5432, "No such file");

        fd = listen_full(&port, fds);
        with_nobody_at("127.0.0.1", port, "no connection within 300ms");
        for (guint i = 0; i < G_N_ELEMENTS(fds); i++)
                (void)close(fds[i]);
        (void)close(fd);

        babbler_start(&babbler, NULL);
        with_nobody_at("127.0.0.1", babbler.port, "no connection within 300ms");
        g_assert_cmpint(g_atomic_int_get(&babbler.n_accepted), >=, 1);
        babbler_stop(&babbler);

        babbler_start(&babbler, "HTTP/1.1 400 Bad Request\r\n\r\n");
        with_nobody_at("127.0.0.1", babbler.port, "received invalid response");
        babbler_stop(&babbler);

        babbler_start(&babbler, "NR\377\377\377\377rubbish");
        with_nobody_at("127.0.0.1", babbler.port, "no connection within 300ms");
        babbler_stop(&babbler);
}

static void test_conninfo(void) {
        static const char *const bad[] = {
                "nonsense",       "host=a,b port=1,2,3", "host=a hostaddr=127.0.0.1,::1",
                "colour=red",     "service=orders",      "postgresql://[::1/db",
                "host='unclosed",
        };
        hale_service *service = service_of_test();
        hale_link *link = NULL;

        for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
                g_test_message("%s", bad[i]);
                g_assert_cmpint(hale_postgres_add(service, &link, "x", bad[i]), ==, -EINVAL);
        }
        g_setenv("PGSERVICE", "orders", TRUE);
        g_assert_cmpint(hale_postgres_add(service, &link, "x", "dbname=orders"), ==, -EINVAL);
        g_assert_cmpint(hale_postgres_add(service, NULL, "served", "host=a"), ==, 0);
        g_unsetenv("PGSERVICE");
        g_assert_null(link);
        g_assert_cmpint(hale_postgres_add(service, NULL, "a", "host=a,b,/c port=1,2,3"), ==, 0);
        g_assert_cmpint(hale_postgres_add(service, NULL, "a", "host=a"), ==, -EEXIST);
        g_assert_cmpint(hale_postgres_add(service, NULL, "b", ""), ==, 0);
        g_assert_cmpint(hale_service_add_link(service, &link, "other", NULL, NULL), ==, 0);
        g_assert_null(hale_postgres_get(link));
        g_assert_null(hale_postgres_get(NULL));
        hale_link_unref(link);
        hale_service_unref(service);
}

int main(int argc, char **argv) {
        const char *missing = postgres_missing();
        int r;

        if (missing)
                return skip_all(missing);

        g_test_init(&argc, &argv, NULL);
        postgres_init(&server, PASSWORD);
        g_test_add_func("/adapter/postgres/conninfo", test_conninfo);
        g_test_add_func("/adapter/postgres/use", test_use);
        g_test_add_func("/adapter/postgres/get-while-asked", test_get_while_asked);
        g_test_add_func("/adapter/postgres/local-socket", test_local_socket);
        g_test_add_func("/adapter/postgres/several-hosts", test_several_hosts);
        g_test_add_func("/adapter/postgres/rotation", test_rotation);
        g_test_add_func("/adapter/postgres/stopped", test_stopped);
        g_test_add_func("/adapter/postgres/killed", test_killed);
        g_test_add_func("/adapter/postgres/cut", test_cut);
        g_test_add_func("/adapter/postgres/backend-paused", test_backend_paused);
        g_test_add_func("/adapter/postgres/paused", test_paused);
        g_test_add_func("/adapter/postgres/not-let-in", test_not_let_in);
        g_test_add_func("/adapter/postgres/not-postgres", test_not_postgres);
        r = g_test_run();
        server_end(&server, SIGQUIT);
        server_done(&server);
        return r;
}
