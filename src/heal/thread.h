/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Thread: a worker inside the service
 *
 * It is asked to stop and may return; nothing can end it against its will. What
 * it shares with the loop is counted, so that a thread that outlives its service
 * touches nothing that is gone. All signals are blocked in it: they are for the
 * service.
 */

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "heal/beat.h"

typedef struct Thread Thread;

typedef struct ThreadOps {
        int (*work)(void *owner);              /* in the thread */
        void (*begun)(void *owner);            /* on the loop: it runs, or has run */
        void (*done)(void *owner, int result); /* on the loop, after begun() */
        void (*release)(void *owner);          /* in either: the thread needs the owner no more */
} ThreadOps;

/* Starts it. release() is called once for each successful start. Returns 0, or what eventfd(2),
 * sd_event_add_io(3) or pthread_create(3) returned. */
int thread_start(Thread **ret,
                 sd_event *event,
                 int64_t priority,
                 const ThreadOps *ops,
                 void *owner);

/* From now on neither begun() nor done() is called any more. */
void thread_detach(Thread *thread);

/* Lets go, and detaches before if that has not been done: on the loop, unless it has. Never waits.
 * Takes NULL, returns NULL. */
Thread *thread_free(Thread *thread);

void thread_ask(Thread *thread);
BeatSlot *thread_slot(Thread *thread);
int thread_stop_fd(const Thread *thread);
