/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Chance: did a worker get to run?
 *
 * Reads what the scheduler knows of a thread, /proc/PID/schedstat and
 * /proc/PID/stat (proc(5)). The files are kept open: they belong to that thread
 * and to no later one of its number.
 */

#include <sys/types.h>

#include "core/heartbeat.h"

typedef struct Chance {
        int stat_fd;
        int schedstat_fd;
} Chance;

#define CHANCE_INIT                                                                                \
        { .stat_fd = -EBADF, .schedstat_fd = -EBADF }

/* A kernel without them, or a /proc that hides them, leaves it unknown. */
void chance_open(Chance *chance, pid_t pid, pid_t tid);
void chance_close(Chance *chance);

void chance_read(const Chance *chance, HeartbeatChance *ret);
