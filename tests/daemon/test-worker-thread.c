/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Thread workers: what a thread does to its service
 *
 * Nothing can end a thread that does not want to. One that does not stop closes `live`, and
 * opens it again when it stops after all; one that outlives its service may go on with its
 * worker; and what is the loop's, a thread may not call.
 */

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>

#include "lib/manager.h"

/* Static in each test: a thread that has outlived it may look at it still. */
typedef struct Stubborn {
        hale_worker *worker;
        atomic_int n_begun, restart_result;
        atomic_bool let_go, gone;
} Stubborn;

static void wait_for(const atomic_bool *flag) {
        gint64 until = g_get_monotonic_time() + LIMIT_USEC;

        while (!atomic_load(flag) && g_get_monotonic_time() < until)
                (void)poll(NULL, 0, 1);
        g_assert_true(atomic_load(flag));
}

/* Hears nothing until it is let go. */
static int stubborn_main(hale_worker *worker, void *userdata) {
        Stubborn *self = userdata;

        atomic_store(&self->restart_result, hale_worker_restart(worker));
        atomic_fetch_add(&self->n_begun, 1);
        wait_for(&self->let_go);
        (void)hale_worker_beat(worker);
        atomic_store(&self->gone, 1);
        return 0;
}

static hale_service *start(Stubborn *self, Manager *manager) {
        hale_service *service;

        *self = (Stubborn){};
        manager_init(manager, "20000000");
        service = service_of_test();
        g_assert_cmpint(hale_service_add_worker(service, &self->worker, "t", stubborn_main, self),
                        ==, 0);
        g_assert_cmpint(hale_worker_set_thread(self->worker, 1), ==, 0);
        g_assert_cmpint(hale_worker_set_stop_usec(self->worker, 50000), ==, 0);
        g_assert_cmpint(hale_service_start(service), ==, 0);
        g_assert_true(turn_until(service, atomic_load(&self->n_begun) == 1));
        return service;
}

/* A restart that cannot be is a lost worker, until it is there after all. */
static void test_does_not_stop(void) {
        static Stubborn self;
        Manager manager;
        hale_service *service = start(&self, &manager);

        g_assert_cmpint(atomic_load(&self.restart_result), ==, -EPERM);
        g_assert_cmpint(hale_worker_restart(self.worker), ==, 0);
        g_assert_true(turn_until(service, !hale_service_is_live(service)));
        g_assert_cmpint(hale_worker_get_state(self.worker), ==, HALE_WORKER_FAILED);
        g_assert_cmpint(hale_worker_restart(self.worker), ==, -ESTALE);
        g_assert_true(turn_until(service, manager_count(&manager, "WATCHDOG=trigger") == 1));
        g_assert_nonnull(strstr(manager_last(&manager, "STATUS="),
                                "t: does not stop for 50ms, and a thread cannot be killed"));

        atomic_store(&self.let_go, 1);
        g_assert_true(turn_until(service, atomic_load(&self.n_begun) >= 2));
        g_assert_true(turn_until(service, hale_service_is_live(service)));
        hale_worker_unref(self.worker);
        hale_service_unref(service);
        manager_done(&manager);
}

/* Its service is gone, it goes on, and so does whoever holds the worker. */
static void test_outlives(void) {
        static Stubborn self;
        Manager manager;
        hale_service *service = start(&self, &manager);

        g_assert_cmpint(hale_service_stop(service), ==, 0);
        g_assert_true(turn_until(service, hale_service_get_phase(service) == HALE_STOPPING));
        hale_service_unref(service);
        g_assert_cmpint(hale_worker_restart(self.worker), ==, -ESTALE);
        g_assert_true(hale_worker_should_stop(self.worker));
        atomic_store(&self.let_go, 1);
        wait_for(&self.gone);

        /* The thread returns about now. */
        for (guint i = 0; i < 200; i++) {
                g_assert_true(hale_worker_should_stop(self.worker));
                g_assert_cmpint(hale_worker_get_stop_fd(self.worker), >=, 0);
                (void)poll(NULL, 0, 1);
        }
        hale_worker_unref(self.worker);
        manager_done(&manager);
}

typedef struct Meddler {
        hale_service *service;
        hale_worker *worker;
        guint n_changes;
} Meddler;

static int ends_soon(hale_worker *worker, void *userdata) {
        struct pollfd stop = { .fd = hale_worker_get_stop_fd(worker), .events = POLLIN };

        (void)userdata;
        (void)poll(&stop, 1, 1);
        return -EIO;
}

/* Does within the change all that there is to do, and in the end lets go of everything. */
static void on_change(hale_service *service, void *userdata) {
        Meddler *self = userdata;

        if (!self->service)
                return;
        if (++self->n_changes < 20) {
                (void)hale_worker_restart(self->worker);
                return;
        }

        (void)hale_worker_restart(self->worker);
        g_assert_cmpint(hale_service_stop(service), ==, 0);
        (void)hale_worker_restart(self->worker);
        self->worker = hale_worker_unref(self->worker);
        self->service = hale_service_unref(self->service);
}

static void test_from_callbacks(void) {
        sd_event *event;
        Manager manager;
        Meddler self = {};
        gint64 until;

        manager_init(&manager, NULL);
        self.service = service_of_test();
        event = sd_event_ref(hale_service_get_event(self.service));
        g_assert_cmpint(hale_service_add_worker(self.service, &self.worker, "t", ends_soon, NULL),
                        ==, 0);
        g_assert_cmpint(hale_worker_set_thread(self.worker, 1), ==, 0);
        g_assert_cmpint(hale_worker_set_gates(self.worker, HALE_GATE_READY), ==, 0);
        g_assert_cmpint(hale_worker_set_backoff_usec(self.worker, 2000, 4000), ==, 0);
        g_assert_cmpint(hale_worker_set_intensity(self.worker, 64, 1000000), ==, 0);
        g_assert_cmpint(hale_service_on_change(self.service, on_change, &self), ==, 0);
        g_assert_cmpint(hale_service_start(self.service), ==, 0);

        until = g_get_monotonic_time() + LIMIT_USEC;
        while (self.service && g_get_monotonic_time() < until)
                g_assert_cmpint(sd_event_run(event, 20000), >=, 0);
        g_assert_null(self.service);
        g_assert_cmpuint(self.n_changes, ==, 20);
        (void)sd_event_unref(event);
        manager_done(&manager);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/service/worker-thread/does-not-stop", test_does_not_stop);
        g_test_add_func("/service/worker-thread/outlives", test_outlives);
        g_test_add_func("/service/worker-thread/from-callbacks", test_from_callbacks);
        return g_test_run();
}
