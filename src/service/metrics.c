/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What the metrics are fed from
 *
 * Collects a view of what the rooms keep, and has it written. The numbers of the
 * process are read here, once a second at most; all others lie ready.
 */

#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "report/metrics.h"
#include "service/link.h"
#include "service/remedy.h"
#include "service/worker.h"

/* The process' numbers may be this old. */
#define PROCESS_AGE_USEC USEC_PER_SEC

/* systemd.unit(5): 255 characters at most. */
#define UNIT_NAME_SIZE 256

static_assert(PROCESS_UNKNOWN == METRICS_UNKNOWN && PROCESS_INFINITE == METRICS_INFINITE,
              "check and report do not know each other, but speak the same");

static const unsigned page_statuses[] = { 200, 404, 429, 500, 503 };

static_assert(ELEMENTSOF(page_statuses) == PAGE_STATUSES, "a status is not counted");

void metrics_count_answer(Metrics *metrics,
                          size_t index,
                          const char *name,
                          unsigned status,
                          uint64_t usec) {
        PageCount *page;
        size_t i = 0;

        assert(metrics);
        assert(index < PAGES_MAX);

        page = &metrics->pages[index];
        while (i + 1 < PAGE_STATUSES && page_statuses[i] != status)
                i++;

        assert(page_statuses[i] == status);
        page->name = name;
        page->n_answers[i]++;
        histogram_note(&page->durations, usec);
}

/* What is collected for one document; the view points into it. */
typedef struct Collection {
        MetricsView view;
        char unit[UNIT_NAME_SIZE];
        MetricsHttp http;
        MetricsPage pages[PAGES_MAX];
        MetricsRequests requests[PAGES_MAX * PAGE_STATUSES + HTTP_STATUS_DOCUMENTS];
        MetricsPressure pressure;
        MetricsWorker *workers;
        MetricsLink *links;
        MetricsRemedy *remedies;
} Collection;

static void collection_done(Collection *collection) {
        free(collection->workers);
        free(collection->links);
        free(collection->remedies);
}

static void
collect_requests(Collection *collection, const char *page, unsigned status, uint64_t n) {
        if (n > 0)
                collection->requests[collection->http.n_requests++] =
                        (MetricsRequests){ .page = page, .status = status, .n = n };
}

static void collect_http(Collection *collection, const hale_service *service) {
        MetricsHttp *http = &collection->http;
        const HttpCounters *counters = http_server_get_counters(&service->http);

        *http = (MetricsHttp){
                .n_connections = counters->n_connections,
                .requests = collection->requests,
                .pages = collection->pages,
        };

        for (size_t i = 0; i < PAGES_MAX; i++) {
                const PageCount *page = &service->metrics.pages[i];

                if (!page->name)
                        continue;
                collection->pages[http->n_pages++] =
                        (MetricsPage){ .name = page->name, .durations = &page->durations };
                for (size_t j = 0; j < PAGE_STATUSES; j++)
                        collect_requests(collection, page->name, page_statuses[j],
                                         page->n_answers[j]);
        }

        /* What the parser refused never came to a page. */
        for (size_t i = 0; i < HTTP_STATUS_DOCUMENTS; i++)
                collect_requests(collection, "refused", http_server_refusal_status(i),
                                 counters->n_refusals[i]);

        collection->view.http = http;
}

static void collect_pool(MetricsPool *ret, const hale_service *service) {
        PoolStats stats = {};

        pool_get_stats(&service->pool, &stats);
        *ret = (MetricsPool){
                .n_running = stats.n_running,
                .n_queued = stats.n_queued,
                .n_stuck = stats.n_abandoned,
                .n_stuck_total = stats.n_abandoned_total,
        };
}

static void collect_process(MetricsProcess *ret, hale_service *service, uint64_t now_usec) {
        Metrics *metrics = &service->metrics;
        const ProcessNumbers *numbers = &metrics->process;

        if (metrics->process_usec == 0 || now_usec - metrics->process_usec >= PROCESS_AGE_USEC) {
                process_numbers_read(&metrics->process, "/proc/self");
                metrics->process_usec = now_usec;
        }

        *ret = (MetricsProcess){
                .cpu_usec = numbers->cpu_usec,
                .open_fds = numbers->open_fds,
                .max_fds = numbers->max_fds,
                .virtual_bytes = numbers->virtual_bytes,
                .virtual_max_bytes = numbers->virtual_max_bytes,
                .resident_bytes = numbers->resident_bytes,
                .heap_bytes = numbers->heap_bytes,
                .start_realtime_usec = numbers->start_realtime_usec,
                .n_threads = numbers->n_threads,
        };
}

static int collect_workers(Collection *collection, const hale_service *service) {
        const struct Workers *workers = service->workers;
        const hale_worker *worker;
        size_t n = 0;

        if (!workers || workers->n_workers == 0)
                return 0;

        collection->workers = calloc(workers->n_workers, sizeof(MetricsWorker));
        if (!collection->workers)
                return -ENOMEM;

        TAILQ_FOREACH (worker, &workers->list, link) {
                uint64_t started_usec = worker->restart.started_usec;

                collection->workers[n++] = (MetricsWorker){
                        .name = worker->name,
                        .state = worker->state,
                        .n_restarts = worker->restart.n_total,
                        .n_hangs = worker->n_hangs,
                        .n_exits = worker->n_exits,
                        .started_realtime_usec =
                                started_usec == USEC_NEVER || started_usec == 0
                                        ? 0
                                        : usec_add(started_usec, service->realtime_usec),
                };
        }

        collection->view.workers = collection->workers;
        collection->view.n_workers = n;
        collection->view.exit_words = exit_words;
        collection->view.n_exit_words = _EXIT_WORD_MAX;
        return 0;
}

static int collect_links(Collection *collection, const hale_service *service, uint64_t now_usec) {
        const hale_link *link;
        size_t n = 0;

        if (service->n_links == 0)
                return 0;

        collection->links = calloc(service->n_links, sizeof(MetricsLink));
        if (!collection->links)
                return -ENOMEM;

        TAILQ_FOREACH (link, &service->links, entry) {
                const LinkState *state = &link->link.state;

                collection->links[n++] = (MetricsLink){
                        .name = link->name,
                        .status = state->status,
                        .breaker = link_state_breaker(state, now_usec),
                        .n_attempts = state->n_attempts_total,
                        .n_connections = state->n_ups,
                        .n_losses = state->n_losses,
                        .since_realtime_usec =
                                state->active ? usec_add(state->since_usec, service->realtime_usec)
                                              : 0,
                };
        }

        collection->view.links = collection->links;
        collection->view.n_links = n;
        return 0;
}

/* Adds the ladder of one probe, as far as there is room. */
static void collect_ladder(Collection *collection, const hale_probe *probe, size_t n_max) {
        const struct Remedies *remedies = probe->remedies;
        size_t *n = &collection->view.n_remedies;

        for (unsigned i = 0; i < remedies->ladder.n_rungs && *n < n_max; i++)
                collection->remedies[(*n)++] = (MetricsRemedy){
                        .probe = probe->name,
                        .name = remedies->rungs[i]->name,
                        .rung = &remedies->ladder.rungs[i],
                };
}

static int collect_remedies(Collection *collection, const hale_service *service) {
        unsigned n_ladders = service->metrics.n_ladders;
        size_t n_max = MIN((size_t)n_ladders * RUNGS_MAX, (size_t)METRICS_REMEDIES_MAX);
        const HealthProbe *health;

        if (n_ladders == 0)
                return 0;

        collection->remedies = calloc(n_max, sizeof(MetricsRemedy));
        if (!collection->remedies)
                return -ENOMEM;

        TAILQ_FOREACH (health, &service->health.probes, link) {
                const hale_probe *probe = health->owner;

                if (!probe->remedies)
                        continue;
                collect_ladder(collection, probe, n_max);
                if (--n_ladders == 0)
                        break;
        }

        collection->view.remedies = collection->remedies;
        return 0;
}

/* Where nobody tells us, nothing is said: 0 would claim that there was none. */
static void collect_pressure(Collection *collection, const Metrics *metrics) {
        if (metrics->n_memory_watches == 0)
                return;

        collection->pressure = (MetricsPressure){ "memory", metrics->n_memory_pressures };
        collection->view.pressures = &collection->pressure;
        collection->view.n_pressures = 1;
}

static void collect_identity(Collection *collection, const hale_service *service) {
        const ReportIdentity *identity = &service->identity;

        /* Of the kernel, and so of anybody: the writer counts on UTF-8. */
        if (identity->unit)
                (void)str_sanitize(identity->unit, collection->unit, sizeof(collection->unit));

        collection->view.identity = (MetricsIdentity){
                .service = identity->service,
                .unit = identity->unit ? collection->unit : NULL,
                .invocation_id = identity->invocation_id,
                .hale_version = identity->hale_version,
                .systemd_version = LIBSYSTEMD_VERSION,
        };
}

/* Only what came back is surely kept: FileDescriptorStoreMax=0 is not told before systemd 254,
 * which has $FDSTORE. What is not known to be kept is no restart count either. */
static uint64_t kept_fds(const Record *record) {
        return record->passed || (record->kept && getenv("FDSTORE")) ? 1 : METRICS_UNKNOWN;
}

static void collect_recorder(MetricsRecorder *ret, const hale_service *service) {
        const Record *record = &service->record;
        const PreviousRun *previous = record->previous;

        *ret = (MetricsRecorder){
                .n_restarts = previous                              ? previous->n_restarts
                              : kept_fds(record) == METRICS_UNKNOWN ? METRICS_UNKNOWN
                                                                    : 0,
                .n_fds = kept_fds(record),
                .previous_run = previous ? run_end_to_string(previous->end) : NULL,
        };
}

int service_write_metrics(hale_service *service, bool openmetrics, Text *text) {
        _cleanup_(collection_done) Collection collection = {};
        MetricsView *view = &collection.view;
        uint64_t now_usec = service_now();
        int r;

        *view = (MetricsView){
                .openmetrics = openmetrics,
                .realtime_usec = service->realtime_usec,
                .health = &service->health,
                .gate = &service->gate,
                .loop_lag = &service->lag.histogram,
                .n_notify_sent = service->notify.n_sent,
                .n_notify_failed = service->notify.n_failed,
        };
        collect_identity(&collection, service);
        if (service->http_open)
                collect_http(&collection, service);
        collect_recorder(&view->recorder, service);
        collect_pool(&view->pool, service);
        collect_pressure(&collection, &service->metrics);
        collect_process(&view->process, service, now_usec);
        r = collect_workers(&collection, service);
        if (r >= 0)
                r = collect_links(&collection, service, now_usec);
        if (r >= 0)
                r = collect_remedies(&collection, service);
        if (r < 0)
                return r;

        return metrics_write(text, view);
}
