/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Telling of Workers: their probes say how they are, the journal says what
 * happened to them. What a probe says of a worker is not told to the journal a
 * second time (tell.c).
 */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/str.h"
#include "core/defaults.h"
#include "service/worker.h"

static void worker_push(hale_worker *worker, hale_status status, const char *format, ...)
        _printf_(3, 4);

static void worker_push(hale_worker *worker, hale_status status, const char *format, ...) {
        Report report = { .status = status, .given = true };
        char raw[2 * OUTPUT_LENGTH_MAX];
        va_list ap;

        va_start(ap, format);
        (void)vsnprintf(raw, sizeof(raw), format, ap);
        va_end(ap);

        (void)str_sanitize(raw, report.output, sizeof(report.output));
        (void)probe_take_report(worker->probe, &report);
        bus_worker_changed(worker->service->bus, worker->name);
}

static void worker_tell(hale_worker *worker, MessageKind kind, const char *format, ...)
        _printf_(3, 4);

static void worker_tell(hale_worker *worker, MessageKind kind, const char *format, ...) {
        char text[2 * OUTPUT_LENGTH_MAX], pid[16], restarts[24];
        va_list ap;

        va_start(ap, format);
        (void)vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);

        service_record_event(worker->service, RECORD_WORKER, worker->name, 0, text);

        /* The last of them is what the service is restarted for. */
        if (kind != MESSAGE_WORKER_ESCALATED && !service_may_tell(worker->service))
                return;

        (void)snprintf(pid, sizeof(pid), "%d",
                       (int)(worker->is_thread ? worker->service->pid : worker->told_pid));
        (void)snprintf(restarts, sizeof(restarts), "%" PRIu64, worker->restart.n_total);
        (void)journal_send(
                &worker->service->journal, kind,
                (JournalField[]){
                        { "HALE_WORKER", worker->name },
                        { "HALE_WORKER_PID", pid[0] != '0' ? pid : NULL },
                        { "HALE_WORKER_STATE", hale_worker_state_to_string(worker->state) },
                        { "HALE_RESTARTS", restarts },
                        { "HALE_REASON", worker->exit_text[0] ? worker->exit_text : NULL },
                },
                5, "Worker '%s' %s", worker->name, text);
}

void worker_gate_live(hale_worker *worker, bool live) {
        Health *health = &worker->service->health;
        HealthProbe *probe = &worker->probe->health;
        unsigned gates = (unsigned)worker->gates | (live ? HALE_GATE_LIVE : 0);

        if (probe->state.policy.gates == gates)
                return;

        /* The program may have dropped the probe; then nothing is closed by it. */
        if (worker->probe->service)
                health_forget(health, probe);
        probe->state.policy.gates = gates;
        if (worker->probe->service)
                health_remember(health, probe);
        health->revision++;
        service_unsettle(worker->service);
}

static bool worker_is_settled(const hale_worker *worker) {
        return worker->restart.backoff.n_attempts == 0;
}

/* The present state, for the probe alone. */
void worker_tell_anew(hale_worker *worker) {
        switch (worker->state) {
        case HALE_WORKER_RUNNING:
                if (worker_is_settled(worker))
                        worker_push(worker, HALE_PASS, "running");
                else
                        worker_push(worker, HALE_WARN, "running again, %s before",
                                    worker->exit_text);
                break;
        case HALE_WORKER_STOPPING:
                worker_push(worker, HALE_WARN, "%s", worker->killed ? "was killed" : "stopping");
                break;
        case HALE_WORKER_ENDED:
                worker_push(worker, worker->ended_well ? HALE_PASS : HALE_FAIL, "%s",
                            worker->exit_text);
                break;
        case HALE_WORKER_FAILED:
                worker_push(worker, HALE_FAIL, "%s", worker->exit_text);
                break;
        case HALE_WORKER_WAITING:
        case HALE_WORKER_STARTING:
                if (worker->exit_text[0])
                        worker_push(worker, HALE_FAIL, "%s", worker->exit_text);
                break;
        }
}

void worker_tell_runs(hale_worker *worker) {
        char text[USEC_TEXT_MAX];

        worker_tell_anew(worker);
        if (worker->died_usec == 0 || worker_is_settled(worker))
                (void)journal_log(&worker->service->journal, LOG_DEBUG, "Worker '%s' runs (pid %d)",
                                  worker->name, (int)worker->active->pid);
        else
                worker_tell(worker, MESSAGE_WORKER_RESTARTED,
                            "runs again after %s, restarted %" PRIu64 " time%s so far",
                            usec_format(usec_sub(service_now(), worker->died_usec), text),
                            worker->restart.n_total, worker->restart.n_total == 1 ? "" : "s");
}

void worker_tell_settled(hale_worker *worker) {
        worker_tell_anew(worker);
}

void worker_tell_died(hale_worker *worker, uint64_t wait_usec) {
        char text[USEC_TEXT_MAX];

        if (wait_usec <= RESTART_AT_ONCE_USEC) {
                worker_push(worker, HALE_WARN, "%s, starting again", worker->exit_text);
                worker_tell(worker, MESSAGE_WORKER_DIED, "died: %s; starting it again",
                            worker->exit_text);
                return;
        }

        /* As exactly as people read it. */
        if (wait_usec > USEC_PER_SEC)
                wait_usec -= wait_usec % (100 * USEC_PER_MSEC);
        (void)usec_format(MAX(wait_usec / USEC_PER_MSEC, 1) * USEC_PER_MSEC, text);
        worker_push(worker, HALE_FAIL, "%s, starting again in %s", worker->exit_text, text);
        worker_tell(worker, MESSAGE_WORKER_DIED, "died: %s; starting it again in %s",
                    worker->exit_text, text);
}

void worker_tell_ended(hale_worker *worker, bool success) {
        worker_push(worker, success ? HALE_PASS : HALE_FAIL, "%s", worker->exit_text);
        worker_tell(worker, MESSAGE_WORKER_ENDED, "has ended and is not started again: %s",
                    worker->exit_text);
}

void worker_tell_escalated(hale_worker *worker) {
        char text[USEC_TEXT_MAX];

        (void)usec_format(worker->policy.window_usec, text);
        worker_push(worker, HALE_FAIL, "restarted %u times within %s and died again: %s",
                    worker->policy.max_restarts, text, worker->exit_text);
        worker_tell(worker, MESSAGE_WORKER_ESCALATED,
                    "is beyond help: restarted %u times within %s and died again: %s",
                    worker->policy.max_restarts, text, worker->exit_text);
}

void worker_tell_hung(hale_worker *worker) {
        char text[USEC_TEXT_MAX];

        (void)usec_format(worker->heartbeat.silent_usec, text);
        if (worker->is_thread) {
                worker_push(worker, HALE_FAIL,
                            "hangs: no heartbeat for %s, and a thread cannot be killed", text);
                worker_tell(worker, MESSAGE_WORKER_HUNG,
                            "hangs: no heartbeat for %s; it is a thread, which cannot be killed",
                            text);
                return;
        }

        worker_push(worker, HALE_WARN, "hangs: no heartbeat for %s, killed", text);
        worker_tell(worker, MESSAGE_WORKER_HUNG, "hangs: no heartbeat for %s; killing it", text);
}

void worker_tell_starved(hale_worker *worker) {
        (void)journal_log(&worker->service->journal, LOG_INFO,
                          "Worker '%s' is late with its heartbeat, but has not had a processor for "
                          "long enough to be at fault",
                          worker->name);
}

void worker_tell_stopping(hale_worker *worker) {
        if (!worker->service->workers->stopping)
                worker_push(worker, HALE_WARN, "stopping");
}

void worker_tell_late(hale_worker *worker,
                      const char *what,
                      uint64_t limit_usec,
                      const char *more) {
        char text[USEC_TEXT_MAX];

        (void)usec_format(limit_usec, text);
        worker_push(worker, HALE_FAIL, "%s for %s%s", what, text, more);
        worker_tell(worker, MESSAGE_WORKER_STUCK, "%s for %s%s", what, text, more);
}
