/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The parser of check specs: whatever it takes holds what its kind of place
 * promises, and whatever it refuses it refuses at a place of the text, with one
 * clean line. Parsed with the real schemes, and with one that takes everything.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "check/check-type.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const words[] = { "yes", "no", NULL };

static const SpecScheme everything = {
        .name = "url",
        .place = SPEC_URL,
        .keys = {
                { .name = "level", .kind = SPEC_LEVEL },
                { .name = "size", .kind = SPEC_SIZE },
                { .name = "span", .kind = SPEC_SPAN },
                { .name = "bytes", .kind = SPEC_BYTES },
                { "word", SPEC_WORD, words },
        },
};

/* Not assert(): that may be compiled away. */
static void must(bool holds) {
        if (!holds)
                abort();
}

static void must_be_one_clean_line(const char *text) {
        char clean[CHECK_ERROR_TEXT_MAX];

        must(text[0]);
        (void)str_sanitize(text, clean, sizeof(clean));
        must(strcmp(text, clean) == 0);
}

static void must_hold(const CheckSpec *spec, size_t length) {
        SpecPlace place = spec->scheme->place;

        must((place == SPEC_PEER || place == SPEC_URL) == (spec->host != NULL));
        must(!spec->host || (spec->host[0] && spec->port > 0 && strlen(spec->host) < length));
        must(place != SPEC_PATH || spec->path[0] == '/');
        must(place != SPEC_SOCKET || strchr("/@", spec->path[0]));

        for (size_t i = 0; i < SPEC_KEYS_MAX; i++) {
                const SpecValue *value = &spec->values[i];

                must(!value->given || (value->offset > 0 && value->offset < length));
                must(value->level.percent >= 0 && value->level.percent <= 100);
                must(!value->bytes || (value->length < length && !value->bytes[value->length]));
        }
}

static void parse(const char *text, const SpecScheme *const *schemes) {
        CheckError error = {};
        CheckSpec spec;
        int r;

        r = schemes ? check_spec_parse(&spec, text, schemes, &error)
                    : check_parse(text, &spec, &error);
        if (r < 0) {
                must(error.offset <= strlen(text));
                must_be_one_clean_line(error.text);
                return;
        }

        must(strlen(text) <= SPEC_LENGTH_MAX);
        must_hold(&spec, strlen(text));
        check_spec_done(&spec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const SpecScheme *const schemes[] = { &everything, NULL };
        char *text = malloc(size + 1);

        if (!text)
                return 0;

        if (size > 0)
                memcpy(text, data, size);
        text[size] = '\0';

        parse(text, NULL);
        parse(text, schemes);

        free(text);
        return 0;
}
