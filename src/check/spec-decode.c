/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Two writings lie over each other: %XX, which any part of a spec may use, and in
 * the bytes that are sent or expected also the escapes of C.
 */

#include "base/macro.h"
#include "check/spec-parser.h"

static int hex_digit(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        return -1;
}

/* The byte that two digits at @at mean, or -1. */
static int hex_byte(const char *at, const char *end) {
        int high = end - at >= 2 ? hex_digit(at[0]) : -1;
        int low = high >= 0 ? hex_digit(at[1]) : -1;

        return low >= 0 ? high << 4 | low : -1;
}

/* Decodes %XX to @out. Returns the length. */
static int percent_decode(SpecParser *parser, const char *at, size_t n, char *out, size_t *ret) {
        const char *end = at + n;
        char buffer[SPEC_FOUND_MAX], *o = out;

        for (const char *p = at; p < end; p++) {
                int byte = (unsigned char)*p;

                if (*p == '%') {
                        byte = hex_byte(p + 1, end);
                        if (byte < 0)
                                return spec_complain(parser, p, "two hexadecimal digits after '%'",
                                                     "'%s'",
                                                     spec_found(p, (size_t)MIN(end - p, 3),
                                                                buffer));
                        p += 2;
                }
                *o++ = (char)byte;
        }

        *ret = (size_t)(o - out);
        return 0;
}

/* Where the decoded byte @index stands in what was written at @at. */
static const char *written_at(const char *at, size_t index) {
        for (; index > 0; index--)
                at += *at == '%' ? 3 : 1;

        return at;
}

int spec_decode_text(SpecParser *parser, const char *at, size_t n, const char **ret) {
        char *out = parser->free, *nul;
        size_t length;
        int r;

        r = percent_decode(parser, at, n, out, &length);
        if (r < 0)
                return r;

        nul = memchr(out, '\0', length);
        if (nul)
                return spec_complain(parser, written_at(at, (size_t)(nul - out)), "no NUL",
                                     "a NUL");

        out[length] = '\0';
        parser->free = out + length + 1;
        *ret = out;
        return 0;
}

/* Decodes the escape of which @p is the letter; moves @p to its last one. Returns -1 for none. */
static int escape_decode(const char **p, const char *end) {
        static const char letters[] = "rnt0\\", bytes[] = "\r\n\t\0\\";
        const char *letter;
        int byte;

        if (*p >= end || !**p)
                return -1;

        if (**p == 'x') {
                byte = hex_byte(*p + 1, end);
                if (byte >= 0)
                        *p += 2;
                return byte;
        }

        letter = strchr(letters, **p);
        return letter ? (unsigned char)bytes[letter - letters] : -1;
}

int spec_decode_bytes(SpecParser *parser, const char *at, size_t n, SpecValue *value) {
        char *start = parser->free, *out = start, buffer[SPEC_FOUND_MAX];
        const char *end;
        size_t length;
        int r;

        r = percent_decode(parser, at, n, start, &length);
        if (r < 0)
                return r;

        end = start + length;
        for (const char *p = start; p < end; p++) {
                const char *escape = p;
                int byte = (unsigned char)*p;

                if (*p == '\\') {
                        p++;
                        byte = escape_decode(&p, end);
                        if (byte < 0)
                                return spec_complain(
                                        parser, written_at(at, (size_t)(escape - start)),
                                        "one of \\r \\n \\t \\0 \\\\ \\xNN", "'%s'",
                                        spec_found(escape, (size_t)MIN(end - escape, 2), buffer));
                }
                *out++ = (char)byte;
        }

        *out = '\0';
        parser->free = out + 1;
        value->bytes = start;
        value->length = (size_t)(out - start);
        return 0;
}
