/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Metrics
 *
 * What /metrics shows: the health, the probes, the gate, the service's own
 * counters and those of its process, in either of two formats. Written from a view
 * that the service fills in; nothing is asked, read or counted here. Outputs and
 * reasons never appear: they would be new series each time.
 *
 * A document has a bound (METRICS_LINES_MAX). If there are too many probes the
 * worst ones are shown, hale_metrics_truncated tells how many are not, and
 * hale_probes how all of them are.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "core/gate.h"
#include "core/health.h"
#include "core/histogram.h"
#include "core/ladder.h"
#include "core/link-state.h"
#include "hale/worker.h"

/* The `charset` is there because Prometheus asks for it. */
#define METRICS_PROMETHEUS_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define METRICS_OPENMETRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* Who speaks. NULL is left out. */
typedef struct MetricsIdentity {
        const char *service, *unit, *invocation_id;
        const char *hale_version, *systemd_version;
} MetricsIdentity;

/* How often one page was answered with one status. */
typedef struct MetricsRequests {
        const char *page;
        unsigned status;
        uint64_t n;
} MetricsRequests;

typedef struct MetricsPage {
        const char *name;
        const Histogram *durations;
} MetricsPage;

typedef struct MetricsHttp {
        unsigned n_connections;
        const MetricsRequests *requests;
        size_t n_requests;
        const MetricsPage *pages;
        size_t n_pages;
} MetricsHttp;

typedef struct MetricsPool {
        unsigned n_running, n_queued, n_stuck;
        uint64_t n_stuck_total;
} MetricsPool;

/* A number that could not be read is METRICS_UNKNOWN, and left out. A limit may be USEC_NEVER's
 * twin METRICS_INFINITE. */
#define METRICS_UNKNOWN (UINT64_MAX - 1)
#define METRICS_INFINITE UINT64_MAX

typedef struct MetricsProcess {
        uint64_t cpu_usec;
        uint64_t open_fds, max_fds;
        uint64_t virtual_bytes, virtual_max_bytes, resident_bytes, heap_bytes;
        uint64_t start_realtime_usec;
        uint64_t n_threads;
} MetricsProcess;

typedef struct MetricsWorker {
        const char *name;
        hale_worker_state state;
        uint64_t n_restarts;
        uint64_t n_hangs;               /* heartbeats that stayed out */
        const uint64_t *n_exits;        /* one for each of the view's @exit_words */
        uint64_t started_realtime_usec; /* of the present run; 0: there is none */
} MetricsWorker;

typedef struct MetricsLink {
        const char *name;
        LinkStatus status;
        LinkBreaker breaker;
        uint64_t n_attempts, n_connections, n_losses;
        uint64_t since_realtime_usec; /* when the state was entered; 0: unknown */
} MetricsLink;

typedef struct MetricsRemedy {
        const char *probe, *name;
        const Rung *rung;
} MetricsRemedy;

typedef struct MetricsPressure {
        const char *resource; /* "memory", "cpu", "io" */
        uint64_t n_events;
} MetricsPressure;

/* What the recorder knows. */
typedef struct MetricsRecorder {
        uint64_t n_restarts;      /* as seen at the start; METRICS_UNKNOWN */
        uint64_t n_fds;           /* that the manager keeps for us; METRICS_UNKNOWN */
        const char *previous_run; /* one word: how the last run ended; NULL: not known */
} MetricsRecorder;

#define METRICS_RECORDER_UNKNOWN                                                                   \
        { .n_restarts = METRICS_UNKNOWN, .n_fds = METRICS_UNKNOWN }

typedef struct MetricsView {
        bool openmetrics;
        MetricsIdentity identity;
        uint64_t realtime_usec; /* what to add to CLOCK_MONOTONIC for wall time */

        const Health *health;
        const Gate *gate;
        const Histogram *loop_lag;
        uint64_t n_notify_sent, n_notify_failed;
        const MetricsHttp *http; /* NULL: not served */
        MetricsPool pool;
        MetricsProcess process;
        MetricsRecorder recorder;

        const MetricsWorker *workers;
        size_t n_workers;
        const char *const *exit_words; /* how a worker can end */
        size_t n_exit_words;
        const MetricsLink *links;
        size_t n_links;
        const MetricsRemedy *remedies;
        size_t n_remedies;
        const MetricsPressure *pressures;
        size_t n_pressures;
} MetricsView;

/* Returns 0, -ENOMEM, or -E2BIG past the bound of @text. */
int metrics_write(Text *text, const MetricsView *view);
