/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/macro.h"
#include "base/names.h"

static bool is_alnum(char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

const char *name_complaint(const char *name) {
        size_t length;

        if (!name || !name[0])
                return "a name is needed";

        length = strnlen(name, NAME_LENGTH_MAX + 1);
        if (length > NAME_LENGTH_MAX)
                return "a name has at most 63 characters";
        if (!is_alnum(name[0]) || !is_alnum(name[length - 1]))
                return "a name begins and ends with a lower-case letter or a digit";

        for (size_t i = 0; i < length; i++)
                if (!is_alnum(name[i]) && name[i] != '-')
                        return "a name is made of lower-case letters, digits and dashes";

        return NULL;
}

bool name_is_valid(const char *name) {
        return !name_complaint(name);
}

const char *name_table_to_string(const char *const *names, size_t n_names, int value) {
        assert(names);

        if (value < 0 || (size_t)value >= n_names)
                return NULL;

        return names[value];
}

int name_table_from_string(const char *const *names, size_t n_names, const char *word) {
        assert(names);

        if (!word)
                return -EINVAL;

        for (size_t i = 0; i < n_names; i++)
                if (names[i] && strcmp(names[i], word) == 0)
                        return (int)i;

        return -EINVAL;
}
