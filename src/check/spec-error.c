/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/str.h"
#include "check/spec-parser.h"

/* Of the spec itself: enough to know which one it is. */
#define SHOWN_MAX 160

/* Counts as a person does: characters, from 1. */
static size_t character_at(const char *text, size_t offset) {
        size_t n = 1, length = strlen(text), step;

        for (size_t i = 0; i < offset && i < length; n++) {
                step = utf8_sequence(text + i, length - i);
                i += step > 0 ? step : 1;
        }

        return n;
}

const char *spec_found(const char *at, size_t n, char buffer[static SPEC_FOUND_MAX]) {
        (void)str_sanitize_n(at, n, buffer, SPEC_FOUND_MAX);
        return buffer;
}

int check_error_set(CheckError *error,
                    const char *text,
                    size_t offset,
                    const char *expected,
                    const char *format,
                    ...) {
        char shown[SHOWN_MAX], what[160], whole[CHECK_ERROR_TEXT_MAX];
        va_list ap;

        assert(error);
        assert(text);
        assert(expected);
        assert(format);

        va_start(ap, format);
        (void)vsnprintf(what, sizeof(what), format, ap);
        va_end(ap);

        (void)str_sanitize(text, shown, sizeof(shown));
        (void)snprintf(whole, sizeof(whole), "%s: %s at character %zu; expected %s", shown, what,
                       character_at(text, offset), expected);
        str_redact(whole);

        error->offset = offset;
        (void)str_sanitize(whole, error->text, sizeof(error->text));
        return -EINVAL;
}
