/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Reports: hale_probe_pass() and its sisters
 *
 * Where a report goes depends on who makes it: a callback that is being called has
 * a place for it, on the loop or in the pool; the loop's thread hands it over at
 * once; any other thread posts it.
 */

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/str.h"
#include "service/service.h"

__thread bool on_loop_thread;

static void report_set_value(Report *report, double value, const char *unit) {
        report->has_value = true;
        report->value = value;
        (void)str_sanitize(unit, report->unit, sizeof(report->unit));
}

void report_from_result(Report *report, int result) {
        if (report->given && result == HALE_REPORTED)
                return;

        report->status = HALE_FAIL;
        if (result == 0)
                report->status = HALE_PASS;
        else if (result < 0)
                (void)snprintf(report->output, sizeof(report->output), "%s", strerror(-result));
        else
                (void)snprintf(report->output, sizeof(report->output),
                               "the callback returned %d, which means nothing", result);
}

/* The place for a report of the callback that this thread is in, or NULL. */
static Report *probe_place(const hale_probe *probe) {
        return on_loop_thread ? probe->answer : probe_pool_current(probe);
}

static int probe_hand_over(hale_probe *probe, Report *report) {
        if (!on_loop_thread)
                return probe_post(probe, report);

        if (!probe->service)
                return -ESTALE;

        if (probe->has_draft) {
                report_set_value(report, probe->draft_value, probe->draft_unit);
                probe->has_draft = false;
        }

        return probe_take_report(probe, report);
}

_printf_(4, 0) static int probe_report(hale_probe *probe,
                                       uint32_t run,
                                       hale_status status,
                                       const char *format,
                                       va_list ap) {
        Report *place, report;

        RETURN_IF_FAIL(probe, -EINVAL);

        place = probe_place(probe);
        if (place) {
                place->given = true;
                place->status = status;
                str_clean(place->output, sizeof(place->output), format, ap);
                return HALE_REPORTED;
        }

        report.status = status;
        report.given = true;
        report.has_value = false;
        report.run = run;
        str_clean(report.output, sizeof(report.output), format, ap);
        return probe_hand_over(probe, &report);
}

#define PROBE_REPORT(name, status)                                                                 \
        _public_ int name(hale_probe *probe, const char *format, ...) {                            \
                va_list ap;                                                                        \
                int r;                                                                             \
                                                                                                   \
                va_start(ap, format);                                                              \
                r = probe_report(probe, 0, status, format, ap);                                    \
                va_end(ap);                                                                        \
                return r;                                                                          \
        }

PROBE_REPORT(hale_probe_pass, HALE_PASS)
PROBE_REPORT(hale_probe_warn, HALE_WARN)
PROBE_REPORT(hale_probe_fail, HALE_FAIL)
PROBE_REPORT(hale_probe_unknown, HALE_UNKNOWN)

_public_ int
hale_probe_answer(hale_probe *probe, uint32_t run, hale_status status, const char *format, ...) {
        va_list ap;
        int r;

        RETURN_IF_FAIL(run != 0, -EINVAL);
        RETURN_IF_FAIL(hale_status_to_string(status), -EINVAL);

        va_start(ap, format);
        r = probe_report(probe, run, status, format, ap);
        va_end(ap);
        return r;
}

_public_ uint32_t hale_probe_get_run(hale_probe *probe) {
        const ProbeState *state;

        if (!probe)
                return 0;
        if (!on_loop_thread)
                return probe_pool_run(probe);

        state = &probe->health.state;
        return state->running ? state->generation : 0;
}

_public_ int hale_probe_set_value(hale_probe *probe, double value, const char *unit) {
        Report *place;

        RETURN_IF_FAIL(probe, -EINVAL);
        RETURN_IF_FAIL(unit && strlen(unit) <= UNIT_LENGTH_MAX, -EINVAL);
        RETURN_IF_FAIL(isfinite(value), -EINVAL);

        place = probe_place(probe);
        if (place) {
                report_set_value(place, value, unit);
                return 0;
        }
        if (!on_loop_thread)
                return -EINVAL;

        probe->has_draft = true;
        probe->draft_value = value;
        (void)str_sanitize(unit, probe->draft_unit, sizeof(probe->draft_unit));
        return 0;
}
