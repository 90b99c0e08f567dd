/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The flight recorder across the death of its service: this test is the manager, which
 * keeps what it is given (FDSTORE=1), kills in each way there is, starts the service
 * anew, and reads on its /health why the last one died.
 */

#include "lib/record-manager.h"

static void test_first_run(void) {
        Manager manager;

        manager_init(&manager);
        run_well(&manager);
        g_assert_cmpuint(manager.n_stored, ==, 1);
        g_assert_false(shows(&manager, "/health", "*previousRun*"));
        g_assert_false(shows(&manager, "/metrics", "*hale_fdstore_fds*"));
        g_assert_false(shows(&manager, "/metrics", "*hale_restarts*"));
        must_show(&manager, "/status.json", "*\"run\":1,\"restarts\":0,*\"event\":\"start\"*");
        must_show(&manager, "/status.json",
                  "*\"event\":\"probe\",\"name\":\"engine\",\"from\":\"unknown\",\"to\":\"pass\"*");
        manager_bury(&manager, SIGTERM);
        manager_done(&manager);
}

typedef struct Row {
        const char *mode;
        int signal; /* that the test sends when it is ready; 0: none */
        gboolean as_watchdog;
        const char *shown; /* on the next run's /health */
        const char *logged;
} Row;

/* clang-format off */
static const Row rows[] = {
        { "well", SIGKILL, FALSE,
          "*\"previousRun\":{\"result\":\"killed\",\"reason\":\"it was killed without a word*\"restarts\":1,*",
          "the last time it was killed" },
        { "well", SIGABRT, FALSE,
          "*\"previousRun\":{\"result\":\"abort\",*\"signal\":\"SIGABRT\",*\"stack\":*",
          "the last time it was aborted" },
        { "abort", 0, FALSE,
          "*\"previousRun\":{\"result\":\"abort\",*\"function\":\"*\",\"stack\":*an_abort_with_a_name*",
          "an_abort_with_a_name" },
        { "crash", 0, FALSE,
          "*\"previousRun\":{\"result\":\"crash\",*SIGSEGV*\"function\":\"a_crash_with_a_name+*",
          "it crashed (SIGSEGV) at a_crash_with_a_name+" },
        { "exit", 0, FALSE,
          "*\"previousRun\":{\"result\":\"failed\",\"reason\":\"it ended by itself: exit() was called with status 3\",*",
          "the last time it ended by itself: exit() was called with status 3" },
        { "sick", 0, FALSE,
          "*\"previousRun\":{\"result\":\"trigger\",*\"probe\":\"engine\"*",
          "it asked systemd to restart it: not live: engine: beyond help MAINPID=1" },
        { "hang", 0, TRUE,
          "*\"previousRun\":{\"result\":\"watchdog\",*\"stalledIn\":\"probe 'engine'\",\"function\":\"a_hang_with_a_name+*\"stack\":*main+*",
          "in probe 'engine' at a_hang_with_a_name+" },
};
/* clang-format on */

static void test_row(gconstpointer data) {
        const Row *row = data;
        Manager manager;
        g_autofree char *log = NULL;

        manager_init(&manager);
        manager_start(&manager, row->mode);
        wait_until(&manager, manager.ready);
        if (row->as_watchdog) {
                wait_until(&manager, log_has(&manager, "The event loop of 'subject' hangs for "));
                wait_until(&manager,
                           log_has(&manager, "in probe 'engine', at a_hang_with_a_name+"));
                wait_until(&manager, g_get_monotonic_time() - manager.pinged_usec >= WATCHDOG_USEC);
                manager_bury(&manager, SIGABRT);
        } else {
                manager_bury(&manager, row->signal);
        }

        run_well(&manager);
        g_assert_cmpuint(manager.n_stored, ==, 1);
        g_assert_cmpuint(manager.n_removed, ==, 0);
        must_show(&manager, "/health", row->shown);
        must_show(&manager, "/status.json", "*\"run\":2,\"restarts\":1,*");
        must_show(&manager, "/metrics", "*\nhale_restarts 1\n*\nhale_fdstore_fds 1\n*");
        must_show(&manager, "/status.json", "*\"run\":1,\"event\":\"start\"*");
        log = log_of(&manager);
        g_assert_cmpuint(count(log, "runs again; the last time"), ==, 1);
        if (!strstr(log, row->logged))
                g_error("'%s' is not in:\n%s", row->logged, log);
        manager_bury(&manager, SIGTERM);
        manager_done(&manager);
}

/* An end that was meant is told on /health, and is no reason for a warning. */
static void test_clean_stop(void) {
        Manager manager;

        manager_init(&manager);
        run_well(&manager);
        manager_bury(&manager, SIGTERM);
        run_well(&manager);
        must_show(&manager, "/health",
                  "*\"previousRun\":{\"result\":\"stopped\",*\"restarts\":0,*");
        g_assert_false(log_has(&manager, "runs again"));
        manager_bury(&manager, SIGTERM);
        manager_done(&manager);
}

/* As systemd sees it, exit(0) is no failure; and that of a fork is not ours. */
static void test_exits(void) {
        Manager manager;

        manager_init(&manager);
        manager_start(&manager, "exit-well");
        manager_bury(&manager, 0);
        manager_start(&manager, "fork");
        wait_until(&manager, shows(&manager, "/health", "*the fork has gone*"));
        must_show(&manager, "/health",
                  "*\"previousRun\":{\"result\":\"stopped\",*\"restarts\":0,*");
        manager_bury(&manager, SIGKILL);
        run_well(&manager);
        must_show(&manager, "/health", "*\"previousRun\":{\"result\":\"killed\",*");
        manager_bury(&manager, SIGTERM);
        manager_done(&manager);
}

static void test_many_runs(void) {
        Manager manager;

        manager_init(&manager);
        for (guint i = 0; i < 12; i++) {
                run_well(&manager);
                manager_bury(&manager, i % 3 == 0 ? SIGTERM : SIGKILL);
        }
        run_well(&manager);
        g_assert_cmpuint(manager.n_stored, ==, 1);
        must_show(&manager, "/status.json", "*\"run\":13,\"restarts\":8,*");
        manager_bury(&manager, SIGTERM);
        manager_done(&manager);
}

static void test_maintenance(void) {
        Manager manager;
        gint64 until;

        manager_init(&manager);
        manager_start(&manager, "maintain");
        wait_until(&manager, shows(&manager, "/health", "*\"phase\":\"maintenance\"*"));
        manager_bury(&manager, SIGKILL);
        run_well(&manager);
        must_show(&manager, "/health", "*\"phase\":\"maintenance\"*maintenance: new disk*");
        must_show(&manager, "/readyz", "HTTP/1.1 503*");
        manager_bury(&manager, SIGKILL);

        /* A shorter one replaces it, and runs out while nobody is there. */
        manager_start(&manager, "maintain-shortly");
        wait_until(&manager, shows(&manager, "/health", "*maintenance: a moment*"));
        until = g_get_monotonic_time() + 3 * G_USEC_PER_SEC;
        manager_bury(&manager, SIGKILL);
        wait_until(&manager, g_get_monotonic_time() >= until);
        run_well(&manager);
        must_show(&manager, "/health", "*\"phase\":\"running\"*");
        manager_bury(&manager, SIGTERM);
        manager_done(&manager);
}

/* A loop that goes on by itself is in the history, with where it hung. */
static void test_stall_that_ends(void) {
        Manager manager;

        manager_init(&manager);
        manager_start(&manager, "stall");
        wait_until(&manager, shows(&manager, "/status.json",
                                   "*\"event\":\"stall\"*\"text\":\"a_stall_that*"));
        g_assert_true(log_has(&manager, "at a_stall_that_ends+"));
        manager_bury(&manager, SIGKILL);
        run_well(&manager);
        must_show(&manager, "/health", "*\"previousRun\":{\"result\":\"killed\",*");
        g_assert_false(shows(&manager, "/health", "*stalledIn*"));
        manager_bury(&manager, SIGTERM);
        manager_done(&manager);
}

/* What flaps a thousand times does not push out what was before it. */
static void test_storm(void) {
        static const char *const kinds[] = { "probe", "link", "health" };
        g_autofree char *history = NULL;
        Manager manager;

        manager_init(&manager);
        run_well(&manager);
        manager_bury(&manager, SIGKILL);
        manager_start(&manager, "storm");
        wait_until(&manager, shows(&manager, "/health", "*the storm is over*"));

        history = get(&manager, "/status.json");
        g_assert_cmpuint(count(history, "\"event\":\"start\""), ==, 2);
        g_assert_cmpuint(count(history, "\"event\":\"maintenance\""), ==, 1);
        for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
                g_autofree char *event = g_strdup_printf("\"event\":\"%s\"", kinds[i]);

                g_test_message("%s: %u", kinds[i], count(history, event));
                g_assert_cmpuint(count(history, event), >=, 32);
                g_assert_cmpuint(count(history, event), <=, 48);
        }
        manager_bury(&manager, SIGTERM);
        manager_done(&manager);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/service/record/first-run", test_first_run);
        for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
                char *path = g_strdup_printf("/service/record/%s-%d", rows[i].mode, rows[i].signal);

                g_test_add_data_func(path, &rows[i], test_row);
                g_free(path);
        }
        g_test_add_func("/service/record/clean-stop", test_clean_stop);
        g_test_add_func("/service/record/exits", test_exits);
        g_test_add_func("/service/record/many-runs", test_many_runs);
        g_test_add_func("/service/record/maintenance", test_maintenance);
        g_test_add_func("/service/record/stall-that-ends", test_stall_that_ends);
        g_test_add_func("/service/record/storm", test_storm);
        return g_test_run();
}
