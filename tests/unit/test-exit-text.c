/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Exit Text and OOM
 *
 * Each way to end has its words, and only a good end is a success. An OOM kill is
 * one that the counter of the control group, as v1 and v2 write it, has grown by.
 */

#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <limits.h>
#include <signal.h>

#include "base/macro.h"
#include "heal/exit-text.h"
#include "heal/oom.h"

static void test_words(void) {
        static const struct {
                WorkerExit end;
                bool success;
                const char *words;
        } rows[] = {
                { { .kind = EXIT_STATUS }, true, "exited with status 0" },
                { { .kind = EXIT_STATUS, .code = 3 }, false, "exited with status 3" },
                { { .kind = EXIT_STATUS, .code = 71, .has_result = true, .result = -ENOENT },
                  false,
                  "exited with status 71 (No such file or directory)" },
                { { .kind = EXIT_STATUS, .code = 1, .has_result = true, .result = 5 },
                  false,
                  "exited with status 1" },
                { { .kind = EXIT_SIGNAL, .code = SIGTERM }, false, "killed by SIGTERM" },
                { { .kind = EXIT_SIGNAL, .code = SIGKILL }, false, "killed by SIGKILL" },
                { { .kind = EXIT_SIGNAL, .code = SIGKILL, .oom = true },
                  false,
                  "killed by SIGKILL, probably the kernel's OOM killer" },
                { { .kind = EXIT_SIGNAL, .code = SIGTERM, .oom = true },
                  false,
                  "killed by SIGTERM" },
                { { .kind = EXIT_CORE, .code = SIGSEGV },
                  false,
                  "killed by SIGSEGV (core dumped)" },
                { { .kind = EXIT_SIGNAL, .code = 40 }, false, "killed by signal 40" },
                { { .kind = EXIT_RETURNED, .has_result = true }, true, "returned" },
                { { .kind = EXIT_RETURNED, .has_result = true, .result = -EIO },
                  false,
                  "failed (Input/output error)" },
                { { .kind = EXIT_NO_START, .code = -EAGAIN },
                  false,
                  "could not be started: Resource temporarily unavailable" },
                { { .kind = EXIT_UNKNOWN },
                  false,
                  "ended; its status was taken by somebody else's wait()" },
                { { .kind = EXIT_UNKNOWN, .has_result = true },
                  true,
                  "ended; its status was taken by somebody else's wait()" },
                { { .kind = EXIT_SIGNAL,
                    .code = SIGKILL,
                    .reason = REASON_HUNG,
                    .limit_usec = 20000 },
                  false,
                  "hung: no heartbeat for 20ms, killed" },
                { { .kind = EXIT_STATUS, .reason = REASON_HUNG, .limit_usec = 20000 },
                  false,
                  "hung: no heartbeat for 20ms, killed" },
                { { .kind = EXIT_SIGNAL, .reason = REASON_NO_STOP, .limit_usec = 5000000 },
                  false,
                  "did not stop within 5s, killed" },
                { { .kind = EXIT_SIGNAL, .reason = REASON_NO_BEGIN, .limit_usec = 30000000 },
                  false,
                  "did not reach hale_service_run() within 30s, killed" },
                { { .kind = EXIT_SIGNAL, .reason = REASON_ENDED },
                  false,
                  "killed with its service" },
                { { .kind = EXIT_STATUS, .reason = REASON_ASKED }, true, "exited with status 0" },
        };
        char buffer[256];

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                g_assert_cmpstr(exit_describe(&rows[i].end, buffer, sizeof(buffer)), ==,
                                rows[i].words);
                g_assert_cmpint(exit_is_success(&rows[i].end), ==, rows[i].success);
        }
}

static void test_counted(void) {
        static const struct {
                WorkerExit end;
                const char *word;
        } rows[] = {
                { { .kind = EXIT_STATUS }, "success" },
                { { .kind = EXIT_STATUS, .code = 3 }, "status" },
                { { .kind = EXIT_RETURNED, .has_result = true, .result = -EIO }, "status" },
                { { .kind = EXIT_SIGNAL, .code = SIGKILL }, "signal" },
                { { .kind = EXIT_SIGNAL, .code = SIGKILL, .oom = true }, "oom" },
                { { .kind = EXIT_SIGNAL, .code = SIGTERM, .oom = true }, "signal" },
                { { .kind = EXIT_CORE, .code = SIGSEGV }, "core" },
                { { .kind = EXIT_SIGNAL, .code = SIGKILL, .reason = REASON_HUNG }, "hung" },
                { { .kind = EXIT_SIGNAL, .code = SIGKILL, .reason = REASON_NO_STOP }, "no-stop" },
                { { .kind = EXIT_SIGNAL, .code = SIGKILL, .reason = REASON_NO_BEGIN }, "no-start" },
                { { .kind = EXIT_NO_START, .code = -EAGAIN }, "no-start" },
                { { .kind = EXIT_UNKNOWN }, "unknown" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                g_assert_cmpstr(exit_words[exit_word(&rows[i].end)], ==, rows[i].word);
        for (size_t i = 0; i < _EXIT_WORD_MAX; i++)
                g_assert_nonnull(exit_words[i]);
}

static void test_short_buffer(void) {
        const WorkerExit end = { .kind = EXIT_CORE, .code = SIGSEGV };
        char buffer[8];

        g_assert_cmpstr(exit_describe(&end, buffer, sizeof(buffer)), ==, "killed ");
}

static void write_file(const char *folder, const char *name, const char *text) {
        char *path = g_build_filename(folder, name, NULL);

        g_assert_true(
                g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
        g_free(path);
}

static void check_oom(bool v1, const char *name, const char *format[3]) {
        char *folder = g_dir_make_tmp("hale-XXXXXX", NULL), *path;
        OomWatch watch = OOM_WATCH_INIT;

        g_assert_false(oom_watch_look(&watch));
        g_assert_cmpint(oom_watch_open(&watch, folder, v1), ==, -ENOENT);
        write_file(folder, name, format[0]);
        g_assert_cmpint(oom_watch_open(&watch, folder, v1), ==, 0);
        g_assert_false(oom_watch_look(&watch));
        write_file(folder, name, format[1]);
        g_assert_true(oom_watch_look(&watch));
        g_assert_false(oom_watch_look(&watch));
        write_file(folder, name, format[2]);
        g_assert_false(oom_watch_look(&watch));
        oom_watch_close(&watch);

        path = g_build_filename(folder, name, NULL);
        g_assert_cmpint(g_unlink(path), ==, 0);
        g_assert_cmpint(g_rmdir(folder), ==, 0);
        g_free(path);
        g_free(folder);
}

static void test_oom(void) {
        const char *v2[] = { "low 0\nhigh 7\nmax 5\noom 1\noom_kill 1\n",
                             "low 0\nhigh 7\nmax 5\noom 2\noom_kill 3\n", "oom_kill rubbish" };
        const char *v1[] = { "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n",
                             "oom_kill_disable 0\nunder_oom 0\noom_kill 1", "" };

        check_oom(false, "memory.events", v2);
        check_oom(true, "memory.oom_control", v1);
}

static void test_oom_long_path(void) {
        OomWatch watch = OOM_WATCH_INIT;
        char path[PATH_MAX];

        memset(path, 'x', sizeof(path));
        path[sizeof(path) - 1] = '\0';
        g_assert_cmpint(oom_watch_open(&watch, path, true), ==, -ENAMETOOLONG);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);

        g_test_add_func("/heal/exit-text/words", test_words);
        g_test_add_func("/heal/exit-text/counted", test_counted);
        g_test_add_func("/heal/exit-text/short-buffer", test_short_buffer);
        g_test_add_func("/heal/oom/counts", test_oom);
        g_test_add_func("/heal/oom/long-path", test_oom_long_path);

        return g_test_run();
}
