/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Load: the engine
 *
 * One epoll. A connection is free, or waits for its answer, or (fresh) has its
 * answer and waits for the server's end, so that TIME_WAIT stays on the
 * server's side and the client does not run out of ports.
 */

#include "load.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macro.h"
#include "nsec.h"

#define EVENTS_MAX 512
#define SWEEP_NSEC (NSEC_PER_SEC / 10)

typedef enum ConnectionState {
        CONNECTION_FREE,
        CONNECTION_OPENING,  /* connect(2) is under way */
        CONNECTION_WAITING,  /* for the answer */
        CONNECTION_ANSWERED, /* fresh: for the end */
} ConnectionState;

typedef struct Connection {
        int fd;
        ConnectionState state;
        uint64_t sent_nsec;
        size_t received;
        char answer[LOAD_ANSWER_MAX + 1];
} Connection;

typedef struct Load {
        const LoadConfig *config;
        LoadResult result;
        int epoll_fd, timer_fd;
        char request[LOAD_REQUEST_MAX];
        size_t request_size;
        Connection *connections;
        uint64_t n_begun, n_ended; /* requests; @n_warm of both come before what counts */
        uint64_t n_warm;
        uint64_t n_latencies;
        uint64_t started_nsec, server_cpu_nsec, client_cpu_nsec;
        uint64_t begun_nsec, swept_nsec;
} Load;

static int load_begin(Load *load, Connection *connection);

static bool load_counts(const Load *load) {
        return load->n_ended >= load->n_warm;
}

static void load_note_start(Load *load) {
        load->started_nsec = now_nsec(CLOCK_MONOTONIC);
        load->client_cpu_nsec = now_nsec(CLOCK_PROCESS_CPUTIME_ID);
        if (load->config->server > 0)
                load->server_cpu_nsec = process_cpu_nsec(load->config->server);
}

static void load_note_end(Load *load) {
        LoadResult *result = &load->result;

        if (load->config->server > 0)
                result->server_cpu_nsec =
                        process_cpu_nsec(load->config->server) - load->server_cpu_nsec;
        result->client_cpu_nsec = now_nsec(CLOCK_PROCESS_CPUTIME_ID) - load->client_cpu_nsec;
        result->elapsed_nsec = now_nsec(CLOCK_MONOTONIC) - load->started_nsec;
}

/* A request has its end; @counter says which. */
static void load_end_request(Load *load, uint64_t *counter) {
        bool counts = load_counts(load);

        load->n_ended++;
        if (counts)
                (*counter)++;
        if (load->n_ended == load->n_warm)
                load_note_start(load);
}

static void connection_close(Connection *connection) {
        connection->fd = fd_close(connection->fd);
        connection->state = CONNECTION_FREE;
}

static bool load_wants_more(const Load *load) {
        uint64_t limit = load->n_warm + load->config->n_requests;

        /* What was begun to warm up must end before the first that counts begins. */
        if (load->n_begun >= load->n_warm && load->n_ended < load->n_warm)
                return false;
        return load->n_begun < limit;
}

/* Lets every idle connection of a closed loop ask. */
static void load_refill(Load *load) {
        for (unsigned i = 0; i < load->config->n_connections; i++)
                if (load->connections[i].state == CONNECTION_FREE && load_wants_more(load))
                        (void)load_begin(load, &load->connections[i]);
}

static void connection_go_on(Load *load, Connection *connection) {
        bool warmed = load->n_ended == load->n_warm && load->n_begun == load->n_warm;

        connection->state = CONNECTION_FREE;
        if (load->config->every_usec > 0)
                return;
        if (warmed)
                load_refill(load);
        else if (load_wants_more(load))
                (void)load_begin(load, connection);
}

static void connection_fail(Load *load, Connection *connection, uint64_t *counter) {
        bool answered = connection->state == CONNECTION_ANSWERED;

        connection_close(connection);
        if (!answered)
                load_end_request(load, counter);
        connection_go_on(load, connection);
}

static int connection_send(Load *load, Connection *connection) {
        ssize_t n;

        /* A request is smaller than any socket's buffer: it goes as a whole or not at all. */
        n = send(connection->fd, load->request, load->request_size, MSG_NOSIGNAL);
        if (n != (ssize_t)load->request_size)
                return n < 0 ? -errno : -EPIPE;

        connection->state = CONNECTION_WAITING;
        return 0;
}

/* Connections come from several loopback addresses in turn: servers bound what one peer may have.
 */
static int connection_bind(const Load *load, const Connection *connection) {
        unsigned index = (unsigned)(connection - load->connections);
        struct sockaddr_in source = {
                .sin_family = AF_INET,
                .sin_addr.s_addr =
                        htonl(INADDR_LOOPBACK + index % MAX(load->config->n_sources, 1U)),
        };
        int yes = 1;

        if (load->config->n_sources <= 1 || load->config->address.ss_family != AF_INET)
                return 0;

        if (setsockopt(connection->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof(yes)) <
                    0 ||
            bind(connection->fd, (struct sockaddr *)&source, sizeof(source)) < 0)
                return -errno;
        return 0;
}

/*
 * Opens, and asks when epoll says that it is open, as curl, Go, Node and wrk do.
 * Asking at once would work on the loopback, but hide what TCP_DEFER_ACCEPT is
 * for: the server is woken for the connection first, and for the request later.
 */
static int connection_open(Load *load, Connection *connection) {
        const LoadConfig *config = load->config;
        struct epoll_event event = { .events = EPOLLIN | EPOLLOUT, .data.ptr = connection };

        int r;

        connection->state = CONNECTION_OPENING;
        connection->fd =
                socket(config->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (connection->fd < 0)
                return -errno;

        r = connection_bind(load, connection);
        if (r < 0)
                return r;

        if (connect(connection->fd, (const struct sockaddr *)&config->address,
                    config->address_size) < 0 &&
            errno != EINPROGRESS)
                return -errno;

        if (epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, connection->fd, &event) < 0)
                return -errno;

        return 0;
}

/* Sends the next request over @connection, opening it first where it is closed. */
static int load_begin(Load *load, Connection *connection) {
        int r;

        load->n_begun++;
        connection->received = 0;
        connection->sent_nsec = now_nsec(CLOCK_MONOTONIC);

        if (connection->fd < 0)
                r = connection_open(load, connection);
        else
                r = connection_send(load, connection);
        if (r < 0) {
                connection_close(connection);
                load_end_request(load, &load->result.n_refused);
        }
        return r;
}

/* Returns the size of the answer, 0 while its header is not complete, or -EPROTO. */
static ssize_t answer_size(const Connection *connection, bool *ret_close) {
        const char *end, *length, *close_word;
        size_t size;

        end = memmem(connection->answer, connection->received, "\r\n\r\n", 4);
        if (!end)
                return connection->received < LOAD_ANSWER_MAX ? 0 : -EPROTO;

        length = strcasestr(connection->answer, "\r\nContent-Length:");
        if (!length || length > end)
                return -EPROTO;

        size = (size_t)(end + 4 - connection->answer) + strtoul(length + 17, NULL, 10);
        if (size > LOAD_ANSWER_MAX)
                return -EPROTO;

        close_word = strcasestr(connection->answer, "\r\nConnection: close");
        *ret_close = close_word && close_word < end;
        return (ssize_t)size;
}

static void connection_answered(Load *load, Connection *connection, bool closes) {
        LoadResult *result = &load->result;

        if (memcmp(connection->answer, "HTTP/1.1 200", 12) != 0) {
                connection_fail(load, connection, &result->n_wrong);
                return;
        }

        if (load_counts(load))
                result->latency_nsec[load->n_latencies++] =
                        now_nsec(CLOCK_MONOTONIC) - connection->sent_nsec;

        if (load->config->fresh) {
                connection->state = CONNECTION_ANSWERED;
                return;
        }

        load_end_request(load, &result->n_answers);
        if (closes) {
                connection_close(connection);
                result->n_reopened++;
        }
        connection_go_on(load, connection);
}

/* The server has closed. After the answer to a fresh connection that is how it should be. */
static void connection_ended(Load *load, Connection *connection) {
        uint64_t *counter = &load->result.n_broken;

        if (connection->state == CONNECTION_FREE) {
                connection_close(connection); /* it idled too long for the server */
                return;
        }
        if (connection->state == CONNECTION_ANSWERED)
                counter = &load->result.n_answers;

        connection_close(connection);
        load_end_request(load, counter);
        connection_go_on(load, connection);
}

static void connection_read(Load *load, Connection *connection) {
        bool closes = false;
        ssize_t n, size;

        do {
                n = recv(connection->fd, connection->answer + connection->received,
                         LOAD_ANSWER_MAX - connection->received, 0);
                if (n < 0 && errno == EAGAIN)
                        return;
                if (n <= 0) {
                        connection_ended(load, connection);
                        return;
                }
                if (connection->state != CONNECTION_WAITING)
                        continue; /* more than was announced; the deadline ends what never ends */

                connection->received += (size_t)n;
                connection->answer[connection->received] = '\0';
                size = answer_size(connection, &closes);
                if (size < 0) {
                        connection_fail(load, connection, &load->result.n_wrong);
                        return;
                }
                if (size > 0 && connection->received >= (size_t)size) {
                        connection_answered(load, connection, closes);
                        if (!load->config->fresh)
                                return;
                }
        } while (connection->fd >= 0 && connection->received < LOAD_ANSWER_MAX);
}

/* The connection is open, or is refused. */
static int on_opened(Load *load, Connection *connection) {
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = connection };
        socklen_t size = sizeof(int);
        int error = 0;

        if (getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 || error != 0)
                return -ECONNREFUSED;
        if (epoll_ctl(load->epoll_fd, EPOLL_CTL_MOD, connection->fd, &event) < 0)
                return -errno;

        return connection_send(load, connection);
}

static void on_connection(Load *load, Connection *connection) {
        if (connection->fd < 0)
                return; /* closed earlier in this turn */

        if (connection->state != CONNECTION_OPENING)
                connection_read(load, connection);
        else if (on_opened(load, connection) < 0)
                connection_fail(load, connection, &load->result.n_refused);
}

/* Paced: one request for each tick that has passed. Without a free connection it has failed. */
static void on_tick(Load *load) {
        const LoadConfig *config = load->config;
        uint64_t n_ticks = 0;
        unsigned next = 0;

        if (read(load->timer_fd, &n_ticks, sizeof(n_ticks)) < 0)
                return;

        for (; n_ticks > 0 && load_wants_more(load); n_ticks--) {
                while (next < config->n_connections &&
                       load->connections[next].state != CONNECTION_FREE)
                        next++;
                if (next < config->n_connections) {
                        (void)load_begin(load, &load->connections[next]);
                        continue;
                }
                load->n_begun++;
                load_end_request(load, &load->result.n_late);
        }
}

/* Ends what has waited too long. */
static void load_sweep(Load *load) {
        uint64_t now = now_nsec(CLOCK_MONOTONIC);

        if (now - load->swept_nsec < SWEEP_NSEC)
                return;

        load->swept_nsec = now;
        for (unsigned i = 0; i < load->config->n_connections; i++) {
                Connection *connection = &load->connections[i];
                bool busy = connection->state != CONNECTION_FREE;

                if (!busy || now - connection->sent_nsec < load->config->deadline_usec * 1000)
                        continue;

                connection_close(connection);
                load_end_request(load, &load->result.n_late);
                connection_go_on(load, connection);
        }
        if (load->config->every_usec == 0)
                load_refill(load); /* what was refused tries again at this pace */
}

static int load_loop(Load *load) {
        struct epoll_event events[EVENTS_MAX];
        uint64_t limit = load->n_warm + load->config->n_requests;

        while (load->n_ended < limit) {
                int n;

                n = epoll_wait(load->epoll_fd, events, EVENTS_MAX, (int)(SWEEP_NSEC / 1000000));
                if (n < 0 && errno != EINTR)
                        return -errno;

                for (int i = 0; i < n; i++)
                        if (events[i].data.ptr)
                                on_connection(load, events[i].data.ptr);
                        else
                                on_tick(load);
                load_sweep(load);
                if (load->swept_nsec - load->begun_nsec > LOAD_SECONDS_MAX * NSEC_PER_SEC)
                        return -ETIMEDOUT;
        }
        return 0;
}

static int load_start_timer(Load *load) {
        uint64_t usec = load->config->every_usec;
        struct timespec every = { (time_t)(usec / 1000000), (long)(usec % 1000000) * 1000 };
        struct itimerspec spec = { .it_value = every, .it_interval = every };
        struct epoll_event event = { .events = EPOLLIN };

        load->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        if (load->timer_fd < 0 || timerfd_settime(load->timer_fd, 0, &spec, NULL) < 0 ||
            epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, load->timer_fd, &event) < 0)
                return -errno;
        return 0;
}

static int load_prepare(Load *load) {
        const LoadConfig *config = load->config;
        int n;

        n = snprintf(load->request, sizeof(load->request),
                     "GET %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: hale-bench\r\n%s\r\n",
                     config->path, config->fresh ? "Connection: close\r\n" : "");
        if (n < 0 || (size_t)n >= sizeof(load->request))
                return -E2BIG;
        load->request_size = (size_t)n;

        load->connections = calloc(config->n_connections, sizeof(Connection));
        load->result.latency_nsec = calloc(config->n_requests, sizeof(uint64_t));
        load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (!load->connections || !load->result.latency_nsec)
                return -ENOMEM;
        if (load->epoll_fd < 0)
                return -errno;

        for (unsigned i = 0; i < config->n_connections; i++)
                load->connections[i].fd = -EBADF;
        return 0;
}

static void load_done(Load *load) {
        if (load->connections)
                for (unsigned i = 0; i < load->config->n_connections; i++)
                        connection_close(&load->connections[i]);
        free(load->connections);
        load_result_done(&load->result);
        (void)fd_close(load->epoll_fd);
        (void)fd_close(load->timer_fd);
}

int load_run(const LoadConfig *config, LoadResult *ret) {
        _cleanup_(load_done) Load load = {
                .config = config,
                .epoll_fd = -EBADF,
                .timer_fd = -EBADF,
                /* Connections are opened, and caches warmed, before the clock starts. */
                .n_warm = config->fresh || config->every_usec > 0 ? 0 : config->n_connections,
        };
        int r;

        r = load_prepare(&load);
        if (r < 0)
                return r;

        load.begun_nsec = load.swept_nsec = now_nsec(CLOCK_MONOTONIC);
        if (load.n_warm == 0)
                load_note_start(&load);
        if (config->every_usec > 0) {
                r = load_start_timer(&load);
                if (r < 0)
                        return r;
        } else
                load_refill(&load);

        r = load_loop(&load);
        if (r < 0)
                return r;

        load_note_end(&load);
        *ret = load.result;
        load.result.latency_nsec = NULL;
        return 0;
}

void load_result_done(LoadResult *result) {
        free(TAKE_PTR(result->latency_nsec));
}
