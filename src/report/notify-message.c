/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdio.h>

#include "base/macro.h"
#include "base/str.h"
#include "report/notify-message.h"

/* clang-format off */
static const struct {
        const char *assignment;
        const char *usec_name;
        bool status_first;
} verbs[] = {
        [NOTIFY_READY]         = { "READY=1",          NULL,                  false },
        [NOTIFY_RELOADING]     = { "RELOADING=1",      "MONOTONIC_USEC",      false },
        [NOTIFY_STOPPING]      = { "STOPPING=1",       NULL,                  false },
        [NOTIFY_WATCHDOG]      = { "WATCHDOG=1",       NULL,                  false },
        [NOTIFY_TRIGGER]       = { "WATCHDOG=trigger", NULL,                  true  },
        [NOTIFY_EXTEND]        = { NULL,               "EXTEND_TIMEOUT_USEC", false },
        [NOTIFY_RESTART_RESET] = { "RESTART_RESET=1",  NULL,                  false },
        [NOTIFY_STATUS]        = { NULL,               NULL,                  false },
};
/* clang-format on */

static_assert(ELEMENTSOF(verbs) == _NOTIFY_VERB_MAX, "a verb lacks its words");

/* The longest: RELOADING=1, MONOTONIC_USEC= with 20 digits, STATUS= and its text. */
static_assert(STATUS_SIZE + 64 <= NOTIFY_MESSAGE_MAX, "a message must fit");

size_t notify_clean_status(const char *text, size_t n, char buffer[static STATUS_SIZE]) {
        (void)str_sanitize_n(text, text ? n : 0, buffer, STATUS_SIZE);
        str_redact(buffer);
        return str_cut(buffer, STATUS_LENGTH_MAX);
}

static size_t append(char *buffer, size_t length, const char *name, const char *value) {
        int n = snprintf(buffer + length, NOTIFY_MESSAGE_MAX - length, "%s%s%s",
                         length > 0 ? "\n" : "", name, value);

        assert(n >= 0 && (size_t)n < NOTIFY_MESSAGE_MAX - length);
        return length + (size_t)n;
}

size_t notify_format(char buffer[static NOTIFY_MESSAGE_MAX],
                     NotifyVerb verb,
                     uint64_t usec,
                     const char *status) {
        size_t length = 0;
        char digits[24];

        assert(verb < _NOTIFY_VERB_MAX);

        buffer[0] = '\0';
        if (status && verbs[verb].status_first)
                length = append(buffer, length, "STATUS=", status);
        if (verbs[verb].assignment)
                length = append(buffer, length, verbs[verb].assignment, "");
        if (verbs[verb].usec_name && usec > 0) {
                (void)snprintf(digits, sizeof(digits), "=%" PRIu64, usec);
                length = append(buffer, length, verbs[verb].usec_name, digits);
        }
        if (status && !verbs[verb].status_first)
                length = append(buffer, length, "STATUS=", status);

        return length;
}
