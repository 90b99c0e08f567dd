/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Load: one connection
 *
 * Free, or opening, or waiting for its answer, or (fresh) answered and waiting for
 * the server's end, so that TIME_WAIT stays on the server's side and the client
 * does not run out of ports. It knows nothing of counts and clocks.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "load.h"

typedef enum ConnectionState {
        CONNECTION_FREE, /* open or not; nothing is asked */
        CONNECTION_OPENING,
        CONNECTION_WAITING,
        CONNECTION_ANSWERED,
} ConnectionState;

typedef struct Connection {
        int fd;
        ConnectionState state;
        uint64_t sent_nsec; /* the engine's */
        bool closes;        /* the last answer said that the server will close */
        size_t received;
        size_t size; /* of the answer, once its head is there; else 0 */
        char answer[LOAD_ANSWER_MAX + 1];
} Connection;

/*
 * Begins to open. epoll says when it is open, and only then is anything sent, as
 * curl, Go, Node and wrk do it. Sending at once would work on the loopback, but
 * hide what TCP_DEFER_ACCEPT is for: the server is woken for the connection first,
 * and for the request later.
 *
 * @index says which loopback address it comes from: servers bound what one peer may have.
 */
int connection_open(Connection *connection, const LoadConfig *config, unsigned index, int epoll_fd);

/* Whether opening has worked; from now on epoll tells only of what is to be read. */
int connection_opened(Connection *connection, int epoll_fd);

int connection_send(Connection *connection, const char *request, size_t size);

typedef enum ConnectionEvent {
        CONNECTION_NOTHING, /* not yet */
        CONNECTION_ANSWER,  /* a complete one of status 200 */
        CONNECTION_WRONG,   /* another status, no HTTP, or more bytes than announced */
        CONNECTION_END,     /* closed or reset by the server */
} ConnectionEvent;

/* Reads what there is. Call again until it says NOTHING, or when epoll calls. */
ConnectionEvent connection_read(Connection *connection);

/* Also for one that is not open. */
void connection_close(Connection *connection);
