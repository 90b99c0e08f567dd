/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Load
 *
 * Asks an HTTP server a bounded number of times and takes note of every answer.
 * Closed loop: each of N connections asks again as soon as it has its answer.
 * Paced: a request leaves at each tick, whether earlier ones were answered or
 * not, as probes do that know nothing of one another.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define LOAD_CONNECTIONS_MAX 2048 /* descriptors of one process, with room below ulimit's 4096 */
#define LOAD_REQUESTS_MAX 2000000 /* 16 MB of latencies */
#define LOAD_ANSWER_MAX                                                                            \
        16384 /* health+json of the benchmark's service takes less than a quarter                  \
               */
#define LOAD_REQUEST_MAX 512
#define LOAD_SECONDS_MAX 60 /* a whole run; the longest regular one takes 5 s */

typedef struct LoadConfig {
        struct sockaddr_storage address;
        socklen_t address_size;
        const char *path;
        unsigned n_connections; /* paced: at most so many at once */
        unsigned n_sources;     /* loopback addresses to connect from; 0 or 1: the usual one */
        uint64_t n_requests;
        uint64_t every_usec;    /* 0: closed loop */
        uint64_t deadline_usec; /* of one request */
        bool fresh;             /* a new connection for each request */
        pid_t server;           /* whose CPU time to read; 0: nobody's */
} LoadConfig;

typedef struct LoadResult {
        uint64_t n_answers;  /* 200, complete and in time */
        uint64_t n_refused;  /* no connection */
        uint64_t n_broken;   /* closed or reset before the answer was complete */
        uint64_t n_wrong;    /* another status, or no HTTP */
        uint64_t n_late;     /* no complete answer before the deadline */
        uint64_t n_reopened; /* keep-alive connections that the server wanted to end; no failure */
        uint64_t elapsed_nsec;
        uint64_t server_cpu_nsec;
        uint64_t client_cpu_nsec;
        uint64_t *latency_nsec; /* of the answers, in their order */
} LoadResult;

/* Returns 0 when all requests have an end, good or bad, or a negative errno. */
int load_run(const LoadConfig *config, LoadResult *ret);

void load_result_done(LoadResult *result);
