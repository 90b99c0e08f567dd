/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Links to a real RabbitMQ
 *
 * The broker is killed, restarted and paused; it does not let us in; and others stand
 * in its place that refuse, say nothing, or talk rubbish. Each time the link says what
 * it is about, and the loop goes on turning, though librabbitmq blocks.
 */

#include <hale/amqp.h>
#include <stdbool.h>

/* librabbitmq 0.13 has them in a folder, and warns of the old place. */
#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#else
#include <amqp.h>
#endif

#include "lib/manager.h"
#include "lib/rabbitmq-server.h"

typedef struct Fixture {
        hale_service *service;
        hale_link *link;
        guint n_changes;
} Fixture;

static Server broker, names; /* one for all: it starts slowly */

static void on_change(hale_link *link, void *userdata) {
        (void)link;
        ((Fixture *)userdata)->n_changes++;
}

/* What hangs is noticed after this; where nothing hangs, a busy machine may take its time. */
#define QUICK_USEC 500000
#define PATIENT_USEC (LIMIT_USEC / 2)

static void fixture_link_within(Fixture *f, const char *url, guint64 limit_usec) {
        *f = (Fixture){ .service = service_of_test() };
        g_assert_cmpint(hale_amqp_add(f->service, &f->link, "broker", url), ==, 0);
        g_assert_cmpint(hale_link_set_check_interval_usec(f->link, 50000), ==, 0);
        g_assert_cmpint(hale_link_set_check_timeout_usec(f->link, limit_usec), ==, 0);
        g_assert_cmpint(hale_link_set_stable_usec(f->link, 1000), ==, 0);
        g_assert_cmpint(hale_link_on_change(f->link, on_change, f), ==, 0);
        g_assert_cmpint(hale_service_start(f->service), ==, 0);
}

static void fixture_link(Fixture *f, const char *url) {
        fixture_link_within(f, url, QUICK_USEC);
}

static void fixture_done(Fixture *f) {
        hale_link_unref(f->link);
        f->service = hale_service_unref(f->service);
}

static char *broker_url(const char *password) {
        return g_strdup_printf("amqp://guest:%s@127.0.0.1:%u", password, broker.port);
}

static void fixture_init_within(Fixture *f, guint64 limit_usec) {
        char *url = broker_url("guest");

        broker_up(&broker);
        fixture_link_within(f, url, limit_usec);
        g_free(url);
        g_assert_true(turn_until(f->service, hale_link_is_up(f->link)));
}

static void fixture_init(Fixture *f) {
        fixture_init_within(f, QUICK_USEC);
}

static void test_use(void) {
        amqp_connection_state_t connection;
        amqp_rpc_reply_t reply;
        guint32 generation;
        Fixture f;

        fixture_init_within(&f, PATIENT_USEC);
        generation = hale_link_get_generation(f.link);
        connection = hale_amqp_take(f.link, PATIENT_USEC);
        g_assert_nonnull(connection);
        (void)amqp_channel_open(connection, 1);
        reply = amqp_get_rpc_reply(connection);
        g_assert_cmpint(reply.reply_type, ==, AMQP_RESPONSE_NORMAL);
        g_assert_cmpint(amqp_basic_publish(connection, 1, amqp_cstring_bytes("amq.direct"),
                                           amqp_cstring_bytes("nobody"), 0, 0, NULL,
                                           amqp_cstring_bytes("hello")),
                        ==, AMQP_STATUS_OK);

        /* While it is lent, hale keeps away; then it asks again, and the channel is still there. */
        turn_for(f.service, 300000);
        hale_amqp_give(f.link);
        turn_for(f.service, 300000);
        connection = hale_amqp_take(f.link, PATIENT_USEC);
        g_assert_nonnull(connection);
        reply = amqp_channel_close(connection, 1, AMQP_REPLY_SUCCESS);
        g_assert_cmpint(reply.reply_type, ==, AMQP_RESPONSE_NORMAL);
        g_assert_cmpint(amqp_get_heartbeat(connection), ==, 60);
        hale_amqp_give(f.link);
        g_assert_cmpuint(hale_link_get_generation(f.link), ==, generation);
        g_assert_cmpuint(f.n_changes, ==, 1);
        fixture_done(&f);
}

static void test_paused(void) {
        Fixture f;

        fixture_init(&f);
        (void)kill(broker.pid, SIGSTOP);
        g_assert_true(turn_until(f.service, !hale_link_is_up(f.link)));
        g_assert_nonnull(strstr(hale_link_get_reason(f.link), "no answer"));
        g_assert_null(hale_amqp_take(f.link, 0));
        (void)kill(broker.pid, SIGCONT);
        g_assert_true(turn_until(f.service, hale_link_is_up(f.link)));
        fixture_done(&f);
}

static void test_killed(void) {
        Fixture f;
        gint64 up;

        fixture_init(&f);
        server_end(&broker, SIGKILL);
        g_assert_true(turn_until(f.service, !hale_link_is_up(f.link)));
        g_test_message("killed: %s", hale_link_get_reason(f.link));
        g_assert_true(
                turn_until(f.service, strstr(hale_link_get_reason(f.link), "127.0.0.1, port")));
        broker_up(&broker);
        up = g_get_monotonic_time();
        g_assert_cmpint(hale_link_reopen(f.link), !=, -ESTALE); /* the waits have grown long */
        g_assert_true(turn_until(f.service, hale_link_is_up(f.link)));
        g_test_message("killed: back %.1f ms after it was reopened",
                       (double)(g_get_monotonic_time() - up) / 1000);
        fixture_done(&f);
}

static void with_nobody(const char *url, const char *reason) {
        Capture capture;
        Fixture f;

        capture_start(&capture);
        fixture_link(&f, url);
        g_assert_true(turn_until(f.service, strstr(hale_link_get_reason(f.link), reason)));
        g_assert_null(hale_amqp_take(f.link, 0));
        g_assert_true(hale_service_is_live(f.service));
        g_assert_cmpuint(capture_count(&capture, "wrong-secret"), ==, 0);
        capture_stop(&capture);
        g_test_message("%s", hale_link_get_reason(f.link));
        fixture_done(&f);
}

static void with_nobody_at(const char *host, guint port, const char *reason) {
        char *url = g_strdup_printf("amqp://guest:wrong-secret@%s:%u/", host, port);

        with_nobody(url, reason);
        g_free(url);
}

static void test_password(void) {
        char *url = broker_url("wrong-secret");

        broker_up(&broker);
        with_nobody(url, "not let in: 403 ACCESS_REFUSED");
        g_free(url);
}

static void test_not_amqp(void) {
        Babbler babbler;
        guint16 port = 0;
        int fd, fds[8];

        with_nobody_at("127.0.0.1", free_port(), "connection refused, or not reachable");
        with_nobody_at("no-such-name.invalid", 5672, "hostname lookup failed");

        fd = listen_full(&port, fds);
        with_nobody_at("127.0.0.1", port, "timed out");
        for (guint i = 0; i < G_N_ELEMENTS(fds); i++)
                (void)close(fds[i]);
        (void)close(fd);

        babbler_start(&babbler, NULL);
        with_nobody_at("127.0.0.1", babbler.port, "not let in: ");
        g_assert_cmpint(g_atomic_int_get(&babbler.n_accepted), >=, 1);
        babbler_stop(&babbler);

        babbler_start(&babbler, "HTTP/1.1 400 Bad Request\r\n\r\n");
        with_nobody_at("127.0.0.1", babbler.port, "not let in: ");
        babbler_stop(&babbler);
}

static void test_urls(void) {
        static const char *const bad[] = { "", "http://a", "amqps://a", "amqp://a:port/" };
        hale_service *service = service_of_test();
        hale_link *link = NULL;

        for (gsize i = 0; i < G_N_ELEMENTS(bad); i++)
                g_assert_cmpint(hale_amqp_add(service, &link, "x", bad[i]), ==, -EINVAL);
        g_assert_null(link);
        g_assert_cmpint(hale_amqp_add(service, NULL, "a", "amqp://u:p@host/v"), ==, 0);
        g_assert_cmpint(hale_amqp_add(service, NULL, "a", "amqp://host"), ==, -EEXIST);
        g_assert_cmpint(hale_service_add_link(service, &link, "other", NULL, NULL), ==, 0);
        g_assert_null(hale_amqp_take(link, 0));
        g_assert_null(hale_amqp_take(NULL, 0));
        hale_link_unref(link);
        hale_service_unref(service);
}

int main(int argc, char **argv) {
        const char *missing = broker_missing();
        int r;

        if (missing)
                return skip_all(missing);

        g_test_init(&argc, &argv, NULL);
        broker_init(&broker, &names);
        g_test_add_func("/adapter/amqp/urls", test_urls);
        g_test_add_func("/adapter/amqp/use", test_use);
        g_test_add_func("/adapter/amqp/paused", test_paused);
        g_test_add_func("/adapter/amqp/password", test_password);
        g_test_add_func("/adapter/amqp/not-amqp", test_not_amqp);
        g_test_add_func("/adapter/amqp/killed", test_killed);
        r = g_test_run();
        server_done(&broker);
        server_done(&names);
        return r;
}
