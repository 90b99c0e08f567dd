/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Journal Entries
 *
 * Writes an entry in the journal's own format
 * (https://systemd.io/JOURNAL_NATIVE_PROTOCOL): "NAME=value\n", or, when the
 * value has lines, "NAME\n", its length in 64 bits little-endian, the value, "\n".
 * Errors stick in the Text.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* A-Z, 0-9 and "_", not beginning with a digit or "_", at most 64 characters. */
bool journal_field_name_is_valid(const char *name);

/* Any bytes. */
void journal_entry_add_data(Text *entry, const char *name, const char *data, size_t n);

/* A text, as one clean line. */
void journal_entry_add(Text *entry, const char *name, const char *value);

void journal_entry_add_number(Text *entry, const char *name, uint64_t value);
