/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "report/json-history.h"
#include "report/metrics.h"
#include "report/text.h"
#include "service/service.h"

#define TEXT_TYPE "text/plain; charset=utf-8"

/* New outputs and values without a new verdict may be this old on a page. */
#define DOCUMENT_AGE_USEC USEC_PER_SEC

void documents_done(Documents *documents) {
        for (size_t i = 0; i < ELEMENTSOF(documents->cached); i++)
                for (size_t j = 0; j < _DOCUMENT_KIND_MAX; j++)
                        (void)http_document_unref(documents->cached[i][j].document);

        *documents = (Documents){};
}

/* Until the probe that closes the gate is asked again, there is no sense in coming back. */
static unsigned retry_after_sec(const HealthProbe *culprit, uint64_t now_usec) {
        uint64_t usec = USEC_PER_SEC;

        if (culprit && culprit->state.due_usec != USEC_NEVER)
                usec = usec_sub(culprit->state.due_usec, now_usec);

        return (unsigned)CLAMP((usec + USEC_PER_SEC - 1) / USEC_PER_SEC, 1U, 3600U);
}

static int document_new(HttpDocument **ret,
                        unsigned status,
                        const char *type,
                        const HealthProbe *culprit,
                        const Text *text) {
        char fields[64] = "";

        if (status == 503)
                (void)snprintf(fields, sizeof(fields), "Retry-After: %u\r\n",
                               retry_after_sec(culprit, service_now()));

        return http_document_new(ret, status, type, fields[0] ? fields : NULL,
                                 text->data ? text->data : "", text->length);
}

/* How long a page is in the making, for the metrics: what lies ready takes no time to speak of, and
 * is not worth two looks at the clock. */
typedef struct Making {
        hale_service *service;
        uint64_t begun_usec;
} Making;

static Making making_begin(hale_service *service) {
        return (Making){ .service = service, .begun_usec = service_now() };
}

static void making_end(Making *making) {
        making->service->documents.making_usec += usec_sub(service_now(), making->begun_usec);
}

#define MAKING(service) _cleanup_(making_end) _unused_ Making making = making_begin(service)

static JsonView json_view(const hale_service *service, bool details) {
        return (JsonView){
                .identity = &service->identity,
                .realtime_usec = clock_now_usec(CLOCK_REALTIME),
                .details = details,
                .previous_run = service->record.previous_json,
        };
}

static int make_gate(hale_service *service, const TextQuery *query, HttpDocument **ret) {
        MAKING(service);
        _cleanup_(text_done) Text text = { .max = HTTP_DOCUMENT_MAX };
        bool open;

        open = text_write_gate(&text, &service->health, query);
        if (text.error < 0)
                return text.error;

        return document_new(ret, open ? 200 : 503, TEXT_TYPE,
                            open ? NULL : health_culprit(&service->health, query->gate), &text);
}

int documents_make_gate(hale_service *service,
                        hale_gate gate,
                        bool details,
                        const char *const *excludes,
                        size_t n_excludes,
                        HttpDocument **ret) {
        const TextQuery query = {
                .gate = gate,
                .verbose = true,
                .details = details,
                .excludes = excludes,
                .n_excludes = n_excludes,
        };

        return make_gate(service, &query, ret);
}

int documents_make_probe(hale_service *service,
                         HealthProbe *probe,
                         hale_gate gate,
                         bool verbose,
                         bool details,
                         HttpDocument **ret) {
        MAKING(service);
        _cleanup_(text_done) Text text = { .max = HTTP_DOCUMENT_MAX };
        const TextQuery query = { .gate = gate, .verbose = verbose, .details = details };
        const hale_probe *owner = probe->owner;
        bool open;

        /* A worker closes `live` only when restarting it is of no use any more. */
        open = owner->is_worker && gate == HALE_GATE_LIVE ? probe->state.verdict != HALE_FAIL
                                                          : health_probe_passes(probe, gate);
        text_write_probe(&text, &service->health, probe, &query, open);
        if (text.error < 0)
                return text.error;

        return document_new(ret, open ? 200 : 503, TEXT_TYPE, open ? NULL : probe, &text);
}

static unsigned status_code(hale_status status, unsigned warn) {
        return status == HALE_FAIL ? 503 : status == HALE_WARN ? warn : 200;
}

int documents_make_health(hale_service *service,
                          bool details,
                          bool actuator,
                          unsigned warn,
                          HttpDocument **ret) {
        MAKING(service);
        _cleanup_(text_done) Text text = { .max = HTTP_DOCUMENT_MAX };
        const JsonView view = json_view(service, details);
        const Health *health = &service->health;
        int r;

        r = actuator ? json_write_actuator(&text, health, HALE_GATE_NONE, &view)
                     : json_write_health(&text, health, &view);
        if (r < 0)
                return r;

        return document_new(ret, status_code(health->summary.status, warn),
                            actuator ? ACTUATOR_JSON_TYPE : HEALTH_JSON_TYPE,
                            health_culprit(health, HALE_GATE_READY), &text);
}

int documents_make_group(hale_service *service, hale_gate gate, bool details, HttpDocument **ret) {
        MAKING(service);
        _cleanup_(text_done) Text text = { .max = HTTP_DOCUMENT_MAX };
        const HealthSummary *summary = &service->health.summary;
        const JsonView view = json_view(service, details);
        bool open = gate == HALE_GATE_LIVE ? summary->live : summary->ready;
        int r;

        r = json_write_actuator(&text, &service->health, gate, &view);
        if (r < 0)
                return r;

        return document_new(ret, open ? 200 : 503, ACTUATOR_JSON_TYPE,
                            health_culprit(&service->health, gate), &text);
}

/* The page of one probe fails when the probe does, whatever it gates. */
static hale_status probe_status(const HealthProbe *probe) {
        if (!health_probe_passes(probe, HALE_GATE_LIVE) ||
            !health_probe_passes(probe, HALE_GATE_READY) ||
            !health_probe_passes(probe, HALE_GATE_STARTUP))
                return HALE_FAIL;

        return probe->state.verdict == HALE_UNKNOWN ? HALE_WARN : probe->state.verdict;
}

int documents_make_health_probe(hale_service *service,
                                HealthProbe *probe,
                                bool details,
                                unsigned warn,
                                HttpDocument **ret) {
        MAKING(service);
        _cleanup_(text_done) Text text = { .max = HTTP_DOCUMENT_MAX };
        const JsonView view = json_view(service, details);
        int r;

        r = json_write_health_probe(&text, &service->health, probe, &view);
        if (r < 0)
                return r;

        return document_new(ret, status_code(probe_status(probe), warn), HEALTH_JSON_TYPE, probe,
                            &text);
}

static int make_metrics(hale_service *service, bool openmetrics, HttpDocument **ret) {
        MAKING(service);
        _cleanup_(text_done) Text text = { .max = HTTP_DOCUMENT_MAX };
        int r;

        r = service_write_metrics(service, openmetrics, &text);
        if (r < 0)
                return r;

        return document_new(ret, 200,
                            openmetrics ? METRICS_OPENMETRICS_TYPE : METRICS_PROMETHEUS_TYPE, NULL,
                            &text);
}

static int make_history(hale_service *service, bool details, HttpDocument **ret) {
        MAKING(service);
        _cleanup_free_ RecorderEntry *entries = NULL;
        _cleanup_(text_done) Text text = { .max = HTTP_DOCUMENT_MAX };
        const JsonView view = json_view(service, details);
        HistoryView history = { .state = &service->record.state };
        int r;

        entries = calloc(RECORDER_ENTRIES_MAX, sizeof(*entries));
        if (!entries)
                return -ENOMEM;

        if (service->record.recorder.area)
                history.n_entries = recorder_read_entries(service->record.recorder.area, entries);
        history.entries = entries;
        r = json_write_history(&text, &service->health, &history, &view);
        if (r < 0)
                return r;

        return document_new(ret, 200, "application/json", NULL, &text);
}

static int make_ping(HttpDocument **ret) {
        return http_document_new(ret, 200, TEXT_TYPE, NULL, "pong\n", strlen("pong\n"));
}

/* clang-format off */
static const struct {
        hale_gate gate;
        bool verbose;
} gate_documents[] = {
        [DOCUMENT_LIVEZ]            = { HALE_GATE_LIVE,    false },
        [DOCUMENT_READYZ]           = { HALE_GATE_READY,   false },
        [DOCUMENT_STARTUPZ]         = { HALE_GATE_STARTUP, false },
        [DOCUMENT_LIVEZ_VERBOSE]    = { HALE_GATE_LIVE,    true  },
        [DOCUMENT_READYZ_VERBOSE]   = { HALE_GATE_READY,   true  },
        [DOCUMENT_STARTUPZ_VERBOSE] = { HALE_GATE_STARTUP, true  },
};
/* clang-format on */

/* Beside the health the metrics show numbers that change all the time: once a second will do. */
static bool is_metrics(DocumentKind kind) {
        return kind == DOCUMENT_METRICS || kind == DOCUMENT_OPENMETRICS;
}

static int make(hale_service *service, DocumentKind kind, bool details, HttpDocument **ret) {
        if (kind == DOCUMENT_PING)
                return make_ping(ret);
        if (kind == DOCUMENT_HEALTH || kind == DOCUMENT_ACTUATOR)
                return documents_make_health(service, details, kind == DOCUMENT_ACTUATOR, 200, ret);
        if (kind == DOCUMENT_HISTORY)
                return make_history(service, details, ret);
        if (is_metrics(kind))
                return make_metrics(service, kind == DOCUMENT_OPENMETRICS, ret);

        const TextQuery query = {
                .gate = gate_documents[kind].gate,
                .verbose = gate_documents[kind].verbose,
                .details = details,
        };
        return make_gate(service, &query, ret);
}

static bool
is_current(const hale_service *service, DocumentKind kind, const CachedDocument *cached) {
        if (!cached->document)
                return false;
        if (kind == DOCUMENT_PING)
                return true;
        if (cached->revision != service->health.revision)
                return false;
        if (cached->results_revision == service->results_revision && !is_metrics(kind))
                return true;

        return service->http.now_usec - cached->made_usec < DOCUMENT_AGE_USEC;
}

int documents_get(hale_service *service, DocumentKind kind, bool details, HttpDocument **ret) {
        CachedDocument *cached = &service->documents.cached[details][kind];
        HttpDocument *document;
        int r;

        if (!is_current(service, kind, cached)) {
                r = make(service, kind, details, &document);
                if (r < 0)
                        return r;

                (void)http_document_unref(cached->document);
                *cached = (CachedDocument){
                        .document = document,
                        .revision = service->health.revision,
                        .results_revision = service->results_revision,
                        .made_usec = service->http.now_usec,
                };
        }

        *ret = http_document_ref(cached->document);
        return 0;
}

static int report_health_json(hale_service *service, Text *text) {
        const JsonView view = json_view(service, true);

        return json_write_health(text, &service->health, &view);
}

static int report_actuator(hale_service *service, Text *text) {
        const JsonView view = json_view(service, true);

        return json_write_actuator(text, &service->health, HALE_GATE_NONE, &view);
}

static int report_text(hale_service *service, Text *text) {
        const TextQuery query = { .gate = HALE_GATE_READY, .verbose = true, .details = true };

        (void)text_write_gate(text, &service->health, &query);
        return text->error;
}

static int report_prometheus(hale_service *service, Text *text) {
        return service_write_metrics(service, false, text);
}

static int report_openmetrics(hale_service *service, Text *text) {
        return service_write_metrics(service, true, text);
}

/* clang-format off */
static const struct {
        const char *format;
        int (*write)(hale_service *service, Text *text);
} reports[] = {
        { "health+json", report_health_json },
        { "actuator",    report_actuator    },
        { "text",        report_text        },
        { "prometheus",  report_prometheus  },
        { "openmetrics", report_openmetrics },
};
/* clang-format on */

int documents_report(hale_service *service, const char *format, Text *text) {
        for (size_t i = 0; i < ELEMENTSOF(reports); i++)
                if (strcmp(reports[i].format, format) == 0)
                        return reports[i].write(service, text);

        return -EINVAL;
}
