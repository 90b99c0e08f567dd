/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Real Servers for Tests
 *
 * Starts a server of a Debian package in a folder of its own, as a child of the test
 * that dies with it, and as an unprivileged user if it insists; stops, kills, pauses
 * and restarts it. Says also how to be a server that does not behave. Defines its
 * functions, because each test is one program of one file.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct Server {
        char *folder;
        guint16 port;
        GPid pid; /* 0: does not run */
        char **command;
        const char *user; /* NULL: this one */
} Server;

/* Ends this test program as skipped, in TAP's words. */
G_GNUC_UNUSED static int skip_all(const char *reason) {
        g_print("1..0 # SKIP %s\n", reason);
        return 77;
}

G_GNUC_UNUSED static void server_init(Server *server, const char *user) {
        *server = (Server){
                .folder = g_dir_make_tmp("hale-XXXXXX", NULL),
                .user = geteuid() == 0 ? user : NULL,
        };
        g_assert_nonnull(server->folder);
}

static void before_exec(gpointer data) {
        sigset_t none;

        (void)data;

        /* The service under test has blocked the signals that it handles. */
        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* With setpriv(1) before it, if another user is to run it. */
static char **server_argv(const Server *server, const char *const *command) {
        GStrvBuilder *builder = g_strv_builder_new();
        char **argv;

        if (server->user) {
                const struct passwd *entry = getpwnam(server->user);
                char *uid, *gid;

                g_assert_nonnull(entry);
                uid = g_strdup_printf("--reuid=%u", entry->pw_uid);
                gid = g_strdup_printf("--regid=%u", entry->pw_gid);

                g_strv_builder_add_many(builder, "setpriv", uid, gid, "--clear-groups",
                                        "--pdeathsig=KILL", "--", NULL);
                g_free(uid);
                g_free(gid);
        }
        g_strv_builder_addv(builder, (const char **)(uintptr_t)command);
        argv = g_strv_builder_end(builder);
        g_strv_builder_unref(builder);
        return argv;
}

/* Runs @command to its end; it must succeed. */
G_GNUC_UNUSED static void server_run(const Server *server, const char *const *command) {
        char **argv = server_argv(server, command), *output = NULL, *errors = NULL;
        GError *error = NULL;
        int status;

        if (!g_spawn_sync(server->folder, argv, NULL, G_SPAWN_SEARCH_PATH, before_exec, NULL,
                          &output, &errors, &status, &error))
                g_error("cannot run %s: %s", command[0], error->message);
        if (!g_spawn_check_wait_status(status, NULL))
                g_error("%s failed: %s%s", command[0], output, errors);
        g_free(output);
        g_free(errors);
        g_strfreev(argv);
}

G_GNUC_UNUSED static void server_start(Server *server) {
        char **argv = server_argv(server, (const char *const *)server->command);
        char *log = g_build_filename(server->folder, "log", NULL);
        GError *error = NULL;
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);

        g_assert_cmpint(server->pid, ==, 0);
        g_assert_cmpint(fd, >=, 0);
        if (!g_spawn_async_with_fds(server->folder, argv, NULL,
                                    G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD, before_exec,
                                    NULL, &server->pid, -1, fd, fd, &error))
                g_error("cannot start %s: %s", server->command[0], error->message);
        (void)close(fd);
        g_free(log);
        g_strfreev(argv);
}

/* Waits for the server's end, at most so long; says whether it came. Not to be called by two
 * threads for the same server. */
G_GNUC_UNUSED static gboolean server_ended(const Server *server, int msec) {
        struct pollfd pollfd = { .events = POLLIN };
        int r;

        pollfd.fd = (int)syscall(SYS_pidfd_open, server->pid, 0);
        g_assert_cmpint(pollfd.fd, >=, 0);
        r = poll(&pollfd, 1, msec);
        (void)close(pollfd.fd);
        return r > 0;
}

/* Sends @signal and waits for the end, which SIGKILL brings about if nothing else does. */
G_GNUC_UNUSED static void server_end(Server *server, int signal) {
        if (server->pid == 0)
                return;

        (void)kill(server->pid, signal);
        (void)kill(server->pid, SIGCONT);
        if (!server_ended(server, 10000))
                (void)kill(server->pid, SIGKILL);
        (void)waitpid(server->pid, NULL, 0);
        server->pid = 0;
}

static void remove_below(const char *path) {
        GDir *dir = g_dir_open(path, 0, NULL);
        const char *name;

        while (dir && (name = g_dir_read_name(dir))) {
                char *child = g_build_filename(path, name, NULL);

                if (g_file_test(child, G_FILE_TEST_IS_DIR) &&
                    !g_file_test(child, G_FILE_TEST_IS_SYMLINK))
                        remove_below(child);
                else
                        (void)g_unlink(child);
                g_free(child);
        }
        if (dir)
                g_dir_close(dir);
        (void)g_rmdir(path);
}

G_GNUC_UNUSED static void server_done(Server *server) {
        server_end(server, SIGKILL);
        remove_below(server->folder);
        g_strfreev(server->command);
        g_free(server->folder);
}

/* A listening socket on a free port of 127.0.0.1. */
G_GNUC_UNUSED static int listen_somewhere(guint16 *ret_port, int backlog) {
        struct sockaddr_in in = {
                .sin_family = AF_INET,
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                .sin_port = htons(*ret_port),
        };
        socklen_t size = sizeof(in);
        int fd, one = 1;

        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        g_assert_cmpint(fd, >=, 0);
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        g_assert_cmpint(bind(fd, (struct sockaddr *)&in, sizeof(in)), ==, 0);
        g_assert_cmpint(listen(fd, backlog), ==, 0);
        g_assert_cmpint(getsockname(fd, (struct sockaddr *)&in, &size), ==, 0);
        *ret_port = ntohs(in.sin_port);
        return fd;
}

/* A port on which nobody listens. */
G_GNUC_UNUSED static guint16 free_port(void) {
        guint16 port = 0;

        (void)close(listen_somewhere(&port, 1));
        return port;
}

/*
 * A server that is a black hole: its queue of connections is full, so that the kernel
 * drops what else comes. @fds are the ones that fill it.
 */
G_GNUC_UNUSED static int listen_full(guint16 *ret_port, int fds[static 8]) {
        int fd = listen_somewhere(ret_port, 0);
        struct sockaddr_in in = {
                .sin_family = AF_INET,
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                .sin_port = htons(*ret_port),
        };

        for (guint i = 0; i < 8; i++) {
                fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                g_assert_cmpint(fds[i], >=, 0);
                (void)connect(fds[i], (struct sockaddr *)&in, sizeof(in));
        }
        return fd;
}

/* A server that takes each connection and says @text, or nothing; ends with its socket. */
typedef struct Babbler {
        int fd;
        guint16 port;
        const char *text;
        GThread *thread;
        gint n_accepted;
} Babbler;

static gpointer babbler_main(gpointer data) {
        Babbler *self = data;
        GArray *clients = g_array_new(FALSE, FALSE, sizeof(int));
        int client;

        while ((client = accept4(self->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
                g_atomic_int_inc(&self->n_accepted);
                g_array_append_val(clients, client);
                if (self->text)
                        (void)send(client, self->text, strlen(self->text), MSG_NOSIGNAL);
        }
        for (guint i = 0; i < clients->len; i++)
                (void)close(g_array_index(clients, int, i));
        g_array_unref(clients);
        return NULL;
}

G_GNUC_UNUSED static void babbler_start(Babbler *self, const char *text) {
        *self = (Babbler){ .text = text };
        self->fd = listen_somewhere(&self->port, 16);
        self->thread = g_thread_new("babbler", babbler_main, self);
}

G_GNUC_UNUSED static void babbler_stop(Babbler *self) {
        (void)shutdown(self->fd, SHUT_RDWR);
        g_thread_join(self->thread);
        (void)close(self->fd);
}

/* Catches what is written to stderr, where messages go without a journal. */
typedef struct Capture {
        int saved, fd;
        char *path;
} Capture;

G_GNUC_UNUSED static void capture_start(Capture *capture) {
        capture->fd = g_file_open_tmp("hale-XXXXXX", &capture->path, NULL);
        g_assert_cmpint(capture->fd, >=, 0);
        capture->saved = dup(STDERR_FILENO);
        g_assert_cmpint(dup2(capture->fd, STDERR_FILENO), ==, STDERR_FILENO);
}

/* How many lines have @text so far. */
G_GNUC_UNUSED static guint capture_count(Capture *capture, const char *text) {
        char *all = NULL, **lines;
        guint n = 0;

        g_assert_true(g_file_get_contents(capture->path, &all, NULL, NULL));
        lines = g_strsplit(all, "\n", -1);
        for (char **line = lines; *line; line++)
                n += strstr(*line, text) != NULL;
        g_strfreev(lines);
        g_free(all);
        return n;
}

/* What came goes to where it would have gone. */
G_GNUC_UNUSED static void capture_stop(Capture *capture) {
        char *all = NULL;

        (void)dup2(capture->saved, STDERR_FILENO);
        (void)close(capture->saved);
        (void)close(capture->fd);
        if (g_file_get_contents(capture->path, &all, NULL, NULL))
                g_printerr("%s", all);
        (void)g_unlink(capture->path);
        g_free(all);
        g_free(capture->path);
}
