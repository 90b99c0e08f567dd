/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Reference: the least that can be executed
 *
 * Says when its main() began and waits for its end. Linked statically, with the C
 * library alone, and with libsystemd as well, of which it uses nothing: the difference
 * is the dynamic linker's work, which lies before any main(). Other supervisors
 * restart it, too; to $BENCH_WORDS, for some of them keep stdout for themselves.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "word.h"

int main(void) {
        uint64_t main_nsec = now_nsec(CLOCK_MONOTONIC);
        const char *path = getenv("BENCH_WORDS");
        int fd = path ? open(path, O_WRONLY | O_CLOEXEC) : STDOUT_FILENO;

        word_say(fd, main_nsec, 0);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
                (void)pause();
}
