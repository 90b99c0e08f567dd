/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Journal
 *
 * Tells the administrator what happened: one message a change, with fields that
 * journalctl can search, an id that it can explain, and a priority. It never
 * blocks: sd_journal_send(3) waits for a journal that hangs, so the socket is our
 * own. What cannot be sent is dropped, counted, and told by the next message that
 * gets through.
 *
 * Without a journal, messages are lines on stderr. That descriptor is shared with
 * whoever started us, so it is not set to non-blocking: it is asked whether it
 * would take a line, and if it would not, the message is dropped and counted.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/datagram.h"
#include "base/limits.h"
#include "base/macro.h"
#include "report/journal-message.h"

/* The words of org.freedesktop.LogControl1. */
typedef enum JournalTarget {
        JOURNAL_AUTO,    /* the journal if stderr goes there, else stderr */
        JOURNAL_NATIVE,  /* "journal" */
        JOURNAL_CONSOLE, /* stderr */
        JOURNAL_NULL,
        _JOURNAL_TARGET_MAX,
} JournalTarget;

typedef struct JournalConfig {
        const char *name;   /* of the service; copied */
        const char *socket; /* NULL: the system's */
        const char *stream; /* the value of $JOURNAL_STREAM, or NULL */
        int console_fd;     /* STDERR_FILENO */
} JournalConfig;

typedef struct Journal {
        char name[NAME_LENGTH_MAX + 1];
        Datagram datagram;
        int console_fd;  /* not ours */
        bool has_stream; /* console_fd leads into the journal */
        JournalTarget target;
        int max_level; /* syslog(3); less urgent messages are not sent */
        uint64_t n_sent, n_dropped;
        uint64_t n_untold; /* dropped since the last message that got through */
} Journal;

/* A field of a message. One whose value is NULL is left out; then the catalog cannot quote it, for
 * of a field that is missing `journalctl -x` shows the name. */
typedef struct JournalField {
        const char *name; /* HALE_… */
        const char *value;
} JournalField;

#define JOURNAL_INIT                                                                               \
        { .datagram = DATAGRAM_INIT, .console_fd = -EBADF }

/* Takes the system's journal, $JOURNAL_STREAM and stderr. What cannot be had is found out by
 * the sends. */
void journal_init(Journal *journal, const char *name);

/* Returns 0, or -EINVAL or -ENAMETOOLONG for a socket path that cannot be used. */
int journal_init_with(Journal *journal, const JournalConfig *config);

void journal_done(Journal *journal);

/* Takes the word of a target. Returns 0 or -EINVAL. */
int journal_set_target(Journal *journal, const char *word);

/*
 * Sends a message of @kind with up to JOURNAL_FIELDS_MAX fields. Adds MESSAGE,
 * MESSAGE_ID, PRIORITY, SYSLOG_IDENTIFIER and HALE_SERVICE. errno is kept, and may
 * be used in @format ("%m").
 *
 * Returns 0 if it was sent or was not wanted, or the errno for which it was lost.
 */
int journal_send(Journal *journal,
                 MessageKind kind,
                 const JournalField fields[],
                 size_t n_fields,
                 const char *format,
                 ...) _printf_(5, 6);

/* A line without an id, for what needs no explanation. */
int journal_log(Journal *journal, int priority, const char *format, ...) _printf_(3, 4);
int journal_logv(Journal *journal, int priority, const char *format, va_list ap) _printf_(3, 0);

/* "journal", "warning" and so on, and back: the value, or -EINVAL. NULL for a value that is none.
 */
const char *journal_target_to_string(JournalTarget target);
int journal_target_from_string(const char *word);
const char *journal_priority_to_string(int priority);
int journal_priority_from_string(const char *word);
