/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The two formats of metrics, to the byte: heads, suffixes, escapes, numbers, times
 * and histograms; a family without samples leaves no trace.
 */

#include <errno.h>
#include <glib.h>

#include "base/clock.h"
#include "base/macro.h"
#include "metrics-fixture.h"
#include "report/metrics-writer.h"

static const MetricsFamily of_type[] = {
        [METRICS_GAUGE] = { METRICS_GAUGE, "x_bytes", "bytes", "A help." },
        [METRICS_COUNTER] = { METRICS_COUNTER, "x", NULL, "A help." },
        [METRICS_HISTOGRAM] = { METRICS_HISTOGRAM, "x_seconds", "seconds", "A help." },
        [METRICS_INFO] = { METRICS_INFO, "x", NULL, "A help." },
        [METRICS_STATESET] = { METRICS_STATESET, "x", NULL, "A help." },
};

static void expect(MetricsWriter *writer, const char *expected) {
        metrics_end(writer);
        g_assert_cmpint(writer->text->error, ==, 0);
        g_assert_cmpstr(writer->text->data, ==, expected);
        text_clear(writer->text);
}

static void test_heads(void) {
        static const struct {
                MetricsType type;
                const char *prometheus, *openmetrics;
        } rows[] = {
                { METRICS_GAUGE, "# HELP x_bytes A help.\n# TYPE x_bytes gauge\nx_bytes 7\n",
                  "# TYPE x_bytes gauge\n# UNIT x_bytes bytes\n# HELP x_bytes A help.\nx_bytes 7\n"
                  "# EOF\n" },
                { METRICS_COUNTER, "# HELP x_total A help.\n# TYPE x_total counter\nx_total 7\n",
                  "# TYPE x counter\n# HELP x A help.\nx_total 7\n# EOF\n" },
                { METRICS_INFO, "# HELP x_info A help.\n# TYPE x_info gauge\nx_info 7\n",
                  "# TYPE x info\n# HELP x A help.\nx_info 7\n# EOF\n" },
        };
        Text text = TEXT_INIT;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                MetricsWriter prometheus = { .text = &text };
                MetricsWriter openmetrics = { .text = &text, .openmetrics = true };

                metrics_one(&prometheus, &of_type[rows[i].type], 7);
                g_assert_cmpuint(prometheus.n_lines, ==, 1);
                expect(&prometheus, rows[i].prometheus);
                metrics_one(&openmetrics, &of_type[rows[i].type], 7);
                expect(&openmetrics, rows[i].openmetrics);
        }
        text_done(&text);
}

static void test_states(void) {
        static const char *const states[] = { "down", "up" };
        Text text = TEXT_INIT;
        MetricsWriter writer = { .text = &text, .openmetrics = true };

        metrics_begin(&writer, &of_type[METRICS_STATESET]);
        metrics_states(&writer, NULL, states, 2, 1);
        metrics_states(&writer, &(MetricsLabel){ "link", "db" }, states, 2, 0);
        g_assert_cmpuint(writer.n_lines, ==, 4);
        expect(&writer, "# TYPE x stateset\n# HELP x A help.\n"
                        "x{x=\"down\"} 0\nx{x=\"up\"} 1\n"
                        "x{link=\"db\",x=\"down\"} 1\nx{link=\"db\",x=\"up\"} 0\n# EOF\n");
        text_done(&text);
}

static void test_labels(void) {
        const MetricsLabel labels[] = {
                { "a", "plain" }, { "b", NULL },      { "c", "back\\slash" },
                { "d", "" },      { "e", "\"q\"\n" }, { "f", "gr\u00fc\u00df" },
        };
        Text text = TEXT_INIT;
        MetricsWriter writer = { .text = &text };

        metrics_begin(&writer, &of_type[METRICS_INFO]);
        metrics_number(&writer, labels, ELEMENTSOF(labels), 1);
        metrics_number(&writer, &labels[1], 1, 1);
        expect(&writer, "# HELP x_info A help.\n# TYPE x_info gauge\n"
                        "x_info{a=\"plain\",c=\"back\\\\slash\",d=\"\",e=\"\\\"q\\\"\\n\","
                        "f=\"gr\u00fc\u00df\"} 1\nx_info 1\n");
        text_done(&text);
}

static void test_values(void) {
        static const struct {
                bool seconds;
                uint64_t value;
                const char *text;
        } rows[] = {
                { false, 0, "0" },
                { false, 10, "10" },
                { false, UINT64_MAX, "18446744073709551615" },
                { true, 0, "0" },
                { true, 1, "0.000001" },
                { true, 100, "0.0001" },
                { true, 500000, "0.5" },
                { true, 1000000, "1" },
                { true, 10000000, "10" },
                { true, 10000010, "10.00001" },
                { true, 1795416934123456, "1795416934.123456" },
                { true, USEC_NEVER - 1, "18446744073709.551614" },
                { true, USEC_NEVER, "+Inf" },
        };
        Text text = TEXT_INIT;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                MetricsWriter writer = { .text = &text };
                g_autofree char *expected = g_strdup_printf(
                        "# HELP x_bytes A help.\n# TYPE x_bytes gauge\nx_bytes %s\n", rows[i].text);

                metrics_begin(&writer, &of_type[METRICS_GAUGE]);
                if (rows[i].seconds)
                        metrics_seconds(&writer, METRICS_NO_LABELS, rows[i].value);
                else
                        metrics_number(&writer, METRICS_NO_LABELS, rows[i].value);
                expect(&writer, expected);
        }
        text_done(&text);
}

/* Whatever the time, what is written is that time. */
static void test_seconds_walk(void) {
        Text text = TEXT_INIT;

        for (unsigned i = 0; i < 5000; i++) {
                uint64_t usec = ((uint64_t)g_test_rand_int() << 32 | (uint32_t)g_test_rand_int()) >>
                                (unsigned)g_test_rand_int_range(12, 64);
                MetricsWriter writer = { .text = &text };
                const char *value;
                size_t n;

                metrics_begin(&writer, &of_type[METRICS_GAUGE]);
                metrics_seconds(&writer, METRICS_NO_LABELS, usec);
                value = strrchr(text.data, ' ') + 1;
                n = strlen(value) - 1;
                g_assert_cmpfloat_with_epsilon(g_ascii_strtod(value, NULL), (double)usec / 1e6,
                                               1e-6);
                if (memchr(value, '.', n))
                        g_assert_true(value[n - 1] != '0' && value[n - 1] != '.');
                text_clear(&text);
        }
        text_done(&text);
}

static void test_histogram(void) {
        const Histogram histogram = { .n = { 1, 0, 2, 0, 0, 0, 3, 0, 0, 4 }, .sum_usec = 1500000 };
        Text text = TEXT_INIT;

        for (unsigned openmetrics = 0; openmetrics < 2; openmetrics++) {
                MetricsWriter writer = { .text = &text, .openmetrics = openmetrics };
                Scrape scrape;

                metrics_begin(&writer, &of_type[METRICS_HISTOGRAM]);
                metrics_histogram(&writer, NULL, &histogram);
                metrics_histogram(&writer, &(MetricsLabel){ "p", "q" }, &histogram);
                metrics_end(&writer);
                scrape_parse(&scrape, &text, openmetrics);

                g_assert_cmpuint(scrape.n_samples, ==, 24);
                g_assert_cmpuint(writer.n_lines, ==, 24);
                g_assert_cmpstr(scrape_value(&scrape, "x_seconds_bucket{le=\"0.001\"}"), ==, "1");
                g_assert_cmpstr(scrape_value(&scrape, "x_seconds_bucket{le=\"0.01\"}"), ==, "3");
                g_assert_cmpstr(scrape_value(&scrape, "x_seconds_bucket{p=\"q\",le=\"1.0\"}"), ==,
                                "6");
                g_assert_cmpstr(scrape_value(&scrape, "x_seconds_bucket{le=\"10.0\"}"), ==, "6");
                g_assert_cmpstr(scrape_value(&scrape, "x_seconds_bucket{le=\"+Inf\"}"), ==, "10");
                g_assert_cmpstr(scrape_value(&scrape, "x_seconds_count"), ==, "10");
                g_assert_cmpstr(scrape_value(&scrape, "x_seconds_sum{p=\"q\"}"), ==, "1.5");
                scrape_done(&scrape);
                text_clear(&text);
        }
        text_done(&text);
}

/* The words of the buckets are those of the core's numbers. */
static void test_bounds_agree(void) {
        for (unsigned i = 0; i < HISTOGRAM_BOUNDS; i++) {
                double seconds = (double)histogram_bounds_usec[i] / 1e6;
                Histogram histogram = {};
                Text text = TEXT_INIT;
                MetricsWriter writer = { .text = &text };
                const char *at;

                histogram_note(&histogram, histogram_bounds_usec[i]);
                metrics_begin(&writer, &of_type[METRICS_HISTOGRAM]);
                metrics_histogram(&writer, NULL, &histogram);

                /* The first bucket that is not empty. */
                at = strstr(text.data, "\"} 1\n");
                while (*at != '=')
                        at--;
                g_assert_cmpfloat(g_ascii_strtod(at + 2, NULL), ==, seconds);
                text_done(&text);
        }
}

static void test_empty(void) {
        Text text = TEXT_INIT;
        MetricsWriter writer = { .text = &text, .openmetrics = true };

        metrics_begin(&writer, &of_type[METRICS_GAUGE]);
        metrics_begin(&writer, &of_type[METRICS_COUNTER]);
        expect(&writer, "# EOF\n");
        text_done(&text);
}

static void test_bound(void) {
        Text text = { .max = 20 };
        MetricsWriter writer = { .text = &text };

        metrics_one(&writer, &of_type[METRICS_GAUGE], 1);
        g_assert_cmpint(text.error, ==, -E2BIG);
        g_assert_cmpuint(text.length, <=, 20);
        text_done(&text);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/report/metrics-writer/heads", test_heads);
        g_test_add_func("/report/metrics-writer/states", test_states);
        g_test_add_func("/report/metrics-writer/labels", test_labels);
        g_test_add_func("/report/metrics-writer/values", test_values);
        g_test_add_func("/report/metrics-writer/seconds-walk", test_seconds_walk);
        g_test_add_func("/report/metrics-writer/histogram", test_histogram);
        g_test_add_func("/report/metrics-writer/bounds-agree", test_bounds_agree);
        g_test_add_func("/report/metrics-writer/empty", test_empty);
        g_test_add_func("/report/metrics-writer/bound", test_bound);
        return g_test_run();
}
