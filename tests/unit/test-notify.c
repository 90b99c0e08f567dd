/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Notify
 *
 * Held against a real datagram socket: every state arrives, in order, however
 * long systemd does not listen; the newest STATUS arrives, at most one a second;
 * a ping is never late and never after STOPPING=1; and no text, however hostile,
 * adds an assignment.
 */

#include <glib.h>

#include "base/clock.h"
#include "base/fd.h"
#include "datagram-fixture.h"
#include "report/notify.h"

#define START (1000 * USEC_PER_SEC)

typedef struct Manager {
        Receiver receiver;
        Notify notify;
} Manager;

static void manager_init(Manager *manager) {
        receiver_init(&manager->receiver);
        g_assert_cmpint(notify_init(&manager->notify, manager->receiver.path), ==, 0);
        g_assert_true(notify_is_managed(&manager->notify));
}

static void manager_done(Manager *manager) {
        g_autofree char *rest = receiver_take(&manager->receiver, NULL);

        g_assert_null(rest);
        notify_done(&manager->notify);
        receiver_done(&manager->receiver);
}

static void test_messages(void) {
        Manager manager;
        Notify *notify = &manager.notify;

        manager_init(&manager);
        notify_extend(notify, 15 * USEC_PER_SEC, START);
        receiver_expect(&manager.receiver, "EXTEND_TIMEOUT_USEC=15000000");
        notify_ready(notify, "ready; 4 probes pass", START);
        receiver_expect(&manager.receiver, "READY=1\nSTATUS=ready; 4 probes pass");
        g_assert_cmpint(notify_watchdog(notify, START), ==, 1);
        receiver_expect(&manager.receiver, "WATCHDOG=1");
        notify_reloading(notify, "reloading", START + 5);
        receiver_expect(&manager.receiver,
                        "RELOADING=1\nMONOTONIC_USEC=1000000005\nSTATUS=reloading");
        notify_ready(notify, NULL, START);
        receiver_expect(&manager.receiver, "READY=1");
        notify_restart_reset(notify, START);
        receiver_expect(&manager.receiver, "RESTART_RESET=1");
        notify_trigger(notify, "not live: queue", START);
        receiver_expect(&manager.receiver, "STATUS=not live: queue\nWATCHDOG=trigger");
        notify_stopping(notify, NULL, START);
        receiver_expect(&manager.receiver, "STOPPING=1");

        g_assert_cmpuint(notify->n_sent, ==, 8);
        g_assert_cmpuint(notify->n_failed, ==, 0);
        g_assert_cmpuint(notify_deadline(notify), ==, USEC_NEVER);
        manager_done(&manager);
}

static void test_without_manager(void) {
        static const char *const bad[] = { "vsock:2:1234", "relative", "/" };
        static const int errors[] = { -EAFNOSUPPORT, -EAFNOSUPPORT, -EINVAL };
        Notify notify;

        for (gsize i = 0; i <= G_N_ELEMENTS(bad); i++) {
                int r = notify_init(&notify, i < G_N_ELEMENTS(bad) ? bad[i] : NULL);

                g_assert_cmpint(r, ==, i < G_N_ELEMENTS(bad) ? errors[i] : 0);
                g_assert_false(notify_is_managed(&notify));
                g_assert_cmpint(notify_ready(&notify, "x", START), ==, 0);
                g_assert_cmpint(notify_status(&notify, "x", START), ==, 0);
                g_assert_cmpint(notify_watchdog(&notify, START), ==, 0);
                g_assert_cmpint(notify_trigger(&notify, "x", START), ==, 0);
                g_assert_cmpint(notify_fdstore_remove(&notify, "x"), ==, 0);
                notify_flush(&notify, START);
                g_assert_cmpuint(notify_deadline(&notify), ==, USEC_NEVER);
                g_assert_cmpuint(notify.n_sent + notify.n_failed + notify.n_dropped, ==, 0);
                notify_done(&notify);
        }
}

static void test_no_ping_after_stopping(void) {
        Manager manager;

        manager_init(&manager);
        notify_stopping(&manager.notify, NULL, START);
        receiver_expect(&manager.receiver, "STOPPING=1");

        g_assert_cmpint(notify_watchdog(&manager.notify, START), ==, 0);
        notify_ready(&manager.notify, NULL, START);
        notify_reloading(&manager.notify, NULL, START);
        notify_stopping(&manager.notify, NULL, START);
        g_assert_cmpuint(manager.notify.n_queue, ==, 0);

        notify_extend(&manager.notify, 7, START);
        receiver_expect(&manager.receiver, "EXTEND_TIMEOUT_USEC=7");
        manager_done(&manager);
}

static void test_one_status_a_second(void) {
        Manager manager;
        Notify *notify = &manager.notify;

        manager_init(&manager);
        notify_status(notify, "one", START);
        receiver_expect(&manager.receiver, "STATUS=one");
        g_assert_cmpuint(notify_deadline(notify), ==, USEC_NEVER);

        notify_status(notify, "two", START + 1);
        notify_status(notify, "three", START + 2);
        g_assert_cmpuint(notify_deadline(notify), ==, START + STATUS_INTERVAL_USEC);
        notify_flush(notify, START + STATUS_INTERVAL_USEC - 1);
        receiver_expect(&manager.receiver, NULL);
        notify_flush(notify, START + STATUS_INTERVAL_USEC);
        receiver_expect(&manager.receiver, "STATUS=three");

        /* What systemd knows already is not told again; what turned back is not told at all. */
        notify_status(notify, "three", START + 10 * USEC_PER_SEC);
        receiver_expect(&manager.receiver, NULL);
        notify_status(notify, "four", START + 10 * USEC_PER_SEC);
        receiver_expect(&manager.receiver, "STATUS=four");
        notify_status(notify, "five", START + 10 * USEC_PER_SEC + 1);
        notify_status(notify, "four", START + 10 * USEC_PER_SEC + 2);
        g_assert_cmpuint(notify_deadline(notify), ==, USEC_NEVER);

        /* A state takes a status that waits along, and does not wait for its second. */
        notify_status(notify, "six", START + 10 * USEC_PER_SEC + 3);
        notify_ready(notify, NULL, START + 10 * USEC_PER_SEC + 4);
        receiver_expect(&manager.receiver, "READY=1\nSTATUS=six");
        manager_done(&manager);
}

static void test_full_queue_keeps_states(void) {
        Manager manager;
        Notify *notify = &manager.notify;
        guint n;

        manager_init(&manager);
        n = receiver_fill(&manager.receiver);

        g_assert_cmpint(notify_ready(notify, "first", START), ==, 0);
        g_assert_cmpint(notify_watchdog(notify, START), ==, -EAGAIN);
        for (guint i = 0; i < 5; i++) {
                notify_reloading(notify, NULL, START + i);
                notify_ready(notify, "reloaded", START + i);
                notify_status(notify, "newest", START + i);
        }
        notify_stopping(notify, NULL, START + 9);
        g_assert_cmpuint(notify->n_dropped, ==, 1);
        g_assert_cmpuint(notify->n_failed, >, 1);
        g_assert_cmpuint(notify->n_sent, ==, 0);
        g_assert_cmpuint(notify_deadline(notify), >, START);
        g_assert_cmpuint(notify_deadline(notify), <=, START + 9 + NOTIFY_RETRY_MAX_USEC);

        /* Not before its time, but then. */
        receiver_drain(&manager.receiver, n);
        notify_flush(notify, notify_deadline(notify) - 1);
        receiver_expect(&manager.receiver, NULL);
        notify_flush(notify, notify_deadline(notify));
        receiver_expect(&manager.receiver, "READY=1");
        receiver_expect(&manager.receiver, "RELOADING=1\nMONOTONIC_USEC=1000000004");
        receiver_expect(&manager.receiver, "READY=1");
        receiver_expect(&manager.receiver, "STOPPING=1\nSTATUS=newest");
        g_assert_cmpuint(notify_deadline(notify), ==, USEC_NEVER);
        manager_done(&manager);
}

static void test_full_queue_keeps_trigger(void) {
        Manager manager;
        Notify *notify = &manager.notify;
        guint n;

        manager_init(&manager);
        n = receiver_fill(&manager.receiver);
        notify_extend(notify, 5, START);
        notify_extend(notify, 6, START);
        notify_restart_reset(notify, START);
        notify_trigger(notify, "not live: queue", START);
        notify_status(notify, "something else", START);

        receiver_drain(&manager.receiver, n);
        notify_flush(notify, notify_deadline(notify));
        receiver_expect(&manager.receiver, "STATUS=not live: queue\nWATCHDOG=trigger");
        receiver_expect(&manager.receiver, "EXTEND_TIMEOUT_USEC=6");
        receiver_expect(&manager.receiver, "RESTART_RESET=1");
        manager_done(&manager);
}

/* A start that is over needs no more time: that would lengthen the armed watchdog. */
static void test_late_extend_is_void(void) {
        Manager manager;
        guint n;

        manager_init(&manager);
        n = receiver_fill(&manager.receiver);
        notify_extend(&manager.notify, 5, START);
        notify_ready(&manager.notify, NULL, START);
        receiver_drain(&manager.receiver, n);
        notify_flush(&manager.notify, notify_deadline(&manager.notify));
        receiver_expect(&manager.receiver, "READY=1");
        manager_done(&manager);
}

static void test_manager_vanishes_and_returns(void) {
        Manager manager;
        Notify *notify = &manager.notify;
        guint64 now = START, last;
        int fd;

        manager_init(&manager);
        fd = notify->datagram.fd;
        receiver_close(&manager.receiver);
        g_assert_cmpint(notify_watchdog(notify, now), ==, -ECONNREFUSED);
        (void)unlink(manager.receiver.path);
        notify_ready(notify, "ready", now);
        g_assert_cmpint(notify->last_error, ==, -ENOENT);

        /* Asked ever more seldom, but never given up. */
        last = 0;
        for (guint i = 0; i < 20; i++) {
                guint64 wait = notify_deadline(notify) - now;

                g_assert_cmpuint(wait, >=, MIN(last, NOTIFY_RETRY_MAX_USEC));
                g_assert_cmpuint(wait, <=, NOTIFY_RETRY_MAX_USEC);
                last = wait;
                now += wait;
                notify_flush(notify, now);
        }
        g_assert_cmpuint(last, ==, NOTIFY_RETRY_MAX_USEC);

        receiver_open(&manager.receiver);
        notify_flush(notify, notify_deadline(notify));
        receiver_expect(&manager.receiver, "READY=1\nSTATUS=ready");
        g_assert_cmpint(notify->datagram.fd, ==, fd);
        manager_done(&manager);
}

static void test_manager_comes_late(void) {
        Receiver receiver;
        Notify notify;

        receiver_init(&receiver);
        receiver_close(&receiver);
        (void)unlink(receiver.path);
        g_assert_cmpint(notify_init(&notify, receiver.path), ==, 0);
        g_assert_cmpint(notify.last_error, ==, -ENOENT);

        receiver_open(&receiver);
        g_assert_cmpint(notify_watchdog(&notify, START), ==, 1);
        receiver_expect(&receiver, "WATCHDOG=1");
        notify_done(&notify);
        receiver_done(&receiver);
}

static void test_fdstore(void) {
        g_autofree char *longest = g_strnfill(255, 'a'), *too_long = g_strnfill(256, 'a');
        static const char *const bad[] = {
                NULL, "", "a b", "a:b", "a\nWATCHDOG=trigger", "\xc3\xbc"
        };
        Manager manager;
        guint n;

        manager_init(&manager);
        for (gsize i = 0; i < G_N_ELEMENTS(bad); i++)
                g_assert_cmpint(notify_fdstore(&manager.notify, 0, bad[i]), ==, -EINVAL);
        g_assert_cmpint(notify_fdstore(&manager.notify, 0, too_long), ==, -EINVAL);

        g_assert_cmpint(notify_fdstore(&manager.notify, 0, longest), ==, 0);
        g_free(receiver_take(&manager.receiver, NULL));
        g_assert_cmpint(notify_fdstore(&manager.notify, 0, "hale-history"), ==, 0);
        receiver_expect(&manager.receiver, "FDSTORE=1\nFDNAME=hale-history\nFDPOLL=0");
        g_assert_cmpint(manager.receiver.passed_fd, >=, 0);
        g_assert_cmpint(notify_fdstore_remove(&manager.notify, "hale-history"), ==, 0);
        receiver_expect(&manager.receiver, "FDSTOREREMOVE=1\nFDNAME=hale-history");
        g_assert_cmpint(manager.receiver.passed_fd, <, 0);

        n = receiver_fill(&manager.receiver);
        g_assert_cmpint(notify_fdstore(&manager.notify, 0, "x"), ==, -EAGAIN);
        receiver_drain(&manager.receiver, n);
        manager_done(&manager);
}

static void test_injection(void) {
        static const char *const attacks[] = {
                "ok\nMAINPID=1",
                "ok\r\nWATCHDOG=trigger",
                "ok\vFDSTOREREMOVE=1",
                "ok\xe2\x80\xa8NOTIFYACCESS=all",
                "ok\xc2\x85WATCHDOG_USEC=1",
                "\n\n\nREADY=1\n",
        };
        Manager manager;

        manager_init(&manager);
        for (gsize i = 0; i < G_N_ELEMENTS(attacks); i++) {
                g_autofree char *datagram = NULL;

                notify_status(&manager.notify, attacks[i], START + i * USEC_PER_MINUTE);
                datagram = receiver_take(&manager.receiver, NULL);
                g_assert_true(g_str_has_prefix(datagram, "STATUS="));
                g_assert_null(strpbrk(datagram, "\n\r\v"));
                g_assert_null(strstr(datagram, "\xe2\x80\xa8"));

                notify_trigger(&manager.notify, attacks[i], START);
                g_free(g_steal_pointer(&datagram));
                datagram = receiver_take(&manager.receiver, NULL);
                g_assert_true(g_str_has_suffix(datagram, "\nWATCHDOG=trigger"));
                g_assert_true(strchr(datagram, '\n') == strrchr(datagram, '\n'));
        }

        notify_status(&manager.notify, "pg://me:pw@db password=x", START + USEC_PER_HOUR);
        receiver_expect(&manager.receiver, "STATUS=pg://*****@db password=*");
        manager_done(&manager);
}

static void test_status_has_200_characters(void) {
        g_autofree char *ascii = g_strnfill(5000, 'x');
        g_autoptr(GString) wide = g_string_new(NULL);
        char clean[STATUS_SIZE];

        for (guint i = 0; i < STATUS_LENGTH_MAX; i++)
                g_string_append(wide, "\xf0\x9f\x8d\x8e");
        g_assert_cmpuint(notify_clean_status(wide->str, wide->len, clean), ==, 800);
        g_assert_cmpstr(clean, ==, wide->str);

        g_string_append(wide, "x");
        (void)notify_clean_status(wide->str, wide->len, clean);
        g_assert_cmpint(g_utf8_strlen(clean, -1), <=, STATUS_LENGTH_MAX);
        g_assert_true(g_str_has_suffix(clean, "..."));

        g_assert_cmpuint(notify_clean_status(ascii, 5000, clean), ==, STATUS_LENGTH_MAX);
        g_assert_cmpuint(notify_clean_status(NULL, 0, clean), ==, 0);
}

/* A manager that sometimes does not listen and sometimes is not there, and what it knows. */
typedef struct Walk {
        Manager manager;
        guint64 now;
        int said, heard; /* the last state; 0 READY, 1 RELOADING, 2 STOPPING, -1 none */
        gboolean full;
} Walk;

static void walk_listen(Walk *walk) {
        static const char *const states[] = { "READY=1", "RELOADING=1", "STOPPING=1" };

        for (char *datagram; (datagram = receiver_take(&walk->manager.receiver, NULL));
             g_free(datagram)) {
                /* After the end there is nothing but more time and the reason. */
                g_assert_true(walk->heard != 2 || !strstr(datagram, "=1"));
                for (int i = 0; i < 3; i++)
                        if (g_str_has_prefix(datagram, states[i]))
                                walk->heard = i;
        }
        walk->full = FALSE;
}

/* What was in its queue is lost with it, and not ours to tell again. */
static void walk_close(Walk *walk) {
        walk_listen(walk);
        receiver_close(&walk->manager.receiver);
}

static void walk_step(Walk *walk, guint step) {
        g_autofree char *text = g_strdup_printf("status %u\nREADY=1", step);
        Receiver *receiver = &walk->manager.receiver;
        Notify *notify = &walk->manager.notify;

        switch (g_test_rand_int_range(0, 10)) {
        case 0:
                notify_ready(notify, text, walk->now);
                walk->said = 0;
                break;
        case 1:
                notify_reloading(notify, NULL, walk->now);
                walk->said = 1;
                break;
        case 2:
        case 3:
                notify_status(notify, text, walk->now);
                break;
        case 4:
                (void)notify_watchdog(notify, walk->now);
                break;
        case 5:
                if (receiver->fd >= 0 && !walk->full) {
                        (void)receiver_fill(receiver);
                        walk->full = TRUE;
                }
                break;
        case 6:
                if (receiver->fd >= 0)
                        walk_close(walk);
                break;
        case 7:
                if (receiver->fd < 0)
                        receiver_open(receiver);
                break;
        default:
                if (walk->now >= notify_deadline(notify))
                        notify_flush(notify, walk->now);
        }
}

/* When nothing waits any more, the manager knows the state that was said last. */
static void test_random_walk(void) {
        Walk walk = { .now = START, .said = -1, .heard = -1 };
        Notify *notify = &walk.manager.notify;

        manager_init(&walk.manager);
        for (guint step = 0; step < 5000; step++) {
                walk.now += (guint64)g_test_rand_int_range(0, 300000);
                walk_step(&walk, step);
                g_assert_cmpuint(notify->n_queue, <=, NOTIFY_QUEUE_MAX);

                if (walk.manager.receiver.fd < 0 || g_test_rand_bit())
                        continue;
                walk_listen(&walk);
                if (notify->n_queue == 0)
                        g_assert_cmpint(walk.heard, ==, walk.said);
        }

        if (walk.manager.receiver.fd < 0)
                receiver_open(&walk.manager.receiver);
        notify_stopping(notify, NULL, walk.now);
        for (guint i = 0; i < 100 && notify_deadline(notify) != USEC_NEVER; i++) {
                walk_listen(&walk);
                notify_flush(notify, notify_deadline(notify));
        }
        walk_listen(&walk);
        g_assert_cmpint(walk.heard, ==, 2);
        manager_done(&walk.manager);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);

        g_test_add_func("/report/notify/messages", test_messages);
        g_test_add_func("/report/notify/without-manager", test_without_manager);
        g_test_add_func("/report/notify/no-ping-after-stopping", test_no_ping_after_stopping);
        g_test_add_func("/report/notify/one-status-a-second", test_one_status_a_second);
        g_test_add_func("/report/notify/full-queue-keeps-states", test_full_queue_keeps_states);
        g_test_add_func("/report/notify/full-queue-keeps-trigger", test_full_queue_keeps_trigger);
        g_test_add_func("/report/notify/late-extend-is-void", test_late_extend_is_void);
        g_test_add_func("/report/notify/manager-vanishes-and-returns",
                        test_manager_vanishes_and_returns);
        g_test_add_func("/report/notify/manager-comes-late", test_manager_comes_late);
        g_test_add_func("/report/notify/fdstore", test_fdstore);
        g_test_add_func("/report/notify/injection", test_injection);
        g_test_add_func("/report/notify/status-has-200-characters", test_status_has_200_characters);
        g_test_add_func("/report/notify/random-walk", test_random_walk);

        return g_test_run();
}
