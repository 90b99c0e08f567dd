/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/macro.h"

uint64_t clock_now_usec(clockid_t clock) {
        struct timespec ts;

        if (clock_gettime(clock, &ts) < 0)
                return 0;

        return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / NSEC_PER_USEC;
}

/* clang-format off */
static const struct {
        const char *name;
        uint64_t usec;
} time_units[] = {
        { "us",     1                  }, { "usec",    1                  }, { "\xc2\xb5s",  1                  },
        { "ms",     USEC_PER_MSEC      }, { "msec",    USEC_PER_MSEC      }, { "",         USEC_PER_SEC       },
        { "s",      USEC_PER_SEC       }, { "sec",     USEC_PER_SEC       }, { "second",   USEC_PER_SEC       },
        { "min",    USEC_PER_MINUTE    }, { "minute",  USEC_PER_MINUTE    }, { "minutes",  USEC_PER_MINUTE    },
        { "m",      USEC_PER_MINUTE    }, { "seconds", USEC_PER_SEC       }, { "h",        USEC_PER_HOUR      },
        { "hr",     USEC_PER_HOUR      }, { "hour",    USEC_PER_HOUR      }, { "hours",    USEC_PER_HOUR      },
        { "d",      24 * USEC_PER_HOUR }, { "day",     24 * USEC_PER_HOUR }, { "days",     24 * USEC_PER_HOUR },
        { "w",     168 * USEC_PER_HOUR }, { "week",   168 * USEC_PER_HOUR }, { "weeks",   168 * USEC_PER_HOUR },
};
/* clang-format on */

static uint64_t time_unit_from_text(const char *text, size_t length) {
        for (size_t i = 0; i < ELEMENTSOF(time_units); i++)
                if (strlen(time_units[i].name) == length &&
                    memcmp(time_units[i].name, text, length) == 0)
                        return time_units[i].usec;

        return 0;
}

/* One "12.5min" of a span; moves @p past it. */
static int usec_parse_part(const char **p, uint64_t *ret_usec) {
        uint64_t whole = 0, tenth = 1, fraction = 0;
        const char *c = *p;

        if (!isdigit((unsigned char)*c))
                return -EINVAL;

        for (; isdigit((unsigned char)*c); c++)
                if (__builtin_mul_overflow(whole, 10, &whole) ||
                    __builtin_add_overflow(whole, (uint64_t)(*c - '0'), &whole))
                        return -ERANGE;

        if (*c == '.') {
                c++;
                if (!isdigit((unsigned char)*c))
                        return -EINVAL;
                for (; isdigit((unsigned char)*c); c++)
                        if (tenth < 1000000) {
                                tenth *= 10;
                                fraction = fraction * 10 + (uint64_t)(*c - '0');
                        }
        }

        while (*c == ' ')
                c++;

        const char *unit = c;
        while (isalpha((unsigned char)*c) || (unsigned char)*c >= 0x80) /* the micro sign */
                c++;

        uint64_t scale = time_unit_from_text(unit, (size_t)(c - unit));
        if (scale == 0)
                return -EINVAL;
        if (__builtin_mul_overflow(whole, scale, &whole) ||
            __builtin_add_overflow(whole, fraction * scale / tenth, ret_usec))
                return -ERANGE;

        *p = c;
        return 0;
}

int usec_parse(const char *text, uint64_t *ret_usec) {
        uint64_t sum = 0;
        int r;

        assert(ret_usec);

        if (!text)
                return -EINVAL;

        if (strcmp(text, "infinity") == 0) {
                *ret_usec = USEC_NEVER;
                return 0;
        }

        do {
                uint64_t part;

                while (*text == ' ')
                        text++;
                r = usec_parse_part(&text, &part);
                if (r < 0)
                        return r;
                if (__builtin_add_overflow(sum, part, &sum))
                        return -ERANGE;
                while (*text == ' ')
                        text++;
        } while (*text);

        *ret_usec = sum;
        return 0;
}

const char *usec_format(uint64_t usec, char buffer[static USEC_TEXT_MAX]) {
        if (usec == USEC_NEVER)
                (void)snprintf(buffer, USEC_TEXT_MAX, "never");
        else if (usec < USEC_PER_MSEC)
                (void)snprintf(buffer, USEC_TEXT_MAX, "%" PRIu64 "us", usec);
        else if (usec < USEC_PER_SEC)
                (void)snprintf(buffer, USEC_TEXT_MAX, "%.4gms", (double)usec / 1e3);
        else if (usec < USEC_PER_MINUTE)
                (void)snprintf(buffer, USEC_TEXT_MAX, "%.4gs", (double)usec / 1e6);
        else if (usec < USEC_PER_HOUR)
                (void)snprintf(buffer, USEC_TEXT_MAX, "%" PRIu64 "min %" PRIu64 "s",
                               usec / USEC_PER_MINUTE, usec % USEC_PER_MINUTE / USEC_PER_SEC);
        else
                (void)snprintf(buffer, USEC_TEXT_MAX, "%" PRIu64 "h %" PRIu64 "min",
                               usec / USEC_PER_HOUR, usec % USEC_PER_HOUR / USEC_PER_MINUTE);

        return buffer;
}

const char *timestamp_format(uint64_t realtime_usec, char buffer[static TIMESTAMP_TEXT_MAX]) {
        time_t seconds = (time_t)(realtime_usec / USEC_PER_SEC);
        struct tm tm;
        size_t n;

        if (!gmtime_r(&seconds, &tm)) {
                (void)snprintf(buffer, TIMESTAMP_TEXT_MAX, "-");
                return buffer;
        }

        n = strftime(buffer, TIMESTAMP_TEXT_MAX - 6, "%Y-%m-%dT%H:%M:%S", &tm);
        (void)snprintf(buffer + n, TIMESTAMP_TEXT_MAX - n, ".%03uZ",
                       (unsigned)(realtime_usec % USEC_PER_SEC / USEC_PER_MSEC));
        return buffer;
}
