/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Sizes
 *
 * Amounts as people write them: bytes with IEC suffixes, and levels, which are
 * either an amount or a percentage of something that is known only later.
 */

#include <stdbool.h>
#include <stdint.h>

typedef struct Level {
        bool is_percent;
        double percent;  /* 0..100 */
        uint64_t amount; /* bytes, or whatever is counted */
} Level;

#define LEVEL_PERCENT(n) ((Level){ .is_percent = true, .percent = (n) })

/* "4096", "1.5G", "64K": K, M, G, T are powers of 1024 as in systemd. -EINVAL or -ERANGE. */
int size_parse(const char *text, uint64_t *ret_size);

/* "5%", "0.5%", or what size_parse() takes. -EINVAL or -ERANGE (above 100 %). */
int level_parse(const char *text, Level *ret_level);

/* The amount that @level means of @total. */
uint64_t level_of(const Level *level, uint64_t total);

#define SIZE_TEXT_MAX 24

/* Writes @size for people: "512B", "1.5G". Returns @buffer. */
const char *size_format(uint64_t size, char buffer[static SIZE_TEXT_MAX]);

/* "5%", and for an amount of bytes "2G", of other things "2048". Returns @buffer. */
const char *level_format(const Level *level, bool bytes, char buffer[static SIZE_TEXT_MAX]);

/* Part of @total in percent; 0 of nothing. */
double percent_of(uint64_t part, uint64_t total);
