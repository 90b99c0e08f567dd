/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Reference: the bare epoll responder
 *
 * One thread, one epoll, one answer that never changes, no parser: each read is
 * taken for one request. Nothing on the plain socket interface answers HTTP for
 * less, so it is the limit that libhale's responder is measured against.
 *
 * Serves the listening socket that it finds as descriptor 3, as a socket unit
 * passes it. With --close each connection gets one answer and is closed; with
 * --eager it is read at once after accept(2), which pays under TCP_DEFER_ACCEPT.
 * With --body N the answer is N bytes long, for what the copying of a long one costs.
 */

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define LISTEN_FD 3
#define EVENTS_MAX 512

#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n"

static const char answer_keep[] = HEAD "\r\nok";
static const char answer_close[] = HEAD "Connection: close\r\n\r\nok";

static bool arg_close = false;
static bool arg_eager = false;

/* --body: the answer, and its length; connections block then until all of it is taken. */
static char *long_answer = NULL;
static size_t long_size = 0;

/* Returns false if the connection is not open any more. */
static bool serve(int fd) {
        const char *answer = arg_close ? answer_close : answer_keep;
        size_t size = arg_close ? sizeof(answer_close) - 1 : sizeof(answer_keep) - 1;
        char buffer[4096];
        ssize_t n;

        if (long_answer) {
                answer = long_answer;
                size = long_size;
        }

        n = read(fd, buffer, sizeof(buffer));
        if (n < 0 && errno == EAGAIN)
                return true;
        if (n > 0)
                n = write(fd, answer, size);
        if (n > 0 && !arg_close)
                return true;

        (void)close(fd);
        return false;
}

static void accept_all(int epoll_fd) {
        for (;;) {
                struct epoll_event event = { .events = EPOLLIN };
                int fd;

                fd = accept4(LISTEN_FD, NULL, NULL,
                             SOCK_CLOEXEC | (long_answer ? 0 : SOCK_NONBLOCK));
                if (fd < 0)
                        return;
                if (arg_eager && arg_close && !serve(fd))
                        continue;

                event.data.fd = fd;
                if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
                        (void)close(fd);
        }
}

static int loop(int epoll_fd) {
        struct epoll_event events[EVENTS_MAX];

        for (;;) {
                int n;

                n = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);
                if (n < 0 && errno != EINTR)
                        return -errno;

                for (int i = 0; i < n; i++)
                        if (events[i].data.fd == LISTEN_FD)
                                accept_all(epoll_fd);
                        else
                                (void)serve(events[i].data.fd);
        }
}

static int make_long_answer(size_t length) {
        char head[128];
        int n;

        n = snprintf(head, sizeof(head),
                     "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n",
                     length);
        long_size = (size_t)n + length;
        long_answer = malloc(long_size);
        if (!long_answer)
                return -ENOMEM;

        memcpy(long_answer, head, (size_t)n);
        memset(long_answer + n, 'x', length);
        return 0;
}

int main(int argc, char *argv[]) {
        struct epoll_event event = { .events = EPOLLIN, .data.fd = LISTEN_FD };
        int epoll_fd;

        for (int i = 1; i < argc; i++) {
                arg_close = arg_close || strcmp(argv[i], "--close") == 0;
                arg_eager = arg_eager || strcmp(argv[i], "--eager") == 0;
                if (strcmp(argv[i], "--body") == 0 && i + 1 < argc &&
                    make_long_answer(strtoul(argv[++i], NULL, 10)) < 0)
                        return 1;
        }

        epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, LISTEN_FD, &event) < 0) {
                fprintf(stderr, "Descriptor 3 must be a listening socket: %m\n");
                return 1;
        }

        return loop(epoll_fd) < 0;
}
