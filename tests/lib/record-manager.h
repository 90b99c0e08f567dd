/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A Manager that Keeps the Record
 *
 * Stands where systemd stands for recorder-service, which is a process of its own: keeps
 * what it is given (FDSTORE=1), kills it in each way there is, starts it anew with what
 * was kept, and reads what it answers over HTTP. Defines its functions, because each test
 * is one program of one file.
 */

#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/recorder-format.h"

#define LIMIT_USEC (30 * G_USEC_PER_SEC)
#define WATCHDOG_USEC (2 * G_USEC_PER_SEC)
#define FD_NAME "hale-recorder"

typedef struct Manager {
        char *folder, *notify_path, *http_path, *log_path;
        int fd;
        int kept; /* of the service, or -1 */
        guint n_stored, n_removed;
        gboolean ready;
        gint64 pinged_usec;
        pid_t pid;
} Manager;

static void manager_init(Manager *manager) {
        struct sockaddr_un un = { .sun_family = AF_UNIX };

        *manager = (Manager){ .kept = -1 };
        manager->folder = g_dir_make_tmp("hale-XXXXXX", NULL);
        manager->notify_path = g_build_filename(manager->folder, "notify", NULL);
        manager->http_path = g_build_filename(manager->folder, "http", NULL);
        manager->log_path = g_build_filename(manager->folder, "log", NULL);
        g_assert_cmpuint(strlen(manager->notify_path), <, sizeof(un.sun_path));
        memcpy(un.sun_path, manager->notify_path, strlen(manager->notify_path));
        manager->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        g_assert_cmpint(bind(manager->fd, (struct sockaddr *)&un, sizeof(un)), ==, 0);
}

static void manager_done(Manager *manager) {
        g_assert_cmpint(manager->pid, ==, 0);
        (void)g_unlink(manager->notify_path);
        (void)g_unlink(manager->http_path);
        (void)g_unlink(manager->log_path);
        (void)g_rmdir(manager->folder);
        if (manager->kept >= 0)
                (void)close(manager->kept);
        (void)close(manager->fd);
        g_free(manager->notify_path);
        g_free(manager->http_path);
        g_free(manager->log_path);
        g_free(manager->folder);
}

/* In the child: as systemd does, with what was kept from the third descriptor on. */
static void exec_service(const Manager *manager, const char *mode) {
        const char *program = g_getenv("RECORDER_SERVICE");
        const struct rlimit no_core = { 0, 0 };
        char pid[16], watchdog[16];
        int log;

        (void)g_snprintf(pid, sizeof(pid), "%d", (int)getpid());
        (void)g_snprintf(watchdog, sizeof(watchdog), "%d", (int)WATCHDOG_USEC);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        log = open(manager->log_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        (void)dup2(log, STDERR_FILENO);
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)g_setenv("NOTIFY_SOCKET", manager->notify_path, TRUE);
        (void)g_setenv("WATCHDOG_USEC", watchdog, TRUE);
        (void)g_setenv("WATCHDOG_PID", pid, TRUE);
        if (manager->kept >= 0) {
                int moved = fcntl(manager->kept, F_DUPFD, 10);

                (void)dup2(moved, 3);
                (void)close(moved);
                (void)g_setenv("LISTEN_FDS", "1", TRUE);
                (void)g_setenv("LISTEN_PID", pid, TRUE);
                (void)g_setenv("LISTEN_FDNAMES", FD_NAME, TRUE);
        }
        (void)execl(program, program, mode, manager->http_path, NULL);
        _exit(127);
}

static void manager_start(Manager *manager, const char *mode) {
        g_assert_nonnull(g_getenv("RECORDER_SERVICE"));
        g_assert_cmpint(manager->pid, ==, 0);
        manager->ready = FALSE;
        manager->pinged_usec = g_get_monotonic_time();
        manager->pid = fork();
        g_assert_cmpint(manager->pid, >=, 0);
        if (manager->pid == 0)
                exec_service(manager, mode);
}

static void manager_heed(Manager *manager, const char *text, int fd) {
        if (strstr(text, "FDSTORE=1")) {
                g_assert_nonnull(strstr(text, "\nFDNAME=" FD_NAME "\nFDPOLL=0"));
                g_assert_cmpint(fd, >=, 0);
                g_assert_cmpint(manager->kept, <, 0);
                manager->kept = fd;
                manager->n_stored++;
                return;
        }

        g_assert_cmpint(fd, <, 0);
        if (strstr(text, "FDSTOREREMOVE=1")) {
                g_assert_cmpint(manager->kept, >=, 0);
                (void)close(manager->kept);
                manager->kept = -1;
                manager->n_removed++;
        }
        if (strstr(text, "WATCHDOG=1"))
                manager->pinged_usec = g_get_monotonic_time();
        if (strstr(text, "WATCHDOG=trigger"))
                (void)kill(manager->pid, SIGABRT);
        manager->ready = manager->ready || g_str_has_prefix(text, "READY=1");
}

static void manager_read(Manager *manager) {
        char text[8192], control[CMSG_SPACE(sizeof(int))];
        struct iovec iov = { text, sizeof(text) - 1 };
        struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
        struct pollfd polled = { manager->fd, POLLIN, 0 };
        ssize_t n;

        (void)poll(&polled, 1, 5);
        for (;;) {
                struct cmsghdr *header;
                int fd = -1;

                message.msg_control = control;
                message.msg_controllen = sizeof(control);
                n = recvmsg(manager->fd, &message, MSG_CMSG_CLOEXEC);
                if (n < 0)
                        return;
                text[n] = '\0';
                header = CMSG_FIRSTHDR(&message);
                if (header && header->cmsg_type == SCM_RIGHTS)
                        memcpy(&fd, CMSG_DATA(header), sizeof(fd));
                manager_heed(manager, text, fd);
        }
}

#define wait_until(manager, condition)                                                             \
        do {                                                                                       \
                gint64 _limit = g_get_monotonic_time() + LIMIT_USEC;                               \
                while (!(condition)) {                                                             \
                        g_assert_cmpint(g_get_monotonic_time(), <, _limit);                        \
                        manager_read(manager);                                                     \
                }                                                                                  \
        } while (0)

static gboolean is_gone(Manager *manager, int *status) {
        return waitpid(manager->pid, status, WNOHANG) == manager->pid;
}

/* Kills with @number (0: it dies by itself), and waits for the end. */
static void manager_bury(Manager *manager, int number) {
        int status;

        if (number > 0)
                g_assert_cmpint(kill(manager->pid, number), ==, 0);
        wait_until(manager, is_gone(manager, &status));
        manager->pid = 0;
        manager_read(manager);
}

/* The answer to GET @path, or "" as long as there is none. */
static char *get(const Manager *manager, const char *path) {
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        GString *answer = g_string_new(NULL);
        g_autofree char *request = NULL;
        char buffer[4096];
        ssize_t n = -1;
        int fd;

        memcpy(un.sun_path, manager->http_path, strlen(manager->http_path));
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        request = g_strdup_printf("GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
        if (connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0 &&
            send(fd, request, strlen(request), MSG_NOSIGNAL) > 0)
                while ((n = recv(fd, buffer, sizeof(buffer), 0)) > 0)
                        g_string_append_len(answer, buffer, n);
        (void)close(fd);
        return g_string_free(answer, FALSE);
}

static G_GNUC_UNUSED gboolean shows(const Manager *manager, const char *path, const char *pattern) {
        g_autofree char *answer = get(manager, path);

        return g_pattern_match_simple(pattern, answer);
}

static G_GNUC_UNUSED void must_show(const Manager *manager, const char *path, const char *pattern) {
        g_autofree char *answer = get(manager, path);

        if (!g_pattern_match_simple(pattern, answer))
                g_error("'%s' is not in the answer to %s:\n%s", pattern, path, answer);
}

static char *log_of(const Manager *manager) {
        char *text = NULL;

        g_assert_true(g_file_get_contents(manager->log_path, &text, NULL, NULL));
        return text;
}

static G_GNUC_UNUSED guint count(const char *text, const char *word) {
        guint n = 0;

        for (const char *found = text; (found = strstr(found, word)); found++)
                n++;
        return n;
}

static G_GNUC_UNUSED gboolean log_has(const Manager *manager, const char *word) {
        g_autofree char *log = log_of(manager);

        return strstr(log, word) != NULL;
}

static G_GNUC_UNUSED void run_well(Manager *manager) {
        manager_start(manager, "well");
        wait_until(manager, manager->ready);
}
