/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The metrics of the service as a whole
 */

#include <stdio.h>

#include "report/metrics-private.h"

/* clang-format off */
static const MetricsFamily build_info = {
        METRICS_INFO, "hale_build", NULL,
        "What the service was built with.",
};
static const MetricsFamily service_info = {
        METRICS_INFO, "hale_service", NULL,
        "Which service this is.",
};
static const MetricsFamily health_status = {
        METRICS_STATESET, "hale_health_status", NULL,
        "The health of the service.",
};
static const MetricsFamily live = {
        METRICS_GAUGE, "hale_live", NULL,
        "Whether the service is live: no live probe fails or is stale.",
};
static const MetricsFamily ready = {
        METRICS_GAUGE, "hale_ready", NULL,
        "Whether the service is ready: it may be sent work.",
};
static const MetricsFamily maintenance = {
        METRICS_GAUGE, "hale_maintenance", NULL,
        "Whether an operator has closed the service on purpose.",
};
static const MetricsFamily rehearsal = {
        METRICS_GAUGE, "hale_rehearsal", NULL,
        "Whether something is broken on purpose just now.",
};
static const MetricsFamily transitions = {
        METRICS_COUNTER, "hale_status_transitions", NULL,
        "How often the health of the service went from one status to another.",
};
static const MetricsFamily watchdog_enabled = {
        METRICS_GAUGE, "hale_watchdog_enabled", NULL,
        "Whether the service manager expects pings.",
};
static const MetricsFamily watchdog_gate_open = {
        METRICS_GAUGE, "hale_watchdog_gate_open", NULL,
        "Whether pings may be sent: 0 means that the service will be restarted.",
};
static const MetricsFamily watchdog_timeout = {
        METRICS_GAUGE, "hale_watchdog_timeout_seconds", "seconds",
        "How long the service manager waits for a ping.",
};
static const MetricsFamily watchdog_last_ping = {
        METRICS_GAUGE, "hale_watchdog_last_ping_timestamp_seconds", "seconds",
        "When the last ping was sent.",
};
static const MetricsFamily watchdog_pings = {
        METRICS_COUNTER, "hale_watchdog_pings", NULL,
        "Pings sent to the service manager.",
};
static const MetricsFamily watchdog_withheld = {
        METRICS_COUNTER, "hale_watchdog_withheld", NULL,
        "Pings that were due and not sent because the service was not live.",
};
static const MetricsFamily watchdog_triggers = {
        METRICS_COUNTER, "hale_watchdog_triggers", NULL,
        "How often the service manager was asked to act at once.",
};
static const MetricsFamily loop_lag = {
        METRICS_HISTOGRAM, "hale_event_loop_lag_seconds", "seconds",
        "How late the event loop was.",
};
static const MetricsFamily notify_messages = {
        METRICS_COUNTER, "hale_notify_messages", NULL,
        "Datagrams sent to the service manager.",
};
static const MetricsFamily notify_errors = {
        METRICS_COUNTER, "hale_notify_errors", NULL,
        "Attempts to send to the service manager that failed.",
};
static const MetricsFamily http_requests = {
        METRICS_COUNTER, "hale_http_requests", NULL,
        "HTTP requests answered.",
};
static const MetricsFamily http_durations = {
        METRICS_HISTOGRAM, "hale_http_request_duration_seconds", "seconds",
        "Time that it took to make the answer; none for one that lay ready.",
};
static const MetricsFamily http_connections = {
        METRICS_GAUGE, "hale_http_connections", NULL,
        "HTTP connections that are open.",
};
static const MetricsFamily pool_busy = {
        METRICS_GAUGE, "hale_dns_workers_busy", NULL,
        "Threads that resolve names or run other calls that block.",
};
static const MetricsFamily pool_queued = {
        METRICS_GAUGE, "hale_pool_queued", NULL,
        "Blocking calls that wait for a thread.",
};
static const MetricsFamily pool_stuck = {
        METRICS_GAUGE, "hale_pool_stuck", NULL,
        "Threads given up because their calls do not return.",
};
static const MetricsFamily pool_stuck_total = {
        METRICS_COUNTER, "hale_pool_abandoned", NULL,
        "Blocking calls that took too long and were given up.",
};
static const MetricsFamily pressure_events = {
        METRICS_COUNTER, "hale_pressure_events", NULL,
        "How often the kernel reported pressure.",
};
static const MetricsFamily restarts = {
        METRICS_GAUGE, "hale_restarts", NULL,
        "How often the service had been restarted when it started, after ends that were not meant.",
};
static const MetricsFamily fdstore_fds = {
        METRICS_GAUGE, "hale_fdstore_fds", NULL,
        "Descriptors that the service manager keeps over restarts.",
};
static const MetricsFamily previous_run = {
        METRICS_INFO, "hale_previous_run", NULL,
        "How the run before this one ended.",
};

/* In the order of hale_status, and as the documents name them. */
static const hale_status statuses[] = { HALE_UNKNOWN, HALE_PASS, HALE_WARN, HALE_FAIL };
/* clang-format on */

static void write_identity(MetricsWriter *writer, const MetricsView *view) {
        const MetricsIdentity *identity = &view->identity;

        metrics_begin(writer, &build_info);
        metrics_number(writer,
                       (MetricsLabel[]){
                               { "version", identity->hale_version },
                               { "libsystemd", identity->systemd_version },
                       },
                       2, 1);

        metrics_begin(writer, &service_info);
        metrics_number(writer,
                       (MetricsLabel[]){
                               { "service", identity->service },
                               { "unit", identity->unit },
                               { "invocation_id", identity->invocation_id },
                       },
                       3, 1);
}

static void write_transitions(MetricsWriter *writer, const Health *health) {
        metrics_begin(writer, &transitions);
        for (size_t i = 0; i < ELEMENTSOF(statuses); i++)
                for (size_t j = 0; j < ELEMENTSOF(statuses); j++) {
                        const MetricsLabel labels[] = {
                                { "from", hale_status_to_string(statuses[i]) },
                                { "to", hale_status_to_string(statuses[j]) },
                        };

                        /* The whole is never unknown. */
                        if (i == j || statuses[i] == HALE_UNKNOWN || statuses[j] == HALE_UNKNOWN)
                                continue;
                        metrics_number(writer, labels, ELEMENTSOF(labels),
                                       health->n_transitions[statuses[i]][statuses[j]]);
                }
}

static void write_health(MetricsWriter *writer, const Health *health) {
        const HealthSummary *summary = &health->summary;
        const char *names[ELEMENTSOF(statuses)];

        for (size_t i = 0; i < ELEMENTSOF(statuses); i++)
                names[i] = hale_status_to_string(statuses[i]);

        metrics_begin(writer, &health_status);
        metrics_states(writer, NULL, names, ELEMENTSOF(names), summary->status);
        metrics_one(writer, &live, summary->live);
        metrics_one(writer, &ready, summary->ready);
        metrics_one(writer, &maintenance, health->maintenance);
        metrics_one(writer, &rehearsal, health_is_rehearsing(health));
        write_transitions(writer, health);
}

static void write_watchdog(MetricsWriter *writer, const MetricsView *view) {
        const Gate *gate = view->gate;
        bool enabled = gate->config.watchdog_usec > 0;

        metrics_one(writer, &watchdog_enabled, enabled);
        metrics_one(writer, &watchdog_gate_open, gate->state == GATE_OPEN);
        if (enabled)
                metrics_one_time(writer, &watchdog_timeout, gate->config.watchdog_usec);
        if (gate->last_ping_usec > 0)
                metrics_one_time(writer, &watchdog_last_ping,
                                 usec_add(gate->last_ping_usec, view->realtime_usec));
        metrics_one(writer, &watchdog_pings, gate->n_pings);
        metrics_one(writer, &watchdog_withheld, gate->n_withheld);
        metrics_one(writer, &watchdog_triggers, gate->n_triggers);
}

static void write_http(MetricsWriter *writer, const MetricsHttp *http) {
        char status[8];

        metrics_one(writer, &http_connections, http->n_connections);

        metrics_begin(writer, &http_requests);
        for (size_t i = 0; i < http->n_requests; i++) {
                (void)snprintf(status, sizeof(status), "%u", http->requests[i].status);
                metrics_number(writer,
                               (MetricsLabel[]){
                                       { "code", status },
                                       { "handler", http->requests[i].page },
                               },
                               2, http->requests[i].n);
        }

        metrics_begin(writer, &http_durations);
        for (size_t i = 0; i < http->n_pages; i++)
                metrics_histogram(writer, &(MetricsLabel){ "handler", http->pages[i].name },
                                  http->pages[i].durations);
}

static void write_pool(MetricsWriter *writer, const MetricsPool *pool) {
        metrics_one(writer, &pool_busy, pool->n_running);
        metrics_one(writer, &pool_queued, pool->n_queued);
        metrics_one(writer, &pool_stuck, pool->n_stuck);
        metrics_one(writer, &pool_stuck_total, pool->n_stuck_total);
}

static void write_pressure(MetricsWriter *writer, const MetricsView *view) {
        metrics_begin(writer, &pressure_events);
        for (size_t i = 0; i < view->n_pressures; i++)
                metrics_number(writer, &(MetricsLabel){ "resource", view->pressures[i].resource },
                               1, view->pressures[i].n_events);
}

static void write_recorder(MetricsWriter *writer, const MetricsRecorder *recorder) {
        if (recorder->n_restarts != METRICS_UNKNOWN)
                metrics_one(writer, &restarts, recorder->n_restarts);
        if (recorder->n_fds != METRICS_UNKNOWN)
                metrics_one(writer, &fdstore_fds, recorder->n_fds);
        if (!recorder->previous_run)
                return;

        metrics_begin(writer, &previous_run);
        metrics_number(writer, &(MetricsLabel){ "result", recorder->previous_run }, 1, 1);
}

void metrics_write_service(MetricsWriter *writer, const MetricsView *view) {
        write_identity(writer, view);
        write_health(writer, view->health);
        write_watchdog(writer, view);
        metrics_begin(writer, &loop_lag);
        metrics_histogram(writer, NULL, view->loop_lag);
        metrics_one(writer, &notify_messages, view->n_notify_sent);
        metrics_one(writer, &notify_errors, view->n_notify_failed);
        if (view->http)
                write_http(writer, view->http);
        write_pool(writer, &view->pool);
        write_pressure(writer, view);
        write_recorder(writer, &view->recorder);
}
