/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Child: the worker's side
 *
 * Finds out that this process is a worker, ties its life to that of its service,
 * and, for a spare, waits for its turn. A process has at most one Child.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "base/limits.h"
#include "heal/beat.h"

typedef struct Child {
        char name[NAME_LENGTH_MAX + 1];
        pid_t service;  /* our parent */
        int socket_fd;  /* becomes readable when the worker should stop */
        BeatSlot *slot; /* NULL in a child that we have forked */
} Child;

/*
 * Looks whether we are a worker, and takes what says so out of the environment,
 * so that our own children are none. Returns 1 and fills @ret if we are, 0 if not,
 * -EINVAL or -EBADF if the environment says so but nobody has started us as one,
 * -ESRCH if the service has died already, -EPROTO if it runs with another version of this
 * library.
 */
int child_take(Child *ret);

/*
 * Waits until it is our turn, if we are a spare. From now on SIGTERM asks us to
 * stop instead of ending us, unless the program has other plans with it. Returns 1
 * when the work begins, 0 if there will be none, or a negative errno.
 */
int child_begin(Child *child);

/* The work is done, and this came of it. */
void child_end(Child *child, int result);

/* Has the service, or a signal, asked us to stop, or has the service gone? */
bool child_should_stop(const Child *child);
