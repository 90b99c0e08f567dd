/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Trouble of the process itself
 *
 * What no probe asks about but an administrator should hear of: a loop that was
 * late, threads that are stuck, a process without descriptors. Looked for at every
 * tick, which is when there is somebody awake to look.
 */

#include <inttypes.h>
#include <stdio.h>

#include "core/defaults.h"
#include "service/service.h"

static void look_for_lag(hale_service *service) {
        uint64_t lag_usec = loop_lag_read(&service->lag_reader);
        char text[USEC_TEXT_MAX], number[24];

        service_record_lag(service, lag_usec);
        if (lag_usec < LOOP_LAG_WARN_USEC || !service_may_tell(service))
                return;

        (void)snprintf(number, sizeof(number), "%" PRIu64, lag_usec);
        (void)journal_send(&service->journal, MESSAGE_LOOP_LATE,
                           (JournalField[]){ { "HALE_LAG_USEC", number } }, 1,
                           "The event loop of '%s' was held up for %s", service->name,
                           usec_format(lag_usec, text));
}

static void look_for_stuck_threads(hale_service *service) {
        PoolStats stats;
        char number[16];

        pool_get_stats(&service->pool, &stats);
        if (stats.n_abandoned_total == service->n_abandoned_told)
                return;

        service->n_abandoned_told = stats.n_abandoned_total;
        if (stats.n_abandoned == 0 || !service_may_tell(service))
                return;

        (void)snprintf(number, sizeof(number), "%u", stats.n_abandoned);
        (void)journal_send(&service->journal, MESSAGE_POOL_EXHAUSTED,
                           (JournalField[]){
                                   { "HALE_PROBE", service->stuck_probe },
                                   { "HALE_STUCK_THREADS", number },
                           },
                           2, "%u thread%s of '%s' for blocking probes %s stuck", stats.n_abandoned,
                           stats.n_abandoned == 1 ? "" : "s", service->name,
                           stats.n_abandoned == 1 ? "is" : "are");
}

static void look_for_descriptors(hale_service *service) {
        uint64_t n;

        if (!service->http_open)
                return;

        n = http_server_get_counters(&service->http)->n_exhausted;
        if (n == service->n_exhausted_told)
                return;

        service->n_exhausted_told = n;
        if (service_may_tell(service))
                (void)journal_send(
                        &service->journal, MESSAGE_HTTP_TROUBLE,
                        (JournalField[]){ { "HALE_REASON", "no descriptors left" } }, 1,
                        "'%s' has no descriptor left for HTTP clients: one at a time is served",
                        service->name);
}

void service_look_for_trouble(hale_service *service) {
        look_for_lag(service);
        look_for_stuck_threads(service);
        look_for_descriptors(service);
}
