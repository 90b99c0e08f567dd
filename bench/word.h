/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Words
 *
 * What a process under measurement says of itself, once it has begun: 32 bytes in
 * one write(2), which a pipe keeps together.
 */

#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

#include "nsec.h"

typedef struct Word {
        pid_t pid;
        uint64_t main_nsec; /* main() of its process; what lies before is the dynamic linker's */
        uint64_t work_nsec; /* its own work */
        uint64_t hung_nsec; /* its last beat, 0 if it goes on */
} Word;

_Static_assert(sizeof(Word) == 32, "runner/peers.py reads it, too");

static inline void word_say(int fd, uint64_t main_nsec, uint64_t hung_nsec) {
        const Word word = { getpid(), main_nsec, now_nsec(CLOCK_MONOTONIC), hung_nsec };

        /* Whoever waits for it notices that it does not come. */
        (void)!write(fd, &word, sizeof(word));
}
