/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Workers: the inside
 *
 * What the files about workers share. A worker belongs to its service from add to
 * the end of the service; a thread worker may outlive it and keeps its own
 * reference. core/restart, core/heartbeat and core/strategy decide, heal/ does, and
 * these files carry the one to the other:
 *
 *   worker-run.c    start, run, death, restart        worker-stop.c   the ordered stop
 *   worker-beat.c   heartbeats                        worker-group.c  restarts of groups
 *   worker-spare.c  the warm spare                    worker-tell.c   probe and journal
 *   worker-child.c  the other side: this process is the worker
 */

#include "core/heartbeat.h"
#include "core/restart.h"
#include "core/strategy.h"
#include "heal/chance.h"
#include "heal/child.h"
#include "heal/exit-text.h"
#include "heal/oom.h"
#include "heal/process.h"
#include "heal/thread.h"
#include "service/service.h"

typedef struct Spare {
        Process *process; /* one of the worker's two */
        bool wanted;
        bool ready; /* it waits for its turn */
        bool runs;  /* and has taken it, before we knew that the other is dead */
        bool stale; /* and is on its way out for that */
        uint32_t generation;
        Backoff backoff;
        Timer timer;
} Spare;

struct hale_worker {
        _Atomic unsigned n_ref; /* a thread worker's thread holds one */
        hale_service *service;  /* weak; NULL once it is gone */
        TAILQ_ENTRY(hale_worker) link;
        char *name;
        hale_worker_main_t main;
        void *userdata;
        hale_probe *probe;
        hale_group *group; /* weak; NULL: in none */
        unsigned index;    /* in the group */

        bool is_thread;
        RestartPolicy policy;
        uint64_t heartbeat_usec, stop_usec;
        int gates;

        hale_worker_state state;
        bool asked;    /* to stop: its end is not held against it */
        bool again;    /* somebody wants it started, whatever its policy */
        bool killed;   /* and not gone yet */
        bool given_up; /* it does not go, and nobody waits for it any more */
        bool ended_well;
        int start_error;
        uint64_t stop_limit_usec; /* that it was given when it was asked */
        uint64_t died_usec;       /* 0: not yet */
        pid_t told_pid;           /* whom a message is about */
        Restart restart;
        Timer timer; /* by the state: of the restart, the start, the settling, the stop */

        Process processes[2];
        Process *active;
        Spare spare;
        Thread *thread;

        Heartbeat heartbeat;
        Chance chance;
        Timer beat_timer;
        bool starved_told;
        uint64_t n_hangs;
        uint64_t n_exits[_EXIT_WORD_MAX];

        char exit_text[OUTPUT_LENGTH_MAX];
};

TAILQ_HEAD(WorkerList, hale_worker);

struct hale_group {
        unsigned n_ref;
        hale_service *service; /* weak */
        TAILQ_ENTRY(hale_group) link;
        char *name;
        hale_strategy strategy;
        hale_worker *members[GROUP_MEMBERS_MAX]; /* the service's */
        unsigned n_members;

        bool pending; /* a restart is under way */
        bool starting;
        StrategyRange range;
        uint64_t at_usec;
        Timer timer;
};

TAILQ_HEAD(GroupList, hale_group);

struct Workers {
        struct WorkerList list;
        struct GroupList groups;
        unsigned n_workers, n_groups;
        SpawnImage image;
        OomWatch oom;
        bool stopping;
        uint64_t stop_by_usec;
};

#define WORKER_CHECK(worker)                                                                       \
        do {                                                                                       \
                RETURN_IF_FAIL((worker), -EINVAL);                                                 \
                RETURN_IF_FAIL((worker)->service, -ESTALE);                                        \
                SERVICE_CHECK((worker)->service);                                                  \
        } while (0)

/* worker.c */
void worker_set_timer(hale_worker *worker, Timer *timer, uint64_t at_usec);

/* worker-run.c */
void worker_enter(hale_worker *worker, hale_worker_state state);
bool worker_is_alive(const hale_worker *worker);
void worker_start(hale_worker *worker);
void worker_runs(hale_worker *worker);
void worker_ask(hale_worker *worker, uint64_t limit_usec);
void worker_kill(hale_worker *worker, ExitReason reason, uint64_t limit_usec);
void worker_lost(hale_worker *worker, const char *how);
void worker_forgive(hale_worker *worker);
void worker_due(void *userdata);
extern const ProcessOps worker_process_ops;

/* worker-beat.c */
void worker_beat_begin(hale_worker *worker);
void worker_beat_end(hale_worker *worker);
void worker_beat_due(void *userdata);
BeatSlot *worker_slot(hale_worker *worker);

/* worker-spare.c */
void worker_spare_begin(hale_worker *worker);
void worker_spare_arm(hale_worker *worker);
bool worker_spare_has_taken(const hale_worker *worker);
bool worker_spare_use(hale_worker *worker);
void worker_spare_promote(hale_worker *worker);
void worker_spare_disarm(hale_worker *worker);
void worker_spare_end(hale_worker *worker);
void worker_spare_renew(hale_worker *worker);
void worker_spare_heard(hale_worker *worker, ProcessWord word);
void worker_spare_gone(hale_worker *worker);
void worker_spare_due(void *userdata);

/* worker-stop.c */
void workers_stop_next(hale_service *service);

/* worker-group.c */
bool worker_is_bound(const hale_worker *worker); /* its restart concerns others */
void group_restart(hale_group *group, const hale_worker *worker, uint64_t at_usec);
void group_step(hale_group *group);
void group_due(void *userdata);
void group_free(hale_group *group);

/* worker-tell.c: each says it to the probe and, where it is worth a message, to the journal */
void worker_tell_runs(hale_worker *worker);
void worker_tell_settled(hale_worker *worker);
void worker_tell_died(hale_worker *worker, uint64_t wait_usec);
void worker_tell_ended(hale_worker *worker, bool success);
void worker_tell_escalated(hale_worker *worker);
void worker_tell_hung(hale_worker *worker);
void worker_tell_starved(hale_worker *worker);
void worker_tell_stopping(hale_worker *worker);
void worker_tell_late(hale_worker *worker, const char *what, uint64_t limit_usec, const char *more);
void worker_tell_anew(hale_worker *worker);

/* Adds HALE_GATE_LIVE to the probe, or takes it away. */
void worker_gate_live(hale_worker *worker, bool live);
