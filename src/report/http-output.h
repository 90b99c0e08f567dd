/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * HTTP Output
 *
 * Replies in the order of their requests. They are collected for as long as
 * requests are at hand and go out in one system call; what the socket does not
 * take at once waits here, holding on to its documents.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/limits.h"
#include "report/http-document.h"

typedef struct HttpReply {
        HttpDocument *document; /* a reference of ours */
        uint8_t kind;           /* HttpReplyKind */
        bool head;              /* without the body */
} HttpReply;

typedef struct HttpOutput {
        bool held;           /* it waits: the documents must stay as they are */
        unsigned first, end; /* what is to be sent yet: [first, end) */
        size_t sent;         /* bytes of the first one */
        HttpReply replies[HTTP_BATCH_MAX];
} HttpOutput;

static inline bool http_output_is_empty(const HttpOutput *output) {
        return output->first == output->end;
}

static inline bool http_output_is_full(const HttpOutput *output) {
        return output->end == HTTP_BATCH_MAX;
}

/* Takes over the caller's reference. There must be room. */
void http_output_add(HttpOutput *output, HttpDocument *document, HttpReplyKind kind, bool head);

/*
 * Sends what it can. Returns 0 when all is sent (and the output empty), -EAGAIN
 * when the socket takes no more for now, another negative errno when the
 * connection is lost.
 */
int http_output_flush(HttpOutput *output, int fd);

/* Moves what is left to an output of its own, which holds the documents until they are sent. */
int http_output_detach(HttpOutput *output, HttpOutput **ret);

/* Forgets what is not sent. */
void http_output_clear(HttpOutput *output);
HttpOutput *http_output_free(HttpOutput *detached);
