/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Bus: the inside
 *
 * What the files of this module share. bus.c keeps the connection, bus-health.c
 * and bus-probe.c and bus-log.c are the objects, bus-signal.c tells changes, and
 * bus-call.c keeps method calls until they can be answered.
 *
 * Whoever calls out to the source holds the Bus (bus_hold()), so that it may be
 * freed meanwhile, and looks at @dead afterwards.
 */

#include <sys/queue.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "base/limits.h"
#include "base/macro.h"
#include "core/backoff.h"
#include "core/random.h"
#include "report/bus.h"

#define HEALTH_PATH "/org/hale/Health1"
#define PROBES_PATH "/org/hale/Health1/probes"
#define WORKERS_PATH "/org/hale/Health1/workers"
#define LOG_PATH "/org/freedesktop/LogControl1"

#define HEALTH_INTERFACE "org.hale.Health1"
#define PROBE_INTERFACE "org.hale.Probe1"
#define WORKER_INTERFACE "org.hale.Worker1"
#define LOG_INTERFACE "org.freedesktop.LogControl1"

#define ERROR_NO_SUCH_PROBE "org.hale.Error.NoSuchProbe"
#define ERROR_NO_SUCH_WORKER "org.hale.Error.NoSuchWorker"
#define ERROR_PROBE_BUSY "org.hale.Error.ProbeBusy"
#define ERROR_NOT_RUNNING "org.hale.Error.NotRunning"
#define ERROR_INVALID_FORMAT "org.hale.Error.InvalidFormat"
#define ERROR_TOO_MANY_CALLS "org.hale.Error.TooManyCalls"
#define ERROR_FAULTS_NOT_ALLOWED "org.hale.Error.FaultsNotAllowed"
#define ERROR_NO_SUCH_FAULT "org.hale.Error.NoSuchFault"
#define ERROR_NO_SUCH_TARGET "org.hale.Error.NoSuchTarget"

/* What is attached to a connection: a filter, two local signals, six parts of objects. */
#define SLOTS_MAX 16

typedef enum BusRetry {
        RETRY_CONNECT,  /* build the connection anew */
        RETRY_DEADLINE, /* it was built, and should be up by now */
        RETRY_NAME,     /* ask for the name again */
} BusRetry;

/* What calls need leave for; each is a polkit action. */
typedef enum BusAction {
        ACTION_RUN_PROBE,
        ACTION_SET_MAINTENANCE,
        ACTION_SET_LOG,
        ACTION_RESTART_WORKER,
        ACTION_INJECT_FAULT, /* polkit is not asked */
        _ACTION_MAX,
} BusAction;

typedef struct BusCall BusCall;

/*
 * Does what the caller was given leave for. Returns 0 (done: an empty reply), 1
 * (the call waits on; or was answered), or a negative errno with @error for the
 * caller. May find the Bus dead when it comes back from the source.
 */
typedef int (*BusPerform)(BusCall *call, sd_bus_error *error);

/* A method call that is not answered yet. */
struct BusCall {
        TAILQ_ENTRY(BusCall) link;
        Bus *bus;
        sd_bus_message *message;
        sd_bus_slot *slot; /* of what we ask the bus or polkit */
        BusAction action;
        BusPerform perform;
        uid_t uid;
        bool at_polkit;
        bool running;           /* waits for the end of a run of @probe */
        uint64_t deadline_usec; /* of the run */
        char probe[NAME_LENGTH_MAX + 1];
};

TAILQ_HEAD(BusCalls, BusCall);

/* What clients were told last; the difference to what is so now is told next. */
typedef struct BusTold {
        HealthSummary summary;
        uint64_t since_usec;
        bool maintenance;
        uint64_t until_usec;
        char reason[OUTPUT_LENGTH_MAX];
        const char *gate;
        char rehearsal[REHEARSAL_TEXT_MAX];
        unsigned n_verdict[4];
        uint64_t n_untold;
} BusTold;

struct Bus {
        sd_event *event;
        int64_t priority;
        pid_t pid;
        uid_t uid;
        BusConfig config;
        const BusSource *source; /* not ours */
        void *data;
        char *address; /* NULL: there is none */

        unsigned n_holds; /* frames that are out at the source */
        bool dead;        /* freed, but for the memory */
        bool started;

        sd_bus *link; /* NULL: not connected, and waiting to be */
        sd_bus_slot *slots[SLOTS_MAX];
        unsigned n_slots;
        bool ready; /* hello was said */
        bool owned; /* the name is ours */
        bool absence_told, denial_told;
        uint64_t ready_usec;

        Random random;
        Backoff connect_backoff, name_backoff;
        sd_event_source *start_source, *retry_source;
        BusRetry retry;

        struct BusCalls calls;
        unsigned n_calls, n_at_polkit, n_running;
        sd_event_source *calls_source;

        BusWorker worker; /* that is being looked at */

        BusTold told;
        uint64_t window_usec; /* when the window began */
        unsigned n_probe_signals, n_health_signals;
        uint64_t n_untold; /* changes of probes for which there was no signal */
        sd_event_source *tell_source;
};

static inline Bus *bus_hold(Bus *bus) {
        bus->n_holds++;
        return bus;
}

void bus_release(Bus **bus);

#define _cleanup_release_ __attribute__((cleanup(bus_release)))

static inline const Health *bus_health(const Bus *bus) {
        return bus->source->health(bus->data);
}

uint64_t bus_now_usec(const Bus *bus);

/* Closes the connection at once, even from within its callbacks, and plans the next. */
void bus_lose(Bus *bus, int error);

/* Tells the source. */
void bus_report(Bus *bus, BusState state, int error);

/* Does @retry after @wait_usec, instead of what was planned before. */
void bus_plan(Bus *bus, BusRetry retry, uint64_t wait_usec);

/* Asks for the name, if it is not ours yet; and looks whether a message gives or takes it. */
int bus_request_name(Bus *bus);
void bus_take_name_signal(Bus *bus, sd_bus_message *message);

/* Loses the connection if more is queued than it should take. Returns true if it may be used. */
bool bus_has_room(Bus *bus);

/* True if an answer of up to BUS_REPORT_MAX may be made; otherwise sets @error. */
bool bus_has_room_for_much(Bus *bus, sd_bus_error *error);

/* Sets @source to fire at @at_usec, making it the first time. */
int bus_arm(Bus *bus,
            sd_event_source **source,
            uint64_t at_usec,
            sd_event_time_handler_t handler,
            const char *description);

/* The objects. Each adds its slots to those of the connection. */
int bus_export_health(Bus *bus, sd_bus *link);
int bus_export_probes(Bus *bus, sd_bus *link);
int bus_export_workers(Bus *bus, sd_bus *link);
int bus_export_log(Bus *bus, sd_bus *link);

/* Where to put the next slot. */
sd_bus_slot **bus_next_slot(Bus *bus);

/* @ret_path is the caller's to free. */
int bus_probe_path(const char *name, char **ret_path);
int bus_append_gates(sd_bus_message *message, unsigned gates);

/* CLOCK_REALTIME of what is @at_usec on CLOCK_MONOTONIC; 0 and never stay so. */
uint64_t bus_realtime_usec(uint64_t at_usec);

/* Keeps a method call, finds out who calls and whether that may be, then performs it. Returns
 * what the method returns: 1, or a negative errno with @error. */
int bus_call_begin(Bus *bus,
                   sd_bus_message *message,
                   BusAction action,
                   const char *probe,
                   BusPerform perform,
                   sd_bus_error *error);

/* bus-previous.c: the property PreviousRun */
int bus_get_previous_run(sd_bus *link,
                         const char *path,
                         const char *interface,
                         const char *property,
                         sd_bus_message *reply,
                         void *userdata,
                         sd_bus_error *error);

/* bus-fault.c: the method InjectFault(). */
int bus_method_inject_fault(sd_bus_message *message, void *userdata, sd_bus_error *error);

/* The method RunProbe() and Run(), with leave. */
int bus_call_run_probe(BusCall *call, sd_bus_error *error);

/* Answers all calls with @name and @text, and those of one probe only if @probe is not NULL. */
void bus_calls_fail(Bus *bus, const char *probe, const char *name, const char *text);
void bus_calls_drop(Bus *bus);

/* Takes what is so now for told: after the name was acquired, nobody knows an older state. */
void bus_told_reset(Bus *bus);
void bus_tell(Bus *bus);
