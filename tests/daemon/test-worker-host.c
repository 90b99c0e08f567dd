/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Workers and the program that they are a part of
 *
 * Its children, its SIGCHLD and its descriptors are its own; whatever it does with them, its
 * workers begin clean, are seen to end, and do not outlive it.
 */

#include "lib/worker-run.h"

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
        static const WorkerTest tests[] = {
                { "inherits-nothing", test_inherits_nothing },
                { "cannot-start", test_cannot_start },
                { "service-killed", test_service_killed },
                { "sigchld-handler", test_sigchld_handler },
                { "sigchld-reaper", test_sigchld_reaper },
                { "sigchld-ignored", test_sigchld_ignored },
                { "not-a-worker", test_not_a_worker },
        };

        return run_tests(argc, argv, tests, G_N_ELEMENTS(tests));
}
