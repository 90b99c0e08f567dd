/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* "loop:": how late the event loop was since the last answer. */

#include <string.h>

#include "base/clock.h"
#include "check/check-type.h"
#include "core/defaults.h"

enum {
        KEY_WARN,
        KEY_FAIL
};

typedef struct LoopCheck {
        Check check;
        LoopLagReader reader;
        uint64_t warn_usec, fail_usec;
} LoopCheck;

static int loop_check_init(Check *check, const char *text, CheckError *error) {
        LoopCheck *self = CONTAINER_OF(check, LoopCheck, check);

        self->fail_usec = check_get_number(check, KEY_FAIL, LOOP_LAG_FAIL_USEC);
        self->warn_usec =
                check_get_number(check, KEY_WARN, MIN(LOOP_LAG_WARN_USEC, self->fail_usec));
        loop_lag_add_reader(check->context.lag, &self->reader);

        if (self->warn_usec > self->fail_usec)
                return check_complain(check, text, error, KEY_WARN, "at most that of 'fail'",
                                      "the limit");
        return 0;
}

static int loop_check_start(Check *check, CheckResult *result) {
        LoopCheck *self = CONTAINER_OF(check, LoopCheck, check);
        uint64_t lag_usec = loop_lag_read(&self->reader);
        char lag[USEC_TEXT_MAX], limit[USEC_TEXT_MAX];

        (void)usec_format(lag_usec, lag);

        if (lag_usec > self->fail_usec)
                (void)check_result_set(result, HALE_FAIL, "the loop was late by %s; limit %s", lag,
                                       usec_format(self->fail_usec, limit));
        else if (lag_usec > self->warn_usec)
                (void)check_result_set(result, HALE_WARN, "the loop was late by %s; warn at %s",
                                       lag, usec_format(self->warn_usec, limit));
        else
                (void)check_result_set(result, HALE_PASS, "late by at most %s", lag);

        check_result_set_value(result, (double)lag_usec / (double)USEC_PER_MSEC, "ms");
        return CHECK_ANSWERED;
}

static void loop_check_done(Check *check) {
        loop_lag_remove_reader(&CONTAINER_OF(check, LoopCheck, check)->reader);
}

const CheckType check_type_loop = {
        .scheme = {
                .name = "loop",
                .place = SPEC_NOWHERE,
                .keys = {
                        [KEY_WARN] = { .name = "warn", .kind = SPEC_SPAN },
                        [KEY_FAIL] = { .name = "fail", .kind = SPEC_SPAN },
                },
        },
        .size = sizeof(LoopCheck),
        .init = loop_check_init,
        .start = loop_check_start,
        .done = loop_check_done,
};
