/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Pressure
 *
 * The protocol of $MEMORY_PRESSURE_WATCH with a pipe and a socket, which need no
 * kernel that knows pressure; a made-up control group for the averages; the real one,
 * whatever it grants; and everything that may be wrong, none of which is an error.
 */

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/macro.h"
#include "check/pressure.h"

typedef struct Fixture {
        char *folder;
        sd_event *event;
        Pressure pressure;
        unsigned n_called;
} Fixture;

static void on_called(void *userdata) {
        ((Fixture *)userdata)->n_called++;
}

static void setup(Fixture *f, gconstpointer data) {
        (void)data;
        f->folder = g_dir_make_tmp("hale-XXXXXX", NULL);
        f->pressure = (Pressure)PRESSURE_INIT;
        g_assert_cmpint(sd_event_new(&f->event), ==, 0);
}

static void remove_tree(const char *path) {
        g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
        const char *name;

        while (dir && (name = g_dir_read_name(dir))) {
                g_autofree char *child = g_build_filename(path, name, NULL);

                remove_tree(child);
        }
        (void)g_remove(path);
}

static void teardown(Fixture *f, gconstpointer data) {
        (void)data;
        pressure_done(&f->pressure);
        (void)sd_event_unref(f->event);
        remove_tree(f->folder);
        g_free(f->folder);
}

/* With a root where no control group is, so that only what was assigned is left. */
static void init(Fixture *f, const char *watch, const char *write_text) {
        const PressureConfig config = { .watch = watch, .write = write_text, .root = f->folder };

        pressure_init(&f->pressure, f->event, 0, &config, on_called, f);
}

static void turn(Fixture *f) {
        g_assert_cmpint(sd_event_run(f->event, 5 * G_USEC_PER_SEC), >, 0);
}

static void test_pipe(Fixture *f, gconstpointer data) {
        g_autofree char *path = g_build_filename(f->folder, "pipe", NULL);
        int fd;

        (void)data;
        g_assert_cmpint(mkfifo(path, 0600), ==, 0);
        init(f, path, NULL);
        g_assert_cmpint(f->pressure.kind, ==, PRESSURE_ASSIGNED);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        g_assert_cmpint(write(fd, "x", 1), ==, 1);
        turn(f);
        g_assert_cmpuint(f->n_called, ==, 1);

        /* It was read: it does not come again, and the end of a writer is no news. */
        close(fd);
        g_assert_cmpint(sd_event_run(f->event, 10000), ==, 0);
        g_assert_cmpuint(f->n_called, ==, 1);
        g_assert_cmpuint(f->pressure.n_events, ==, 1);
        pressure_poll(&f->pressure);
        g_assert_cmpuint(f->n_called, ==, 1);
}

static void test_socket(Fixture *f, gconstpointer data) {
        g_autofree char *path = g_build_filename(f->folder, "socket", NULL);
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        char line[64] = "";
        int listener, fd;

        (void)data;
        g_assert_cmpuint(strlen(path), <, sizeof(un.sun_path));
        memcpy(un.sun_path, path, strlen(path));
        listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        g_assert_cmpint(bind(listener, (struct sockaddr *)&un, sizeof(un)), ==, 0);
        g_assert_cmpint(listen(listener, 1), ==, 0);

        init(f, path, "c29tZSAyMDAwMDAgMjAwMDAwMAA=");
        g_assert_cmpint(f->pressure.kind, ==, PRESSURE_ASSIGNED);
        fd = accept(listener, NULL, NULL);
        g_assert_cmpint(read(fd, line, sizeof(line)), ==, 20);
        g_assert_cmpstr(line, ==, "some 200000 2000000");
        g_assert_cmpint(write(fd, "?", 1), ==, 1);
        turn(f);
        g_assert_cmpuint(f->n_called, ==, 1);

        /* Who told us is gone: that is all. */
        close(fd);
        turn(f);
        g_assert_cmpuint(f->n_called, ==, 1);
        g_assert_cmpint(f->pressure.kind, ==, PRESSURE_NONE);
        close(listener);
}

/* Somebody who writes without end gets no more than a few calls, and the loop goes on. */
static void test_storm(Fixture *f, gconstpointer data) {
        g_autofree char *path = g_build_filename(f->folder, "pipe", NULL);
        gint64 until = g_get_monotonic_time() + G_USEC_PER_SEC / 2;
        char block[4096] = "";
        guint n_turns = 0;
        int fd;

        (void)data;
        g_assert_cmpint(mkfifo(path, 0600), ==, 0);
        init(f, path, NULL);
        fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
        while (g_get_monotonic_time() < until) {
                (void)!write(fd, block, sizeof(block));
                g_assert_cmpint(sd_event_run(f->event, 10000), >=, 0);
                n_turns++;
        }
        g_test_message("%u calls in %u turns", f->n_called, n_turns);
        g_assert_cmpuint(f->n_called, >=, 1);
        g_assert_cmpuint(f->n_called, <=, 8);
        g_assert_cmpint(f->pressure.kind, ==, PRESSURE_ASSIGNED);
        close(fd);
}

/* A real group that is removed while it is watched: the kernel says so without end. */
static void test_group_removed(Fixture *f, gconstpointer data) {
        static const char *const roots[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
        gint64 until = g_get_monotonic_time() + G_USEC_PER_SEC / 2;
        g_autofree char *name = g_strdup_printf("hale-test-%d", (int)getpid());

        (void)data;
        for (size_t i = 0; i < G_N_ELEMENTS(roots); i++) {
                g_autofree char *group = g_build_filename(roots[i], name, NULL);
                g_autofree char *path = g_build_filename(group, "memory.pressure", NULL);

                if (mkdir(group, 0755) < 0)
                        continue;
                if (access(path, W_OK) == 0)
                        init(f, path, "c29tZSAyMDAwMDAgMjAwMDAwMAA=");
                g_assert_cmpint(rmdir(group), ==, 0);
                if (f->pressure.kind == PRESSURE_ASSIGNED)
                        break;
        }
        if (f->pressure.kind != PRESSURE_ASSIGNED) {
                g_test_skip("no control group of one's own with memory.pressure can be had here");
                return;
        }

        while (f->pressure.kind != PRESSURE_NONE && g_get_monotonic_time() < until)
                g_assert_cmpint(sd_event_run(f->event, 10000), >=, 0);
        g_assert_cmpint(f->pressure.kind, ==, PRESSURE_NONE);
        g_assert_cmpuint(f->n_called, ==, 0);
}

static void test_nothing(Fixture *f, gconstpointer data) {
        static const char *const writes[] = { "=", "A", "AAA", "A===", "AA*A", "äöü" };
        g_autofree char *file = g_build_filename(f->folder, "file", NULL);
        g_autofree char *endless = g_strnfill(100000, 'A');
        g_autofree char *pipe_path = g_build_filename(f->folder, "pipe", NULL);
        const char *watches[] = { "/dev/null", "/dev/zero", "relative", "",  "/nowhere/at/all",
                                  f->folder,   file,        endless,    NULL };

        (void)data;
        g_assert_true(g_file_set_contents(file, "some avg10=99.00\n", -1, NULL));
        for (size_t i = 0; i < G_N_ELEMENTS(watches); i++) {
                init(f, watches[i], NULL);
                g_assert_cmpint(f->pressure.kind, ==, PRESSURE_NONE);
                pressure_poll(&f->pressure);
        }

        g_assert_cmpint(mkfifo(pipe_path, 0600), ==, 0);
        for (size_t i = 0; i < G_N_ELEMENTS(writes); i++) {
                init(f, pipe_path, writes[i]);
                g_assert_cmpint(f->pressure.kind, ==, PRESSURE_NONE);
        }
        init(f, pipe_path, endless);
        g_assert_cmpint(f->pressure.kind, ==, PRESSURE_NONE);
        g_assert_cmpuint(f->n_called, ==, 0);
}

static void set(Fixture *f, const char *path, const char *text) {
        g_autofree char *file = g_build_filename(f->folder, path, NULL);
        g_autofree char *folder = g_path_get_dirname(file);

        g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
        g_assert_true(g_file_set_contents(file, text, -1, NULL));
}

static void test_averages(Fixture *f, gconstpointer data) {
        static const struct {
                const char *text;
                unsigned n_called;
        } rows[] = {
                { "some avg10=9.99 avg60=50.00 avg300=50.00 total=1\n", 0 },
                { "some avg10=10.00 avg60=0.00 avg300=0.00 total=1\n", 1 },
                { "some avg10=100.00 avg60=0.00 avg300=0.00 total=1\n", 1 },
                { "full avg10=99.00 avg60=0.00 avg300=0.00 total=1\n", 0 },
                { "rubbish", 0 },
        };
        g_autofree char *file = NULL;

        (void)data;
        set(f, "proc/self/cgroup", "0::/unit\n");
        set(f, "proc/self/mountinfo", "1 0 0:1 / /sys rw - cgroup2 cgroup2 rw\n");
        set(f, "sys/unit/memory.pressure", rows[0].text);

        /* Triggers are refused: as where only the manager may write there. (Root may always write,
         * and a plain file takes it; what cannot be waited for is then nothing.) */
        file = g_build_filename(f->folder, "sys/unit/memory.pressure", NULL);
        init(f, NULL, NULL);
        g_assert_true(f->pressure.kind == PRESSURE_AVERAGES || f->pressure.kind == PRESSURE_NONE);
        pressure_done(&f->pressure);

        f->pressure = (Pressure){ .kind = PRESSURE_AVERAGES,
                                  .fd = open(file, O_RDWR | O_CLOEXEC),
                                  .handler = on_called,
                                  .userdata = f };
        for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
                size_t n = strlen(rows[i].text);

                g_assert_cmpint(ftruncate(f->pressure.fd, 0), ==, 0);
                g_assert_cmpint(pwrite(f->pressure.fd, rows[i].text, n, 0), ==, (ssize_t)n);
                f->n_called = 0;
                pressure_poll(&f->pressure);
                g_assert_cmpuint(f->n_called, ==, rows[i].n_called);
        }

        /* The group is gone. */
        g_assert_cmpint(ftruncate(f->pressure.fd, 0), ==, 0);
        pressure_poll(&f->pressure);
        g_assert_cmpint(f->pressure.kind, ==, PRESSURE_NONE);
}

static void test_real(Fixture *f, gconstpointer data) {
        const PressureConfig config = {};

        (void)data;
        pressure_init(&f->pressure, f->event, 0, &config, on_called, f);
        g_test_message("this machine: %s", pressure_kind_to_string(f->pressure.kind));
        g_assert_cmpint(sd_event_run(f->event, 1000), >=, 0);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add("/check/pressure/pipe", Fixture, NULL, setup, test_pipe, teardown);
        g_test_add("/check/pressure/socket", Fixture, NULL, setup, test_socket, teardown);
        g_test_add("/check/pressure/storm", Fixture, NULL, setup, test_storm, teardown);
        g_test_add("/check/pressure/group-removed", Fixture, NULL, setup, test_group_removed,
                   teardown);
        g_test_add("/check/pressure/nothing", Fixture, NULL, setup, test_nothing, teardown);
        g_test_add("/check/pressure/averages", Fixture, NULL, setup, test_averages, teardown);
        g_test_add("/check/pressure/this-machine", Fixture, NULL, setup, test_real, teardown);
        return g_test_run();
}
