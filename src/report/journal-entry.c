/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "report/journal-entry.h"

#define FIELD_NAME_MAX 64

bool journal_field_name_is_valid(const char *name) {
        size_t n = name ? strnlen(name, FIELD_NAME_MAX + 1) : 0;

        if (n == 0 || n > FIELD_NAME_MAX || !(name[0] >= 'A' && name[0] <= 'Z'))
                return false;

        return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == n;
}

void journal_entry_add_data(Text *entry, const char *name, const char *data, size_t n) {
        assert(entry);
        assert(journal_field_name_is_valid(name));
        assert(data || n == 0);

        (void)text_append(entry, name);
        if (n > 0 && memchr(data, '\n', n)) {
                uint64_t size = htole64(n);

                (void)text_append(entry, "\n");
                (void)text_append_n(entry, (const char *)&size, sizeof(size));
        } else {
                (void)text_append(entry, "=");
        }
        (void)text_append_n(entry, data, n);
        (void)text_append(entry, "\n");
}

void journal_entry_add(Text *entry, const char *name, const char *value) {
        /* A byte that is not UTF-8 becomes three. */
        size_t n = strnlen(value, JOURNAL_VALUE_MAX);
        char clean[JOURNAL_VALUE_MAX];

        /* No malloc(3): whoever is blamed for hanging may hold its lock. */
        n = str_sanitize_n(value, n, clean, MIN(n * 3 + 1, sizeof(clean)));
        str_redact(clean);
        journal_entry_add_data(entry, name, clean, n);
}

void journal_entry_add_number(Text *entry, const char *name, uint64_t value) {
        char digits[24];
        int n = snprintf(digits, sizeof(digits), "%" PRIu64, value);

        journal_entry_add_data(entry, name, digits, (size_t)n);
}
