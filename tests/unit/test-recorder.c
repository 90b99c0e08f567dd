/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The record's memory: what was made is taken back as it was, by another process too;
 * what systemd might pass by mistake, or somebody on purpose, is refused with a word.
 */

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report/recorder.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

static void test_made_and_taken_back(void) {
        Recorder recorder = RECORDER_INIT, again = RECORDER_INIT;
        RecorderState state = { .run = 3 }, found;
        const char *word = NULL;
        int kept, status;
        pid_t pid;

        g_assert_cmpint(recorder_create(&recorder, "subject", true), ==, 0);
        g_assert_cmpint(recorder.fd, >=, 0);
        g_assert_true(fcntl(recorder.fd, F_GETFD) & FD_CLOEXEC);
        g_assert_cmpint(fcntl(recorder.fd, F_GET_SEALS) & (SEALS | F_SEAL_SEAL), ==,
                        SEALS | F_SEAL_SEAL);

        /* Nobody can take the memory away from under it, nor seal it against us. */
        g_assert_cmpint(ftruncate(recorder.fd, 0), <, 0);
        g_assert_cmpint(fcntl(recorder.fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), <, 0);

        pid = fork();
        if (pid == 0) {
                recorder_write_state(recorder.area, &state);
                (void)kill(getpid(), SIGKILL);
        }
        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);

        kept = fcntl(recorder.fd, F_DUPFD_CLOEXEC, 0);
        recorder_done(&recorder);
        g_assert_null(recorder.area);
        g_assert_cmpint(recorder_adopt(&again, kept, &word), ==, 0);
        g_assert_null(word);
        g_assert_cmpint(recorder_check(again.area, "subject", &word), ==, 0);
        g_assert_true(recorder_read_state(again.area, &found));
        g_assert_cmpuint(found.run, ==, 3);
        recorder_done(&again);
        recorder_done(&again);
        recorder_done(NULL);
}

static void test_plain_memory(void) {
        Recorder recorder = RECORDER_INIT;
        const char *word = NULL;

        g_assert_cmpint(recorder_create(&recorder, "subject", false), ==, 0);
        g_assert_cmpint(recorder.fd, <, 0);
        g_assert_cmpint(recorder_check(recorder.area, "subject", &word), ==, 0);
        recorder_done(&recorder);
}

static int memfd(off_t size, int seals) {
        int fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        g_assert_cmpint(fd, >=, 0);
        g_assert_cmpint(ftruncate(fd, size), ==, 0);
        g_assert_cmpint(fcntl(fd, F_ADD_SEALS, seals), ==, 0);
        return fd;
}

static int make_short(void) {
        return memfd((off_t)RECORDER_SIZE - 1, SEALS);
}

static int make_empty(void) {
        return memfd(0, SEALS);
}

static int make_long(void) {
        return memfd((off_t)RECORDER_SIZE * 2, SEALS);
}

static int make_unsealed(void) {
        return memfd((off_t)RECORDER_SIZE, 0);
}

static int make_half_sealed(void) {
        return memfd((off_t)RECORDER_SIZE, F_SEAL_GROW);
}

static int make_write_sealed(void) {
        return memfd((off_t)RECORDER_SIZE, SEALS | F_SEAL_WRITE);
}

static int make_read_only(void) {
        int fd = memfd((off_t)RECORDER_SIZE, SEALS), reader;
        g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);

        reader = open(path, O_RDONLY | O_CLOEXEC);
        g_assert_cmpint(reader, >=, 0);
        (void)close(fd);
        return reader;
}

static int make_foreign(void) {
        int fd = memfd((off_t)RECORDER_SIZE, SEALS);

        /* Only root can give a file away. */
        if (fchown(fd, 12345, (gid_t)-1) == 0)
                return fd;
        (void)close(fd);
        return -1;
}

static int make_file(void) {
        int fd = open(g_get_tmp_dir(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

        g_assert_cmpint(ftruncate(fd, (off_t)RECORDER_SIZE), ==, 0);
        return fd;
}

static int make_shm_file(void) {
        g_autofree char *name = g_strdup_printf("/hale-test-%d", (int)getpid());
        int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);

        if (fd < 0)
                return -1;
        g_assert_cmpint(ftruncate(fd, (off_t)RECORDER_SIZE), ==, 0);
        (void)shm_unlink(name);
        return fd;
}

static int make_pipe(void) {
        int fds[2];

        g_assert_cmpint(pipe(fds), ==, 0);
        (void)close(fds[1]);
        return fds[0];
}

static int make_null(void) {
        return open("/dev/null", O_RDWR | O_CLOEXEC);
}

typedef struct Row {
        const char *name;
        int (*make)(void);
        int error;
        const char *word;
} Row;

static const Row rows[] = {
        { "short", make_short, -EFBIG, "size" },
        { "empty", make_empty, -EFBIG, "size" },
        { "long", make_long, -EFBIG, "size" },
        { "unsealed", make_unsealed, -EPERM, "seals" },
        { "half-sealed", make_half_sealed, -EPERM, "seals" },
        { "write-sealed", make_write_sealed, -EPERM, "seals" },
        { "read-only", make_read_only, -EPERM, "seals" },
        { "foreign", make_foreign, -EPERM, "owner" },
        { "file", make_file, -EMEDIUMTYPE, "kind" },
        { "shm", make_shm_file, -EPERM, "seals" },
        { "pipe", make_pipe, -EMEDIUMTYPE, "kind" },
        { "null", make_null, -EMEDIUMTYPE, "kind" },
};

static void test_refused(gconstpointer data) {
        Recorder recorder = RECORDER_INIT;
        const char *word = NULL;
        const Row *row = data;
        int fd = row->make();

        if (fd < 0) {
                g_test_skip("this user cannot make one");
                return;
        }

        g_assert_cmpint(recorder_adopt(&recorder, fd, &word), ==, row->error);
        g_assert_cmpstr(word, ==, row->word);
        g_assert_null(recorder.area);

        /* It is still the caller's. */
        g_assert_cmpint(fcntl(fd, F_GETFD), >=, 0);
        (void)close(fd);
}

static void test_no_descriptor(void) {
        Recorder recorder = RECORDER_INIT;
        const char *word = NULL;

        g_assert_cmpint(recorder_adopt(&recorder, 900, &word), ==, -EBADF);
        g_assert_cmpstr(word, ==, "descriptor");
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/report/recorder/made-and-taken-back", test_made_and_taken_back);
        g_test_add_func("/report/recorder/plain-memory", test_plain_memory);
        for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
                char *path = g_strdup_printf("/report/recorder/refused/%s", rows[i].name);

                g_test_add_data_func(path, &rows[i], test_refused);
                g_free(path);
        }
        g_test_add_func("/report/recorder/no-descriptor", test_no_descriptor);
        return g_test_run();
}
