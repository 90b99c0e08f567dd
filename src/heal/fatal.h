/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Fatal Signals: the last words
 *
 * SIGABRT, with which systemd's watchdog ends a service, and the signals of a crash are
 * caught where the program does not catch them itself: the handler writes signal, sender
 * and stack into the record, lets the signal have its default way again, and returns to
 * die of it. So the core dump shows what it would have shown, and nobody sees that we
 * were there: not in its siginfo either. Of threads that crash together the first one's
 * words are kept, and the others wait a moment for them. A forked child has the handlers
 * and the memory of the record, but nothing to say in it. The handler touches only memory that is
 * there already: no lock, no allocation, no stdio (signal-safety(7)).
 *
 * A crash from a stack that has overflown leaves no last words, unless the program gave
 * its thread an alternate one (sigaltstack(2)).
 */

#include "core/recorder-format.h"

/* @place must stay until fatal_remove(). One at a time in a process. */
void fatal_install(RecorderFrames *place, uint32_t run);

/* Gives back what the program has not taken over meanwhile. */
void fatal_remove(void);
