/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * HTTP Address
 *
 * Where to listen when systemd does not hand in a socket:
 *
 *   127.0.0.1:8080   [::1]:8080   one address
 *   8080  localhost:8080          loopback, IPv4 and IPv6
 *   *:8080                        everywhere, IPv4 and IPv6
 *   /run/orders.http              a local socket
 *
 * Port 0 lets the kernel choose. Names are not resolved: that could block.
 */

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

typedef struct HttpAddress {
        struct sockaddr_storage address;
        socklen_t length;
} HttpAddress;

#define HTTP_ADDRESSES_MAX 2

/* Two are of IPv4 and IPv6, in this order. */
typedef struct HttpAddresses {
        unsigned n;
        HttpAddress addresses[HTTP_ADDRESSES_MAX];
} HttpAddresses;

/* Returns -EINVAL if @text is none of the above, -ENAMETOOLONG for a path that no socket can have.
 */
int http_address_parse(const char *text, HttpAddresses *ret);

/*
 * Binds and listens, non-blocking. A local socket that nobody listens on any more
 * (of a run that was killed) is replaced; any other file there, or a socket that
 * is served, yields -EADDRINUSE.
 */
int http_address_listen(const HttpAddress *address, int *ret_fd);

/* The path, or NULL if it is not a local socket. */
const char *http_address_path(const HttpAddress *address);
