/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Links: the inside
 *
 * What the files about links share. A link belongs to its service from add to the end
 * of the service; jobs in the pool may outlive it and hold references. heal/link
 * decides when to do what, and these files carry it to the program:
 *
 *   link.c          add, find, questions        link-run.c      the functions, on the loop
 *   link-settings.c before the start            link-job.c      calls in the pool
 *   link-tell.c     probe, journal, on_change   link-resolve.c  names
 */

#include "heal/link.h"
#include "service/service.h"

typedef enum LinkTask {
        TASK_OPEN,
        TASK_CHECK,
        TASK_CLOSE,
} LinkTask;

typedef struct LinkJob LinkJob;
typedef struct LinkLookup LinkLookup;

/* A row of blocking calls, of which one is under way at most. */
typedef struct LinkQueue {
        LinkJob *job;   /* under way; NULL: none */
        LinkJob *stuck; /* abandoned, and not back yet, for all we know */
        bool opened;    /* close() is owed for what was opened */
        bool wants_open, wants_check, wants_close;
} LinkQueue;

struct hale_link {
        unsigned n_ref;        /* atomic: threads of the pool hold references too */
        hale_service *service; /* weak; NULL once it is gone */
        TAILQ_ENTRY(hale_link) entry;
        char *name;
        hale_probe *probe;
        const hale_link_ops *ops; /* not ours */
        void *userdata;
        bool blocking, dangerous;
        int gates;
        Link link;

        bool told;      /* the journal knows that it is down */
        bool in_change; /* on_change is on the stack */
        uint32_t change_generation;
        bool change_up; /* what on_change was told last */
        hale_link_change_t on_change;
        void *on_change_data;

        sd_event_source *again;   /* lets the source go on that has given way */
        sd_event_source **paused; /* that one; NULL: none has. Not ours */
        unsigned n_turns;

        LinkQueue queue;
        LinkLookup *lookup, *lookup_stuck; /* as in the queue */
        hale_link_resolved_t resolved;
};

#define LINK_CHECK_CALL(link)                                                                      \
        do {                                                                                       \
                RETURN_IF_FAIL((link), -EINVAL);                                                   \
                RETURN_IF_FAIL((link)->service, -ESTALE);                                          \
                SERVICE_CHECK((link)->service);                                                    \
        } while (0)

static inline hale_link *link_owner(Link *link) {
        return CONTAINER_OF(link, hale_link, link);
}

/* link-run.c */
extern const LinkHandler link_handler;
int link_begin(hale_link *self);

/* link-tell.c */
void link_changed(Link *link, LinkChange change);
void link_stopped(Link *link);
void link_show(hale_link *self);

/* link-job.c: calls in the pool. As LinkHandler. */
int link_queue_open(hale_link *self);
int link_queue_check(hale_link *self);
void link_queue_close(hale_link *self);
void link_queue_done(hale_link *self);

/* In the call of this link that this thread is in, keeps the reason for it and returns true. */
bool link_job_say(hale_link *self, const char *reason);

/* link-resolve.c */
void link_resolve_cancel(hale_link *self);
void link_resolve_done(hale_link *self);
