/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Metrics Fixture
 *
 * Parses a document of metrics as strictly as its format allows: each family has its
 * head, in order, and comes once; each sample belongs to the family before it and
 * comes once.
 */

#include <glib.h>
#include <string.h>

#include "base/str.h"

typedef struct Scrape {
        GHashTable *samples;  /* "name{labels}": value */
        GHashTable *families; /* name: type */
        GHashTable *units;    /* name: unit */
        guint n_samples;
} Scrape;

static inline void scrape_done(Scrape *scrape) {
        g_hash_table_unref(scrape->samples);
        g_hash_table_unref(scrape->families);
        g_hash_table_unref(scrape->units);
}

/* Which names a sample of the family may have. */
static inline gboolean
belongs(const char *sample, const char *family, const char *type, gboolean openmetrics) {
        static const char *const histogram[] = { "_bucket", "_count", "_sum", NULL };
        const char *suffix;

        if (!g_str_has_prefix(sample, family))
                return FALSE;

        suffix = sample + strlen(family);
        if (strcmp(type, "histogram") == 0)
                return g_strv_contains(histogram, suffix);
        if (openmetrics && strcmp(type, "counter") == 0)
                return strcmp(suffix, "_total") == 0;
        if (openmetrics && strcmp(type, "info") == 0)
                return strcmp(suffix, "_info") == 0;

        return suffix[0] == '\0';
}

/* One line of a head: "# TYPE name type". */
static inline void scrape_head(Scrape *scrape, const char *line, GString *heads) {
        g_auto(GStrv) words = g_strsplit(line, " ", 4);

        g_assert_cmpuint(g_strv_length(words), ==, 4);
        g_string_append_printf(heads, "%s ", words[1]);
        if (strcmp(words[1], "TYPE") == 0)
                g_assert_true(g_hash_table_insert(scrape->families, g_strdup(words[2]),
                                                  g_strdup(words[3])));
        if (strcmp(words[1], "UNIT") == 0) {
                g_assert_true(g_str_has_suffix(words[2], words[3]));
                g_hash_table_insert(scrape->units, g_strdup(words[2]), g_strdup(words[3]));
        }
        if (strcmp(words[1], "HELP") == 0) {
                g_assert_cmpuint(strlen(words[3]), >, 5);
                g_assert_null(strpbrk(words[3], "\\\""));
        }
}

static inline void
scrape_sample(Scrape *scrape, const char *line, const char *family, gboolean openmetrics) {
        const char *value = strrchr(line, ' ');
        g_autofree char *series = g_strndup(line, (gsize)(value - line));
        g_autofree char *name = g_strndup(line, strcspn(line, "{ "));
        char *end;

        g_assert_nonnull(family);
        if (!belongs(name, family, g_hash_table_lookup(scrape->families, family), openmetrics))
                g_error("%s stands in family %s", name, family);
        if (strcmp(value + 1, "+Inf") != 0) {
                (void)g_ascii_strtod(value + 1, &end);
                g_assert_true(end > value + 1 && *end == '\0');
        }
        if (!g_hash_table_insert(scrape->samples, g_steal_pointer(&series), g_strdup(value + 1)))
                g_error("twice: %s", line);
        scrape->n_samples++;
}

/* As g_strsplit(), whose strstr() takes very long under the address sanitizer. */
static inline GStrv split_lines(const Text *text) {
        GPtrArray *lines = g_ptr_array_new();
        const char *at = text->data, *end;

        while ((end = memchr(at, '\n', (gsize)(text->data + text->length - at)))) {
                g_ptr_array_add(lines, g_strndup(at, (gsize)(end - at)));
                at = end + 1;
        }
        g_ptr_array_add(lines, NULL);
        return (GStrv)g_ptr_array_free(lines, FALSE);
}

static inline void scrape_parse(Scrape *scrape, const Text *text, gboolean openmetrics) {
        g_auto(GStrv) lines = NULL;
        g_autoptr(GString) heads = g_string_new(NULL);
        const char *family = NULL;
        guint n;

        *scrape = (Scrape){
                .samples = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free),
                .families = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free),
                .units = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free),
        };
        g_assert_cmpint(text->error, ==, 0);
        g_assert_true(g_utf8_validate(text->data, (gssize)text->length, NULL));
        g_assert_true(g_str_has_suffix(text->data, openmetrics ? "\n# EOF\n" : "\n"));

        lines = split_lines(text);
        n = g_strv_length(lines) - (openmetrics ? 1 : 0);
        for (guint i = 0; i < n; i++) {
                g_assert_cmpstr(lines[i], !=, "# EOF");
                if (lines[i][0] == '#') {
                        scrape_head(scrape, lines[i], heads);
                        family = NULL;
                        continue;
                }
                if (!family) {
                        g_auto(GStrv) words = g_strsplit(lines[i - 1], " ", 4);
                        gpointer key;

                        if (openmetrics)
                                g_assert_true(strcmp(heads->str, "TYPE HELP ") == 0 ||
                                              strcmp(heads->str, "TYPE UNIT HELP ") == 0);
                        else
                                g_assert_cmpstr(heads->str, ==, "HELP TYPE ");
                        g_assert_true(g_hash_table_lookup_extended(scrape->families, words[2], &key,
                                                                   NULL));
                        family = key;
                        g_string_truncate(heads, 0);
                }
                scrape_sample(scrape, lines[i], family, openmetrics);
        }
        g_assert_cmpstr(heads->str, ==, ""); /* no head without samples */
}

static inline const char *scrape_value(const Scrape *scrape, const char *series) {
        const char *value = g_hash_table_lookup(scrape->samples, series);

        if (!value)
                g_error("missing: %s", series);
        return value;
}
