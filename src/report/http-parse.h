/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * HTTP Parser
 *
 * Reads the head of one HTTP/1 request, strictly as RFC 9112 and RFC 9110 write
 * it: whatever two readers could understand differently is refused. It owns no
 * memory: it looks at bytes that the caller keeps, remembers how far it got, and
 * never looks at a finished line twice. However the bytes arrive, one by one or
 * at once, the outcome is the same.
 *
 * No request with a body is ever accepted, so that no byte of one request can be
 * taken for the beginning of the next.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of somebody else; not terminated. */
typedef struct HttpSlice {
        const char *data;
        size_t length;
} HttpSlice;

#define HTTP_SLICE(literal) ((HttpSlice){ .data = (literal), .length = sizeof(literal) - 1 })

typedef enum HttpMethod {
        HTTP_METHOD_GET,
        HTTP_METHOD_HEAD,
        HTTP_METHOD_FOREIGN, /* there is such a method, but not here: 405 */
        HTTP_METHOD_UNKNOWN, /* 501 */
} HttpMethod;

/* Where something stands, counted from the first byte of the request. */
typedef struct HttpSpan {
        uint16_t start, length;
} HttpSpan;

/* What is said once in a request, or at least once. */
typedef enum HttpSeen {
        HTTP_SEEN_HOST = 1 << 0,
        HTTP_SEEN_CONTENT_LENGTH = 1 << 1,
        HTTP_SEEN_TRANSFER_ENCODING = 1 << 2,
        HTTP_SEEN_BODY = 1 << 3, /* one longer than nothing */
        HTTP_SEEN_CLOSE = 1 << 4,
        HTTP_SEEN_KEEP_ALIVE = 1 << 5,
        HTTP_SEEN_ODD_EXPECTATION = 1 << 6,
        HTTP_SEEN_ACCEPT = 1 << 7,
} HttpSeen;

/* All zero is a parser before the first byte. */
typedef struct HttpParser {
        uint16_t line;   /* where the line begun last begins */
        uint16_t scan;   /* up to where it was searched for its end */
        uint16_t fields; /* where the header lines begin; 0: still at the request line */
        uint16_t n_fields;

        /* The outcome; complete once http_parser_feed() returned 0. */
        uint16_t length; /* of the whole request */
        uint8_t minor;   /* of HTTP/1.x: 0, or 1 for all that is later */
        uint8_t seen;    /* HttpSeen */
        HttpMethod method;
        HttpSpan path;   /* raw, begins with '/'; empty if only a host was asked for */
        HttpSpan query;  /* raw, without the '?' */
        HttpSpan accept; /* value of the first Accept line; nothing: none */
} HttpParser;

/*
 * Looks at a request of which @n bytes (of @data, its first byte) are there by
 * now: all that were there at the last call, and perhaps more, perhaps already
 * of the next request. Returns 0 when the request is complete and to be
 * answered, -EAGAIN when more is needed, or, positive, the HTTP status with
 * which it is to be refused. After a refusal the connection cannot go on.
 */
int http_parser_feed(HttpParser *parser, const char *data, size_t n);

/* Whether the client wants to go on after the answer. */
bool http_parser_keeps_alive(const HttpParser *parser);

static inline HttpSlice http_span_slice(HttpSpan span, const char *data) {
        return (HttpSlice){ .data = data + span.start, .length = span.length };
}

bool http_slice_equal(HttpSlice slice, const char *string);

/* Without regard to ASCII case; @lower is in lower case. */
bool http_slice_equal_fold(HttpSlice slice, const char *lower);
