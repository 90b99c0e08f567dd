/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Workers: Again and Anew
 *
 * What happens to a worker twice, in a real service: restarted by hand what would not be
 * started any more; a thread that hung and comes back; a stop in the midst of a restart;
 * an end that is told again after a gap. What is shown then is what is so.
 */

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lib/worker-run.h"

/* With a manager that reads nothing and does nothing, a service that is not live goes on for a
 * while. */
static int manager_open(void) {
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        char *path = g_strdup_printf("hale-test-worker-%d", (int)getpid());
        char *value = g_strdup_printf("@%s", path);
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        g_assert_cmpint(fd, >=, 0);
        memcpy(un.sun_path + 1, path, strlen(path));
        g_assert_cmpint(bind(fd, (struct sockaddr *)&un,
                             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                                         strlen(path))),
                        ==, 0);
        g_setenv("NOTIFY_SOCKET", value, TRUE);
        g_free(value);
        g_free(path);
        return fd;
}

static void manager_close(int fd) {
        g_unsetenv("NOTIFY_SOCKET");
        (void)close(fd);
}

/* Also one that its policy would not start, or that is beyond help, and its group with it. */
static void test_restart_by_hand_in_group(void) {
        int manager;
        Run run;

        RUN_START(&run, "--group=g:1", "a:once,restart=2,grouped=1", "b:steady,grouped=1");
        expect(&run, "Worker 'a' has ended and is not started again");
        expect(&run, "^begins a");
        expect(&run, "^begins b");
        command(&run, "restart a\n");
        expect(&run, "^stops b");
        expect(&run, "^begins a");
        expect(&run, "^begins b");
        expect(&run, "Worker 'a' has ended and is not started again");
        run_stop(&run);

        manager = manager_open();
        RUN_START(&run, "--group=g:1", "a:steady,grouped=1,intensity=0/60000000",
                  "b:steady,grouped=1");
        expect(&run, "^begins b");
        g_assert_cmpint(kill((pid_t)expect(&run, "^begins a ([0-9]+)"), SIGABRT), ==, 0);
        expect(&run, "Worker 'a' is beyond help");
        command(&run, "restart a\n");
        expect(&run, "^stops b");
        expect(&run, "^begins a");
        expect(&run, "^begins b");
        run_stop(&run);
        manager_close(manager);
}

static long pid_of(Run *run, const char *worker) {
        char *show = g_strdup_printf("show %s\n", worker);
        char *pattern = g_strdup_printf("^show %s .*pid=([0-9]+)", worker);
        long pid;

        command(run, show);
        pid = expect(run, pattern);
        g_free(pattern);
        g_free(show);
        return pid;
}

/* A stop comes in the midst of a restart: nobody is started any more. */
static void test_stop_in_group_restart(void) {
        gint64 until = g_get_monotonic_time() + LIMIT_USEC;
        long a, b;
        Run run;

        RUN_START(&run, "--drain=20000000", "--group=g:1", "a:steady,grouped=1",
                  "b:steady,grouped=1,stop=20000000");
        a = expect(&run, "^begins a ([0-9]+)");
        b = expect(&run, "^begins b ([0-9]+)");
        g_assert_cmpint(kill((pid_t)b, SIGSTOP), ==, 0);
        g_assert_cmpint(kill((pid_t)a, SIGABRT), ==, 0);
        expect(&run, "Worker 'a' died");
        command(&run, "stop\n");
        expect(&run, "is stopping");
        g_assert_cmpint(kill((pid_t)b, SIGKILL), ==, 0);
        while (pid_of(&run, "b") == b)
                g_assert_cmpint(g_get_monotonic_time(), <, until);
        g_assert_cmpint(pid_of(&run, "a"), ==, 0);
        g_assert_cmpint(pid_of(&run, "b"), ==, 0);
        g_assert_cmpint(kill(run.pid, SIGTERM), ==, 0); /* a second time: at once */
        g_assert_cmpint(run_end(&run), ==, 0);
}

/* Probes are made to forget after a gap, and are told the same as before. */
static void test_ended_badly_and_gap(void) {
        Run run;

        RUN_START(&run, "a:fails,restart=2", "b:steady,heartbeat=200000");
        expect(&run, "Worker 'a' has ended and is not started again");
        expect(&run, "^begins b");
        (void)pid_of(&run, "b");

        /* One that meets it at work is taken for a stall. */
        for (unsigned i = 0; i < 10 && count(&run, "Nothing ran for") == 0; i++) {
                g_assert_cmpint(kill(run.pid, SIGSTOP), ==, 0);
                (void)poll(NULL, 0, 2500); /* what is measured */
                g_assert_cmpint(kill(run.pid, SIGCONT), ==, 0);
                expect(&run, "(?:was held up|all probes are asked anew)");
        }
        g_assert_cmpuint(count(&run, "Nothing ran for"), >, 0);
        command(&run, "show a\n");
        expect(&run, "^show a ended .*verdict=fail .*exit=\\[exited with status");
        run_stop(&run);
}

/* What it closed while it hung is open again, and stays so when it dies like any other. */
static void test_thread_comes_back(void) {
        int manager = manager_open();
        Run run;

        RUN_START(&run, "a:dozes,thread=1,heartbeat=200000");
        expect(&run, "Worker 'a' hangs: no heartbeat for .*; it is a thread");
        expect(&run, "Worker 'a' died: failed .No route to host.; starting it again");
        expect(&run, "^begins a");
        expect(&run, "^begins a");
        command(&run, "show a\n");
        expect(&run, "^show a running .*verdict=warn gates=0 live=1");
        run_stop(&run);
        manager_close(manager);
}

/* The child of the service that is neither of the two; 0 if there is none (yet). */
static pid_t other_child(const Run *run, pid_t first, pid_t second) {
        char *path = g_strdup_printf("/proc/%d/task/%d/children", (int)run->pid, (int)run->pid);
        char *text = NULL, **pids;
        pid_t found = 0;

        g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
        pids = g_strsplit(text, " ", -1);
        for (char **word = pids; *word; word++) {
                pid_t pid = (pid_t)g_ascii_strtoll(*word, NULL, 10);

                if (pid != 0 && pid != first && pid != second)
                        found = pid;
        }
        g_strfreev(pids);
        g_free(text);
        g_free(path);
        return found;
}

static pid_t wait_for_other_child(const Run *run, pid_t first, pid_t second) {
        gint64 until = g_get_monotonic_time() + LIMIT_USEC;
        pid_t pid;

        while ((pid = other_child(run, first, second)) == 0) {
                g_assert_cmpint(g_get_monotonic_time(), <, until);
                (void)poll(NULL, 0, 5);
        }
        return pid;
}

/* What waits is not older than the last reload, nor what begins than the restart. */
static void test_spare_is_renewed(void) {
        int manager = manager_open();
        pid_t first, second, spare;
        Run run;

        RUN_START(&run, "a:steady,spare=1");
        first = (pid_t)expect(&run, "^begins a ([0-9]+)");
        spare = wait_for_other_child(&run, first, 0);

        g_assert_cmpint(kill(run.pid, SIGHUP), ==, 0);
        expect(&run, "has reloaded");
        (void)wait_for_other_child(&run, first, spare);
        g_assert_cmpint(kill(first, SIGKILL), ==, 0);
        second = (pid_t)expect(&run, "^begins a ([0-9]+)");
        g_assert_cmpint(second, !=, spare);

        spare = wait_for_other_child(&run, second, first);
        command(&run, "restart a\n");
        expect(&run, "^stops a");
        g_assert_cmpint(expect(&run, "^begins a ([0-9]+)"), !=, spare);

        command(&run, "show a\n");
        expect(&run, "^show a running ");
        run_stop(&run);
        manager_close(manager);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_assert_nonnull(g_getenv("WORKER_SERVICE"));
        (void)signal(SIGPIPE, SIG_IGN);

        g_test_add_func("/service/worker/restart-by-hand-in-group", test_restart_by_hand_in_group);
        g_test_add_func("/service/worker/stop-in-group-restart", test_stop_in_group_restart);
        g_test_add_func("/service/worker/ended-badly-and-gap", test_ended_badly_and_gap);
        g_test_add_func("/service/worker/thread-comes-back", test_thread_comes_back);
        g_test_add_func("/service/worker/spare-is-renewed", test_spare_is_renewed);
        return g_test_run();
}
