/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * HTTP Connection
 *
 * One client: its socket, what came of its next request, and what it was not yet
 * able to take of its replies. While it is idle it holds neither.
 *
 * http-connection.c keeps it: lists, deadlines, epoll, the end. http-exchange.c
 * talks: reads, answers, sends.
 */

#include "report/http-server.h"

/* What an event of the epoll points to: the first member of both. */
typedef enum HttpSourceKind {
        HTTP_SOURCE_LISTENER,
        HTTP_SOURCE_CONNECTION,
} HttpSourceKind;

struct HttpConnection {
        HttpSourceKind kind;
        HttpConnectionState state;
        HttpServer *server; /* weak */
        TAILQ_ENTRY(HttpConnection) link;
        uint64_t since_usec; /* when the state was entered, or the last request answered in it */
        HttpPeer peer;
        int fd;
        uint32_t events; /* what the epoll watches for; 0: not in there */

        bool closing;  /* no further request is answered */
        bool linger;   /* the client may be talking still when we close */
        bool last;     /* being sent away: closed at the end of this turn, whatever happens */
        bool reserved; /* lives on the server's reserved descriptor */
        unsigned n_requests;
        unsigned n_requests_since; /* of these, answered when @since_usec was set */
        size_t n_drained;          /* bytes thrown away while lingering */

        HttpParser parser;
        HttpOutput *output; /* NULL: nothing waits to be sent */
        char *input;        /* NULL: nothing waits to be read on */
        size_t input_length;
};

/* Takes over @fd, and answers what is already there. On failure the client is gone. */
void http_connection_open(HttpServer *server, int fd, const HttpPeer *peer, bool reserved);

/* The only writer of the state of a connection that goes on; closes it if it cannot be watched.
 * @again: look at the socket once more, even if nothing new happens. */
void http_connection_enter(HttpConnection *connection, HttpConnectionState state, bool again);

void http_connection_close(HttpConnection *connection);

/* Lets a connection give way: one that lingers, else the one that has been as it is for longest;
 * of @peer only, if not NULL. False if there is none. */
bool http_connection_evict(HttpServer *server, const HttpPeer *peer);

/* When the time of the first connection is up; USEC_NEVER if there is none. */
uint64_t http_connections_deadline(const HttpServer *server);

/* Ends those whose time is up. */
void http_connections_expire(HttpServer *server);

/* Frees what was closed. Nothing of this turn may refer to it any more. */
void http_connections_reap(HttpServer *server);

/* The socket is ready. */
void http_exchange_handle(HttpConnection *connection, uint32_t revents);

/* Reads once, answers what can be answered, and enters the state that follows. */
void http_exchange_receive(HttpConnection *connection, uint32_t revents);

/* Replies with @status, and closes when the client has had time to read it. */
void http_exchange_refuse(HttpConnection *connection, unsigned status);

/* Of the listeners, in http-listener.c. */
void http_listener_handle(HttpListener *listener);
void http_listeners_pause(HttpServer *server);
void http_listeners_resume(HttpServer *server);
void http_listeners_drop(HttpServer *server);

/* Takes the clients that wait on sockets which go with us, and drops all listeners. */
void http_listeners_finish(HttpServer *server);

/* Of the server: sees to it that the timer wakes us at @deadline_usec at the latest. */
void http_server_arm(HttpServer *server, uint64_t deadline_usec);

/* A reference to the server's own document for @status, or NULL without memory. */
HttpDocument *http_server_get_status_document(HttpServer *server, unsigned status);
void http_server_count_refusal(HttpServer *server, unsigned status);
