/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Datagram Fixture
 *
 * The other end of a datagram socket, as systemd and the journal have it: in a
 * folder of its own, non-blocking, with the kernel's own small queue.
 */

#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

typedef struct Receiver {
        char *folder;
        char *path;
        int fd;
        int passed_fd; /* that came with the last datagram, or -1 */
} Receiver;

static inline void receiver_open(Receiver *receiver) {
        struct sockaddr_un un = { .sun_family = AF_UNIX };

        g_assert_cmpuint(strlen(receiver->path), <, sizeof(un.sun_path));
        memcpy(un.sun_path, receiver->path, strlen(receiver->path));
        (void)unlink(receiver->path);

        receiver->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        g_assert_cmpint(receiver->fd, >=, 0);
        g_assert_cmpint(bind(receiver->fd, (struct sockaddr *)&un, sizeof(un)), ==, 0);
}

static inline void receiver_init(Receiver *receiver) {
        receiver->folder = g_dir_make_tmp("hale-XXXXXX", NULL);
        g_assert_nonnull(receiver->folder);
        receiver->path = g_build_filename(receiver->folder, "socket", NULL);
        receiver->passed_fd = -1;
        receiver_open(receiver);
}

/* As a server that was killed: the path is left behind. */
static inline void receiver_close(Receiver *receiver) {
        if (receiver->fd >= 0)
                (void)close(receiver->fd);
        receiver->fd = -1;
}

static inline void receiver_done(Receiver *receiver) {
        receiver_close(receiver);
        if (receiver->passed_fd >= 0)
                (void)close(receiver->passed_fd);
        (void)unlink(receiver->path);
        (void)g_rmdir(receiver->folder);
        g_free(receiver->path);
        g_free(receiver->folder);
}

/* The next datagram, terminated, with its length in @ret_n; NULL if there is none. */
static inline char *receiver_take(Receiver *receiver, gsize *ret_n) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control;
        g_autofree char *buffer = g_malloc(1024 * 1024);
        struct iovec iov = { .iov_base = buffer, .iov_len = 1024 * 1024 - 1 };
        struct msghdr message = { .msg_iov = &iov,
                                  .msg_iovlen = 1,
                                  .msg_control = &control,
                                  .msg_controllen = sizeof(control) };
        ssize_t n = recvmsg(receiver->fd, &message, MSG_CMSG_CLOEXEC);
        struct cmsghdr *header;

        if (n < 0) {
                g_assert_cmpint(errno, ==, EAGAIN);
                return NULL;
        }

        if (receiver->passed_fd >= 0)
                (void)close(receiver->passed_fd);
        receiver->passed_fd = -1;
        header = CMSG_FIRSTHDR(&message);
        if (header && header->cmsg_type == SCM_RIGHTS)
                memcpy(&receiver->passed_fd, CMSG_DATA(header), sizeof(int));

        buffer[n] = '\0';
        if (ret_n)
                *ret_n = (gsize)n;
        return g_realloc(g_steal_pointer(&buffer), (gsize)n + 1);
}

/* The next datagram must be this one. */
static inline void receiver_expect(Receiver *receiver, const char *expected) {
        g_autofree char *datagram = receiver_take(receiver, NULL);

        g_assert_cmpstr(datagram, ==, expected);
}

/* Sends through a socket of its own until the receiver's queue is full. */
static inline guint receiver_fill(Receiver *receiver) {
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        guint n = 0;

        memcpy(un.sun_path, receiver->path, strlen(receiver->path));
        g_assert_cmpint(connect(fd, (struct sockaddr *)&un, sizeof(un)), ==, 0);
        while (send(fd, "full", 4, 0) == 4)
                n++;
        g_assert_cmpint(errno, ==, EAGAIN);
        g_assert_cmpuint(n, >, 0);
        (void)close(fd);
        return n;
}

/* Takes what receiver_fill() put in. */
static inline void receiver_drain(Receiver *receiver, guint n) {
        for (guint i = 0; i < n; i++)
                receiver_expect(receiver, "full");
}
