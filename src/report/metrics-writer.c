/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "base/clock.h"
#include "base/macro.h"
#include "report/metrics-writer.h"

/* clang-format off */
static const struct {
        const char *prometheus, *openmetrics;
        const char *suffix; /* of the samples; in Prometheus' format of the family, too */
} types[] = {
        [METRICS_GAUGE]     = { "gauge",     "gauge",     ""       },
        [METRICS_COUNTER]   = { "counter",   "counter",   "_total" },
        [METRICS_HISTOGRAM] = { "histogram", "histogram", ""       },
        [METRICS_INFO]      = { "gauge",     "info",      "_info"  },
        [METRICS_STATESET]  = { "gauge",     "stateset",  ""       },
};

/* As OpenMetrics writes them, and for both formats alike: else a series would get another name
 * when the scraper changes its mind about the format. */
static const char *const bounds[] = {
        "0.001", "0.003", "0.01", "0.03", "0.1", "0.3", "1.0", "3.0", "10.0", "+Inf",
};
/* clang-format on */

static_assert(ELEMENTSOF(types) == _METRICS_TYPE_MAX, "a type of metric lacks its names");
static_assert(ELEMENTSOF(bounds) == HISTOGRAM_BUCKETS, "a bucket lacks its bound");

#define NUMBER_MAX 24

static void append(MetricsWriter *writer, const char *string) {
        (void)text_append_n(writer->text, string, strlen(string));
}

/* "# TYPE name gauge": one line of a family's head. */
static void append_meta(MetricsWriter *writer, const char *keyword, const char *what) {
        append(writer, "# ");
        append(writer, keyword);
        append(writer, " ");
        append(writer, writer->family->name);
        if (!writer->openmetrics)
                append(writer, types[writer->family->type].suffix);
        append(writer, " ");
        append(writer, what);
        append(writer, "\n");
}

static void append_head(MetricsWriter *writer) {
        const MetricsFamily *family = writer->family;

        if (!writer->openmetrics) {
                append_meta(writer, "HELP", family->help);
                append_meta(writer, "TYPE", types[family->type].prometheus);
                return;
        }

        append_meta(writer, "TYPE", types[family->type].openmetrics);
        if (family->unit)
                append_meta(writer, "UNIT", family->unit);
        append_meta(writer, "HELP", family->help);
}

void metrics_begin(MetricsWriter *writer, const MetricsFamily *family) {
        assert(writer);
        assert(family && family->type < _METRICS_TYPE_MAX);

        writer->family = family;
        writer->has_head = false;
}

static void append_escaped(MetricsWriter *writer, const char *value) {
        for (;;) {
                size_t n = strcspn(value, "\\\"\n");

                (void)text_append_n(writer->text, value, n);
                if (!value[n])
                        return;

                append(writer, value[n] == '\n' ? "\\n" : value[n] == '"' ? "\\\"" : "\\\\");
                value += n + 1;
        }
}

/* @comma: what stands before the label. Returns what stands before the next one. */
static const char *
append_label(MetricsWriter *writer, const char *comma, const char *name, const char *value) {
        append(writer, comma);
        append(writer, name);
        append(writer, "=\"");
        append_escaped(writer, value);
        append(writer, "\"");
        return ",";
}

/* "name_suffix{labels": returns what is to stand before one more label. */
static const char *append_series(MetricsWriter *writer,
                                 const char *suffix,
                                 const MetricsLabel *labels,
                                 size_t n_labels) {
        const char *comma = "{";

        assert(writer->family);

        if (!writer->has_head)
                append_head(writer);
        writer->has_head = true;

        append(writer, writer->family->name);
        append(writer, suffix);
        for (size_t i = 0; i < n_labels; i++)
                if (labels[i].value)
                        comma = append_label(writer, comma, labels[i].name, labels[i].value);

        return comma;
}

/* The end of the labels and the value. @comma: as returned by who wrote them. */
static void append_value(MetricsWriter *writer, const char *comma, const char *value, size_t n) {
        append(writer, *comma == ',' ? "} " : " ");
        (void)text_append_n(writer->text, value, n);
        append(writer, "\n");
        writer->n_lines++;
}

/* Writes the digits before @end, and returns where they begin. */
static char *digits_before(char *end, uint64_t value) {
        do {
                *--end = (char)('0' + value % 10);
                value /= 10;
        } while (value > 0);

        return end;
}

static void append_number(MetricsWriter *writer, const char *comma, uint64_t value) {
        char buffer[NUMBER_MAX], *end = buffer + sizeof(buffer), *begin;

        begin = digits_before(end, value);
        append_value(writer, comma, begin, (size_t)(end - begin));
}

/* Microseconds as decimal seconds, without zeros that say nothing. */
static void append_seconds(MetricsWriter *writer, const char *comma, uint64_t usec) {
        char buffer[NUMBER_MAX], *end = buffer + sizeof(buffer), *point = end - 7, *begin;
        uint64_t fraction = usec % USEC_PER_SEC;

        if (usec == USEC_NEVER) {
                append_value(writer, comma, "+Inf", strlen("+Inf"));
                return;
        }

        begin = digits_before(point, usec / USEC_PER_SEC);
        memset(point, '0', 7);
        (void)digits_before(end, fraction);
        *point = '.';
        while (end > point && (end[-1] == '0' || end - 1 == point))
                end--;
        append_value(writer, comma, begin, (size_t)(end - begin));
}

void metrics_number(MetricsWriter *writer,
                    const MetricsLabel *labels,
                    size_t n_labels,
                    uint64_t value) {
        assert(writer);

        append_number(writer,
                      append_series(writer, types[writer->family->type].suffix, labels, n_labels),
                      value);
}

void metrics_seconds(MetricsWriter *writer,
                     const MetricsLabel *labels,
                     size_t n_labels,
                     uint64_t usec) {
        assert(writer);

        append_seconds(writer,
                       append_series(writer, types[writer->family->type].suffix, labels, n_labels),
                       usec);
}

void metrics_states(MetricsWriter *writer,
                    const MetricsLabel *label,
                    const char *const *states,
                    size_t n_states,
                    size_t current) {
        const char *comma;

        assert(writer);

        for (size_t i = 0; i < n_states; i++) {
                comma = append_series(writer, "", label, label ? 1 : 0);
                comma = append_label(writer, comma, writer->family->name, states[i]);
                append_number(writer, comma, i == current);
        }
}

void metrics_histogram(MetricsWriter *writer,
                       const MetricsLabel *label,
                       const Histogram *histogram) {
        size_t n_labels = label ? 1 : 0;
        uint64_t n = 0;
        const char *comma;

        assert(writer);
        assert(histogram);

        for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
                n += histogram->n[i];
                comma = append_series(writer, "_bucket", label, n_labels);
                comma = append_label(writer, comma, "le", bounds[i]);
                append_number(writer, comma, n);
        }

        append_number(writer, append_series(writer, "_count", label, n_labels), n);
        append_seconds(writer, append_series(writer, "_sum", label, n_labels), histogram->sum_usec);
}

void metrics_one(MetricsWriter *writer, const MetricsFamily *family, uint64_t value) {
        metrics_begin(writer, family);
        metrics_number(writer, METRICS_NO_LABELS, value);
}

void metrics_one_time(MetricsWriter *writer, const MetricsFamily *family, uint64_t usec) {
        metrics_begin(writer, family);
        metrics_seconds(writer, METRICS_NO_LABELS, usec);
}

void metrics_end(MetricsWriter *writer) {
        assert(writer);

        if (writer->openmetrics)
                append(writer, "# EOF\n");
}
