/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Settings of a Worker, and of the tree of workers as a whole
 */

#include "core/defaults.h"
#include "service/worker.h"

#define BACKOFF_MAX_USEC (24 * USEC_PER_HOUR)
#define WINDOW_MIN_USEC USEC_PER_SEC
#define WINDOW_MAX_USEC (24 * USEC_PER_HOUR)
#define HEARTBEAT_MIN_USEC (5 * USEC_PER_MSEC)
#define HEARTBEAT_MAX_USEC (24 * USEC_PER_HOUR)
#define STOP_MIN_USEC USEC_PER_MSEC

/* Settings are for before the start: afterwards the processes are what they are. */
#define SETTING_CHECK(worker)                                                                      \
        do {                                                                                       \
                WORKER_CHECK(worker);                                                              \
                RETURN_IF_FAIL((worker)->service->state == SERVICE_NEW, -EBUSY);                   \
        } while (0)

static int worker_complain(hale_worker *worker, const char *what, const char *expected) {
        service_tell_error(worker->service, "Worker '%s': %s out of range, expected %s",
                           worker->name, what, expected);
        return -EINVAL;
}

_public_ int hale_worker_set_thread(hale_worker *worker, int thread) {
        SETTING_CHECK(worker);

        if (thread && worker->spare.wanted)
                return worker_complain(worker, "a thread with a spare is", "one or the other");

        worker->is_thread = thread != 0;
        return 0;
}

_public_ int hale_worker_set_spare(hale_worker *worker, int spare) {
        SETTING_CHECK(worker);

        if (spare && worker->is_thread)
                return worker_complain(worker, "a thread with a spare is", "one or the other");

        worker->spare.wanted = spare != 0;
        return 0;
}

_public_ int hale_worker_set_restart(hale_worker *worker, hale_restart restart) {
        SETTING_CHECK(worker);

        if ((int)restart < HALE_RESTART_PERMANENT || restart > HALE_RESTART_TEMPORARY)
                return worker_complain(worker, "the kind of restart is", "one of HALE_RESTART_*");

        worker->policy.mode = restart;
        return 0;
}

_public_ int
hale_worker_set_backoff_usec(hale_worker *worker, uint64_t min_usec, uint64_t max_usec) {
        SETTING_CHECK(worker);

        if (min_usec == 0 || min_usec > max_usec || max_usec > BACKOFF_MAX_USEC)
                return worker_complain(worker, "the wait between restarts is",
                                       "0 < min <= max <= one day");

        worker->policy.backoff_min_usec = min_usec;
        worker->policy.backoff_max_usec = max_usec;
        return 0;
}

_public_ int
hale_worker_set_intensity(hale_worker *worker, unsigned max_restarts, uint64_t per_usec) {
        SETTING_CHECK(worker);

        if (max_restarts > RESTARTS_MAX || per_usec < WINDOW_MIN_USEC || per_usec > WINDOW_MAX_USEC)
                return worker_complain(worker, "the intensity is",
                                       "at most 64 restarts, in one second to one day");

        worker->policy.max_restarts = max_restarts;
        worker->policy.window_usec = per_usec;
        return 0;
}

_public_ int hale_worker_set_heartbeat_usec(hale_worker *worker, uint64_t limit_usec) {
        SETTING_CHECK(worker);

        if (limit_usec != 0 && (limit_usec < HEARTBEAT_MIN_USEC || limit_usec > HEARTBEAT_MAX_USEC))
                return worker_complain(worker, "the limit of the heartbeat is",
                                       "0, or 5 ms to one day");

        worker->heartbeat_usec = limit_usec;
        return 0;
}

_public_ int hale_worker_set_stop_usec(hale_worker *worker, uint64_t stop_usec) {
        SETTING_CHECK(worker);

        if (stop_usec < STOP_MIN_USEC || stop_usec > STOP_TIMEOUT_USEC)
                return worker_complain(worker, "the time to stop is", "1 ms to 20 s");

        worker->stop_usec = stop_usec;
        return 0;
}

_public_ int hale_worker_set_gates(hale_worker *worker, int gates) {
        SETTING_CHECK(worker);

        if (gates & ~(HALE_GATE_READY | HALE_GATE_STARTUP))
                return worker_complain(worker, "the gate is",
                                       "HALE_GATE_READY or HALE_GATE_STARTUP; `live` closes by "
                                       "itself when restarts do not help");

        worker->gates = gates;
        worker_gate_live(worker, false);
        return 0;
}

/* What cannot work as it is written is said at the start, not found out in the night. */
void service_workers_check(hale_service *service) {
        uint64_t stop_usec = 0;
        hale_worker *worker;
        char text[USEC_TEXT_MAX];

        TAILQ_FOREACH (worker, &service->workers->list, link) {
                stop_usec += worker->stop_usec;
                if (worker->policy.mode != HALE_RESTART_TEMPORARY &&
                    !restart_can_escalate(&worker->policy))
                        (void)journal_log(
                                &service->journal, LOG_WARNING,
                                "Worker '%s': its waits between restarts are so long that %u of "
                                "them may never happen in %s; if it dies for ever, nobody will "
                                "be told to restart the service",
                                worker->name, worker->policy.max_restarts,
                                usec_format(worker->policy.window_usec, text));
        }

        if (stop_usec > STOP_TIMEOUT_USEC)
                (void)journal_log(&service->journal, LOG_DEBUG,
                                  "The workers of '%s' may take %s to stop together, which is more "
                                  "than the 20s they are given: some may be killed early",
                                  service->name, usec_format(stop_usec, text));
}
