/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Memory of the Control Group
 *
 * Finds the group that accounts for our memory, in cgroup v2, v1 and hybrid
 * hierarchies, inside and outside of a cgroup namespace, and reads what it uses
 * and how much it may use: the smallest limit from there up the tree. The files
 * are opened once; a group that went away, or that we left, is looked up again.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"

#define CGROUP_LIMIT_NONE UINT64_MAX

typedef struct CgroupMemory {
        bool v1;
        int current_fd;
        int stat_fd;
        int limit_fds[CGROUP_DEPTH_MAX]; /* from our group upwards */
        unsigned n_limits;
} CgroupMemory;

typedef struct CgroupMemoryUsage {
        uint64_t current; /* with all of the page cache */
        uint64_t working; /* without the part of it that the kernel drops first (inactive_file) */
        uint64_t limit;   /* CGROUP_LIMIT_NONE */
} CgroupMemoryUsage;

#define CGROUP_MEMORY_INIT                                                                         \
        { .current_fd = -EBADF, .stat_fd = -EBADF }

/*
 * @root comes before /proc and the mount points found there: "" but in tests.
 * Returns 0, -ENOENT if no group accounts for memory, or what open(2) returned.
 */
int cgroup_memory_open(CgroupMemory *memory, const char *root);
void cgroup_memory_close(CgroupMemory *memory);

/* Returns 0, or a negative errno: -ENODEV if the group is gone. */
int cgroup_memory_read(const CgroupMemory *memory, CgroupMemoryUsage *ret);
