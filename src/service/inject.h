/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Rehearsals: the inside
 *
 * inject.c keeps what is injected, from beginning to expiry, and says so; inject-kind.c
 * knows how to break each kind of thing, and how to leave it alone again.
 */

#include "hale/rehearsal.h"
#include "service/service.h"

typedef struct Injection Injection;

typedef struct InjectionKind {
        const char *name;

        /* Is the target there, and can it fail so? Returns 0 or a negative errno. */
        int (*check)(hale_service *service, const char *target, uint64_t *ret_amount);

        /* Breaks it. Called at the beginning, and again at @again_usec as long as it is on. */
        int (*begin)(Injection *injection);
        uint64_t again_usec; /* USEC_NEVER: once */

        void (*end)(Injection *injection); /* may be NULL */
} InjectionKind;

struct Injection {
        TAILQ_ENTRY(Injection) link;
        hale_service *service;
        const InjectionKind *kind;
        char target[NAME_LENGTH_MAX + 1];
        Timer timer;
        uint64_t until_usec;
        bool in_begin; /* begin() is on the stack, and may have called the program */
        bool over;     /* ended meanwhile */

        /* Of the kind. */
        uint64_t amount; /* bytes to be leaked */
        struct InjectionLeak *leaks;
        pid_t pid; /* that was stopped */
        int pidfd;
};

extern const InjectionKind injection_kinds[];
extern const size_t n_injection_kinds;
