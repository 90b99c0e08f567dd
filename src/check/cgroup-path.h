/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Where the control group of our memory is in the file system
 *
 * /proc/self/cgroup names the group within its hierarchy, /proc/self/mountinfo
 * says which part of the hierarchy is mounted where. See cgroups(7),
 * cgroup_namespaces(7) and proc(5).
 */

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct CgroupPath {
        bool v1;             /* the memory controller is in a v1 hierarchy */
        size_t n_mount;      /* length of the mount point in @path: the tree ends there */
        char path[PATH_MAX]; /* of our group's folder */
} CgroupPath;

/* Returns 0, -ENOENT if there is none to be seen, or what open(2) or read(2) returned. */
int cgroup_path_find(CgroupPath *ret, const char *root);
