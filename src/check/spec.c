/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "check/spec-parser.h"

#define EXPECTED_MAX 200

typedef int (*spec_read_t)(SpecParser *parser, const SpecKey *key, size_t n, SpecValue *value);

/* Appends ", word" to what is expected. */
static void expect_word(Text *expected, const char *word) {
        (void)text_append(expected, expected->length > 0 ? ", " : "");
        (void)text_append(expected, word);
}

/* Complains with a list of words as what was expected. */
static int complain_list(SpecParser *parser,
                         const char *at,
                         size_t n,
                         const char *what,
                         const Text *expected) {
        char buffer[SPEC_FOUND_MAX];

        return spec_complain(parser, at, expected->error < 0 ? "another" : expected->data,
                             "%s '%s'", what, spec_found(at, n, buffer));
}

static int read_level(SpecParser *parser, const SpecKey *key, size_t n, SpecValue *value) {
        char buffer[SPEC_FOUND_MAX];
        const char *text;
        bool percent;
        int r;

        (void)key;

        /* "5%" need not be written "5%25". */
        percent = n > 0 && parser->p[n - 1] == '%';
        r = spec_decode_text(parser, parser->p, percent ? n - 1 : n, &text);
        if (r < 0)
                return r;
        if (percent) {
                parser->free[-1] = '%';
                *parser->free++ = '\0';
        }

        if (level_parse(text, &value->level) < 0)
                return spec_complain(parser, parser->p,
                                     "a percentage such as 5% or an amount such as 2G", "'%s'",
                                     spec_found(parser->p, n, buffer));
        return 0;
}

static int read_size(SpecParser *parser, const SpecKey *key, size_t n, SpecValue *value) {
        char buffer[SPEC_FOUND_MAX];
        const char *text;
        int r;

        (void)key;

        r = spec_decode_text(parser, parser->p, n, &text);
        if (r < 0)
                return r;
        if (size_parse(text, &value->number) < 0)
                return spec_complain(parser, parser->p, "an amount such as 4096 or 64M", "'%s'",
                                     spec_found(parser->p, n, buffer));
        return 0;
}

static int read_span(SpecParser *parser, const SpecKey *key, size_t n, SpecValue *value) {
        char buffer[SPEC_FOUND_MAX];
        const char *text;
        int r;

        (void)key;

        r = spec_decode_text(parser, parser->p, n, &text);
        if (r < 0)
                return r;
        if (usec_parse(text, &value->number) < 0)
                return spec_complain(parser, parser->p, "a time span such as 200ms or 5min", "'%s'",
                                     spec_found(parser->p, n, buffer));
        return 0;
}

static int read_bytes(SpecParser *parser, const SpecKey *key, size_t n, SpecValue *value) {
        (void)key;

        return spec_decode_bytes(parser, parser->p, n, value);
}

static int read_word(SpecParser *parser, const SpecKey *key, size_t n, SpecValue *value) {
        _cleanup_(text_done) Text expected = { .max = EXPECTED_MAX };
        const char *text;
        int r;

        r = spec_decode_text(parser, parser->p, n, &text);
        if (r < 0)
                return r;

        for (size_t i = 0; key->words[i]; i++) {
                if (strcmp(key->words[i], text) == 0) {
                        value->number = i;
                        return 0;
                }
                expect_word(&expected, key->words[i]);
        }

        return complain_list(parser, parser->p, n, "unknown word", &expected);
}

static const spec_read_t spec_readers[] = {
        [SPEC_LEVEL] = read_level, [SPEC_SIZE] = read_size, [SPEC_SPAN] = read_span,
        [SPEC_BYTES] = read_bytes, [SPEC_WORD] = read_word,
};

static_assert(ELEMENTSOF(spec_readers) == _SPEC_KIND_MAX, "a kind of value lacks its reader");

static int find_key(SpecParser *parser, const SpecScheme *scheme, size_t n, size_t *ret_index) {
        _cleanup_(text_done) Text expected = { .max = EXPECTED_MAX };

        for (size_t i = 0; i < SPEC_KEYS_MAX && scheme->keys[i].name; i++) {
                const char *name = scheme->keys[i].name;

                if (strlen(name) == n && memcmp(name, parser->p, n) == 0) {
                        *ret_index = i;
                        return 0;
                }
                expect_word(&expected, name);
        }

        return complain_list(parser, parser->p, n, "unknown key", &expected);
}

/* One "key=value", up to the '&' or the end. */
static int parse_pair(SpecParser *parser, CheckSpec *spec) {
        const char *at = parser->p, *end = strchrnul(at, '&');
        size_t n = strcspn(at, "=&"), index = 0;
        SpecValue *value;
        int r;

        r = find_key(parser, spec->scheme, n, &index);
        if (r < 0)
                return r;

        value = &spec->values[index];
        if (value->given)
                return spec_complain(parser, at, "it once", "'%s' again",
                                     spec->scheme->keys[index].name);
        if (at[n] != '=' || at + n + 1 == end)
                return spec_complain(parser, at + n, "'=' and its value", "no value of '%s'",
                                     spec->scheme->keys[index].name);

        parser->p = at + n + 1;
        value->given = true;
        value->offset = (size_t)(parser->p - parser->text);

        r = spec_readers[spec->scheme->keys[index].kind](parser, &spec->scheme->keys[index],
                                                         (size_t)(end - parser->p), value);
        if (r < 0)
                return r;

        parser->p = end;
        return 0;
}

static int parse_pairs(SpecParser *parser, CheckSpec *spec) {
        int r;

        /* At the '?' before the first pair, and then at the '&' before each other. */
        while (*parser->p) {
                parser->p++;
                r = parse_pair(parser, spec);
                if (r < 0)
                        return r;
        }

        return 0;
}

static int parse_scheme(SpecParser *parser, CheckSpec *spec, const SpecScheme *const *schemes) {
        _cleanup_(text_done) Text expected = { .max = EXPECTED_MAX };
        const char *end = parser->p + strcspn(parser->p, ":/?");
        size_t n = (size_t)(end - parser->p);

        for (; *schemes; schemes++) {
                const char *name = (*schemes)->name;

                if (*end == ':' && strlen(name) == n && memcmp(name, parser->p, n) == 0) {
                        spec->scheme = *schemes;
                        parser->p = end + 1;
                        return 0;
                }
                expect_word(&expected, name);
                (void)text_append(&expected, ":");
        }

        return complain_list(parser, parser->p, n, "unknown scheme", &expected);
}

/* What no spec may hold anywhere: it is one line. */
static int refuse_controls(SpecParser *parser) {
        for (const char *p = parser->text; *p; p++)
                if ((unsigned char)*p < 0x20 || *p == 0x7f)
                        return spec_complain(parser, p, "it to be written %XX",
                                             "a control character");

        if (strlen(parser->text) > SPEC_LENGTH_MAX)
                return spec_complain(parser, parser->text + SPEC_LENGTH_MAX, "the end", "more");

        return 0;
}

int check_spec_parse(CheckSpec *spec,
                     const char *text,
                     const SpecScheme *const *schemes,
                     CheckError *error) {
        CheckSpec parsed = {};
        SpecParser parser;
        int r;

        assert(spec);
        assert(text);
        assert(schemes);
        assert(error);

        parser = (SpecParser){ .text = text, .p = text, .error = error };

        r = refuse_controls(&parser);
        if (r < 0)
                return r;

        /* Every decoded text has a separator before it in the spec, which pays for its NUL. */
        parsed.memory = parser.free = malloc(strlen(text) + 1);
        if (!parsed.memory) {
                (void)snprintf(error->text, sizeof(error->text), "no memory for a check");
                return -ENOMEM;
        }

        r = parse_scheme(&parser, &parsed, schemes);
        if (r >= 0)
                r = spec_parse_place(&parser, &parsed);
        if (r >= 0)
                r = parse_pairs(&parser, &parsed);
        if (r < 0) {
                check_spec_done(&parsed);
                return r;
        }

        *spec = parsed;
        return 0;
}

void check_spec_done(CheckSpec *spec) {
        if (!spec)
                return;

        free(spec->memory);
        *spec = (CheckSpec){};
}
