/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/macro.h"
#include "report/http-peer.h"

static_assert(HTTP_CONNECTIONS_MAX < UINT16_MAX, "a row of the census counts in 16 bits");

static HttpPeer peer_from_ipv4(uint32_t address) {
        bool loopback = address >> 24 == IN_LOOPBACKNET;

        return (HttpPeer){ .id = address,
                           .kind = loopback ? HTTP_PEER_UNCOUNTED : HTTP_PEER_INET,
                           .local = loopback };
}

static HttpPeer peer_from_ipv6(const struct in6_addr *address) {
        bool loopback = IN6_IS_ADDR_LOOPBACK(address);
        HttpPeer peer = { .kind = loopback ? HTTP_PEER_UNCOUNTED : HTTP_PEER_INET6,
                          .local = loopback };
        uint32_t mapped;

        if (IN6_IS_ADDR_V4MAPPED(address)) {
                memcpy(&mapped, address->s6_addr + 12, sizeof(mapped));
                return peer_from_ipv4(ntohl(mapped));
        }

        memcpy(&peer.id, address->s6_addr, sizeof(peer.id));
        return peer;
}

/* An address is copied out: the caller's buffer need not be aligned for its kind. */
HttpPeer http_peer_from_address(const struct sockaddr *address, socklen_t length) {
        struct sockaddr_in in;
        struct sockaddr_in6 in6;

        assert(address);

        if (length >= sizeof(in) && address->sa_family == AF_INET) {
                memcpy(&in, address, sizeof(in));
                return peer_from_ipv4(ntohl(in.sin_addr.s_addr));
        }
        if (length >= sizeof(in6) && address->sa_family == AF_INET6) {
                memcpy(&in6, address, sizeof(in6));
                return peer_from_ipv6(&in6.sin6_addr);
        }

        /* Not known: a stranger, all of whom count together. */
        return (HttpPeer){ .kind = HTTP_PEER_INET };
}

HttpPeer http_peer_from_local_socket(int fd) {
        HttpPeer peer = { .id = UINT64_MAX, .kind = HTTP_PEER_USER, .local = true };
        struct ucred credentials;
        socklen_t length = sizeof(credentials);

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0)
                return peer;

        peer.id = credentials.uid;
        if (credentials.uid == 0 || credentials.uid == geteuid())
                peer.kind = HTTP_PEER_UNCOUNTED;
        return peer;
}

/* Fibonacci hashing: the high bits of the product are the well mixed ones. */
static uint16_t *census_row(HttpPeerCensus *census, const HttpPeer *peer) {
        uint64_t mixed = (peer->id + peer->kind) * UINT64_C(0x9e3779b97f4a7c15);

        return &census->rows[mixed >> 56];
}

static_assert(HTTP_PEER_ROWS == 1 << 8, "a row is chosen by eight bits");

unsigned http_peer_census_add(HttpPeerCensus *census, const HttpPeer *peer) {
        assert(census);
        assert(peer);

        if (peer->kind == HTTP_PEER_UNCOUNTED)
                return 0;

        uint16_t *row = census_row(census, peer);
        assert(*row < UINT16_MAX);
        return ++*row;
}

unsigned http_peer_census_drop(HttpPeerCensus *census, const HttpPeer *peer) {
        assert(census);
        assert(peer);

        if (peer->kind == HTTP_PEER_UNCOUNTED)
                return 0;

        uint16_t *row = census_row(census, peer);
        assert(*row > 0);
        return --*row;
}
