/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The parts of the document, one file each. Only metrics*.c includes this. */

#include "base/clock.h"
#include "base/macro.h"
#include "report/metrics-writer.h"
#include "report/metrics.h"

/* metrics-service.c: health, watchdog, loop, notify, HTTP, pool, recorder */
void metrics_write_service(MetricsWriter *writer, const MetricsView *view);

/* metrics-heal.c: workers, links, remedies */
void metrics_write_heal(MetricsWriter *writer, const MetricsView *view);

/* metrics-process.c */
void metrics_write_process(MetricsWriter *writer, const MetricsView *view);

/* metrics-probe.c: last, for they get the lines that are left */
int metrics_write_probes(MetricsWriter *writer, const MetricsView *view);
