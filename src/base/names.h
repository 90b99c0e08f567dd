/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Names
 *
 * Names of services, probes, links and workers, and the tables that give the
 * values of an enum their words.
 */

#include <stdbool.h>
#include <stddef.h>

/*
 * True for [a-z0-9]([a-z0-9-]*[a-z0-9])? of at most NAME_LENGTH_MAX characters:
 * what is at once a bus path element, a URL segment, a metric label and the
 * name of a section.
 */
bool name_is_valid(const char *name);

/* Why @name is not valid, in words, or NULL if it is. */
const char *name_complaint(const char *name);

const char *name_table_to_string(const char *const *names, size_t n_names, int value);

/* Returns the value, or -EINVAL if the word is in no row. */
int name_table_from_string(const char *const *names, size_t n_names, const char *word);
