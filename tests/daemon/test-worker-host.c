/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Workers and the program that they are a part of
 *
 * Its children, its SIGCHLD and its descriptors are its own; whatever it does with them, its
 * workers begin clean, are seen to end, and do not outlive it.
 */

#include <glib/gstdio.h>

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

/* However soon it ends and is reaped by somebody else: it was started, and is seen to have ended.
 */
static void check_ends_at_once(const char *option) {
        Run run;

        RUN_START(&run, option, "a:once,backoff=1/1,intensity=60/60000000");
        expect(&run, "Worker 'a' is beyond help");
        expect_silence(&run);
        g_assert_cmpuint(count(&run, "begins a"), ==, 61);
        g_assert_cmpuint(count(&run, "could not be started"), ==, 0);
        g_assert_cmpint(WEXITSTATUS(run_end(&run)), ==, 70);
}

static void test_ends_at_once(void) {
        check_ends_at_once("--sigchld=ignore");
        check_ends_at_once("--sigchld=reap");
}

static void test_not_a_worker(void) {
        int status;
        Run run;

        g_setenv("HALE_WORKER", "a", TRUE);
        RUN_START(&run, "a:steady");
        expect(&run, "cannot be the worker that .HALE_WORKER asks for");
        status = run_end(&run);
        g_assert_cmpint(WEXITSTATUS(status), ==, 78);
        g_setenv("HALE_WORKER_FD", "3:0", TRUE);
        RUN_START(&run, "a:steady");
        expect(&run, "its service runs with another version of libhale, and has to be restarted");
        g_assert_cmpint(WEXITSTATUS(run_end(&run)), !=, 0);
        g_setenv("HALE_WORKER_FD", "3:1", TRUE);
        RUN_START(&run, "a:steady");
        expect(&run, "cannot be the worker that .HALE_WORKER asks for");
        g_assert_cmpint(WEXITSTATUS(run_end(&run)), !=, 0);
        g_unsetenv("HALE_WORKER");
        g_unsetenv("HALE_WORKER_FD");
}

/* They are nobody's children any more, so look again and again. */
static void wait_until_gone(long pid) {
        gint64 until = g_get_monotonic_time() + LIMIT_USEC;

        while (kill((pid_t)pid, 0) == 0) {
                g_assert_cmpint(g_get_monotonic_time(), <, until);
                (void)poll(NULL, 0, 1);
        }
}

/* A child of the program holds all that the service held; its workers end nevertheless. */
static void test_forks(void) {
        long forked, a, b;
        Run run;

        RUN_START(&run, "a:deaf", "b:spins,spare=1");
        a = expect(&run, "^begins a ([0-9]+)");
        b = expect(&run, "^begins b ([0-9]+)");
        command(&run, "fork\n");
        forked = expect(&run, "^forked ([0-9]+)");
        g_assert_cmpint(kill(run.pid, SIGKILL), ==, 0);
        wait_until_gone(a);
        wait_until_gone(b);
        g_assert_cmpint(kill((pid_t)forked, SIGKILL), ==, 0);
        g_assert_true(WIFSIGNALED(run_end(&run)));
}

/* Who has become another user does not die with the service: he is told to stop. */
static void test_another_user(void) {
        long forked;
        Run run;

        if (geteuid() != 0) {
                g_test_skip("only root can become somebody else");
                return;
        }

        RUN_START(&run, "a:nobody");
        expect(&run, "^begins a");
        run_stop(&run);

        RUN_START(&run, "a:nobody");
        expect(&run, "^begins a");
        command(&run, "fork\n");
        forked = expect(&run, "^forked ([0-9]+)");
        g_assert_cmpint(kill(run.pid, SIGKILL), ==, 0);
        expect(&run, "^stops a");
        g_assert_cmpint(kill((pid_t)forked, SIGKILL), ==, 0);
        g_assert_true(WIFSIGNALED(run_end(&run)));
}

/* As packages do: the name gets a new file, and who runs the old one keeps that. */
static void install(const char *path, const char *content, gsize size) {
        g_assert_true(g_file_set_contents_full(path, content, (gssize)size,
                                               G_FILE_SET_CONTENTS_CONSISTENT, 0755, NULL));
}

/* An upgrade has put another program in its place: a restart runs what the service runs. */
static void check_upgrade(bool replaced) {
        char *folder = g_dir_make_tmp("hale-XXXXXX", NULL);
        char *copy = g_build_filename(folder, "worker-service", NULL);
        char *program = g_strdup(g_getenv("WORKER_SERVICE")), *content;
        gsize size;
        long pid;
        Run run;

        g_assert_true(g_file_get_contents(program, &content, &size, NULL));
        install(copy, content, size);
        g_setenv("WORKER_SERVICE", copy, TRUE);
        RUN_START(&run, "a:steady");
        pid = expect(&run, "^begins a ([0-9]+)");
        if (replaced)
                install(copy, "#!/bin/false\n", 13);
        else
                g_assert_cmpint(g_unlink(copy), ==, 0);
        g_assert_cmpint(kill((pid_t)pid, SIGKILL), ==, 0);
        expect(&run, "^begins a");
        expect(&run, "Worker 'a' runs again after");
        run_stop(&run);

        g_setenv("WORKER_SERVICE", program, TRUE);
        (void)g_unlink(copy);
        (void)g_rmdir(folder);
        g_free(content);
        g_free(program);
        g_free(copy);
        g_free(folder);
}

static void test_upgrade(void) {
        check_upgrade(false);
        check_upgrade(true);
}

/* Without /proc there is nothing to execute; what runs goes on. */
static void test_without_proc(void) {
        char *folder = g_dir_make_tmp("hale-XXXXXX", NULL), *enter;
        long pid;
        Run run;

        if (geteuid() != 0) {
                g_test_skip("only root can chroot(2)");
                return;
        }

        /* Nor can a sanitizer look for leaks. */
        g_setenv("ASAN_OPTIONS", "detect_leaks=0", TRUE);
        enter = g_strdup_printf("chroot %s\n", folder);
        RUN_START(&run, "a:steady,backoff=60000000/60000000", "b:steady,heartbeat=300000");
        pid = expect(&run, "^begins a ([0-9]+)");
        expect(&run, "^begins b");
        command(&run, enter);
        expect(&run, "^chroot 0");
        g_assert_cmpint(kill((pid_t)pid, SIGKILL), ==, 0);
        expect(&run, "Worker 'a' died: could not be started: there is no /proc/self/exe; starting");
        command(&run, "show a\nshow b\n");
        expect(&run, "^show a waiting pid=0 .* verdict=fail gates=0 live=1 ready=1");
        expect(&run, "^show b running");
        run_stop(&run);
        g_unsetenv("ASAN_OPTIONS");
        (void)g_rmdir(folder);
        g_free(enter);
        g_free(folder);
}

int main(int argc, char *argv[]) {
        static const WorkerTest tests[] = {
                { "inherits-nothing", test_inherits_nothing },
                { "cannot-start", test_cannot_start },
                { "service-killed", test_service_killed },
                { "sigchld-handler", test_sigchld_handler },
                { "sigchld-reaper", test_sigchld_reaper },
                { "sigchld-ignored", test_sigchld_ignored },
                { "ends-at-once", test_ends_at_once },
                { "not-a-worker", test_not_a_worker },
                { "forks", test_forks },
                { "another-user", test_another_user },
                { "upgrade", test_upgrade },
                { "without-proc", test_without_proc },
        };

        return run_tests(argc, argv, tests, G_N_ELEMENTS(tests));
}
