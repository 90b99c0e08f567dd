/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Memory that Fails, for Tests
 *
 * Stands before the C library's allocator, and the sanitizer's if there is one: while it
 * is armed, the n-th request of this thread gets nothing, and neither do those after it.
 * memory_walk() has a call fail at its first request, at its second, and so on, until it
 * needs no more than it gets. Defines its functions, because each test is one program
 * of one file.
 */

#include <errno.h>
#include <glib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* More requests than any one call makes. */
#define MEMORY_REQUESTS_MAX 2000U

static __thread bool memory_armed;
static __thread guint memory_left;   /* requests that are still granted */
static __thread guint memory_failed; /* that were not */

static bool memory_fails(void) {
        if (!memory_armed)
                return false;
        if (memory_left > 0) {
                memory_left--;
                return false;
        }

        memory_failed++;
        errno = ENOMEM;
        return true;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEMORY_REAL(name) __interceptor_##name
#else
#define MEMORY_REAL(name) __libc_##name
#endif

void *MEMORY_REAL(malloc)(size_t size);
void *MEMORY_REAL(calloc)(size_t n, size_t size);
void *MEMORY_REAL(realloc)(void *memory, size_t size);

#define MEMORY_INSTEAD __attribute__((visibility("default")))

MEMORY_INSTEAD void *malloc(size_t size) {
        return memory_fails() ? NULL : MEMORY_REAL(malloc)(size);
}

MEMORY_INSTEAD void *calloc(size_t n, size_t size) {
        return memory_fails() ? NULL : MEMORY_REAL(calloc)(n, size);
}

MEMORY_INSTEAD void *realloc(void *memory, size_t size) {
        return memory_fails() ? NULL : MEMORY_REAL(realloc)(memory, size);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
/* The sanitizer's ask its own allocator and not ours. */
MEMORY_INSTEAD char *strdup(const char *text) {
        size_t n = strlen(text) + 1;
        char *copy = malloc(n);

        return copy ? memcpy(copy, text, n) : NULL;
}
#endif

/*
 * Has @call fail at each of its requests in turn: it must return -ENOMEM, and
 * @unchanged must hold then. Says how many requests it makes. One that can do without some
 * of its memory may succeed early; @undo then takes back what it did.
 */
G_GNUC_UNUSED static guint memory_walk(int (*call)(void *userdata),
                                       bool (*unchanged)(void *userdata),
                                       void (*undo)(void *userdata),
                                       void *userdata) {
        for (guint n = 0; n < MEMORY_REQUESTS_MAX; n++) {
                int r;

                memory_left = n;
                memory_failed = 0;
                memory_armed = true;
                r = call(userdata);
                memory_armed = false;
                if (memory_failed == 0) {
                        g_assert_cmpuint(n, >, 0); /* else we do not stand before it */
                        g_assert_cmpint(r, ==, 0);
                        return n;
                }

                if (r == 0) {
                        undo(userdata);
                } else {
                        g_assert_cmpint(r, ==, -ENOMEM);
                        g_assert_true(unchanged(userdata));
                }
        }

        g_assert_not_reached();
}
