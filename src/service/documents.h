/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Documents: what HTTP sends, kept ready
 *
 * Each page that is asked for often is kept as the bytes to send, and made again
 * only when what it shows has changed: at once for a verdict, at most once a second
 * for new outputs and values. A request copies bytes; it never asks a probe.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "core/health.h"
#include "hale/service.h"
#include "report/http-document.h"

typedef enum DocumentKind {
        DOCUMENT_PING,
        DOCUMENT_LIVEZ,
        DOCUMENT_READYZ,
        DOCUMENT_STARTUPZ,
        DOCUMENT_LIVEZ_VERBOSE,
        DOCUMENT_READYZ_VERBOSE,
        DOCUMENT_STARTUPZ_VERBOSE,
        DOCUMENT_HEALTH,
        DOCUMENT_ACTUATOR,
        DOCUMENT_METRICS,
        DOCUMENT_OPENMETRICS,
        DOCUMENT_HISTORY,
        _DOCUMENT_KIND_MAX,
} DocumentKind;

typedef struct CachedDocument {
        HttpDocument *document;
        uint64_t revision, results_revision; /* of what it shows */
        uint64_t made_usec;
} CachedDocument;

/* One row with the outputs withheld, one with them. */
typedef struct Documents {
        CachedDocument cached[2][_DOCUMENT_KIND_MAX];
        uint64_t making_usec; /* what it has cost to make all of them so far */
} Documents;

void documents_done(Documents *documents);

/* A new reference to the page as it should read now. */
int documents_get(hale_service *service, DocumentKind kind, bool details, HttpDocument **ret);

/* Pages that are made when they are asked for: of one probe, or with options. */
int documents_make_gate(hale_service *service,
                        hale_gate gate,
                        bool details,
                        const char *const *excludes,
                        size_t n_excludes,
                        HttpDocument **ret);
/* A worker at the gate `live` is judged by its verdict, whatever it gates. */
int documents_make_probe(hale_service *service,
                         HealthProbe *probe,
                         hale_gate gate,
                         bool verbose,
                         bool details,
                         HttpDocument **ret);
int documents_make_health_probe(hale_service *service,
                                HealthProbe *probe,
                                bool details,
                                unsigned warn,
                                HttpDocument **ret);
/* Spring Boot's groups "liveness" and "readiness", in its shape. */
int documents_make_group(hale_service *service, hale_gate gate, bool details, HttpDocument **ret);
int documents_make_health(hale_service *service,
                          bool details,
                          bool actuator,
                          unsigned warn,
                          HttpDocument **ret);

/* One of DOCUMENTS_FORMATS, for D-Bus. -EINVAL for another format. */
#define DOCUMENTS_FORMATS "health+json, actuator, text, prometheus, openmetrics"

int documents_report(hale_service *service, const char *format, Text *text);
