/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Streams: connect, say something, and wait for an answer
 *
 * What tcp:// and unix: have in common. The addresses are tried in order until
 * one connects; while others are left, one that does not answer gets only its
 * share of the time. Then some bytes may be sent and some text waited for. All
 * of it on the event loop, with one descriptor, which is closed whatever
 * happens; the event sources are kept for the next time.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-event.h>

#include "check/check-type.h"

typedef union StreamAddress {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
} StreamAddress;

typedef struct StreamTarget {
        StreamAddress address;
        socklen_t length;
} StreamTarget;

/* The keys of the schemes that stand on streams; they take these three and no others. */
enum {
        STREAM_KEY_SEND,
        STREAM_KEY_EXPECT,
        STREAM_KEY_WARN,
};

/* clang-format off */
#define STREAM_KEYS {                                                                              \
        [STREAM_KEY_SEND]   = { .name = "send",   .kind = SPEC_BYTES },                            \
        [STREAM_KEY_EXPECT] = { .name = "expect", .kind = SPEC_BYTES },                            \
        [STREAM_KEY_WARN]   = { .name = "warn",   .kind = SPEC_SPAN  },                            \
}
/* clang-format on */

typedef enum StreamState {
        STREAM_IDLE,
        STREAM_CONNECTING,
        STREAM_SENDING,
        STREAM_READING,
        _STREAM_STATE_MAX,
} StreamState;

typedef struct Stream {
        Check *check; /* not ours: gets the answer */
        char *answer; /* PEER_ANSWER_MAX bytes; NULL when no answer is expected */
        StreamTarget targets[ADDRESSES_MAX];
        unsigned n_targets;

        StreamState state;
        unsigned target; /* the one that is tried */
        int fd;
        sd_event_source *io, *timer;
        size_t n_sent, n_read;
        int error; /* of the target that said most about the peer; 0: none failed yet */
        unsigned error_target;
} Stream;

/* What is sent and expected is in the spec of @check. Returns 0 or -ENOMEM. */
int stream_init(Stream *stream, Check *check);
void stream_done(Stream *stream);

/* Asks the targets, which the caller has filled in. As CheckType.start. */
int stream_start(Stream *stream, CheckResult *result);

/* As CheckType.cancel. */
void stream_cancel(Stream *stream, CheckResult *result);

/*
 * A connection within the range of local ports may meet itself (RFC 9293, 3.5:
 * simultaneous open): then nobody listens there.
 */
bool stream_is_self_connected(int fd);
