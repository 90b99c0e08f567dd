/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "load-connection.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macro.h"

#define STATUS_OK "HTTP/1.1 200"
#define CONTENT_LENGTH "\r\nContent-Length:"
#define CONNECTION_CLOSE "\r\nConnection: close"

static int connection_bind(Connection *connection, const LoadConfig *config, unsigned index) {
        struct sockaddr_in source = {
                .sin_family = AF_INET,
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK + index % MAX(config->n_sources, 1U)),
        };
        int fd = connection->fd, yes = 1;

        if (config->n_sources <= 1 || config->address.ss_family != AF_INET)
                return 0;

        if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof(yes)) < 0 ||
            bind(fd, (struct sockaddr *)&source, sizeof(source)) < 0)
                return -errno;
        return 0;
}

int connection_open(Connection *connection,
                    const LoadConfig *config,
                    unsigned index,
                    int epoll_fd) {
        struct epoll_event event = { .events = EPOLLIN | EPOLLOUT, .data.ptr = connection };
        int family = config->address.ss_family;
        int r;

        connection->state = CONNECTION_OPENING;
        connection->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (connection->fd < 0)
                return -errno;

        r = connection_bind(connection, config, index);
        if (r < 0)
                return r;

        if (connect(connection->fd, (const struct sockaddr *)&config->address,
                    config->address_size) < 0 &&
            errno != EINPROGRESS)
                return -errno;

        return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connection->fd, &event) < 0 ? -errno : 0;
}

int connection_opened(Connection *connection, int epoll_fd) {
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = connection };
        socklen_t size = sizeof(int);
        int error = 0;

        if (getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
                return -errno;
        if (error != 0)
                return -error;

        return epoll_ctl(epoll_fd, EPOLL_CTL_MOD, connection->fd, &event) < 0 ? -errno : 0;
}

int connection_send(Connection *connection, const char *request, size_t size) {
        ssize_t n;

        connection->received = 0;
        connection->size = 0;
        connection->closes = false;

        /* A request is smaller than any socket's buffer: it goes as a whole or not at all. */
        n = send(connection->fd, request, size, MSG_NOSIGNAL);
        if (n != (ssize_t)size)
                return n < 0 ? -errno : -EPIPE;

        connection->state = CONNECTION_WAITING;
        return 0;
}

/* Looks at what has been received so far. */
static ConnectionEvent connection_judge(Connection *connection) {
        const char *end, *length, *closes;
        size_t size;

        end = memmem(connection->answer, connection->received, "\r\n\r\n", 4);
        if (!end)
                return connection->received < LOAD_ANSWER_MAX ? CONNECTION_NOTHING
                                                              : CONNECTION_WRONG;

        length = strcasestr(connection->answer, CONTENT_LENGTH);
        if (!length || length > end ||
            strncmp(connection->answer, STATUS_OK, strlen(STATUS_OK)) != 0)
                return CONNECTION_WRONG;

        size = (size_t)(end + 4 - connection->answer) +
               strtoul(length + strlen(CONTENT_LENGTH), NULL, 10);
        if (connection->received > size)
                return CONNECTION_WRONG;
        connection->size = size;

        closes = strcasestr(connection->answer, CONNECTION_CLOSE);
        connection->closes = closes && closes < end;
        return connection->received == size ? CONNECTION_ANSWER : CONNECTION_NOTHING;
}

/* The rest of an answer whose head is there: what it says does not matter, so it is not copied. */
static ConnectionEvent connection_skip(Connection *connection) {
        ssize_t n;

        n = recv(connection->fd, NULL, connection->size - connection->received, MSG_TRUNC);
        if (n < 0 && errno == EAGAIN)
                return CONNECTION_NOTHING;
        if (n <= 0)
                return CONNECTION_END;

        connection->received += (size_t)n;
        return connection->received == connection->size ? CONNECTION_ANSWER : CONNECTION_NOTHING;
}

ConnectionEvent connection_read(Connection *connection) {
        ssize_t n;

        if (connection->state == CONNECTION_WAITING && connection->size > 0)
                return connection_skip(connection);

        n = recv(connection->fd, connection->answer + connection->received,
                 LOAD_ANSWER_MAX - connection->received, 0);
        if (n < 0 && errno == EAGAIN)
                return CONNECTION_NOTHING;
        if (n <= 0)
                return CONNECTION_END;
        if (connection->state != CONNECTION_WAITING)
                return CONNECTION_WRONG; /* nobody asked */

        connection->received += (size_t)n;
        connection->answer[connection->received] = '\0';
        return connection_judge(connection);
}

void connection_close(Connection *connection) {
        connection->fd = fd_close(connection->fd);
        connection->state = CONNECTION_FREE;
}
