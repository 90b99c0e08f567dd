/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Clock
 *
 * All times inside are microseconds on CLOCK_MONOTONIC; wall time is taken only
 * where a person or a document wants it. USEC_NEVER is a time that never comes.
 */

#include <stdint.h>
#include <time.h>

#define USEC_NEVER UINT64_MAX
#define USEC_PER_MSEC ((uint64_t)1000)
#define USEC_PER_SEC ((uint64_t)1000000)
#define USEC_PER_MINUTE (60 * USEC_PER_SEC)
#define USEC_PER_HOUR (60 * USEC_PER_MINUTE)
#define NSEC_PER_USEC ((uint64_t)1000)

uint64_t clock_now_usec(clockid_t clock);

/* Adds without wrapping round: what would overflow is USEC_NEVER. */
static inline uint64_t usec_add(uint64_t a, uint64_t b) {
        return a > USEC_NEVER - b ? USEC_NEVER : a + b;
}

/* Subtracts down to 0. */
static inline uint64_t usec_sub(uint64_t a, uint64_t b) {
        return a > b ? a - b : 0;
}

/*
 * Parses a systemd time span ("5min 20s", "1.5h", "200ms", "30", "infinity"; a
 * bare number is seconds), see systemd.time(7), in units up to the week. Returns
 * 0, -EINVAL, or -ERANGE.
 */
int usec_parse(const char *text, uint64_t *ret_usec);

#define USEC_TEXT_MAX 32

/* Writes @usec for people: "1.5s", "200ms", "3min 5s". Returns @buffer. */
const char *usec_format(uint64_t usec, char buffer[static USEC_TEXT_MAX]);

#define TIMESTAMP_TEXT_MAX 32

/* Writes wall time @realtime_usec as RFC 3339 in UTC with milliseconds. Returns @buffer. */
const char *timestamp_format(uint64_t realtime_usec, char buffer[static TIMESTAMP_TEXT_MAX]);
