/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * World
 *
 * A process made of the real core, in virtual time, and all that is around it: the
 * things that its probes ask, which fail alone and together, answer late or never;
 * servers at the other end of its links; its workers, which die, hang, starve and do
 * not stop; a loop that stalls; a machine that sleeps; operators; and a manager that
 * acts as systemd does. Everything follows from one seed.
 *
 * The world does what src/service does with the core and no more. What must hold
 * is not here but in invariants.c and the files hold-*.c, which keep books of their own
 * (Shadow...) and are told of everything that happens.
 */

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"
#include "core/backoff.h"
#include "core/gate.h"
#include "core/health.h"
#include "core/ladder.h"
#include "core/random.h"
#include "core/wheel.h"
#include "sim/sight.h"

#define OUTAGES_MAX 4
#define TRACE_MAX 48

typedef struct World World;

/* A deadline of the process other than those of its probes. */
typedef struct SimTimer {
        WheelNode node;
        void (*fire)(World *world, void *owner);
        void *owner;
} SimTimer;

#define SIM_TIMER_INIT(function, whose)                                                            \
        { .node = WHEEL_NODE_INIT, .fire = (function), .owner = (whose) }

/* What invariants.c knows of a probe, from what happened and not from the core. */
typedef struct Shadow {
        hale_status verdict;
        unsigned gates; /* that it closes */
        bool active, running, passed_once, stale;
        unsigned n_fail, n_pass;
        uint64_t window;
        uint64_t run;           /* number of the run under way */
        uint64_t answered_usec; /* last answer other than unknown, or activation */
        uint64_t started_usec;
        uint64_t earliest_usec, latest_usec; /* when the next run may start */
        bool asked_in_vain;                  /* an answer was unknown since the last that was not */
        uint64_t n_results[4], n_timeouts, n_late, n_changes;
} Shadow;

#define SIM_RUNGS_MAX 4
#define SIM_BUDGET_MAX 6

/* What hold-ladder.c knows of a rung. */
typedef struct ShadowRung {
        uint64_t starts[SIM_BUDGET_MAX]; /* of the last runs, the latest first; 0: none */
        uint64_t cooldown_usec, ready_usec;
        uint64_t n_runs;
} ShadowRung;

typedef enum SimCure {
        CURE_CALL, /* of the program: may end the common cause */
        CURE_REOPEN,
        CURE_RESTART,
        _CURE_MAX,
} SimCure;

/* The remedies of a probe, and what invariants know of them. */
typedef struct SimLadder {
        Ladder ladder;
        SimCure cures[SIM_RUNGS_MAX];
        RungPolicy policies[SIM_RUNGS_MAX];
        unsigned n_rungs;
        uint64_t times[SIM_RUNGS_MAX][SIM_BUDGET_MAX];
        SimTimer timer;
        struct SimProbe *probe;

        ShadowRung rungs[SIM_RUNGS_MAX];
        bool running, verifying, spent;
        unsigned climbed; /* rungs below were had in this climb */
        uint64_t n_failures, n_ends;
        uint64_t stopped_usec; /* the last run */
} SimLadder;

typedef struct SimProbe {
        HealthProbe health;
        WheelNode node;
        bool in;
        unsigned index;
        unsigned life; /* grows each time it is added: what was meant for an earlier life is lost */

        /* The thing that it asks: chances in 1000. */
        unsigned p_fail, p_warn, p_unknown, p_never, p_slow;
        unsigned outage; /* which common cause of failure it shares */
        uint64_t latency_usec;
        uint32_t generation;
        SimLadder *remedies; /* NULL: none */

        /* Whose state it shows, and is told by; both NULL: it asks or is told something else. */
        struct SimLink *link;
        struct SimWorker *worker;

        Shadow shadow;
} SimProbe;

typedef enum EventKind {
        EVENT_ANSWER,
        EVENT_PUSH,
        EVENT_MISHAP,
        EVENT_RUNG, /* a run of a remedy comes to its end */
        EVENT_ACT,  /* the manager acts on a trigger */
        EVENT_LINK, /* an answer, or the end of a connection */
        EVENT_TELL, /* the program says of a link what it knows */
        EVENT_WORKER,
        EVENT_RELEASE, /* of a worker, by a debugger */
        EVENT_STOPPED, /* the program has done its part of an orderly stop */

        /* Around the process, whatever that does. */
        EVENT_OUTAGE,
        EVENT_SERVER,
        EVENT_STARVE,
        EVENT_START,
} EventKind;

typedef struct Event {
        uint64_t at_usec, order;
        EventKind kind;
        unsigned probe, life, incarnation;
        uint32_t generation;
        uint64_t run; /* which one, or what it is about */
} Event;

typedef struct Trace {
        uint64_t at_usec;
        const char *what;
        uint64_t a, b;
} Trace;

/* The books of invariants.c about the process as a whole. */
typedef struct Books {
        uint64_t disturbed_usec; /* until then nothing is expected to be in time */
        uint64_t gap_usec;       /* the last */
        uint64_t triggered_usec; /* USEC_NEVER if not */
        uint64_t n_bad;          /* fails and stale verdicts since the last gap */
        uint64_t n_pings;
        uint64_t checks;
        bool started, announced;
} Books;

struct World {
        uint64_t seed;
        Random chance; /* the world's */
        Random jitter; /* the process's */
        uint64_t now;

        Event *events; /* a heap */
        size_t n_events, n_events_allocated;
        uint64_t order;

        SimProbe *probes; /* those of links and workers come last */
        unsigned n_probes;
        struct SimLink *links;
        unsigned n_links;
        struct SimWorker *workers;
        unsigned n_workers;
        struct SimGroup *groups;
        unsigned n_groups;
        bool workers_stopping;
        uint64_t stopping_usec, stop_by_usec;
        bool starving;  /* no worker gets a processor */
        bool schedstat; /* and the kernel says so */
        bool outage[OUTAGES_MAX];
        uint64_t calm_usec; /* between two outages, at most */

        /* The process. */
        bool alive, stopping;
        unsigned incarnation;
        uint64_t stalled_usec; /* the loop turns again then */
        bool gap_pending;      /* and finds that it was not to blame */
        uint64_t maintenance_usec;
        uint64_t n_runs;
        Health health;
        Wheel wheel;
        Gate gate;
        bool healing;
        Wheel timers;

        /* The manager. */
        uint64_t watchdog_usec;
        uint64_t pinged_usec;
        bool acts; /* not `systemctl service-watchdogs no` */
        Backoff restart_wait;
        uint64_t n_kills, n_ends, n_pings;

        Books books;
        uint64_t sights[_SIGHT_MAX];
        uint64_t n_steps;
        Trace trace[TRACE_MAX];
        uint64_t n_trace;
};

void world_init(World *world, uint64_t seed);
void world_done(World *world);

/* Lets the next thing happen. */
void world_step(World *world);

/* event.c: what is to come */
void event_add(World *world, Event event, uint64_t after_usec);
void event_insert(World *world, const Event *event);
Event event_take(World *world);

/* chance.c: what there is, and what may befall it */
void world_mishap(World *world);
void world_random(World *world);

void world_start(World *world);
void world_end(World *world);
void world_settle(World *world);
void world_disturb(World *world, uint64_t until_usec);
void world_push_event(World *world, EventKind kind, uint64_t after_usec, unsigned probe);
void world_set_timer(World *world, SimTimer *timer, uint64_t at_usec);
void world_gap(World *world);
bool world_chance(World *world, unsigned of_1000);

/*
 * The least age at which an answer may count as stale, so that no probe becomes so
 * that answers in time: the jitter and the wheel may stretch the interval by 1.1 and
 * 1.13, and the wheel the timeout.
 */
#define STALE_MIN_USEC(policy)                                                                     \
        ((policy)->interval_usec + (policy)->interval_usec / 4 + (policy)->timeout_usec +          \
         (policy)->timeout_usec / 4)

void world_note(World *world, const char *what, uint64_t a, uint64_t b);
_Noreturn void world_fail(World *world, const char *format, ...) _printf_(2, 3);

/* probe.c */
void sim_probe_add(World *world, SimProbe *probe);
void sim_probe_activate(World *world, SimProbe *probe);
void sim_probe_deactivate(World *world, SimProbe *probe);
bool sim_probe_wanted(const World *world, const SimProbe *probe);
void sim_probes_activate(World *world, bool anew);
void sim_probe_due(World *world, SimProbe *probe);
void sim_probe_answer(World *world, SimProbe *probe, const Event *event);
void sim_probe_push(World *world, SimProbe *probe);
void sim_probe_tell(World *world, SimProbe *probe, hale_status result);
void sim_probe_set_gates(World *world, SimProbe *probe, unsigned gates);

/* ladder.c: remedies */
void sim_ladder_random(World *world, SimProbe *probe);
void sim_ladder_begin(World *world, SimProbe *probe); /* a new life */
void sim_ladder_answered(World *world, SimProbe *probe, hale_status result, uint64_t asked_usec);
void sim_ladder_silent(World *world, SimProbe *probe);
void sim_ladder_reset(World *world, SimProbe *probe);
void sim_ladder_drop(World *world, SimProbe *probe);
void sim_ladder_end(World *world, SimProbe *probe, const Event *event);
bool sim_ladders_heal(const World *world);
