/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A Run of worker-service
 *
 * Starts the service with workers that its command line describes, tells it what to do and
 * waits, with a limit, for what it and its workers say. They share the service's
 * stdout, so its end is proof that all are gone. Defines its functions, because each test is
 * one program of one file.
 */

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT_USEC (30 * G_USEC_PER_SEC)

typedef struct Run {
        pid_t pid;
        int in_fd, out_fd;
        GString *text;    /* all that was said */
        GString *waiting; /* of it, the lines that nobody has expected yet */
        bool ended;
} Run;

G_GNUC_UNUSED static void run_exec(const char *const arguments[]) {
        GPtrArray *argv = g_ptr_array_new();
        const struct rlimit none = {};

        (void)setrlimit(RLIMIT_CORE, &none);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves nothing behind */
        g_ptr_array_add(argv, g_strdup(g_getenv("WORKER_SERVICE")));
        for (; *arguments; arguments++)
                g_ptr_array_add(argv, g_strdup(*arguments));
        g_ptr_array_add(argv, NULL);
        (void)execv(g_ptr_array_index(argv, 0), (char **)argv->pdata);
        _exit(127);
}

G_GNUC_UNUSED static void run_start(Run *run, const char *const arguments[]) {
        int in[2], out[2];

        g_assert_cmpint(pipe2(in, O_CLOEXEC), ==, 0);
        g_assert_cmpint(pipe2(out, O_CLOEXEC), ==, 0);
        *run = (Run){
                .in_fd = in[1],
                .out_fd = out[0],
                .text = g_string_new(NULL),
                .waiting = g_string_new(NULL),
        };

        run->pid = fork();
        g_assert_cmpint(run->pid, >=, 0);
        if (run->pid == 0) {
                (void)dup2(in[0], STDIN_FILENO);
                (void)dup2(out[1], STDOUT_FILENO);
                (void)dup2(out[1], STDERR_FILENO);
                run_exec(arguments);
        }
        (void)close(in[0]);
        (void)close(out[1]);
}

#define RUN_START(run, ...) run_start((run), (const char *const[]){ __VA_ARGS__, NULL })

/* Reads what there is, waiting for it up to @until. Returns false at the end. */
G_GNUC_UNUSED static bool run_read(Run *run, gint64 until) {
        struct pollfd fd = { .fd = run->out_fd, .events = POLLIN };
        char buffer[4096];
        ssize_t n;

        if (poll(&fd, 1, (int)MAX((until - g_get_monotonic_time()) / 1000, 0)) <= 0)
                g_error("Waited too long; so far:\n%s\nnot expected yet:\n%s", run->text->str,
                        run->waiting->str);

        n = read(run->out_fd, buffer, sizeof(buffer));
        if (n > 0) {
                g_string_append_len(run->text, buffer, n);
                g_string_append_len(run->waiting, buffer, n);
        }
        run->ended = n <= 0;
        return n > 0;
}

/*
 * Waits until a line with @pattern has been said, in whichever order with others,
 * for two processes say them; takes the line, and returns the first group of the
 * pattern as a number, or 0.
 */
G_GNUC_UNUSED static long expect(Run *run, const char *pattern) {
        gint64 until = g_get_monotonic_time() + LIMIT_USEC;
        char *line = g_strdup_printf("%s%s.*\n", pattern[0] == '^' ? "" : "^.*", pattern);
        char *number;
        GRegex *regex = g_regex_new(line, G_REGEX_MULTILINE, 0, NULL);
        GMatchInfo *match = NULL;
        long value = 0;
        int from, to;

        g_assert_nonnull(regex);
        while (!g_regex_match(regex, run->waiting->str, 0, &match)) {
                g_match_info_unref(match);
                if (!run_read(run, until))
                        g_error("'%s' was not said:\n%s", pattern, run->text->str);
        }

        number = g_match_info_fetch(match, 1);
        value = number ? strtol(number, NULL, 10) : 0;
        g_assert_true(g_match_info_fetch_pos(match, 0, &from, &to));
        g_string_erase(run->waiting, from, to - from);
        g_free(number);
        g_match_info_unref(match);
        g_regex_unref(regex);
        g_free(line);
        return value;
}

/* They have been said, in this order. */
G_GNUC_UNUSED static void check_order(const Run *run, const char *const lines[]) {
        const char *at = run->text->str;

        for (; *lines; lines++) {
                at = strstr(at, *lines);
                if (!at)
                        g_error("'%s' is not in its place:\n%s", *lines, run->text->str);
        }
}

G_GNUC_UNUSED static void command(const Run *run, const char *text) {
        g_assert_cmpint(write(run->in_fd, text, strlen(text)), ==, (ssize_t)strlen(text));
}

G_GNUC_UNUSED static unsigned count(const Run *run, const char *what) {
        unsigned n = 0;

        for (const char *at = run->text->str; (at = strstr(at, what)); at++)
                n++;

        return n;
}

/* Waits until nobody can say anything any more: the service and all workers are gone. */
G_GNUC_UNUSED static void expect_silence(Run *run) {
        gint64 until = g_get_monotonic_time() + LIMIT_USEC;

        while (!run->ended)
                (void)run_read(run, until);
}

/* Returns the wait status. */
G_GNUC_UNUSED static int run_end(Run *run) {
        int status = -1;

        expect_silence(run);
        g_assert_cmpint(waitpid(run->pid, &status, 0), ==, run->pid);
        (void)close(run->in_fd);
        (void)close(run->out_fd);
        g_string_free(run->text, TRUE);
        g_string_free(run->waiting, TRUE);
        return status;
}

G_GNUC_UNUSED static void run_stop(Run *run) {
        command(run, "stop\n");
        g_assert_cmpint(run_end(run), ==, 0);
}

typedef struct WorkerTest {
        const char *name;
        GTestFunc test;
} WorkerTest;

/* The main() of such a test. */
G_GNUC_UNUSED static int
run_tests(int argc, char *argv[], const WorkerTest tests[], size_t n_tests) {
        g_test_init(&argc, &argv, NULL);
        g_assert_nonnull(g_getenv("WORKER_SERVICE"));
        (void)signal(SIGPIPE, SIG_IGN);

        for (size_t i = 0; i < n_tests; i++) {
                char *path = g_strconcat("/service/worker/", tests[i].name, NULL);

                g_test_add_func(path, tests[i].test);
                g_free(path);
        }
        return g_test_run();
}
