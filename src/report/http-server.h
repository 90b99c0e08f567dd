/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * HTTP Server
 *
 * Answers GET and HEAD on any number of listening sockets, TCP and local ones.
 * It knows nothing of health: a callback supplies the documents.
 *
 * All sockets are in one epoll of the server's own, which sd-event watches as a
 * single source: one source a connection would cost five times as much at 256
 * connections. A request that is there when its connection is accepted is
 * answered at once; a connection that is closed after its answer never sees the
 * epoll. One timer, armed only while a connection is kept, ends what takes too
 * long.
 *
 * Everything has a bound. At the limit of connections the one gives way that has
 * been as it is for longest, and gets its last answer if its request is already
 * there; so a new client is always served. When the process is out of descriptors
 * a reserved one serves one client at a time.
 *
 * Of one thread, as its sd-event.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/limits.h"
#include "report/http-document.h"
#include "report/http-output.h"
#include "report/http-parse.h"
#include "report/http-peer.h"

typedef struct sd_event sd_event;
typedef struct sd_event_source sd_event_source;
typedef struct HttpConnection HttpConnection;
typedef struct HttpListener HttpListener;
typedef struct HttpServer HttpServer;

typedef struct HttpRequest {
        HttpMethod method; /* GET or HEAD; of the latter's answer only the head is sent */
        HttpSlice path;    /* raw, begins with '/' */
        HttpSlice query;   /* raw, without the '?' */
        HttpSlice accept;  /* empty if the client did not say */
        bool local;        /* the client is on this machine */
} HttpRequest;

/*
 * Answers a request: *ret becomes the server's reference (hand over a new
 * document, or http_document_ref() of one that you keep: that is as cheap as
 * lending it, and leaves you free to replace yours at any time). On failure
 * -ENOENT is answered 404, -ENOMEM 503, anything else 500. The slices are gone
 * after the call. Must not start, stop or free the server.
 */
typedef int (*http_answer_t)(const HttpRequest *request, HttpDocument **ret, void *userdata);

/* Called once when a drain has come to its end; may free the server. */
typedef void (*http_drained_t)(HttpServer *server, void *userdata);

/* Reasons for the defaults are in base/limits.h. */
typedef struct HttpLimits {
        unsigned connections_max;      /* kept open, all together */
        unsigned peer_connections_max; /* kept open by one that is neither local nor trusted */
        unsigned requests_max;         /* on one connection */
        uint64_t idle_usec;            /* between two requests */
        uint64_t header_usec;          /* from accept, or its first byte, to its last */
        uint64_t send_usec;            /* for a reply that the client does not take at once */
        uint64_t linger_usec;          /* after a refusal */
} HttpLimits;

#define HTTP_LIMITS_DEFAULT                                                                        \
        {                                                                                          \
                .connections_max = HTTP_CONNECTIONS_MAX,                                           \
                .peer_connections_max = HTTP_PEER_CONNECTIONS_MAX,                                 \
                .requests_max = HTTP_REQUESTS_MAX, .idle_usec = HTTP_IDLE_USEC,                    \
                .header_usec = HTTP_HEADER_USEC, .send_usec = HTTP_SEND_USEC,                      \
                .linger_usec = HTTP_LINGER_USEC,                                                   \
        }

/* The documents of a server's own: 404, 500, 503 and what the parser refuses with. */
#define HTTP_STATUS_DOCUMENTS 12

typedef struct HttpCounters {
        uint64_t n_requests;  /* answered, refusals included */
        uint64_t n_status[6]; /* of these, by the first digit of their status */
        uint64_t n_bad;       /* of these, refused before the callback saw them */
        uint64_t n_refusals[HTTP_STATUS_DOCUMENTS]; /* those, by http_server_refusal_status() */
        uint64_t n_accepted;                        /* connections */
        uint64_t n_refused;   /* closed unheard, as there was no memory for them */
        uint64_t n_evicted;   /* closed to make room */
        uint64_t n_timeouts;  /* too slow to ask or to take the answer */
        uint64_t n_idle;      /* closed after long silence */
        uint64_t n_exhausted; /* times that there was no descriptor for a client */
        unsigned n_connections, n_connections_max;
} HttpCounters;

/* What a connection is doing. */
typedef enum HttpConnectionState {
        HTTP_CONNECTION_LINGERING, /* refused; may still be talking */
        HTTP_CONNECTION_SILENT,    /* has not said anything yet */
        HTTP_CONNECTION_IDLE,      /* between two requests */
        HTTP_CONNECTION_READING,   /* within a request */
        HTTP_CONNECTION_SENDING,   /* within a reply, or with requests waiting for their turn */
        _HTTP_CONNECTION_LISTED_MAX,
        HTTP_CONNECTION_NEW = _HTTP_CONNECTION_LISTED_MAX, /* not kept yet */
        HTTP_CONNECTION_CLOSED,                            /* to be freed after this turn */
} HttpConnectionState;

TAILQ_HEAD(HttpConnections, HttpConnection);
TAILQ_HEAD(HttpListeners, HttpListener);

struct HttpServer {
        HttpLimits limits;
        http_answer_t answer;
        void *userdata;

        sd_event *event;
        sd_event_source *io, *timer;
        int epoll_fd;
        int reserve_fd; /* given up for the one client that comes when there are no more */

        struct HttpListeners listeners;
        unsigned n_listeners;
        uint64_t resume_usec; /* when accepting goes on; USEC_NEVER: it is not paused */

        /* Each list in the order of deadlines, as a state always has the same time. */
        struct HttpConnections lists[_HTTP_CONNECTION_LISTED_MAX];
        struct HttpConnections closed;
        HttpPeerCensus census;
        HttpCounters counters;

        bool draining;
        uint64_t drain_usec; /* when a drain is over at the latest */
        http_drained_t drained;
        void *drained_userdata;

        uint64_t now_usec;   /* of this turn */
        uint64_t armed_usec; /* what the timer is set to; USEC_NEVER: off */
        HttpDate date;
        char *buffer;      /* HTTP_BUFFER_SIZE; in use only within a turn of a connection */
        HttpOutput output; /* likewise */
        HttpDocument *documents[HTTP_STATUS_DOCUMENTS]; /* made when first needed */
};

/* @limits NULL: the defaults. Nothing is served before http_server_start(). */
int http_server_init(HttpServer *server,
                     sd_event *event,
                     const HttpLimits *limits,
                     http_answer_t answer,
                     void *userdata);
void http_server_done(HttpServer *server);

int http_server_start(HttpServer *server, int64_t priority);

/*
 * Adds a listening stream socket, TCP or local, and takes @fd over. It is made
 * non-blocking, and only ever closed, never shut down: systemd may hold it too.
 * Returns -EINVAL for another kind of descriptor, -E2BIG if there are too many.
 */
int http_server_add_listener(HttpServer *server, int fd);

/*
 * Binds the addresses that @text names (see http-address.h) and listens on all of
 * them or, on failure, none. A machine without IPv6, or without IPv4, does with
 * the other. The path of a local socket is removed again at the end.
 */
int http_server_listen(HttpServer *server, const char *text);

/* Serves a socket that is already connected, and takes @fd over. */
int http_server_add_connection(HttpServer *server, int fd);

/*
 * Stops accepting, answers the requests that are there, and closes what is idle.
 * Returns 0 if that was all, 1 if replies are still under way: @drained (may be
 * NULL) is then called when they are finished, or after @timeout_usec.
 */
int http_server_drain(HttpServer *server,
                      uint64_t timeout_usec,
                      http_drained_t drained,
                      void *userdata);

/* Closes everything at once. */
void http_server_stop(HttpServer *server);

/* Which status the refusals are that are counted as number @index. */
unsigned http_server_refusal_status(size_t index);

static inline const HttpCounters *http_server_get_counters(const HttpServer *server) {
        return &server->counters;
}
