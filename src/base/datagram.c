/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <string.h>

#include "base/datagram.h"
#include "base/fd.h"
#include "base/macro.h"

int datagram_init(Datagram *datagram, const char *address) {
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        size_t length;

        assert(datagram);

        if (!address || !address[0])
                return -EINVAL;
        if (address[0] != '/' && address[0] != '@')
                return -EAFNOSUPPORT;

        /* A path needs its NUL (unix(7)); an abstract name has a NUL in front and none behind. */
        length = strlen(address);
        if (length < 2)
                return -EINVAL;
        if (length > sizeof(un.sun_path) - (address[0] == '/' ? 1 : 0))
                return -ENAMETOOLONG;

        memcpy(un.sun_path, address, length);
        if (address[0] == '@')
                un.sun_path[0] = '\0';

        *datagram = (Datagram){
                .fd = -EBADF,
                .address = un,
                .address_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length +
                                              (address[0] == '/' ? 1 : 0)),
        };
        return 0;
}

void datagram_done(Datagram *datagram) {
        assert(datagram);

        datagram->fd = fd_close(datagram->fd);
        datagram->connected = false;
        datagram->address_length = 0;
}

int datagram_open(Datagram *datagram) {
        assert(datagram);

        if (datagram->address_length == 0)
                return -ENOTCONN;
        if (datagram->fd < 0) {
                datagram->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
                if (datagram->fd < 0)
                        return -errno;
        }

        if (connect(datagram->fd, (const struct sockaddr *)&datagram->address,
                    datagram->address_length) < 0)
                return -errno;

        datagram->connected = true;
        return 0;
}

static int datagram_send_once(Datagram *datagram, const void *data, size_t n, int fd_to_pass) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = { .space = { 0 } };
        struct iovec iov = { .iov_base = (void *)data, .iov_len = n };
        struct msghdr message = { .msg_iov = &iov, .msg_iovlen = n > 0 ? 1 : 0 };
        int r;

        if (!datagram->connected) {
                r = datagram_open(datagram);
                if (r < 0)
                        return r;
        }

        if (fd_to_pass >= 0) {
                message.msg_control = &control;
                message.msg_controllen = sizeof(control);
                control.header = (struct cmsghdr){
                        .cmsg_level = SOL_SOCKET,
                        .cmsg_type = SCM_RIGHTS,
                        .cmsg_len = CMSG_LEN(sizeof(int)),
                };
                memcpy(CMSG_DATA(&control.header), &fd_to_pass, sizeof(int));
        }

        if (sendmsg(datagram->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                return -errno;

        return 0;
}

int datagram_send(Datagram *datagram, const void *data, size_t n, int fd_to_pass) {
        int r;

        assert(datagram);
        assert(data || n == 0);

        /* The first send after the server went says ECONNREFUSED, any later one ENOTCONN. The
         * address may have a new server already: connect to that, once. */
        for (int attempt = 0; attempt < 2; attempt++) {
                r = datagram_send_once(datagram, data, n, fd_to_pass);
                if (!datagram->connected ||
                    (r != -ECONNREFUSED && r != -ENOTCONN && r != -ECONNRESET))
                        return r;
                datagram->connected = false;
        }

        return r;
}
