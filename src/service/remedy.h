/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Remedies: the inside
 *
 * What the files about remedies share. The ladder of a probe belongs to it from the
 * first remedy to the drop; a remedy may outlive that, in the program's hands or in a
 * thread of the pool. core/ladder decides, and these files carry it out:
 *
 *   remedy.c           add, drop, questions      remedy-run.c   runs, on the loop
 *   remedy-settings.c  before the first run      remedy-job.c   runs in the pool
 *   remedy-tell.c      journal, status, gate     memory.c       the ladder of memory
 *
 * Whatever calls the program may find the ladder gone when it comes back: it holds the
 * probe, and looks at probe->remedies.
 */

#include "core/ladder.h"
#include "hale/remedy.h"
#include "service/service.h"

typedef enum RemedyKind {
        REMEDY_CALLBACK,
        REMEDY_TRIM,
        REMEDY_RESTART_WORKER,
        REMEDY_REOPEN_LINK,
        REMEDY_GIVE_UP,
        _REMEDY_KIND_MAX,
} RemedyKind;

typedef struct RemedyJob RemedyJob;
typedef struct MemoryLadder MemoryLadder;

struct hale_remedy {
        unsigned n_ref;         /* atomic: threads of the pool hold references too */
        struct Remedies *owner; /* weak; NULL once the probe is out */
        unsigned index;
        RemedyKind kind;
        char *name;
        hale_remedy_t callback;
        void *userdata;
        bool blocking;
        hale_worker *worker; /* a reference, as the link */
        hale_link *link;
        uint64_t *times; /* the rung's */
};

struct Remedies {
        hale_probe *probe; /* weak */
        Ladder ladder;
        hale_remedy *rungs[RUNGS_MAX];
        Timer timer;
        RemedyJob *job;     /* the run in the pool, if one is under way */
        uint64_t poll_usec; /* when to look at a worker or a link again; USEC_NEVER */
        bool busy;          /* on the list */
        bool closed_live;   /* by giving up */
        unsigned gates;     /* what the probe closed before that */
        MemoryLadder *memory;
        TAILQ_ENTRY(Remedies) link;
};

/* remedy.c */
int remedies_add(hale_probe *probe,
                 const char *name,
                 RemedyKind kind,
                 const RungPolicy *policy,
                 hale_remedy **ret);

/* remedy-run.c */
void remedies_arm(struct Remedies *self);
void remedies_due(void *userdata);
uint64_t remedies_patience(const hale_probe *probe); /* how long an answer may take */
void remedies_cancel(struct Remedies *self);         /* the present run, without telling */
int remedy_end(hale_remedy *remedy, uint32_t generation, int result);

/* remedy-job.c */
int remedy_job_start(hale_remedy *remedy, uint32_t generation);
void remedy_job_abandon(struct Remedies *self);

/* remedy-tell.c */
void remedies_tell_end(struct Remedies *self, const LadderEnd *end);
void remedies_tell_spent(struct Remedies *self);
void remedies_mark(struct Remedies *self); /* busy or not: STATUS= shows it */
void remedies_close_live(struct Remedies *self, bool close);

/* memory.c: what the ladder makes of an answer */
hale_status memory_ladder_look(struct Remedies *self, hale_status result);
MemoryLadder *memory_ladder_free(MemoryLadder *memory);
void memory_ladder_reset(struct Remedies *self);
