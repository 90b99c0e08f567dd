/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "report/json-build.h"

/* Above this not every whole number is a double (and a JavaScript number). */
#define EXACT_MAX 9007199254740992.0

JsonBuilder json_builder_begin(void) {
        json_object *object = json_object_new_object();

        return (JsonBuilder){ .object = object, .error = object ? 0 : -ENOMEM };
}

void json_builder_set_value(JsonBuilder *builder, const char *key, json_object *value) {
        if (builder->error < 0 || !value ||
            json_object_object_add_ex(builder->object, key, value,
                                      JSON_C_OBJECT_ADD_KEY_IS_NEW |
                                              JSON_C_OBJECT_KEY_IS_CONSTANT) < 0) {
                (void)json_object_put(value);
                builder->error = -ENOMEM;
        }
}

/* What comes from outside was cleaned where it came in; what comes from the program's code (a
 * version, a unit) was not. */
static json_object *string_new(const char *value) {
        char clean[2 * OUTPUT_LENGTH_MAX];
        size_t n = str_sanitize(value, clean, sizeof(clean));

        return json_object_new_string_len(clean, (int)n);
}

void json_builder_set_string(JsonBuilder *builder, const char *key, const char *value) {
        if (value)
                json_builder_set_value(builder, key, string_new(value));
}

void json_builder_set_bool(JsonBuilder *builder, const char *key, bool value) {
        json_builder_set_value(builder, key, json_object_new_boolean(value));
}

void json_builder_set_int(JsonBuilder *builder, const char *key, uint64_t value) {
        json_builder_set_value(builder, key,
                               json_object_new_int64(value > INT64_MAX ? INT64_MAX
                                                                       : (int64_t)value));
}

void json_builder_set_number(JsonBuilder *builder, const char *key, double value) {
        json_object *number;

        if (!isfinite(value))
                return;

        if (value >= -EXACT_MAX && value <= EXACT_MAX && value == (double)(int64_t)value) {
                number = json_object_new_int64((int64_t)value);
        } else {
                number = json_object_new_double(value);
                if (number)
                        /* It takes the format as its data, and undoes the locale's comma. */
                        json_object_set_serializer(number, json_object_double_to_json_string,
                                                   (void *)"%.6g", NULL);
        }

        json_builder_set_value(builder, key, number);
}

void json_builder_set_time(JsonBuilder *builder, const char *key, uint64_t realtime_usec) {
        char text[TIMESTAMP_TEXT_MAX];

        if (realtime_usec > 0)
                json_builder_set_string(builder, key, timestamp_format(realtime_usec, text));
}

json_object *json_builder_strings(const char *const *strings) {
        json_object *array = json_object_new_array();

        for (; array && *strings; strings++) {
                json_object *string = string_new(*strings);

                if (!string || json_object_array_add(array, string) < 0) {
                        (void)json_object_put(string);
                        (void)json_object_put(array);
                        return NULL;
                }
        }

        return array;
}

json_object *json_builder_take(JsonBuilder *builder) {
        if (builder->error < 0) {
                (void)json_object_put(builder->object);
                builder->object = NULL;
        }

        return TAKE_PTR(builder->object);
}

int json_builder_end(JsonBuilder *builder, Text *text, bool open) {
        const char *written = NULL;
        size_t n = 0;

        if (builder->error == 0) {
                written = json_object_to_json_string_length(builder->object,
                                                            JSON_C_TO_STRING_PLAIN |
                                                                    JSON_C_TO_STRING_NOSLASHESCAPE,
                                                            &n);
                builder->error =
                        written ? text_append_n(text, written, n - (open ? 1 : 0)) : -ENOMEM;
        }

        (void)json_object_put(builder->object);
        builder->object = NULL;
        return builder->error;
}
