/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * start: how long programs take from exec to READY=1
 *
 *     start RUNS PROGRAM [ARG...] [--- PROGRAM [ARG...]]...
 *
 * Plays the manager: starts each program in turn, RUNS times round, with
 * $NOTIFY_SOCKET, a watchdog and a listening socket called "http", stops the clock
 * when READY=1 arrives, and ends it with SIGTERM. Prints one JSON array of
 * milliseconds a program.
 */

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macro.h"
#include "nsec.h"

#define PROGRAMS_MAX 8
#define RUNS_MAX 1000
#define READY_LIMIT_MSEC 5000
#define STOP_LIMIT_MSEC 5000
#define LISTEN_FD 3
#define ENVIRONMENT_MAX 256

typedef struct Manager {
        char folder[32];
        char notify_path[64];
        int notify_fd, listen_fd;
        char *programs[PROGRAMS_MAX][64];
        unsigned n_programs;
        char *environment[ENVIRONMENT_MAX];
        char notify_variable[96], pid_variable[32];
} Manager;

static int manager_listen(Manager *manager) {
        struct sockaddr_in address = {
                .sin_family = AF_INET,
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };

        _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0)
                return -errno;

        /* Out of the way of LISTEN_FD: dup2(2) of a descriptor to itself leaves it close-on-exec.
         */
        manager->listen_fd = fcntl(fd, F_DUPFD_CLOEXEC, LISTEN_FD + 1);
        if (manager->listen_fd < 0 ||
            bind(manager->listen_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            listen(manager->listen_fd, SOMAXCONN) < 0)
                return -errno;
        return 0;
}

static int manager_bind_notify(Manager *manager) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        (void)snprintf(manager->folder, sizeof(manager->folder), "/tmp/hale-bench-XXXXXX");
        if (!mkdtemp(manager->folder))
                return -errno;

        (void)snprintf(manager->notify_path, sizeof(manager->notify_path), "%s/notify",
                       manager->folder);
        memcpy(address.sun_path, manager->notify_path, strlen(manager->notify_path) + 1);
        manager->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (manager->notify_fd < 0 ||
            bind(manager->notify_fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return -errno;
        return 0;
}

/* Ours, without what a manager of our own may have given us, and with what a manager gives. */
static int manager_fill_environment(Manager *manager) {
        static char fds[] = "LISTEN_FDS=1", names[] = "LISTEN_FDNAMES=http";
        static char watchdog[] = "WATCHDOG_USEC=30000000";
        unsigned n = 0;

        (void)snprintf(manager->notify_variable, sizeof(manager->notify_variable),
                       "NOTIFY_SOCKET=%s", manager->notify_path);
        manager->environment[n++] = fds;
        manager->environment[n++] = names;
        manager->environment[n++] = watchdog;
        manager->environment[n++] = manager->notify_variable;
        manager->environment[n++] = manager->pid_variable;

        for (char **variable = environ; *variable; variable++) {
                if (strncmp(*variable, "LISTEN_", 7) == 0 ||
                    strncmp(*variable, "WATCHDOG_", 9) == 0 ||
                    strncmp(*variable, "NOTIFY_SOCKET=", 14) == 0)
                        continue;
                if (n + 1 >= ENVIRONMENT_MAX)
                        return -E2BIG;
                manager->environment[n++] = *variable;
        }
        return 0;
}

/*
 * vfork(2), because it costs the least and lets the child write its own pid
 * where execve(2) then finds it: LISTEN_PID= must name the process itself.
 */
static pid_t __attribute__((noinline)) spawn(Manager *manager, char **args) {
        pid_t pid;

        pid = vfork();
        if (pid != 0)
                return pid;

        (void)snprintf(manager->pid_variable, sizeof(manager->pid_variable), "LISTEN_PID=%d",
                       (int)getpid());
        (void)dup2(manager->listen_fd, LISTEN_FD);
        (void)execve(args[0], args, manager->environment);
        _exit(127);
}

static bool is_ready(const char *message) {
        for (const char *line = message; line; line = strchr(line, '\n')) {
                line += *line == '\n';
                if (strncmp(line, "READY=1", 7) == 0 && (line[7] == '\n' || line[7] == '\0'))
                        return true;
        }
        return false;
}

/* Returns the time at which READY=1 came, or 0. */
static uint64_t wait_ready(int fd) {
        struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

        while (poll(&poll_fd, 1, READY_LIMIT_MSEC) > 0) {
                uint64_t now = now_nsec(CLOCK_MONOTONIC);
                char message[4096];
                ssize_t n;

                n = recv(fd, message, sizeof(message) - 1, 0);
                if (n < 0)
                        return 0;
                message[n] = '\0';
                if (is_ready(message))
                        return now;
        }
        return 0;
}

/* Ends the program and takes its last messages out of the socket. */
static void finish(Manager *manager, pid_t pid) {
        struct pollfd poll_fd = { .events = POLLIN };
        char message[4096];

        poll_fd.fd = (int)syscall(SYS_pidfd_open, pid, 0);
        (void)kill(pid, SIGTERM);
        if (poll_fd.fd < 0 || poll(&poll_fd, 1, STOP_LIMIT_MSEC) <= 0)
                (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        (void)fd_close(poll_fd.fd);

        while (recv(manager->notify_fd, message, sizeof(message), MSG_DONTWAIT) >= 0)
                continue;
}

static int measure(Manager *manager, char **args, uint64_t *ret_nsec) {
        uint64_t started, ready;
        pid_t pid;

        started = now_nsec(CLOCK_MONOTONIC);
        pid = spawn(manager, args);
        if (pid < 0)
                return -errno;

        ready = wait_ready(manager->notify_fd);
        finish(manager, pid);
        if (ready == 0) {
                fprintf(stderr, "start: '%s' sent no READY=1\n", args[0]);
                return -ETIMEDOUT;
        }

        *ret_nsec = ready - started;
        return 0;
}

static void print_times(uint64_t times[PROGRAMS_MAX][RUNS_MAX], unsigned n, unsigned n_runs) {
        for (unsigned i = 0; i < n; i++) {
                fputs(i == 0 ? "[[" : "], [", stdout);
                for (unsigned run = 0; run < n_runs; run++)
                        printf("%s%.4f", run == 0 ? "" : ", ", (double)times[i][run] / 1e6);
        }
        puts("]]");
}

static int measure_all(Manager *manager, unsigned n_runs) {
        static uint64_t times[PROGRAMS_MAX][RUNS_MAX];
        uint64_t unused;
        int r;

        for (unsigned i = 0; i < manager->n_programs; i++) {
                r = measure(manager, manager->programs[i], &unused); /* warms the page cache */
                if (r < 0)
                        return r;
        }

        for (unsigned run = 0; run < n_runs; run++)
                for (unsigned i = 0; i < manager->n_programs; i++) {
                        r = measure(manager, manager->programs[i], &times[i][run]);
                        if (r < 0)
                                return r;
                }

        print_times(times, manager->n_programs, n_runs);
        return 0;
}

static int parse_programs(Manager *manager, char *argv[]) {
        unsigned n_args = 0;

        for (char **arg = argv; *arg; arg++) {
                if (strcmp(*arg, "---") == 0) {
                        if (n_args > 0)
                                manager->n_programs++;
                        n_args = 0;
                        continue;
                }
                if (manager->n_programs >= PROGRAMS_MAX ||
                    n_args + 1 >= ELEMENTSOF(manager->programs[0]))
                        return -E2BIG;
                manager->programs[manager->n_programs][n_args++] = *arg;
        }
        if (n_args > 0)
                manager->n_programs++;
        return manager->n_programs > 0 ? 0 : -EINVAL;
}

static void manager_done(Manager *manager) {
        (void)fd_close(manager->notify_fd);
        (void)fd_close(manager->listen_fd);
        (void)unlink(manager->notify_path);
        (void)rmdir(manager->folder);
}

int main(int argc, char *argv[]) {
        static Manager manager = { .notify_fd = -EBADF, .listen_fd = -EBADF };
        long n_runs = argc > 2 ? strtol(argv[1], NULL, 10) : 0;
        int r;

        if (n_runs < 1 || n_runs > RUNS_MAX || parse_programs(&manager, argv + 2) < 0) {
                fprintf(stderr, "start RUNS PROGRAM [ARG...] [--- PROGRAM [ARG...]]...\n");
                return 2;
        }

        r = manager_listen(&manager);
        if (r >= 0)
                r = manager_bind_notify(&manager);
        if (r >= 0)
                r = manager_fill_environment(&manager);
        if (r >= 0)
                r = measure_all(&manager, (unsigned)n_runs);
        if (r < 0)
                fprintf(stderr, "start: %s\n", strerror(-r));

        manager_done(&manager);
        return r < 0;
}
