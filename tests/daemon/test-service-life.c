/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The life of a service as its manager sees it
 *
 * Start, readiness, pings, the trigger, reload, maintenance and the stop: what
 * systemd is told, in which order, and what it is never told.
 */

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lib/manager.h"

#define WATCHDOG "300000"

static int switchable(hale_probe *probe, void *userdata) {
        return *(gboolean *)userdata ? 0 : hale_probe_fail(probe, "switched off\nMAINPID=1");
}

static hale_service *
start(Manager *manager, const char *watchdog, int gates, hale_probe_check_t check, void *userdata) {
        hale_service *service;
        hale_probe *probe;

        manager_init(manager, watchdog);
        service = service_of_test();
        g_assert_null(g_getenv("NOTIFY_SOCKET"));
        g_assert_null(g_getenv("WATCHDOG_USEC"));

        if (check) {
                g_assert_cmpint(hale_service_add_probe(service, &probe, "p", gates, check,
                                                       userdata),
                                ==, 0);
                g_assert_cmpint(hale_probe_set_interval_usec(probe, 10000), ==, 0);
                /* No answer ages while the loop has no processor. */
                g_assert_cmpint(hale_probe_set_stale_usec(probe, LIMIT_USEC), ==, 0);
                g_assert_cmpint(hale_probe_set_thresholds(probe, 2, 1), ==, 0);
                hale_probe_unref(probe);
        }
        return service;
}

static gboolean is_null(int fd) {
        struct stat status, null;

        return fstat(fd, &status) == 0 && stat("/dev/null", &null) == 0 &&
               status.st_rdev == null.st_rdev;
}

/* Started without them: what is opened next is not taken for one of them. */
static void test_standard_descriptors(void) {
        hale_service *service = NULL;
        int status = 0;
        pid_t pid;

        pid = fork();
        g_assert_cmpint(pid, >=, 0);
        if (pid == 0) {
                (void)close(STDIN_FILENO);
                (void)close(STDERR_FILENO);
                _exit(hale_service_new(&service, "subject") < 0 || !is_null(STDIN_FILENO) ||
                      is_null(STDOUT_FILENO) || !is_null(STDERR_FILENO));
        }
        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
        g_assert_cmpint(status, ==, 0);
}

static void test_ready_once(void) {
        gboolean on = FALSE;
        Manager manager;
        hale_service *service = start(&manager, NULL, HALE_GATE_READY, switchable, &on);

        g_assert_cmpint(hale_service_start(service), ==, 0);
        turn_for(service, 50000);
        g_assert_cmpuint(manager_count(&manager, "READY=1"), ==, 0);

        on = TRUE;
        g_assert_true(turn_until(service, manager_count(&manager, "READY=1") == 1));

        /* Unready is not unstarted: nobody is told READY twice, nobody is restarted. */
        on = FALSE;
        g_assert_true(turn_until(service, !hale_service_is_ready(service)));
        on = TRUE;
        g_assert_true(turn_until(service, hale_service_is_ready(service)));
        g_assert_cmpuint(manager_count(&manager, "READY=1"), ==, 1);
        g_assert_cmpuint(manager_count(&manager, "WATCHDOG="), ==, 0);

        /* The text of the probe could not add assignments of its own. */
        g_assert_cmpuint(manager_count(&manager, "MAINPID"), ==, 0);
        hale_service_unref(service);
        manager_done(&manager);
}

static void test_pings_only_while_live(void) {
        gboolean on = TRUE;
        Manager manager;
        hale_service *service = start(&manager, WATCHDOG, HALE_GATE_LIVE, switchable, &on);
        const char *trigger;

        g_assert_cmpint(hale_service_start(service), ==, 0);
        g_assert_true(turn_until(service, manager_count(&manager, "WATCHDOG=1") >= 3));

        on = FALSE;
        g_assert_true(turn_until(service, manager_count(&manager, "WATCHDOG=trigger") == 1));
        g_assert_false(hale_service_is_live(service));
        trigger = manager_last(&manager, "WATCHDOG=trigger");
        g_assert_nonnull(strstr(trigger, "STATUS=not live: p: switched off MAINPID=1\n"));

        manager_forget(&manager);
        turn_for(service, 400000);
        g_assert_cmpuint(manager_count(&manager, "WATCHDOG=1"), ==, 0);
        g_assert_cmpuint(manager_count(&manager, "WATCHDOG=trigger"), ==, 0);
        hale_service_unref(service);
        manager_done(&manager);
}

/* One callback, made to answer in each way. */
typedef struct Handler {
        guint n_calls;
        int result;
} Handler;

static int handle(hale_service *service, void *userdata) {
        Handler *handler = userdata;

        (void)service;
        handler->n_calls++;
        return handler->result;
}

static void test_reload(void) {
        Handler handler = {};
        Manager manager;
        hale_service *service = start(&manager, NULL, 0, NULL, NULL);

        g_assert_cmpint(hale_service_on_reload(service, handle, &handler), ==, 0);
        g_assert_cmpint(hale_service_reloaded(service, 0), ==, -ESTALE);
        g_assert_cmpint(hale_service_start(service), ==, 0);
        g_assert_true(turn_until(service, manager_count(&manager, "READY=1") == 1));

        (void)kill(getpid(), SIGHUP);
        g_assert_true(turn_until(service, manager_count(&manager, "READY=1") == 2));
        g_assert_cmpuint(manager_count(&manager, "RELOADING=1"), ==, 1);
        g_assert_true(message_has(manager_last(&manager, "RELOADING=1"), "MONOTONIC_USEC="));

        /* A reload that fails ends all the same, and says what became of it. */
        handler.result = -EBADMSG;
        (void)kill(getpid(), SIGHUP);
        g_assert_true(turn_until(service, manager_count(&manager, "READY=1") == 3));
        g_assert_nonnull(strstr(manager_last(&manager, "READY=1"), "old configuration kept"));

        handler.result = HALE_PENDING;
        (void)kill(getpid(), SIGHUP);
        g_assert_true(turn_until(service, handler.n_calls == 3));
        turn_for(service, 20000);
        g_assert_cmpint(hale_service_get_phase(service), ==, HALE_RELOADING);
        g_assert_true(hale_service_is_ready(service));
        g_assert_cmpuint(manager_count(&manager, "READY=1"), ==, 3);
        g_assert_cmpint(hale_service_reloaded(service, 0), ==, 0);
        g_assert_true(turn_until(service, manager_count(&manager, "READY=1") == 4));
        g_assert_cmpint(hale_service_get_phase(service), ==, HALE_RUNNING);

        hale_service_unref(service);
        manager_done(&manager);
}

static void test_maintenance(void) {
        gboolean on = TRUE;
        Manager manager;
        hale_service *service = start(&manager, WATCHDOG, HALE_GATE_READY, switchable, &on);

        g_assert_cmpint(hale_service_start(service), ==, 0);
        g_assert_true(turn_until(service, hale_service_is_ready(service)));
        manager_forget(&manager);

        g_assert_cmpint(hale_service_set_maintenance(service, UINT64_MAX, "new disk\nREADY=1"), ==,
                        0);
        g_assert_true(turn_until(service, !hale_service_is_ready(service)));
        g_assert_cmpint(hale_service_get_phase(service), ==, HALE_MAINTENANCE);
        g_assert_true(hale_service_is_live(service));

        g_assert_true(
                turn_until(service,
                           manager_count(&manager, "STATUS=maintenance: new disk READY=1") == 1));

        /* Pings go on: it is well, only closed. */
        manager_forget(&manager);
        g_assert_true(turn_until(service, manager_count(&manager, "WATCHDOG=1") >= 2));

        g_assert_cmpint(hale_service_set_maintenance(service, 0, NULL), ==, 0);
        g_assert_true(turn_until(service, hale_service_is_ready(service)));

        /* And it runs out by itself. */
        g_assert_cmpint(hale_service_set_maintenance(service, 30000, NULL), ==, 0);
        g_assert_true(turn_until(service, !hale_service_is_ready(service)));
        g_assert_true(turn_until(service, hale_service_is_ready(service)));
        hale_service_unref(service);
        manager_done(&manager);
}

static void test_stop(void) {
        Handler handler = { .result = HALE_PENDING };
        gboolean on = TRUE;
        Manager manager;
        hale_service *service = start(&manager, WATCHDOG, HALE_GATE_READY, switchable, &on);

        g_assert_cmpint(hale_service_set_drain_usec(service, 100000), ==, 0);
        g_assert_cmpint(hale_service_set_drain_usec(service, G_USEC_PER_SEC * (uint64_t)3600), ==,
                        -EINVAL);
        g_assert_cmpint(hale_service_on_stop(service, handle, &handler), ==, 0);
        g_assert_cmpint(hale_service_stop(service), ==, -ESTALE);
        g_assert_cmpint(hale_service_start(service), ==, 0);
        g_assert_true(turn_until(service, hale_service_is_ready(service)));

        manager_forget(&manager);
        g_assert_cmpint(hale_service_stop(service), ==, 0);
        g_assert_cmpint(hale_service_stop(service), ==, -EALREADY);
        g_assert_false(hale_service_is_ready(service));
        g_assert_cmpint(hale_service_get_phase(service), ==, HALE_STOPPING);
        g_assert_cmpuint(manager_count(&manager, "STOPPING=1"), ==, 1);
        g_assert_cmpuint(handler.n_calls, ==, 0);

        g_assert_true(turn_until(service, handler.n_calls == 1));
        g_assert_cmpint(hale_service_progress(service, "%d left", 3), ==, 0);
        g_assert_true(turn_until(service, manager_count(&manager, "EXTEND_TIMEOUT_USEC=") >= 1));
        g_assert_cmpint(sd_event_get_state(hale_service_get_event(service)), !=, SD_EVENT_FINISHED);

        g_assert_cmpint(hale_service_stopped(service), ==, 0);
        g_assert_cmpint(sd_event_loop(hale_service_get_event(service)), ==, 0);
        g_assert_cmpint(handler.n_calls, ==, 1);
        g_assert_cmpuint(manager_count(&manager, "WATCHDOG="), ==, 0);
        hale_service_unref(service);
        manager_done(&manager);
}

static void test_progress(void) {
        gboolean on = FALSE;
        Manager manager;
        hale_service *service = start(&manager, NULL, HALE_GATE_STARTUP, switchable, &on);
        guint n = 0;

        g_assert_cmpint(hale_service_progress(service, "too early"), ==, -ESTALE);
        g_assert_cmpint(hale_service_start(service), ==, 0);
        turn_for(service, 30000);
        g_assert_cmpuint(manager_count(&manager, "EXTEND_TIMEOUT_USEC="), ==, 0);

        g_assert_cmpint(hale_service_progress(service, "replaying the log\nREADY=1"), ==, 0);
        g_assert_true(
                turn_until(service, manager_count(&manager, "EXTEND_TIMEOUT_USEC=15000000") == 1));
        g_assert_true(turn_until(service,
                                 manager_count(&manager,
                                               "STATUS=starting; replaying the log READY=1") > 0));

        g_assert_cmpint(hale_service_progress(service, NULL), ==, -EINVAL);

        /* It cannot be dragged out for ever. */
        for (n = 0; hale_service_progress(service, "more") == 0; n++)
                g_assert_cmpuint(n, <, 100);
        g_assert_cmpint(hale_service_progress(service, "more"), ==, -E2BIG);

        on = TRUE;
        g_assert_true(turn_until(service, manager_count(&manager, "READY=1") == 1));
        g_assert_cmpint(hale_service_progress(service, "ready is ready"), ==, -ESTALE);
        hale_service_unref(service);
        manager_done(&manager);
}

/* In a child, for it ends the process. */
static void test_trigger_that_nobody_heeds(void) {
        gboolean on = FALSE;

        if (g_test_subprocess()) {
                Manager manager;
                hale_service *service = start(&manager, WATCHDOG, HALE_GATE_LIVE, switchable, &on);

                g_assert_cmpint(hale_service_start(service), ==, 0);
                (void)sd_event_loop(hale_service_get_event(service));
                return;
        }

        g_test_trap_subprocess(NULL, LIMIT_USEC, 0);
        g_test_trap_assert_failed();
        g_test_trap_assert_stderr("*asks systemd to act on its watchdog*");
        g_test_trap_assert_stderr("*was not restarted by anybody and aborts itself*");
}

static void test_exit_without_manager(void) {
        gboolean on = FALSE;

        if (g_test_subprocess()) {
                hale_service *service = service_of_test();
                int r;

                g_assert_cmpint(hale_service_add_probe(service, NULL, "p", HALE_GATE_LIVE,
                                                       switchable, &on),
                                ==, 0);
                g_assert_cmpint(hale_probe_set_interval_usec(hale_service_find_probe(service, "p"),
                                                             10000),
                                ==, 0);
                r = hale_service_run(service);
                g_assert_cmpint(r, ==, -ENOTRECOVERABLE);
                hale_service_unref(service);
                exit(hale_exit_status(r) == 70 ? 0 : 1);
        }

        g_test_trap_subprocess(NULL, LIMIT_USEC, 0);
        g_test_trap_assert_passed();
        g_test_trap_assert_stderr("*has lost its liveness with nobody to restart it*");
}

static void test_full_notify_socket(void) {
        gboolean on = TRUE;
        Manager manager;
        hale_service *service = start(&manager, WATCHDOG, HALE_GATE_READY, switchable, &on);
        guint n_filled = 0;
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        struct sockaddr_un un = { .sun_family = AF_UNIX };

        /* A manager that does not read: the queue is full before the service begins. */
        memcpy(un.sun_path, manager.path, strlen(manager.path));
        g_assert_cmpint(connect(fd, (struct sockaddr *)&un, sizeof(un)), ==, 0);
        while (send(fd, "X_FILL=1", 8, MSG_DONTWAIT) == 8)
                n_filled++;
        g_assert_cmpuint(n_filled, >, 0);

        g_assert_cmpint(hale_service_start(service), ==, 0);
        g_assert_true(turn_until(service, hale_service_is_ready(service)));
        turn_for(service, 50000);

        /* It reads again: READY=1 has not been lost. */
        g_assert_true(turn_until(service, manager_count(&manager, "READY=1") == 1));
        g_assert_true(turn_until(service, manager_count(&manager, "WATCHDOG=1") > 0));
        (void)close(fd);
        hale_service_unref(service);
        manager_done(&manager);
}

static void test_restart_in_one_process(void) {
        for (guint i = 0; i < 20; i++) {
                gboolean on = TRUE;
                Manager manager;
                hale_service *service = start(&manager, WATCHDOG, HALE_GATE_READY, switchable, &on);

                g_assert_cmpint(hale_service_start(service), ==, 0);
                g_assert_true(turn_until(service, manager_count(&manager, "READY=1") == 1));
                hale_service_unref(service);
                manager_done(&manager);
        }
}

static void let_go_when_stopping(hale_service *service, void *userdata) {
        hale_service **held = userdata;

        if (hale_service_get_phase(service) == HALE_STOPPING)
                *held = hale_service_unref(*held);
}

/* The change handler that hears of the stop gives back the last reference. */
static void test_let_go_in_stop(void) {
        hale_service *service = service_of_test();

        g_assert_cmpint(hale_service_on_change(service, let_go_when_stopping, &service), ==, 0);
        g_assert_cmpint(hale_service_start(service), ==, 0);
        g_assert_true(turn_until(service, hale_service_is_ready(service)));
        g_assert_cmpint(hale_service_stop(service), ==, 0);
        g_assert_null(service);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/service/life/standard-descriptors", test_standard_descriptors);
        g_test_add_func("/service/life/ready-once", test_ready_once);
        g_test_add_func("/service/life/pings-only-while-live", test_pings_only_while_live);
        g_test_add_func("/service/life/reload", test_reload);
        g_test_add_func("/service/life/maintenance", test_maintenance);
        g_test_add_func("/service/life/stop", test_stop);
        g_test_add_func("/service/life/progress", test_progress);
        g_test_add_func("/service/life/trigger-that-nobody-heeds", test_trigger_that_nobody_heeds);
        g_test_add_func("/service/life/exit-without-manager", test_exit_without_manager);
        g_test_add_func("/service/life/full-notify-socket", test_full_notify_socket);
        g_test_add_func("/service/life/restart-in-one-process", test_restart_in_one_process);
        g_test_add_func("/service/life/let-go-in-stop", test_let_go_in_stop);
        return g_test_run();
}
