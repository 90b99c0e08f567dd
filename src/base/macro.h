/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Macros
 *
 * The few that every file needs. Nothing here hides control flow but
 * RETURN_IF_FAIL, which public calls use to answer bad arguments.
 */

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define _public_ __attribute__((visibility("default")))
#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _unused_ __attribute__((unused))
#define _nonstring_ __attribute__((nonstring))

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))
/* GLib and sys/param.h bring their own. */
#undef MIN
#undef MAX
#undef CLAMP
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define CLAMP(x, low, high) MIN(MAX(x, low), high)

/* From a pointer to a member back to the structure that holds it. */
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* Hands a pointer over: yields it and leaves NULL behind. */
#define TAKE_PTR(ptr)                                                                              \
        ({                                                                                         \
                __typeof__(ptr) *_pptr = &(ptr);                                                   \
                __typeof__(ptr) _taken = *_pptr;                                                   \
                *_pptr = NULL;                                                                     \
                _taken;                                                                            \
        })

#define RETURN_IF_FAIL(expr, error)                                                                \
        do {                                                                                       \
                if (!(expr))                                                                       \
                        return (error);                                                            \
        } while (0)

static inline void freep(void *pointer) {
        free(*(void **)pointer);
}

#define _cleanup_free_ _cleanup_(freep)
