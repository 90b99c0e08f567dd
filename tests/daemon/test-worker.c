/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Workers
 *
 * Each test runs a real service, worker-service, and makes its workers die, hang, and
 * misbehave. What must hold: whoever should be started again is, in its order and not too
 * often; whoever should end ends, with all that it has started; what became of it is told
 * in words; and the program's own children and SIGCHLD are left alone. The workers share
 * the service's stdout, so its end is proof that all are gone.
 */

#include <fcntl.h>
#include <glib.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "lib/worker-run.h"

/* The worker has died of @number: somebody replaces it, with another pid. */
static void check_replaced(const char *worker) {
        long first, second;
        Run run;

        RUN_START(&run, worker);
        first = expect(&run, "^begins a ([0-9]+)");
        g_assert_cmpint(kill((pid_t)first, SIGABRT), ==, 0);
        expect(&run, "Worker 'a' died: killed by SIGABRT; starting it again$");
        second = expect(&run, "^begins a ([0-9]+)");
        g_assert_cmpint(first, !=, second);
        expect(&run, "Worker 'a' runs again after .*, restarted 1 time so far$");
        command(&run, "show a\n");
        expect(&run, "^show a running pid=[0-9]+ restarts=1 verdict=warn gates=0 live=1 .*"
                     "exit=\\[killed by SIGABRT\\] "
                     "output=\\[running again, killed by SIGABRT before\\]$");
        command(&run, "stop\n");
        expect(&run, "^stops a");
        g_assert_cmpint(run_end(&run), ==, 0);
}

static void test_crash(void) {
        check_replaced("a:steady");
}

static void test_crash_with_spare(void) {
        check_replaced("a:steady,spare=1");
}

static void test_inherits_nothing(void) {
        Run run;

        g_setenv("NOTIFY_SOCKET", "/nowhere", TRUE);
        g_setenv("WATCHDOG_USEC", "60000000", TRUE);
        g_setenv("LISTEN_FDS", "1", TRUE);
        g_setenv("KEPT", "1", TRUE);
        RUN_START(&run, "--untidy", "a:looks");
        expect(&run, "^clean a");
        run_stop(&run);
        g_unsetenv("NOTIFY_SOCKET");
        g_unsetenv("WATCHDOG_USEC");
        g_unsetenv("LISTEN_FDS");
        g_unsetenv("KEPT");
}

static void test_kinds_of_restart(void) {
        Run run;

        RUN_START(&run, "a:once,restart=1", "b:once,restart=2", "c:fails,restart=2",
                  "d:exits,restart=1,backoff=1/1,intensity=2/60000000");
        expect(&run, "Worker 'd' died: exited with status 3; starting it again$");
        expect(&run, "Worker 'd' is beyond help: restarted 2 times within 1min 0s and died again: "
                     "exited with status 3$");
        (void)run_end(&run);

        RUN_START(&run, "a:once,restart=1", "b:once,restart=2", "c:fails,restart=2");
        while (count(&run, "has ended and is not started again") < 3)
                g_assert_true(run_read(&run, g_get_monotonic_time() + LIMIT_USEC));
        command(&run, "show a\nshow b\nshow c\n");
        expect(&run, "^show a ended pid=0 restarts=0 verdict=pass .*exit=.exited with status 0.");
        expect(&run, "^show b ended pid=0 restarts=0 verdict=pass .*exit=.exited with status 0.");
        expect(&run, "^show c ended pid=0 restarts=0 verdict=fail .*live=1 .*exit=.exited with "
                     "status 71 .No route to host..");
        g_assert_cmpuint(count(&run, "begins a"), ==, 1);
        g_assert_cmpuint(count(&run, "begins c"), ==, 1);
        run_stop(&run);
}

/* No descriptors left: what cannot be started is tried again, and works once it can. */
static void test_cannot_start(void) {
        const struct rlimit few = { .rlim_cur = 3, .rlim_max = 1024 };
        const struct rlimit many = { .rlim_cur = 1024, .rlim_max = 1024 };
        long pid;
        Run run;

        RUN_START(&run, "a:steady,backoff=20000/40000,intensity=64/60000000");
        pid = expect(&run, "^begins a ([0-9]+)");
        expect(&run, "is ready after");
        g_assert_cmpint(prlimit(run.pid, RLIMIT_NOFILE, &few, NULL), ==, 0);
        g_assert_cmpint(kill((pid_t)pid, SIGKILL), ==, 0);
        expect(&run, "Worker 'a' died: killed by SIGKILL; starting it again$");
        expect(&run, "Worker 'a' died: could not be started: Too many open files; starting");
        expect(&run, "Worker 'a' died: could not be started: Too many open files; starting");
        g_assert_cmpint(prlimit(run.pid, RLIMIT_NOFILE, &many, NULL), ==, 0);
        expect(&run, "^begins a");
        expect(&run, "Worker 'a' runs again");
        run_stop(&run);
}

/* One that dies at once for ever: at once, then later, and then not any more. */
static void test_escalation(void) {
        int status;
        Run run;

        RUN_START(&run, "a:fails,backoff=20000/40000");
        expect(&run,
               "Worker 'a' died: exited with status 71 .No route to host.; starting it again$");
        expect(&run, "Worker 'a' died: .*; starting it again in [0-9.]+ms$");
        expect(&run, "Worker 'a' is beyond help: restarted 5 times within 1min 0s");
        expect(&run, "not live: a: restarted 5 times within 1min 0s and died again");
        expect_silence(&run);
        g_assert_cmpuint(count(&run, "begins a"), ==, 6);
        status = run_end(&run);
        g_assert_true(WIFEXITED(status));
        g_assert_cmpint(WEXITSTATUS(status), ==, 70);
}

/* It may die as often as it likes: the journal is not flooded, and still says why it ended. */
static void test_storm(void) {
        Run run;

        RUN_START(&run, "a:fails,backoff=1/1000,intensity=64/86400000000");
        expect(&run, "Worker 'a' is beyond help: restarted 64 times");
        g_assert_cmpuint(count(&run, "Worker 'a'"), <=, 110);
        (void)run_end(&run);
}

static void test_cannot_fill_window(void) {
        Run run;

        RUN_START(&run, "a:steady,intensity=10/1000000");
        expect(&run, "Worker 'a': its waits between restarts are so long");
        expect(&run, "^begins a");
        run_stop(&run);
}

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

static void test_stops_in_reverse(void) {
        Run run;

        RUN_START(&run, "a:steady", "b:steady", "c:steady,thread=1", "d:steady,spare=1");
        for (unsigned i = 0; i < 4; i++)
                expect(&run, "^begins");
        command(&run, "stop\n");
        expect_silence(&run);
        check_order(&run,
                    (const char *const[]){ "stops d", "stops c", "stops b", "stops a", NULL });
        g_assert_cmpuint(count(&run, "stops"), ==, 4);
        g_assert_cmpint(run_end(&run), ==, 0);
}

static void test_second_signal(void) {
        Run run;

        RUN_START(&run, "a:deaf,stop=20000000");
        expect(&run, "^begins a");
        g_assert_cmpint(kill(run.pid, SIGTERM), ==, 0);
        expect(&run, "is stopping");
        g_assert_cmpint(kill(run.pid, SIGTERM), ==, 0);
        expect(&run, "has stopped");
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

static void test_service_killed(void) {
        int status;
        Run run;

        RUN_START(&run, "a:deaf", "b:steady,spare=1", "c:spins");
        for (unsigned i = 0; i < 3; i++)
                expect(&run, "^begins");
        g_assert_cmpint(kill(run.pid, SIGKILL), ==, 0);
        status = run_end(&run);
        g_assert_true(WIFSIGNALED(status));
}

/* The program's SIGCHLD is called for its workers, and that is all: nothing of it is ours. */
static void check_sigchld(const char *option, const char *text, const char *shown) {
        long pid;
        Run run;

        RUN_START(&run, option, "a:steady,restart=1", "b:once,restart=1");
        expect(&run, "^begins a");
        expect(&run, "Worker 'b' has ended and is not started again");
        command(&run, "show a\n");
        pid = expect(&run, "^show a running pid=([0-9]+)");
        g_assert_cmpint(kill((pid_t)pid, SIGABRT), ==, 0);
        expect(&run, text);
        expect(&run, "Worker 'a' runs again");
        command(&run, "show a\n");
        expect(&run, shown);
        run_stop(&run);
}

static void test_sigchld_handler(void) {
        check_sigchld("--sigchld=handler", "Worker 'a' died: killed by SIGABRT",
                      "^show a .* sigchld=2 reaped=0 ");
}

static void test_sigchld_reaper(void) {
        check_sigchld("--sigchld=reap",
                      "Worker 'a' died: (killed by SIGABRT|ended; its status was taken)",
                      "^show a .* sigchld=2 ");
}

static void test_sigchld_ignored(void) {
        check_sigchld("--sigchld=ignore", "Worker 'a' died: ended; its status was taken",
                      "^show a running .* sigchld=0 reaped=0 ");
}

static void test_restart_by_hand(void) {
        Run run;

        RUN_START(&run, "a:steady", "t:steady,thread=1", "s:steady,spare=1");
        for (unsigned i = 0; i < 3; i++)
                expect(&run, "^begins");
        for (unsigned i = 0; i < 8; i++) {
                command(&run, "restart a\nrestart t\nrestart s\n");
                for (unsigned n = 0; n < 3; n++)
                        expect(&run, "^begins");
        }
        command(&run, "show a\n");
        expect(&run, "^show a running pid=[0-9]+ restarts=0 verdict=pass .*live=1");
        run_stop(&run);
}

static void test_thread(void) {
        Run run;

        RUN_START(&run, "a:fails,thread=1,backoff=1/1,intensity=2/60000000", "b:steady,thread=1");
        expect(&run, "Worker 'a' died: failed .No route to host.; starting it again");
        expect(&run, "Worker 'a' is beyond help");
        g_assert_cmpint(WEXITSTATUS(run_end(&run)), ==, 70);

        RUN_START(&run, "a:once,thread=1,restart=1");
        expect(&run, "Worker 'a' has ended and is not started again: returned");
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

/* @dead of a, b, c and d dies: @stopped is the order in which others stop, all restart. */
static void check_group(const char *strategy, const char *dead, const char *stopped) {
        char *group = g_strdup_printf("--group=g:%s", strategy), *show, *pattern;
        char **lines = g_new0(char *, strlen(stopped) + 1);
        long pid;
        Run run;

        RUN_START(&run, group, "a:steady,grouped=1", "b:steady,grouped=1", "c:steady,grouped=1",
                  "x:steady");
        for (unsigned i = 0; i < 4; i++)
                expect(&run, "^begins");
        show = g_strdup_printf("show %s\n", dead);
        command(&run, show);
        pid = expect(&run, "^show . running pid=([0-9]+)");
        g_assert_cmpint(kill((pid_t)pid, SIGABRT), ==, 0);
        pattern = g_strdup_printf("Worker '%s' runs again", dead);
        expect(&run, pattern);
        command(&run, "show x\n");
        expect(&run, "^show x running pid=[0-9]+ restarts=0");
        for (size_t i = 0; i < strlen(stopped) + 1; i++)
                expect(&run, "^begins");
        g_assert_cmpuint(count(&run, "stops"), ==, strlen(stopped));
        for (size_t i = 0; i < strlen(stopped); i++)
                lines[i] = g_strdup_printf("stops %c", stopped[i]);
        check_order(&run, (const char *const *)lines);
        run_stop(&run);
        g_strfreev(lines);
        g_free(pattern);
        g_free(show);
        g_free(group);
}

static void test_groups(void) {
        check_group("0", "b", "");
        check_group("1", "b", "ca");
        check_group("1", "c", "ba");
        check_group("2", "b", "c");
        check_group("2", "a", "cb");
        check_group("2", "c", "");
}

static void test_ready_gate(void) {
        Run run;

        RUN_START(&run, "a:fails,gates=2,backoff=60000000/60000000");
        expect(&run, "Worker 'a' died: .* in ");
        command(&run, "show a\n");
        expect(&run, "^show a waiting pid=0 .*verdict=fail gates=2 live=1 ready=0");
        run_stop(&run);

        RUN_START(&run, "a:steady,gates=2");
        expect(&run, "is ready after");
        command(&run, "show a\n");
        expect(&run, "^show a running .*verdict=pass gates=2 live=1 ready=1");
        run_stop(&run);
}

/* A spare that dies is replaced, and is no death of the worker. */
static void test_spare_is_replaced(void) {
        long first, second;
        Run run;

        RUN_START(&run, "a:steady,spare=1");
        first = expect(&run, "^begins a ([0-9]+)");
        for (unsigned i = 0; i < 3; i++) {
                g_assert_cmpint(kill((pid_t)first, SIGKILL), ==, 0);
                expect(&run, "Worker 'a' died: killed by SIGKILL");
                second = expect(&run, "^begins a ([0-9]+)");
                g_assert_cmpint(first, !=, second);
                first = second;
        }
        command(&run, "show a\n");
        expect(&run, "^show a running pid=[0-9]+ restarts=3 ");
        command(&run, "stop\n");
        expect(&run, "^stops a");
        expect_silence(&run);
        g_assert_cmpuint(count(&run, "begins a"), ==, 4);
        g_assert_cmpint(run_end(&run), ==, 0);
}

static void test_not_a_worker(void) {
        int status;
        Run run;

        g_setenv("HALE_WORKER", "a", TRUE);
        RUN_START(&run, "a:steady");
        expect(&run, "cannot be the worker that .HALE_WORKER asks for");
        status = run_end(&run);
        g_assert_cmpint(WEXITSTATUS(status), ==, 78);
        g_setenv("HALE_WORKER_FD", "3", TRUE);
        RUN_START(&run, "a:steady");
        expect(&run, "cannot be the worker that .HALE_WORKER asks for");
        g_assert_cmpint(WEXITSTATUS(run_end(&run)), !=, 0);
        g_unsetenv("HALE_WORKER");
        g_unsetenv("HALE_WORKER_FD");
}

int main(int argc, char *argv[]) {
        static const struct {
                const char *name;
                GTestFunc test;
        } tests[] = {
                { "crash", test_crash },
                { "crash-with-spare", test_crash_with_spare },
                { "inherits-nothing", test_inherits_nothing },
                { "kinds-of-restart", test_kinds_of_restart },
                { "cannot-start", test_cannot_start },
                { "escalation", test_escalation },
                { "storm", test_storm },
                { "cannot-fill-window", test_cannot_fill_window },
                { "hung", test_hung },
                { "hung-and-busy", test_hung_and_busy },
                { "hung-with-spare", test_hung_with_spare },
                { "closes-heartbeat", test_closes_heartbeat },
                { "stopped-by-signal", test_stopped_by_signal },
                { "babble-is-ignored", test_babble_is_ignored },
                { "starved", test_starved },
                { "deaf", test_deaf },
                { "stops-in-reverse", test_stops_in_reverse },
                { "second-signal", test_second_signal },
                { "bomb", test_bomb },
                { "service-killed", test_service_killed },
                { "sigchld-handler", test_sigchld_handler },
                { "sigchld-reaper", test_sigchld_reaper },
                { "sigchld-ignored", test_sigchld_ignored },
                { "restart-by-hand", test_restart_by_hand },
                { "thread", test_thread },
                { "thread-hangs", test_thread_hangs },
                { "thread-does-not-stop", test_thread_does_not_stop },
                { "groups", test_groups },
                { "ready-gate", test_ready_gate },
                { "spare-is-replaced", test_spare_is_replaced },
                { "not-a-worker", test_not_a_worker },
        };

        g_test_init(&argc, &argv, NULL);
        g_assert_nonnull(g_getenv("WORKER_SERVICE"));
        (void)signal(SIGPIPE, SIG_IGN);

        for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
                char *path = g_strconcat("/service/worker/", tests[i].name, NULL);

                g_test_add_func(path, tests[i].test);
                g_free(path);
        }
        return g_test_run();
}
