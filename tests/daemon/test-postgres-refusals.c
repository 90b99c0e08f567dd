/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Links to a real PostgreSQL that is well, and does not serve
 *
 * It has no connection left, recovers, is a standby, demands TLS, lacks the database, or is
 * busy with what the program has asked. What the link says, and what it makes of it.
 */

#include <hale/postgres.h>
#include <libpq-fe.h>

#include "lib/link-lab.h"
#include "lib/postgres-server.h"

/* All that it lets in, the superuser too. */
#define CONNECTIONS_MAX 4

static Server server;

static char *conninfo(const char *more) {
        return g_strdup_printf("host=127.0.0.1 port=%u user=orders password='" LAB_PASSWORD
                               "' sslmode=disable dbname=postgres %s",
                               server.port, more);
}

static void lab_of_postgres(Lab *lab) {
        char *text = conninfo("");

        lab_up(lab, hale_postgres_add, text);
        g_free(text);
}

static PGconn *other(void) {
        char *text = conninfo("connect_timeout=5");
        PGconn *connection = PQconnectdb(text);

        g_free(text);
        return connection;
}

static void tell(PGconn *connection, const char *command) {
        PGresult *result = PQexec(connection, command);
        ExecStatusType status = PQresultStatus(result);

        if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
                g_error("%s: %s", command, PQerrorMessage(connection));
        PQclear(result);
}

/* Cuts all connections but its own, so that they have to come back; waits until they are gone. */
static void cut_all(PGconn *connection) {
        tell(connection, "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
                         "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'");
}

static bool answers(void) {
        PGconn *connection = other();
        bool good = PQstatus(connection) == CONNECTION_OK;

        PQfinish(connection);
        return good;
}

static void wait_for_server(void) {
        gint64 limit = g_get_monotonic_time() + LIMIT_USEC;

        while (!answers()) {
                g_assert_cmpint(g_get_monotonic_time(), <, limit);
                g_assert_false(server_ended(&server, 10));
        }
}

/* A file in the folder of the data; @text NULL takes it away. */
static void data_file(const char *name, const char *text) {
        char *path = g_build_filename(server.folder, "data", name, NULL);

        if (text) {
                g_assert_true(g_file_set_contents(path, text, -1, NULL));
                g_assert_cmpint(chmod(path, 0644), ==, 0);
        } else {
                (void)g_unlink(path);
        }
        g_free(path);
}

/* In place of what it was started with: the last of a setting counts. */
static void start_with(const char *settings, const char *signal_file) {
        server_end(&server, SIGINT);
        data_file("postgresql.auto.conf", settings);
        if (signal_file)
                data_file(signal_file, "");
        server_start(&server);
}

/* Connections, until there are no more to be had. */
static void take_all(PGconn *connections[static CONNECTIONS_MAX], guint n) {
        gint64 limit = g_get_monotonic_time() + LIMIT_USEC;

        while (n < CONNECTIONS_MAX) {
                connections[n] = other();
                if (PQstatus(connections[n]) == CONNECTION_OK)
                        n++;
                else
                        PQfinish(connections[n]); /* somebody has not quite left yet */
                g_assert_cmpint(g_get_monotonic_time(), <, limit);
        }
}

static void test_too_many(void) {
        PGconn *others[CONNECTIONS_MAX] = { other() };
        Lab lab;

        lab_of_postgres(&lab);
        cut_all(others[0]);
        lab_mark(&lab);
        take_all(others, 1); /* the loop does not turn: the link comes later */
        lab_falls(&lab, "FATAL:  sorry, too many clients already");
        lab_lasts(&lab);
        for (gsize i = 0; i < G_N_ELEMENTS(others); i++)
                PQfinish(others[i]);
        lab_heals(&lab);
        lab_done(&lab);
}

static void test_no_database(void) {
        PGconn *admin = other();
        char *text = conninfo("dbname=shop");
        Lab lab;

        lab_add(&lab, hale_postgres_add, text);
        lab_start(&lab);
        lab_falls(&lab, "FATAL:  database \"shop\" does not exist");
        lab_lasts(&lab);
        tell(admin, "CREATE DATABASE shop STRATEGY file_copy");
        lab_heals(&lab);

        /* Gone again while it is in use. */
        lab_turn_for(&lab, 10000);
        lab_mark(&lab);
        tell(admin, "DROP DATABASE shop WITH (FORCE)");
        lab_falls(&lab, "database \"shop\" does not exist");
        lab_done(&lab);
        PQfinish(admin);
        g_free(text);
}

static void test_demands_tls(void) {
        PGconn *admin = other();
        char *path = g_build_filename(server.folder, "data", "pg_hba.conf", NULL), *before;
        Lab lab;

        g_assert_true(g_file_get_contents(path, &before, NULL, NULL));
        lab_of_postgres(&lab);
        data_file("pg_hba.conf", "hostssl all all 127.0.0.1/32 scram-sha-256\n");
        tell(admin, "SELECT pg_reload_conf()");
        lab_stays_up(&lab, 300000); /* who is in stays in */
        lab_mark(&lab);
        cut_all(admin);
        lab_falls(&lab, "no pg_hba.conf entry for host \"127.0.0.1\", user \"orders\", "
                        "database \"postgres\", no encryption");
        lab_lasts(&lab);
        data_file("pg_hba.conf", before);
        tell(admin, "SELECT pg_reload_conf()");
        lab_heals(&lab);
        lab_done(&lab);
        PQfinish(admin);
        g_free(before);
        g_free(path);
}

/* The program waits for a lock, for longer than a question may take: that is its own matter. */
static void test_held_by_statement(void) {
        PGconn *admin = other(), *connection;
        Lab lab;

        lab_of_postgres(&lab);
        connection = hale_postgres_get(lab.link);
        g_assert_nonnull(connection);
        tell(admin, "SELECT pg_advisory_lock(1)");
        g_assert_cmpint(PQsendQuery(connection, "SELECT pg_advisory_lock(1)"), ==, 1);
        lab_stays_up(&lab, 1000000);
        g_assert_true(PQconsumeInput(connection));
        g_assert_true(PQisBusy(connection));
        tell(admin, "SELECT pg_advisory_unlock(1)");
        g_assert_true(lab_until(&lab, PQconsumeInput(connection) && !PQisBusy(connection)));
        for (PGresult *r; (r = PQgetResult(connection));)
                PQclear(r);
        lab_stays_up(&lab, 200000);

        /* Cut in the middle of one, it is noticed all the same. */
        tell(admin, "SELECT pg_advisory_lock(2)");
        connection = hale_postgres_get(lab.link);
        g_assert_nonnull(connection);
        g_assert_cmpint(PQsendQuery(connection, "SELECT pg_advisory_lock(2)"), ==, 1);
        lab_turn_for(&lab, 100000);
        lab_mark(&lab);
        cut_all(admin);
        lab_falls(&lab, "connection"); /* was ended, or is closed */
        lab_heals(&lab);
        lab_done(&lab);
        PQfinish(admin);
}

/* It has nothing to be recovered from yet, and waits for that. */
static void test_starting_up(void) {
        char *go = g_build_filename(server.folder, "go", NULL), *settings;
        Lab lab;

        lab_of_postgres(&lab);
        lab_mark(&lab);
        settings = g_strdup_printf(
                "restore_command = 'while [ ! -e %s ]; do sleep 0.02; done; false'\n", go);
        start_with(settings, "recovery.signal");
        lab_falls(&lab, "FATAL:  the database system is starting up");
        g_assert_true(g_file_set_contents(go, "", -1, NULL));
        wait_for_server();
        lab_heals(&lab);
        data_file("postgresql.auto.conf", "");
        lab_done(&lab);
        (void)g_unlink(go);
        g_free(settings);
        g_free(go);
}

static void promote(void) {
        char *program = postgres_program("pg_ctl");
        char *data = g_build_filename(server.folder, "data", NULL);
        const char *const command[] = { program, "promote", "--wait", "-D", data, NULL };

        server_run(&server, command);
        g_free(program);
        g_free(data);
}

/* A standby that lets nobody in, until it is promoted. */
static void test_cold_standby(void) {
        Lab lab;

        lab_of_postgres(&lab);
        lab_mark(&lab);
        start_with("hot_standby = off\n", "standby.signal");
        lab_falls(&lab, "FATAL:  the database system is not accepting connections");
        promote();
        lab_heals(&lab);
        data_file("postgresql.auto.conf", "");
        lab_done(&lab);
}

/* One that may be read is good for whoever does not demand more. */
static void test_hot_standby(void) {
        char *text = conninfo("target_session_attrs=read-write");
        Lab lab;

        start_with("", "standby.signal");
        wait_for_server();
        lab_of_postgres(&lab);
        lab_stays_up(&lab, 200000);
        lab_done(&lab);

        lab_add(&lab, hale_postgres_add, text);
        lab_start(&lab);
        lab_falls(&lab, "session is read-only");
        promote();
        lab_heals(&lab);
        lab_done(&lab);
        g_free(text);
}

/* One refusal an attempt, as the server counts them, too. */
static void test_wrong_for_long(void) {
        char *path = g_build_filename(server.folder, "log", NULL), *log;
        char *text = conninfo("user=clerk");
        PGconn *admin = other();
        guint64 n;
        gsize n_refusals = 0;
        Lab lab;

        tell(admin, "CREATE ROLE clerk LOGIN PASSWORD 'another'");
        n = lab_ten_minutes(&lab, hale_postgres_add, text);
        lab_falls(&lab, "FATAL:  password authentication failed for user \"clerk\"");
        g_assert_true(g_file_get_contents(path, &log, NULL, NULL));
        for (const char *p = log; (p = strstr(p, "FATAL:  password authentication failed")); p++)
                n_refusals++;
        g_assert_cmpuint(n_refusals, >=, n - 1); /* one may be under way */
        g_assert_cmpuint(n_refusals, <=, n + 1);

        tell(admin, "ALTER ROLE clerk PASSWORD '" LAB_PASSWORD "'");
        lab_heals(&lab);
        lab_done(&lab);
        PQfinish(admin);
        g_free(log);
        g_free(path);
        g_free(text);
}

int main(int argc, char **argv) {
        const char *missing = postgres_missing();
        int r;

        if (missing)
                return skip_all(missing);

        g_test_init(&argc, &argv, NULL);
        postgres_init(&server, LAB_PASSWORD);
        data_file("postgresql.auto.conf", "");
        data_file("postgresql.conf",
                  "max_connections = " G_STRINGIFY(
                          CONNECTIONS_MAX) "\nsuperuser_reserved_connections = 0\n"
                                           "max_wal_senders = 0\n");
        server_start(&server);
        wait_for_server();
        g_test_add_func("/refusals/postgres/too-many", test_too_many);
        g_test_add_func("/refusals/postgres/no-database", test_no_database);
        g_test_add_func("/refusals/postgres/demands-tls", test_demands_tls);
        g_test_add_func("/refusals/postgres/held-by-statement", test_held_by_statement);
        g_test_add_func("/refusals/postgres/wrong-for-long", test_wrong_for_long);
        g_test_add_func("/refusals/postgres/starting-up", test_starting_up);
        g_test_add_func("/refusals/postgres/cold-standby", test_cold_standby);
        g_test_add_func("/refusals/postgres/hot-standby", test_hot_standby);
        r = g_test_run();
        server_end(&server, SIGQUIT);
        server_done(&server);
        return r;
}
