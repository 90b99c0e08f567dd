/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Workers of the World
 *
 * A worker as src/service knows it, the process or thread that it really is, and what
 * hold-worker.c knows of the two. Warm spares are not here: who of the two is at work
 * is decided in shared memory, and not by the core.
 */

#include "core/heartbeat.h"
#include "core/restart.h"
#include "core/strategy.h"
#include "sim/world.h"

#define SIM_WORKERS_MAX 6
#define SIM_RESTARTS_MAX 64

/* What becomes of a process next. */
typedef enum Fate {
        FATE_RUNS, /* reaches its work, and says so */
        FATE_DIES,
        FATE_ENDS, /* because it was asked, or killed */
} Fate;

/* The process itself, as it is whether anybody looks or not. */
typedef struct SimProcess {
        bool alive;
        uint32_t plan; /* the number of what is to become of it; what was planned before is void */
        uint64_t lived_usec;  /* all below is as of then */
        uint64_t period_usec; /* of its beats */
        uint64_t beat_usec, next_beat_usec;
        uint64_t hangs_usec; /* from then on it does not beat any more */
        bool spins;          /* and needs a processor for that */
        bool traced;
        bool seen;            /* to be so, by a look */
        uint64_t traced_usec; /* since when, or until when it was */
        uint64_t unseen_usec; /* of the silence, in which it could not, and nobody can know */
        uint64_t waits_usec;  /* for a processor, since then; 0: it does not */
        uint64_t run_usec, wait_usec;
        uint64_t waited_usec;    /* of that, the last time */
        uint64_t could_usec;     /* of the silence, in which it could have beaten */
        uint64_t disturbed_usec; /* when it was kept from running the last time */
} SimProcess;

/* From what happened, and the words of the headers. */
typedef struct ShadowWorker {
        bool alive, asked, killed, escalated;
        bool ended, ended_well; /* for good */
        bool wanted;            /* by somebody, whatever its policy */
        bool hung;              /* found to be so */
        uint64_t started_usec;
        uint64_t begun_usec;                 /* its present run; 0: none */
        uint64_t earliest_usec, latest_usec; /* of its next start; USEC_NEVER: none by itself */
        uint64_t asked_usec, limit_usec;
        unsigned n_waits;                    /* since it lasted */
        uint64_t restarts[SIM_RESTARTS_MAX]; /* a ring */
        unsigned n_restarts;
} ShadowWorker;

typedef struct SimGroup {
        hale_strategy strategy;
        struct SimWorker *members; /* a row of the world's */
        unsigned n_members;
        bool pending, starting;
        StrategyRange range;
        uint64_t at_usec;
        SimTimer timer;

        /* Of hold-group.c: from whom on, and by when it is over. */
        unsigned from;
        uint64_t until_usec;
} SimGroup;

typedef struct SimWorker {
        SimProbe *probe;
        SimGroup *group; /* NULL: in none */
        unsigned index;  /* in the world */
        unsigned member; /* in the group */
        bool is_thread;
        RestartPolicy policy;
        uint64_t heartbeat_usec, stop_usec, life_usec;
        unsigned gates;
        unsigned p_hang, p_stubborn; /* chances in 1000 */

        hale_worker_state state;
        bool asked, again, killed, given_up;
        bool unborn; /* it could not even be started */
        bool died;
        bool ended_well;
        uint64_t stop_limit_usec;
        Restart restart;
        SimTimer timer;
        Heartbeat heartbeat;
        SimTimer beat_timer;

        SimProcess process;
        ShadowWorker shadow;
} SimWorker;

/* worker.c: the life */
void sim_worker_random(World *world, SimWorker *self, SimProbe *probe);
void sim_workers_begin(World *world);
void sim_workers_end(World *world); /* of the process */
void sim_worker_news(World *world, SimWorker *self, const Event *event);
bool sim_worker_restart(World *world, SimWorker *self);
void sim_worker_start(World *world, SimWorker *self);
void sim_worker_ask(World *world, SimWorker *self, uint64_t limit_usec);
void sim_worker_kill(World *world, SimWorker *self);
void sim_worker_show(World *world, SimWorker *self, hale_status status);
void sim_worker_gate_live(World *world, SimWorker *self, bool live);
bool sim_worker_is_alive(const SimWorker *self);

/* worker-beat.c */
void sim_beat_begin(World *world, SimWorker *self);
void sim_beat_end(World *world, SimWorker *self);
void sim_beat_due(World *world, void *owner);
void sim_workers_forgive(World *world); /* nobody ran for a while */

/* worker-group.c: restarts of several, and the stop of all */
void sim_groups_random(World *world);
void sim_groups_begin(World *world);
bool sim_worker_is_bound(const SimWorker *self);
void sim_group_restart(World *world, SimWorker *self, uint64_t at_usec);
void sim_group_step(World *world, SimGroup *group);
void sim_workers_stop(World *world);
void sim_workers_stop_next(World *world);

/* worker-process.c */
void sim_process_start(World *world, SimWorker *self);
void sim_process_begin(World *world, SimWorker *self);
void sim_process_ask(World *world, SimWorker *self);
void sim_process_kill(World *world, SimWorker *self);
void sim_process_live(const World *world, SimProcess *self, uint64_t until);
void sim_process_look(const World *world, SimProcess *self, HeartbeatChance *ret_chance);
bool sim_process_hangs(const World *world, const SimProcess *self);
void sim_worker_trace(World *world, SimWorker *self);
void sim_worker_release(World *world, SimWorker *self);
void sim_workers_freeze(World *world, uint64_t length_usec);
void sim_starve(World *world);

/* hold-worker.c */
void hold_worker_begin(SimWorker *self);
void hold_worker_start(World *world, SimWorker *self);
void hold_worker_runs(World *world, SimWorker *self);
void hold_worker_asked(World *world, SimWorker *self, uint64_t limit_usec);
void hold_worker_killed(World *world, SimWorker *self);
void hold_worker_hung(World *world, SimWorker *self);
void hold_worker_gone(World *world, SimWorker *self);
void hold_worker_decided(World *world,
                         SimWorker *self,
                         bool success,
                         RestartDecision decision,
                         uint64_t at_usec);
void hold_worker_settles(World *world, SimWorker *self, bool settled);
void hold_worker_restart(World *world, SimWorker *self);
void hold_workers_settled(World *world);

/* hold-group.c */
void hold_group(World *world, const SimWorker *dead, bool joined);
void hold_groups_settled(World *world);
void hold_workers_stopped(World *world);
