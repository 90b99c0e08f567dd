/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Rehearsals
 *
 * Nothing can be injected unless the program allows it; what is asked for wrongly is
 * refused with its reason; what is injected shows, does what it says, and ends by
 * itself. (Who may ask over D-Bus is for test-bus-faults and the booted scenario.)
 */

#include <errno.h>
#include <unistd.h>

#include "lib/manager.h"

#define SECOND 1000000ULL

static int well(hale_probe *probe, void *userdata) {
        (void)probe, (void)userdata;
        return 0;
}

static hale_service *start(Manager *manager, const char *watchdog) {
        hale_service *service;
        hale_probe *probe;

        manager_init(manager, watchdog);
        service = service_of_test();
        g_assert_cmpint(hale_service_add_probe(service, &probe, "asked", HALE_GATE_READY, well,
                                               NULL),
                        ==, 0);
        g_assert_cmpint(hale_probe_set_interval_usec(probe, 10000), ==, 0);
        g_assert_cmpint(hale_probe_set_thresholds(probe, 1, 1), ==, 0);
        hale_probe_unref(probe);
        g_assert_cmpint(hale_service_add_probe(service, NULL, "pushed", 0, NULL, NULL), ==, 0);
        g_assert_cmpint(hale_service_allow_faults(service, 1), ==, 0);
        return service;
}

static void run(hale_service *service) {
        g_assert_cmpint(hale_service_start(service), ==, 0);
        g_assert_true(turn_until(service, hale_service_is_ready(service)));
}

static void test_refused(void) {
        static const struct {
                const char *kind, *target;
                guint64 usec;
                int result;
        } rows[] = {
                { "fail-probe", "nobody", SECOND, -ENOENT },
                { "fail-probe", "", SECOND, -ENOENT },
                { "kill-worker", "asked", SECOND, -ENOENT },
                { "hang-worker", "asked", SECOND, -ENOENT },
                { "cut-link", "asked", SECOND, -ENOENT },
                { "hang-loop", "asked", SECOND, -EINVAL },
                { "leak", "", SECOND, -EINVAL },
                { "leak", "0", SECOND, -EINVAL },
                { "leak", "2G", SECOND, -EINVAL },
                { "leak", "-1", SECOND, -EINVAL },
                { "explode", "asked", SECOND, -EINVAL },
                { "", "", SECOND, -EINVAL },
                { "fail-probe", "asked", 0, -ERANGE },
                { "fail-probe", "asked", 601 * SECOND, -ERANGE },
                { "fail-probe", "asked", UINT64_MAX, -ERANGE },
        };
        g_autofree char *endless = g_strnfill(100000, 'a');
        Manager manager;
        hale_service *service = start(&manager, NULL);

        g_assert_cmpint(hale_service_inject_fault(service, "fail-probe", "asked", SECOND), ==,
                        -ESTALE);
        run(service);
        g_assert_cmpint(hale_service_allow_faults(service, 0), ==, 0);
        g_assert_cmpint(hale_service_inject_fault(service, "fail-probe", "asked", SECOND), ==,
                        -EPERM);
        g_assert_cmpint(hale_service_allow_faults(service, 1), ==, 0);
        for (gsize i = 0; i < G_N_ELEMENTS(rows); i++)
                g_assert_cmpint(hale_service_inject_fault(service, rows[i].kind, rows[i].target,
                                                          rows[i].usec),
                                ==, rows[i].result);
        g_assert_cmpint(hale_service_inject_fault(service, "fail-probe", endless, SECOND), ==,
                        -EINVAL);
        g_assert_cmpint(hale_service_inject_fault(service, NULL, "", SECOND), ==, -EINVAL);
        g_assert_false(hale_service_is_rehearsing(service));
        hale_service_unref(service);
        manager_done(&manager);
}

static void test_fail_probe(void) {
        Manager manager;
        hale_service *service = start(&manager, NULL);
        hale_probe *asked = hale_service_find_probe(service, "asked");
        hale_probe *pushed = hale_service_find_probe(service, "pushed");

        run(service);
        g_assert_cmpint(hale_service_inject_fault(service, "fail-probe", "asked", 3 * SECOND), ==,
                        0);
        g_assert_cmpint(hale_service_inject_fault(service, "fail-probe", "asked", 3 * SECOND), ==,
                        -EALREADY);
        g_assert_cmpint(hale_service_inject_fault(service, "fail-probe", "pushed", 3 * SECOND), ==,
                        0);
        g_assert_true(hale_service_is_rehearsing(service));
        g_assert_true(turn_until(service, hale_probe_get_verdict(asked) == HALE_FAIL));
        g_assert_true(turn_until(service, hale_probe_get_verdict(pushed) == HALE_FAIL));
        g_assert_cmpstr(hale_probe_get_output(asked), ==, "REHEARSAL: told to fail on purpose");
        g_assert_false(hale_service_is_ready(service));

        /* What is told meanwhile does not heal it. */
        (void)hale_probe_pass(pushed, "well");
        g_assert_cmpint(hale_probe_get_verdict(pushed), ==, HALE_FAIL);
        g_assert_true(
                turn_until(service,
                           manager_last(&manager, "STATUS=REHEARSAL (fail-probe asked, fail-probe "
                                                  "pushed): not ready: asked: ")));
        manager_forget(&manager);

        g_assert_true(turn_until(service, !hale_service_is_rehearsing(service)));
        g_assert_true(turn_until(service, hale_service_is_ready(service)));
        (void)hale_probe_pass(pushed, "well");
        g_assert_cmpint(hale_probe_get_verdict(pushed), ==, HALE_PASS);
        g_assert_true(turn_until(service, manager_count(&manager, "STATUS=ready") > 0));
        hale_service_unref(service);
        manager_done(&manager);
}

/* Dropped meanwhile: nothing is left of it. */
static void test_target_dropped(void) {
        Manager manager;
        hale_service *service = start(&manager, NULL);

        run(service);
        g_assert_cmpint(hale_service_inject_fault(service, "fail-probe", "asked", 100000), ==, 0);
        g_assert_cmpint(hale_probe_drop(hale_service_find_probe(service, "asked")), ==, 0);
        g_assert_true(turn_until(service, !hale_service_is_rehearsing(service)));
        g_assert_true(hale_service_is_live(service));
        hale_service_unref(service);
        manager_done(&manager);
}

static void test_hang_loop(void) {
        Manager manager;
        hale_service *service = start(&manager, "300000");
        gint64 longest = 0, before;

        run(service);
        g_assert_cmpint(hale_service_inject_fault(service, "hang-loop", "", 2 * SECOND), ==, 0);
        manager_forget(&manager);
        while (hale_service_is_rehearsing(service)) {
                before = g_get_monotonic_time();
                g_assert_cmpint(sd_event_run(hale_service_get_event(service), 20000), >=, 0);
                longest = MAX(longest, g_get_monotonic_time() - before);
        }
        /* To the end of the fault, from whenever the loop first had a processor. */
        g_assert_cmpint(longest, >=, (gint64)SECOND);
        g_assert_cmpint(longest, <, LIMIT_USEC);
        g_assert_true(turn_until(service, manager_count(&manager, "WATCHDOG=1") > 0));
        hale_service_unref(service);
        manager_done(&manager);
}

static guint64 resident(void) {
        g_autofree char *text = NULL;
        guint64 size, pages;

        g_assert_true(g_file_get_contents("/proc/self/statm", &text, NULL, NULL));
        g_assert_cmpint(sscanf(text, "%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT, &size, &pages), ==,
                        2);
        return pages * (guint64)sysconf(_SC_PAGESIZE);
}

static void test_leak(void) {
        Manager manager;
        hale_service *service = start(&manager, NULL);
        guint64 before;

        run(service);
        before = resident();
        g_assert_cmpint(hale_service_inject_fault(service, "leak", "32M", 600 * SECOND), ==, 0);
        g_assert_true(turn_until(service, resident() >= before + (30 << 20)));

        /* The limit of the amount is one: it stops there. */
        turn_for(service, SECOND);
        g_assert_true(hale_service_is_rehearsing(service));
        g_assert_cmpuint(resident(), <, before + (64 << 20));
        g_assert_cmpint(hale_service_stop(service), ==, 0);
        g_assert_false(hale_service_is_rehearsing(service));
        hale_service_unref(service);
        manager_done(&manager);
}

static int link_opens(hale_link *link, void *userdata) {
        (void)link;
        ++*(guint *)userdata;
        return 0;
}

/* It comes back, and is cut again. */
static void test_cut_link(void) {
        static const hale_link_ops ops = { .open = link_opens };
        Manager manager;
        hale_service *service = start(&manager, NULL);
        guint n_opened = 0;
        hale_link *link;

        g_assert_cmpint(hale_service_add_link(service, &link, "db", &ops, &n_opened), ==, 0);
        run(service);
        g_assert_true(hale_link_is_up(link));
        g_assert_cmpint(hale_service_inject_fault(service, "cut-link", "db", 4 * SECOND), ==, 0);
        g_assert_true(turn_until(service, !hale_link_is_up(link)));
        g_assert_nonnull(strstr(hale_link_get_reason(link), "REHEARSAL"));
        g_assert_true(turn_until(service, n_opened == 2));
        g_assert_true(turn_until(service, !hale_link_is_up(link)));
        g_assert_true(turn_until(service, !hale_service_is_rehearsing(service)));
        g_assert_true(turn_until(service, hale_service_is_ready(service)));
        hale_link_unref(link);
        hale_service_unref(service);
        manager_done(&manager);
}

/* Who tells only what is new does not tell it again for a rehearsal: what was told before it, or
 * meanwhile, holds again. A link is such a one. */
static void test_what_was_told(void) {
        static const hale_link_ops ops = { .open = link_opens };
        Manager manager;
        hale_service *service = start(&manager, NULL);
        hale_probe *pushed = hale_service_find_probe(service, "pushed");
        guint n_opened = 0;

        g_assert_cmpint(hale_service_add_link(service, NULL, "db", &ops, &n_opened), ==, 0);
        run(service);
        (void)hale_probe_pass(pushed, "as before");
        for (guint i = 0; i < 2; i++) {
                g_assert_cmpint(hale_service_inject_fault(service, "fail-probe", "db", 2 * SECOND),
                                ==, 0);
                g_assert_cmpint(hale_service_inject_fault(service, "fail-probe", "pushed",
                                                          2 * SECOND),
                                ==, 0);
                g_assert_true(turn_until(service, !hale_service_is_ready(service)));
                g_assert_true(turn_until(service, hale_probe_get_verdict(pushed) == HALE_FAIL));
                if (i > 0)
                        (void)hale_probe_warn(pushed, "meanwhile");
                g_assert_cmpint(hale_probe_get_verdict(pushed), ==, HALE_FAIL);
                g_assert_true(turn_until(service, !hale_service_is_rehearsing(service)));
                g_assert_true(turn_until(service, hale_service_is_ready(service)));
                g_assert_cmpint(hale_probe_get_verdict(pushed), ==, i ? HALE_WARN : HALE_PASS);
                g_assert_cmpstr(hale_probe_get_output(pushed), ==, i ? "meanwhile" : "as before");
        }
        g_assert_cmpuint(n_opened, ==, 1);
        hale_service_unref(service);
        manager_done(&manager);
}

static void stop_on_change(hale_link *link, void *userdata) {
        (void)userdata;
        if (!hale_link_is_up(link))
                (void)hale_service_stop(hale_link_get_service(link));
}

static void let_go_on_change(hale_link *link, void *userdata) {
        hale_service **service = userdata;

        if (!hale_link_is_up(link))
                *service = hale_service_unref(*service);
}

/* The program's answer to the fault is to stop, or to let go of all, from within. */
static void test_ends_within(void) {
        static const hale_link_ops ops = { .open = link_opens };

        for (guint i = 0; i < 2; i++) {
                Manager manager;
                hale_service *service = start(&manager, NULL);
                struct sd_event *event = sd_event_ref(hale_service_get_event(service));
                guint n_opened = 0;
                hale_link *link;

                g_assert_cmpint(hale_service_add_link(service, &link, "db", &ops, &n_opened), ==,
                                0);
                g_assert_cmpint(hale_link_on_change(link, i ? let_go_on_change : stop_on_change,
                                                    &service),
                                ==, 0);
                run(service);
                g_assert_cmpint(hale_service_inject_fault(service, "fail-probe", "asked",
                                                          600 * SECOND),
                                ==, 0);
                g_assert_cmpint(hale_service_inject_fault(service, "cut-link", "db", 600 * SECOND),
                                ==, 0);
                for (gint64 limit = g_get_monotonic_time() + LIMIT_USEC;
                     service && hale_service_get_phase(service) != HALE_STOPPING;) {
                        g_assert_cmpint(g_get_monotonic_time(), <, limit);
                        g_assert_cmpint(sd_event_run(event, 20000), >=, 0);
                }
                g_assert_false(hale_service_is_rehearsing(service));
                hale_link_unref(link);
                hale_service_unref(service);
                (void)sd_event_unref(event);
                manager_done(&manager);
        }
}

/* No more than so many, and a stop ends them all. */
static void test_bounds(void) {
        Manager manager;
        hale_service *service = start(&manager, NULL);

        for (guint i = 0; i < 9; i++) {
                g_autofree char *name = g_strdup_printf("p%u", i);

                g_assert_cmpint(hale_service_add_probe(service, NULL, name, 0, well, NULL), ==, 0);
        }
        run(service);
        for (guint i = 0; i < 9; i++) {
                g_autofree char *name = g_strdup_printf("p%u", i);

                g_assert_cmpint(hale_service_inject_fault(service, "fail-probe", name,
                                                          600 * SECOND),
                                ==, i < 8 ? 0 : -E2BIG);
        }
        turn_for(service, 100000);
        g_assert_cmpint(hale_service_stop(service), ==, 0);
        g_assert_false(hale_service_is_rehearsing(service));
        g_assert_cmpint(hale_service_inject_fault(service, "fail-probe", "p0", SECOND), ==,
                        -ESTALE);
        hale_service_unref(service);
        manager_done(&manager);
}

/* Freed in the middle of it all. */
static void test_unref(void) {
        Manager manager;
        hale_service *service = start(&manager, NULL);

        run(service);
        g_assert_cmpint(hale_service_inject_fault(service, "leak", "8M", 600 * SECOND), ==, 0);
        g_assert_cmpint(hale_service_inject_fault(service, "fail-probe", "asked", 600 * SECOND), ==,
                        0);
        turn_for(service, 100000);
        hale_service_unref(service);
        manager_done(&manager);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/service/inject/refused", test_refused);
        g_test_add_func("/service/inject/fail-probe", test_fail_probe);
        g_test_add_func("/service/inject/target-dropped", test_target_dropped);
        g_test_add_func("/service/inject/hang-loop", test_hang_loop);
        g_test_add_func("/service/inject/leak", test_leak);
        g_test_add_func("/service/inject/cut-link", test_cut_link);
        g_test_add_func("/service/inject/what-was-told", test_what_was_told);
        g_test_add_func("/service/inject/ends-within", test_ends_within);
        g_test_add_func("/service/inject/bounds", test_bounds);
        g_test_add_func("/service/inject/freed-meanwhile", test_unref);
        return g_test_run();
}
