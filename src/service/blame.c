/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Blame: what is told of a loop that hangs
 *
 * The functions that run in the thread of heal/blame touch nothing of the service but
 * its name, the record's own places for them, and a journal of their own: the loop
 * hangs, and may go on at any moment. They allocate nothing: it may hang in malloc(3).
 */

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/defaults.h"
#include "heal/symbols.h"
#include "service/service.h"

static void tell_stall(hale_service *service,
                       const BlameReport *report,
                       const char *function,
                       const char *lines) {
        const char *doing = report->doing[0] ? report->doing : "a callback of the program";
        char stack[STACK_LINE_MAX], duration[USEC_TEXT_MAX], usec[24];

        symbols_join(lines, stack);
        (void)snprintf(usec, sizeof(usec), "%" PRIu64, report->silent_usec);
        (void)usec_format(report->silent_usec / USEC_PER_MSEC * USEC_PER_MSEC, duration);
        (void)journal_send(&service->record.journal, MESSAGE_LOOP_STALLED,
                           (JournalField[]){
                                   { "HALE_LAG_USEC", usec },
                                   { "HALE_STALLED_IN", doing },
                                   { "HALE_FUNCTION",
                                     function[0] ? function : "a function that is not known" },
                                   { "HALE_STACK", stack[0] ? stack : NULL },
                           },
                           4, "The event loop of '%s' hangs for %s in %s%s%s%s%s", service->name,
                           duration, doing, function[0] ? ", at " : "", function,
                           report->frames ? "" : "; its stack is not known: ",
                           report->frames ? "" : report->excuse);
}

static void on_stalled(const BlameReport *report, void *userdata) {
        hale_service *service = userdata;
        RecorderModules *modules = service->record.modules;
        RecorderStall *stall = service->record.stall;

        memset(stall, 0, sizeof(*stall));
        stall->usec = report->usec;
        stall->silent_usec = report->silent_usec;
        stall->run = service->record.state.run;
        memcpy(stall->doing, report->doing, sizeof(stall->doing));
        recorder_write_stall(service->record.recorder.area, stall);

        /* Those that the record has, for asking anew could wait for the thread that hangs. */
        if (report->frames &&
            recorder_read_modules(service->record.recorder.area, stall->run, modules)) {
                symbols_write(report->frames, modules, stall->stack, stall->function);
                recorder_write_stall(service->record.recorder.area, stall);
        }
        tell_stall(service, report, stall->function, stall->stack);
}

static uint64_t blame_limit(const hale_service *service) {
        uint64_t watchdog_usec = service->environment.watchdog_usec;

        if (service->record.stall_usec > 0)
                return service->record.stall_usec;

        return watchdog_usec > 0 ? MAX(watchdog_usec / STALLS_PER_WATCHDOG, STALL_MIN_USEC)
                                 : USEC_NEVER;
}

void service_blame_start(hale_service *service) {
        Record *record = &service->record;
        const BlameConfig config = {
                .limit_usec = blame_limit(service),
                .signal = record->stall_signal >= 0 ? record->stall_signal : SIGRTMAX - 5,
                .run = record->state.run,
                .frames = &record->recorder.area->hung,
                .stalled = on_stalled,
                .userdata = service,
        };
        int r;

        if (config.limit_usec == USEC_NEVER)
                return;

        journal_init(&record->journal, service->name);
        record->journal.target = service->journal.target;
        record->stall = calloc(1, sizeof(*record->stall));
        record->modules = calloc(1, sizeof(*record->modules));
        r = record->stall && record->modules ? blame_new(&record->blame, &config) : -ENOMEM;
        if (r < 0) {
                (void)journal_log(&service->journal, LOG_WARNING,
                                  "Nobody will say where '%s' hangs, if it does: %s", service->name,
                                  strerror(-r));
                return;
        }

        blame_expect(record->blame, BLAME_TICK,
                     service->tick_at_usec > 0 ? service->tick_at_usec : service_now());
        blame_expect(record->blame, BLAME_WATCH, service->watch_at_usec);
}

void service_blame_done(hale_service *service) {
        Record *record = &service->record;

        record->blame = blame_free(record->blame);
        free(record->stall);
        free(record->modules);
        record->stall = NULL;
        record->modules = NULL;
        journal_done(&record->journal);
}

_public_ int hale_service_set_stall_usec(hale_service *service, uint64_t usec) {
        SERVICE_CHECK(service);
        RETURN_IF_FAIL(usec >= STALL_MIN_USEC, -EINVAL);
        RETURN_IF_FAIL(service->state == SERVICE_NEW, -EBUSY);

        service->record.stall_usec = usec;
        return 0;
}

_public_ int hale_service_set_stall_signal(hale_service *service, int number) {
        SERVICE_CHECK(service);
        RETURN_IF_FAIL(number >= 0 && number <= SIGRTMAX, -EINVAL);
        RETURN_IF_FAIL(number != SIGKILL && number != SIGSTOP, -EINVAL);
        RETURN_IF_FAIL(service->state == SERVICE_NEW, -EBUSY);

        service->record.stall_signal = number;
        return 0;
}
