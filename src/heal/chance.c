/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/macro.h"
#include "heal/chance.h"

static int open_task_file(pid_t pid, pid_t tid, const char *name) {
        char path[64];

        (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", (int)pid, (int)tid, name);
        return open(path, O_RDONLY | O_CLOEXEC);
}

void chance_open(Chance *chance, pid_t pid, pid_t tid) {
        assert(chance);

        chance_close(chance);
        chance->stat_fd = open_task_file(pid, tid, "stat");
        chance->schedstat_fd = open_task_file(pid, tid, "schedstat");
}

void chance_close(Chance *chance) {
        assert(chance);

        chance->stat_fd = fd_close(chance->stat_fd);
        chance->schedstat_fd = fd_close(chance->schedstat_fd);
}

static bool read_text(int fd, char *buffer, size_t size) {
        ssize_t n = fd < 0 ? -1 : pread(fd, buffer, size - 1, 0);

        buffer[MAX(n, 0)] = '\0';
        return n > 0;
}

/* The letter after the name, which may itself contain anything, ")" as well. */
static char read_state(int fd) {
        char text[512], *end;

        if (!read_text(fd, text, sizeof(text)))
                return '?';

        end = strrchr(text, ')');
        return end && end[1] == ' ' ? end[2] : '?';
}

void chance_read(const Chance *chance, HeartbeatChance *ret) {
        uint64_t run_nsec, wait_nsec;
        char text[128], state;

        assert(chance);
        assert(ret);

        *ret = (HeartbeatChance){};
        state = read_state(chance->stat_fd);
        ret->traced = state == 't';
        if (!read_text(chance->schedstat_fd, text, sizeof(text)) ||
            sscanf(text, "%" SCNu64 " %" SCNu64, &run_nsec, &wait_nsec) != 2)
                return;

        ret->known = true;
        ret->runnable = state == 'R';
        ret->run_usec = run_nsec / NSEC_PER_USEC;
        ret->wait_usec = wait_nsec / NSEC_PER_USEC;
}
