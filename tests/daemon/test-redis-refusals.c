/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Links to a real Redis that is well, and does not serve
 *
 * It pauses its clients, has too many, wants another password, is a replica that may not
 * be written to or has lost its primary. What the link says, and what it makes of it.
 */

#include <hale/redis.h>
#include <hiredis/async.h>

#include "lib/link-lab.h"

static Server server;

/* Another client, with what it says in return; ended by the test. */
static redisContext *other(void) {
        redisContext *context = redisConnect("127.0.0.1", server.port);

        g_assert_nonnull(context);
        return context;
}

/* The server is told something by a client that has let itself in; the answer must begin so. */
static void tell(redisContext *context, const char *command, const char *expected) {
        redisReply *reply = redisCommand(context, command);

        g_assert_nonnull(reply);
        if (!g_str_has_prefix(reply->str ? reply->str : "", expected))
                g_error("%s: %s", command, reply->str);
        freeReplyObject(reply);
}

static void require(redisContext *context, const char *password) {
        redisReply *reply = redisCommand(context, "CONFIG SET requirepass %s", password);

        g_assert_nonnull(reply);
        g_assert_cmpstr(reply->str, ==, "OK");
        freeReplyObject(reply);
}

static char *url_with(const char *user) {
        return g_strdup_printf("redis://%s127.0.0.1:%u", user, server.port);
}

static void lab_of_redis(Lab *lab, const char *user) {
        char *url = url_with(user);

        lab_up(lab, hale_redis_add, url);
        g_free(url);
}

static void test_paused_clients(void) {
        redisContext *admin = other();
        gint64 until;
        Lab lab;

        lab_of_redis(&lab, "");
        lab_mark(&lab);
        tell(admin, "CLIENT PAUSE 1500 ALL", "OK");
        until = g_get_monotonic_time() + 1500000;
        lab_falls(&lab, "no answer within 500ms");
        lab_heals_since(&lab, until);
        redisFree(admin);
        lab_done(&lab);
}

/* Only writing is paused: that is a matter of the program. */
static void test_paused_writes(void) {
        redisContext *admin = other();
        Lab lab;

        lab_of_redis(&lab, "");
        tell(admin, "CLIENT PAUSE 10000 WRITE", "OK");
        lab_stays_up(&lab, 1000000);
        tell(admin, "CLIENT UNPAUSE", "OK");
        redisFree(admin);
        lab_done(&lab);
}

static void test_too_many(void) {
        redisContext *admin = other();
        Lab lab;

        lab_of_redis(&lab, "");
        tell(admin, "CONFIG SET maxclients 1", "OK");
        lab_mark(&lab);
        tell(admin, "CLIENT KILL TYPE normal SKIPME yes", "");
        lab_falls(&lab, "max number of clients reached");
        lab_lasts(&lab);
        tell(admin, "CONFIG SET maxclients 100", "OK");
        lab_heals(&lab);
        redisFree(admin);
        lab_done(&lab);
}

/* Who is in stays in; who has to come back needs the new one. */
static void test_password_changed(void) {
        redisContext *admin = other();
        Lab lab;

        lab_of_redis(&lab, "");
        require(admin, LAB_PASSWORD);
        lab_stays_up(&lab, 300000);
        lab_mark(&lab);
        tell(admin, "CLIENT KILL TYPE normal SKIPME yes", "");
        lab_falls(&lab, "NOAUTH Authentication required");
        lab_lasts(&lab);
        require(admin, "");
        lab_heals(&lab);
        lab_done(&lab);

        /* The other way round: ours was right, and is not any more. */
        require(admin, LAB_PASSWORD);
        lab_of_redis(&lab, ":" LAB_PASSWORD "@");
        require(admin, "another");
        lab_mark(&lab);
        tell(admin, "CLIENT KILL TYPE normal SKIPME yes", "");
        lab_falls(&lab, "not let in: WRONGPASS");
        require(admin, LAB_PASSWORD);
        lab_heals(&lab);
        require(admin, "");
        redisFree(admin);
        lab_done(&lab);
}

static void on_reply(redisAsyncContext *context, void *data, void *userdata) {
        redisReply *reply = data;
        char **ret = userdata;

        (void)context;
        *ret = g_strdup(reply && reply->str ? reply->str : "");
}

/* A replica answers, and refuses what the program writes: the connection is good. */
static void test_read_only(void) {
        redisContext *admin = other();
        char *command, *said = NULL;
        Lab lab;

        command = g_strdup_printf("REPLICAOF 127.0.0.1 %u", free_port());
        lab_of_redis(&lab, "");
        tell(admin, command, "OK");
        g_assert_cmpint(redisAsyncCommand(hale_redis_get(lab.link), on_reply, &said, "SET a 1"), ==,
                        REDIS_OK);
        g_assert_true(lab_until(&lab, said != NULL));
        g_assert_true(g_str_has_prefix(said, "READONLY"));
        lab_stays_up(&lab, 300000);

        /* Told to say nothing rather than something old, it is of no use, and says so. */
        lab_mark(&lab);
        tell(admin, "CONFIG SET replica-serve-stale-data no", "OK");
        lab_falls(&lab, "MASTERDOWN Link with MASTER is down");
        lab_lasts(&lab);
        tell(admin, "REPLICAOF NO ONE", "OK");
        lab_heals(&lab);
        redisFree(admin);
        g_free(command);
        g_free(said);
        lab_done(&lab);
}

static void test_wrong_for_long(void) {
        redisContext *admin = other();
        char *url = url_with(":" LAB_PASSWORD "@");
        Lab lab;

        require(admin, "another");
        (void)lab_ten_minutes(&lab, hale_redis_add, url);
        lab_falls(&lab, "not let in: WRONGPASS");
        require(admin, LAB_PASSWORD);
        lab_heals(&lab);
        require(admin, "");
        redisFree(admin);
        g_free(url);
        lab_done(&lab);
}

static void redis_init(void) {
        char *port;

        server_init(&server, "nobody");
        server.port = free_port();
        port = g_strdup_printf("%u", server.port);
        const char *const command[] = { "redis-server", "--bind", "127.0.0.1",    "--port", port,
                                        "--save",       "",       "--appendonly", "no",     NULL };

        if (server.user)
                g_assert_cmpint(chmod(server.folder, 0777), ==, 0);
        server.command = g_strdupv((char **)(uintptr_t)command);
        server_start(&server);
        g_free(port);
        for (gint64 limit = g_get_monotonic_time() + LIMIT_USEC;;) {
                redisContext *context = other();
                bool good = context->err == 0;

                redisFree(context);
                if (good)
                        break;
                g_assert_cmpint(g_get_monotonic_time(), <, limit);
                g_assert_false(server_ended(&server, 10));
        }
}

int main(int argc, char **argv) {
        char *program = g_find_program_in_path("redis-server");
        int r;

        if (!program)
                return skip_all("redis-server is not installed (package redis-server)");
        g_free(program);

        g_test_init(&argc, &argv, NULL);
        redis_init();
        g_test_add_func("/refusals/redis/paused-clients", test_paused_clients);
        g_test_add_func("/refusals/redis/paused-writes", test_paused_writes);
        g_test_add_func("/refusals/redis/too-many", test_too_many);
        g_test_add_func("/refusals/redis/password-changed", test_password_changed);
        g_test_add_func("/refusals/redis/read-only", test_read_only);
        g_test_add_func("/refusals/redis/wrong-for-long", test_wrong_for_long);
        r = g_test_run();
        server_done(&server);
        return r;
}
