/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * File Descriptors
 *
 * A descriptor that is not open is -EBADF (any negative number will do).
 */

#include <errno.h>
#include <unistd.h>

/* Closes @fd if it is open, keeps errno, and returns -EBADF: fd = fd_close(fd). */
static inline int fd_close(int fd) {
        if (fd >= 0) {
                int saved = errno;
                (void)close(fd);
                errno = saved;
        }
        return -EBADF;
}

static inline void fd_closep(int *fd) {
        *fd = fd_close(*fd);
}

#define _cleanup_close_ __attribute__((cleanup(fd_closep)))

/* Hands a descriptor over: yields it and leaves -EBADF behind. */
static inline int fd_take(int *fd) {
        int taken = *fd;
        *fd = -EBADF;
        return taken;
}
