/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "report/bus-object.h"

static void paths_free(char **paths, size_t n) {
        for (size_t i = 0; i < n; i++)
                free(paths[i]);
        free(paths);
}

int bus_list_paths(const char *prefix,
                   unsigned n,
                   const char *(*name)(void *data, unsigned i),
                   void *data,
                   char ***ret_paths) {
        char **paths;
        int r;

        assert(prefix);
        assert(name || n == 0);
        assert(ret_paths);

        paths = calloc((size_t)n + 1, sizeof(*paths));
        if (!paths)
                return -ENOMEM;

        for (unsigned i = 0; i < n; i++) {
                r = sd_bus_path_encode(prefix, name(data, i), &paths[i]);
                if (r < 0) {
                        paths_free(paths, i);
                        return r;
                }
        }

        *ret_paths = paths;
        return 0;
}
