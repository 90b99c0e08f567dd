/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Record: what the flight recorder is told, and what it told
 *
 * Part of a service. It is opened at the start, when what the last run left is taken
 * over, and from then on each change that a person might ask about the next day is
 * written to it at once. Before the start, and in workers, all calls do nothing.
 */

#include <stdint.h>

#include "core/health.h"
#include "hale/service.h"
#include "heal/blame.h"
#include "report/journal.h"
#include "report/recorder.h"

/* How many changes of one kind may still be recorded. */
typedef struct Allowance {
        uint64_t whole_usec; /* when it is back at its most */
        uint64_t n_skipped;  /* that were not recorded, and not told of so far */
} Allowance;

typedef struct Record {
        Recorder recorder;
        RecorderState state;
        uint64_t sequence; /* of the last entry */
        bool prepared;     /* for last words: what they need is loaded */
        bool kept;         /* systemd was given a descriptor of it, and takes it if it may */
        bool passed;       /* it came from systemd, which so keeps it */
        bool stop_said;    /* nothing is written after the end */
        Allowance allowances[_RECORDER_KIND_MAX];

        PreviousRun *previous; /* NULL: none is known */
        char *previous_json;
        char previous_sentence[2 * OUTPUT_LENGTH_MAX];

        Blame *blame;    /* NULL: nobody is blamed */
        Journal journal; /* of its thread, as the next two */
        RecorderStall *stall;
        RecorderModules *modules;
        uint64_t stall_usec; /* what the program chose; 0: nothing */
        int stall_signal;    /* -1: the default */
} Record;

#define RECORD_INIT                                                                                \
        { .recorder = RECORDER_INIT, .journal = JOURNAL_INIT, .stall_signal = -1 }

/* record-restore.c: at the start; never fails, but may say that it does without */
void service_record_start(hale_service *service);

/* The start is over, and the record has not harmed it. */
void service_record_started(hale_service *service);
void service_record_done(hale_service *service);

/* record.c */
void service_record_event(hale_service *service,
                          RecorderKind kind,
                          const char *name,
                          uint64_t value,
                          const char *text);
void service_record_change(hale_service *service,
                           RecorderKind kind,
                           const char *name,
                           hale_status from,
                           hale_status to,
                           const char *text);
void service_record_probe(hale_service *service,
                          const HealthProbe *probe,
                          hale_status from,
                          hale_status to);
void service_record_health(hale_service *service, const HealthSummary *old);

/* Why the stop that begins now is no stop that was asked for. */
void service_record_reason(hale_service *service, const HealthProbe *culprit, const char *reason);

/* The gate closed, triggered, gave up, or is open again. */
void service_record_gate(hale_service *service, RecorderLife life, const char *reason);
void service_record_ping(hale_service *service);
void service_record_lag(hale_service *service, uint64_t lag_usec);
void service_record_maintenance(hale_service *service, const char *what);
void service_record_stopping(hale_service *service);
void service_record_stop(hale_service *service, int result);

/* The same, for @reason; NULL: that of @result. */
void service_record_ended(hale_service *service, int result, const char *reason);

/* From then on, who calls exit(3) past us is told from who was killed. */
void service_record_watch_exit(hale_service *service);
void service_record_unwatch_exit(const hale_service *service);
void service_record_state(hale_service *service);

/* Notes which files code was loaded from, so that addresses can be told later. */
void service_record_modules(hale_service *service);

/* Offers the record to systemd, until it is taken. */
void service_record_keep(hale_service *service);

/* blame.c */
void service_blame_start(hale_service *service);
void service_blame_done(hale_service *service);
