/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/macro.h"
#include "check/size.h"

/* Digits of a fraction that are looked at: more than a double of a terabyte can tell apart. */
#define FRACTION_DIGITS_MAX 9

static const char size_suffixes[] = "BKMGT";

/* A decimal number as whole part and fraction, in [0, 1); moves @p past it. */
static int number_parse(const char **p, uint64_t *ret_whole, double *ret_fraction) {
        const char *c = *p;
        uint64_t whole = 0;
        double fraction = 0, scale = 1;
        unsigned n_digits = 0;

        if (*c < '0' || *c > '9')
                return -EINVAL;

        for (; *c >= '0' && *c <= '9'; c++)
                if (__builtin_mul_overflow(whole, 10, &whole) ||
                    __builtin_add_overflow(whole, (uint64_t)(*c - '0'), &whole))
                        return -ERANGE;

        if (*c == '.') {
                c++;
                if (*c < '0' || *c > '9')
                        return -EINVAL;
                for (; *c >= '0' && *c <= '9'; c++)
                        if (n_digits++ < FRACTION_DIGITS_MAX) {
                                scale /= 10;
                                fraction += (*c - '0') * scale;
                        }
        }

        *p = c;
        *ret_whole = whole;
        *ret_fraction = fraction;
        return 0;
}

int size_parse(const char *text, uint64_t *ret_size) {
        const char *suffix;
        double fraction;
        uint64_t whole, unit = 1, size;
        int r;

        assert(text);
        assert(ret_size);

        r = number_parse(&text, &whole, &fraction);
        if (r < 0)
                return r;

        if (*text) {
                suffix = strchr(size_suffixes, *text);
                if (!suffix || text[1])
                        return -EINVAL;
                unit = UINT64_C(1) << (10 * (suffix - size_suffixes));
        }

        /* Half a byte is a slip of the pen. */
        if (fraction > 0 && unit == 1)
                return -EINVAL;
        if (__builtin_mul_overflow(whole, unit, &size) ||
            __builtin_add_overflow(size, (uint64_t)(fraction * (double)unit), &size))
                return -ERANGE;

        *ret_size = size;
        return 0;
}

int level_parse(const char *text, Level *ret_level) {
        const char *p = text;
        double fraction;
        uint64_t whole;
        int r;

        assert(text);
        assert(ret_level);

        r = number_parse(&p, &whole, &fraction);
        if (r < 0)
                return r;

        if (strcmp(p, "%") == 0) {
                if (whole > 100 || (whole == 100 && fraction > 0))
                        return -ERANGE;

                *ret_level = (Level){ .is_percent = true, .percent = (double)whole + fraction };
                return 0;
        }

        r = size_parse(text, &whole);
        if (r < 0)
                return r;

        *ret_level = (Level){ .amount = whole };
        return 0;
}

uint64_t level_of(const Level *level, uint64_t total) {
        assert(level);

        return level->is_percent ? (uint64_t)(level->percent / 100 * (double)total) : level->amount;
}

const char *size_format(uint64_t size, char buffer[static SIZE_TEXT_MAX]) {
        double shown = (double)size;
        size_t i = 0;

        while (shown >= 1024 && size_suffixes[i + 1]) {
                shown /= 1024;
                i++;
        }

        (void)snprintf(buffer, SIZE_TEXT_MAX, i > 0 && shown < 100 ? "%.1f%c" : "%.0f%c", shown,
                       size_suffixes[i]);
        return buffer;
}

const char *level_format(const Level *level, bool bytes, char buffer[static SIZE_TEXT_MAX]) {
        if (level->is_percent)
                (void)snprintf(buffer, SIZE_TEXT_MAX, "%.4g%%", level->percent);
        else if (bytes)
                (void)size_format(level->amount, buffer);
        else
                (void)snprintf(buffer, SIZE_TEXT_MAX, "%" PRIu64, level->amount);

        return buffer;
}

double percent_of(uint64_t part, uint64_t total) {
        return total > 0 ? (double)part / (double)total * 100 : 0;
}
