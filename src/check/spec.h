/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Check Specs
 *
 * The one way to write a check: "scheme:place?key=value&key=value", where the
 * place is nothing, a path, a socket or "//host:port". Which schemes there are,
 * and which keys each takes, is given as a table; this file only reads.
 *
 * It is strict: what it does not know it refuses, and says what it found, at
 * which character, and what it expected there. A spec is taken whole or not at
 * all. Bytes may be written as %XX; a '%' that ends the value of a level is one.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"
#include "check/size.h"

#define SPEC_KEYS_MAX 8
#define CHECK_ERROR_TEXT_MAX 512

/* What comes between the colon and the question mark. */
typedef enum SpecPlace {
        SPEC_NOWHERE, /* nothing */
        SPEC_PATH,    /* /path, or ///path as file URLs have it */
        SPEC_SOCKET,  /* /path or @abstract, short enough for AF_UNIX */
        SPEC_PEER,    /* //host:port, //192.0.2.1:port, //[2001:db8::1]:port */
        SPEC_URL,     /* //host:port/path */
        _SPEC_PLACE_MAX,
} SpecPlace;

typedef enum SpecKind {
        SPEC_LEVEL = 1, /* a percentage, or an amount */
        SPEC_SIZE,      /* an amount: bytes with K, M, G, T */
        SPEC_SPAN,      /* a time span as in systemd.time(7) */
        SPEC_BYTES,     /* text with \r \n \t \0 \\ \xNN; not empty */
        SPEC_WORD,      /* one of @words */
        _SPEC_KIND_MAX,
} SpecKind;

typedef struct SpecKey {
        const char *name;
        SpecKind kind;
        const char *const *words; /* SPEC_WORD: NULL-terminated */
} SpecKey;

typedef struct SpecScheme {
        const char *name;
        SpecPlace place;
        SpecKey keys[SPEC_KEYS_MAX]; /* the first without name ends them */
} SpecScheme;

typedef struct SpecValue {
        bool given;
        size_t offset;     /* of the value in the text */
        Level level;       /* SPEC_LEVEL */
        uint64_t number;   /* SPEC_SIZE, SPEC_SPAN (usec), SPEC_WORD (its index) */
        const char *bytes; /* SPEC_BYTES; @length of them, and a NUL */
        size_t length;
} SpecValue;

typedef struct CheckSpec {
        const SpecScheme *scheme;
        const char *path; /* SPEC_PATH, SPEC_SOCKET, SPEC_URL */
        const char *host; /* SPEC_PEER, SPEC_URL; without brackets */
        uint16_t port;
        SpecValue values[SPEC_KEYS_MAX]; /* in the order of the scheme's keys */
        char *memory;                    /* all texts above, decoded */
} CheckSpec;

/* Where a spec went wrong, and the sentence that says so (one clean line, secrets masked). */
typedef struct CheckError {
        size_t offset; /* in bytes */
        char text[CHECK_ERROR_TEXT_MAX];
} CheckError;

/*
 * Parses @text. Returns 0, -EINVAL with @error filled, or -ENOMEM (likewise).
 * @schemes: the table, NULL-terminated.
 */
int check_spec_parse(CheckSpec *spec,
                     const char *text,
                     const SpecScheme *const *schemes,
                     CheckError *error);

void check_spec_done(CheckSpec *spec);

/*
 * Complains about the character at @offset of @text: what was found there (as of
 * printf(3)), and what was @expected. Returns -EINVAL.
 */
int check_error_set(CheckError *error,
                    const char *text,
                    size_t offset,
                    const char *expected,
                    const char *format,
                    ...) _printf_(5, 6);
