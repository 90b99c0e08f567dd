/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * hale-orders, the example that people copy, against a real PostgreSQL and a real Redis
 *
 * Its worker is killed, its database and its cache are stopped and started, orders are kept
 * from it: each time it does what its page says, and it is one and the same process from the
 * first test to the last, which stops it.
 */

#include <hiredis/hiredis.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdlib.h>

#include "lib/manager.h"
#include "lib/postgres-server.h"

#define PASSWORD "s3cret word"

static Manager manager;
static Server postgres, redis, orders;
static char *http_path;

/* Waits until @condition, looking again when the service has told its manager something, and
 * every 50 ms; says whether it came before the limit. */
#define wait_until(condition)                                                                      \
        ({                                                                                         \
                gint64 _limit = g_get_monotonic_time() + 2 * LIMIT_USEC;                           \
                bool _good;                                                                        \
                while (!(_good = (condition)) && g_get_monotonic_time() < _limit)                  \
                        wait_for_news();                                                           \
                _good;                                                                             \
        })

static void wait_for_news(void) {
        struct pollfd news = { .fd = manager.fd, .events = POLLIN };

        (void)poll(&news, 1, 50);
        manager_read(&manager);
}

/* The whole reply, the caller's; "" if nobody is there. */
static char *get(const char *target) {
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        struct timeval limit = { .tv_sec = 5 };
        GString *reply = g_string_new(NULL);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        char buffer[4096], *request;
        ssize_t n;

        g_assert_cmpint(fd, >=, 0);
        g_assert_cmpuint(strlen(http_path), <, sizeof(un.sun_path));
        memcpy(un.sun_path, http_path, strlen(http_path));
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
        request =
                g_strdup_printf("GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", target);
        if (connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0 &&
            send(fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request))
                while ((n = recv(fd, buffer, sizeof(buffer), 0)) > 0)
                        g_string_append_len(reply, buffer, n);
        g_free(request);
        (void)close(fd);
        return g_string_free(reply, FALSE);
}

/* Whether the reply to GET @target has @text, in its first line or after it. */
static bool says(const char *target, const char *text) {
        char *reply = get(target);
        bool found = strstr(reply, text) != NULL;

        g_free(reply);
        return found;
}

static bool is_ready(void) {
        return says("/readyz", "HTTP/1.1 200 ");
}

/* What it is and stays like between the tests; the cache is told of it, too. */
static bool all_is_well(void) {
        return is_ready() && says("/health/cache", "HTTP/1.1 200 ") &&
               says("/health/backlog", "HTTP/1.1 200 ");
}

/* The first value that @query yields, the caller's; "" if none, NULL if it failed. */
static char *sql_in(const char *database, const char *query) {
        char *conninfo = g_strdup_printf("dbname=%s connect_timeout=5", database);
        PGconn *connection = PQconnectdb(conninfo);
        PGresult *result = PQexec(connection, query);
        char *value = NULL;

        if (PQresultStatus(result) == PGRES_TUPLES_OK)
                value = g_strdup(PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
        else if (PQresultStatus(result) == PGRES_COMMAND_OK)
                value = g_strdup("");
        PQclear(result);
        PQfinish(connection);
        g_free(conninfo);
        return value;
}

static void sql(const char *query) {
        char *value = sql_in("orders", query);

        g_assert_nonnull(value);
        g_free(value);
}

static bool sql_is(const char *query, const char *expected) {
        char *value = sql_in("orders", query);
        bool same = g_strcmp0(value, expected) == 0;

        g_free(value);
        return same;
}

/* Whether the shop is told that more orders are taken ("yes", "no"). */
static bool shop_reads(const char *expected) {
        redisContext *context = redisConnect("127.0.0.1", redis.port);
        redisReply *reply =
                context && !context->err ? redisCommand(context, "GET orders:open") : NULL;
        bool same = reply && g_strcmp0(reply->str, expected) == 0;

        if (reply)
                freeReplyObject(reply);
        if (context)
                redisFree(context);
        return same;
}

/* The process of the worker, which is the only child; 0 if there is none. */
static int desk_pid(void) {
        char *path = g_strdup_printf("/proc/%d/task/%d/children", orders.pid, orders.pid);
        char *text = NULL;
        int pid = 0;

        if (g_file_get_contents(path, &text, NULL, NULL))
                pid = (int)strtol(text, NULL, 10);
        g_free(text);
        g_free(path);
        return pid;
}

/* An order is placed, and a worker processes it. */
static void check_order_is_done(void) {
        sql("INSERT INTO orders DEFAULT VALUES");
        g_assert_true(wait_until(sql_is("SELECT count(*) FROM orders WHERE done IS NULL", "0")));
}

static void check_never_restarted(void) {
        g_assert_false(server_ended(&orders, 0));
        g_assert_cmpuint(manager_count(&manager, "READY=1"), ==, 1);
        g_assert_cmpuint(manager_count(&manager, "WATCHDOG=trigger"), ==, 0);
        g_assert_cmpuint(manager_count(&manager, "STOPPING=1"), ==, 0);
}

static void test_ready(void) {
        g_assert_true(wait_until(manager_count(&manager, "READY=1") > 0));
        g_assert_true(wait_until(all_is_well()));
        g_assert_true(wait_until(shop_reads("yes")));
        g_assert_true(wait_until(desk_pid() > 0));
        check_order_is_done();
        check_never_restarted();
}

static void test_worker_killed(void) {
        for (guint i = 0; i < 3; i++) {
                int pid = desk_pid();

                g_assert_cmpint(pid, >, 0);
                g_assert_cmpint(kill(pid, SIGKILL), ==, 0);
                g_assert_true(wait_until(desk_pid() > 0 && desk_pid() != pid));
                g_assert_true(wait_until(says("/health", "killed by SIGKILL before")));
                check_order_is_done();
        }
        g_assert_true(is_ready());
        check_never_restarted();
}

/* Somebody holds an order, so that the worker passes it over; a new worker is tried. */
static void test_backlog(void) {
        PGconn *holder = PQconnectdb("dbname=orders");
        PGresult *result;
        int pid;

        g_assert_true(wait_until(all_is_well()));
        pid = desk_pid();
        (void)kill(pid, SIGSTOP); /* it must not be the quicker one */
        sql("INSERT INTO orders (placed) VALUES (now() - interval '1 h')");
        result = PQexec(holder, "BEGIN; SELECT id FROM orders WHERE done IS NULL FOR UPDATE");
        (void)kill(pid, SIGCONT);
        g_assert_cmpint(PQntuples(result), ==, 1);
        PQclear(result);

        g_assert_true(wait_until(says("/readyz?verbose", "[-]backlog")));
        g_assert_true(wait_until(shop_reads("no")));
        g_assert_true(wait_until(desk_pid() > 0 && desk_pid() != pid));
        PQfinish(holder);
        g_assert_true(wait_until(all_is_well()));
        g_assert_true(wait_until(shop_reads("yes")));
        check_order_is_done();
        check_never_restarted();
}

static void test_database_stopped(void) {
        int pid;

        g_assert_true(wait_until(all_is_well()));
        pid = desk_pid();
        server_end(&postgres, SIGINT);
        g_assert_true(wait_until(says("/readyz", "HTTP/1.1 503 ")));
        g_assert_true(wait_until(says("/readyz?verbose", "[-]db")));
        g_assert_true(wait_until(shop_reads("no")));
        g_assert_true(says("/livez", "HTTP/1.1 200 "));
        check_never_restarted();

        server_start(&postgres);
        g_assert_true(wait_until(all_is_well()));
        g_assert_true(wait_until(shop_reads("yes")));
        check_order_is_done();
        g_assert_cmpint(desk_pid(), ==, pid);
        check_never_restarted();
}

static void test_cache_stopped(void) {
        g_assert_true(wait_until(all_is_well()));
        g_assert_true(wait_until(says("/health", "{\"status\":\"pass\",\"timestamp\"")));
        server_end(&redis, SIGTERM);
        g_assert_true(wait_until(says("/health", "{\"status\":\"warn\",\"timestamp\"")));
        g_assert_true(says("/health/cache", "HTTP/1.1 503 "));
        g_assert_true(says("/health", "HTTP/1.1 200 "));
        g_assert_true(is_ready());
        check_order_is_done();
        check_never_restarted();

        /* It has forgotten everything, and is told again. */
        server_start(&redis);
        g_assert_true(wait_until(all_is_well()));
        g_assert_true(wait_until(shop_reads("yes")));
        check_never_restarted();
}

static void test_stop(void) {
        int pid = desk_pid(), status;

        g_assert_cmpint(pid, >, 0);
        (void)kill(orders.pid, SIGTERM);
        g_assert_true(server_ended(&orders, 20000));
        g_assert_cmpint(waitpid(orders.pid, &status, 0), ==, orders.pid);
        orders.pid = 0;
        g_assert_cmpint(status, ==, 0);
        g_assert_cmpuint(manager_count(&manager, "STOPPING=1"), ==, 1);
        g_assert_cmpint(kill(pid, 0), <, 0);
        g_assert_true(wait_until(sql_is("SELECT count(*) FROM pg_stat_activity "
                                        "WHERE datname = 'orders' AND pid <> pg_backend_pid()",
                                        "0")));
}

/* EX_CONFIG: systemd is not to try it again. */
static void test_wrong_address(void) {
        int status;

        g_setenv("REDIS_URL", "http://localhost", TRUE);
        server_start(&orders);
        g_assert_true(server_ended(&orders, 20000));
        g_assert_cmpint(waitpid(orders.pid, &status, 0), ==, orders.pid);
        orders.pid = 0;
        g_assert_true(WIFEXITED(status));
        g_assert_cmpint(WEXITSTATUS(status), ==, 78);
}

/* The database lets us in and has its table. */
static void database_init(void) {
        char *port, *value = NULL;

        postgres_init(&postgres, PASSWORD);
        port = g_strdup_printf("%u", postgres.port);
        g_setenv("PGHOST", "127.0.0.1", TRUE);
        g_setenv("PGPORT", port, TRUE);
        g_setenv("PGUSER", "orders", TRUE);
        g_setenv("PGPASSWORD", PASSWORD, TRUE);
        g_free(port);

        server_start(&postgres);
        g_assert_true(wait_until((value = sql_in("postgres", "CREATE DATABASE orders")) != NULL));
        g_free(value);
        sql("CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
            "placed timestamptz NOT NULL DEFAULT now(), done timestamptz)");
}

static void cache_init(void) {
        char *port, *url;

        server_init(&redis, "nobody");
        if (redis.user)
                g_assert_cmpint(chmod(redis.folder, 0777), ==, 0);
        redis.port = free_port();
        port = g_strdup_printf("%u", redis.port);
        const char *const command[] = { "redis-server", "--bind", "127.0.0.1",    "--port", port,
                                        "--save",       "",       "--appendonly", "no",     NULL };

        redis.command = g_strdupv((char **)(uintptr_t)command);
        server_start(&redis);
        url = g_strdup_printf("redis://127.0.0.1:%u", redis.port);
        g_setenv("REDIS_URL", url, TRUE);
        g_free(url);
        g_free(port);
}

static void orders_init(void) {
        server_init(&orders, NULL);
        http_path = g_build_filename(orders.folder, "http", NULL);
        const char *const command[] = { g_getenv("HALE_ORDERS"), "--listen", http_path, NULL };

        g_assert_nonnull(command[0]);
        orders.command = g_strdupv((char **)(uintptr_t)command);
        g_setenv("NOTIFY_SOCKET", manager.path, TRUE);
        server_start(&orders);
        g_unsetenv("NOTIFY_SOCKET"); /* PostgreSQL would speak to the manager as well */
}

/* What it has said, for whoever has to find out why a test failed. */
static void orders_done(void) {
        char *path = g_build_filename(orders.folder, "log", NULL), *text = NULL;

        if (g_file_get_contents(path, &text, NULL, NULL))
                g_test_message("hale-orders said:\n%s", text);
        g_free(text);
        g_free(path);
        server_done(&orders);
        g_free(http_path);
}

int main(int argc, char **argv) {
        char *program = g_find_program_in_path("redis-server");
        const char *missing = postgres_missing();
        int r;

        if (missing)
                return skip_all(missing);
        if (!program)
                return skip_all("redis-server is not installed (package redis-server)");
        g_free(program);

        g_test_init(&argc, &argv, NULL);
        manager_init(&manager, NULL);
        g_unsetenv("NOTIFY_SOCKET");
        database_init();
        cache_init();
        orders_init();
        g_test_add_func("/orders/ready", test_ready);
        g_test_add_func("/orders/cache-stopped", test_cache_stopped);
        g_test_add_func("/orders/worker-killed", test_worker_killed);
        g_test_add_func("/orders/database-stopped", test_database_stopped);
        g_test_add_func("/orders/backlog", test_backlog);
        g_test_add_func("/orders/stop", test_stop);
        g_test_add_func("/orders/wrong-address", test_wrong_address);
        r = g_test_run();
        orders_done();
        server_done(&redis);
        server_end(&postgres, SIGQUIT);
        server_done(&postgres);
        manager_done(&manager);
        return r;
}
