/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/macro.h"
#include "report/http-chars.h"
#include "report/http-parse.h"

/* An empty line before the request line (RFC 9112 2.2) comes on top of both. */
static_assert(HTTP_REQUEST_LINE_MAX + HTTP_FIELDS_MAX + 4 < HTTP_BUFFER_SIZE,
              "a request that may still become complete must fit into the buffer");
static_assert(HTTP_BUFFER_SIZE <= UINT16_MAX, "spans count in 16 bits");

bool http_slice_equal(HttpSlice slice, const char *string) {
        size_t n = strlen(string);

        return slice.length == n && memcmp(slice.data, string, n) == 0;
}

bool http_slice_equal_fold(HttpSlice slice, const char *lower) {
        for (size_t i = 0; i < slice.length; i++) {
                char c = slice.data[i];

                if (c >= 'A' && c <= 'Z')
                        c = (char)(c | 0x20);
                /* At the end of @lower this is its NUL, which no byte of a slice may match. */
                if (c != lower[i] || c == '\0')
                        return false;
        }

        return lower[slice.length] == '\0';
}

/* Moves past what may stand in a path or query; false if a '%' begins no escape. */
static bool take_escaped(HttpSlice line, size_t *i, unsigned classes) {
        for (;;) {
                *i += http_chars_span(line.data + *i, line.length - *i, classes);
                if (*i == line.length || line.data[*i] != '%')
                        return true;
                if (line.length - *i < 3 || !http_char_is(line.data[*i + 1], HTTP_CHAR_HEX) ||
                    !http_char_is(line.data[*i + 2], HTTP_CHAR_HEX))
                        return false;
                *i += 3;
        }
}

/*
 * absolute-form (RFC 9112 3.2.2), which a server must take although only proxies
 * are sent it. Of https nothing can be true here (RFC 9110 7.4).
 */
static bool take_authority(HttpSlice line, size_t *i) {
        static const char scheme[] = "http://";
        size_t n = sizeof(scheme) - 1;

        if (line.length - *i <= n ||
            !http_slice_equal_fold((HttpSlice){ .data = line.data + *i, .length = n }, scheme))
                return false;
        *i += n;

        n = http_chars_span(line.data + *i, line.length - *i, HTTP_CHAR_AUTHORITY);
        *i += n;
        return n > 0 && line.data[*i - n] != ':';
}

static int take_target(HttpParser *parser, HttpSlice line, size_t *i) {
        size_t start;

        if (line.data[*i] != '/' && !take_authority(line, i))
                return 400;

        start = *i;
        if (!take_escaped(line, i, HTTP_CHAR_PATH) || (*i > start && line.data[start] != '/'))
                return 400;
        parser->path.start = (uint16_t)(parser->line + start);
        parser->path.length = (uint16_t)(*i - start);

        if (*i < line.length && line.data[*i] == '?') {
                start = ++*i;
                if (!take_escaped(line, i, HTTP_CHAR_QUERY))
                        return 400;
                parser->query.start = (uint16_t)(parser->line + start);
                parser->query.length = (uint16_t)(*i - start);
        }

        return 0;
}

/* Other forms (`*`, host:port) belong to methods that are refused whatever they ask. */
static int take_foreign_target(HttpSlice line, size_t *i) {
        size_t start = *i;

        if (!take_escaped(line, i, HTTP_CHAR_QUERY | HTTP_CHAR_AUTHORITY) || *i == start)
                return 400;

        return 0;
}

/* HTTP/1.x is read as 1.1, whatever x; a later major version is another language. */
static int take_version(HttpParser *parser, HttpSlice version) {
        const char *v = version.data;

        if (version.length != 8 || memcmp(v, "HTTP/", 5) != 0 || v[6] != '.' || v[5] < '0' ||
            v[5] > '9' || v[7] < '0' || v[7] > '9')
                return 400;
        if (v[5] != '1')
                return 505;

        parser->minor = v[7] > '0';
        return 0;
}

static HttpMethod method_from_token(HttpSlice token) {
        static const char *const foreign[] = {
                "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
        };

        if (http_slice_equal(token, "GET"))
                return HTTP_METHOD_GET;
        if (http_slice_equal(token, "HEAD"))
                return HTTP_METHOD_HEAD;

        for (size_t i = 0; i < ELEMENTSOF(foreign); i++)
                if (http_slice_equal(token, foreign[i]))
                        return HTTP_METHOD_FOREIGN;

        return HTTP_METHOD_UNKNOWN;
}

static int take_request_line(HttpParser *parser, HttpSlice line) {
        size_t i, start;
        int r;

        i = http_chars_span(line.data, line.length, HTTP_CHAR_TOKEN);
        if (i == 0 || line.length - i < 2 || line.data[i] != ' ')
                return 400;

        parser->method = method_from_token((HttpSlice){ .data = line.data, .length = i });
        start = ++i;

        if (parser->method <= HTTP_METHOD_HEAD)
                r = take_target(parser, line, &i);
        else
                r = take_foreign_target(line, &i);
        if (r > 0)
                return r;
        if (i - start > HTTP_TARGET_MAX)
                return 414;
        if (i == line.length || line.data[i] != ' ')
                return 400;

        i++;
        return take_version(parser,
                            (HttpSlice){ .data = line.data + i, .length = line.length - i });
}

/* A name is given once; a second one, or none where one is needed, is how hosts are confused. */
static int take_host(HttpParser *parser, HttpSlice value, size_t start) {
        (void)start;

        if (parser->seen & HTTP_SEEN_HOST ||
            http_chars_span(value.data, value.length, HTTP_CHAR_AUTHORITY) != value.length)
                return 400;

        parser->seen |= HTTP_SEEN_HOST;
        return 0;
}

/* Two lengths, or "5, 5", may be taken for one (RFC 9112 6.3); we need not. */
static int take_content_length(HttpParser *parser, HttpSlice value, size_t start) {
        (void)start;

        if (parser->seen & HTTP_SEEN_CONTENT_LENGTH || value.length == 0)
                return 400;

        for (size_t i = 0; i < value.length; i++) {
                if (value.data[i] < '0' || value.data[i] > '9')
                        return 400;
                if (value.data[i] != '0')
                        parser->seen |= HTTP_SEEN_BODY;
        }

        parser->seen |= HTTP_SEEN_CONTENT_LENGTH;
        return 0;
}

static int take_transfer_encoding(HttpParser *parser, HttpSlice value, size_t start) {
        (void)value, (void)start;

        parser->seen |= HTTP_SEEN_TRANSFER_ENCODING | HTTP_SEEN_BODY;
        return 0;
}

static int take_connection(HttpParser *parser, HttpSlice value, size_t start) {
        size_t i = 0;

        (void)start;

        while (i < value.length) {
                HttpSlice option = { .data = value.data + i };

                option.length = http_chars_span(option.data, value.length - i, HTTP_CHAR_TOKEN);
                if (http_slice_equal_fold(option, "close"))
                        parser->seen |= HTTP_SEEN_CLOSE;
                else if (http_slice_equal_fold(option, "keep-alive"))
                        parser->seen |= HTTP_SEEN_KEEP_ALIVE;

                i += option.length;
                i += http_chars_span(value.data + i, value.length - i, HTTP_CHAR_BLANK);
                if (i < value.length && value.data[i++] != ',')
                        return 400;
                i += http_chars_span(value.data + i, value.length - i, HTTP_CHAR_BLANK);
        }

        return 0;
}

/* Without a body there is nothing to say "go on" to (RFC 9110 10.1.1). */
static int take_expect(HttpParser *parser, HttpSlice value, size_t start) {
        (void)start;

        if (!http_slice_equal_fold(value, "100-continue"))
                parser->seen |= HTTP_SEEN_ODD_EXPECTATION;

        return 0;
}

/* A preference, not an order: of several lines the first will do. */
static int take_accept(HttpParser *parser, HttpSlice value, size_t start) {
        if (parser->seen & HTTP_SEEN_ACCEPT)
                return 0;

        parser->accept = (HttpSpan){ .start = (uint16_t)start, .length = (uint16_t)value.length };
        parser->seen |= HTTP_SEEN_ACCEPT;
        return 0;
}

/* clang-format off */
static const struct {
        const char *name; /* in lower case */
        size_t length;
        int (*take)(HttpParser *parser, HttpSlice value, size_t start);
} known_fields[] = {
        { "host",              4,  take_host              },
        { "accept",            6,  take_accept            },
        { "expect",            6,  take_expect            },
        { "connection",        10, take_connection        },
        { "content-length",    14, take_content_length    },
        { "transfer-encoding", 17, take_transfer_encoding },
};
/* clang-format on */

static int take_known_field(HttpParser *parser, HttpSlice name, HttpSlice value, size_t start) {
        for (size_t i = 0; i < ELEMENTSOF(known_fields); i++)
                if (known_fields[i].length == name.length &&
                    http_slice_equal_fold(name, known_fields[i].name))
                        return known_fields[i].take(parser, value, start);

        return 0;
}

/* A blank before the name is an old folded line, one before the colon a trick (RFC 9112 5). */
static int take_field(HttpParser *parser, HttpSlice line) {
        HttpSlice name = { .data = line.data }, value;
        size_t i;

        name.length = http_chars_span(line.data, line.length, HTTP_CHAR_TOKEN);
        i = name.length;
        if (i == 0 || i == line.length || line.data[i] != ':')
                return 400;

        i++;
        i += http_chars_span(line.data + i, line.length - i, HTTP_CHAR_BLANK);
        value = (HttpSlice){ .data = line.data + i, .length = line.length - i };
        if (http_chars_span(value.data, value.length, HTTP_CHAR_FIELD) != value.length)
                return 400;
        while (value.length > 0 && http_char_is(value.data[value.length - 1], HTTP_CHAR_BLANK))
                value.length--;

        return take_known_field(parser, name, value, parser->line + i);
}

/* The request is all there: may it be answered? */
static int parser_conclude(const HttpParser *parser) {
        unsigned seen = parser->seen;

        if (parser->minor > 0 && !(seen & HTTP_SEEN_HOST))
                return 400;
        /* Faulty framing (RFC 9112 6.1): one reader goes by the length, the other does not. */
        if (seen & HTTP_SEEN_TRANSFER_ENCODING &&
            (seen & HTTP_SEEN_CONTENT_LENGTH || parser->minor == 0))
                return 400;
        if (seen & HTTP_SEEN_BODY)
                return 413;
        if (seen & HTTP_SEEN_ODD_EXPECTATION)
                return 417;
        if (parser->method == HTTP_METHOD_FOREIGN)
                return 405;
        if (parser->method == HTTP_METHOD_UNKNOWN)
                return 501;

        return 0;
}

/*
 * Whether a line that ends at @end, or that goes on at least until there, is too
 * long. Asked before the line is read, so that the answer does not depend on how
 * much of it was there the first time.
 */
static int parser_check_length(const HttpParser *parser, size_t end) {
        if (parser->fields == 0)
                return end - parser->line > HTTP_REQUEST_LINE_MAX ? 414 : 0;

        return end - parser->fields > HTTP_FIELDS_MAX ? 431 : 0;
}

/* One whole line, without its CRLF. */
static int parser_take_line(HttpParser *parser, HttpSlice line, size_t next) {
        int r;

        if (parser->fields > 0) {
                if (line.length == 0) {
                        parser->length = (uint16_t)next;
                        return parser_conclude(parser);
                }
                if (++parser->n_fields > HTTP_FIELD_LINES_MAX)
                        return 431;
                r = take_field(parser, line);
                return r > 0 ? r : -EAGAIN;
        }

        /* One empty line may come first (RFC 9112 2.2). */
        if (line.length == 0 && parser->line == 0)
                return -EAGAIN;

        r = take_request_line(parser, line);
        if (r > 0)
                return r;

        parser->fields = (uint16_t)next;
        return -EAGAIN;
}

int http_parser_feed(HttpParser *parser, const char *data, size_t n) {
        int r;

        assert(parser);
        assert(data || n == 0);
        assert(n >= parser->scan);

        if (n == 0)
                return -EAGAIN;

        for (;;) {
                const char *end = n > parser->scan
                                          ? memchr(data + parser->scan, '\n', n - parser->scan)
                                          : NULL;
                HttpSlice line = { .data = data + parser->line };
                size_t next = end ? (size_t)(end - data) + 1 : n;

                /* A greeting in TLS is no request; it need not send a line to be told so. */
                if (n > parser->line && !http_char_is(*line.data, HTTP_CHAR_TOKEN) &&
                    *line.data != '\r')
                        return 400;

                r = parser_check_length(parser, next);
                if (r > 0)
                        return r;

                if (!end) {
                        parser->scan = (uint16_t)n;
                        return -EAGAIN;
                }
                if (end == line.data || end[-1] != '\r')
                        return 400;

                line.length = (size_t)(end - line.data) - 1;
                r = parser_take_line(parser, line, next);
                parser->line = parser->scan = (uint16_t)next;
                if (r != -EAGAIN)
                        return r;
        }
}

bool http_parser_keeps_alive(const HttpParser *parser) {
        assert(parser);

        if (parser->seen & HTTP_SEEN_CLOSE)
                return false;

        return parser->minor > 0 || parser->seen & HTTP_SEEN_KEEP_ALIVE;
}
