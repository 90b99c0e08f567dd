/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The metrics of the probes, of as many as there is room for
 */

#include <errno.h>

#include "base/limits.h"
#include "report/metrics-private.h"

/* Samples of one probe: four states, five results, twelve of the histogram, five single ones. */
#define PROBE_LINES_MAX (4 + 5 + HISTOGRAM_BUCKETS + 2 + 5)

/* And of hale_probes and hale_metrics_truncated. */
#define SUM_LINES 5

/* clang-format off */
static const MetricsFamily probes = {
        METRICS_GAUGE, "hale_probes", NULL,
        "How many probes have which verdict.",
};
static const MetricsFamily truncated = {
        METRICS_GAUGE, "hale_metrics_truncated", NULL,
        "Probes that are not shown here, for want of room.",
};
static const MetricsFamily status = {
        METRICS_STATESET, "hale_probe_status", NULL,
        "The verdict of the probe.",
};
static const MetricsFamily runs = {
        METRICS_COUNTER, "hale_probe_runs", NULL,
        "Results of the probe, before thresholds.",
};
static const MetricsFamily duration = {
        METRICS_HISTOGRAM, "hale_probe_duration_seconds", "seconds",
        "How long the probe took to answer.",
};
static const MetricsFamily last_run = {
        METRICS_GAUGE, "hale_probe_last_run_timestamp_seconds", "seconds",
        "When the probe gave its last result.",
};
static const MetricsFamily last_success = {
        METRICS_GAUGE, "hale_probe_last_success_timestamp_seconds", "seconds",
        "When the probe last passed.",
};
static const MetricsFamily failures = {
        METRICS_GAUGE, "hale_probe_consecutive_failures", NULL,
        "How many results in a row were failures.",
};
static const MetricsFamily interval = {
        METRICS_GAUGE, "hale_probe_interval_seconds", "seconds",
        "How often the probe is asked, or reports.",
};
static const MetricsFamily timeout = {
        METRICS_GAUGE, "hale_probe_timeout_seconds", "seconds",
        "How long the probe may take to answer.",
};

/* The worst first: who is left out is well. */
static const hale_status by_badness[] = { HALE_FAIL, HALE_UNKNOWN, HALE_WARN, HALE_PASS };
/* clang-format on */

typedef struct Selection {
        const HealthProbe **probes;
        size_t n;
        uint64_t realtime_usec;
} Selection;

/*
 * The worst @n_max probes, those of one verdict in their order. How many there are of
 * each verdict is known, so that one look at each of them, at most, does it.
 */
static int selection_init(Selection *selection, const Health *health, size_t n_max) {
        size_t next[ELEMENTSOF(by_badness)], end[ELEMENTSOF(by_badness)], n = 0, left;
        const HealthProbe *probe;

        left = MIN(n_max, (size_t)health->n_probes);
        selection->probes = calloc(MAX(left, (size_t)1), sizeof(*selection->probes));
        if (!selection->probes)
                return -ENOMEM;

        for (size_t i = 0; i < ELEMENTSOF(by_badness); i++) {
                next[by_badness[i]] = n;
                n += MIN(left - n, (size_t)health->n_verdict[by_badness[i]]);
                end[by_badness[i]] = n;
        }
        selection->n = n;

        TAILQ_FOREACH (probe, &health->probes, link) {
                size_t *place = &next[probe->state.verdict];

                if (n == 0)
                        break;
                if (*place == end[probe->state.verdict])
                        continue;
                selection->probes[(*place)++] = probe;
                n--;
        }

        return 0;
}

/* Writes the samples of one probe in the present family. */
typedef void (*write_t)(MetricsWriter *writer,
                        const MetricsLabel *label,
                        const HealthProbe *probe,
                        uint64_t realtime_usec);

static void write_status(MetricsWriter *writer,
                         const MetricsLabel *label,
                         const HealthProbe *probe,
                         uint64_t realtime_usec) {
        const char *names[] = {
                hale_status_to_string(HALE_UNKNOWN),
                hale_status_to_string(HALE_PASS),
                hale_status_to_string(HALE_WARN),
                hale_status_to_string(HALE_FAIL),
        };

        (void)realtime_usec;
        metrics_states(writer, label, names, ELEMENTSOF(names), probe->state.verdict);
}

static void write_runs(MetricsWriter *writer,
                       const MetricsLabel *label,
                       const HealthProbe *probe,
                       uint64_t realtime_usec) {
        const ProbeState *state = &probe->state;
        const struct {
                const char *result;
                uint64_t n;
        } rows[] = {
                { "pass", state->n_results[HALE_PASS] },
                { "warn", state->n_results[HALE_WARN] },
                { "fail", usec_sub(state->n_results[HALE_FAIL], state->n_timeouts) },
                { "timeout", state->n_timeouts },
                { "error", state->n_results[HALE_UNKNOWN] },
        };

        (void)realtime_usec;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                metrics_number(writer, (MetricsLabel[]){ *label, { "result", rows[i].result } }, 2,
                               rows[i].n);
}

static void write_duration(MetricsWriter *writer,
                           const MetricsLabel *label,
                           const HealthProbe *probe,
                           uint64_t realtime_usec) {
        (void)realtime_usec;
        if (probe->durations)
                metrics_histogram(writer, label, probe->durations);
}

static void write_last_run(MetricsWriter *writer,
                           const MetricsLabel *label,
                           const HealthProbe *probe,
                           uint64_t realtime_usec) {
        (void)realtime_usec;
        if (probe->realtime_usec > 0)
                metrics_seconds(writer, label, 1, probe->realtime_usec);
}

static void write_last_success(MetricsWriter *writer,
                               const MetricsLabel *label,
                               const HealthProbe *probe,
                               uint64_t realtime_usec) {
        const ProbeState *state = &probe->state;

        if (state->passed_usec == 0)
                return;

        /* Of the last result the wall time is known; of others it is worked out, and would change
         * with each correction of the clock if it was not rounded. */
        metrics_seconds(writer, label, 1,
                        state->passed_usec == state->finished_usec
                                ? probe->realtime_usec
                                : usec_add(state->passed_usec, realtime_usec) / USEC_PER_MSEC *
                                          USEC_PER_MSEC);
}

static void write_failures(MetricsWriter *writer,
                           const MetricsLabel *label,
                           const HealthProbe *probe,
                           uint64_t realtime_usec) {
        (void)realtime_usec;
        metrics_number(writer, label, 1, probe->state.n_failed_in_row);
}

static void write_interval(MetricsWriter *writer,
                           const MetricsLabel *label,
                           const HealthProbe *probe,
                           uint64_t realtime_usec) {
        (void)realtime_usec;
        metrics_seconds(writer, label, 1, probe->state.policy.interval_usec);
}

static void write_timeout(MetricsWriter *writer,
                          const MetricsLabel *label,
                          const HealthProbe *probe,
                          uint64_t realtime_usec) {
        (void)realtime_usec;
        if (!probe->state.policy.pushed)
                metrics_seconds(writer, label, 1, probe->state.policy.timeout_usec);
}

/* clang-format off */
static const struct {
        const MetricsFamily *family;
        write_t write;
} families[] = {
        { &status,       write_status       },
        { &runs,         write_runs         },
        { &duration,     write_duration     },
        { &last_run,     write_last_run     },
        { &last_success, write_last_success },
        { &failures,     write_failures     },
        { &interval,     write_interval     },
        { &timeout,      write_timeout      },
};
/* clang-format on */

static void write_sums(MetricsWriter *writer, const Health *health, size_t n_shown) {
        metrics_begin(writer, &probes);
        for (size_t i = 0; i < ELEMENTSOF(by_badness); i++)
                metrics_number(writer,
                               &(MetricsLabel){ "verdict", hale_status_to_string(by_badness[i]) },
                               1, health->n_verdict[by_badness[i]]);

        metrics_one(writer, &truncated, health->n_probes - n_shown);
}

static void write_families(MetricsWriter *writer, const Selection *selection) {
        for (size_t i = 0; i < ELEMENTSOF(families); i++) {
                metrics_begin(writer, families[i].family);
                for (size_t j = 0; j < selection->n; j++) {
                        const HealthProbe *probe = selection->probes[j];

                        families[i].write(writer, &(MetricsLabel){ "probe", probe->name }, probe,
                                          selection->realtime_usec);
                }
        }
}

int metrics_write_probes(MetricsWriter *writer, const MetricsView *view) {
        unsigned used = writer->n_lines + SUM_LINES;
        size_t room = METRICS_LINES_MAX - MIN(used, METRICS_LINES_MAX);
        Selection selection = { .realtime_usec = view->realtime_usec };
        int r;

        r = selection_init(&selection, view->health, room / PROBE_LINES_MAX);
        if (r < 0)
                return r;

        write_sums(writer, view->health, selection.n);
        write_families(writer, &selection);

        free(selection.probes);
        return 0;
}
