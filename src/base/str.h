/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Strings
 *
 * A growing text with a bound, and the cleaning of text that came from outside.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/macro.h"

typedef struct Text {
        char *data; /* always terminated once not NULL */
        size_t length;
        size_t allocated;
        size_t max; /* 0: no bound */
        int error;  /* first failure sticks: -ENOMEM or -E2BIG; checked once at the end */
} Text;

#define TEXT_INIT                                                                                  \
        { .data = NULL }

void text_done(Text *text);
void text_clear(Text *text); /* keeps the memory */
int text_append(Text *text, const char *string);
int text_append_n(Text *text, const char *data, size_t n);
int text_appendf(Text *text, const char *format, ...) _printf_(2, 3);

/*
 * Copies @input to @buffer as one line of valid UTF-8 without control
 * characters, at most @size - 1 bytes, cut on a character's border and then
 * ending in "..." (if there is room for it). Bytes that are not UTF-8, and
 * noncharacters, become U+FFFD; control characters (C0, DEL, C1, line and
 * paragraph separators, bidirectional controls) become a space. Returns the
 * length.
 */
size_t str_sanitize(const char *input, char *buffer, size_t size);

/* Like str_sanitize(), for @n bytes that need not be terminated and may hold NULs. */
size_t str_sanitize_n(const char *input, size_t n, char *buffer, size_t size);

/* Cuts @string, valid UTF-8, to @n_characters (at least 3), the last three of them dots if it was
 * longer. Returns the length in bytes. */
size_t str_cut(char *string, size_t n_characters);

/*
 * Formats what was said from outside for people: redacted, one clean line, cut to
 * @size - 1 bytes. Redacts before it cuts: half a password is one too. @format may
 * be NULL for nothing.
 */
void str_clean(char *buffer, size_t size, const char *format, va_list ap) _printf_(3, 0);

bool str_starts(const char *string, const char *prefix);

/* Length of the valid UTF-8 sequence at @s (at most @n bytes), or 0 if there is none. */
size_t utf8_sequence(const char *s, size_t n);

/* Hides what follows "password=", "passwd=", "pwd=", "token=" and "secret=" (or ":", also in
 * JSON), and the user information of URLs ("//user:secret@"), in place. */
void str_redact(char *string);
