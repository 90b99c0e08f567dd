/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The metrics of what heals: workers, links and remedies
 */

#include "report/metrics-private.h"

/* clang-format off */
static const MetricsFamily worker_state = {
        METRICS_STATESET, "hale_worker_state", NULL,
        "What the worker is doing.",
};
static const MetricsFamily worker_restarts = {
        METRICS_COUNTER, "hale_worker_restarts", NULL,
        "How often the worker was started again.",
};
static const MetricsFamily worker_hangs = {
        METRICS_COUNTER, "hale_worker_hangs", NULL,
        "How often the worker missed its heartbeat.",
};
static const MetricsFamily worker_exits = {
        METRICS_COUNTER, "hale_worker_exits", NULL,
        "How often the worker ended, and how.",
};
static const MetricsFamily worker_start = {
        METRICS_GAUGE, "hale_worker_start_timestamp_seconds", "seconds",
        "When the present run of the worker began.",
};
static const MetricsFamily link_state = {
        METRICS_STATESET, "hale_link_state", NULL,
        "Whether the link is up.",
};
static const MetricsFamily link_breaker = {
        METRICS_STATESET, "hale_link_breaker", NULL,
        "Whether the breaker of the link holds attempts back.",
};
static const MetricsFamily link_attempts = {
        METRICS_COUNTER, "hale_link_attempts", NULL,
        "Attempts to connect.",
};
static const MetricsFamily link_connections = {
        METRICS_COUNTER, "hale_link_connections", NULL,
        "How often the link came up.",
};
static const MetricsFamily link_losses = {
        METRICS_COUNTER, "hale_link_losses", NULL,
        "How often the link was lost after it had been up.",
};
static const MetricsFamily link_since = {
        METRICS_GAUGE, "hale_link_state_timestamp_seconds", "seconds",
        "When the link entered its present state.",
};
static const MetricsFamily remedy_runs = {
        METRICS_COUNTER, "hale_remedy_runs", NULL,
        "Repairs, and what came of them.",
};
static const MetricsFamily remedy_refusals = {
        METRICS_COUNTER, "hale_remedy_refusals", NULL,
        "Repairs that were due and not made, as they had been made too often of late.",
};

static const char *const worker_states[] = {
        [HALE_WORKER_WAITING]  = "waiting",
        [HALE_WORKER_STARTING] = "starting",
        [HALE_WORKER_RUNNING]  = "running",
        [HALE_WORKER_STOPPING] = "stopping",
        [HALE_WORKER_ENDED]    = "ended",
        [HALE_WORKER_FAILED]   = "failed",
};
/* clang-format on */

static_assert(ELEMENTSOF(worker_states) == HALE_WORKER_FAILED + 1, "a state lacks its name");

/* A family with one sample a worker: how it is written, and where its value is. */
static void
write_workers(MetricsWriter *writer,
              const MetricsView *view,
              const MetricsFamily *family,
              void (*write)(MetricsWriter *, const MetricsLabel *, const MetricsWorker *)) {
        metrics_begin(writer, family);
        for (size_t i = 0; i < view->n_workers; i++)
                write(writer, &(MetricsLabel){ "worker", view->workers[i].name },
                      &view->workers[i]);
}

static void
write_worker_state(MetricsWriter *writer, const MetricsLabel *label, const MetricsWorker *worker) {
        metrics_states(writer, label, worker_states, ELEMENTSOF(worker_states), worker->state);
}

static void write_worker_restarts(MetricsWriter *writer,
                                  const MetricsLabel *label,
                                  const MetricsWorker *worker) {
        metrics_number(writer, label, 1, worker->n_restarts);
}

static void
write_worker_hangs(MetricsWriter *writer, const MetricsLabel *label, const MetricsWorker *worker) {
        if (worker->n_hangs != METRICS_UNKNOWN)
                metrics_number(writer, label, 1, worker->n_hangs);
}

static void
write_worker_start(MetricsWriter *writer, const MetricsLabel *label, const MetricsWorker *worker) {
        if (worker->started_realtime_usec > 0)
                metrics_seconds(writer, label, 1, worker->started_realtime_usec);
}

static void write_worker_exits(MetricsWriter *writer, const MetricsView *view) {
        metrics_begin(writer, &worker_exits);
        for (size_t i = 0; i < view->n_workers; i++)
                for (size_t j = 0; j < view->n_exit_words; j++)
                        metrics_number(writer,
                                       (MetricsLabel[]){
                                               { "worker", view->workers[i].name },
                                               { "reason", view->exit_words[j] },
                                       },
                                       2, view->workers[i].n_exits[j]);
}

static void write_links(MetricsWriter *writer,
                        const MetricsView *view,
                        const MetricsFamily *family,
                        void (*write)(MetricsWriter *, const MetricsLabel *, const MetricsLink *)) {
        metrics_begin(writer, family);
        for (size_t i = 0; i < view->n_links; i++)
                write(writer, &(MetricsLabel){ "link", view->links[i].name }, &view->links[i]);
}

static void
write_link_state(MetricsWriter *writer, const MetricsLabel *label, const MetricsLink *link) {
        const char *names[_LINK_STATUS_MAX];

        for (unsigned i = 0; i < _LINK_STATUS_MAX; i++)
                names[i] = link_status_to_string((LinkStatus)i);

        metrics_states(writer, label, names, ELEMENTSOF(names), link->status);
}

static void
write_link_breaker(MetricsWriter *writer, const MetricsLabel *label, const MetricsLink *link) {
        const char *names[_LINK_BREAKER_MAX];

        for (unsigned i = 0; i < _LINK_BREAKER_MAX; i++)
                names[i] = link_breaker_to_string((LinkBreaker)i);

        metrics_states(writer, label, names, ELEMENTSOF(names), link->breaker);
}

static void
write_link_attempts(MetricsWriter *writer, const MetricsLabel *label, const MetricsLink *link) {
        metrics_number(writer, label, 1, link->n_attempts);
}

static void
write_link_connections(MetricsWriter *writer, const MetricsLabel *label, const MetricsLink *link) {
        metrics_number(writer, label, 1, link->n_connections);
}

static void
write_link_losses(MetricsWriter *writer, const MetricsLabel *label, const MetricsLink *link) {
        metrics_number(writer, label, 1, link->n_losses);
}

static void
write_link_since(MetricsWriter *writer, const MetricsLabel *label, const MetricsLink *link) {
        if (link->since_realtime_usec > 0)
                metrics_seconds(writer, label, 1, link->since_realtime_usec);
}

static void write_remedy_runs(MetricsWriter *writer, const MetricsRemedy *remedy) {
        for (unsigned i = 0; i < _RUNG_OUTCOME_MAX; i++)
                metrics_number(writer,
                               (MetricsLabel[]){
                                       { "probe", remedy->probe },
                                       { "remedy", remedy->name },
                                       { "result", rung_outcome_to_string((RungOutcome)i) },
                               },
                               3, remedy->rung->n_outcomes[i]);
}

static void write_remedy_refusals(MetricsWriter *writer, const MetricsRemedy *remedy) {
        const struct {
                const char *reason;
                uint64_t n;
        } rows[] = {
                { "cooldown", remedy->rung->n_refused_cooldown },
                { "budget", remedy->rung->n_refused_budget },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                metrics_number(writer,
                               (MetricsLabel[]){
                                       { "probe", remedy->probe },
                                       { "remedy", remedy->name },
                                       { "reason", rows[i].reason },
                               },
                               3, rows[i].n);
}

static void write_remedies(MetricsWriter *writer, const MetricsView *view) {
        metrics_begin(writer, &remedy_runs);
        for (size_t i = 0; i < view->n_remedies; i++)
                write_remedy_runs(writer, &view->remedies[i]);

        metrics_begin(writer, &remedy_refusals);
        for (size_t i = 0; i < view->n_remedies; i++)
                write_remedy_refusals(writer, &view->remedies[i]);
}

void metrics_write_heal(MetricsWriter *writer, const MetricsView *view) {
        write_workers(writer, view, &worker_state, write_worker_state);
        write_workers(writer, view, &worker_restarts, write_worker_restarts);
        write_workers(writer, view, &worker_hangs, write_worker_hangs);
        write_worker_exits(writer, view);
        write_workers(writer, view, &worker_start, write_worker_start);

        write_links(writer, view, &link_state, write_link_state);
        write_links(writer, view, &link_breaker, write_link_breaker);
        write_links(writer, view, &link_attempts, write_link_attempts);
        write_links(writer, view, &link_connections, write_link_connections);
        write_links(writer, view, &link_losses, write_link_losses);
        write_links(writer, view, &link_since, write_link_since);

        write_remedies(writer, view);
}
