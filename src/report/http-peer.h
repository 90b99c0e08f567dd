/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * HTTP Peer
 *
 * Who is at the other end of a connection, as far as limits and the secrecy of
 * details go: on this machine or not, and which connections are of the same.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

typedef enum HttpPeerKind {
        HTTP_PEER_UNCOUNTED, /* loopback, root and ourselves: never limited */
        HTTP_PEER_INET,      /* one IPv4 address */
        HTTP_PEER_INET6,     /* one /64: whoever has one address of it has them all */
        HTTP_PEER_USER,      /* one uid on a local socket */
} HttpPeerKind;

typedef struct HttpPeer {
        uint64_t id;
        uint8_t kind;
        bool local; /* on this machine: a local socket or a loopback address */
} HttpPeer;

HttpPeer http_peer_from_address(const struct sockaddr *address, socklen_t length);

/* Of a connected local socket. */
HttpPeer http_peer_from_local_socket(int fd);

static inline bool http_peer_equal(const HttpPeer *a, const HttpPeer *b) {
        return a->kind == b->kind && a->id == b->id;
}

/*
 * How many connections each peer has, roughly: peers that share a row count
 * together. The exact number need be counted out only if the rough one is above
 * the limit.
 */
#define HTTP_PEER_ROWS 256

typedef struct HttpPeerCensus {
        uint16_t rows[HTTP_PEER_ROWS];
} HttpPeerCensus;

/* Both return the rough number afterwards; 0 for those not counted. */
unsigned http_peer_census_add(HttpPeerCensus *census, const HttpPeer *peer);
unsigned http_peer_census_drop(HttpPeerCensus *census, const HttpPeer *peer);
