/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Load: the engine
 *
 * One epoll, and for each request one end that is counted once. What warms up
 * comes first, a request a connection, and is not counted.
 */

#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macro.h"
#include "load-connection.h"
#include "nsec.h"

#define EVENTS_MAX 512
#define SWEEP_NSEC (NSEC_PER_SEC / 10)

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

/* @connection has nothing to do any more: in a closed loop it asks again. */
static void load_go_on(Load *load, Connection *connection) {
        bool warmed = load->n_ended == load->n_warm && load->n_begun == load->n_warm;

        connection->state = CONNECTION_FREE;
        if (load->config->every_usec > 0)
                return;
        if (warmed)
                load_refill(load);
        else if (load_wants_more(load))
                (void)load_begin(load, connection);
}

/* The request of @connection has its end, and the connection too. */
static void load_drop(Load *load, Connection *connection, uint64_t *counter) {
        connection_close(connection);
        load_end_request(load, counter);
        load_go_on(load, connection);
}

/* Sends the next request over @connection, opening it first where it is closed. */
static int load_begin(Load *load, Connection *connection) {
        unsigned index = (unsigned)(connection - load->connections);
        int r;

        load->n_begun++;
        connection->sent_nsec = now_nsec(CLOCK_MONOTONIC);

        if (connection->fd < 0)
                r = connection_open(connection, load->config, index, load->epoll_fd);
        else
                r = connection_send(connection, load->request, load->request_size);
        if (r < 0) {
                connection_close(connection);
                load_end_request(load, &load->result.n_refused);
        }
        return r;
}

static void on_opened(Load *load, Connection *connection) {
        int r;

        r = connection_opened(connection, load->epoll_fd);
        if (r >= 0)
                r = connection_send(connection, load->request, load->request_size);
        if (r < 0)
                load_drop(load, connection, &load->result.n_refused);
}

/* Returns true if there may be more to read: the end of a fresh connection. */
static bool on_answer(Load *load, Connection *connection) {
        LoadResult *result = &load->result;

        if (load_counts(load))
                result->latency_nsec[load->n_latencies++] =
                        now_nsec(CLOCK_MONOTONIC) - connection->sent_nsec;

        if (load->config->fresh) {
                connection->state = CONNECTION_ANSWERED;
                return true;
        }

        load_end_request(load, &result->n_answers);
        if (connection->closes) {
                connection_close(connection);
                result->n_reopened++;
        }
        load_go_on(load, connection);
        return false;
}

/*
 * The connection is over, for the reason that @counter counts. The end after the
 * answer to a fresh one is as it should be, and an idle one may end at any time.
 */
static void on_end(Load *load, Connection *connection, uint64_t *counter) {
        LoadResult *result = &load->result;

        if (connection->state == CONNECTION_FREE) {
                connection_close(connection);
                return;
        }
        if (connection->state == CONNECTION_ANSWERED && counter == &result->n_broken)
                counter = &result->n_answers;

        load_drop(load, connection, counter);
}

static void on_readable(Load *load, Connection *connection) {
        bool more = true;

        while (more)
                switch (connection_read(connection)) {
                case CONNECTION_NOTHING:
                        return;
                case CONNECTION_ANSWER:
                        more = on_answer(load, connection);
                        break;
                case CONNECTION_WRONG:
                        on_end(load, connection, &load->result.n_wrong);
                        return;
                case CONNECTION_END:
                        on_end(load, connection, &load->result.n_broken);
                        return;
                }
}

static void on_connection(Load *load, Connection *connection) {
        if (connection->fd < 0)
                return; /* closed earlier in this turn */

        if (connection->state == CONNECTION_OPENING)
                on_opened(load, connection);
        else
                on_readable(load, connection);
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

                load_drop(load, connection, &load->result.n_late);
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
