/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * OOM: has the kernel killed somebody for memory?
 *
 * A process that the OOM killer took looks like any other that got SIGKILL. The
 * control group counts such kills (memory.events in v2, memory.oom_control in v1),
 * so a count that has grown since the last look is the likely reason.
 */

#include <stdbool.h>
#include <stdint.h>

typedef struct OomWatch {
        int fd;
        uint64_t n_seen;
} OomWatch;

#define OOM_WATCH_INIT                                                                             \
        { .fd = -EBADF }

/* Opens the file of the group whose folder is @path. Returns 0, or what open(2) returned. */
int oom_watch_open(OomWatch *watch, const char *path, bool v1);
void oom_watch_close(OomWatch *watch);

/* True if the count has grown since the last call. False without a file. */
bool oom_watch_look(OomWatch *watch);
