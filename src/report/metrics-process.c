/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The metrics of the process, as every exporter names them
 */

#include "report/metrics-private.h"

/* clang-format off */
static const MetricsFamily cpu = {
        METRICS_COUNTER, "process_cpu_seconds", "seconds",
        "CPU time of the process and the system on its behalf.",
};
static const MetricsFamily open_fds = {
        METRICS_GAUGE, "process_open_fds", NULL,
        "Open file descriptors.",
};
static const MetricsFamily max_fds = {
        METRICS_GAUGE, "process_max_fds", NULL,
        "How many file descriptors may be open.",
};
static const MetricsFamily virtual_memory = {
        METRICS_GAUGE, "process_virtual_memory_bytes", "bytes",
        "Size of the virtual memory.",
};
static const MetricsFamily virtual_memory_max = {
        METRICS_GAUGE, "process_virtual_memory_max_bytes", "bytes",
        "How much virtual memory there may be.",
};
static const MetricsFamily resident_memory = {
        METRICS_GAUGE, "process_resident_memory_bytes", "bytes",
        "Size of the memory that is resident.",
};
static const MetricsFamily heap = {
        METRICS_GAUGE, "process_heap_bytes", "bytes",
        "Size of the heap (brk), without what was mapped for large pieces and threads.",
};
static const MetricsFamily start_time = {
        METRICS_GAUGE, "process_start_time_seconds", "seconds",
        "When the process started, since the epoch.",
};
static const MetricsFamily threads = {
        METRICS_GAUGE, "process_threads", NULL,
        "Threads of the process.",
};
/* clang-format on */

static void write_known(MetricsWriter *writer, const MetricsFamily *family, uint64_t value) {
        if (value == METRICS_UNKNOWN)
                return;

        /* What has no limit is told as a time that never comes would be. */
        if (value == METRICS_INFINITE)
                metrics_one_time(writer, family, USEC_NEVER);
        else
                metrics_one(writer, family, value);
}

static void write_time(MetricsWriter *writer, const MetricsFamily *family, uint64_t usec) {
        if (usec != METRICS_UNKNOWN)
                metrics_one_time(writer, family, usec);
}

void metrics_write_process(MetricsWriter *writer, const MetricsView *view) {
        const MetricsProcess *process = &view->process;

        write_time(writer, &cpu, process->cpu_usec);
        write_known(writer, &open_fds, process->open_fds);
        write_known(writer, &max_fds, process->max_fds);
        write_known(writer, &virtual_memory, process->virtual_bytes);
        write_known(writer, &virtual_memory_max, process->virtual_max_bytes);
        write_known(writer, &resident_memory, process->resident_bytes);
        write_known(writer, &heap, process->heap_bytes);
        write_time(writer, &start_time, process->start_realtime_usec);
        write_known(writer, &threads, process->n_threads);
}
