/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/macro.h"
#include "base/str.h"
#include "check/cgroup-path.h"

static void fclosep(FILE **file) {
        if (*file)
                (void)fclose(*file);
}

static int proc_open(const char *root, const char *name, FILE **ret) {
        char path[PATH_MAX];
        FILE *file;

        if (snprintf(path, sizeof(path), "%s/proc/self/%s", root, name) >= (int)sizeof(path))
                return -ENAMETOOLONG;

        file = fopen(path, "re");
        if (!file)
                return -errno;

        *ret = file;
        return 0;
}

/* Is @word one of the words of @list? */
static bool list_has(const char *list, const char *word) {
        size_t n = strlen(word);

        for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
                if (strncmp(p, word, n) == 0 && (p[n] == ',' || p[n] == '\0'))
                        return true;

        return false;
}

/* Splits "4:memory:/system.slice/x". Returns false if the line is none. */
static bool group_line_split(char *line, char **ret_controllers, char **ret_group) {
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;

        if (!group || group[1] != '/')
                return false;

        line[strcspn(line, "\n")] = '\0';
        *group = '\0';
        *ret_controllers = controllers + 1;
        *ret_group = group + 1;
        return true;
}

/* The group whose hierarchy may have the memory controller: v1's if it is there, else v2's. */
static int group_find(const char *root, char **ret_group, bool *ret_v1) {
        _cleanup_free_ char *line = NULL, *v2 = NULL;
        _cleanup_(fclosep) FILE *file = NULL;
        char *controllers, *group;
        size_t size = 0;
        int r;

        r = proc_open(root, "cgroup", &file);
        if (r < 0)
                return r;

        while (getline(&line, &size, file) > 0) {
                if (!group_line_split(line, &controllers, &group))
                        continue;

                if (list_has(controllers, "memory")) {
                        group = strdup(group);
                        if (!group)
                                return -ENOMEM;
                        *ret_v1 = true;
                        *ret_group = group;
                        return 0;
                }

                if (!*controllers && !v2) {
                        v2 = strdup(group);
                        if (!v2)
                                return -ENOMEM;
                }
        }

        if (!v2)
                return -ENOENT;

        *ret_v1 = false;
        *ret_group = TAKE_PTR(v2);
        return 0;
}

/* One line of mountinfo; the fields that we need. */
typedef struct Mount {
        char *root, *point, *type, *options;
} Mount;

/* "36 35 98:0 ROOT POINT opts optional... - TYPE source OPTIONS", proc(5). */
static bool mount_line_split(char *line, Mount *ret) {
        char *fields[5], *rest = line, *dash;

        line[strcspn(line, "\n")] = '\0';
        for (size_t i = 0; i < ELEMENTSOF(fields); i++)
                fields[i] = strsep(&rest, " ");

        dash = rest ? strstr(rest, " - ") : NULL;
        if (!dash)
                return false;

        rest = dash + strlen(" - ");
        *ret = (Mount){ .root = fields[3], .point = fields[4] };
        ret->type = strsep(&rest, " ");
        (void)strsep(&rest, " ");
        ret->options = strsep(&rest, " ");
        return ret->options != NULL;
}

/* mountinfo writes space, tab, newline and backslash as \040 and the like. In place. */
static void unescape(char *text) {
        char *out = text;

        for (const char *p = text; *p; out++)
                if (p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' &&
                    p[3] >= '0' && p[3] <= '7') {
                        *out = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
                        p += 4;
                } else
                        *out = *p++;

        *out = '\0';
}

/*
 * What is left of @group below the mounted @root of the hierarchy: "" if it is
 * that itself; NULL if it is not below, as where a container sees a mount that
 * was made outside of its namespace ("/../..").
 */
static const char *group_below(const char *group, const char *root) {
        size_t n = strcmp(root, "/") == 0 ? 0 : strlen(root);

        if (strncmp(group, root, n) != 0 || (group[n] != '/' && group[n] != '\0'))
                return NULL;
        if (str_starts(group, "/../") || strcmp(group, "/..") == 0)
                return NULL;

        return strcmp(group + n, "/") == 0 ? "" : group + n;
}

static bool mount_has_memory(const Mount *mount, bool v1) {
        return v1 ? strcmp(mount->type, "cgroup") == 0 && list_has(mount->options, "memory")
                  : strcmp(mount->type, "cgroup2") == 0;
}

int cgroup_path_find(CgroupPath *ret, const char *root) {
        _cleanup_free_ char *line = NULL, *group = NULL;
        _cleanup_(fclosep) FILE *file = NULL;
        size_t size = 0;
        Mount mount;
        bool v1 = false;
        int r;

        assert(ret);
        assert(root);

        r = group_find(root, &group, &v1);
        if (r < 0)
                return r;

        r = proc_open(root, "mountinfo", &file);
        if (r < 0)
                return r;

        while (getline(&line, &size, file) > 0) {
                const char *below;
                int n;

                if (!mount_line_split(line, &mount) || !mount_has_memory(&mount, v1))
                        continue;

                unescape(mount.root);
                unescape(mount.point);
                below = group_below(group, mount.root);
                if (!below)
                        continue;

                n = snprintf(ret->path, sizeof(ret->path), "%s%s%s", root, mount.point, below);
                if (n >= (int)sizeof(ret->path))
                        continue;

                ret->v1 = v1;
                ret->n_mount = strlen(root) + strlen(mount.point);
                return 0;
        }

        return -ENOENT;
}
