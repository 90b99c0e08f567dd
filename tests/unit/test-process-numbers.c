/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The numbers of the process: what changes is seen to change, names of processes
 * cannot shift the fields, and what cannot be read is unknown and nothing else.
 */

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/macro.h"
#include "check/process-numbers.h"

static void test_own(void) {
        ProcessNumbers numbers = {}, again;
        uint64_t now_usec = clock_now_usec(CLOCK_REALTIME);
        struct rlimit limit;
        int fds[7];

        process_numbers_read(&numbers, "/proc/self");
        g_assert_cmpuint(numbers.n_threads, >=, 1);
        g_assert_cmpuint(numbers.n_threads, <, 100);
        g_assert_cmpuint(numbers.resident_bytes, >, 100 * 1024);
        g_assert_cmpuint(numbers.virtual_bytes, >, numbers.resident_bytes);
        g_assert_cmpuint(numbers.virtual_bytes, <, PROCESS_UNKNOWN);
        g_assert_cmpuint(numbers.start_realtime_usec, <=, now_usec + USEC_PER_SEC);
        g_assert_cmpuint(numbers.start_realtime_usec, >, now_usec - 10 * USEC_PER_MINUTE);
        g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &limit), ==, 0);
        g_assert_cmpuint(numbers.max_fds, ==, limit.rlim_cur);

        again = numbers;
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                fds[i] = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
        while (clock_now_usec(CLOCK_PROCESS_CPUTIME_ID) < numbers.cpu_usec + 2000)
                continue;

        process_numbers_read(&again, "/proc/self");
        g_assert_cmpuint(again.open_fds, ==, numbers.open_fds + ELEMENTSOF(fds));
        g_assert_cmpuint(again.cpu_usec, >=, numbers.cpu_usec + 2000);
        g_assert_cmpuint(again.start_realtime_usec, ==, numbers.start_realtime_usec);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                (void)close(fds[i]);
}

static void test_limits(void) {
        ProcessNumbers numbers = {};
        struct rlimit old, limit;

        g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &old), ==, 0);
        limit = (struct rlimit){ .rlim_cur = 99, .rlim_max = old.rlim_max };
        g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
        process_numbers_read(&numbers, "/proc/self");
        g_assert_cmpuint(numbers.max_fds, ==, 99);
        g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &old), ==, 0);

        g_assert_cmpint(getrlimit(RLIMIT_AS, &old), ==, 0);
        g_assert_cmpuint(numbers.virtual_max_bytes, ==,
                         old.rlim_cur == RLIM_INFINITY ? PROCESS_INFINITE : old.rlim_cur);
}

/* A folder like /proc/self with this for its `stat`. */
static void read_made_up(const char *stat, ProcessNumbers *numbers) {
        g_autofree char *folder = g_dir_make_tmp("hale-proc-XXXXXX", NULL);
        g_autofree char *path = g_build_filename(folder, "stat", NULL);

        if (stat)
                g_assert_true(g_file_set_contents(path, stat, -1, NULL));
        process_numbers_read(numbers, folder);
        (void)g_unlink(path);
        g_assert_cmpint(g_rmdir(folder), ==, 0);
}

static void test_names(void) {
        static const char *const names[] = { "(x)", "(a b) R 1 (c)", "())", "(\n 1 2 3)", "()" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                ProcessNumbers numbers = { .start_realtime_usec = 5 };
                g_autofree char *stat = g_strdup_printf(
                        "17 %s R 1 2 3 4 -1 6 7 8 9 10 11 12 13 14 15 16 42 0 999 4096 3 0\n",
                        names[i]);

                read_made_up(stat, &numbers);
                g_assert_cmpuint(numbers.n_threads, ==, 42);
                g_assert_cmpuint(numbers.virtual_bytes, ==, 4096);
                g_assert_cmpuint(numbers.resident_bytes, ==, 3 * (uint64_t)sysconf(_SC_PAGESIZE));
                g_assert_cmpuint(numbers.heap_bytes, ==, PROCESS_UNKNOWN);
                g_assert_cmpuint(numbers.start_realtime_usec, ==, 5);
        }
}

static void test_unreadable(void) {
        static const char *const stats[] = {
                NULL, "", "17", "17 (x", ")", "17 (x) R", "garbage\n"
        };

        for (size_t i = 0; i < ELEMENTSOF(stats); i++) {
                ProcessNumbers numbers = {};

                read_made_up(stats[i], &numbers);
                g_assert_cmpuint(numbers.n_threads, ==, PROCESS_UNKNOWN);
                g_assert_cmpuint(numbers.virtual_bytes, ==, PROCESS_UNKNOWN);
                g_assert_cmpuint(numbers.resident_bytes, ==, PROCESS_UNKNOWN);
                g_assert_cmpuint(numbers.start_realtime_usec, ==, PROCESS_UNKNOWN);
                g_assert_cmpuint(numbers.open_fds, ==, PROCESS_UNKNOWN);
                g_assert_cmpuint(numbers.cpu_usec, <, PROCESS_UNKNOWN);
        }
}

/* Older kernels do not tell the number of descriptors: there they are listed, up to a bound. */
static void count_in_folder(unsigned n, uint64_t expected) {
        g_autofree char *folder = g_dir_make_tmp("hale-proc-XXXXXX", NULL);
        g_autofree char *fd = g_build_filename(folder, "fd", NULL);
        ProcessNumbers numbers = {};

        /* fdinfo lists the same, and has no size on any kernel. */
        g_assert_cmpint(symlink("/proc/self/fdinfo", fd), ==, 0);
        for (unsigned i = 0; i < n; i++)
                if (fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 100) < 0)
                        g_error("no descriptors: %s", g_strerror(errno));

        process_numbers_read(&numbers, folder);
        if (expected == PROCESS_UNKNOWN)
                g_assert_cmpuint(numbers.open_fds, ==, PROCESS_UNKNOWN);
        else
                g_assert_cmpuint(numbers.open_fds, >=, expected);
        if (n > 0)
                (void)close_range(100, 100 + n, 0);
        (void)g_unlink(fd);
        g_assert_cmpint(g_rmdir(folder), ==, 0);
}

static void test_listed(void) {
        struct rlimit old, limit;

        count_in_folder(50, 50);

        g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &old), ==, 0);
        limit = (struct rlimit){ .rlim_cur = MIN(old.rlim_max, 11000), .rlim_max = old.rlim_max };
        if (limit.rlim_cur < 11000 || setrlimit(RLIMIT_NOFILE, &limit) < 0) {
                g_test_skip("not so many descriptors may be open");
                return;
        }
        count_in_folder(10500, PROCESS_UNKNOWN);
        g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &old), ==, 0);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/check/process-numbers/own", test_own);
        g_test_add_func("/check/process-numbers/limits", test_limits);
        g_test_add_func("/check/process-numbers/names", test_names);
        g_test_add_func("/check/process-numbers/unreadable", test_unreadable);
        g_test_add_func("/check/process-numbers/listed", test_listed);
        return g_test_run();
}
