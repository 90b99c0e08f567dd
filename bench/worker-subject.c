/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "worker-subject.h"

#include <errno.h>
#include <fcntl.h>
#include <hale/hale.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* The first word comes after a gigabyte of page faults. */
#define HEAR_LIMIT_MSEC 20000

static uint64_t begun_nsec;

static int work(hale_worker *worker, void *userdata) {
        (void)userdata;
        word_say(STDOUT_FILENO, begun_nsec, 0);
        while (!hale_worker_should_stop(worker))
                (void)pause();
        return 0;
}

/* Beats every 5 ms for a while, says when it did the last time, and does no more. */
static int work_and_hang(hale_worker *worker, void *userdata) {
        struct pollfd stop = { .fd = hale_worker_get_stop_fd(worker), .events = POLLIN };

        (void)userdata;
        word_say(STDOUT_FILENO, begun_nsec, 0);
        for (unsigned i = 0; i < 20; i++) {
                (void)hale_worker_beat(worker);
                (void)poll(&stop, 1, 5);
        }
        (void)hale_worker_beat(worker);
        word_say(STDOUT_FILENO, begun_nsec, now_nsec(CLOCK_MONOTONIC));
        for (;;)
                (void)pause();
        return 0;
}

/* In pages of 4 KiB: those that a fork(2) would have to copy the tables of. */
static int fill_heap(unsigned long mib) {
        char *heap;

        if (mib == 0)
                return 0;

        heap = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (heap == MAP_FAILED)
                return -errno;

        (void)madvise(heap, mib << 20, MADV_NOHUGEPAGE);
        memset(heap, 1, mib << 20);
        return 0;
}

static int serve(unsigned long mib, int spare, int hung) {
        hale_service *service;
        hale_worker *worker;
        int r;

        r = hale_service_new(&service, "bench");
        if (r >= 0)
                r = hale_service_add_worker(service, &worker, "worker", hung ? work_and_hang : work,
                                            NULL);
        /* Not what a service would choose: the waits between restarts are not measured here. */
        if (r >= 0)
                r = hale_worker_set_backoff_usec(worker, 1, 1);
        if (r >= 0)
                r = hale_worker_set_intensity(worker, 64, 1000000);
        if (r >= 0)
                r = hale_worker_set_spare(worker, spare);
        if (r >= 0 && hung)
                r = hale_worker_set_heartbeat_usec(worker, 20000);
        if (r >= 0 && !hale_service_is_worker(service))
                r = fill_heap(mib);
        if (r >= 0)
                r = hale_service_run(service);
        return hale_exit_status(r);
}

/* The floor: nothing but waitpid(2) and fork(2). */
static int serve_fork(void) {
        for (;;) {
                pid_t pid = fork();

                if (pid < 0)
                        return EXIT_FAILURE;
                if (pid == 0) {
                        word_say(STDOUT_FILENO, now_nsec(CLOCK_MONOTONIC), 0);
                        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                        for (;;)
                                (void)pause();
                }
                (void)waitpid(pid, NULL, 0);
        }
}

/* What an exec costs: nothing but waitpid(2) and posix_spawn(3). */
static int serve_spawn(char *program) {
        char *arguments[] = { program, NULL };

        for (;;) {
                pid_t pid;

                if (posix_spawn(&pid, program, NULL, NULL, arguments, environ) != 0)
                        return EXIT_FAILURE;
                (void)waitpid(pid, NULL, 0);
        }
}

int subject_main(uint64_t main_nsec, char *argv[]) {
        begun_nsec = main_nsec;
        if (!argv[0] || !argv[1])
                return -1;
        if (strcmp(argv[1], "serve") == 0 && argv[2] && argv[3])
                return serve(strtoul(argv[2], NULL, 10), strchr(argv[3], 's') != NULL,
                             strchr(argv[3], 'h') != NULL);
        if (strcmp(argv[1], "fork") == 0)
                return serve_fork();
        if (strcmp(argv[1], "spawn") == 0 && argv[2])
                return serve_spawn(argv[2]);
        return -1;
}

int subject_start(Subject *subject, char *const arguments[]) {
        int fds[2];

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;

        *subject = (Subject){ .pid = fork(), .fd = fds[0], .arguments = arguments };
        if (subject->pid == 0) {
                int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

                (void)setpgid(0, 0);
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* however the bench ends */
                (void)dup2(fds[1], STDOUT_FILENO);
                (void)dup2(null, STDERR_FILENO);
                (void)execv("/proc/self/exe", arguments);
                _exit(127);
        }

        (void)close(fds[1]);
        if (subject->pid > 0)
                return 0;

        (void)close(subject->fd);
        return -EAGAIN;
}

/* Its group: the references' children are in it, and hale's die with their service. */
void subject_stop(Subject *subject) {
        if (subject->pid <= 0)
                return;

        (void)kill(-subject->pid, SIGKILL);
        (void)waitpid(subject->pid, NULL, 0);
        (void)close(subject->fd);
        subject->pid = 0;
}

int subject_hear(const Subject *subject, Word *ret) {
        struct pollfd words = { .fd = subject->fd, .events = POLLIN };

        if (poll(&words, 1, HEAR_LIMIT_MSEC) <= 0)
                return -ETIMEDOUT;
        return read(subject->fd, ret, sizeof(*ret)) == (ssize_t)sizeof(*ret) ? 0 : -EPIPE;
}

unsigned long subject_resident_mib(const Subject *subject) {
        unsigned long pages = 0;
        char path[32];
        FILE *file;

        (void)snprintf(path, sizeof(path), "/proc/%d/statm", (int)subject->pid);
        file = fopen(path, "re");
        if (!file)
                return 0;

        if (fscanf(file, "%*u %lu", &pages) != 1)
                pages = 0;
        (void)fclose(file);
        return pages * (unsigned long)sysconf(_SC_PAGESIZE) >> 20;
}
