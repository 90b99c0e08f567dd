/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * HTTP Document
 *
 * A reply, made once when what it says changes and sent as it stands however
 * often it is asked for: status line, header and body lie behind one another,
 * so that one send() does it. Only the time in its Date line is written over
 * when a second has passed, and not while somebody is half way through reading
 * it.
 *
 * Shared: it lives as long as somebody holds a reference. Of one thread only.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

typedef struct HttpDocument HttpDocument;

/*
 * Makes a document. @type is its Content-Type, NULL for none. @fields are more
 * header lines, each ended by CRLF ("Retry-After: 5\r\n"), or NULL. Content-Length,
 * Cache-Control: no-store, X-Content-Type-Options and Date come by themselves.
 * Returns -EINVAL for header lines that are none, -E2BIG for a body above
 * HTTP_DOCUMENT_MAX.
 */
int http_document_new(HttpDocument **ret,
                      unsigned status,
                      const char *type,
                      const char *fields,
                      const void *body,
                      size_t length);

HttpDocument *http_document_ref(HttpDocument *document);
HttpDocument *http_document_unref(HttpDocument *document);
void http_document_unrefp(HttpDocument **document);

/* A one-line text/plain document that names its status, for the replies that every server has. */
int http_document_new_status(HttpDocument **ret, unsigned status);

/* "Not Found", or "Unknown" if @status is not one that we send. */
const char *http_status_reason(unsigned status);

unsigned http_document_status(const HttpDocument *document);
const char *http_document_body(const HttpDocument *document, size_t *ret_length);

/*
 * For the server from here on.
 */

/* What the reply says of the connection. */
typedef enum HttpReplyKind {
        HTTP_REPLY_PLAIN,      /* nothing: HTTP/1.1 goes on */
        HTTP_REPLY_KEEP_ALIVE, /* it goes on: to HTTP/1.0 that must be said */
        HTTP_REPLY_CLOSE,
        _HTTP_REPLY_KIND_MAX,
} HttpReplyKind;

#define HTTP_DATE_LENGTH 29

/* The time as the Date line has it, written once a second. All zero is a fresh one. */
typedef struct HttpDate {
        uint64_t second;
        char text[HTTP_DATE_LENGTH + 1];
} HttpDate;

void http_date_update(HttpDate *date, uint64_t realtime_usec);

/* Brings the Date line up to date, unless a reply under way would show the change. */
void http_document_touch(HttpDocument *document, const HttpDate *date);

/* While held, the bytes do not change. Who holds a document has a reference as well. */
void http_document_hold(HttpDocument *document);
void http_document_release(HttpDocument *document);

#define HTTP_REPLY_PARTS_MAX 2

/* The bytes of a reply, in at most two parts (one if PLAIN). @head: without the body. Returns
 * the number of parts. */
unsigned http_document_parts(const HttpDocument *document,
                             HttpReplyKind kind,
                             bool head,
                             struct iovec parts[static HTTP_REPLY_PARTS_MAX]);
