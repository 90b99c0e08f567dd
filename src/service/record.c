/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Writing the record, as things happen
 */

#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "core/defaults.h"
#include "heal/modules.h"
#include "heal/stack.h"
#include "service/service.h"

void service_record_keep(hale_service *service) {
        Record *record = &service->record;

        if (record->kept || record->recorder.fd < 0)
                return;

        /* A full queue is worth another try; whoever does not keep anything does not say so. */
        record->kept =
                notify_fdstore(&service->notify, record->recorder.fd, RECORDER_FD_NAME) != -EAGAIN;
}

static bool is_open(const hale_service *service) {
        return service->record.recorder.area && !service->record.stop_said;
}

static void record_write(hale_service *service, RecorderEntry *entry, const char *text) {
        Record *record = &service->record;

        entry->usec = service_now();
        entry->realtime_usec = clock_now_usec(CLOCK_REALTIME);
        entry->run = record->state.run;
        (void)str_sanitize(text ? text : "", entry->text, sizeof(entry->text));
        recorder_write_entry(record->recorder.area, &record->sequence, entry);
        service->results_revision++; /* pages with the history are out of date */
        service_record_keep(service);
}

/* What a program, its workers or its peers can make happen as often as they like. */
static bool comes_in_storms(RecorderKind kind) {
        return kind == RECORD_PROBE || kind == RECORD_HEALTH || kind == RECORD_LINK ||
               kind == RECORD_WORKER || kind == RECORD_REMEDY;
}

/* False when this storm has been recorded enough of. */
static bool may_record(hale_service *service, RecorderKind kind) {
        Allowance *allowance = &service->record.allowances[kind];
        uint64_t now_usec = service_now(), whole_usec = MAX(allowance->whole_usec, now_usec);

        if (!comes_in_storms(kind))
                return true;

        if (whole_usec - now_usec > (RECORDER_BURST_MAX - 1) * RECORDER_REFILL_USEC) {
                allowance->n_skipped++;
                return false;
        }

        allowance->whole_usec = whole_usec + RECORDER_REFILL_USEC;
        return true;
}

static void
record_entry(hale_service *service, RecorderEntry *entry, const char *name, const char *text) {
        RecorderKind kind = (RecorderKind)entry->kind;
        Allowance *allowance = &service->record.allowances[kind];
        RecorderEntry skipped = { .kind = RECORD_SKIPPED, .value = allowance->n_skipped };

        if (!is_open(service) || !may_record(service, kind))
                return;

        if (skipped.value > 0) {
                (void)snprintf(skipped.name, sizeof(skipped.name), "%s",
                               recorder_kind_to_string(kind));
                allowance->n_skipped = 0;
                record_write(service, &skipped, "changes in a storm");
        }
        (void)snprintf(entry->name, sizeof(entry->name), "%s", name ? name : "");
        record_write(service, entry, text);
}

void service_record_event(hale_service *service,
                          RecorderKind kind,
                          const char *name,
                          uint64_t value,
                          const char *text) {
        RecorderEntry entry = { .kind = (uint16_t)kind, .value = value };

        record_entry(service, &entry, name, text);
}

void service_record_change(hale_service *service,
                           RecorderKind kind,
                           const char *name,
                           hale_status from,
                           hale_status to,
                           const char *text) {
        RecorderEntry entry = {
                .kind = (uint16_t)kind,
                .from = (uint8_t)from,
                .to = (uint8_t)to,
        };

        record_entry(service, &entry, name, text);
}

void service_record_probe(hale_service *service,
                          const HealthProbe *probe,
                          hale_status from,
                          hale_status to) {
        service_record_change(service, RECORD_PROBE, probe->name, from, to,
                              probe->state.stale ? "no news for too long" : probe->output);
}

void service_record_modules(hale_service *service) {
        _cleanup_free_ RecorderModules *modules = calloc(1, sizeof(*modules));

        if (!modules)
                return;

        modules->run = service->record.state.run;
        modules_take(modules);
        recorder_write_modules(service->record.recorder.area, modules);
}

/* A thread and the unwinder take a third of a millisecond, which READY=1 need not wait for. */
static void record_prepare(hale_service *service) {
        Record *record = &service->record;

        if (record->prepared)
                return;

        record->prepared = true;
        service_blame_start(service);
        if (!notify_is_managed(&service->notify))
                return;

        if (!record->blame)
                stack_prime();
        service_record_modules(service);
}

void service_record_state(hale_service *service) {
        Record *record = &service->record;
        RecorderState *state = &record->state;

        if (!is_open(service))
                return;

        state->written_usec = service_now();
        state->written_realtime_usec = clock_now_usec(CLOCK_REALTIME);
        state->watchdog_usec = service->gate.config.watchdog_usec;
        state->status = service->health.summary.status;
        if (state->life == LIFE_STARTING && service->ready_sent) {
                state->life = LIFE_RUNNING;
                record_prepare(service);
        }
        recorder_write_state(record->recorder.area, state);
        service_record_keep(service);
}

/* The newest reason is in the state, too, where it has its full length. */
static void state_reason(RecorderState *state, const HealthProbe *culprit, const char *reason) {
        (void)str_sanitize(reason, state->reason, sizeof(state->reason));
        (void)snprintf(state->probe, sizeof(state->probe), "%s", culprit ? culprit->name : "");
}

void service_record_reason(hale_service *service, const HealthProbe *culprit, const char *reason) {
        if (!is_open(service))
                return;

        state_reason(&service->record.state, culprit, reason);
        service_record_state(service);
}

void service_record_health(hale_service *service, const HealthSummary *old) {
        const HealthSummary *summary = &service->health.summary;
        char sentence[4 * STATUS_LENGTH_MAX];

        if (!is_open(service) || (old->status == summary->status && old->phase == summary->phase))
                return;

        (void)health_sentence(&service->health, sentence, sizeof(sentence));
        if (service->record.state.life <= LIFE_RUNNING)
                state_reason(&service->record.state,
                             health_culprit(&service->health, HALE_GATE_READY), sentence);
        service_record_change(service, RECORD_HEALTH, hale_phase_to_string(summary->phase),
                              old->status, summary->status, sentence);
        service_record_state(service);
}

void service_record_gate(hale_service *service, RecorderLife life, const char *reason) {
        /* clang-format off */
        static const char *const words[] = {
                [LIFE_STARTING]  = "open",
                [LIFE_RUNNING]   = "open",
                [LIFE_WITHHELD]  = "withheld",
                [LIFE_TRIGGERED] = "triggered",
                [LIFE_GIVEN_UP]  = "ended",
        };
        /* clang-format on */
        RecorderState *state = &service->record.state;

        assert(life < ELEMENTSOF(words));

        if (!is_open(service))
                return;

        state->life = life;
        state_reason(state, health_culprit(&service->health, HALE_GATE_LIVE), reason);
        service_record_state(service);
        service_record_event(service, RECORD_GATE, words[life], 0, reason);
}

void service_record_ping(hale_service *service) {
        if (is_open(service))
                recorder_note_time(&service->record.recorder.area->ping_usec, service_now());
        service_record_keep(service);
}

/* A stall that was blamed is an entry each; of what else was late, the maxima. */
void service_record_lag(hale_service *service, uint64_t lag_usec) {
        Record *record = &service->record;
        bool was_told = blame_take_told(record->blame);
        RecorderStall stall;

        if (!is_open(service))
                return;

        /* Whoever does not get ready may hang all the same. */
        if (!record->prepared &&
            usec_sub(service_now(), service->started_usec) >= RECORD_PREPARE_USEC)
                record_prepare(service);

        if (was_told) {
                bool known = recorder_read_stall(record->recorder.area, record->state.run, &stall);

                recorder_note_time(&record->recorder.area->stall_over_usec, service_now());
                service_record_event(service, RECORD_STALL, NULL, lag_usec,
                                     !known              ? ""
                                     : stall.function[0] ? stall.function
                                                         : stall.doing);
        } else if (lag_usec > record->state.lag_max_usec && lag_usec >= LOOP_LAG_WARN_USEC) {
                service_record_event(service, RECORD_LAG, NULL, lag_usec, NULL);
        }

        /* It is written with the next change. */
        record->state.lag_max_usec = MAX(record->state.lag_max_usec, lag_usec);
}

void service_record_maintenance(hale_service *service, const char *what) {
        RecorderState *state = &service->record.state;
        const Health *health = &service->health;
        uint64_t until = health->maintenance_until_usec, left;

        if (!is_open(service))
                return;

        left = until == USEC_NEVER ? USEC_NEVER : usec_sub(until, service_now());
        state->maintenance = health->maintenance;
        state->maintenance_boottime_usec = usec_add(clock_now_usec(CLOCK_BOOTTIME), left);
        state->maintenance_realtime_usec = usec_add(clock_now_usec(CLOCK_REALTIME), left);
        (void)str_sanitize(health->maintenance ? health->maintenance_reason : "",
                           state->maintenance_reason, sizeof(state->maintenance_reason));

        service_record_state(service);
        if (!what)
                return;

        service_record_event(service, RECORD_MAINTENANCE, what,
                             health->maintenance && left != USEC_NEVER ? left : 0,
                             state->maintenance_reason);
}

void service_record_stopping(hale_service *service) {
        service->record.state.life = LIFE_STOPPING;
        service_record_state(service);
}

void service_record_ended(hale_service *service, int result, const char *reason) {
        RecorderState *state = &service->record.state;

        if (!is_open(service))
                return;

        if (reason)
                state_reason(state, NULL, reason);
        else if (result < 0)
                reason = strerror(-result);
        service_record_event(service, RECORD_STOP, NULL, 0, reason);
        state->life = LIFE_STOPPED;
        state->result = result;
        service_record_state(service);
        service->record.stop_said = true;

        /* Also of a start that failed: whoever gets here has not crashed in the restoring. */
        recorder_restore_end(service->record.recorder.area);
}

void service_record_stop(hale_service *service, int result) {
        if (!is_open(service))
                return;

        service_record_ended(service, result, NULL);

        /* From here on the program need not turn the loop. */
        service_blame_done(service);
}

_public_ const char *hale_service_get_previous_run(hale_service *service, const char **ret_reason) {
        const Record *record;

        RETURN_IF_FAIL(service, NULL);

        record = &service->record;
        if (!record->previous)
                return NULL;

        if (ret_reason)
                *ret_reason = record->previous_sentence;
        return run_end_to_string(record->previous->end);
}
