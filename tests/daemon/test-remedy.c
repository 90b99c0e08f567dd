/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Remedies as a program writes them
 *
 * The manager hears no trigger while a remedy is left, a ping when one has healed, and
 * the trigger when none is. Remedies fail, never answer, answer late, block, make it
 * worse, and drop their own probe.
 */

#include <errno.h>
#include <poll.h>

#include "lib/manager.h"

#define WATCHDOG "400000"

/* A patient, and what was done to him. */
typedef struct Patient {
        gboolean ill;
        int result;       /* of each remedy */
        gboolean heals;   /* each heals */
        gboolean worsens; /* each drops the probe */
        guint n_first, n_second;
        int block_msec;
        hale_remedy *remedy;
        hale_probe *probe;
        uint32_t run;
} Patient;

static int ask(hale_probe *probe, void *userdata) {
        return ((Patient *)userdata)->ill ? hale_probe_fail(probe, "ill") : 0;
}

static int treat(hale_remedy *remedy, Patient *patient) {
        patient->remedy = remedy;
        patient->run = hale_remedy_get_run(remedy);
        if (patient->heals)
                patient->ill = FALSE;
        if (patient->worsens)
                g_assert_cmpint(hale_probe_drop(patient->probe), ==, 0);
        return patient->result;
}

static int first(hale_remedy *remedy, void *userdata) {
        Patient *patient = userdata;

        patient->n_first++;
        return treat(remedy, patient);
}

static int second(hale_remedy *remedy, void *userdata) {
        Patient *patient = userdata;

        patient->n_second++;
        patient->ill = FALSE;
        (void)remedy;
        return 0;
}

static int block(hale_remedy *remedy, void *userdata) {
        Patient *patient = userdata;

        (void)remedy;
        (void)poll(NULL, 0, patient->block_msec);
        __atomic_store_n(&patient->ill, FALSE, __ATOMIC_RELAXED);
        return 0;
}

/* Asked often; and a loop that has no processor for a while makes no answer too old to count. */
static void quick(hale_probe *probe) {
        g_assert_cmpint(hale_probe_set_interval_usec(probe, 10000), ==, 0);
        g_assert_cmpint(hale_probe_set_stale_usec(probe, LIMIT_USEC), ==, 0);
}

static hale_service *
start(Manager *manager, Patient *patient, int gates, hale_remedy_t remedy, hale_remedy **ret) {
        hale_service *service;

        manager_init(manager, WATCHDOG);
        service = service_of_test();
        g_assert_cmpint(hale_service_add_probe(service, &patient->probe, "patient", gates, ask,
                                               patient),
                        ==, 0);
        quick(patient->probe);
        g_assert_cmpint(hale_probe_set_thresholds(patient->probe, 2, 1), ==, 0);
        g_assert_cmpint(hale_probe_add_remedy(patient->probe, ret, "first", 2, remedy, patient), ==,
                        0);
        return service;
}

static void end(Manager *manager, hale_service *service, Patient *patient) {
        hale_probe_unref(patient->probe);
        hale_service_unref(service);
        manager_done(manager);
}

static void begin(Manager *manager, hale_service *service) {
        g_assert_cmpint(hale_service_start(service), ==, 0);
        g_assert_true(turn_until(service, manager_count(manager, "WATCHDOG=1") >= 1));
}

static void test_heals(void) {
        Patient patient = { .heals = TRUE };
        hale_remedy *remedy;
        Manager manager;
        hale_service *service = start(&manager, &patient, HALE_GATE_LIVE, first, &remedy);

        begin(&manager, service);
        patient.ill = TRUE;
        g_assert_true(turn_until(service, hale_remedy_get_n_healed(remedy) == 1));
        g_assert_true(turn_until(service, hale_service_is_live(service)));
        manager_forget(&manager);
        g_assert_true(turn_until(service, manager_count(&manager, "WATCHDOG=1") >= 2));
        g_assert_cmpuint(manager_count(&manager, "WATCHDOG=trigger"), ==, 0);
        g_assert_cmpuint(patient.n_first, ==, 1);
        g_assert_cmpstr(hale_remedy_get_name(remedy), ==, "first");
        g_assert_true(hale_remedy_get_probe(remedy) == patient.probe);

        /* Again so soon: it cools down, and nothing is left. */
        patient.ill = TRUE;
        g_assert_true(turn_until(service, manager_count(&manager, "WATCHDOG=trigger") == 1));
        g_assert_cmpuint(patient.n_first, ==, 1);
        hale_remedy_unref(remedy);
        end(&manager, service, &patient);
}

/* A remedy that has said HALE_PENDING: no ping, and no trigger, until it is late; then the next. */
static void test_pending_withholds(void) {
        Patient patient = { .result = HALE_PENDING };
        Manager manager;
        hale_service *service = start(&manager, &patient, HALE_GATE_LIVE, first, NULL);

        g_assert_cmpint(hale_probe_add_remedy(patient.probe, NULL, "second", 1, second, &patient),
                        ==, 0);
        begin(&manager, service);
        patient.ill = TRUE;
        g_assert_true(turn_until(service, patient.n_first == 1));
        g_assert_true(turn_until(service, !hale_service_is_live(service)));
        g_assert_true(
                turn_until(service,
                           manager_count(&manager,
                                         "STATUS=not live: patient: ill; healing patient") > 0));
        manager_forget(&manager);
        turn_for(service, 300000);
        g_assert_false(hale_service_is_live(service));
        g_assert_cmpuint(manager_count(&manager, "WATCHDOG="), ==, 0);
        g_assert_cmpuint(patient.n_second, ==, 0);

        g_assert_cmpint(hale_remedy_answer(patient.remedy, patient.run + 1, 0), ==, -ESTALE);
        g_assert_cmpint(hale_remedy_done(patient.remedy, 1), ==, -EINVAL);
        g_assert_cmpint(hale_remedy_answer(patient.remedy, patient.run, -EIO), ==, 0);
        g_assert_cmpint(hale_remedy_done(patient.remedy, 0), ==, -ESTALE);
        g_assert_true(turn_until(service, patient.n_second == 1));
        g_assert_true(turn_until(service, hale_service_is_live(service)));
        g_assert_cmpuint(manager_count(&manager, "WATCHDOG=trigger"), ==, 0);
        end(&manager, service, &patient);
}

static void test_late(void) {
        Patient patient = { .result = HALE_PENDING };
        hale_remedy *remedy;
        Manager manager;
        hale_service *service = start(&manager, &patient, HALE_GATE_LIVE, first, &remedy);

        g_assert_cmpint(hale_remedy_set_timeout_usec(remedy, 0), ==, -EINVAL);
        g_assert_cmpint(hale_remedy_set_timeout_usec(remedy, 20000), ==, 0);
        begin(&manager, service);
        patient.ill = TRUE;
        g_assert_true(turn_until(service, manager_count(&manager, "WATCHDOG=trigger") == 1));
        g_assert_cmpuint(patient.n_first, ==, 1);
        g_assert_cmpint(hale_remedy_answer(remedy, patient.run, 0), ==, -ESTALE);
        g_assert_cmpint(hale_remedy_set_timeout_usec(remedy, 20000), ==, -EBUSY);
        hale_remedy_unref(remedy);
        end(&manager, service, &patient);
}

/* Each way of being no help leads on to the trigger, and none of them more than once. */
static void test_in_vain(gconstpointer data) {
        Patient patient = { .result = GPOINTER_TO_INT(data) };
        Manager manager;
        hale_service *service = start(&manager, &patient, HALE_GATE_LIVE, first, NULL);

        begin(&manager, service);
        patient.ill = TRUE;
        g_assert_true(turn_until(service, manager_count(&manager, "WATCHDOG=trigger") == 1));
        g_assert_cmpuint(patient.n_first, ==, 1);
        end(&manager, service, &patient);
}

static void test_drops_its_probe(void) {
        Patient patient = { .worsens = TRUE };
        hale_remedy *remedy;
        Manager manager;
        hale_service *service = start(&manager, &patient, HALE_GATE_LIVE, first, &remedy);

        begin(&manager, service);
        patient.ill = TRUE;
        g_assert_true(turn_until(service, patient.n_first == 1));
        g_assert_true(turn_until(service, hale_service_is_live(service)));
        g_assert_null(hale_remedy_get_probe(remedy));
        g_assert_cmpint(hale_remedy_done(remedy, 0), ==, -ESTALE);
        g_assert_cmpint(hale_remedy_set_budget(remedy, 1), ==, -ESTALE);
        g_assert_cmpuint(hale_remedy_get_n_runs(remedy), ==, 0);
        hale_remedy_unref(remedy);
        end(&manager, service, &patient);
}

static void test_dropped_while_pending(void) {
        Patient patient = { .result = HALE_PENDING };
        hale_remedy *remedy;
        Manager manager;
        hale_service *service = start(&manager, &patient, HALE_GATE_LIVE, first, &remedy);

        begin(&manager, service);
        patient.ill = TRUE;
        g_assert_true(turn_until(service, patient.n_first == 1));
        g_assert_cmpint(hale_probe_drop(patient.probe), ==, 0);
        g_assert_true(turn_until(service, hale_service_is_live(service)));
        g_assert_cmpint(hale_remedy_done(remedy, 0), ==, -ESTALE);
        hale_remedy_unref(remedy);
        end(&manager, service, &patient);
}

static void test_blocking(void) {
        Patient patient = { .block_msec = 50 };
        hale_remedy *remedy;
        Manager manager;
        hale_service *service = start(&manager, &patient, HALE_GATE_LIVE, block, &remedy);

        g_assert_cmpint(hale_remedy_set_blocking(remedy, 1), ==, 0);
        begin(&manager, service);
        __atomic_store_n(&patient.ill, TRUE, __ATOMIC_RELAXED);
        g_assert_true(turn_until(service, hale_remedy_get_n_healed(remedy) == 1));
        g_assert_true(turn_until(service, hale_service_is_live(service)));
        hale_remedy_unref(remedy);
        end(&manager, service, &patient);
}

/* One that never comes back is abandoned at its deadline; the loop does not notice. */
static void test_blocking_for_ever(void) {
        static Patient patient = { .block_msec = 3000 };
        hale_remedy *remedy;
        Manager manager;
        hale_service *service = start(&manager, &patient, HALE_GATE_LIVE, block, &remedy);

        g_assert_cmpint(hale_remedy_set_blocking(remedy, 1), ==, 0);
        g_assert_cmpint(hale_remedy_set_timeout_usec(remedy, 30000), ==, 0);
        begin(&manager, service);
        __atomic_store_n(&patient.ill, TRUE, __ATOMIC_RELAXED);
        g_assert_true(turn_until(service, manager_count(&manager, "WATCHDOG=trigger") == 1));
        g_assert_true(patient.ill);
        hale_remedy_unref(remedy);
        end(&manager, service, &patient);
}

/* A ready probe triggers nothing, however spent its ladder is; until it gives up. */
static void test_give_up(void) {
        Patient patient = {};
        Manager manager;
        hale_service *service = start(&manager, &patient, HALE_GATE_READY, first, NULL);

        g_assert_cmpint(hale_probe_add_give_up(patient.probe, 20), ==, 0);
        g_assert_cmpint(hale_probe_add_remedy(patient.probe, NULL, "above", 30, second, &patient),
                        ==, -EINVAL);
        begin(&manager, service);
        patient.ill = TRUE;
        g_assert_true(turn_until(service, patient.n_first == 1));
        g_assert_true(turn_until(service, !hale_service_is_ready(service)));
        g_assert_true(hale_service_is_live(service));
        g_assert_true(turn_until(service, manager_count(&manager, "WATCHDOG=trigger") == 1));
        g_assert_cmpint(hale_probe_get_gates(patient.probe), ==, HALE_GATE_READY | HALE_GATE_LIVE);
        end(&manager, service, &patient);
}

static void test_pushed(void) {
        Patient patient = { .result = HALE_PENDING };
        hale_remedy *remedy;
        hale_service *service;
        Manager manager;

        manager_init(&manager, WATCHDOG);
        service = service_of_test();
        g_assert_cmpint(hale_service_add_probe(service, &patient.probe, "patient", HALE_GATE_LIVE,
                                               NULL, NULL),
                        ==, 0);
        g_assert_cmpint(hale_probe_add_remedy(patient.probe, &remedy, "first", 1, first, &patient),
                        ==, 0);
        begin(&manager, service);
        (void)hale_probe_fail(patient.probe, "ill");
        g_assert_true(turn_until(service, patient.n_first == 1));

        /* It says that it is well before the remedy says that it is done. */
        (void)hale_probe_pass(patient.probe, NULL);
        turn_for(service, 20000);
        g_assert_cmpuint(hale_remedy_get_n_healed(remedy), ==, 0);
        g_assert_cmpint(hale_remedy_done(remedy, 0), ==, 0);
        g_assert_true(turn_until(service, hale_remedy_get_n_healed(remedy) == 1));
        hale_remedy_unref(remedy);
        end(&manager, service, &patient);
}

static void note_trim(hale_service *service, void *userdata) {
        (void)service;
        ++*(guint *)userdata;
}

static void test_trim(void) {
        Patient patient = {};
        guint n_trims = 0;
        hale_service *service;
        hale_remedy *trim;
        Manager manager;

        manager_init(&manager, WATCHDOG);
        service = service_of_test();
        g_assert_cmpint(hale_service_add_probe(service, &patient.probe, "patient", HALE_GATE_NONE,
                                               ask, &patient),
                        ==, 0);
        quick(patient.probe);
        g_assert_cmpint(hale_service_on_trim(service, note_trim, &n_trims), ==, 0);
        g_assert_cmpint(hale_probe_add_trim(patient.probe, &trim, 1), ==, 0);
        g_assert_cmpint(hale_probe_add_trim(patient.probe, NULL, 1), ==, -EEXIST);
        g_assert_cmpint(hale_remedy_set_blocking(trim, 0), ==, -EINVAL);
        begin(&manager, service);
        patient.ill = TRUE;
        g_assert_true(turn_until(service, n_trims == 1));
        g_assert_true(turn_until(service, hale_remedy_get_n_runs(trim) == 1));
        patient.ill = FALSE;
        turn_for(service, 50000);
        g_assert_cmpuint(n_trims, ==, 1);
        hale_remedy_unref(trim);
        end(&manager, service, &patient);
}

static int link_opens(hale_link *link, void *userdata) {
        guint *n_opened = userdata;

        (void)link;
        ++*n_opened;
        return 0;
}

static int link_alive(hale_probe *probe, void *userdata) {
        return *(guint *)userdata == 1 ? hale_probe_fail(probe, "reads rubbish") : 0;
}

static void test_reopen_link(void) {
        static const hale_link_ops ops = { .open = link_opens };
        guint n_opened = 0;
        hale_service *service;
        hale_remedy *remedy;
        hale_probe *probe;
        hale_link *link;
        Manager manager;

        manager_init(&manager, WATCHDOG);
        service = service_of_test();
        g_assert_cmpint(hale_service_add_link(service, &link, "db", &ops, &n_opened), ==, 0);
        g_assert_cmpint(hale_service_add_probe(service, &probe, "replies", HALE_GATE_LIVE,
                                               link_alive, &n_opened),
                        ==, 0);
        quick(probe);
        g_assert_cmpint(hale_probe_add_reopen_link(probe, &remedy, 2, link), ==, 0);
        g_assert_cmpstr(hale_remedy_get_name(remedy), ==, "reopen-db");
        g_assert_cmpint(hale_service_start(service), ==, 0);
        g_assert_true(turn_until(service, hale_remedy_get_n_healed(remedy) == 1));
        g_assert_cmpuint(n_opened, ==, 2);
        g_assert_cmpuint(manager_count(&manager, "WATCHDOG=trigger"), ==, 0);
        hale_remedy_unref(remedy);
        hale_link_unref(link);
        hale_probe_unref(probe);
        hale_service_unref(service);
        manager_done(&manager);
}

static guint n_worker_runs;

static int serve(hale_worker *worker, void *userdata) {
        (void)userdata;
        (void)__atomic_add_fetch(&n_worker_runs, 1, __ATOMIC_RELAXED);
        while (!hale_worker_should_stop(worker))
                (void)poll(&(struct pollfd){ .fd = hale_worker_get_stop_fd(worker),
                                             .events = POLLIN },
                           1, -1);
        return 0;
}

/* Until the first thread has ended: the second may not have had a processor yet. */
static int queue_drains(hale_probe *probe, void *userdata) {
        return hale_worker_get_exit_text(userdata)[0] == '\0'
                       ? hale_probe_fail(probe, "does not drain")
                       : 0;
}

static void test_restart_worker(void) {
        hale_service *service;
        hale_worker *worker;
        hale_remedy *remedy;
        hale_probe *probe;
        Manager manager;

        manager_init(&manager, WATCHDOG);
        service = service_of_test();
        g_assert_cmpint(hale_service_add_worker(service, &worker, "server", serve, NULL), ==, 0);
        g_assert_cmpint(hale_worker_set_thread(worker, 1), ==, 0);
        g_assert_cmpint(hale_service_add_probe(service, &probe, "queue", HALE_GATE_LIVE,
                                               queue_drains, worker),
                        ==, 0);
        quick(probe);
        g_assert_cmpint(hale_probe_add_restart_worker(probe, &remedy, 2, worker), ==, 0);
        g_assert_cmpint(hale_service_start(service), ==, 0);
        g_assert_true(turn_until(service, hale_remedy_get_n_healed(remedy) == 1));
        g_assert_true(turn_until(service, __atomic_load_n(&n_worker_runs, __ATOMIC_RELAXED) == 2));
        g_assert_cmpint(hale_worker_get_state(worker), ==, HALE_WORKER_RUNNING);
        g_assert_cmpuint(manager_count(&manager, "WATCHDOG=trigger"), ==, 0);

        /* The thread ends before its service does. */
        g_assert_cmpint(hale_service_stop(service), ==, 0);
        g_assert_true(turn_until(service, hale_worker_get_state(worker) == HALE_WORKER_ENDED ||
                                                  sd_event_get_state(hale_service_get_event(
                                                          service)) == SD_EVENT_FINISHED));
        hale_remedy_unref(remedy);
        hale_worker_unref(worker);
        hale_probe_unref(probe);
        hale_service_unref(service);
        manager_done(&manager);
}

static void test_arguments(void) {
        Patient patient = {};
        Manager manager;
        hale_service *service = start(&manager, &patient, 0, first, NULL);
        hale_remedy *remedy;

        g_assert_cmpint(hale_probe_add_remedy(patient.probe, NULL, "No", 1, first, NULL), ==,
                        -EINVAL);
        g_assert_cmpint(hale_probe_add_remedy(patient.probe, NULL, NULL, 1, first, NULL), ==,
                        -EINVAL);
        g_assert_cmpint(hale_probe_add_remedy(patient.probe, NULL, "x", 0, first, NULL), ==,
                        -EINVAL);
        g_assert_cmpint(hale_probe_add_remedy(patient.probe, NULL, "x", 1, NULL, NULL), ==,
                        -EINVAL);
        g_assert_cmpint(hale_probe_add_remedy(patient.probe, NULL, "first", 1, first, NULL), ==,
                        -EEXIST);
        g_assert_cmpint(hale_probe_add_restart_worker(patient.probe, NULL, 1, NULL), ==, -EINVAL);
        g_assert_cmpint(hale_probe_add_memory_ladder(patient.probe), ==, -EINVAL);
        for (unsigned i = 1; i < 8; i++) {
                char name[] = { 'a', (char)('0' + i), '\0' };

                g_assert_cmpint(hale_probe_add_remedy(patient.probe, NULL, name, 1, first, NULL),
                                ==, 0);
        }
        g_assert_cmpint(hale_probe_add_remedy(patient.probe, NULL, "x", 1, first, NULL), ==,
                        -E2BIG);
        g_assert_cmpint(hale_probe_drop(patient.probe), ==, 0);
        g_assert_cmpint(hale_probe_add_remedy(patient.probe, &remedy, "x", 1, first, NULL), ==,
                        -ESTALE);
        end(&manager, service, &patient);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/service/remedy/heals-without-a-restart", test_heals);
        g_test_add_func("/service/remedy/withholds-while-one-is-left", test_pending_withholds);
        g_test_add_func("/service/remedy/that-is-late-is-spent", test_late);
        g_test_add_data_func("/service/remedy/no-help", GINT_TO_POINTER(0), test_in_vain);
        g_test_add_data_func("/service/remedy/error", GINT_TO_POINTER(-EIO), test_in_vain);
        g_test_add_data_func("/service/remedy/nonsense", GINT_TO_POINTER(42), test_in_vain);
        g_test_add_func("/service/remedy/may-drop-its-probe", test_drops_its_probe);
        g_test_add_func("/service/remedy/probe-dropped-meanwhile", test_dropped_while_pending);
        g_test_add_func("/service/remedy/may-block-in-the-pool", test_blocking);
        g_test_add_func("/service/remedy/may-block-for-ever", test_blocking_for_ever);
        g_test_add_func("/service/remedy/gives-up", test_give_up);
        g_test_add_func("/service/remedy/of-a-pushed-probe", test_pushed);
        g_test_add_func("/service/remedy/trim", test_trim);
        g_test_add_func("/service/remedy/reopen-link", test_reopen_link);
        g_test_add_func("/service/remedy/restart-worker", test_restart_worker);
        g_test_add_func("/service/remedy/arguments", test_arguments);
        return g_test_run();
}
