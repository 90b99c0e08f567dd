/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * STATUS
 *
 * Any bytes, as the text of each kind of notify datagram and as a value in the
 * journal: one line an assignment and not one more, valid UTF-8, no control
 * characters, at most 200 characters.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "base/str.h"
#include "report/journal-entry.h"
#include "report/notify-message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* abort() and not assert(): it must hold in every kind of build. */
#define MUST(expression)                                                                           \
        do {                                                                                       \
                if (!(expression))                                                                 \
                        abort();                                                                   \
        } while (0)

/* Returns the number of characters. */
static size_t must_be_clean(const char *text, size_t n) {
        size_t n_characters = 0;

        for (size_t i = 0; i < n; n_characters++) {
                size_t length = utf8_sequence(text + i, n - i);
                const uint8_t *b = (const uint8_t *)text + i;

                MUST(length > 0);
                MUST(b[0] >= 0x20 && b[0] != 0x7f);
                MUST(!(length == 2 && b[0] == 0xc2 && b[1] < 0xa0));
                MUST(!(length == 3 && memcmp(b, "\xe2\x80\xa8", 3) == 0));
                MUST(!(length == 3 && memcmp(b, "\xe2\x80\xa9", 3) == 0));
                MUST(!(length == 3 && b[0] == 0xef && b[1] == 0xbf && b[2] >= 0xbe));
                i += length;
        }

        return n_characters;
}

static size_t count_lines(const char *text, size_t n) {
        size_t lines = n > 0 ? 1 : 0;

        for (size_t i = 0; i < n; i++)
                lines += text[i] == '\n';

        return lines;
}

static void try_messages(const char *clean, size_t length) {
        static const size_t n_lines[] = {
                [NOTIFY_READY] = 2,         [NOTIFY_RELOADING] = 3, [NOTIFY_STOPPING] = 2,
                [NOTIFY_WATCHDOG] = 2,      [NOTIFY_TRIGGER] = 2,   [NOTIFY_EXTEND] = 2,
                [NOTIFY_RESTART_RESET] = 2, [NOTIFY_STATUS] = 1,
        };

        static_assert(ELEMENTSOF(n_lines) == _NOTIFY_VERB_MAX, "a verb is not tried");

        for (NotifyVerb verb = 0; verb < _NOTIFY_VERB_MAX; verb++) {
                char message[NOTIFY_MESSAGE_MAX];
                size_t n = notify_format(message, verb, UINT64_MAX, clean);
                char *status = strstr(message, "STATUS=");

                MUST(n == strlen(message) && n < NOTIFY_MESSAGE_MAX);
                MUST(count_lines(message, n) == n_lines[verb]);
                MUST(status && strncmp(status + strlen("STATUS="), clean, length) == 0);
        }
}

static void try_journal(const char *input) {
        Text entry = TEXT_INIT;

        journal_entry_add(&entry, "X", input);
        MUST(entry.error == 0);
        MUST(entry.length >= 3 && memcmp(entry.data, "X=", 2) == 0);
        MUST(entry.data[entry.length - 1] == '\n');
        (void)must_be_clean(entry.data + 2, entry.length - 3);
        text_done(&entry);
}

static void try_sizes(const char *input, size_t size) {
        char small[40];

        for (size_t i = 1; i <= sizeof(small); i++) {
                size_t n = str_sanitize_n(input, size, small, i);

                MUST(n < i && small[n] == '\0');
                (void)must_be_clean(small, n);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char clean[STATUS_SIZE];
        size_t length;
        char *copy;

        length = notify_clean_status((const char *)data, size, clean);
        MUST(length == strlen(clean) && length < STATUS_SIZE);
        MUST(must_be_clean(clean, length) <= STATUS_LENGTH_MAX);

        try_messages(clean, length);
        try_sizes((const char *)data, size);

        copy = strndup((const char *)data, size);
        MUST(copy);
        try_journal(copy);
        free(copy);
        return 0;
}
