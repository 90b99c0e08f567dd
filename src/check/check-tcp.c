/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* "tcp://host:port": somebody accepts there and, if asked for, answers as expected. */

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "check/blocking.h"
#include "check/resolver.h"
#include "check/stream.h"

typedef struct TcpCheck {
        Check check;
        Stream stream;
        Resolver *resolver; /* kept for the next time; NULL for a numeric host */
        bool numeric;
        bool resolving;
} TcpCheck;

static void tcp_check_resolved(const ResolverAnswer *answer, void *userdata) {
        TcpCheck *self = userdata;
        CheckResult result;
        int r;

        self->resolving = false;

        if (answer->n_targets == 0)
                r = resolver_tell(self->check.spec.host, answer, &result);
        else {
                self->stream.n_targets = answer->n_targets;
                memcpy(self->stream.targets, answer->targets,
                       answer->n_targets * sizeof(answer->targets[0]));
                r = stream_start(&self->stream, &result);
        }

        if (r == CHECK_ANSWERED)
                check_answer(&self->check, &result);
}

static int tcp_check_init(Check *check, const char *text, CheckError *error) {
        TcpCheck *self = CONTAINER_OF(check, TcpCheck, check);
        const CheckSpec *spec = &check->spec;
        int r;

        (void)text, (void)error;

        r = stream_init(&self->stream, check);
        if (r < 0)
                return r;

        self->numeric = resolver_numeric(spec->host, spec->port, &self->stream.targets[0]);
        self->stream.n_targets = self->numeric ? 1 : 0;
        return 0;
}

static int tcp_check_start(Check *check, CheckResult *result) {
        TcpCheck *self = CONTAINER_OF(check, TcpCheck, check);
        const CheckSpec *spec = &check->spec;
        int r = 0;

        if (self->numeric)
                return stream_start(&self->stream, result);

        if (!self->resolver)
                r = resolver_new(&self->resolver, spec->host, spec->port, tcp_check_resolved, self);
        if (r >= 0)
                r = resolver_start(self->resolver, check->context.pool);
        if (r < 0)
                return blocking_refused(result, r);

        self->resolving = true;
        return CHECK_PENDING;
}

static void tcp_check_cancel(Check *check, CheckResult *result) {
        TcpCheck *self = CONTAINER_OF(check, TcpCheck, check);
        char limit[USEC_TEXT_MAX];

        if (!self->resolving) {
                stream_cancel(&self->stream, result);
                return;
        }

        self->resolving = false;
        resolver_abandon(TAKE_PTR(self->resolver));
        if (result)
                (void)check_result_set(result, HALE_FAIL, "resolving '%s' timed out after %s",
                                       check->spec.host, check_timeout_text(check, limit));
}

static void tcp_check_done(Check *check) {
        TcpCheck *self = CONTAINER_OF(check, TcpCheck, check);

        stream_done(&self->stream);
        self->resolver = resolver_free(self->resolver);
}

const CheckType check_type_tcp = {
        .scheme = { .name = "tcp", .place = SPEC_PEER, .keys = STREAM_KEYS },
        .size = sizeof(TcpCheck),
        .init = tcp_check_init,
        .start = tcp_check_start,
        .cancel = tcp_check_cancel,
        .done = tcp_check_done,
};
