/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Link State
 *
 * The part of a link that only thinks:
 *
 *     DOWN --due--> CONNECTING --up--> UP
 *       ^               |               |
 *       +---- failed, or too late ------+---- lost, or no answer to a check
 *
 * It is told what happened and what time it is, and says when to connect, when to
 * ask and when to give an attempt up. It owns no timer, descriptor or memory.
 *
 * Failures in a row make the waits longer: the first few are short, so that a server
 * that was only restarted is found at once; then the breaker opens, and single
 * trials follow after growing pauses, for ever. A connection that does not last
 * counts as a failure, too: the row ends when one has been up for the stable time.
 *
 * All times are CLOCK_MONOTONIC microseconds and never go back.
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/backoff.h"
#include "core/random.h"

typedef enum LinkStatus {
        LINK_DOWN,
        LINK_CONNECTING,
        LINK_UP,
        _LINK_STATUS_MAX,
} LinkStatus;

typedef enum LinkBreaker {
        BREAKER_CLOSED,
        BREAKER_OPEN, /* waits for the next trial */
        BREAKER_HALF, /* the trial is under way, or has not lasted yet */
        _LINK_BREAKER_MAX,
} LinkBreaker;

typedef struct LinkPolicy {
        bool told;    /* does not connect by itself: others say when it is up */
        bool checked; /* can be asked while it is up */
        uint64_t connect_usec;
        uint64_t check_interval_usec, check_timeout_usec;
        uint64_t backoff_min_usec, backoff_max_usec;
        uint64_t stable_usec;
        unsigned breaker_after; /* 0: no breaker */
} LinkPolicy;

typedef struct LinkState {
        LinkPolicy policy;
        LinkStatus status;
        bool active;         /* between start and stop */
        bool checking;       /* a check is under way */
        uint32_t generation; /* of the last attempt, and of the connection that it made */
        Backoff backoff;
        uint64_t pause_usec; /* the least that the open breaker waits next */
        unsigned n_failures; /* in a row, saturating */
        unsigned n_attempts; /* since it was up the last time */
        uint64_t due_usec;   /* to try, to ask, or to give up */
        uint64_t since_usec; /* when the status was entered */
        uint64_t down_usec;  /* since when it has not been up */
        uint64_t up_usec;    /* since when it has been, or was the last time; 0: never */
        uint64_t n_attempts_total, n_ups, n_losses, n_late;
} LinkState;

/* "down", "connecting", "up"; "closed", "open", "half-open". */
const char *link_status_to_string(LinkStatus status);
const char *link_breaker_to_string(LinkBreaker breaker);

void link_policy_default(LinkPolicy *policy);
void link_state_init(LinkState *state, const LinkPolicy *policy);

/* Only before the first attempt. */
void link_state_set_policy(LinkState *state, const LinkPolicy *policy);

/* From now on it is kept up, beginning at once; and no longer. */
void link_state_start(LinkState *state, uint64_t now_usec);
void link_state_stop(LinkState *state, uint64_t now_usec);

typedef enum LinkWish {
        LINK_WAIT,       /* nothing before link_state_deadline() */
        LINK_OPEN,       /* connect: an attempt has begun by this call */
        LINK_GIVE_UP,    /* the attempt took too long, and has failed by this call */
        LINK_CHECK,      /* ask: a check has begun by this call */
        LINK_UNANSWERED, /* there was no answer to the check: it is down by this call */
} LinkWish;

/* What is due now. */
LinkWish link_state_tick(LinkState *state, uint64_t now_usec, Random *random);

/* When to call link_state_tick() next, or USEC_NEVER. */
uint64_t link_state_deadline(const LinkState *state);

typedef enum LinkChange {
        LINK_LATE,     /* said of something that is over: nothing has changed */
        LINK_SAME,     /* good news of a link that is up, bad news of one that is down */
        LINK_CAME_UP,  /* from connecting, or told so */
        LINK_FAILED,   /* an attempt has failed */
        LINK_WENT_DOWN /* it was up */
} LinkChange;

/*
 * It is up, or still up; it has failed, or is lost. @generation says which attempt or
 * connection that is about, 0 whichever there is.
 */
LinkChange link_state_up(LinkState *state, uint32_t generation, uint64_t now_usec);
LinkChange
link_state_down(LinkState *state, uint32_t generation, uint64_t now_usec, Random *random);

/* Somebody wants a new connection now. Returns LINK_SAME if that was on its way already,
 * LINK_WENT_DOWN if there was one, LINK_FAILED if it does not wait any longer, LINK_LATE if it
 * cannot be done. Not held against the link. */
LinkChange link_state_reopen(LinkState *state, uint64_t now_usec);

/* Who knows what happened meanwhile: ask at the next tick. */
void link_state_hurry(LinkState *state, uint64_t now_usec);

LinkBreaker link_state_breaker(const LinkState *state, uint64_t now_usec);
