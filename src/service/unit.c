/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Which unit we are, from our cgroup
 *
 * sd_pid_get_unit(3) takes forty system calls, and time before READY=1 is dear: this
 * takes three. The unit is the last part of the path that is called like a
 * service: below a user's manager (user@1000.service) that is the user's unit, and
 * what a service with Delegate= makes below itself is called otherwise.
 */

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "service/service.h"

#define SUFFIX ".service"

static bool ends_with(const char *string, size_t length, const char *suffix) {
        size_t n = strlen(suffix);

        return length > n && memcmp(string + length - n, suffix, n) == 0;
}

char *unit_from_cgroup_path(const char *path) {
        const char *unit = NULL;
        size_t unit_length = 0;

        for (const char *part = path; *part;) {
                size_t length = strcspn(part, "/");

                if (ends_with(part, length, SUFFIX)) {
                        unit = part;
                        unit_length = length;
                }
                part += length + (part[length] == '/');
        }

        /* A name that could be taken for a file of the kernel's is written with an underscore. */
        if (unit && unit[0] == '_') {
                unit++;
                unit_length--;
        }

        return unit ? strndup(unit, unit_length) : NULL;
}

/* The path in systemd's own hierarchy: of v1 ("name=systemd"), else of v2 ("0::"). */
static const char *systemd_path(char *lines) {
        const char *found = NULL;

        for (char *line = strtok_r(lines, "\n", &lines); line;
             line = strtok_r(NULL, "\n", &lines)) {
                char *v1 = strstr(line, ":name=systemd:");

                if (v1)
                        return v1 + strlen(":name=systemd:");
                if (strncmp(line, "0::", 3) == 0)
                        found = line + 3;
        }

        return found;
}

char *unit_of_self(void) {
        _cleanup_close_ int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
        char buffer[4096];
        const char *path;
        ssize_t n;

        if (fd < 0)
                return NULL;

        n = read(fd, buffer, sizeof(buffer) - 1);
        if (n <= 0)
                return NULL;

        buffer[n] = '\0';
        path = systemd_path(buffer);
        return path ? unit_from_cgroup_path(path) : NULL;
}
