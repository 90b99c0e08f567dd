/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <string.h>

#include "base/macro.h"
#include "report/http-chars.h"
#include "report/http-query.h"

static HttpSlice slice_until(HttpSlice slice, char end) {
        const char *p = slice.length > 0 ? memchr(slice.data, end, slice.length) : NULL;

        if (p)
                slice.length = (size_t)(p - slice.data);

        return slice;
}

static void slice_skip(HttpSlice *slice, size_t n) {
        n = MIN(n, slice->length);
        slice->data += n;
        slice->length -= n;
}

bool http_path_next(HttpSlice *path, HttpSlice *ret_segment) {
        assert(path);
        assert(ret_segment);

        if (path->length == 0 || path->data[0] != '/')
                return false;

        slice_skip(path, 1);
        *ret_segment = slice_until(*path, '/');
        slice_skip(path, ret_segment->length);
        return true;
}

bool http_query_next(HttpSlice *query, HttpSlice *ret_key, HttpSlice *ret_value) {
        HttpSlice part, key;

        assert(query);
        assert(ret_key);
        assert(ret_value);

        do {
                if (query->length == 0)
                        return false;
                part = slice_until(*query, '&');
                slice_skip(query, part.length + 1);
        } while (part.length == 0);

        key = slice_until(part, '=');
        *ret_key = key;
        *ret_value = (HttpSlice){};
        if (key.length < part.length) {
                slice_skip(&part, key.length + 1);
                *ret_value = part;
        }
        return true;
}

bool http_query_has(HttpSlice query, const char *key) {
        HttpSlice k, v;

        assert(key);

        while (http_query_next(&query, &k, &v))
                if (http_slice_equal(k, key))
                        return true;

        return false;
}

static int hex_value(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';

        return (c | 0x20) - 'a' + 10;
}

/* The character at @i, moving past it; negative if its escape is none. */
static int unescape_one(HttpSlice raw, size_t *i, bool plus) {
        char c = raw.data[(*i)++];

        if (c == '+' && plus)
                return ' ';
        if (c != '%')
                return (unsigned char)c;

        if (raw.length - *i < 2 || !http_char_is(raw.data[*i], HTTP_CHAR_HEX) ||
            !http_char_is(raw.data[*i + 1], HTTP_CHAR_HEX))
                return -EINVAL;

        *i += 2;
        return hex_value(raw.data[*i - 2]) << 4 | hex_value(raw.data[*i - 1]);
}

int http_unescape(HttpSlice raw, bool plus, char *buffer, size_t size) {
        size_t i = 0, n = 0;

        assert(buffer);
        assert(size > 0);

        while (i < raw.length) {
                int c = unescape_one(raw, &i, plus);

                if (c < 0x20 || c == 0x7f)
                        return -EINVAL;
                if (n + 1 >= size)
                        return -ENOBUFS;
                buffer[n++] = (char)c;
        }

        buffer[n] = '\0';
        return (int)n;
}
