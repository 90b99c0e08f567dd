/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Metrics: what is counted for them beside what everybody keeps anyway
 */

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "check/process-numbers.h"
#include "core/histogram.h"
#include "hale/service.h"

/* Pages of HTTP that are told apart: rows of the table in http.c, and all others as one. */
#define PAGES_MAX 16

/* 200, 404, 429, 500, 503. */
#define PAGE_STATUSES 5

typedef struct PageCount {
        const char *name; /* NULL: never asked for */
        uint64_t n_answers[PAGE_STATUSES];
        Histogram durations;
} PageCount;

typedef struct Metrics {
        PageCount pages[PAGES_MAX];
        ProcessNumbers process;
        uint64_t process_usec;       /* when it was read; 0: never */
        unsigned n_histograms;       /* that probes have */
        unsigned n_ladders;          /* the same */
        unsigned n_memory_watches;   /* ladders that hear of pressure */
        uint64_t n_memory_pressures; /* how often they have */
} Metrics;

/* The page of @name, which is number @index, was answered with @status; it took @usec to make. */
void metrics_count_answer(Metrics *metrics,
                          size_t index,
                          const char *name,
                          unsigned status,
                          uint64_t usec);

/* Writes all of it. Returns 0, -ENOMEM or -E2BIG. */
int service_write_metrics(hale_service *service, bool openmetrics, Text *text);
