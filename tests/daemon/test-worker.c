/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Workers: their life
 *
 * Who should be started again is, in its order and not too often; who should end
 * ends; what became of it is told in words.
 */

#include <glib/gstdio.h>
#include <sys/socket.h>
#include <sys/un.h>

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

static void test_cannot_fill_window(void) {
        Run run;

        RUN_START(&run, "a:steady,intensity=10/1000000");
        expect(&run, "Worker 'a': its waits between restarts are so long");
        expect(&run, "^begins a");
        run_stop(&run);
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

/* A manager that is told all and does nothing, so that a service that is not live is there a while
 * longer. */
static int deaf_manager(char **ret_path) {
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        *ret_path = g_strdup_printf("%s/hale-manager-%d", g_get_tmp_dir(), (int)getpid());
        (void)g_strlcpy(un.sun_path, *ret_path, sizeof(un.sun_path));
        g_assert_cmpint(bind(fd, (struct sockaddr *)&un, sizeof(un)), ==, 0);
        g_setenv("NOTIFY_SOCKET", *ret_path, TRUE);
        return fd;
}

/* Beyond help, and helped all the same: by hand it begins again, alone or in a group. */
static void check_restart_of_failed(const char *option, const char *worker) {
        char *path;
        int fd = deaf_manager(&path);
        Run run;

        RUN_START(&run, option, worker, "b:steady");
        expect(&run, "Worker 'a' is beyond help");
        expect(&run, "not live: a: restarted 1 times");
        g_assert_cmpuint(count(&run, "begins a"), ==, 2);
        expect(&run, "^begins a");
        expect(&run, "^begins a");
        command(&run, "restart a\n");
        expect(&run, "^begins a");
        run_stop(&run);
        g_unsetenv("NOTIFY_SOCKET");
        (void)g_unlink(path);
        (void)close(fd);
        g_free(path);
}

static void test_restart_of_failed(void) {
        check_restart_of_failed("--sigchld=handler", "a:exits,intensity=1/60000000");
        check_restart_of_failed("--group=g:1", "a:exits,intensity=1/60000000,grouped=1");
}

/* By hand also who is never started again by himself, and at once who waits for his turn. */
static void test_restart_in_group(void) {
        Run run;

        RUN_START(&run, "--group=g:1", "a:steady,restart=2,grouped=1",
                  "b:steady,grouped=1,backoff=60000000/60000000");
        expect(&run, "^begins a");
        expect(&run, "^begins b");
        command(&run, "restart a\n");
        expect(&run, "^begins a");
        expect(&run, "^begins b");
        run_stop(&run);

        RUN_START(&run, "--group=g:1", "a:fails,backoff=60000000/60000000,grouped=1",
                  "b:steady,grouped=1");
        expect(&run, "Worker 'a' died: .*; starting it again in ");
        for (unsigned i = 0; i < 2; i++)
                expect(&run, "^begins a");
        command(&run, "restart b\n");
        expect(&run, "^begins a");
        run_stop(&run);
}

/* While it has something to do, its time is its own. */
static void wait_until_idle(pid_t pid) {
        char *path = g_strdup_printf("/proc/%d/stat", (int)pid), *text, state = 0;
        gint64 until = g_get_monotonic_time() + LIMIT_USEC;

        while (state != 'S') {
                g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
                state = strrchr(text, ')')[2];
                g_free(text);
                g_assert_cmpint(g_get_monotonic_time(), <, until);
        }
        g_free(path);
}

/* Stopped and continued, all of it: the time that nobody had is held against nobody. */
static void test_gap(void) {
        long pid;
        Run run;

        RUN_START(&run, "a:lingers,stop=1000000,heartbeat=1000000");
        pid = expect(&run, "^begins a ([0-9]+)");
        command(&run, "restart a\n");
        expect(&run, "^stops a");
        expect(&run, "a: stopping$");
        g_assert_cmpint(kill((pid_t)pid, SIGSTOP), ==, 0);
        wait_until_idle(run.pid);
        g_assert_cmpint(kill(run.pid, SIGSTOP), ==, 0);
        (void)poll(NULL, 0, 4000);
        g_assert_cmpint(kill(run.pid, SIGCONT), ==, 0);
        g_assert_cmpint(kill((pid_t)pid, SIGCONT), ==, 0);
        expect(&run, "^lingered a");
        expect(&run, "^begins a");
        command(&run, "show a\n");
        g_assert_cmpuint(count(&run, "did not stop"), ==, 0);
        g_assert_cmpuint(count(&run, "hangs"), ==, 0);
        g_assert_cmpuint(count(&run, "was held up"), ==, 0);

        /* Whoever really hangs then is found. */
        pid = expect(&run, "^show a running pid=([0-9]+)");
        g_assert_cmpint(kill((pid_t)pid, SIGSTOP), ==, 0);
        expect(&run, "Worker 'a' died: hung: no heartbeat for 1s, killed");
        run_stop(&run);
}

/* It may die as often as it likes: the journal is not flooded, and still says why it ended. */
static void test_storm(void) {
        Run run;

        RUN_START(&run, "a:fails,backoff=1/1000,intensity=64/86400000000");
        expect(&run, "Worker 'a' is beyond help: restarted 64 times");
        g_assert_cmpuint(count(&run, "Worker 'a'"), <=, 110);
        (void)run_end(&run);
}

int main(int argc, char *argv[]) {
        static const WorkerTest tests[] = {
                { "storm", test_storm },
                { "crash", test_crash },
                { "crash-with-spare", test_crash_with_spare },
                { "kinds-of-restart", test_kinds_of_restart },
                { "escalation", test_escalation },
                { "cannot-fill-window", test_cannot_fill_window },
                { "stops-in-reverse", test_stops_in_reverse },
                { "second-signal", test_second_signal },
                { "restart-by-hand", test_restart_by_hand },
                { "thread", test_thread },
                { "groups", test_groups },
                { "ready-gate", test_ready_gate },
                { "spare-is-replaced", test_spare_is_replaced },
                { "restart-of-failed", test_restart_of_failed },
                { "restart-in-group", test_restart_in_group },
                { "gap", test_gap },
        };

        return run_tests(argc, argv, tests, G_N_ELEMENTS(tests));
}
