/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/macro.h"
#include "check/process-numbers.h"

/* Longer than /proc/self/stat can be: 52 numbers of 20 digits, and a name. */
#define STAT_MAX 2048

/* The fields of /proc/self/stat that are wanted, by their number in proc(5). */
enum {
        STAT_AFTER_NAME = 3,
        STAT_THREADS = 20,
        STAT_START = 22,
        STAT_VSIZE = 23,
        STAT_RSS = 24,
        STAT_START_BRK = 47,
        _STAT_MAX = 48,
};

/* Reads a small file whole; false if that cannot be done. */
static bool read_file(const char *folder, const char *name, char *buffer, size_t size) {
        _cleanup_close_ int fd = -EBADF;
        char path[4096];
        ssize_t n;

        (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return false;

        n = read(fd, buffer, size - 1);
        if (n <= 0)
                return false;

        buffer[n] = '\0';
        return true;
}

/* The fields that are there. The name, the second, may hold anything, ") (" too. */
static void stat_parse(const char *text, uint64_t fields[static _STAT_MAX]) {
        const char *at = strrchr(text, ')');

        for (unsigned i = 0; i < _STAT_MAX; i++)
                fields[i] = PROCESS_UNKNOWN;
        if (!at)
                return;

        at++;
        for (unsigned i = STAT_AFTER_NAME; i < _STAT_MAX; i++) {
                at += strspn(at, " ");
                if (!*at)
                        return;
                if (*at >= '0' && *at <= '9')
                        fields[i] = strtoull(at, NULL, 10);
                at += strcspn(at, " ");
        }
}

static uint64_t times(uint64_t value, uint64_t factor) {
        return value == PROCESS_UNKNOWN ? value : value * factor;
}

/* @ticks since the machine was started, as wall time. */
static uint64_t start_realtime(uint64_t ticks) {
        const uint64_t hz = (uint64_t)MAX(sysconf(_SC_CLK_TCK), 1);
        uint64_t age;

        if (ticks == PROCESS_UNKNOWN)
                return PROCESS_UNKNOWN;

        age = usec_sub(clock_now_usec(CLOCK_BOOTTIME),
                       ticks / hz * USEC_PER_SEC + ticks % hz * USEC_PER_SEC / hz);
        return usec_sub(clock_now_usec(CLOCK_REALTIME), age);
}

static uint64_t heap_size(uint64_t start_brk) {
        uint64_t end = (uint64_t)(uintptr_t)sbrk(0);

        /* 0 is what a kernel says that will not tell. */
        return start_brk == PROCESS_UNKNOWN || start_brk == 0 || end < start_brk ? PROCESS_UNKNOWN
                                                                                 : end - start_brk;
}

static void read_stat(ProcessNumbers *numbers, const char *folder) {
        const uint64_t page = (uint64_t)MAX(sysconf(_SC_PAGESIZE), 1);
        uint64_t fields[_STAT_MAX];
        char text[STAT_MAX];

        if (!read_file(folder, "stat", text, sizeof(text)))
                text[0] = '\0';

        stat_parse(text, fields);
        numbers->n_threads = fields[STAT_THREADS];
        numbers->virtual_bytes = fields[STAT_VSIZE];
        numbers->resident_bytes = times(fields[STAT_RSS], page);
        numbers->heap_bytes = heap_size(fields[STAT_START_BRK]);
        if (numbers->start_realtime_usec == 0)
                numbers->start_realtime_usec = start_realtime(fields[STAT_START]);
}

/* Entries of a folder but for "." and ".."; unknown if there are more than we care to count. */
static uint64_t count_entries(int fd) {
        char buffer[8192];
        uint64_t n = 0;
        ssize_t size;

        while ((size = getdents64(fd, buffer, sizeof(buffer))) > 0 && n <= DESCRIPTORS_COUNTED_MAX)
                for (ssize_t at = 0; at < size; n++) {
                        unsigned short length;

                        memcpy(&length, buffer + at + offsetof(struct dirent64, d_reclen),
                               sizeof(length));
                        at += length;
                }

        return size != 0 || n < 2 ? PROCESS_UNKNOWN : n - 2;
}

/* Kernels before 6.2 say 0 for the size of the folder: there we list it. */
static uint64_t count_descriptors(const char *folder) {
        _cleanup_close_ int fd = -EBADF;
        char path[4096];
        struct stat st;
        uint64_t n;

        (void)snprintf(path, sizeof(path), "%s/fd", folder);
        if (stat(path, &st) == 0 && st.st_size > 0)
                return (uint64_t)st.st_size;

        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return PROCESS_UNKNOWN;

        n = count_entries(fd);
        return n == PROCESS_UNKNOWN || n == 0 ? PROCESS_UNKNOWN : n - 1 /* this one */;
}

static uint64_t limit_of(__rlimit_resource_t resource) {
        struct rlimit limit;

        if (getrlimit(resource, &limit) < 0)
                return PROCESS_UNKNOWN;

        return limit.rlim_cur == RLIM_INFINITY ? PROCESS_INFINITE : limit.rlim_cur;
}

void process_numbers_read(ProcessNumbers *numbers, const char *folder) {
        assert(numbers);
        assert(folder);

        read_stat(numbers, folder);
        numbers->cpu_usec = clock_now_usec(CLOCK_PROCESS_CPUTIME_ID);
        numbers->open_fds = count_descriptors(folder);
        numbers->max_fds = limit_of(RLIMIT_NOFILE);
        numbers->virtual_max_bytes = limit_of(RLIMIT_AS);
}
