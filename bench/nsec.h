/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Nanosecond Clocks
 *
 * What the benchmarks read the time with, their own and that of the process
 * under test. The rest of the project counts microseconds.
 */

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define NSEC_PER_SEC UINT64_C(1000000000)

static inline uint64_t now_nsec(clockid_t clock) {
        struct timespec now = {};

        (void)clock_gettime(clock, &now);
        return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

/* CPU time of all threads of @pid so far, the kernel's part included; 0 if it is gone. */
static inline uint64_t process_cpu_nsec(pid_t pid) {
        clockid_t clock;

        return clock_getcpuclockid(pid, &clock) == 0 ? now_nsec(clock) : 0;
}

/* For qsort(3). */
static inline int compare_u64(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}
