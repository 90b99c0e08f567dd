/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Building JSON
 *
 * json-c without the checks at each step: members are added through a builder
 * that remembers the first failure. Strings become valid UTF-8 here, whatever
 * they were.
 */

#include <json-c/json_object.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

typedef struct JsonBuilder {
        json_object *object;
        int error;
} JsonBuilder;

JsonBuilder json_builder_begin(void);

/* NULL strings are left out. */
void json_builder_set_string(JsonBuilder *builder, const char *key, const char *value);
void json_builder_set_bool(JsonBuilder *builder, const char *key, bool value);
void json_builder_set_int(JsonBuilder *builder, const char *key, uint64_t value);

/* A whole number as such, any other with six digits. What is no number is left out. */
void json_builder_set_number(JsonBuilder *builder, const char *key, double value);

/* RFC 3339; 0 is left out. */
void json_builder_set_time(JsonBuilder *builder, const char *key, uint64_t realtime_usec);

/* Takes @value. NULL is a failure. */
void json_builder_set_value(JsonBuilder *builder, const char *key, json_object *value);

/* An array of strings, ended by NULL. */
json_object *json_builder_strings(const char *const *strings);

/* Hands the object over; NULL after a failure. */
json_object *json_builder_take(JsonBuilder *builder);

/*
 * Writes the object and frees it. With @open its last brace is left out, so that
 * the caller can go on with more members. Returns 0 or the first failure.
 */
int json_builder_end(JsonBuilder *builder, Text *text, bool open);
