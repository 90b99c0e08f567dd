/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Spawn: this program once more
 *
 * posix_spawn(3) of /proc/self/exe with our own arguments: no page of ours is
 * copied, so it takes as long with a gigabyte of heap as with none, and no lock,
 * bus or loop of ours gets into the child. /proc/self/exe is the file that we run
 * even when an upgrade has replaced it meanwhile.
 *
 * The child gets the standard descriptors and two more, an environment without
 * what systemd gave to us alone, no blocked or ignored signals, and a process
 * group of its own.
 */

#include <stddef.h>
#include <sys/types.h>

/* Where the child finds its two descriptors. */
#define SPAWN_SOCKET_FD 3
#define SPAWN_BEAT_FD 4

/*
 * The environment of the child: its name, and the number of SPAWN_SOCKET_FD with the version of
 * what is spoken there. The program stays the same until the service is restarted, but not
 * this library, which an upgrade may have replaced: whoever changes ProcessMessage or BeatSlot
 * counts on, and a child that loaded the other one says so and dies, until systemd restarts
 * the service with the new one.
 */
#define SPAWN_FD_TEXT "3:1"
#define SPAWN_NAME_VARIABLE "HALE_WORKER"
#define SPAWN_FD_VARIABLE "HALE_WORKER_FD"

typedef struct SpawnImage {
        char **arguments; /* the strings are kept for ever */
        size_t n_arguments;
} SpawnImage;

/* Takes the arguments that we were started with, whatever main() has made of its own. Returns 0,
 * -E2BIG, -ENOMEM, or -ENODATA if there are none. */
int spawn_image_init(SpawnImage *image);
void spawn_image_done(SpawnImage *image);

/*
 * Starts the child. The two descriptors stay the caller's. Returns 0, or what
 * posix_spawn(3) or pidfd_open(2) returned; the child is gone then.
 */
int spawn_image_start(const SpawnImage *image,
                      const char *name,
                      int socket_fd,
                      int beat_fd,
                      pid_t *ret_pid,
                      int *ret_pidfd);

/* A copy of @environment without what is not for a child, the strings shared with it; with @extra
 * strings put first. Free the array alone. NULL without memory. */
char **spawn_environment(char *const environment[], char *const extra[]);
