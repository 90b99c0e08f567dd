/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "check/check-type.h"

static const CheckType *const check_types[] = {
        &check_type_loop, &check_type_memory, &check_type_fds,  &check_type_disk,
        &check_type_file, &check_type_tcp,    &check_type_unix,
};

int check_parse(const char *text, CheckSpec *ret_spec, CheckError *error) {
        const SpecScheme *schemes[ELEMENTSOF(check_types) + 1] = {};

        for (size_t i = 0; i < ELEMENTSOF(check_types); i++)
                schemes[i] = &check_types[i]->scheme;

        return check_spec_parse(ret_spec, text, schemes, error);
}

static const CheckType *check_type_of(const SpecScheme *scheme) {
        for (size_t i = 0; i < ELEMENTSOF(check_types); i++)
                if (scheme == &check_types[i]->scheme)
                        return check_types[i];

        assert(false);
        return NULL;
}

int check_new(Check **ret, const char *text, const CheckContext *context, CheckError *error) {
        _cleanup_(check_freep) Check *check = NULL;
        const CheckType *type;
        CheckSpec spec;
        int r;

        assert(ret);
        assert(text);
        assert(context);
        assert(error);

        r = check_parse(text, &spec, error);
        if (r < 0)
                return r;

        type = check_type_of(spec.scheme);
        check = calloc(1, type->size);
        if (!check) {
                check_spec_done(&spec);
                (void)snprintf(error->text, sizeof(error->text), "no memory for a check");
                return -ENOMEM;
        }

        check->type = type;
        check->context = *context;
        check->spec = spec;

        error->text[0] = '\0';
        r = type->init ? type->init(check, text, error) : 0;
        if (r < 0) {
                if (!error->text[0])
                        (void)snprintf(error->text, sizeof(error->text),
                                       "cannot make a %s check: %s", type->scheme.name,
                                       strerror(-r));
                return r;
        }

        *ret = TAKE_PTR(check);
        return 0;
}

Check *check_free(Check *check) {
        if (!check)
                return NULL;

        (void)check_cancel(check, NULL);
        if (check->type->done)
                check->type->done(check);
        check_spec_done(&check->spec);
        free(check);
        return NULL;
}

void check_freep(Check **check) {
        *check = check_free(*check);
}

int check_start(Check *check,
                uint64_t timeout_usec,
                CheckResult *ret_result,
                check_done_t done,
                void *userdata) {
        int r;

        assert(check);
        assert(ret_result);
        assert(done);

        if (check->pending)
                return -EINPROGRESS;

        check->done = done;
        check->userdata = userdata;
        check->timeout_usec = timeout_usec;
        check->started_usec = clock_now_usec(CLOCK_MONOTONIC);

        r = check->type->start(check, ret_result);
        check->pending = r == CHECK_PENDING;
        return r;
}

void check_answer(Check *check, const CheckResult *result) {
        assert(check);
        assert(check->pending);
        assert(result);

        check->pending = false;
        check->done(check, result, check->userdata);
}

bool check_cancel(Check *check, CheckResult *ret_result) {
        assert(check);

        if (!check->pending)
                return false;

        check->pending = false;
        check->type->cancel(check, ret_result);
        return true;
}

bool check_is_pending(const Check *check) {
        assert(check);

        return check->pending;
}

const char *check_get_scheme(const Check *check) {
        assert(check);

        return check->type->scheme.name;
}

bool check_is_blocking(const Check *check) {
        assert(check);

        return check->type->flags & CHECK_BLOCKING;
}

int check_result_set(CheckResult *result, hale_status status, const char *format, ...) {
        char text[2 * OUTPUT_LENGTH_MAX];
        va_list ap;

        assert(result);
        assert(format);

        va_start(ap, format);
        (void)vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);

        result->status = status;
        result->has_value = false;
        result->unit = NULL;
        (void)str_sanitize(text, result->output, sizeof(result->output));
        return CHECK_ANSWERED;
}

void check_result_set_value(CheckResult *result, double value, const char *unit) {
        assert(result);
        assert(unit);

        result->has_value = true;
        result->value = value;
        result->unit = unit;
}

bool check_error_is_local(int error) {
        return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
}

Level check_get_level(const Check *check, unsigned index, Level otherwise) {
        return check->spec.values[index].given ? check->spec.values[index].level : otherwise;
}

uint64_t check_get_number(const Check *check, unsigned index, uint64_t otherwise) {
        return check->spec.values[index].given ? check->spec.values[index].number : otherwise;
}

const char *check_timeout_text(const Check *check, char buffer[static USEC_TEXT_MAX]) {
        return usec_format(check->timeout_usec, buffer);
}
