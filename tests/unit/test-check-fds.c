/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * fds: counts right, both as new kernels tell it and as old ones make it count,
 * and still answers when there is not one descriptor left.
 */

#include "check-fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* On kernels before 6.2 stat() says 0 for /proc/self/fd. So it does on all for
 * /proc/self/fdinfo, which lists the same. */
static char *make_old_kernel(void) {
        char *root = g_dir_make_tmp("hale-fds-XXXXXX", NULL);
        g_autofree char *proc = g_build_filename(root, "proc/self", NULL);
        g_autofree char *fd = g_build_filename(proc, "fd", NULL);

        g_assert_cmpint(g_mkdir_with_parents(proc, 0700), ==, 0);
        g_assert_cmpint(symlink("/proc/self/fdinfo", fd), ==, 0);
        return root;
}

static void remove_old_kernel(const char *root) {
        static const char *const names[] = { "proc/self/fd", "proc/self", "proc", "" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                g_autofree char *path = g_build_filename(root, names[i], NULL);
                g_assert_cmpint(g_remove(path), ==, 0);
        }
}

/* Counts with a handful more, which must show. */
static void check_counts(const char *root) {
        int fds[10];
        Fixture fixture;
        double before;

        fixture_init(&fixture);
        fixture.context.root = root;

        fixture_expect(&fixture, "fds:", HALE_PASS, "descriptors are open");
        before = fixture.result.value;
        g_assert_cmpstr(fixture.result.unit, ==, "descriptors");

        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                g_assert_cmpint(fds[i] = dup(0), >=, 0);
        fixture_expect(&fixture, "fds:?max=100000&warn=3", HALE_WARN, "; limit 3");
        g_assert_cmpfloat(fixture.result.value, ==, before + ELEMENTSOF(fds));
        fixture_expect(&fixture, "fds:?max=3&warn=1", HALE_FAIL, "; limit 3");
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                close(fds[i]);

        fixture_expect(&fixture, "fds:", HALE_PASS, "descriptors are open");
        g_assert_cmpfloat(fixture.result.value, ==, before);
        fixture_done(&fixture);
}

static void test_counts(void) {
        check_counts(NULL);
}

static void test_counts_on_old_kernels(void) {
        g_autofree char *root = make_old_kernel();
        Fixture fixture;
        double quick;

        check_counts(root);

        /* Both ways count the same. */
        fixture_init(&fixture);
        (void)fixture_ask(&fixture, "fds:", PATIENCE_USEC);
        quick = fixture.result.value;
        fixture.context.root = root;
        (void)fixture_ask(&fixture, "fds:", PATIENCE_USEC);
        g_assert_cmpfloat(fixture.result.value, ==, quick);
        fixture_done(&fixture);
        remove_old_kernel(root);
}

/* In a child: takes all descriptors, then asks. Exits 0 if all was as it should be. */
static void child_without_descriptors(const char *root) {
        struct rlimit limit = { .rlim_cur = 64, .rlim_max = 64 };
        Fixture fixture;
        Check *check;
        int ok;

        fixture_init(&fixture);
        fixture.context.root = root;
        check = fixture_check(&fixture, "fds:");
        /* Whatever we were started with above the limit would count, too. */
        if (close_range(64, ~0U, 0) < 0 || setrlimit(RLIMIT_NOFILE, &limit) < 0)
                _exit(2);
        while (dup(0) >= 0)
                ;
        ok = errno == EMFILE && fixture_ask_check(&fixture, check, PATIENCE_USEC) &&
             fixture.result.status == HALE_FAIL && fixture.result.value == 64 &&
             strcmp(fixture.result.output,
                    "no descriptors left: 64 of 64 descriptors are open; limit 95%") == 0;
        if (!ok)
                (void)dprintf(2, "%s: %s\n", root ? root : "/", fixture.result.output);
        _exit(ok ? 0 : 1);
}

static void expect_child(const char *root) {
        int status;
        pid_t pid = fork();

        g_assert_cmpint(pid, >=, 0);
        if (pid == 0)
                child_without_descriptors(root);

        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
        g_assert_true(WIFEXITED(status));
        g_assert_cmpint(WEXITSTATUS(status), ==, 0);
}

static void test_none_left(void) {
        g_autofree char *root = make_old_kernel();

        expect_child(NULL);
        expect_child(root);
        remove_old_kernel(root);
}

static void test_no_proc(void) {
        Fixture fixture;

        fixture_init(&fixture);
        fixture.context.root = "/nowhere";
        fixture_expect(&fixture, "fds:", HALE_UNKNOWN,
                       "cannot count descriptors: No such file or directory");
        fixture_refuse(&fixture, "fds:?warn=90%&max=80%",
                       "fds:?warn=90%&max=80%: the level at character 11; "
                       "expected at most that of 'max'");
        fixture_done(&fixture);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/check/fds/counts", test_counts);
        g_test_add_func("/check/fds/counts-on-old-kernels", test_counts_on_old_kernels);
        g_test_add_func("/check/fds/none-left", test_none_left);
        g_test_add_func("/check/fds/no-proc", test_no_proc);
        return g_test_run();
}
