/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * HTTP Characters
 *
 * Which bytes may stand where. One table, as every byte of a request is looked
 * up here once.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum HttpCharClass {
        HTTP_CHAR_TOKEN = 1 << 0,     /* RFC 9110 5.6.2: methods, field names */
        HTTP_CHAR_FIELD = 1 << 1,     /* RFC 9110 5.5: values, with SP, HTAB and obs-text */
        HTTP_CHAR_PATH = 1 << 2,      /* RFC 3986 3.3: pchar and '/', without '%' */
        HTTP_CHAR_QUERY = 1 << 3,     /* RFC 3986 3.4: the same and '?' */
        HTTP_CHAR_AUTHORITY = 1 << 4, /* RFC 3986 3.2.2: host and port; no user information */
        HTTP_CHAR_HEX = 1 << 5,
        HTTP_CHAR_BLANK = 1 << 6, /* OWS: SP and HTAB */
} HttpCharClass;

extern const uint8_t http_chars[256];

static inline bool http_char_is(char c, unsigned classes) {
        return (http_chars[(unsigned char)c] & classes) != 0;
}

/* How many bytes at the beginning of @data are of one of @classes. */
static inline size_t http_chars_span(const char *data, size_t n, unsigned classes) {
        size_t i = 0;

        while (i < n && http_char_is(data[i], classes))
                i++;

        return i;
}
