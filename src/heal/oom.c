/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/macro.h"
#include "heal/oom.h"

/* The line "oom_kill N", which both files have. */
static uint64_t oom_count(int fd) {
        char text[512], *line;
        uint64_t count = 0;
        ssize_t n;

        n = pread(fd, text + 1, sizeof(text) - 2, 0);
        if (n <= 0)
                return 0;

        text[0] = '\n';
        text[n + 1] = '\0';
        line = strstr(text, "\noom_kill ");
        return line && sscanf(line, " oom_kill %" SCNu64, &count) == 1 ? count : 0;
}

int oom_watch_open(OomWatch *watch, const char *path, bool v1) {
        char name[PATH_MAX];

        assert(watch);
        assert(path);

        if ((size_t)snprintf(name, sizeof(name), "%s/%s", path,
                             v1 ? "memory.oom_control" : "memory.events") >= sizeof(name))
                return -ENAMETOOLONG;

        watch->fd = open(name, O_RDONLY | O_CLOEXEC);
        if (watch->fd < 0)
                return -errno;

        watch->n_seen = oom_count(watch->fd);
        return 0;
}

void oom_watch_close(OomWatch *watch) {
        assert(watch);

        watch->fd = fd_close(watch->fd);
}

bool oom_watch_look(OomWatch *watch) {
        uint64_t n, before;

        assert(watch);

        if (watch->fd < 0)
                return false;

        n = oom_count(watch->fd);
        before = watch->n_seen;
        watch->n_seen = n;
        return n > before;
}
