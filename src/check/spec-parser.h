/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Spec Parser: what the files of the spec parser share
 *
 * A parse goes through the text once, from left to right. What it decodes it
 * puts one after the other into one buffer; as no text becomes longer by
 * decoding, the length of the spec bounds it.
 */

#include <string.h>

#include "check/spec.h"

typedef struct SpecParser {
        const char *text;
        const char *p; /* what comes next */
        char *free;    /* where the next decoded text goes */
        CheckError *error;
} SpecParser;

/* What a person is shown of a spec that is wrong. */
#define SPEC_FOUND_MAX 40

/* Copies @n bytes at @at for a message. Returns @buffer. */
const char *spec_found(const char *at, size_t n, char buffer[static SPEC_FOUND_MAX]);

/* Complains about what is at @at: see check_error_set(). */
#define spec_complain(parser, at, ...)                                                             \
        check_error_set((parser)->error, (parser)->text, (size_t)((at) - (parser)->text),          \
                        __VA_ARGS__)

/* Decodes @n bytes at @at, which must not hold a NUL. Does not move the parser. */
int spec_decode_text(SpecParser *parser, const char *at, size_t n, const char **ret);

/* Decodes @n bytes at @at, and the escapes in them. They may hold NULs. */
int spec_decode_bytes(SpecParser *parser, const char *at, size_t n, SpecValue *value);

/* Reads the place of @spec's scheme up to the '?' or the end. */
int spec_parse_place(SpecParser *parser, CheckSpec *spec);
