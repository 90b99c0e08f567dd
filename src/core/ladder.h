/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Ladder
 *
 * Decides which remedy of a probe is due. It is told what the probe answered and
 * how remedies ended, and owns no timer and no callback.
 *
 *   IDLE -- fails --> FAILING -- enough of them --> RUNNING -- ended, or too late --> VERIFYING
 *     ^                  ^                                                             |     |
 *     |                  +---------------- fails still: the next rung -----------------+     |
 *     +------------------------------------ passes: healed ----------------------------------+
 *
 * FAILING with no rung left is SPENT, until one may be used again; the failures are
 * then counted anew. A rung that is cooling down, or has used up its hour's budget, is
 * refused: it counts as tried.
 *
 * One rung is under way at a time. What ends late carries an older generation.
 */

#include <stdbool.h>
#include <stdint.h>

/* Steps of a ladder that a person can keep in mind. */
#define RUNGS_MAX 8

/* The most runs of a rung in an hour that a budget can allow: one in ten seconds. */
#define RUNG_BUDGET_MAX 360

typedef struct RungPolicy {
        unsigned after;         /* failures in this trouble before it is its turn */
        uint64_t timeout_usec;  /* of a run */
        uint64_t cooldown_usec; /* from the end of a run to the next one; doubles from run to run */
        uint64_t cooldown_max_usec;
        unsigned budget; /* runs in an hour */
        bool give_up;    /* not run at all: the ladder ends here */
} RungPolicy;

/* How a run ended. */
typedef enum RungOutcome {
        RUNG_HEALED,   /* the probe passes */
        RUNG_NO_HELP,  /* it was done, and the probe fails */
        RUNG_ERROR,    /* it could not be done, and the probe fails */
        RUNG_TIMEOUT,  /* it was not done in time, and the probe fails */
        RUNG_CANCELED, /* nobody asks the probe any more */
        RUNG_DONE,     /* out of turn, with nothing to heal */
        _RUNG_OUTCOME_MAX,
} RungOutcome;

typedef struct Rung {
        RungPolicy policy;
        uint64_t *
                times; /* the owner's, of policy.budget elements: starts of the last runs, a ring */
        unsigned n_times, next;
        uint64_t cooldown_usec; /* the present one, already doubled */
        uint64_t ready_usec;    /* it cools down until then */
        uint64_t n_runs, n_outcomes[_RUNG_OUTCOME_MAX];
        uint64_t n_timeouts; /* whatever became of the probe then */
        uint64_t n_refused_cooldown, n_refused_budget;
} Rung;

typedef enum LadderState {
        LADDER_IDLE,
        LADDER_FAILING, /* the next rung is not due yet */
        LADDER_RUNNING,
        LADDER_VERIFYING, /* the probe is asked whether it helped */
        LADDER_SPENT,
        _LADDER_STATE_MAX,
} LadderState;

typedef struct Ladder {
        LadderState state;
        Rung rungs[RUNGS_MAX];
        unsigned n_rungs;
        unsigned turn;        /* the rung that is due next */
        unsigned current;     /* the rung that is under way, or was last */
        uint32_t generation;  /* of the present or last run */
        unsigned n_failures;  /* since the trouble began, saturating */
        int result;           /* of the run: 0 or a negative errno */
        bool pressed;         /* rung @current is to run out of turn */
        bool out_of_turn;     /* it does */
        LadderState back;     /* then, if it does not help */
        bool gave_up;         /* by a rung that says so: nothing is tried again */
        uint64_t began_usec;  /* the present or last run */
        uint64_t ended_usec;  /* the same: what the probe was asked before says nothing of it */
        uint64_t until_usec;  /* the deadline of the run, or of the verification */
        uint64_t verify_usec; /* how long the probe may keep us waiting */
        uint64_t n_spent;
} Ladder;

/* A run that is over. */
typedef struct LadderEnd {
        unsigned rung;
        RungOutcome outcome;
        int result;
        uint64_t duration_usec;
} LadderEnd;

typedef enum LadderWish {
        LADDER_WAIT,    /* nothing before ladder_deadline() */
        LADDER_RUN,     /* run rung @current as @generation, which ladder_ended() ends */
        LADDER_LATE,    /* the run is over time: abandon it; its end will not be taken */
        LADDER_VERIFY,  /* ask the probe */
        LADDER_OVER,    /* the run is over, and did not help: tell */
        LADDER_GAVE_UP, /* just now: nothing is left. Close the gate, if a rung says so (@gave_up)
                         */
} LadderWish;

void rung_policy_default(RungPolicy *policy, unsigned after);

void ladder_init(Ladder *ladder);

/* Adds a rung at the upper end. @times has room for policy->budget. Returns its index, -E2BIG,
 * -EINVAL above a rung that gives up, -EBUSY while a run is under way. */
int ladder_add(Ladder *ladder, const RungPolicy *policy, uint64_t *times);

/* The probe failed, was asked at @asked_usec and may be in doubt no longer than @verify_usec. */
void ladder_fails(Ladder *ladder, uint64_t asked_usec, uint64_t verify_usec, uint64_t now_usec);

/* No news of the probe for too long, and none to come: as many failures as anybody waits for. */
void ladder_silent(Ladder *ladder, uint64_t verify_usec, uint64_t now_usec);

/*
 * The probe passed. @settled: and its verdict does, too; what counted against it
 * is forgotten then. Returns true with @ret_end if that ended a run.
 */
bool ladder_passes(Ladder *ladder, uint64_t asked_usec, bool settled, LadderEnd *ret_end);

/* The run of @generation ended with @result, 0 or a negative errno. Returns false if it is late. */
bool ladder_ended(Ladder *ladder, uint32_t generation, int result, uint64_t now_usec);

/* Nobody asks the probe any more, or the world stood still. Returns true with @ret_end if a run
 * was under way: abandon it. */
bool ladder_reset(Ladder *ladder, uint64_t now_usec, LadderEnd *ret_end);

/* Runs rung @index out of turn, with the next ladder_step(). Returns 0, -EBUSY while one is under
 * way, -EAGAIN if it is cooling down, -EDQUOT if its budget is used up, -ESTALE after giving up. */
int ladder_press(Ladder *ladder, unsigned index, uint64_t verify_usec, uint64_t now_usec);

/* What is due now. Call again until it says LADDER_WAIT. @ret_end is written for LADDER_OVER. */
LadderWish ladder_step(Ladder *ladder, uint64_t now_usec, LadderEnd *ret_end);

/* When to call ladder_step() next, or USEC_NEVER. */
uint64_t ladder_deadline(const Ladder *ladder);

/* Is something left to be tried? */
bool ladder_is_healing(const Ladder *ladder);

/* Is a remedy under way, or its effect not known yet? */
bool ladder_is_busy(const Ladder *ladder);

const char *ladder_state_to_string(LadderState state);
const char *rung_outcome_to_string(RungOutcome outcome);
