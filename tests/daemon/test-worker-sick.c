/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Workers that hang and misbehave
 *
 * Each ends in a state that is told in words, with all that it has started, and the
 * service goes on; or, where nothing but a restart of the service helps, it says so.
 */

#include "lib/worker-run.h"

static void check_hung(const char *worker) {
        Run run;

        RUN_START(&run, worker, "b:steady,heartbeat=2000000");
        expect(&run, "^begins a ([0-9]+)");
        expect(&run, "Worker 'a' hangs: no heartbeat for .*; killing it$");
        expect(&run, "Worker 'a' died: hung: no heartbeat for 200ms, killed; starting it again$");
        expect(&run, "^begins a ([0-9]+)");
        g_assert_cmpuint(count(&run, "begins b"), ==, 1);
        run_stop(&run);
}

static void test_hung(void) {
        check_hung("a:hangs,heartbeat=200000,stop=100000");
}

static void test_hung_and_busy(void) {
        check_hung("a:spins,heartbeat=200000,stop=100000");
}

static void test_closes_heartbeat(void) {
        check_hung("a:closes,heartbeat=200000,stop=100000");
}

static void test_hung_with_spare(void) {
        check_hung("a:hangs,heartbeat=200000,stop=100000,spare=1");
}

static void test_stopped_by_signal(void) {
        long pid;
        Run run;

        RUN_START(&run, "a:steady,heartbeat=500000");
        pid = expect(&run, "^begins a ([0-9]+)");
        g_assert_cmpint(kill((pid_t)pid, SIGSTOP), ==, 0);
        expect(&run, "Worker 'a' died: hung: no heartbeat for 500ms, killed");
        expect(&run, "^begins a ([0-9]+)");
        run_stop(&run);
}

static void test_babble_is_ignored(void) {
        Run run;

        RUN_START(&run, "a:babbles,heartbeat=5000000");
        expect(&run, "^begins a");
        command(&run, "show a\n");
        expect(&run, "^show a running pid=[0-9]+ restarts=0 verdict=pass");
        run_stop(&run);
}

/* As many that only compute as keep every processor busy three times over, for three seconds. */
static void test_starved(void) {
        unsigned n = 3 * g_get_num_processors();
        pid_t *hogs = g_new0(pid_t, n);
        gint64 until;
        Run run;

        RUN_START(&run, "a:steady,heartbeat=10000000", "b:steady,heartbeat=500000");
        expect(&run, "^begins");
        expect(&run, "^begins");
        until = g_get_monotonic_time() + 3 * G_USEC_PER_SEC;
        for (unsigned i = 0; i < n; i++) {
                hogs[i] = fork();
                if (hogs[i] == 0) {
                        (void)alarm(10);
                        while (g_get_monotonic_time() < until)
                                ;
                        _exit(0);
                }
        }
        for (unsigned i = 0; i < n; i++)
                g_assert_cmpint(waitpid(hogs[i], NULL, 0), ==, hogs[i]);

        command(&run, "show a\nshow b\n");
        expect(&run, "^show a running pid=[0-9]+ restarts=0 verdict=pass");
        expect(&run, "^show b running pid=[0-9]+ restarts=0 verdict=pass");
        run_stop(&run);
        g_free(hogs);
}

/* Ignores SIGTERM: killed within its time, and the one before it in the order afterwards. */
static void test_deaf(void) {
        gint64 before;
        Run run;

        RUN_START(&run, "b:steady", "a:deaf,stop=200000");
        expect(&run, "^begins");
        expect(&run, "^begins");
        before = g_get_monotonic_time();
        command(&run, "stop\n");
        expect(&run, "Worker 'a' did not stop for 200ms$");
        expect(&run, "^stops b");
        expect_silence(&run);
        g_assert_cmpint(g_get_monotonic_time() - before, >=, 200000);
        g_assert_cmpint(g_get_monotonic_time() - before, <, 10 * G_USEC_PER_SEC);
        g_assert_cmpint(run_end(&run), ==, 0);
}

/* Nobody is told when the last of a group has been reaped, so look again and again. */
static void expect_no_group(pid_t group) {
        gint64 until = g_get_monotonic_time() + LIMIT_USEC;

        while (kill(-group, 0) == 0 || errno != ESRCH) {
                g_assert_cmpint(g_get_monotonic_time(), <, until);
                (void)poll(NULL, 0, 1);
        }
}

/* What a worker has started goes with it. */
static void test_bomb(void) {
        long pid;
        Run run;

        RUN_START(&run, "a:bomb");
        expect(&run, "^bombed a");
        run_stop(&run);

        RUN_START(&run, "a:bomb,restart=2");
        expect(&run, "^bombed a");
        pid = expect(&run, "^begins a ([0-9]+)");
        g_assert_cmpint(kill((pid_t)pid, SIGKILL), ==, 0);
        expect(&run, "Worker 'a' has ended and is not started again: killed by SIGKILL$");
        expect_no_group((pid_t)pid);
        g_assert_cmpuint(count(&run, "was taken"), ==, 0);
        run_stop(&run);
}

/* A thread that hangs cannot be killed: the service ends for it. */
static void test_thread_hangs(void) {
        Run run;

        RUN_START(&run, "a:hangs,thread=1,heartbeat=200000");
        expect(&run, "^begins a");
        expect(&run, "Worker 'a' hangs: no heartbeat for .*; it is a thread");
        expect(&run, "not live: a: hangs: no heartbeat for .*, and a thread cannot be killed");
        g_assert_cmpint(WEXITSTATUS(run_end(&run)), ==, 70);
}

static void test_thread_does_not_stop(void) {
        Run run;

        RUN_START(&run, "b:steady", "a:deaf,thread=1,stop=100000");
        expect(&run, "^begins");
        expect(&run, "^begins");
        command(&run, "stop\n");
        expect(&run, "Worker 'a' does not stop, and a thread cannot be killed for 100ms");
        expect(&run, "^stops b");
        g_assert_cmpint(run_end(&run), ==, 0);
}

int main(int argc, char *argv[]) {
        static const WorkerTest tests[] = {
                { "hung", test_hung },
                { "hung-and-busy", test_hung_and_busy },
                { "hung-with-spare", test_hung_with_spare },
                { "closes-heartbeat", test_closes_heartbeat },
                { "stopped-by-signal", test_stopped_by_signal },
                { "babble-is-ignored", test_babble_is_ignored },
                { "starved", test_starved },
                { "deaf", test_deaf },
                { "bomb", test_bomb },
                { "thread-hangs", test_thread_hangs },
                { "thread-does-not-stop", test_thread_does_not_stop },
        };

        return run_tests(argc, argv, tests, G_N_ELEMENTS(tests));
}
