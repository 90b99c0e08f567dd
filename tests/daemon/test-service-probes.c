/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Probes of a running service, through the public calls only
 *
 * Each way to answer (in the callback, later, pushed, from other threads, blocking)
 * comes to the health as it should; what is late or wrong does not; and what a
 * careless program does (dropping a probe in its own callback, changing things in
 * on_change, asking in a forked child) ends in a stated way.
 */

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/wait.h>

#include "lib/manager.h"

static int pass(hale_probe *probe, void *userdata) {
        (void)probe;
        if (userdata)
                ++*(guint *)userdata;
        return 0;
}

static int answer_int(hale_probe *probe, void *userdata) {
        (void)probe;
        return *(int *)userdata;
}

static void test_refusals(void) {
        hale_service *service = service_of_test(), *second = NULL;
        hale_probe *probe = NULL, *none = NULL;

        g_assert_cmpint(hale_service_new(&second, "other"), ==, -EEXIST);
        g_assert_null(second);

        g_assert_cmpint(hale_service_add_probe(service, &probe, "db", HALE_GATE_READY, pass, NULL),
                        ==, 0);
        g_assert_cmpint(hale_service_add_probe(service, &none, "db", 0, pass, NULL), ==, -EEXIST);
        g_assert_cmpint(hale_service_add_probe(service, &none, "Db", 0, pass, NULL), ==, -EINVAL);
        g_assert_cmpint(hale_service_add_probe(service, &none, "a/b", 0, pass, NULL), ==, -EINVAL);
        g_assert_cmpint(hale_service_add_probe(service, &none, "x", 64, pass, NULL), ==, -EINVAL);
        g_assert_cmpint(hale_service_add_check(service, &none, "d", 0, "disk:/?fre=5%"), ==,
                        -EINVAL);
        g_assert_cmpint(hale_service_add_check(service, &none, "d", 0, "nonsense"), ==, -EINVAL);
        g_assert_null(none);
        g_assert_null(hale_service_find_probe(service, "d"));

        g_assert_cmpint(hale_probe_set_interval_usec(probe, 0), ==, -EINVAL);
        g_assert_cmpint(hale_probe_set_timeout_usec(probe, 6 * G_USEC_PER_SEC), ==, -EINVAL);
        g_assert_cmpint(hale_probe_set_timeout_usec(probe, 1 * G_USEC_PER_SEC), ==, 0);
        g_assert_cmpint(hale_probe_set_interval_usec(probe, G_USEC_PER_SEC / 2), ==, -EINVAL);
        g_assert_cmpint(hale_probe_set_thresholds(probe, 0, 1), ==, -EINVAL);
        g_assert_cmpint(hale_probe_set_window(probe, 3, 2), ==, -EINVAL);
        g_assert_cmpint(hale_probe_set_window(probe, 2, 65), ==, -EINVAL);
        g_assert_cmpint(hale_probe_set_stale_usec(probe, 10), ==, -EINVAL);

        g_assert_cmpint(hale_service_set_bus_name(service, "nodots"), ==, -EINVAL);
        g_assert_cmpint(hale_service_listen_http(service, "1.2.3:99999"), ==, -EINVAL);

        g_assert_cmpint(hale_service_start(service), ==, 0);
        g_assert_cmpint(hale_service_start(service), ==, -EBUSY);
        g_assert_cmpint(hale_service_run(service), ==, -EBUSY);
        g_assert_cmpint(hale_service_listen_http(service, "8080"), ==, -EBUSY);

        hale_probe_unref(probe);
        hale_service_unref(service);
}

/* clang-format off */
static const struct {
        int result;
        hale_status expected;
        const char *output;
} answers[] = {
        { 0,             HALE_PASS, ""                        },
        { -ECONNREFUSED, HALE_FAIL, "Connection refused"      },
        { HALE_REPORTED, HALE_FAIL, "returned 2"              },
        { 4711,          HALE_FAIL, "returned 4711"           },
};
/* clang-format on */

static void test_answers_at_once(void) {
        for (gsize i = 0; i < G_N_ELEMENTS(answers); i++) {
                hale_service *service = service_of_test();
                hale_probe *probe;
                int result = answers[i].result;

                g_assert_cmpint(hale_service_add_probe(service, &probe, "p", HALE_GATE_READY,
                                                       answer_int, &result),
                                ==, 0);
                g_assert_cmpint(hale_probe_set_thresholds(probe, 1, 1), ==, 0);
                g_assert_cmpint(hale_service_start(service), ==, 0);
                g_assert_true(turn_until(service, hale_probe_get_verdict(probe) != HALE_UNKNOWN));

                g_assert_cmpstr(hale_status_to_string(hale_probe_get_verdict(probe)), ==,
                                hale_status_to_string(answers[i].expected));
                g_assert_nonnull(strstr(hale_probe_get_output(probe), answers[i].output));
                g_assert_cmpint(hale_service_is_ready(service), ==,
                                answers[i].expected == HALE_PASS);
                hale_probe_unref(probe);
                hale_service_unref(service);
        }
}

typedef struct Later {
        guint n_asked;
        uint32_t run;
} Later;

static int answer_later(hale_probe *probe, void *userdata) {
        Later *later = userdata;

        later->n_asked++;
        later->run = hale_probe_get_run(probe);
        g_assert_cmpuint(later->run, !=, 0);
        return HALE_PENDING;
}

static void test_late_answers_are_not_applied(void) {
        hale_service *service = service_of_test();
        Later later = {};
        hale_probe *probe;
        uint32_t first;

        g_assert_cmpint(hale_service_add_probe(service, &probe, "p", HALE_GATE_READY, answer_later,
                                               &later),
                        ==, 0);
        g_assert_cmpint(hale_probe_set_interval_usec(probe, 20000), ==, 0);
        g_assert_cmpint(hale_probe_set_thresholds(probe, 1, 1), ==, 0);
        g_assert_cmpint(hale_service_start(service), ==, 0);

        g_assert_true(turn_until(service, later.n_asked == 1));
        first = later.run;
        g_assert_cmpint(hale_probe_pass(probe, "in time"), ==, HALE_REPORTED);
        g_assert_cmpint(hale_probe_get_verdict(probe), ==, HALE_PASS);
        g_assert_true(hale_service_is_ready(service) ||
                      turn_until(service, hale_service_is_ready(service)));

        /* The second is never answered: its deadline fails it. */
        g_assert_true(turn_until(service, hale_probe_get_verdict(probe) == HALE_FAIL));
        g_assert_nonnull(strstr(hale_probe_get_output(probe), "no answer within"));
        g_assert_true(turn_until(service, later.n_asked >= 3));

        /* An answer to the first says nothing about the third. */
        g_assert_cmpint(hale_probe_answer(probe, first, HALE_PASS, "late"), ==, -ESTALE);
        g_assert_cmpint(hale_probe_get_verdict(probe), ==, HALE_FAIL);

        hale_probe_unref(probe);
        hale_service_unref(service);
}

static void test_pushed(void) {
        hale_service *service = service_of_test();
        hale_probe *probe;

        g_assert_cmpint(hale_service_add_probe(service, &probe, "p", HALE_GATE_READY, NULL, NULL),
                        ==, 0);
        g_assert_cmpint(hale_probe_set_interval_usec(probe, 30000), ==, 0);
        g_assert_cmpint(hale_service_start(service), ==, 0);
        turn_for(service, 20000);
        g_assert_false(hale_service_is_ready(service));

        g_assert_cmpint(hale_probe_set_value(probe, 42, "orders"), ==, 0);
        g_assert_cmpint(hale_probe_warn(probe, "line one\nWATCHDOG=trigger password=x"), ==,
                        HALE_REPORTED);
        g_assert_cmpstr(hale_probe_get_output(probe), ==, "line one WATCHDOG=trigger password=*");
        g_assert_true(turn_until(service, hale_service_is_ready(service)));
        g_assert_cmpint(hale_service_get_health(service), ==, HALE_WARN);

        /* Silence makes it stale, and that closes the gate. */
        g_assert_true(turn_until(service, !hale_service_is_ready(service)));
        g_assert_cmpint(hale_probe_get_verdict(probe), ==, HALE_UNKNOWN);

        hale_probe_unref(probe);
        hale_service_unref(service);
        hale_probe_unref(NULL);
}

static gpointer push_from_thread(gpointer data) {
        for (guint i = 0; i < 2000; i++)
                g_assert_cmpint(hale_probe_pass(data, "%u", i), ==, HALE_REPORTED);

        return NULL;
}

static void test_threads(void) {
        hale_service *service = service_of_test();
        GThread *threads[4];
        hale_probe *probe;

        g_assert_cmpint(hale_service_add_probe(service, &probe, "p", HALE_GATE_READY, NULL, NULL),
                        ==, 0);
        g_assert_cmpint(hale_service_start(service), ==, 0);
        for (gsize i = 0; i < G_N_ELEMENTS(threads); i++)
                threads[i] = g_thread_new("push", push_from_thread, probe);

        turn_for(service, 50000);
        for (gsize i = 0; i < G_N_ELEMENTS(threads); i++)
                g_thread_join(threads[i]);

        /* The newest wins. */
        g_assert_true(turn_until(service, strcmp(hale_probe_get_output(probe), "1999") == 0));
        g_assert_true(hale_service_is_ready(service));

        /* Whoever still holds it after the drop is told so. */
        g_assert_cmpint(hale_probe_drop(probe), ==, 0);
        g_assert_cmpint(hale_probe_drop(probe), ==, -ESTALE);
        g_assert_cmpint(hale_probe_pass(probe, NULL), ==, -ESTALE);
        hale_service_unref(service);
        g_assert_cmpint(hale_probe_pass(probe, NULL), ==, -ESTALE);
        hale_probe_unref(probe);
}

typedef struct Blocking {
        atomic_int n_asked;
        atomic_int may_return; /* a pipe would do as well; the pool's thread waits here */
} Blocking;

static int block(hale_probe *probe, void *userdata) {
        Blocking *blocking = userdata;
        gint64 limit = g_get_monotonic_time() + LIMIT_USEC;

        atomic_fetch_add(&blocking->n_asked, 1);
        while (!atomic_load(&blocking->may_return) && g_get_monotonic_time() < limit)
                g_thread_yield();

        (void)hale_probe_set_value(probe, 7, "ms");
        return hale_probe_pass(probe, "unblocked");
}

static void test_blocking(void) {
        hale_service *service = service_of_test();
        static Blocking
                blocking; /* threads that were abandoned look at it after we have returned */
        hale_probe *probe;
        guint n_live = 0;

        g_assert_cmpint(hale_service_add_probe(service, &probe, "p", HALE_GATE_READY, block,
                                               &blocking),
                        ==, 0);
        g_assert_cmpint(hale_probe_set_blocking(probe, 1), ==, 0);
        g_assert_cmpint(hale_probe_set_interval_usec(probe, 50000), ==, 0);
        g_assert_cmpint(hale_probe_set_thresholds(probe, 1, 1), ==, 0);
        g_assert_cmpint(hale_service_add_probe(service, NULL, "other", HALE_GATE_READY, pass,
                                               &n_live),
                        ==, 0);
        g_assert_cmpint(hale_probe_set_interval_usec(hale_service_find_probe(service, "other"),
                                                     10000),
                        ==, 0);
        g_assert_cmpint(hale_service_start(service), ==, 0);

        /* It blocks; the deadline comes, and the loop has gone on meanwhile. */
        g_assert_true(turn_until(service, hale_probe_get_verdict(probe) == HALE_FAIL));
        g_assert_cmpuint(n_live, >, 0);

        /* Four threads may be stuck, not more: then it is said. */
        g_assert_true(turn_until(service, strstr(hale_probe_get_output(probe), "stuck") != NULL));
        g_assert_cmpint(atomic_load(&blocking.n_asked), <=, 6);

        /* When they come back after all, it works again. */
        atomic_store(&blocking.may_return, 1);
        g_assert_true(turn_until(service, hale_probe_get_verdict(probe) == HALE_PASS));
        g_assert_cmpstr(hale_probe_get_output(probe), ==, "unblocked");

        hale_probe_unref(probe);
        hale_service_unref(service);
}

static int drop_myself(hale_probe *probe, void *userdata) {
        ++*(guint *)userdata;
        g_assert_cmpint(hale_probe_drop(probe), ==, 0);
        return -EIO;
}

static void test_dropped_in_its_own_callback(void) {
        hale_service *service = service_of_test();
        guint n = 0;

        g_assert_cmpint(hale_service_add_probe(service, NULL, "p", HALE_GATE_LIVE, drop_myself, &n),
                        ==, 0);
        g_assert_cmpint(hale_service_add_probe(service, NULL, "q", HALE_GATE_READY, pass, NULL), ==,
                        0);
        g_assert_cmpint(hale_probe_set_interval_usec(hale_service_find_probe(service, "p"), 1000),
                        ==, 0);
        g_assert_cmpint(hale_probe_set_thresholds(hale_service_find_probe(service, "p"), 1, 1), ==,
                        0);
        g_assert_cmpint(hale_service_start(service), ==, 0);
        g_assert_true(turn_until(service, n == 1));
        turn_for(service, 10000);

        g_assert_cmpuint(n, ==, 1);
        g_assert_null(hale_service_find_probe(service, "p"));
        g_assert_true(hale_service_is_live(service));
        hale_service_unref(service);
}

static void test_startup_gate(void) {
        hale_service *service = service_of_test();
        guint n_ready = 0, n_startup = 0;
        hale_probe *startup;

        g_assert_cmpint(hale_service_add_probe(service, &startup, "s", HALE_GATE_STARTUP, NULL,
                                               NULL),
                        ==, 0);
        g_assert_cmpint(hale_service_add_probe(service, NULL, "t", HALE_GATE_STARTUP, pass,
                                               &n_startup),
                        ==, 0);
        g_assert_cmpint(hale_service_add_probe(service, NULL, "r", HALE_GATE_READY, pass, &n_ready),
                        ==, 0);
        g_assert_cmpint(hale_service_start(service), ==, 0);
        g_assert_true(turn_until(service, n_startup > 0));
        turn_for(service, 20000);

        /* The others wait for it. */
        g_assert_cmpuint(n_ready, ==, 0);
        g_assert_false(hale_service_is_started(service));
        g_assert_cmpint(hale_service_get_phase(service), ==, HALE_STARTING);

        g_assert_cmpint(hale_probe_pass(startup, NULL), ==, HALE_REPORTED);
        g_assert_true(turn_until(service, hale_service_is_ready(service)));
        g_assert_cmpuint(n_ready, ==, 1);
        g_assert_cmpint(hale_service_get_phase(service), ==, HALE_RUNNING);

        /* What has been found started is not found unstarted again. */
        g_assert_cmpint(hale_probe_fail(startup, NULL), ==, HALE_REPORTED);
        turn_for(service, 10000);
        g_assert_true(hale_service_is_started(service));
        hale_probe_unref(startup);
        hale_service_unref(service);
}

static int restless(hale_probe *probe, void *userdata) {
        (void)probe, (void)userdata;
        return 0;
}

static void meddle(hale_service *service, void *userdata) {
        hale_probe *probe = userdata;

        /* Changes the health each time it is told that the health has changed. */
        if (hale_service_get_health(service) == HALE_PASS)
                (void)hale_probe_fail(probe, "meddling");
        else
                (void)hale_probe_pass(probe, "meddling");
}

static void test_on_change_may_not_hold_the_loop(void) {
        hale_service *service = service_of_test();
        hale_probe *probe;
        guint n = 0;

        g_assert_cmpint(hale_service_add_probe(service, &probe, "p", HALE_GATE_READY, NULL, NULL),
                        ==, 0);
        g_assert_cmpint(hale_service_add_probe(service, NULL, "q", HALE_GATE_READY, restless, NULL),
                        ==, 0);
        g_assert_cmpint(hale_service_add_probe(service, NULL, "n", 0, pass, &n), ==, 0);
        g_assert_cmpint(hale_probe_set_interval_usec(hale_service_find_probe(service, "n"), 1000),
                        ==, 0);
        g_assert_cmpint(hale_service_on_change(service, meddle, probe), ==, 0);
        g_assert_cmpint(hale_service_start(service), ==, 0);
        (void)hale_probe_pass(probe, NULL);

        g_assert_true(turn_until(service, n > 5));
        hale_probe_unref(probe);
        hale_service_unref(service);
}

static void test_forked_child(void) {
        hale_service *service = service_of_test();
        hale_probe *probe;
        int status;
        pid_t pid;

        g_assert_cmpint(hale_service_add_probe(service, &probe, "p", 0, NULL, NULL), ==, 0);
        g_assert_cmpint(hale_service_start(service), ==, 0);

        pid = fork();
        g_assert_cmpint(pid, >=, 0);
        if (pid == 0) {
                bool refused =
                        hale_service_add_probe(service, NULL, "c", 0, pass, NULL) == -ECHILD &&
                        hale_probe_drop(probe) == -ECHILD && hale_service_stop(service) == -ECHILD;

                hale_service_unref(service);
                _exit(refused ? 0 : 1);
        }
        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
        g_assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);

        /* The parent's loop has not suffered. */
        g_assert_cmpint(hale_probe_pass(probe, NULL), ==, HALE_REPORTED);
        g_assert_true(turn_until(service, hale_service_is_ready(service)));
        hale_probe_unref(probe);
        hale_service_unref(service);
}

static void test_many(void) {
        hale_service *service = service_of_test();
        guint n = 0;
        char name[16];

        for (guint i = 0; i < 5000; i++) {
                g_snprintf(name, sizeof(name), "p%u", i);
                g_assert_cmpint(hale_service_add_probe(service, NULL, name, HALE_GATE_READY, pass,
                                                       &n),
                                ==, 0);
        }
        g_assert_cmpint(hale_service_start(service), ==, 0);
        g_assert_true(turn_until(service, hale_service_is_ready(service)));
        g_assert_cmpuint(n, >=, 5000);

        for (guint i = 0; i < 5000; i += 2) {
                g_snprintf(name, sizeof(name), "p%u", i);
                g_assert_cmpint(hale_probe_drop(hale_service_find_probe(service, name)), ==, 0);
                g_assert_null(hale_service_find_probe(service, name));
        }
        hale_service_unref(service);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/service/probes/refusals", test_refusals);
        g_test_add_func("/service/probes/answers-at-once", test_answers_at_once);
        g_test_add_func("/service/probes/late-answers-are-not-applied",
                        test_late_answers_are_not_applied);
        g_test_add_func("/service/probes/pushed", test_pushed);
        g_test_add_func("/service/probes/threads", test_threads);
        g_test_add_func("/service/probes/blocking", test_blocking);
        g_test_add_func("/service/probes/dropped-in-its-own-callback",
                        test_dropped_in_its_own_callback);
        g_test_add_func("/service/probes/startup-gate", test_startup_gate);
        g_test_add_func("/service/probes/on-change-may-not-hold-the-loop",
                        test_on_change_may_not_hold_the_loop);
        g_test_add_func("/service/probes/forked-child", test_forked_child);
        g_test_add_func("/service/probes/many", test_many);
        return g_test_run();
}
