/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Events
 *
 * Appends the moments that matter to a file, a line each: CLOCK_MONOTONIC in
 * nanoseconds and a word. The words: main (the program begins), ready, fail (the
 * failing answer is given), signal (systemd acts: SIGABRT has come).
 */

/* Opens @path, notes "main", and from now on notes SIGABRT. Returns 0 or a negative errno. */
int events_open(const char *path);

/* Async-signal-safe. Does nothing unless events_open() was called. */
void events_note(const char *word);
