/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Subjects
 *
 * The supervisors that worker.c measures: libhale, and the references. Each is this
 * program executed again with other arguments, and its workers say words on stdout.
 */

#include <stdint.h>

#include "word.h"

typedef struct Subject {
        pid_t pid;
        int fd; /* its workers' words */
        char *const *arguments;
} Subject;

/* What main() begins with: becomes the subject that the arguments ask for and returns its exit
 * status, or -1 if they ask for none. */
int subject_main(uint64_t main_nsec, char *argv[]);

/* Returns 0 or a negative errno. The @arguments must stay. */
int subject_start(Subject *subject, char *const arguments[]);
void subject_stop(Subject *subject);

/* The next word. Returns -ETIMEDOUT if there is none within seconds, -EPIPE if there can be none.
 */
int subject_hear(const Subject *subject, Word *ret);

/* Resident memory in MiB. */
unsigned long subject_resident_mib(const Subject *subject);
