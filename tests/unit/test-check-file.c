/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * file: on files made here: there or not, of which kind, how old, how large.
 */

#include "check-fixture.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/socket.h>
#include <sys/un.h>

static char *folder;

/* Every file of the test is two hours old and has 2048 bytes. */
static void make_files(void) {
        g_autofree char *regular = NULL, *fifo = NULL, *socket_path = NULL, *link = NULL;
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        static char content[2048];
        int fd;

        folder = g_dir_make_tmp("hale-file-XXXXXX", NULL);
        g_assert_nonnull(folder);

        regular = g_build_filename(folder, "regular", NULL);
        fifo = g_build_filename(folder, "fifo", NULL);
        socket_path = g_build_filename(folder, "socket", NULL);
        link = g_build_filename(folder, "link", NULL);

        g_assert_true(g_file_set_contents(regular, content, sizeof(content), NULL));
        g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
        g_assert_cmpint(symlink("regular", link), ==, 0);

        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        g_assert_cmpint(fd, >=, 0);
        (void)g_strlcpy(address.sun_path, socket_path, sizeof(address.sun_path));
        g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
        close(fd);
}

static void set_age(const char *name, int64_t age_sec) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        struct timespec times[2] = {};

        times[0].tv_sec = times[1].tv_sec = (time_t)(g_get_real_time() / 1000000 - age_sec);
        g_assert_cmpint(utimensat(AT_FDCWD, path, times, 0), ==, 0);
}

static const struct {
        const char *rest;
        hale_status status;
        const char *output;
} files[] = {
        { "regular", HALE_PASS, "2h 0min old, 2.0K" },
        { "link", HALE_PASS, "2h 0min old, 2.0K" },
        { "regular?kind=file&min_size=2K&max_size=2K&max_age=3h", HALE_PASS, "old, 2.0K" },
        { "regular?min_size=2049", HALE_FAIL, "/regular has 2.0K, less than 2.0K" },
        { "regular?max_size=1K", HALE_FAIL, "/regular has 2.0K, more than 1.0K" },
        { "regular?max_age=1h", HALE_FAIL, "/regular is 2h 0min old, more than 1h 0min" },
        { "regular?warn_age=1h", HALE_WARN, "/regular is 2h 0min old, more than 1h 0min" },
        { "regular?warn_age=1h&max_age=3h", HALE_WARN, "more than 1h 0min" },
        { "regular?kind=directory", HALE_FAIL, "/regular is no directory" },
        { ".?kind=directory", HALE_PASS, "old" },
        { "fifo?kind=fifo", HALE_PASS, "old, 0B" },
        { "fifo?kind=socket", HALE_FAIL, "/fifo is no socket" },
        { "socket?kind=socket", HALE_PASS, "old, 0B" },
        { "../../dev/null?kind=device", HALE_PASS, "old, 0B" },
        { "nothing", HALE_FAIL, "/nothing is not there" },
        { "nothing?missing=warn", HALE_WARN, "/nothing is not there" },
        { "nothing?missing=pass&max_age=1s", HALE_PASS, "/nothing is not there" },
        { "regular/below", HALE_FAIL, "/regular/below is not there" },
};

static void test_files(void) {
        Fixture fixture;

        fixture_init(&fixture);
        set_age("regular", 7200);
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                g_autofree char *spec = g_strdup_printf("file:%s/%s", folder, files[i].rest);

                fixture_expect(&fixture, spec, files[i].status, files[i].output);
        }
        fixture_done(&fixture);
}

/* The same check sees the file come, age, be touched and go, and so do its figures. */
static void test_over_time(void) {
        g_autofree char *spec = g_strdup_printf("file:%s/beat?max_age=1min&missing=warn", folder);
        g_autofree char *path = g_build_filename(folder, "beat", NULL);
        Fixture fixture;
        Check *check;

        fixture_init(&fixture);
        check = fixture_check(&fixture, spec);
        g_assert_true(check_is_blocking(check));
        g_assert_cmpstr(check_get_scheme(check), ==, "file");

        g_assert_true(fixture_ask_check(&fixture, check, PATIENCE_USEC));
        g_assert_cmpint(fixture.result.status, ==, HALE_WARN);
        g_assert_false(fixture.result.has_value);

        g_assert_true(g_file_set_contents(path, "x", 1, NULL));
        g_assert_true(fixture_ask_check(&fixture, check, PATIENCE_USEC));
        g_assert_cmpint(fixture.result.status, ==, HALE_PASS);

        set_age("beat", 90);
        g_assert_true(fixture_ask_check(&fixture, check, PATIENCE_USEC));
        g_assert_cmpint(fixture.result.status, ==, HALE_FAIL);
        g_assert_cmpfloat(fixture.result.value, >=, 90);
        g_assert_cmpstr(fixture.result.unit, ==, "s");

        /* From the future: not old. */
        set_age("beat", -1000);
        g_assert_true(fixture_ask_check(&fixture, check, PATIENCE_USEC));
        g_assert_cmpint(fixture.result.status, ==, HALE_PASS);
        g_assert_cmpfloat(fixture.result.value, ==, 0);

        g_assert_cmpint(g_remove(path), ==, 0);
        g_assert_true(fixture_ask_check(&fixture, check, PATIENCE_USEC));
        g_assert_cmpint(fixture.result.status, ==, HALE_WARN);

        check_free(check);
        fixture_done(&fixture);
}

static void test_refused(void) {
        Fixture fixture;

        fixture_init(&fixture);
        fixture_refuse(&fixture, "file:/a?warn_age=2s&max_age=1s",
                       "file:/a?warn_age=2s&max_age=1s: the age at character 18; "
                       "expected at most that of 'max_age'");
        fixture_refuse(&fixture, "file:/a?min_size=2&max_size=1",
                       "file:/a?min_size=2&max_size=1: the size at character 29; "
                       "expected at least that of 'min_size'");
        fixture_done(&fixture);
}

int main(int argc, char *argv[]) {
        static const char *const names[] = { "regular", "fifo", "socket", "link" };
        int r;

        g_test_init(&argc, &argv, NULL);
        make_files();
        g_test_add_func("/check/file/files", test_files);
        g_test_add_func("/check/file/over-time", test_over_time);
        g_test_add_func("/check/file/refused", test_refused);
        r = g_test_run();

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                g_autofree char *path = g_build_filename(folder, names[i], NULL);
                (void)g_remove(path);
        }
        (void)g_rmdir(folder);
        g_free(folder);
        return r;
}
