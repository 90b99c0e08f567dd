/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Link: a connection that is kept up
 *
 * Carries what core/link-state decides to whoever knows how to connect: one timer
 * of its own, and a table of functions. Each open() is followed by exactly one
 * close(), whatever became of it, before the next open().
 *
 * The functions may say up and down from within, and changed() may do anything; it is
 * told after the state has changed and before the lost connection is closed. Who frees
 * the link from within frees it when it is released.
 *
 * The timer comes after the program's own sources, so that an answer that is there
 * already is heard before its deadline is judged.
 */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/limits.h"
#include "core/link-state.h"

typedef struct Link Link;

typedef struct LinkHandler {
        /*
         * Connect, and ask. Return 0 (up, well), HALE_PENDING (told later), HALE_REPORTED
         * (told already), or a negative errno. Anything else is taken for a failure.
         */
        int (*open)(Link *link);
        int (*check)(Link *link);

        /* Leave nothing of the attempt or connection behind. */
        void (*close)(Link *link);

        /* @change is LINK_CAME_UP, LINK_WENT_DOWN or LINK_FAILED; LINK_SAME after a good check. */
        void (*changed)(Link *link, LinkChange change);

        /* It was stopped, and is closed next. */
        void (*stopped)(Link *link);

        /* Until it is released it must not be freed: it is on the stack. */
        void (*hold)(Link *link);
        void (*release)(Link *link);
} LinkHandler;

struct Link {
        LinkState state;
        const LinkHandler *handler; /* not ours */
        Random *random;             /* not ours */
        sd_event_source *timer;
        uint64_t timer_usec; /* what it is set to */

        bool opened;     /* close() is owed */
        bool in_call;    /* open() or check() is on the stack */
        LinkChange said; /* and has said meanwhile: LINK_CAME_UP, LINK_FAILED, or nothing */
        char said_reason[OUTPUT_LENGTH_MAX];
        char reason[OUTPUT_LENGTH_MAX]; /* why it is down; clean; "" if it is up */
};

void link_init(Link *link, const LinkPolicy *policy, const LinkHandler *handler, Random *random);

/* Makes the timer and begins. Returns 0, or what sd_event_add_time(3) returned. */
int link_start(Link *link, sd_event *event, int64_t priority);

/* Closes; only stopped() is told. */
void link_stop(Link *link);

/*
 * As link_state_up() and _down(). @reason is clean and one line; NULL: none. Return
 * what has changed; LINK_SAME from within open() or check(), which is looked at when
 * that returns.
 */
LinkChange link_tell_up(Link *link, uint32_t generation);
LinkChange link_tell_down(Link *link, uint32_t generation, const char *reason);
LinkChange link_reopen(Link *link, const char *reason);

/* Ask now, if it is up. */
void link_hurry(Link *link);

/* link-socket.c: keepalive and TCP_USER_TIMEOUT for a TCP socket; nothing for others. Returns 0, or
 * what setsockopt(2) or getsockopt(2) returned. */
int link_tune_socket(int fd);
