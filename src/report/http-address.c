/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macro.h"
#include "report/http-address.h"

/* Seconds that a connection may wait in the kernel for its first byte; a request is there at once.
 */
#define DEFER_ACCEPT_SECONDS 1

static int port_parse(const char *text, uint16_t *ret) {
        unsigned port = 0;

        if (!*text)
                return -EINVAL;

        for (; *text; text++) {
                if (*text < '0' || *text > '9')
                        return -EINVAL;
                port = port * 10 + (unsigned)(*text - '0');
                if (port > UINT16_MAX)
                        return -EINVAL;
        }

        *ret = (uint16_t)port;
        return 0;
}

static void add_ipv4(HttpAddresses *addresses, struct in_addr ip, uint16_t port) {
        struct sockaddr_in in = {
                .sin_family = AF_INET,
                .sin_addr = ip,
                .sin_port = htons(port),
        };
        HttpAddress *address = &addresses->addresses[addresses->n++];

        memcpy(&address->address, &in, sizeof(in));
        address->length = sizeof(in);
}

static void add_ipv6(HttpAddresses *addresses, struct in6_addr ip, uint16_t port) {
        struct sockaddr_in6 in6 = {
                .sin6_family = AF_INET6,
                .sin6_addr = ip,
                .sin6_port = htons(port),
        };
        HttpAddress *address = &addresses->addresses[addresses->n++];

        memcpy(&address->address, &in6, sizeof(in6));
        address->length = sizeof(in6);
}

static int parse_path(const char *text, HttpAddresses *addresses) {
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        HttpAddress *address = &addresses->addresses[addresses->n++];
        size_t length = strlen(text);

        if (length >= sizeof(un.sun_path))
                return -ENAMETOOLONG;

        memcpy(un.sun_path, text, length + 1);
        memcpy(&address->address, &un, sizeof(un));
        address->length = sizeof(un);
        return 0;
}

static int parse_host(const char *host, uint16_t port, HttpAddresses *addresses) {
        struct in6_addr ip6;
        struct in_addr ip;

        if (inet_pton(AF_INET, host, &ip) == 1) {
                add_ipv4(addresses, ip, port);
                return 0;
        }
        if (host[0] == '[' && inet_pton(AF_INET6, host + 1, &ip6) == 1) {
                add_ipv6(addresses, ip6, port);
                return 0;
        }

        if (strcmp(host, "localhost") == 0) {
                add_ipv4(addresses, (struct in_addr){ htonl(INADDR_LOOPBACK) }, port);
                add_ipv6(addresses, in6addr_loopback, port);
                return 0;
        }
        if (strcmp(host, "*") == 0) {
                add_ipv4(addresses, (struct in_addr){ htonl(INADDR_ANY) }, port);
                add_ipv6(addresses, in6addr_any, port);
                return 0;
        }

        return -EINVAL;
}

int http_address_parse(const char *text, HttpAddresses *ret) {
        HttpAddresses addresses = {};
        char host[INET6_ADDRSTRLEN + 2] = "localhost";
        const char *colon;
        uint16_t port;
        int r;

        assert(text);
        assert(ret);

        colon = strrchr(text, ':');
        if (text[0] == '/') {
                r = parse_path(text, &addresses);
        } else {
                if (colon) {
                        size_t n = (size_t)(colon - text);

                        /* "[::1]" with its brackets; what is between them is inet_pton()'s. */
                        if (n == 0 || n >= sizeof(host) || (text[0] == '[') != (text[n - 1] == ']'))
                                return -EINVAL;
                        memcpy(host, text, n);
                        host[text[0] == '[' ? n - 1 : n] = '\0';
                }
                r = port_parse(colon ? colon + 1 : text, &port);
                if (r >= 0)
                        r = parse_host(host, port, &addresses);
        }
        if (r < 0)
                return r;

        *ret = addresses;
        return 0;
}

const char *http_address_path(const HttpAddress *address) {
        assert(address);

        if (address->address.ss_family != AF_UNIX)
                return NULL;

        return ((const struct sockaddr_un *)&address->address)->sun_path;
}

/* What a server that was killed has left: a socket that refuses. */
static bool path_is_stale(const HttpAddress *address) {
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        if (lstat(http_address_path(address), &st) < 0 || !S_ISSOCK(st.st_mode))
                return false;

        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return false;

        return connect(fd, (const struct sockaddr *)&address->address, address->length) < 0 &&
               errno == ECONNREFUSED;
}

static int socket_bind(int fd, const HttpAddress *address) {
        const struct sockaddr *sa = (const struct sockaddr *)&address->address;

        if (bind(fd, sa, address->length) >= 0)
                return 0;
        if (errno != EADDRINUSE || sa->sa_family != AF_UNIX || !path_is_stale(address))
                return -errno;

        if (unlink(http_address_path(address)) < 0 && errno != ENOENT)
                return -errno;

        return bind(fd, sa, address->length) < 0 ? -errno : 0;
}

static int socket_set(int fd, int level, int option, int value) {
        return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

int http_address_listen(const HttpAddress *address, int *ret_fd) {
        _cleanup_close_ int fd = -EBADF;
        int family, r;

        assert(address);
        assert(ret_fd);

        family = address->address.ss_family;
        fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;

        if (family != AF_UNIX) {
                r = socket_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
                if (r < 0)
                        return r;
                /* Without it we only see more events. */
                (void)socket_set(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, DEFER_ACCEPT_SECONDS);
        }
        if (family == AF_INET6) {
                r = socket_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
                if (r < 0)
                        return r;
        }

        r = socket_bind(fd, address);
        if (r < 0)
                return r;

        /* The kernel cuts it down to net.core.somaxconn. */
        if (listen(fd, SOMAXCONN) < 0)
                return -errno;

        *ret_fd = fd_take(&fd);
        return 0;
}
