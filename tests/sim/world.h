/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * World
 *
 * A process made of the real core, in virtual time, and all that is around it: the
 * things that its probes ask, which fail alone and together, answer late or never;
 * a loop that stalls; a machine that sleeps; operators; and a manager that acts as
 * systemd does. Everything follows from one seed.
 *
 * The world does what src/service does with the core and no more. What must hold
 * is not here but in invariants.c, which keeps books of its own (Shadow) and is
 * told of everything that happens.
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

#define OUTAGES_MAX 4
#define TRACE_MAX 48

/* What invariants.c knows of a probe, from what happened and not from the core. */
typedef struct Shadow {
        hale_status verdict;
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

/* The remedies of a probe, and what invariants know of them. */
typedef struct SimLadder {
        Ladder ladder;
        RungPolicy policies[SIM_RUNGS_MAX];
        unsigned n_rungs;
        uint64_t times[SIM_RUNGS_MAX][SIM_BUDGET_MAX];
        WheelNode node;
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

        Shadow shadow;
} SimProbe;

typedef enum EventKind {
        EVENT_ANSWER,
        EVENT_PUSH,
        EVENT_OUTAGE,
        EVENT_MISHAP,
        EVENT_RUNG, /* a run of a remedy comes to its end */
        EVENT_ACT,  /* the manager acts on a trigger */
        EVENT_GONE, /* the process has stopped in an orderly way */
        EVENT_START,
} EventKind;

typedef struct Event {
        uint64_t at_usec, order;
        EventKind kind;
        unsigned probe, life, incarnation;
        uint32_t generation;
        uint64_t run;
} Event;

/* What a run has met: a simulation that never meets it proves nothing about it. */
typedef enum Sight {
        SIGHT_TIMEOUT,
        SIGHT_LATE,
        SIGHT_STALE,
        SIGHT_UNSTALE,
        SIGHT_WINDOW, /* a verdict that fell for M of N */
        SIGHT_GAP,
        SIGHT_HEALED,
        SIGHT_TRIGGER,
        SIGHT_ABORT,
        SIGHT_EXIT,
        SIGHT_KILL,
        SIGHT_READY_LOST,
        SIGHT_RUNG_HEALED,
        SIGHT_RUNG_IN_VAIN,
        SIGHT_RUNG_TIMEOUT,
        SIGHT_RUNG_LATE,
        SIGHT_RUNG_CANCELED,
        SIGHT_RUNG_REFUSED,
        SIGHT_LADDER_SPENT,
        SIGHT_LADDER_SPARED, /* live was closed, a remedy left, and systemd left alone */
        _SIGHT_MAX,
} Sight;

typedef struct Trace {
        uint64_t at_usec;
        const char *what;
        uint64_t a, b;
} Trace;

/* The books of invariants.c about the process as a whole. */
typedef struct Books {
        uint64_t disturbed_usec; /* until then nothing is expected to be in time */
        uint64_t triggered_usec; /* USEC_NEVER if not */
        uint64_t n_bad;          /* fails and stale verdicts since the last gap */
        uint64_t n_pings;
        uint64_t checks;
        bool started, announced;
} Books;

typedef struct World {
        uint64_t seed;
        Random chance; /* the world's */
        Random jitter; /* the process's */
        uint64_t now;

        Event *events; /* a heap */
        size_t n_events, n_events_allocated;
        uint64_t order;

        SimProbe *probes;
        unsigned n_probes;
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
        Wheel ladders;

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
} World;

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
bool world_wants(const World *world, const SimProbe *probe);
void world_activate(World *world, SimProbe *probe);
void world_deactivate(World *world, SimProbe *probe);
void world_gap(World *world);
void world_add_probe(World *world, SimProbe *probe);
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

#define HOLD(world, condition, ...)                                                                \
        do {                                                                                       \
                if (!(condition))                                                                  \
                        world_fail(world, "does not hold: " #condition ": " __VA_ARGS__);          \
        } while (0)

/* ladder.c: remedies */
void sim_ladder_random(World *world, SimProbe *probe);
void sim_ladder_begin(World *world, SimProbe *probe); /* a new life */
void sim_ladder_answered(World *world, SimProbe *probe, hale_status result, uint64_t asked_usec);
void sim_ladder_silent(World *world, SimProbe *probe);
void sim_ladder_reset(World *world, SimProbe *probe);
void sim_ladder_drop(World *world, SimProbe *probe);
void sim_ladder_end(World *world, SimProbe *probe, const Event *event);
void sim_ladders_turn(World *world);
bool sim_ladders_heal(const World *world);

/* hold-ladder.c */
void hold_ladder_begin(SimLadder *self);
void hold_ladder_failed(SimLadder *self);
void hold_ladder_run(World *world, SimLadder *self);
void hold_ladder_stopped(World *world, SimLadder *self, bool late);
void hold_ladder_over(World *world, SimLadder *self, const LadderEnd *end);
void hold_ladder_spent(World *world, SimLadder *self);
void hold_ladder_calm(SimLadder *self);
void hold_ladder_settled(World *world, SimLadder *self);
void hold_ladder_gate(World *world, unsigned actions);

/* invariants.c: told after each of these */
void hold_init(World *world);
void hold_activated(World *world, SimProbe *probe, uint64_t spread_usec);
void hold_deactivated(World *world, SimProbe *probe);
void hold_hurried(World *world, SimProbe *probe, bool hurried);
void hold_run(World *world, SimProbe *probe, uint64_t run);
void hold_timeout(World *world, SimProbe *probe, const ProbeChange *change);
void hold_stale(World *world, SimProbe *probe, const ProbeChange *change);
void hold_answer(World *world,
                 SimProbe *probe,
                 uint64_t run,
                 hale_status result,
                 bool applied,
                 const ProbeChange *change);
void hold_push(World *world, SimProbe *probe, hale_status result, const ProbeChange *change);
void hold_gap(World *world);
void hold_gate(World *world, GateState before, unsigned actions);
void hold_settled(World *world);
void hold_killed(World *world);
void hold_backoff(World *world, const Backoff *before, uint64_t wait_usec);
