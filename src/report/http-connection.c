/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/macro.h"
#include "report/http-connection.h"

/*
 * Edge-triggered: a level would be asked about again after every event. What we
 * leave in a socket on purpose we ask for again ourselves (@again).
 */
#define WATCH_INPUT (EPOLLIN | EPOLLRDHUP | (uint32_t)EPOLLET)
#define WATCH_ROOM (EPOLLOUT | (uint32_t)EPOLLET)

/* clang-format off */
static const struct {
        uint32_t events;
        size_t limit; /* where in HttpLimits its time stands */
} states[] = {
        [HTTP_CONNECTION_LINGERING] = { WATCH_INPUT, offsetof(HttpLimits, linger_usec) },
        [HTTP_CONNECTION_SILENT]    = { WATCH_INPUT, offsetof(HttpLimits, header_usec) },
        [HTTP_CONNECTION_IDLE]      = { WATCH_INPUT, offsetof(HttpLimits, idle_usec)   },
        [HTTP_CONNECTION_READING]   = { WATCH_INPUT, offsetof(HttpLimits, header_usec) },
        [HTTP_CONNECTION_SENDING]   = { WATCH_ROOM,  offsetof(HttpLimits, send_usec)   },
};
/* clang-format on */

static_assert(ELEMENTSOF(states) == _HTTP_CONNECTION_LISTED_MAX, "a state lacks its row");

static bool connection_is_listed(const HttpConnection *connection) {
        return connection->state < _HTTP_CONNECTION_LISTED_MAX;
}

static uint64_t connection_deadline(const HttpConnection *connection) {
        const char *limits = (const char *)&connection->server->limits;
        const uint64_t *limit = (const uint64_t *)(limits + states[connection->state].limit);

        return usec_add(connection->since_usec, *limit);
}

static int connection_watch(HttpConnection *connection, uint32_t events, bool again) {
        struct epoll_event event = { .events = events, .data.ptr = connection };

        if (connection->events == events && !again)
                return 0;

        if (epoll_ctl(connection->server->epoll_fd,
                      connection->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, connection->fd,
                      &event) < 0)
                return -errno;

        connection->events = events;
        return 0;
}

/* Counted out: first of each list, or first of @peer; the lists are in order of age. */
static HttpConnection *server_oldest(HttpServer *server, const HttpPeer *peer) {
        HttpConnection *oldest = NULL, *connection;

        for (unsigned state = 0; state < _HTTP_CONNECTION_LISTED_MAX; state++) {
                TAILQ_FOREACH (connection, &server->lists[state], link)
                        if (!peer || http_peer_equal(&connection->peer, peer))
                                break;

                if (!connection)
                        continue;
                /* Has had its answer, and only waits for the client to read it. */
                if (state == HTTP_CONNECTION_LINGERING)
                        return connection;
                if (!oldest || connection->since_usec < oldest->since_usec)
                        oldest = connection;
        }

        return oldest;
}

static unsigned server_count_peer(const HttpServer *server, const HttpPeer *peer) {
        const HttpConnection *connection;
        unsigned n = 0;

        for (unsigned state = 0; state < _HTTP_CONNECTION_LISTED_MAX; state++)
                TAILQ_FOREACH (connection, &server->lists[state], link)
                        if (http_peer_equal(&connection->peer, peer))
                                n++;

        return n;
}

bool http_connection_evict(HttpServer *server, const HttpPeer *peer) {
        HttpConnection *victim;

        assert(server);

        victim = server_oldest(server, peer);
        if (!victim)
                return false;

        server->counters.n_evicted++;

        /* Perhaps its request has come in the meantime; then it must not go without an answer. */
        victim->last = true;
        if (victim->state == HTTP_CONNECTION_SILENT || victim->state == HTTP_CONNECTION_IDLE ||
            victim->state == HTTP_CONNECTION_READING)
                http_exchange_receive(victim, 0);

        http_connection_close(victim);
        return true;
}

/* Keeps a connection that was not closed after its first answer. Others may have to go for it. */
static void connection_admit(HttpConnection *connection) {
        HttpServer *server = connection->server;

        while (server->counters.n_connections > server->limits.connections_max &&
               http_connection_evict(server, NULL))
                ;

        if (http_peer_census_add(&server->census, &connection->peer) >
                    server->limits.peer_connections_max &&
            server_count_peer(server, &connection->peer) >= server->limits.peer_connections_max)
                (void)http_connection_evict(server, &connection->peer);
}

void http_connection_enter(HttpConnection *connection, HttpConnectionState state, bool again) {
        HttpServer *server;
        bool progress;

        assert(connection);
        assert(state < _HTTP_CONNECTION_LISTED_MAX);
        assert(connection->state != HTTP_CONNECTION_CLOSED);

        server = connection->server;

        /* Only an answer buys more time, not a byte now and then. */
        progress = connection->state != state ||
                   connection->n_requests != connection->n_requests_since;

        if (connection->state == HTTP_CONNECTION_NEW)
                connection_admit(connection);
        else if (progress)
                TAILQ_REMOVE(&server->lists[connection->state], connection, link);

        if (progress) {
                connection->state = state;
                connection->since_usec = server->now_usec;
                connection->n_requests_since = connection->n_requests;
                TAILQ_INSERT_TAIL(&server->lists[state], connection, link);
        }

        if (connection_watch(connection, states[state].events, again) < 0) {
                http_connection_close(connection);
                return;
        }

        http_server_arm(server, connection_deadline(connection));
}

void http_connection_open(HttpServer *server, int fd, const HttpPeer *peer, bool reserved) {
        HttpConnection *connection;

        assert(server);
        assert(fd >= 0);
        assert(peer);

        server->counters.n_accepted++;

        connection = malloc(sizeof(*connection));
        if (!connection) {
                server->counters.n_refused++;
                (void)fd_close(fd);
                return;
        }

        *connection = (HttpConnection){
                .kind = HTTP_SOURCE_CONNECTION,
                .state = HTTP_CONNECTION_NEW,
                .server = server,
                .peer = *peer,
                .fd = fd,
                .reserved = reserved,
        };

        server->counters.n_connections++;
        server->counters.n_connections_max =
                MAX(server->counters.n_connections_max, server->counters.n_connections);

        http_exchange_receive(connection, 0);
}

/* A descriptor has become free. */
static void server_regain_descriptor(HttpServer *server, bool reserved) {
        if (reserved && server->reserve_fd < 0)
                server->reserve_fd = fcntl(server->epoll_fd, F_DUPFD_CLOEXEC, 3);

        if (server->resume_usec != USEC_NEVER)
                http_listeners_resume(server);
}

void http_connection_close(HttpConnection *connection) {
        HttpServer *server;

        assert(connection);

        if (connection->state == HTTP_CONNECTION_CLOSED)
                return;

        server = connection->server;

        /* close() alone would leave it in the epoll while a child just forked has it open too. */
        if (connection->events != 0)
                (void)epoll_ctl(server->epoll_fd, EPOLL_CTL_DEL, connection->fd, NULL);
        connection->fd = fd_close(connection->fd);

        free(TAKE_PTR(connection->input));
        connection->output = http_output_free(connection->output);

        if (connection_is_listed(connection)) {
                TAILQ_REMOVE(&server->lists[connection->state], connection, link);
                (void)http_peer_census_drop(&server->census, &connection->peer);
        }

        assert(server->counters.n_connections > 0);
        server->counters.n_connections--;

        connection->state = HTTP_CONNECTION_CLOSED;
        TAILQ_INSERT_TAIL(&server->closed, connection, link);

        server_regain_descriptor(server, connection->reserved);
}

void http_connections_reap(HttpServer *server) {
        HttpConnection *connection;

        assert(server);

        while ((connection = TAILQ_FIRST(&server->closed))) {
                TAILQ_REMOVE(&server->closed, connection, link);
                free(connection);
        }
}

uint64_t http_connections_deadline(const HttpServer *server) {
        uint64_t deadline = USEC_NEVER;

        assert(server);

        for (unsigned state = 0; state < _HTTP_CONNECTION_LISTED_MAX; state++) {
                const HttpConnection *first = TAILQ_FIRST(&server->lists[state]);

                if (first)
                        deadline = MIN(deadline, connection_deadline(first));
        }

        return deadline;
}

static void connection_expire(HttpConnection *connection) {
        HttpCounters *counters = &connection->server->counters;

        if (connection->state == HTTP_CONNECTION_IDLE)
                counters->n_idle++;
        else if (connection->state != HTTP_CONNECTION_LINGERING)
                counters->n_timeouts++;

        /* Whoever has asked half a question is told; browsers that only connected are not. */
        if (connection->state == HTTP_CONNECTION_READING)
                http_exchange_refuse(connection, 408);
        else
                http_connection_close(connection);
}

void http_connections_expire(HttpServer *server) {
        HttpConnection *first;

        assert(server);

        for (unsigned state = 0; state < _HTTP_CONNECTION_LISTED_MAX; state++)
                while ((first = TAILQ_FIRST(&server->lists[state])) &&
                       connection_deadline(first) <= server->now_usec)
                        connection_expire(first);
}
