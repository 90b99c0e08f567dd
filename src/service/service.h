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

/* Something that waits in the wheel. */
typedef struct Timer {
        WheelNode node;
        void (*fire)(void *userdata);
        void *userdata;
} Timer;

#define TIMER_INIT(f, data)                                                                        \
        { .node = WHEEL_NODE_INIT, .fire = (f), .userdata = (data) }

typedef struct BlockingRun BlockingRun;

/* A result on its way: what the program said, before the core sees it. */
typedef struct Report {
        hale_status status;
        uint32_t run; /* 0: whichever is under way */
        bool given;   /* by hale_probe_pass() and its sisters, rather than by a return value */
        bool has_value;
        double value;
        char unit[UNIT_LENGTH_MAX + 1];
        char output[OUTPUT_LENGTH_MAX];
} Report;

/* What a run touches comes first and together: with a hundred thousand probes the time goes into
 * waiting for memory (see probe_prefetch()). */
struct hale_probe {
        Timer timer;
        hale_probe_check_t callback; /* NULL: pushed, or a check */
        void *userdata;
        hale_service *service; /* weak; NULL once dropped; written under the mail's lock */

        unsigned n_ref; /* atomic: threads of the pool hold references too */
        bool floating, blocking;
        bool timeout_set, stale_set;
        bool timed_out;   /* the last run did, and nothing was asked or heard since */
        bool told_to_fail; /* by a rehearsal */
        bool has_draft;   /* a value for the next report from outside a callback */
        Report *answer;   /* where a callback that is being called reports to */
        BlockingRun *job; /* the run in the pool, if one is under way */
        Check *check;
        struct Remedies *remedies; /* NULL: none */
        HealthProbe health;

        char *name;
        char *output; /* NULL: none */
        char unit[UNIT_LENGTH_MAX + 1];
        double draft_value;
        char draft_unit[UNIT_LENGTH_MAX + 1];
        bool has_mail;
        bool is_worker; /* what it says, the worker tells the journal itself */
        bool is_link;   /* and the link */
        Report *mail;   /* from other threads; under the mail's lock */
        TAILQ_ENTRY(hale_probe) mail_link;
};

/* What a run touches, from the timer on. */
#define PROBE_HOT_SIZE offsetof(hale_probe, health.state.since_usec)

TAILQ_HEAD(ProbeMail, hale_probe);
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
} ServiceState;

struct hale_service {
        unsigned n_ref;
        pid_t pid;
        pid_t tid;
        ServiceState state;
        int result; /* of run() */
        int stop_result; /* what it is to be after an orderly stop */

        char *name, *version, *unit, *bus_name;
        char invocation_id[33];
        ReportIdentity identity;
        hale_details details;

        sd_event *event;
        bool exit_loop; /* on stop: true in run(), and for start() with an attached loop */
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
        char stuck_probe[NAME_LENGTH_MAX + 1]; /* whose thread was abandoned last */
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

/* unit.c: NULL outside of a unit; the caller's */
char *unit_of_self(void);
char *unit_from_cgroup_path(const char *path);

/* tick.c: the one timer */
int service_tick_init(hale_service *service);
void service_tick_done(hale_service *service);
void service_tick_arm(hale_service *service);
void service_set_timer(hale_service *service, Timer *timer, uint64_t at_usec);

/* probe.c */
void service_drop_probes(hale_service *service);

/* probe-run.c: asking, and taking answers */
void probe_activate(hale_probe *probe, uint64_t now_usec, uint64_t spread_usec);
void service_activate_probes(hale_service *service, uint64_t now_usec, bool anew);
void service_deactivate_probes(hale_service *service);
void probe_schedule(hale_probe *probe);
void probe_due(void *userdata);
void probe_cancel(hale_probe *probe);

/* The run of @generation ended with @status, and @report if there is more to say than that. */
void probe_conclude(hale_probe *probe,
                    uint32_t generation,
                    hale_status status,
                    const Report *report);

/* A result from outside a callback: the answer to the run under way, or news. */
int probe_take_report(hale_probe *probe, const Report *report);

/* probe-report.c: hale_probe_pass() and its sisters */
void report_from_result(Report *report, int result);

/* probe-pool.c: blocking callbacks */
int probe_pool_start(hale_probe *probe, uint32_t generation);
void probe_pool_abandon(hale_probe *probe);
Report *probe_pool_current(const hale_probe *probe);
uint32_t probe_pool_run(const hale_probe *probe); /* 0: not in a run */

/* mail.c: reports from other threads */
int service_mail_init(hale_service *service);
void service_mail_done(hale_service *service);
int probe_post(hale_probe *probe, const Report *report);
void probe_mail_drop(hale_probe *probe);

/* True in the thread that made or started the service. */
extern __thread bool on_loop_thread;

/* settle.c: telling what has changed */
int service_settle_init(hale_service *service);
void service_unsettle(hale_service *service);
void service_settle(hale_service *service);
void service_settle_later(void *userdata);
void service_tell_status(hale_service *service);

/* tell.c: single probes, and mistakes */
void service_tell_probe(hale_service *service, hale_probe *probe, const ProbeChange *change);
bool service_may_tell(hale_service *service); /* false in a storm that enough was told of */
void service_tell_error(hale_service *service, const char *format, ...) _printf_(2, 3);

/* trouble.c: what is wrong with the process itself */
void service_look_for_trouble(hale_service *service);

/* watch.c: the gate */
int service_watch_init(hale_service *service);
void service_watch_step(hale_service *service);

/* run.c */
void service_timers_init(hale_service *service);
void service_stable_arm(hale_service *service);
void service_sources_done(hale_service *service);
void service_finish(hale_service *service, int result);
void service_exit_loop(hale_service *service);
int service_checks_init(hale_service *service);

/* stop.c */
int service_signals_init(hale_service *service);
int service_extend(hale_service *service);
void service_handler_late(void *userdata);
void service_drained(void *userdata);

/* link.c */
int service_links_start(hale_service *service);
void service_links_ask(hale_service *service); /* who knows what happened meanwhile */
void service_links_stop(hale_service *service);
void service_links_drop(hale_service *service);

/* remedy*.c: see remedy.h. For probes that have remedies, but for the drop. */
void remedies_answered(hale_probe *probe, hale_status result);
void remedies_silent(hale_probe *probe); /* its last answer is too old */
void remedies_reset(hale_probe *probe);
void remedies_drop(hale_probe *probe);
bool service_is_healing(const hale_service *service); /* what keeps `live` closed may yet be healed */
void service_tell_healing(hale_service *service, char *text, size_t size); /* appends what is done */

/* inject.c */
void service_end_rehearsal(hale_service *service);

/* maintenance.c, listen.c, http.c, bus.c */
void service_maintenance_over(void *userdata);
int service_listen_take(hale_service *service);
int service_listen_next(hale_service *service, const char *name);
void service_listen_done(hale_service *service);
int service_http_start(hale_service *service);
void service_http_stop(hale_service *service); /* ends the loop when replies are out */
void service_http_done(hale_service *service);
int service_bus_start(hale_service *service);

/* worker*.c: see worker.h */
int service_child_init(hale_service *service);
int service_child_run(hale_service *service);
int service_child_start(hale_service *service);
int service_workers_init(hale_service *service);
void service_workers_check(hale_service *service);
void service_workers_start(hale_service *service);
bool service_workers_stop(hale_service *service, uint64_t since_usec); /* false: none is left */
void service_workers_stopped(hale_service *service);                   /* the last is gone */
void service_workers_kill(hale_service *service);
void service_workers_done(hale_service *service);
void service_workers_forgive(hale_service *service);
