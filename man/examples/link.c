/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <hale/hale.h>
#include <hale/link.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A line protocol at a local socket: "PING" is answered by something. */
typedef struct Queue {
        int fd;
} Queue;

static int queue_open(hale_link *link, void *userdata) {
        struct sockaddr_un at = { .sun_family = AF_UNIX,
                                  .sun_path = "/run/queue.sock" };
        Queue *queue = userdata;

        (void)link;
        queue->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (queue->fd < 0)
                return -errno;
        return connect(queue->fd, (struct sockaddr *)&at, sizeof(at)) < 0
                       ? -errno
                       : 0;
}

static int queue_check(hale_link *link, void *userdata) {
        Queue *queue = userdata;
        char answer[64];
        ssize_t n;

        if (send(queue->fd, "PING\n", 5, MSG_NOSIGNAL) < 0)
                return -errno;
        n = recv(queue->fd, answer, sizeof(answer), 0);
        return n > 0   ? 0
               : n < 0 ? -errno
                       : hale_link_down(link, "the queue has hung up");
}

static void queue_close(hale_link *link, void *userdata) {
        Queue *queue = userdata;

        (void)link;
        if (queue->fd >= 0)
                close(queue->fd);
        queue->fd = -1;
}

int main(void) {
        static const hale_link_ops ops = { .open = queue_open,
                                           .check = queue_check,
                                           .close = queue_close };
        Queue queue = { .fd = -1 };
        hale_service *service = NULL;
        hale_link *link = NULL;
        int r;

        r = hale_service_new(&service, "queue");
        if (r >= 0)
                r = hale_service_add_link(service, &link, "queue", &ops,
                                          &queue);
        if (r >= 0)
                r = hale_link_set_blocking(
                        link, 1); /* they wait for the other side */
        if (r >= 0)
                r = hale_service_run(service);

        hale_link_unref(link);
        hale_service_unref(service);
        return hale_exit_status(r);
}
