/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Each step returns like CheckType.start: CHECK_ANSWERED with the result filled,
 * or CHECK_PENDING when it has to wait. stream_settle() closes all on an answer.
 */

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/fd.h"
#include "check/stream-text.h"

static uint64_t stream_now(void) {
        return clock_now_usec(CLOCK_MONOTONIC);
}

int stream_init(Stream *stream, Check *check) {
        assert(stream);
        assert(check);

        *stream = (Stream){ .check = check, .fd = -EBADF };

        if (check->spec.values[STREAM_KEY_EXPECT].given) {
                stream->answer = malloc(PEER_ANSWER_MAX);
                if (!stream->answer)
                        return -ENOMEM;
        }

        return 0;
}

/* The sources stay, switched off; epoll must forget the descriptor before it is closed. */
static void stream_close(Stream *stream) {
        if (stream->io)
                (void)sd_event_source_set_enabled(stream->io, SD_EVENT_OFF);
        if (stream->timer)
                (void)sd_event_source_set_enabled(stream->timer, SD_EVENT_OFF);

        stream->fd = fd_close(stream->fd);
        stream->state = STREAM_IDLE;
}

void stream_done(Stream *stream) {
        assert(stream);

        /* Also of a stream that was never initialised. */
        if (!stream->check)
                return;

        stream_close(stream);
        stream->io = sd_event_source_disable_unref(stream->io);
        stream->timer = sd_event_source_disable_unref(stream->timer);
        free(TAKE_PTR(stream->answer));
}

bool stream_is_self_connected(int fd) {
        StreamAddress local, peer;
        socklen_t n_local = sizeof(local), n_peer = sizeof(peer);

        if (getsockname(fd, &local.sa, &n_local) < 0 || getpeername(fd, &peer.sa, &n_peer) < 0)
                return false;

        if (local.sa.sa_family == AF_INET)
                return local.in.sin_port == peer.in.sin_port &&
                       memcmp(&local.in.sin_addr, &peer.in.sin_addr, sizeof(struct in_addr)) == 0;
        if (local.sa.sa_family == AF_INET6)
                return local.in6.sin6_port == peer.in6.sin6_port &&
                       memcmp(&local.in6.sin6_addr, &peer.in6.sin6_addr, sizeof(struct in6_addr)) ==
                               0;

        return false;
}

static int stream_step(Stream *stream, CheckResult *result);
static int stream_next_target(Stream *stream, int error, CheckResult *result);

/* After a step on the loop. The last thing its caller does. */
static int stream_settle(Stream *stream, int r, const CheckResult *result) {
        if (r == CHECK_ANSWERED) {
                stream_close(stream);
                check_answer(stream->check, result);
        }

        return 0;
}

static int on_stream_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Stream *stream = userdata;
        CheckResult result;

        (void)source, (void)fd, (void)revents;

        return stream_settle(stream, stream_step(stream, &result), &result);
}

/* The share of this target is used up; others are left. */
static int on_stream_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Stream *stream = userdata;
        CheckResult result;

        (void)source, (void)usec;

        return stream_settle(stream, stream_next_target(stream, ETIMEDOUT, &result), &result);
}

static int stream_arm_io(Stream *stream, uint32_t events) {
        const CheckContext *context = &stream->check->context;
        int r;

        if (!stream->io) {
                r = sd_event_add_io(context->event, &stream->io, stream->fd, events, on_stream_io,
                                    stream);
                if (r < 0)
                        return r;

                (void)sd_event_source_set_description(stream->io, "check-stream");
                return sd_event_source_set_priority(stream->io, context->priority);
        }

        r = sd_event_source_set_io_fd(stream->io, stream->fd);
        if (r >= 0)
                r = sd_event_source_set_io_events(stream->io, events);
        if (r >= 0)
                r = sd_event_source_set_enabled(stream->io, SD_EVENT_ON);
        return r;
}

/* The caller watches the deadline; ours is only that the other targets get their turn. */
static int stream_arm_timer(Stream *stream) {
        const Check *check = stream->check;
        uint64_t end_usec = usec_add(check->started_usec, check->timeout_usec);
        unsigned n_left = stream->n_targets - stream->target;
        uint64_t now_usec, at_usec;
        int r;

        if (n_left <= 1 || end_usec == USEC_NEVER)
                return stream->timer ? sd_event_source_set_enabled(stream->timer, SD_EVENT_OFF) : 0;

        now_usec = stream_now();
        at_usec = usec_add(now_usec, usec_sub(end_usec, now_usec) / n_left);

        if (!stream->timer) {
                r = sd_event_add_time(check->context.event, &stream->timer, CLOCK_MONOTONIC,
                                      at_usec, 10 * USEC_PER_MSEC, on_stream_timer, stream);
                if (r < 0)
                        return r;

                (void)sd_event_source_set_description(stream->timer, "check-stream-timer");
                return sd_event_source_set_priority(stream->timer, check->context.priority);
        }

        r = sd_event_source_set_time(stream->timer, at_usec);
        return r < 0 ? r : sd_event_source_set_enabled(stream->timer, SD_EVENT_ONESHOT);
}

/* Waits in @state for @events. */
static int stream_wait(Stream *stream, StreamState state, uint32_t events, CheckResult *result) {
        int r;

        stream->state = state;
        r = stream_arm_io(stream, events);
        return r < 0 ? stream_tell_local_error(-r, result) : CHECK_PENDING;
}

/* Reads until the expected text is there, nothing more comes, or there is no more room. */
static int stream_read(Stream *stream, CheckResult *result) {
        const SpecValue *expect = &stream->check->spec.values[STREAM_KEY_EXPECT];

        for (;;) {
                ssize_t n = recv(stream->fd, stream->answer + stream->n_read,
                                 PEER_ANSWER_MAX - stream->n_read, 0);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        return stream_wait(stream, STREAM_READING, EPOLLIN, result);
                if (n < 0)
                        return stream_tell_broken(stream, errno, result);
                if (n == 0)
                        return stream_tell_wrong(stream, "closed the connection", result);

                stream->n_read += (size_t)n;
                if (memmem(stream->answer, stream->n_read, expect->bytes, expect->length))
                        return stream_tell_well(stream, stream_now(), result);
                if (stream->n_read == PEER_ANSWER_MAX)
                        return stream_tell_wrong(stream, "sent 4 KiB", result);
        }
}

/* Sends what is left to send, then goes on to the answer. */
static int stream_send(Stream *stream, CheckResult *result) {
        const SpecValue *text = &stream->check->spec.values[STREAM_KEY_SEND];

        while (stream->n_sent < text->length) {
                ssize_t n = send(stream->fd, text->bytes + stream->n_sent,
                                 text->length - stream->n_sent, MSG_NOSIGNAL);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        return stream_wait(stream, STREAM_SENDING, EPOLLOUT, result);
                if (n < 0)
                        return stream_tell_broken(stream, errno, result);

                stream->n_sent += (size_t)n;
        }

        return stream->answer ? stream_read(stream, result)
                              : stream_tell_well(stream, stream_now(), result);
}

/* Connected: from here on there is no other target. */
static int stream_talk(Stream *stream, CheckResult *result) {
        if (stream->timer)
                (void)sd_event_source_set_enabled(stream->timer, SD_EVENT_OFF);

        return stream_send(stream, result);
}

static int stream_connect(Stream *stream) {
        const StreamTarget *target = &stream->targets[stream->target];
        int family = target->address.sa.sa_family;

        stream->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (stream->fd < 0)
                return -errno;

        if (connect(stream->fd, &target->address.sa, target->length) < 0)
                return errno == EINTR ? -EINPROGRESS : -errno;

        return stream_is_self_connected(stream->fd) ? -ECONNREFUSED : 0;
}

/* Tries the target that is next. */
static int stream_try(Stream *stream, CheckResult *result) {
        int r;

        r = stream_connect(stream);
        if (r >= 0)
                return stream_talk(stream, result);
        if (r != -EINPROGRESS)
                return stream_next_target(stream, -r, result);

        r = stream_arm_timer(stream);
        if (r < 0)
                return stream_tell_local_error(-r, result);

        return stream_wait(stream, STREAM_CONNECTING, EPOLLOUT, result);
}

/* The present target failed with @error. There are at most ADDRESSES_MAX of them to recurse to. */
static int stream_next_target(Stream *stream, int error, CheckResult *result) {
        stream_close(stream);

        if (check_error_is_local(error))
                return stream_tell_local_error(error, result);

        if (stream_error_rank(error) > stream_error_rank(stream->error)) {
                stream->error = error;
                stream->error_target = stream->target;
        }

        if (++stream->target < stream->n_targets)
                return stream_try(stream, result);

        return stream_tell_unconnected(stream, result);
}

/* What connect(2) came to. */
static int stream_connected(Stream *stream, CheckResult *result) {
        socklen_t n = sizeof(int);
        int error = 0;

        if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
                error = errno;
        if (error == 0 && stream_is_self_connected(stream->fd))
                error = ECONNREFUSED;

        return error != 0 ? stream_next_target(stream, error, result) : stream_talk(stream, result);
}

static int stream_step(Stream *stream, CheckResult *result) {
        static int (*const steps[])(Stream *, CheckResult *) = {
                [STREAM_CONNECTING] = stream_connected,
                [STREAM_SENDING] = stream_send,
                [STREAM_READING] = stream_read,
        };

        static_assert(ELEMENTSOF(steps) == _STREAM_STATE_MAX, "a state lacks its step");
        assert(steps[stream->state]);

        return steps[stream->state](stream, result);
}

int stream_start(Stream *stream, CheckResult *result) {
        int r;

        assert(stream);
        assert(stream->n_targets > 0);
        assert(stream->state == STREAM_IDLE);

        stream->target = stream->error_target = 0;
        stream->error = 0;
        stream->n_sent = stream->n_read = 0;

        r = stream_try(stream, result);
        if (r == CHECK_ANSWERED)
                stream_close(stream);
        return r;
}

void stream_cancel(Stream *stream, CheckResult *result) {
        assert(stream);

        if (result)
                (void)stream_tell_timeout(stream, result);
        stream_close(stream);
}
