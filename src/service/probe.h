/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Probe: the inside
 *
 * A probe of a service, and the timer that it waits in. From the add to the drop it
 * belongs to its service; references may outlive that.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/limits.h"
#include "check/check.h"
#include "core/health.h"
#include "core/wheel.h"
#include "hale/hale.h"

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
 * waiting for memory (see prefetch() in tick.c). */
struct hale_probe {
        Timer timer;
        hale_probe_check_t callback; /* NULL: pushed, or a check */
        void *userdata;
        hale_service *service; /* weak; NULL once dropped; written under the mail's lock */

        unsigned n_ref; /* atomic: threads of the pool hold references too */
        bool floating, blocking;
        bool timeout_set, stale_set;
        bool timed_out;    /* the last run did, and nothing was asked or heard since */
        bool told_to_fail; /* by a rehearsal */
        bool has_draft;    /* a value for the next report from outside a callback */
        Report *answer;    /* where a callback that is being called reports to */
        BlockingRun *job;  /* the run in the pool, if one is under way */
        Check *check;
        struct Remedies *remedies; /* NULL: none */
        HealthProbe health;

        char *name;
        char *output; /* NULL: none */
        char unit[UNIT_LENGTH_MAX + 1];
        double draft_value;
        char draft_unit[UNIT_LENGTH_MAX + 1];
        bool has_mail;
        bool is_worker;   /* what it says, the worker tells the journal itself */
        bool is_link;     /* and the link */
        Report *mail;     /* from other threads; under the mail's lock */
        Report *withheld; /* what would be said but for a rehearsal; NULL: none, or it is asked */
        TAILQ_ENTRY(hale_probe) mail_link;
};

/* What a run touches, from the timer on. */
#define PROBE_HOT_SIZE offsetof(hale_probe, health.state.since_usec)

TAILQ_HEAD(ProbeMail, hale_probe);

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
