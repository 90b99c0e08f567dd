/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Recorder: where the record lives
 *
 * A memfd that systemd keeps across restarts (FDSTORE=1), mapped shared, so that what
 * was stored by the last instruction of a process is there for the next one. Its size
 * is sealed: nobody who holds the descriptor can make an access to it fail.
 *
 * Without a manager to keep it the record is plain memory. Neither is ever an error:
 * a service runs without its recorder, too.
 */

#include <errno.h>
#include <stdbool.h>

#include "core/recorder-read.h"

/* FDNAME=, by which systemd passes it back. */
#define RECORDER_FD_NAME "hale-recorder"

typedef struct Recorder {
        RecorderArea *area; /* NULL: there is none */
        int fd;             /* -EBADF: plain memory */
} Recorder;

#define RECORDER_INIT                                                                              \
        { .fd = -EBADF }

/*
 * Takes @fd, which systemd passed: a memfd of our user, of the right size, which is
 * sealed, and which we may write. The record in it is not looked at.
 *
 * Returns 0, and @fd is the recorder's; or -EBADF, -EPERM, -EFBIG, -EMEDIUMTYPE or
 * another errno, with a word for what is wrong with it in *@ret_word.
 */
int recorder_adopt(Recorder *recorder, int fd, const char **ret_word);

/*
 * Makes an empty record for @service: with @kept in a memfd, else in plain memory;
 * that also if there can be no memfd. Returns 0 or a negative errno.
 */
int recorder_create(Recorder *recorder, const char *service, bool kept);

/* Lets go of the memory and of our descriptor; systemd keeps its own. */
void recorder_done(Recorder *recorder);
