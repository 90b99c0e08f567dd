/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Links to a real RabbitMQ that is well, and does not serve
 *
 * Its operator closes connections, takes away the virtual host or the rights, its memory runs
 * short, it is stopped in order. What the link says, and what it makes of it.
 */

#include <hale/amqp.h>

/* librabbitmq 0.13 has them in a folder, and warns of the old place. */
#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#else
#include <amqp.h>
#endif

#include "lib/link-lab.h"
#include "lib/rabbitmq-server.h"

static Server broker, names; /* one for all: it starts slowly */

/* rabbitmqctl takes its time: the loop turns meanwhile, and the links see what comes of it. */
typedef struct Order {
        const char *words[8];
        gint done;
} Order;

static gpointer order_main(gpointer data) {
        Order *order = data;

        broker_control(&broker, order->words);
        g_atomic_int_set(&order->done, 1);
        return NULL;
}

static void order_while_turning(Lab *lab, Order order) {
        GThread *thread = g_thread_new("operator", order_main, &order);

        while (!g_atomic_int_get(&order.done))
                lab_turn(lab);
        g_thread_join(thread);
}

#define order(lab, ...) order_while_turning((lab), (Order){ .words = { __VA_ARGS__ } })

static char *url_of(const char *who, const char *where) {
        return g_strdup_printf("amqp://%s@127.0.0.1:%u%s", who, broker.port, where);
}

static void lab_of_amqp(Lab *lab, const char *who, const char *where) {
        char *url = url_of(who, where);

        broker_up(&broker);
        lab_up(lab, hale_amqp_add, url);
        g_free(url);
}

/* Publishes one message; says what librabbitmq says. */
static int publish(Lab *lab) {
        amqp_connection_state_t connection = hale_amqp_take(lab->link, G_USEC_PER_SEC);
        int r = AMQP_STATUS_CONNECTION_CLOSED;

        if (!connection)
                return r;
        if (amqp_channel_open(connection, 1))
                r = amqp_basic_publish(connection, 1, amqp_cstring_bytes("amq.direct"),
                                       amqp_cstring_bytes("nobody"), 0, 0, NULL,
                                       amqp_cstring_bytes("hello"));
        hale_amqp_give(lab->link);
        return r;
}

static void test_closed_by_operator(void) {
        Lab lab;

        lab_of_amqp(&lab, "guest:guest", "");
        lab_mark(&lab);
        order(&lab, "close_all_connections", "out of the way");
        g_assert_true(lab_until(&lab, lab_attempts(&lab) > 0));
        lab_heals(&lab);
        g_assert_cmpuint(capture_count(&lab.capture, "is down: the broker closed the connection: "
                                                     "320 CONNECTION_FORCED - out of the way"),
                         ==, 1);
        lab_done(&lab);
}

static void test_memory_alarm(void) {
        char *url = url_of("guest:guest", "");
        Lab lab;

        broker_up(&broker);
        lab_add(&lab, hale_amqp_add, url);
        g_assert_cmpint(hale_link_set_check_timeout_usec(lab.link, 10 * G_USEC_PER_SEC), ==, 0);
        lab_start(&lab);
        g_assert_true(lab_until(&lab, hale_link_is_up(lab.link)));

        /* Who does not publish is served. */
        order(&lab, "set_vm_memory_high_watermark", "0");
        lab_stays_up(&lab, 500000);

        /* Who does is not listened to any more, whatever he says. */
        lab_mark(&lab);
        g_assert_cmpint(publish(&lab), ==, AMQP_STATUS_OK);
        lab_falls(&lab, "short of memory or disk does not listen to those who publish");
        lab_heals(&lab);
        order(&lab, "set_vm_memory_high_watermark", "0.9");
        g_assert_cmpint(publish(&lab), ==, AMQP_STATUS_OK);
        lab_stays_up(&lab, 500000);
        lab_done(&lab);
        g_free(url);
}

static void test_no_vhost(void) {
        char *url = url_of("guest:guest", "/shop");
        Lab lab;

        broker_up(&broker);
        lab_add(&lab, hale_amqp_add, url);
        lab_start(&lab);
        lab_falls(&lab, "not let in: 530 NOT_ALLOWED - vhost shop not found");
        lab_lasts(&lab);
        order(&lab, "add_vhost", "shop");
        order(&lab, "set_permissions", "-p", "shop", "guest", ".*", ".*", ".*");
        lab_heals(&lab);
        lab_done(&lab);
        g_free(url);
}

static void test_no_rights(void) {
        char *url = url_of("clerk:" LAB_PASSWORD, "");
        Lab lab;

        broker_up(&broker);
        lab_add(&lab, hale_amqp_add, url);
        order(&lab, "add_user", "clerk", LAB_PASSWORD);
        lab_start(&lab);
        lab_falls(&lab,
                  "not let in: 530 NOT_ALLOWED - access to vhost '/' refused for user 'clerk'");
        lab_lasts(&lab);
        order(&lab, "set_permissions", "clerk", "none", "none", "none");
        lab_heals(&lab);

        /* In, but without the right to write: the broker closes the program's channel, not more. */
        g_assert_cmpint(publish(&lab), ==, AMQP_STATUS_OK);
        lab_stays_up(&lab, 500000);
        lab_done(&lab);
        g_free(url);
}

static void test_wrong_for_long(void) {
        char *url = url_of("guest:" LAB_PASSWORD, "");
        Lab lab;

        broker_up(&broker);
        (void)lab_ten_minutes(&lab, hale_amqp_add, url);
        lab_falls(&lab, "not let in: 403 ACCESS_REFUSED");
        lab_done(&lab);
        g_free(url);
}

static void test_stopped(void) {
        Lab lab;

        lab_of_amqp(&lab, "guest:guest", "");
        lab_mark(&lab);
        (void)kill(broker.pid, SIGTERM);
        g_assert_true(lab_until(&lab, !hale_link_is_up(lab.link)));
        g_test_message("stopped: %s", hale_link_get_reason(lab.link));
        server_end(&broker, SIGTERM);
        lab_falls(&lab, "connection refused, or not reachable");
        broker_up(&broker);
        g_assert_cmpint(hale_link_reopen(lab.link), !=, -ESTALE); /* the waits have grown long */
        g_assert_true(lab_until(&lab, hale_link_is_up(lab.link)));
        lab_done(&lab);
}

int main(int argc, char **argv) {
        const char *missing = broker_missing();
        int r;

        if (missing)
                return skip_all(missing);

        g_test_init(&argc, &argv, NULL);
        broker_init(&broker, &names);
        g_test_add_func("/refusals/amqp/closed-by-operator", test_closed_by_operator);
        g_test_add_func("/refusals/amqp/memory-alarm", test_memory_alarm);
        g_test_add_func("/refusals/amqp/no-vhost", test_no_vhost);
        g_test_add_func("/refusals/amqp/no-rights", test_no_rights);
        g_test_add_func("/refusals/amqp/wrong-for-long", test_wrong_for_long);
        g_test_add_func("/refusals/amqp/stopped", test_stopped);
        r = g_test_run();
        server_done(&broker);
        server_done(&names);
        return r;
}
