/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Notify Messages
 *
 * The words of sd_notify(3), apart from the sending. Here is the border that
 * hostile text must not cross: a newline in STATUS= would let whoever is probed
 * write MAINPID= or WATCHDOG=trigger, so every text becomes one clean line first.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"

/* A cleaned STATUS: its characters may have four bytes each. */
#define STATUS_SIZE (STATUS_LENGTH_MAX * 4 + 1)

typedef enum NotifyVerb {
        NOTIFY_READY,
        NOTIFY_RELOADING, /* with the time, which Type=notify-reload wants in the same datagram */
        NOTIFY_STOPPING,
        NOTIFY_WATCHDOG,
        NOTIFY_TRIGGER, /* the status comes first, so that systemd logs it with the request */
        NOTIFY_EXTEND,
        NOTIFY_RESTART_RESET,
        NOTIFY_STATUS,
        _NOTIFY_VERB_MAX,
} NotifyVerb;

/*
 * Copies @text as one line of at most STATUS_LENGTH_MAX characters of valid
 * UTF-8, without control characters and credentials. NULL is "". Returns the
 * length in bytes.
 */
size_t notify_clean_status(const char *text, size_t n, char buffer[static STATUS_SIZE]);

/*
 * Writes one datagram: the verb with its time (0: none) and the status, which
 * must be clean already (NULL: none). Returns its length in bytes.
 */
size_t notify_format(char buffer[static NOTIFY_MESSAGE_MAX],
                     NotifyVerb verb,
                     uint64_t usec,
                     const char *status);
