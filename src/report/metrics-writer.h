/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Metrics Writer
 *
 * The two text formats in which metrics are scraped: Prometheus 0.0.4, and
 * OpenMetrics 1.0. They differ in the head of a family (OpenMetrics drops the
 * `_total` and `_info` of its name, states its unit, and has types for infos and
 * sets of states that are gauges in the other) and in the end of the document.
 *
 * A family begins, its samples follow, and it does not come back; one without samples
 * leaves no trace. Values of labels are valid UTF-8 and are escaped here; names are
 * ours and need no escapes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "core/histogram.h"

typedef enum MetricsType {
        METRICS_GAUGE,
        METRICS_COUNTER,
        METRICS_HISTOGRAM,
        METRICS_INFO,
        METRICS_STATESET,
        _METRICS_TYPE_MAX,
} MetricsType;

typedef struct MetricsFamily {
        MetricsType type;
        const char *name; /* without `_total` and `_info` */
        const char *unit; /* which the name ends with; NULL: none */
        const char *help; /* no backslash, quotes or newline */
} MetricsFamily;

/* A NULL value leaves the label out. */
typedef struct MetricsLabel {
        const char *name, *value;
} MetricsLabel;

typedef struct MetricsWriter {
        Text *text;
        bool openmetrics;
        const MetricsFamily *family; /* that the next samples belong to */
        bool has_head;               /* it has been written, with the first of them */
        unsigned n_lines;            /* samples so far */
} MetricsWriter;

#define METRICS_NO_LABELS NULL, 0

void metrics_begin(MetricsWriter *writer, const MetricsFamily *family);

/* A sample of the family: a plain number; a time in seconds ("+Inf" for USEC_NEVER). */
void metrics_number(MetricsWriter *writer,
                    const MetricsLabel *labels,
                    size_t n_labels,
                    uint64_t value);
void metrics_seconds(MetricsWriter *writer,
                     const MetricsLabel *labels,
                     size_t n_labels,
                     uint64_t usec);

/* A sample for each state, of which one is 1. Its label is called as the family. */
void metrics_states(MetricsWriter *writer,
                    const MetricsLabel *label,
                    const char *const *states,
                    size_t n_states,
                    size_t current);

/* All samples of a histogram, with at most one label. */
void metrics_histogram(MetricsWriter *writer,
                       const MetricsLabel *label,
                       const Histogram *histogram);

/* A family of one sample without labels. */
void metrics_one(MetricsWriter *writer, const MetricsFamily *family, uint64_t value);
void metrics_one_time(MetricsWriter *writer, const MetricsFamily *family, uint64_t usec);

/* After the last sample. */
void metrics_end(MetricsWriter *writer);
