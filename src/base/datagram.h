/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Datagrams to a local server
 *
 * One AF_UNIX datagram socket, opened once and kept, through which systemd (its
 * notify socket) and the journal are spoken to. It never blocks. A server that
 * went away and came back under the same address is connected to again, by the
 * send that notices it.
 */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

typedef struct Datagram {
        int fd;
        bool connected;
        struct sockaddr_un address;
        socklen_t address_length; /* 0: nobody to speak to */
} Datagram;

#define DATAGRAM_INIT                                                                              \
        { .fd = -EBADF }

/*
 * Takes an absolute path, or "@name" for the abstract namespace, and copies it.
 * Opens nothing yet. Returns 0, -EINVAL, -ENAMETOOLONG, or -EAFNOSUPPORT for
 * what is neither ("vsock:2:1234").
 */
int datagram_init(Datagram *datagram, const char *address);

/* Opens the socket and connects, which datagram_send() otherwise does. Errors as there. */
int datagram_open(Datagram *datagram);

/* Closes the socket and forgets the address. */
void datagram_done(Datagram *datagram);

/*
 * Sends @n bytes as one datagram, with a copy of @fd_to_pass unless that is
 * negative. Returns 0; -EAGAIN while the server's queue is full; -EMSGSIZE when
 * it is too long; -ENOENT, -ECONNREFUSED when there is no server; -ENOTCONN
 * without an address; or what else socket(2), connect(2) and sendmsg(2) say.
 */
int datagram_send(Datagram *datagram, const void *data, size_t n, int fd_to_pass);
