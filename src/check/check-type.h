/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Check Types: what a built-in check is made of
 *
 * One file per scheme, check-SCHEME.c, defines one CheckType; check.c lists them.
 * A check of a type is a structure that begins with a Check.
 */

#include "base/clock.h"
#include "base/macro.h"
#include "check/check.h"

typedef enum CheckFlags {
        CHECK_BLOCKING = 1 << 0, /* asks in the pool */
} CheckFlags;

typedef struct CheckType {
        SpecScheme scheme;
        unsigned flags;
        size_t size; /* of the structure; it starts as zeros */

        /* Judges the spec and takes what it needs for asking. May be NULL. Returns 0, or a
         * negative errno with @error filled (see check_complain()); done() is called after it. */
        int (*init)(Check *check, const char *text, CheckError *error);

        /* Returns CHECK_ANSWERED with @result filled, or CHECK_PENDING: then check_answer() later.
         */
        int (*start)(Check *check, CheckResult *result);

        /* Stops a start that is pending; says in @result, if not NULL, what it waited for. */
        void (*cancel)(Check *check, CheckResult *result);

        /* Gives back what init and start took. May be NULL. */
        void (*done)(Check *check);
} CheckType;

struct Check {
        const CheckType *type;
        CheckContext context;
        CheckSpec spec;

        bool pending;
        check_done_t done;
        void *userdata;
        uint64_t started_usec;
        uint64_t timeout_usec;
};

extern const CheckType check_type_disk;
extern const CheckType check_type_fds;
extern const CheckType check_type_file;
extern const CheckType check_type_loop;
extern const CheckType check_type_memory;
extern const CheckType check_type_tcp;
extern const CheckType check_type_unix;

/* Parses a spec of any of these types; see check_spec_parse(). */
int check_parse(const char *text, CheckSpec *ret_spec, CheckError *error);

/* Gives the answer of a pending check. The last thing its caller does: the check may be gone. */
void check_answer(Check *check, const CheckResult *result);

/* Fills @result, cleaning the text; no value. Returns CHECK_ANSWERED. */
int check_result_set(CheckResult *result, hale_status status, const char *format, ...)
        _printf_(3, 4);

/* Attaches what was measured; @unit is static. */
void check_result_set_value(CheckResult *result, double value, const char *unit);

/* Is it our own lack of descriptors or memory, which says nothing about what was asked? */
bool check_error_is_local(int error);

/* Fills @error for the value of key number @index: see check_error_set(). */
#define check_complain(check, text, error, index, ...)                                             \
        check_error_set((error), (text), (check)->spec.values[index].offset, __VA_ARGS__)

/* The value of key number @index, or what holds when it was not given. */
Level check_get_level(const Check *check, unsigned index, Level otherwise);
uint64_t check_get_number(const Check *check, unsigned index, uint64_t otherwise);

/* "2s", what is waited at most, for messages. */
const char *check_timeout_text(const Check *check, char buffer[static USEC_TEXT_MAX]);
