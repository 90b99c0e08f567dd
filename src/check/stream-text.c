/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "check/stream-text.h"

/* A path of AF_UNIX, or an address with its port. */
#define TARGET_TEXT_MAX 160

/* What errors of connect(2) mean to a person: before and after the name of the target. */
/* clang-format off */
static const struct {
        int error;
        unsigned rank;
        hale_status status;
        const char *before, *after;
} connect_errors[] = {
        { ECONNREFUSED,  4, HALE_FAIL,    "connection refused by ",        ""                  },
        { ECONNRESET,    4, HALE_FAIL,    "connection reset by ",          ""                  },
        { EAGAIN,        4, HALE_FAIL,    "",                              " has a full queue" },
        { ENOENT,        4, HALE_FAIL,    "no socket at ",                 ""                  },
        { EPROTOTYPE,    4, HALE_FAIL,    "no stream socket at ",          ""                  },
        { EACCES,        4, HALE_FAIL,    "not allowed to connect to ",    ""                  },
        { EPERM,         4, HALE_FAIL,    "not allowed to connect to ",    ""                  },
        { ETIMEDOUT,     3, HALE_FAIL,    "connecting to ",                " timed out"        },
        { EHOSTUNREACH,  2, HALE_FAIL,    "no route to ",                  ""                  },
        { ENETUNREACH,   2, HALE_FAIL,    "no network to ",                ""                  },
        { EADDRNOTAVAIL, 1, HALE_UNKNOWN, "no local address or port for ", ""                  },
        { EAFNOSUPPORT,  1, HALE_UNKNOWN, "no address family for ",        ""                  },
};
/* clang-format on */

static int connect_error_find(int error) {
        for (size_t i = 0; i < ELEMENTSOF(connect_errors); i++)
                if (connect_errors[i].error == error)
                        return (int)i;

        return -ENOENT;
}

unsigned stream_error_rank(int error) {
        int i = connect_error_find(error);

        if (error == 0)
                return 0;

        /* One that is not in the table says more than that there is no network at all. */
        return i >= 0 ? connect_errors[i].rank : 2;
}

/* "127.0.0.1:80", "[::1]:80", "/run/x", "@x". Returns @buffer. */
static const char *target_text(const StreamTarget *target, char buffer[static TARGET_TEXT_MAX]) {
        char address[INET6_ADDRSTRLEN] = "?";
        const StreamAddress *a = &target->address;

        if (a->sa.sa_family == AF_INET) {
                (void)inet_ntop(AF_INET, &a->in.sin_addr, address, sizeof(address));
                (void)snprintf(buffer, TARGET_TEXT_MAX, "%s:%u", address, ntohs(a->in.sin_port));
        } else if (a->sa.sa_family == AF_INET6) {
                (void)inet_ntop(AF_INET6, &a->in6.sin6_addr, address, sizeof(address));
                (void)snprintf(buffer, TARGET_TEXT_MAX, "[%s]:%u", address,
                               ntohs(a->in6.sin6_port));
        } else if (a->un.sun_path[0] == '\0')
                (void)snprintf(buffer, TARGET_TEXT_MAX, "@%.*s",
                               (int)(target->length - offsetof(struct sockaddr_un, sun_path) - 1),
                               a->un.sun_path + 1);
        else
                (void)snprintf(buffer, TARGET_TEXT_MAX, "%s", a->un.sun_path);

        return buffer;
}

static const char *stream_target_text(const Stream *stream, char buffer[static TARGET_TEXT_MAX]) {
        return target_text(&stream->targets[stream->target], buffer);
}

/* "; it sent '...'": what came instead of the answer. */
static const char *sent_text(const Stream *stream, char *buffer, size_t size) {
        char quote[PEER_QUOTE_MAX];

        if (stream->n_read == 0)
                return "; it sent nothing";

        (void)str_sanitize_n(stream->answer, stream->n_read, quote, sizeof(quote));
        (void)snprintf(buffer, size, "; it sent '%s'", quote);
        return buffer;
}

static const char *expect_text(const Stream *stream, char buffer[static PEER_QUOTE_MAX]) {
        const SpecValue *expect = &stream->check->spec.values[STREAM_KEY_EXPECT];

        (void)str_sanitize_n(expect->bytes, expect->length, buffer, PEER_QUOTE_MAX);
        return buffer;
}

int stream_tell_well(const Stream *stream, uint64_t now_usec, CheckResult *result) {
        uint64_t took_usec = usec_sub(now_usec, stream->check->started_usec);
        uint64_t warn_usec = check_get_number(stream->check, STREAM_KEY_WARN, USEC_NEVER);
        char target[TARGET_TEXT_MAX], took[USEC_TEXT_MAX], limit[USEC_TEXT_MAX];
        bool slow = took_usec > warn_usec;

        (void)check_result_set(result, slow ? HALE_WARN : HALE_PASS, "%s %s in %s%s%s",
                               stream_target_text(stream, target),
                               stream->answer ? "answered" : "connected",
                               usec_format(took_usec, took), slow ? "; limit " : "",
                               slow ? usec_format(warn_usec, limit) : "");
        check_result_set_value(result, (double)took_usec / (double)USEC_PER_MSEC, "ms");
        return CHECK_ANSWERED;
}

int stream_tell_unconnected(const Stream *stream, CheckResult *result) {
        char target[TARGET_TEXT_MAX], others[40] = "";
        int i = connect_error_find(stream->error);

        (void)target_text(&stream->targets[stream->error_target], target);
        if (stream->n_targets > 1)
                (void)snprintf(others, sizeof(others), " (%u addresses tried)", stream->n_targets);

        if (i < 0)
                return check_result_set(result, HALE_FAIL, "cannot connect to %s: %s%s", target,
                                        strerror(stream->error), others);

        return check_result_set(result, connect_errors[i].status, "%s%s%s%s",
                                connect_errors[i].before, target, connect_errors[i].after, others);
}

int stream_tell_broken(const Stream *stream, int error, CheckResult *result) {
        char target[TARGET_TEXT_MAX], sent[PEER_QUOTE_MAX + 24];

        (void)stream_target_text(stream, target);

        if (check_error_is_local(error))
                return stream_tell_local_error(error, result);
        if (error != ECONNRESET && error != EPIPE)
                return check_result_set(result, HALE_FAIL, "connection to %s broke: %s", target,
                                        strerror(error));

        return check_result_set(result, HALE_FAIL, "connection reset by %s%s", target,
                                stream->n_read > 0 ? sent_text(stream, sent, sizeof(sent)) : "");
}

int stream_tell_wrong(const Stream *stream, const char *what, CheckResult *result) {
        char target[TARGET_TEXT_MAX], expect[PEER_QUOTE_MAX], sent[PEER_QUOTE_MAX + 24];

        return check_result_set(result, HALE_FAIL, "%s %s without '%s'%s",
                                stream_target_text(stream, target), what,
                                expect_text(stream, expect), sent_text(stream, sent, sizeof(sent)));
}

int stream_tell_timeout(const Stream *stream, CheckResult *result) {
        char target[TARGET_TEXT_MAX], limit[USEC_TEXT_MAX], expect[PEER_QUOTE_MAX];
        char sent[PEER_QUOTE_MAX + 24];

        (void)stream_target_text(stream, target);
        (void)check_timeout_text(stream->check, limit);

        if (stream->state == STREAM_CONNECTING)
                return check_result_set(result, HALE_FAIL, "connecting to %s timed out after %s",
                                        target, limit);
        if (stream->state == STREAM_SENDING)
                return check_result_set(result, HALE_FAIL, "%s took nothing: timed out after %s",
                                        target, limit);

        return check_result_set(result, HALE_FAIL, "no '%s' from %s: timed out after %s%s",
                                expect_text(stream, expect), target, limit,
                                sent_text(stream, sent, sizeof(sent)));
}

int stream_tell_local_error(int error, CheckResult *result) {
        return check_result_set(result, HALE_UNKNOWN, "not asked: %s", strerror(error));
}
