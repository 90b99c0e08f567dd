/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "report/metrics-private.h"

int metrics_write(Text *text, const MetricsView *view) {
        MetricsWriter writer;
        int r;

        assert(text);
        assert(view && view->health && view->gate && view->loop_lag);

        writer = (MetricsWriter){ .text = text, .openmetrics = view->openmetrics };
        metrics_write_service(&writer, view);
        metrics_write_heal(&writer, view);
        metrics_write_process(&writer, view);
        r = metrics_write_probes(&writer, view);
        if (r < 0)
                return r;

        metrics_end(&writer);
        return text->error;
}
