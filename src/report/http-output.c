/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/macro.h"
#include "report/http-output.h"

void http_output_add(HttpOutput *output, HttpDocument *document, HttpReplyKind kind, bool head) {
        assert(output);
        assert(document);
        assert(!http_output_is_full(output));

        output->replies[output->end++] =
                (HttpReply){ .document = document, .kind = (uint8_t)kind, .head = head };
}

/* All that is left as one list of parts, without what was sent of the first reply. */
static unsigned output_parts(const HttpOutput *output, struct iovec *parts) {
        size_t skip = output->sent;
        unsigned n = 0;

        for (unsigned i = output->first; i < output->end; i++) {
                const HttpReply *reply = &output->replies[i];

                n += http_document_parts(reply->document, reply->kind, reply->head, parts + n);
        }

        for (unsigned i = 0; skip > 0; i++) {
                size_t cut = MIN(skip, parts[i].iov_len);

                parts[i].iov_base = (char *)parts[i].iov_base + cut;
                parts[i].iov_len -= cut;
                skip -= cut;
        }

        return n;
}

static size_t reply_length(const HttpReply *reply) {
        struct iovec parts[HTTP_REPLY_PARTS_MAX];
        unsigned n = http_document_parts(reply->document, reply->kind, reply->head, parts);
        size_t length = 0;

        for (unsigned i = 0; i < n; i++)
                length += parts[i].iov_len;

        return length;
}

static void output_drop_first(HttpOutput *output) {
        HttpReply *reply = &output->replies[output->first++];

        if (output->held)
                http_document_release(reply->document);
        reply->document = http_document_unref(reply->document);
}

/* Lets go of the replies that are sent. */
static void output_advance(HttpOutput *output, size_t sent) {
        output->sent += sent;

        while (output->first < output->end) {
                size_t length = reply_length(&output->replies[output->first]);

                if (output->sent < length)
                        return;

                output->sent -= length;
                output_drop_first(output);
        }

        output->first = output->end = 0;
}

int http_output_flush(HttpOutput *output, int fd) {
        struct iovec parts[HTTP_BATCH_MAX * HTTP_REPLY_PARTS_MAX];
        struct msghdr message = { .msg_iov = parts };
        ssize_t sent;

        assert(output);

        while (!http_output_is_empty(output)) {
                message.msg_iovlen = output_parts(output, parts);

                /* The common case: one reply in one piece. */
                if (message.msg_iovlen == 1)
                        sent = send(fd, parts[0].iov_base, parts[0].iov_len, MSG_NOSIGNAL);
                else
                        sent = sendmsg(fd, &message, MSG_NOSIGNAL);
                if (sent < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }

                output_advance(output, (size_t)sent);
        }

        return 0;
}

int http_output_detach(HttpOutput *output, HttpOutput **ret) {
        HttpOutput *detached;
        unsigned n;

        assert(output);
        assert(ret);

        n = output->end - output->first;
        detached = malloc(sizeof(*detached));
        if (!detached)
                return -ENOMEM;

        detached->held = true;
        detached->first = 0;
        detached->end = n;
        detached->sent = output->sent;
        memcpy(detached->replies, output->replies + output->first, n * sizeof(HttpReply));
        for (unsigned i = 0; i < n; i++)
                http_document_hold(detached->replies[i].document);

        output->first = output->end = 0;
        output->sent = 0;
        *ret = detached;
        return 0;
}

void http_output_clear(HttpOutput *output) {
        assert(output);

        while (!http_output_is_empty(output))
                output_drop_first(output);

        output->first = output->end = 0;
        output->sent = 0;
}

HttpOutput *http_output_free(HttpOutput *detached) {
        if (!detached)
                return NULL;

        http_output_clear(detached);
        free(detached);
        return NULL;
}
