/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Public calls without memory
 *
 * Each call that adds something to a service is made with the memory failing at its first
 * request, at its second, and so on. It returns -ENOMEM, leaves everything as it was, and
 * succeeds when there is memory again; before the start, and while the service runs.
 */

#include "lib/failing-memory.h"
#include "lib/manager.h"

typedef struct Subject {
        hale_service *service;
        hale_probe *probe; /* to be given remedies */
        hale_link *link;
        hale_worker *worker;
        const char *spec;
        guint n_free, n_open;
} Subject;

static int well(hale_probe *probe, void *userdata) {
        (void)probe, (void)userdata;
        return 0;
}

static int work(hale_worker *worker, void *userdata) {
        (void)worker, (void)userdata;
        return 0;
}

static int treat(hale_remedy *remedy, void *userdata) {
        (void)remedy, (void)userdata;
        return 0;
}

static int link_open(hale_link *link, void *userdata) {
        (void)link;
        ((Subject *)userdata)->n_open++;
        return 0;
}

static void link_free(void *userdata) {
        ((Subject *)userdata)->n_free++;
}

static const hale_link_ops ops = { .open = link_open, .free = link_free };

static bool nothing_new(void *userdata) {
        const Subject *subject = userdata;

        return !hale_service_find_probe(subject->service, "new") &&
               !hale_service_find_link(subject->service, "new") &&
               !hale_service_find_worker(subject->service, "new") && subject->n_free == 0;
}

static void undo_probe(void *userdata) {
        const Subject *subject = userdata;

        g_assert_cmpint(hale_probe_drop(hale_service_find_probe(subject->service, "new")), ==, 0);
}

static void cannot_be_undone(void *userdata) {
        (void)userdata;
        g_assert_not_reached();
}

static int add_probe(void *userdata) {
        Subject *subject = userdata;

        return hale_service_add_probe(subject->service, NULL, "new", HALE_GATE_READY, well, NULL);
}

static int add_check(void *userdata) {
        Subject *subject = userdata;

        return hale_service_add_check(subject->service, NULL, "new", HALE_GATE_READY,
                                      subject->spec);
}

static int add_link(void *userdata) {
        Subject *subject = userdata;

        return hale_service_add_link(subject->service, NULL, "new", &ops, subject);
}

static int add_worker(void *userdata) {
        Subject *subject = userdata;

        return hale_service_add_worker(subject->service, NULL, "new", work, NULL);
}

static void subject_init(Subject *subject) {
        *subject = (Subject){ .service = service_of_test(), .spec = "memory:" };
}

static void subject_run(Subject *subject) {
        g_assert_cmpint(hale_service_start(subject->service), ==, 0);
        g_assert_true(turn_until(subject->service, hale_service_is_ready(subject->service)));
}

/* A link is never dropped: on with another service. It does its work even so. */
static void undo_link(void *userdata) {
        Subject *subject = userdata;
        hale_link *link = hale_service_find_link(subject->service, "new");

        g_assert_true(turn_until(subject->service, hale_link_is_up(link)));
        hale_service_unref(subject->service);
        g_assert_cmpuint(subject->n_free, ==, 1);
        subject_init(subject);
        subject_run(subject);
}

static void test_probe(void) {
        for (guint running = 0; running < 2; running++) {
                Subject subject;

                subject_init(&subject);
                if (running)
                        subject_run(&subject);
                g_test_message("%u requests",
                               memory_walk(add_probe, nothing_new, undo_probe, &subject));
                if (!running)
                        subject_run(&subject);
                g_assert_true(turn_until(subject.service, hale_service_is_ready(subject.service)));
                hale_service_unref(subject.service);
        }
}

static void test_check(void) {
        static const char *const specs[] = {
                "memory:",
                "disk:/?free=1%",
                "file:/etc/passwd",
                "tcp://localhost:1",
                "tcp://127.0.0.1:1?expect=hello",
                "fds:",
                "loop:",
                "unix:/nonexistent",
        };

        for (gsize i = 0; i < G_N_ELEMENTS(specs); i++) {
                Subject subject;

                subject_init(&subject);
                subject.spec = specs[i];
                g_test_message("%s: %u requests", specs[i],
                               memory_walk(add_check, nothing_new, undo_probe, &subject));
                hale_service_unref(subject.service);
        }
}

static void test_link(void) {
        for (guint running = 0; running < 2; running++) {
                Subject subject;

                subject_init(&subject);
                if (running)
                        subject_run(&subject);
                g_test_message("%u requests",
                               memory_walk(add_link, nothing_new, undo_link, &subject));
                if (!running)
                        g_assert_cmpint(hale_service_start(subject.service), ==, 0);
                g_assert_true(turn_until(subject.service,
                                         hale_link_is_up(
                                                 hale_service_find_link(subject.service, "new"))));
                g_assert_cmpuint(subject.n_open, ==, 1);
                hale_service_unref(subject.service);
                g_assert_cmpuint(subject.n_free, ==, 1);
        }
}

static void test_worker(void) {
        Subject subject;

        subject_init(&subject);
        g_test_message("%u requests",
                       memory_walk(add_worker, nothing_new, cannot_be_undone, &subject));
        hale_service_unref(subject.service);
}

/* Remedies cannot be looked for: that the name is free afterwards says that there is none. */
static bool whatever(void *userdata) {
        (void)userdata;
        return true;
}

static int add_remedy(void *userdata) {
        return hale_probe_add_remedy(((Subject *)userdata)->probe, NULL, "treat", 1, treat, NULL);
}

static int add_trim(void *userdata) {
        return hale_probe_add_trim(((Subject *)userdata)->probe, NULL, 1);
}

static int add_reopen_link(void *userdata) {
        const Subject *subject = userdata;

        return hale_probe_add_reopen_link(subject->probe, NULL, 1, subject->link);
}

static int add_restart_worker(void *userdata) {
        const Subject *subject = userdata;

        return hale_probe_add_restart_worker(subject->probe, NULL, 1, subject->worker);
}

static int add_give_up(void *userdata) {
        return hale_probe_add_give_up(((Subject *)userdata)->probe, 1);
}

static int add_memory_ladder(void *userdata) {
        return hale_probe_add_memory_ladder(((Subject *)userdata)->probe);
}

static void test_remedy(void) {
        static int (*const calls[])(void *) = { add_remedy, add_trim, add_reopen_link,
                                                add_restart_worker, add_give_up };
        Subject subject;

        subject_init(&subject);
        g_assert_cmpint(hale_service_add_link(subject.service, &subject.link, "db", NULL, NULL), ==,
                        0);
        g_assert_cmpint(hale_service_add_worker(subject.service, &subject.worker, "mailer", work,
                                                NULL),
                        ==, 0);
        g_assert_cmpint(hale_service_add_probe(subject.service, &subject.probe, "patient",
                                               HALE_GATE_READY, well, NULL),
                        ==, 0);
        for (gsize i = 0; i < G_N_ELEMENTS(calls); i++)
                g_test_message("%u requests",
                               memory_walk(calls[i], whatever, cannot_be_undone, &subject));
        hale_probe_unref(subject.probe);
        hale_link_unref(subject.link);
        hale_worker_unref(subject.worker);
        hale_service_unref(subject.service);
}

static void add_memory_probe(Subject *subject) {
        g_assert_cmpint(hale_service_add_check(subject->service, &subject->probe, "memory", 0,
                                               "memory:"),
                        ==, 0);
}

/* It can do without the pressure, say. */
static void undo_memory_ladder(void *userdata) {
        Subject *subject = userdata;

        g_assert_cmpint(hale_probe_drop(subject->probe), ==, 0);
        hale_probe_unref(subject->probe);
        add_memory_probe(subject);
}

static void test_memory_ladder(void) {
        Subject subject;

        subject_init(&subject);
        add_memory_probe(&subject);
        g_test_message("%u requests",
                       memory_walk(add_memory_ladder, whatever, undo_memory_ladder, &subject));
        subject_run(&subject);
        hale_probe_unref(subject.probe);
        hale_service_unref(subject.service);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/service/memory-fails/probe", test_probe);
        g_test_add_func("/service/memory-fails/check", test_check);
        g_test_add_func("/service/memory-fails/link", test_link);
        g_test_add_func("/service/memory-fails/worker", test_worker);
        g_test_add_func("/service/memory-fails/remedy", test_remedy);
        g_test_add_func("/service/memory-fails/memory-ladder", test_memory_ladder);
        return g_test_run();
}
