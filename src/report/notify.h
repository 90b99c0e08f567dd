/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Notify
 *
 * Speaks to the service manager as sd_notify(3) does, but never blocks and keeps
 * its socket. What cannot be sent now is kept: the changes of state in their
 * order, the newest status, and a trigger, until they get through. A ping that
 * cannot be sent now is lost, for the next is under way.
 *
 * Time is an argument: CLOCK_MONOTONIC. Arm a timer at notify_deadline() after
 * each call and call notify_flush() when it fires. (EPOLLOUT does work on a
 * connected datagram socket, but says "writable" when the receiver has gone.)
 *
 * Without a manager every call does nothing and returns 0.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/datagram.h"
#include "base/limits.h"
#include "report/notify-environment.h"
#include "report/notify-message.h"

typedef struct NotifyState {
        NotifyVerb verb;
        uint64_t usec;
} NotifyState;

typedef struct Notify {
        Datagram datagram;
        bool stopping; /* said or about to be said: no ping and no other state after it */

        NotifyState queue[NOTIFY_QUEUE_MAX];
        unsigned n_queue;

        char status[STATUS_SIZE]; /* the newest */
        char told[STATUS_SIZE];   /* what systemd knows */
        bool status_waits;
        uint64_t status_at_usec; /* not before: one a second */

        bool trigger_waits, reset_waits;
        uint64_t extend_usec; /* 0: none waits */

        uint64_t retry_usec;    /* the current wait between attempts; 0: the last one worked */
        uint64_t retry_at_usec; /* not before */

        uint64_t n_sent, n_failed, n_dropped; /* datagrams; attempts; messages lost for good */
        int last_error;                       /* negative errno of the last failed attempt */
} Notify;

#define NOTIFY_INIT                                                                                \
        { .datagram = DATAGRAM_INIT }

/*
 * Copies @address and connects. NULL and "" mean that there is no manager. A
 * manager that does not answer yet is no error: it is tried again at each send.
 *
 * Returns 0; -EAFNOSUPPORT ("vsock:…"), -EINVAL or -ENAMETOOLONG for an address
 * that cannot be used: it is then as if there were no manager.
 */
int notify_init(Notify *notify, const char *address);
void notify_done(Notify *notify);

/* Is there a manager to speak to? */
bool notify_is_managed(const Notify *notify);

/*
 * The states. @status comes along in the same datagram; NULL: none. All of them
 * get through in this order, or what came in between has been settled by a later
 * one: RELOADING, READY, RELOADING while nothing could be sent is one RELOADING.
 */
int notify_ready(Notify *notify, const char *status, uint64_t now_usec);
int notify_reloading(Notify *notify, const char *status, uint64_t now_usec);
int notify_stopping(Notify *notify, const char *status, uint64_t now_usec);

/* One line for `systemctl status`, at most one a second; the newest wins. */
int notify_status(Notify *notify, const char *text, uint64_t now_usec);

/* A ping. Returns 1 if it was sent, 0 if none is to be sent (stopping, no manager), or the
 * negative errno for which it was lost. */
int notify_watchdog(Notify *notify, uint64_t now_usec);

/* Asks systemd to act at once; STATUS= tells it why, in the same datagram. */
int notify_trigger(Notify *notify, const char *why, uint64_t now_usec);

/* @usec more for the start or the stop, from when systemd reads it. Not for a closed gate: it
 * extends an armed watchdog as well. */
int notify_extend(Notify *notify, uint64_t usec, uint64_t now_usec);

/* The restarts so far no longer count (systemd 258; earlier ones ignore it). */
int notify_restart_reset(Notify *notify, uint64_t now_usec);

/*
 * Gives systemd a copy of @fd to keep over restarts, or lets go of what is kept
 * under @name. Nothing is kept for later. Returns 0, -EINVAL for a name that
 * FDNAME= cannot take, -EAGAIN while the queue is full, or another errno.
 */
int notify_fdstore(Notify *notify, int fd, const char *name);
int notify_fdstore_remove(Notify *notify, const char *name);

/* Sends what waits and is due. */
void notify_flush(Notify *notify, uint64_t now_usec);

/* When to call notify_flush() next, or USEC_NEVER. */
uint64_t notify_deadline(const Notify *notify);
