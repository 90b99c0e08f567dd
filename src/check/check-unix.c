/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* "unix:/path" and "unix:@name": as tcp, with a stream socket of this machine. */

#include <string.h>

#include "check/stream.h"

typedef struct UnixCheck {
        Check check;
        Stream stream;
} UnixCheck;

/* An abstract name starts with a NUL, and ends where the length says (unix(7)). */
static void target_from_path(const char *path, StreamTarget *ret) {
        size_t n = strlen(path);

        *ret = (StreamTarget){
                .address.un.sun_family = AF_UNIX,
                .length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n),
        };
        assert(n < sizeof(ret->address.un.sun_path));
        memcpy(ret->address.un.sun_path, path, n + 1);

        if (path[0] == '@')
                ret->address.un.sun_path[0] = '\0';
        else
                ret->length++;
}

static int unix_check_init(Check *check, const char *text, CheckError *error) {
        UnixCheck *self = CONTAINER_OF(check, UnixCheck, check);
        int r;

        (void)text, (void)error;

        r = stream_init(&self->stream, check);
        if (r < 0)
                return r;

        target_from_path(check->spec.path, &self->stream.targets[0]);
        self->stream.n_targets = 1;
        return 0;
}

static int unix_check_start(Check *check, CheckResult *result) {
        return stream_start(&CONTAINER_OF(check, UnixCheck, check)->stream, result);
}

static void unix_check_cancel(Check *check, CheckResult *result) {
        stream_cancel(&CONTAINER_OF(check, UnixCheck, check)->stream, result);
}

static void unix_check_done(Check *check) {
        stream_done(&CONTAINER_OF(check, UnixCheck, check)->stream);
}

const CheckType check_type_unix = {
        .scheme = { .name = "unix", .place = SPEC_SOCKET, .keys = STREAM_KEYS },
        .size = sizeof(UnixCheck),
        .init = unix_check_init,
        .start = unix_check_start,
        .cancel = unix_check_cancel,
        .done = unix_check_done,
};
