/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "events.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "nsec.h"

#define LINE_MAX_LENGTH 64

static int events_fd = -EBADF;

void events_note(const char *word) {
        char line[LINE_MAX_LENGTH], *p = line + sizeof(line);
        uint64_t n = now_nsec(CLOCK_MONOTONIC);
        size_t length = strlen(word);

        if (events_fd < 0 || length > LINE_MAX_LENGTH / 2)
                return;

        *--p = '\n';
        p -= length;
        (void)memcpy(p, word, length);
        *--p = ' ';
        do
                *--p = (char)('0' + n % 10);
        while ((n /= 10) > 0);

        /* There is nobody to tell that a moment was not noted; whoever waits for it says so. */
        (void)!write(events_fd, p, (size_t)(line + sizeof(line) - p));
}

static void on_abort(int signal_number) {
        events_note("signal");
        (void)signal(signal_number, SIG_DFL);
        (void)raise(signal_number);
}

int events_open(const char *path) {
        events_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
        if (events_fd < 0)
                return -errno;

        events_note("main");
        return signal(SIGABRT, on_abort) == SIG_ERR ? -errno : 0;
}
