/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * hale-orders: how a real service is written. Orders wait in a table of PostgreSQL until a
 * worker has processed them, and Redis tells a shop whether more are taken.
 *
 *   desk      the worker, a process of its own: replaced when it crashes or hangs
 *   db        the link to PostgreSQL: without it we are not ready, and nobody is restarted
 *   cache     the link to Redis: we can do without it, so its loss is a warning
 *   backlog   our own question: does the desk get on? If it does not, it is restarted
 *   memory    is trimmed when it gets short, and we are restarted before the kernel kills
 */

#include <argp.h>
#include <hale/hale.h>
#include <hale/postgres.h>
#include <hale/redis.h>
#include <hiredis/async.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define DATABASE "dbname=orders" /* and what the environment says: PGHOST, PGUSER, ... */
/* For those who may block; the connection of the link belongs to the loop. */
#define DATABASE_OF_OUR_OWN DATABASE " connect_timeout=2 options='-c statement_timeout=2s'"

/* Takes one order. Who dies before the end has done nothing, and the next one takes it. */
static const char take_one[] = "WITH taken AS (UPDATE orders SET done = now() WHERE id = ("
                               "SELECT id FROM orders WHERE done IS NULL ORDER BY id LIMIT 1 "
                               "FOR UPDATE SKIP LOCKED) RETURNING id) SELECT count(*) FROM taken";
static const char count_late[] = "SELECT count(*) FROM orders "
                                 "WHERE done IS NULL AND placed < now() - interval '30 s'";

/* The number that @query yields; or -1, and PQerrorMessage() knows why. */
static long ask(PGconn *db, const char *query) {
        PGresult *result = PQexec(db, query);
        long n = -1;

        if (PQresultStatus(result) == PGRES_TUPLES_OK)
                n = strtol(PQgetvalue(result, 0, 0), NULL, 10);
        PQclear(result);
        return n;
}

/* That the database is gone is no reason to die: the desk waits, and the link tells of it. */
static int work_at_desk(hale_worker *desk, void *userdata) {
        struct pollfd stop = { .fd = hale_worker_get_stop_fd(desk), .events = POLLIN };
        PGconn *db = PQconnectdb(DATABASE_OF_OUR_OWN);

        while (!hale_worker_should_stop(desk)) {
                long n = ask(db, take_one);

                hale_worker_beat(desk);
                if (PQstatus(db) != CONNECTION_OK)
                        PQreset(db);
                else if (n < 0)
                        (void)fprintf(stderr, "desk: %s", PQerrorMessage(db));
                if (n <= 0)
                        (void)poll(&stop, 1, 1000);
        }
        PQfinish(db);
        return 0;
}

/* In a thread of hale's pool. While the database cannot be asked, the desk is not to blame. */
static int ask_backlog(hale_probe *backlog, void *userdata) {
        PGconn *db = PQconnectdb(DATABASE_OF_OUR_OWN);
        long n = ask(db, count_late);
        int r = 0;

        if (n < 0)
                r = hale_probe_unknown(backlog, "%s", PQerrorMessage(db));
        else if (n > 0)
                r = hale_probe_fail(backlog, "waiting for more than 30 s: %ld", n);
        PQfinish(db);
        return r;
}

/* The shop looks there; without a cache it has to ask /readyz. */
static void tell_shop(hale_service *service, void *userdata) {
        redisAsyncContext *cache = hale_redis_get(hale_service_find_link(service, "cache"));

        if (cache)
                (void)redisAsyncCommand(cache, NULL, NULL, "SET orders:open %s",
                                        hale_service_is_ready(service) ? "yes" : "no");
}

/* A server that comes back may have forgotten everything. */
static void on_cache(hale_link *cache, void *userdata) {
        tell_shop(hale_link_get_service(cache), NULL);
}

static int add_parts(hale_service *s) {
        int r = hale_service_add_worker(s, NULL, "desk", work_at_desk, NULL);

        if (r >= 0)
                r = hale_worker_set_heartbeat_usec(hale_service_find_worker(s, "desk"),
                                                   HALE_WORKER_HEARTBEAT_USEC);
        if (r >= 0)
                r = hale_postgres_add(s, NULL, "db", DATABASE);
        if (r >= 0)
                r = hale_redis_add(s, NULL, "cache", getenv("REDIS_URL") ?: "redis://localhost");
        if (r >= 0)
                r = hale_link_set_gates(hale_service_find_link(s, "cache"), HALE_GATE_NONE);
        if (r >= 0)
                r = hale_link_on_change(hale_service_find_link(s, "cache"), on_cache, NULL);
        if (r >= 0)
                r = hale_service_on_change(s, tell_shop, NULL);
        if (r >= 0)
                r = hale_service_add_probe(s, NULL, "backlog", HALE_GATE_READY, ask_backlog, NULL);
        if (r >= 0)
                r = hale_probe_set_blocking(hale_service_find_probe(s, "backlog"), 1);
        if (r >= 0)
                r = hale_probe_set_timeout_usec(hale_service_find_probe(s, "backlog"), 5000000);
        if (r >= 0)
                r = hale_probe_add_restart_worker(hale_service_find_probe(s, "backlog"), NULL, 3,
                                                  hale_service_find_worker(s, "desk"));
        if (r >= 0)
                r = hale_service_add_check(s, NULL, "memory", HALE_GATE_NONE, "memory:");
        if (r >= 0)
                r = hale_probe_add_memory_ladder(hale_service_find_probe(s, "memory"));
        return r;
}

static error_t parse(int key, char *value, struct argp_state *state) {
        return key == 'l' ? hale_service_listen_http(state->input, value) : ARGP_ERR_UNKNOWN;
}

int main(int argc, char *argv[]) {
        static const struct argp_option options[] = {
                { "listen", 'l', "ADDRESS", 0, "Serve HTTP: 8080, [::1]:8080, /run/my.http", 0 },
                { 0 },
        };
        static const struct argp argp = { options, parse, .doc = "A desk that processes orders." };
        hale_service *service = NULL;
        int r;

        r = hale_service_new(&service, "hale-orders");
        if (r >= 0)
                r = argp_parse(&argp, argc, argv, 0, NULL, service);
        if (r >= 0)
                r = hale_service_set_bus_name(service, "org.hale.Orders");
        if (r >= 0)
                r = add_parts(service);
        if (r >= 0)
                r = hale_service_run(service);
        hale_service_unref(service);
        return hale_exit_status(r);
}
