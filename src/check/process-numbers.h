/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Process Numbers
 *
 * What the kernel knows about this process: its time, memory, descriptors and
 * threads, read from /proc/self, which is there even under ProcSubset=pid. One
 * reading takes some 30 us, and on kernels before 6.2 2 us more for each
 * descriptor, up to a bound; it needs no memory and two descriptors. What cannot be
 * read stays unknown.
 */

#include <stdint.h>

#define PROCESS_UNKNOWN (UINT64_MAX - 1)
#define PROCESS_INFINITE UINT64_MAX

typedef struct ProcessNumbers {
        uint64_t cpu_usec; /* of all threads, and of the kernel for them */
        uint64_t open_fds, max_fds;
        uint64_t virtual_bytes, virtual_max_bytes, resident_bytes;
        uint64_t heap_bytes; /* what brk(2) has given: neither large pieces nor other threads' */
        uint64_t start_realtime_usec;
        uint64_t n_threads;
} ProcessNumbers;

/* @folder: "/proc/self". Keeps @numbers->start_realtime_usec if it is not 0: worked out anew it
 * would differ by as much as the clock was corrected. */
void process_numbers_read(ProcessNumbers *numbers, const char *folder);
