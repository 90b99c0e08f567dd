/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/macro.h"
#include "report/http-connection.h"

/* What the timer may be late by: nobody minds, and other timers can share the wake-up. */
#define TIMER_ACCURACY_USEC (250 * USEC_PER_MSEC)

static const unsigned document_statuses[] = {
        400, 404, 405, 408, 413, 414, 417, 431, 500, 501, 503, 505,
};

static_assert(ELEMENTSOF(document_statuses) == HTTP_STATUS_DOCUMENTS,
              "a document lacks its status");

unsigned http_server_refusal_status(size_t index) {
        assert(index < ELEMENTSOF(document_statuses));

        return document_statuses[index];
}

void http_server_count_refusal(HttpServer *server, unsigned status) {
        assert(server);

        server->counters.n_bad++;
        for (size_t i = 0; i < ELEMENTSOF(document_statuses); i++)
                if (document_statuses[i] == status)
                        server->counters.n_refusals[i]++;
}

HttpDocument *http_server_get_status_document(HttpServer *server, unsigned status) {
        assert(server);

        for (size_t i = 0; i < ELEMENTSOF(document_statuses); i++) {
                if (document_statuses[i] != status)
                        continue;

                /* On failure it stays NULL, and is tried again the next time. */
                if (!server->documents[i])
                        (void)http_document_new_status(&server->documents[i], status);
                return http_document_ref(server->documents[i]);
        }

        assert(false); /* a status without a document */
        return NULL;
}

void http_server_arm(HttpServer *server, uint64_t deadline_usec) {
        assert(server);

        /* Setting a timer costs more than a request: an earlier one will do, and look again. */
        if (deadline_usec >= server->armed_usec || !server->timer)
                return;

        if (sd_event_source_set_time(server->timer, deadline_usec) < 0 ||
            sd_event_source_set_enabled(server->timer, SD_EVENT_ONESHOT) < 0)
                return;

        server->armed_usec = deadline_usec;
}

/* Takes the time once a turn. */
static void server_begin(HttpServer *server) {
        uint64_t realtime_usec = 0;

        (void)sd_event_now(server->event, CLOCK_MONOTONIC, &server->now_usec);
        (void)sd_event_now(server->event, CLOCK_REALTIME, &realtime_usec);
        http_date_update(&server->date, realtime_usec);
}

/* Frees what was closed. The last act of a handler: the server may be gone afterwards. */
static void server_end(HttpServer *server) {
        http_drained_t drained = server->drained;

        http_connections_reap(server);

        if (server->draining && server->counters.n_connections == 0 && drained) {
                server->drained = NULL;
                drained(server, server->drained_userdata);
        }
}

static int on_http_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct epoll_event events[HTTP_EVENTS_MAX];
        HttpServer *server = userdata;
        int n;

        (void)source, (void)revents;

        server_begin(server);

        /* What does not fit keeps the epoll readable, and comes next time. */
        n = epoll_wait(fd, events, HTTP_EVENTS_MAX, 0);
        for (int i = 0; i < n; i++) {
                const HttpSourceKind *kind = events[i].data.ptr;

                if (*kind == HTTP_SOURCE_LISTENER)
                        http_listener_handle(events[i].data.ptr);
                else
                        http_exchange_handle(events[i].data.ptr, events[i].events);
        }

        server_end(server);
        return 0;
}

static void server_close_connections(HttpServer *server) {
        HttpConnection *first;

        for (unsigned state = 0; state < _HTTP_CONNECTION_LISTED_MAX; state++)
                while ((first = TAILQ_FIRST(&server->lists[state])))
                        http_connection_close(first);
}

static int on_http_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        HttpServer *server = userdata;

        (void)source, (void)usec;

        server_begin(server);
        server->armed_usec = USEC_NEVER;

        http_connections_expire(server);
        if (server->now_usec >= server->drain_usec)
                server_close_connections(server);
        if (server->now_usec >= server->resume_usec)
                http_listeners_resume(server);

        http_server_arm(server, MIN(http_connections_deadline(server),
                                    MIN(server->resume_usec, server->drain_usec)));
        server_end(server);
        return 0;
}

static int server_acquire(HttpServer *server) {
        server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (server->epoll_fd < 0)
                return -errno;

        server->reserve_fd = fcntl(server->epoll_fd, F_DUPFD_CLOEXEC, 3);
        if (server->reserve_fd < 0)
                return -errno;

        server->buffer = malloc(HTTP_BUFFER_SIZE);
        return server->buffer ? 0 : -ENOMEM;
}

int http_server_init(HttpServer *server,
                     sd_event *event,
                     const HttpLimits *limits,
                     http_answer_t answer,
                     void *userdata) {
        int r;

        assert(server);
        assert(event);
        assert(answer);

        *server = (HttpServer){
                .limits = limits ? *limits : (HttpLimits)HTTP_LIMITS_DEFAULT,
                .answer = answer,
                .userdata = userdata,
                .event = sd_event_ref(event),
                .epoll_fd = -EBADF,
                .reserve_fd = -EBADF,
                .listeners = TAILQ_HEAD_INITIALIZER(server->listeners),
                .closed = TAILQ_HEAD_INITIALIZER(server->closed),
                .resume_usec = USEC_NEVER,
                .drain_usec = USEC_NEVER,
                .armed_usec = USEC_NEVER,
        };
        for (unsigned state = 0; state < _HTTP_CONNECTION_LISTED_MAX; state++)
                TAILQ_INIT(&server->lists[state]);

        assert(server->limits.connections_max > 0);
        assert(server->limits.connections_max < UINT16_MAX);

        r = server_acquire(server);
        if (r < 0)
                http_server_done(server);

        return r;
}

/* The shortest time that is to be kept decides how exact the timer has to be. */
static uint64_t server_accuracy(const HttpServer *server) {
        const HttpLimits *limits = &server->limits;
        uint64_t shortest = MIN(MIN(limits->idle_usec, limits->header_usec),
                                MIN(limits->send_usec, limits->linger_usec));

        return CLAMP(shortest / 4, USEC_PER_MSEC, TIMER_ACCURACY_USEC);
}

int http_server_start(HttpServer *server, int64_t priority) {
        int r;

        assert(server);
        assert(server->epoll_fd >= 0);
        assert(!server->io);

        r = sd_event_add_time(server->event, &server->timer, CLOCK_MONOTONIC, 0,
                              server_accuracy(server), on_http_timer, server);
        if (r < 0)
                return r;

        r = sd_event_source_set_enabled(server->timer, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_source_set_priority(server->timer, priority);
        if (r >= 0)
                r = sd_event_add_io(server->event, &server->io, server->epoll_fd, EPOLLIN,
                                    on_http_io, server);
        if (r >= 0)
                r = sd_event_source_set_priority(server->io, priority);
        if (r < 0) {
                server->io = sd_event_source_disable_unref(server->io);
                server->timer = sd_event_source_disable_unref(server->timer);
                return r;
        }

        (void)sd_event_source_set_description(server->io, "http-io");
        (void)sd_event_source_set_description(server->timer, "http-timer");
        return 0;
}

int http_server_add_connection(HttpServer *server, int fd) {
        struct sockaddr_storage address;
        socklen_t length = sizeof(address);
        HttpPeer peer;
        int flags;

        assert(server);
        assert(fd >= 0);

        if (getpeername(fd, (struct sockaddr *)&address, &length) < 0)
                return -errno;
        flags = fcntl(fd, F_GETFL);
        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
                return -errno;

        if (address.ss_family == AF_UNIX)
                peer = http_peer_from_local_socket(fd);
        else
                peer = http_peer_from_address((struct sockaddr *)&address, length);

        server_begin(server);
        http_connection_open(server, fd, &peer, false);
        http_connections_reap(server);
        return 0;
}

/* What has not asked anything goes; what has, is answered first. */
static void server_close_idle(HttpServer *server, HttpConnectionState state) {
        HttpConnection *connection, *next;

        for (connection = TAILQ_FIRST(&server->lists[state]); connection; connection = next) {
                next = TAILQ_NEXT(connection, link);
                http_exchange_receive(connection, 0);
        }
}

int http_server_drain(HttpServer *server,
                      uint64_t timeout_usec,
                      http_drained_t drained,
                      void *userdata) {
        assert(server);
        assert(!server->draining);

        server_begin(server);
        server->draining = true;

        http_listeners_finish(server);
        server_close_idle(server, HTTP_CONNECTION_SILENT);
        server_close_idle(server, HTTP_CONNECTION_IDLE);
        http_connections_reap(server);

        if (server->counters.n_connections == 0)
                return 0;

        server->drained = drained;
        server->drained_userdata = userdata;
        server->drain_usec = usec_add(server->now_usec, timeout_usec);
        http_server_arm(server, server->drain_usec);
        return 1;
}

void http_server_stop(HttpServer *server) {
        assert(server);

        server->draining = true;
        server->drained = NULL;
        http_listeners_drop(server);
        server_close_connections(server);
        http_connections_reap(server);

        server->io = sd_event_source_disable_unref(server->io);
        server->timer = sd_event_source_disable_unref(server->timer);
        server->armed_usec = USEC_NEVER;
}

void http_server_done(HttpServer *server) {
        if (!server || !server->event)
                return;

        http_server_stop(server);

        for (size_t i = 0; i < HTTP_STATUS_DOCUMENTS; i++)
                server->documents[i] = http_document_unref(server->documents[i]);

        free(TAKE_PTR(server->buffer));
        server->reserve_fd = fd_close(server->reserve_fd);
        server->epoll_fd = fd_close(server->epoll_fd);
        server->event = sd_event_unref(server->event);
}
