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
        expect(&run, "Worker 'a' does not stop for 100ms, and a thread cannot be killed");
        expect(&run, "^stops b");
        g_assert_cmpint(run_end(&run), ==, 0);
}

/* Whatever it does to itself: it ends as @pattern says, and the service is as well as before. */
static void check_ends(const char *worker, const char *pattern) {
        Run run;

        RUN_START(&run, worker, "b:steady");
        expect(&run, "^begins a");
        expect(&run, "^begins b");
        expect(&run, pattern);
        command(&run, "show b\n");
        expect(&run, "^show b running pid=[0-9]+ restarts=0 verdict=pass .*live=1 ready=1");
        run_stop(&run);
}

static void test_freezes(void) {
        check_ends("a:freezes,restart=2,heartbeat=200000",
                   "Worker 'a' has ended .*: hung: no heartbeat for 200ms, killed");
}

static void test_execs(void) {
        Run run;

        check_ends("a:execs,restart=2,heartbeat=200000",
                   "Worker 'a' has ended .*: hung: no heartbeat for 200ms, killed");

        /* Without a heartbeat it may be what it likes, and is ended as the rest. */
        RUN_START(&run, "a:execs");
        expect(&run, "^begins a");
        run_stop(&run);
}

/* By SIGSEGV, or as a sanitizer has it. */
static void test_unmaps(void) {
        check_ends("a:unmaps,restart=2",
                   "Worker 'a' has ended .*: (killed by SIG(SEGV|ABRT)|exited with status [0-9]+)");
}

static void test_scribbles(void) {
        check_ends("a:scribbles,restart=2,heartbeat=200000",
                   "Worker 'a' has ended .*: hung: no heartbeat for 200ms, killed");
}

static void test_exits_twice(void) {
        check_ends("a:exits-twice,restart=2", "Worker 'a' has ended .*: exited with status 5");
}

/* From threads and handlers, as often as it can. */
static void test_storms(void) {
        Run run;

        RUN_START(&run, "a:storms,heartbeat=500000");
        expect(&run, "^begins a");
        for (unsigned i = 0; i < 20; i++) {
                command(&run, "show a\n");
                expect(&run, "^show a running pid=[0-9]+ restarts=0");
        }
        command(&run, "stop\n");
        expect(&run, "^stops a");
        g_assert_cmpint(run_end(&run), ==, 0);
}

/* Nobody forks so fast that he escapes. */
static void test_breeds(void) {
        long pid;
        Run run;

        RUN_START(&run, "a:breeds,restart=2,heartbeat=300000");
        pid = expect(&run, "^begins a ([0-9]+)");
        expect(&run, "Worker 'a' has ended .*: hung");
        expect_no_group((pid_t)pid);
        run_stop(&run);
}

/* Who has left the group is not ours to end, and holds nobody up. */
static void test_escapes(void) {
        long pid;
        Run run;

        RUN_START(&run, "a:escapes");
        pid = expect(&run, "^escaped from a ([0-9]+)");
        command(&run, "stop\n");
        expect(&run, "^stops a");
        expect(&run, "Service 'workers' has stopped");
        g_assert_cmpint(kill((pid_t)pid, SIGKILL), ==, 0);
        g_assert_cmpint(run_end(&run), ==, 0);
}

static void test_calls(void) {
        Run run;

        RUN_START(&run, "--group=g:1", "a:calls,grouped=1", "b:steady,grouped=1");
        expect(&run, "^was refused a");
        command(&run, "show a\n");
        expect(&run, "^show a running pid=[0-9]+ restarts=0 verdict=pass .*live=1 ready=1");
        run_stop(&run);
}

static void test_unrefs(void) {
        check_ends("a:unrefs,restart=2",
                   "Worker 'a' has ended .*: exited with status 71 .Object is remote");
}

/* It takes its time to die, and its group does not wait in vain for it: it is not started again. */
static void test_group_waits_for_the_dead(void) {
        long pid;
        Run run;

        RUN_START(&run, "--group=g:1", "a:fat,restart=2,heartbeat=200000,grouped=1",
                  "b:steady,grouped=1");
        pid = expect(&run, "^begins b ([0-9]+)");
        expect(&run, "Worker 'a' hangs: .*; killing it$");
        g_assert_cmpint(kill((pid_t)pid, SIGABRT), ==, 0);
        expect(&run, "Worker 'a' has ended and is not started again");
        expect(&run, "Worker 'b' runs again");
        run_stop(&run);
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
                { "freezes", test_freezes },
                { "execs", test_execs },
                { "unmaps", test_unmaps },
                { "scribbles", test_scribbles },
                { "exits-twice", test_exits_twice },
                { "storms", test_storms },
                { "breeds", test_breeds },
                { "escapes", test_escapes },
                { "calls", test_calls },
                { "unrefs", test_unrefs },
                { "group-waits-for-the-dead", test_group_waits_for_the_dead },
        };

        return run_tests(argc, argv, tests, G_N_ELEMENTS(tests));
}
