/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/macro.h"
#include "heal/spawn.h"

#define SELF "/proc/self/exe"

/* sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3), sd_pid_notify_with_fds(3): all of it was
 * meant for the service's own process. */
static const char *const private_variables[] = {
        "NOTIFY_SOCKET", "WATCHDOG_PID",   "WATCHDOG_USEC",     "LISTEN_PID", "LISTEN_PIDFDID",
        "LISTEN_FDS",    "LISTEN_FDNAMES", SPAWN_NAME_VARIABLE, "FDSTORE",    SPAWN_FD_VARIABLE,
};

static bool is_private(const char *assignment) {
        size_t n = strcspn(assignment, "=");

        for (size_t i = 0; i < ELEMENTSOF(private_variables); i++)
                if (strlen(private_variables[i]) == n &&
                    memcmp(private_variables[i], assignment, n) == 0)
                        return true;

        return false;
}

char **spawn_environment(char *const environment[], char *const extra[]) {
        size_t n = 1, i = 0;
        char **copy;

        assert(extra);

        for (char *const *e = environment; e && *e; e++)
                n++;
        for (char *const *e = extra; *e; e++)
                n++;

        copy = calloc(n, sizeof(*copy));
        if (!copy)
                return NULL;

        for (char *const *e = extra; *e; e++)
                copy[i++] = *e;
        for (char *const *e = environment; e && *e; e++)
                if (!is_private(*e))
                        copy[i++] = *e;

        return copy;
}

/* The strings that we were started with, one after the other, each with its end. */
static struct {
        char *text;
        size_t size, n;
} original;

/*
 * Keeps a copy before main() can change them, as strsep(3) and strtok(3) do: a
 * worker must get what the service got. Called by ld.so, before main(), with the
 * arguments of main().
 */
__attribute__((constructor)) static void keep_arguments(int argc, char *argv[]) {
        char *at;

        for (int i = 0; i < argc; i++)
                original.size += strlen(argv[i]) + 1;
        if (original.size == 0 || original.size > SPAWN_ARGUMENTS_MAX)
                return;

        at = original.text = malloc(original.size);
        for (int i = 0; at && i < argc; at += strlen(at) + 1, i++)
                memcpy(at, argv[i], strlen(argv[i]) + 1);
        original.n = (size_t)argc;
}

int spawn_image_init(SpawnImage *image) {
        char *at = original.text;

        assert(image);

        if (!original.text)
                return original.size > SPAWN_ARGUMENTS_MAX ? -E2BIG : -ENODATA;

        image->arguments = calloc(original.n + 1, sizeof(*image->arguments));
        if (!image->arguments)
                return -ENOMEM;

        image->n_arguments = original.n;
        for (size_t i = 0; i < original.n; at += strlen(at) + 1, i++)
                image->arguments[i] = at;
        return 0;
}

void spawn_image_done(SpawnImage *image) {
        assert(image);

        free(image->arguments);
        *image = (SpawnImage){};
}

static int spawn_attributes(posix_spawnattr_t *attributes) {
        sigset_t none, all;
        int r;

        (void)sigemptyset(&none);
        (void)sigfillset(&all);
        r = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                                         POSIX_SPAWN_SETSIGDEF);
        if (r == 0)
                r = posix_spawnattr_setpgroup(attributes, 0);
        if (r == 0)
                r = posix_spawnattr_setsigmask(attributes, &none);
        if (r == 0)
                r = posix_spawnattr_setsigdefault(attributes, &all);
        return -r;
}

/* The two go to their places, and all else is closed: what the program has opened without
 * O_CLOEXEC, too. */
static int spawn_actions(posix_spawn_file_actions_t *actions, int socket_fd, int beat_fd) {
        int r;

        r = posix_spawn_file_actions_adddup2(actions, socket_fd, SPAWN_SOCKET_FD);
        if (r == 0)
                r = posix_spawn_file_actions_adddup2(actions, beat_fd, SPAWN_BEAT_FD);
        if (r == 0)
                r = posix_spawn_file_actions_addclosefrom_np(actions, SPAWN_BEAT_FD + 1);
        return -r;
}

static int spawn_child(const SpawnImage *image,
                       char *const environment[],
                       int socket_fd,
                       int beat_fd,
                       pid_t *ret_pid) {
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        int r;

        r = -posix_spawnattr_init(&attributes);
        if (r < 0)
                return r;

        r = -posix_spawn_file_actions_init(&actions);
        if (r < 0) {
                (void)posix_spawnattr_destroy(&attributes);
                return r;
        }

        r = spawn_attributes(&attributes);
        if (r >= 0)
                r = spawn_actions(&actions, socket_fd, beat_fd);
        if (r >= 0)
                r = -posix_spawn(ret_pid, SELF, &actions, &attributes, image->arguments,
                                 environment);

        (void)posix_spawn_file_actions_destroy(&actions);
        (void)posix_spawnattr_destroy(&attributes);
        return r;
}

/* Out of the way of the numbers that it and its neighbour are to have in the child. */
static int spawn_lift(int fd, int *ret_lifted) {
        int lifted;

        if (fd > SPAWN_BEAT_FD)
                return fd;

        lifted = fcntl(fd, F_DUPFD_CLOEXEC, SPAWN_BEAT_FD + 1);
        if (lifted < 0)
                return -errno;

        *ret_lifted = lifted;
        return lifted;
}

int spawn_image_start(const SpawnImage *image,
                      const char *name,
                      int socket_fd,
                      int beat_fd,
                      pid_t *ret_pid,
                      int *ret_pidfd) {
        _cleanup_close_ int lifted_socket = -EBADF, lifted_beat = -EBADF;
        char name_text[sizeof(SPAWN_NAME_VARIABLE) + 1 + NAME_LENGTH_MAX];
        char fd_text[] = SPAWN_FD_VARIABLE "=" SPAWN_FD_TEXT;
        _cleanup_free_ char **environment = NULL;
        int pidfd, r;
        pid_t pid;

        assert(image && image->n_arguments > 0);
        assert(ret_pid && ret_pidfd);

        (void)snprintf(name_text, sizeof(name_text), SPAWN_NAME_VARIABLE "=%s", name);
        environment = spawn_environment(environ, (char *[]){ name_text, fd_text, NULL });
        if (!environment)
                return -ENOMEM;

        socket_fd = spawn_lift(socket_fd, &lifted_socket);
        beat_fd = spawn_lift(beat_fd, &lifted_beat);
        if (socket_fd < 0 || beat_fd < 0)
                return MIN(socket_fd, beat_fd);

        r = spawn_child(image, environment, socket_fd, beat_fd, &pid);
        if (r < 0)
                return r;

        pidfd = pidfd_open(pid, 0);
        if (pidfd < 0) {
                /* Already reaped by the program, which is none of ours then; or no descriptor. */
                r = -errno;
                if (r != -ESRCH) {
                        (void)kill(-pid, SIGKILL);
                        (void)waitpid(pid, NULL, 0);
                }
                return r;
        }

        *ret_pid = pid;
        *ret_pidfd = pidfd;
        return 0;
}
