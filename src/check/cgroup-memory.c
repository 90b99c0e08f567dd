/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/macro.h"
#include "base/str.h"
#include "check/cgroup-memory.h"
#include "check/cgroup-path.h"

/* v1 writes no limit as LONG_MAX, rounded down to pages; nobody has an exbibyte. */
#define LIMIT_HUGE (UINT64_C(1) << 60)

/* memory.stat of Linux 6.18 has 2 KiB; what we need stands in its first quarter. */
#define STAT_SIZE_MAX 8192

#define NUMBER_SIZE_MAX 32

static int open_below(const char *folder, size_t n_folder, const char *name) {
        char path[PATH_MAX + NAME_MAX];
        int fd;

        (void)snprintf(path, sizeof(path), "%.*s/%s", (int)n_folder, folder, name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

/* The limits of our group and of all above it. v1's memory.stat has that minimum itself. */
static int open_limits(CgroupMemory *memory, const CgroupPath *path) {
        const char *name = memory->v1 ? "memory.limit_in_bytes" : "memory.max";
        size_t n = strlen(path->path);

        while (memory->n_limits < CGROUP_DEPTH_MAX) {
                int fd = open_below(path->path, n, name);
                const char *slash;

                /* The root of the whole hierarchy has none. */
                if (fd < 0 && fd != -ENOENT)
                        return fd;
                if (fd >= 0)
                        memory->limit_fds[memory->n_limits++] = fd;

                slash = memrchr(path->path, '/', n);
                if (memory->v1 || n <= path->n_mount || !slash)
                        break;
                n = (size_t)(slash - path->path);
        }

        return 0;
}

int cgroup_memory_open(CgroupMemory *memory, const char *root) {
        CgroupMemory opened = CGROUP_MEMORY_INIT;
        CgroupPath path;
        size_t n;
        int r;

        assert(memory);

        r = cgroup_path_find(&path, root);
        if (r < 0)
                return r;

        n = strlen(path.path);
        opened.v1 = path.v1;

        /* Not there in v2's root group, nor where the controller is off. */
        r = open_below(path.path, n, path.v1 ? "memory.usage_in_bytes" : "memory.current");
        if (r < 0)
                return r;
        opened.current_fd = r;

        r = open_below(path.path, n, "memory.stat");
        if (r >= 0) {
                opened.stat_fd = r;
                r = open_limits(&opened, &path);
        }
        if (r < 0) {
                cgroup_memory_close(&opened);
                return r;
        }

        *memory = opened;
        return 0;
}

void cgroup_memory_close(CgroupMemory *memory) {
        assert(memory);

        memory->current_fd = fd_close(memory->current_fd);
        memory->stat_fd = fd_close(memory->stat_fd);
        while (memory->n_limits > 0)
                (void)fd_close(memory->limit_fds[--memory->n_limits]);
}

/* Reads a small file from its start, and terminates it. */
static int read_whole(int fd, char *buffer, size_t size) {
        size_t length = 0;
        ssize_t n;

        do {
                n = pread(fd, buffer + length, size - 1 - length, (off_t)length);
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n > 0)
                        length += (size_t)n;
        } while (n != 0 && length < size - 1);

        buffer[length] = '\0';
        return 0;
}

static int number_parse(const char *text, uint64_t *ret) {
        char *end;

        if (*text < '0' || *text > '9')
                return -EBADMSG;

        errno = 0;
        *ret = strtoumax(text, &end, 10);
        return errno != 0 || (*end != '\n' && *end != '\0') ? -EBADMSG : 0;
}

/* A number; "max" is none. */
static int read_number(int fd, uint64_t *ret) {
        char buffer[NUMBER_SIZE_MAX];
        int r;

        r = read_whole(fd, buffer, sizeof(buffer));
        if (r < 0)
                return r;

        if (str_starts(buffer, "max")) {
                *ret = CGROUP_LIMIT_NONE;
                return 0;
        }

        return number_parse(buffer, ret);
}

/* The number behind @key in "key value" lines; @otherwise if there is no such line. */
static uint64_t stat_get(const char *stat, const char *key, uint64_t otherwise) {
        size_t n = strlen(key);
        uint64_t value;

        for (const char *line = stat; line; line = strchr(line, '\n')) {
                if (*line == '\n')
                        line++;
                if (strncmp(line, key, n) == 0 && line[n] == ' ' &&
                    number_parse(line + n + 1, &value) == 0)
                        return value;
        }

        return otherwise;
}

int cgroup_memory_read(const CgroupMemory *memory, CgroupMemoryUsage *ret) {
        uint64_t current, inactive, limit = CGROUP_LIMIT_NONE, one;
        char stat[STAT_SIZE_MAX];
        int r;

        assert(memory);
        assert(ret);

        r = read_number(memory->current_fd, &current);
        if (r < 0)
                return r;

        r = read_whole(memory->stat_fd, stat, sizeof(stat));
        if (r < 0)
                return r;

        for (unsigned i = 0; i < memory->n_limits; i++) {
                r = read_number(memory->limit_fds[i], &one);
                if (r < 0)
                        return r;
                limit = MIN(limit, one);
        }

        if (memory->v1) {
                one = stat_get(stat, "hierarchical_memory_limit", CGROUP_LIMIT_NONE);
                limit = MIN(limit, one);
        }

        inactive = stat_get(stat, memory->v1 ? "total_inactive_file" : "inactive_file", 0);
        *ret = (CgroupMemoryUsage){
                .current = current,
                .working = current > inactive ? current - inactive : 0,
                .limit = limit < LIMIT_HUGE ? limit : CGROUP_LIMIT_NONE,
        };
        return 0;
}
