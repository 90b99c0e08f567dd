/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Opening the record: what the last run left is taken over, told, and a new run begins
 * in it
 *
 * Whatever systemd passes back may be damaged, of another version, or not a record at
 * all: then it is dropped with one line, and a new one made. One whose restoring has
 * crashed twice is dropped as well, unread.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/limits.h"
#include "heal/fatal.h"
#include "heal/symbols.h"
#include "report/json-history.h"
#include "service/service.h"

static void record_drop(hale_service *service, const char *word) {
        (void)journal_log(&service->journal, LOG_WARNING,
                          "The flight record that '%s' was passed cannot be used (%s): it is "
                          "dropped, and a new one begun",
                          service->name, word);
        recorder_done(&service->record.recorder);
        (void)notify_fdstore_remove(&service->notify, RECORDER_FD_NAME);
}

/* The stack of the end, if nobody was left to name it, and as far as the files are still there
 * that it was in. */
static void name_stack(const RecorderArea *copy, PreviousRun *previous) {
        const RecorderFrames *place = previous->stalled_usec > 0 ? &copy->hung : &copy->fatal;
        RecorderModules *modules;
        RecorderFrames frames;

        if (previous->stack[0] || !run_end_is_restart(previous->end) ||
            !recorder_read_frames(place, previous->run, &frames) || frames.n_frames == 0)
                return;

        modules = malloc(sizeof(*modules));
        if (modules && recorder_read_modules(copy, previous->run, modules))
                symbols_write(&frames, modules, previous->stack, previous->function);
        free(modules);
}

static void record_take_over(hale_service *service, const RecorderArea *copy) {
        Record *record = &service->record;
        RecorderState *state = &record->state;

        record->previous = malloc(sizeof(*record->previous));
        if (!record->previous || !recorder_read_state(copy, state)) {
                free(record->previous);
                record->previous = NULL;
                return;
        }

        recorder_deduce(copy, state, record->previous);
        name_stack(copy, record->previous);
        (void)previous_run_sentence(record->previous, record->previous_sentence,
                                    sizeof(record->previous_sentence));
        state->n_restarts = record->previous->n_restarts;
        record->sequence = recorder_last_sequence(copy);
}

/* The record in @fd, which is consumed. */
static void record_adopt(hale_service *service, int fd) {
        Record *record = &service->record;
        const char *word = NULL;
        RecorderArea *copy;
        int r;

        r = recorder_adopt(&record->recorder, fd, &word);
        if (r < 0) {
                (void)fd_close(fd);
                record_drop(service, word);
                return;
        }

        /* A copy, for whoever else has the descriptor could change it under our eyes. */
        copy = aligned_alloc(_Alignof(RecorderArea), sizeof(*copy));
        if (!copy) {
                recorder_done(&record->recorder);
                return;
        }

        memcpy(copy, record->recorder.area, sizeof(*copy));
        if (recorder_check(copy, service->name, &word) < 0) {
                record_drop(service, word);
        } else if (recorder_restore_begin(record->recorder.area) >= RECORDER_RESTORES_MAX) {
                record_drop(service, "restoring it has crashed twice");
        } else {
                record->kept = record->passed = true;
                record_take_over(service, copy);
        }
        free(copy);
}

static void record_find(hale_service *service) {
        int fd = service_listen_next(service, RECORDER_FD_NAME), more;

        if (fd >= 0)
                record_adopt(service, fd);

        /* There is one; what else has its name is not ours. */
        while ((more = service_listen_next(service, RECORDER_FD_NAME)) >= 0)
                (void)fd_close(more);
}

/* A new run in the record that was found or made. */
static void record_begin(hale_service *service) {
        Record *record = &service->record;
        RecorderState *state = &record->state;

        state->run++;
        state->life = LIFE_STARTING;
        state->pid = (int32_t)service->pid;
        state->result = 0;
        state->started_usec = service->started_usec;
        state->started_realtime_usec = clock_now_usec(CLOCK_REALTIME);
        state->lag_max_usec = 0;
        state->probe[0] = '\0';
        state->reason[0] = '\0';
        service_record_state(service);
        service_record_event(service, RECORD_START, NULL, 0,
                             record->previous ? record->previous_sentence : NULL);
}

/* Maintenance is an operator's word, and holds until it has run out or is taken back. */
static void record_restore_maintenance(hale_service *service) {
        const RecorderState *state = &service->record.state;
        char reason[OUTPUT_LENGTH_MAX];
        uint64_t left;

        left = recorder_maintenance_left(state, clock_now_usec(CLOCK_BOOTTIME),
                                         clock_now_usec(CLOCK_REALTIME));
        if (left == 0 || service->health.maintenance) {
                service_record_maintenance(service, service->health.maintenance ? "begun" : NULL);
                return;
        }

        (void)snprintf(reason, sizeof(reason), "%s", state->maintenance_reason);
        (void)hale_service_set_maintenance(service, left, reason);
}

static void record_tell(hale_service *service) {
        const PreviousRun *previous = service->record.previous;
        char stack[STACK_LINE_MAX], restarts[16];

        if (!previous || !run_end_is_restart(previous->end))
                return;

        symbols_join(previous->stack, stack);
        (void)snprintf(restarts, sizeof(restarts), "%" PRIu32, previous->n_restarts);
        (void)journal_send(
                &service->journal, MESSAGE_RESTARTED_AFTER,
                (JournalField[]){
                        { "HALE_RESULT", run_end_to_string(previous->end) },
                        { "HALE_REASON", service->record.previous_sentence },
                        { "HALE_LAST_PROBE", previous->probe[0] ? previous->probe : NULL },
                        { "HALE_FUNCTION", previous->function[0] ? previous->function : NULL },
                        { "HALE_STACK", stack[0] ? stack : NULL },
                        { "N_RESTARTS", restarts },
                },
                6, "Service '%s' runs again; the last time %s", service->name,
                service->record.previous_sentence);
}

static void record_write_json(hale_service *service) {
        Record *record = &service->record;
        Text text = TEXT_INIT;

        if (!record->previous)
                return;

        if (json_write_previous_run(&text, record->previous, record->previous_sentence) < 0)
                text_done(&text);
        record->previous_json = TAKE_PTR(text.data);
}

void service_record_start(hale_service *service) {
        Record *record = &service->record;
        int r;

        record_find(service);
        if (!record->recorder.area) {
                r = recorder_create(&record->recorder, service->name,
                                    notify_is_managed(&service->notify));
                if (r < 0) {
                        (void)journal_log(&service->journal, LOG_WARNING,
                                          "'%s' does without its flight recorder: %s",
                                          service->name, strerror(-r));
                        return;
                }
        }

        record_begin(service);
        record_restore_maintenance(service);
        record_tell(service);
        record_write_json(service);
        if (notify_is_managed(&service->notify)) {
                service_record_modules(service);
                service_record_watch_exit(service);
                fatal_install(&record->recorder.area->fatal, record->state.run);
        }
}

void service_record_started(hale_service *service) {
        if (service->record.recorder.area)
                recorder_restore_end(service->record.recorder.area);
}

void service_record_done(hale_service *service) {
        Record *record = &service->record;

        /* Whoever lets go of its service has ended in its own way. */
        service_record_stop(service, 0);
        service_record_unwatch_exit(service);
        service_blame_done(service);
        fatal_remove();
        recorder_done(&record->recorder);
        free(record->previous_json);
        free(record->previous);
        record->previous_json = NULL;
        record->previous = NULL;
}
