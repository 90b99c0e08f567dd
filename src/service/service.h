/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Service: the inside
 *
 * What the files of this room share. A service owns the health, the loop's
 * sources and the reports; a probe belongs to it from add to drop. Everything here
 * runs in the loop's thread, but for the mailbox (mail.c).
 *
 * The way of one answer: probe-run.c takes it to the core, and marks the health as
 * unsettled; settle.c looks once at what has changed in all and tells it to
 * notify, journal, bus and HTTP, and to the gate.
 */

#include <errno.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/syslog.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "check/check.h"
#include "check/loop-lag.h"
#include "check/loop-watch.h"
#include "check/pool.h"
#include "core/gate.h"
#include "core/health.h"
#include "core/random.h"
#include "core/wheel.h"
#include "hale/hale.h"
#include "heal/child.h"
#include "report/bus.h"
#include "report/http-server.h"
#include "report/journal.h"
#include "report/json.h"
#include "report/notify.h"
#include "service/documents.h"
#include "service/metrics.h"
#include "service/parts.h"
#include "service/probe.h"
#include "service/record.h"

/* From first to last served. Signals come before all else; the ping comes after the probes, so
 * that a starved loop shows; HTTP comes last, so that no flood of requests can delay the ping. */
enum {
        PRIORITY_SIGNAL = SD_EVENT_PRIORITY_NORMAL - 30,
        PRIORITY_SETTLE = SD_EVENT_PRIORITY_NORMAL - 20,
        PRIORITY_WORKER = SD_EVENT_PRIORITY_NORMAL - 15,
        PRIORITY_PROBE = SD_EVENT_PRIORITY_NORMAL - 10,
        PRIORITY_LINK = SD_EVENT_PRIORITY_NORMAL + 5, /* deadlines, after what may meet them */
        PRIORITY_PING = SD_EVENT_PRIORITY_NORMAL + 10,
        PRIORITY_BUS = SD_EVENT_PRIORITY_NORMAL + 20,
        PRIORITY_HTTP = SD_EVENT_PRIORITY_NORMAL + 30,
};

TAILQ_HEAD(Links, hale_link);
TAILQ_HEAD(BusyRemedies, Remedies);
TAILQ_HEAD(Injections, Injection);

typedef struct PassedSocket {
        int fd;
        char *name;
} PassedSocket;

typedef enum ServiceState {
        SERVICE_NEW,
        SERVICE_RUNNING,
        SERVICE_DRAINING, /* `ready` is closed, still serving */
        SERVICE_STOPPING, /* the program's on_stop is at work */
        SERVICE_STOPPED,
        SERVICE_WORKING, /* this is the process of a worker, at its function: not a service */
} ServiceState;

struct hale_service {
        unsigned n_ref;
        pid_t pid;
        ServiceState state;
        int result;      /* of run() */
        int stop_result; /* what it is to be after an orderly stop */

        char *name, *version, *unit, *bus_name;
        char invocation_id[33];
        ReportIdentity identity;
        hale_details details;

        sd_event *event;
        sd_event_source *tick_source, *now_source, *gate_source, *settle_source;
        sd_event_source *signal_sources[3];
        uint64_t tick_at_usec, watch_at_usec; /* what the two timers are set to */
        bool in_tick;
        uint64_t clock_usec;    /* CLOCK_MONOTONIC as last read in this turn of the tick */
        uint64_t realtime_usec; /* what to add to it for wall time */

        Health health;
        HealthSummary told; /* the summary that the reports know */
        bool unsettled, in_settle;
        bool probes_begun;       /* the startup gate has opened: all are asked */
        bool ready_sent;         /* READY=1 */
        bool well;               /* live and ready, for a while: stable_timer */
        unsigned n_waiting_told; /* startup and ready probes that had not passed when last looked */
        uint64_t tell_since_usec; /* messages about probes: window and number */
        unsigned n_told;
        uint64_t results_revision;
        Wheel wheel;
        Random random;
        Gate gate;
        LoopLag lag;
        LoopWatch loop_watch;
        LoopLagReader lag_reader;
        char stuck_probe[NAME_LENGTH_MAX + 1];       /* whose thread was abandoned last */
        uint64_t n_abandoned_told, n_exhausted_told; /* what trouble.c has spoken of */
        uint64_t sleep_usec; /* CLOCK_BOOTTIME - CLOCK_MONOTONIC when last looked */
        void *names;         /* tsearch(3) tree of the probes by name */

        NotifyEnvironment environment;
        Notify notify;
        Journal journal;
        Pool pool;
        CheckContext check_context;

        HttpServer http;
        bool http_open;
        char **addresses; /* to be bound when nothing was passed */
        size_t n_addresses;
        PassedSocket *passed;
        size_t n_passed;
        Documents documents;
        Metrics metrics;
        Record record;

        Bus *bus;
        bool bus_was_lost;

        struct Workers *workers; /* NULL: none */
        bool is_worker;          /* this process is @child, and serves nothing */
        Child child;
        hale_worker *working;   /* in a worker: whose function is being called */
        uint64_t stopping_usec; /* SERVICE_STOPPING since */
        bool workers_stop;      /* on_stop is done, and the workers end */

        Timer settle_timer, notify_timer, maintenance_timer, handler_timer, stable_timer,
                drain_timer;
        char *maintenance_reason;
        uint64_t extended_usec; /* EXTEND_TIMEOUT_USEC given so far in this phase */
        char *progress;         /* the program's own words about its start */
        uint64_t started_usec;

        struct Links links;
        unsigned n_links;

        struct BusyRemedies busy_remedies;
        hale_trim_t on_trim;
        void *on_trim_data;

        bool faults_allowed;
        struct Injections injections;
        unsigned n_injections;
        char rehearsal[REHEARSAL_TEXT_MAX]; /* what is on, or "" */

        sd_event_source *mail_source;
        int mail_fd;
        struct ProbeMail mail;

        hale_reload_t on_reload;
        void *on_reload_data;
        hale_stop_t on_stop;
        void *on_stop_data;
        hale_change_t on_change;
        void *on_change_data;
        uint64_t drain_usec;
};

static inline uint64_t service_now(void) {
        return clock_now_usec(CLOCK_MONOTONIC);
}

/* Every public call begins with these: the object, and that we are not a forked child. */
#define SERVICE_CHECK(service)                                                                     \
        do {                                                                                       \
                RETURN_IF_FAIL((service), -EINVAL);                                                \
                RETURN_IF_FAIL((service)->pid == getpid(), -ECHILD);                               \
        } while (0)

#define PROBE_CHECK(probe)                                                                         \
        do {                                                                                       \
                RETURN_IF_FAIL((probe), -EINVAL);                                                  \
                RETURN_IF_FAIL((probe)->service, -ESTALE);                                         \
                SERVICE_CHECK((probe)->service);                                                   \
        } while (0)
