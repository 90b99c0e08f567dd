/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * loop: what one turn of sd-event costs
 *
 *     loop N
 *
 * For context, so that the other figures can be judged: N turns with a deferred
 * source and N with an eventfd that is always readable, beside epoll_wait(2) and
 * read(2) on the same eventfd without sd-event. CPU nanoseconds a turn.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "base/fd.h"
#include "nsec.h"

#define N_MAX 10000000

static int on_defer(sd_event_source *source, void *userdata) {
        (void)source;
        (void)userdata;
        return 0;
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        uint64_t value;

        (void)source;
        (void)events;
        (void)userdata;
        return read(fd, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int turn(sd_event *event, unsigned long n, uint64_t *ret_nsec) {
        uint64_t started = now_nsec(CLOCK_THREAD_CPUTIME_ID);

        for (unsigned long i = 0; i < n; i++) {
                int r;

                r = sd_event_run(event, 0);
                if (r < 0)
                        return r;
        }

        *ret_nsec = now_nsec(CLOCK_THREAD_CPUTIME_ID) - started;
        return 0;
}

static int measure_defer(unsigned long n, uint64_t *ret_nsec) {
        sd_event_source *source = NULL;
        sd_event *event = NULL;
        int r;

        r = sd_event_new(&event);
        if (r >= 0)
                r = sd_event_add_defer(event, &source, on_defer, NULL);
        if (r >= 0)
                r = sd_event_source_set_enabled(source, SD_EVENT_ON);
        if (r >= 0)
                r = turn(event, n, ret_nsec);

        (void)sd_event_source_unref(source);
        (void)sd_event_unref(event);
        return r;
}

static int measure_io(int fd, unsigned long n, uint64_t *ret_nsec) {
        sd_event_source *source = NULL;
        sd_event *event = NULL;
        int r;

        r = sd_event_new(&event);
        if (r >= 0)
                r = sd_event_add_io(event, &source, fd, EPOLLIN, on_io, NULL);
        if (r >= 0)
                r = turn(event, n, ret_nsec);

        (void)sd_event_source_unref(source);
        (void)sd_event_unref(event);
        return r;
}

static int measure_epoll(int fd, unsigned long n, uint64_t *ret_nsec) {
        struct epoll_event event = { .events = EPOLLIN };
        uint64_t started, value;
        int epoll_fd;

        epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
                return -errno;

        started = now_nsec(CLOCK_THREAD_CPUTIME_ID);
        for (unsigned long i = 0; i < n; i++)
                if (epoll_wait(epoll_fd, &event, 1, 0) != 1 || read(fd, &value, sizeof(value)) < 0)
                        return -errno;
        *ret_nsec = now_nsec(CLOCK_THREAD_CPUTIME_ID) - started;

        (void)fd_close(epoll_fd);
        return 0;
}

int main(int argc, char *argv[]) {
        unsigned long n = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
        uint64_t defer = 0, io = 0, epoll = 0;
        int fd, r;

        if (n < 1 || n > N_MAX) {
                fprintf(stderr, "loop N\n");
                return 2;
        }

        /* A semaphore: each read(2) takes one and leaves it readable. */
        fd = eventfd((unsigned)(3 * n + 3), EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK);
        if (fd < 0)
                return 1;

        r = measure_defer(n, &defer);
        if (r >= 0)
                r = measure_io(fd, n, &io);
        if (r >= 0)
                r = measure_epoll(fd, n, &epoll);
        if (r < 0) {
                fprintf(stderr, "loop: %s\n", strerror(-r));
                return 1;
        }

        printf("{\"defer_nsec\": %.1f, \"io_nsec\": %.1f, \"epoll_nsec\": %.1f}\n",
               (double)defer / (double)n, (double)io / (double)n, (double)epoll / (double)n);
        (void)fd_close(fd);
        return 0;
}
