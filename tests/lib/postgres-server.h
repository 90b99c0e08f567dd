/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A Real PostgreSQL for Tests
 *
 * A cluster of its own in a temporary folder, which is nobody else's: its only user is
 * `orders`, with a password.
 */

#include <glob.h>
#include <stdbool.h>

#include "lib/server.h"

/* The newest of the server's programs of that name; Debian keeps them apart by version. */
static char *postgres_program(const char *name) {
        char *pattern = g_strdup_printf("/usr/lib/postgresql/*/bin/%s", name), *found = NULL;
        glob_t matches = {};

        if (glob(pattern, 0, NULL, &matches) == 0)
                found = g_strdup(matches.gl_pathv[matches.gl_pathc - 1]);
        else
                found = g_find_program_in_path(name);
        globfree(&matches);
        g_free(pattern);
        return found;
}

/* Why there can be none, or NULL. */
G_GNUC_UNUSED static const char *postgres_missing(void) {
        char *initdb = postgres_program("initdb"), *postgres = postgres_program("postgres");
        bool missing = !initdb || !postgres;

        g_free(initdb);
        g_free(postgres);
        if (missing)
                return "no PostgreSQL server is installed (package postgresql)";
        if (geteuid() == 0 && !getpwnam("postgres"))
                return "root may not run PostgreSQL, and there is no user postgres";

        return NULL;
}

/* Makes the cluster, which takes seconds; server_start() starts it. */
G_GNUC_UNUSED static void postgres_init(Server *server, const char *password) {
        char *initdb = postgres_program("initdb"), *postgres = postgres_program("postgres");
        char *data, *secret, *port, *pwfile, *line;

        server_init(server, "postgres");
        server->port = free_port();
        if (server->user)
                g_assert_cmpint(chown(server->folder, getpwnam("postgres")->pw_uid, (gid_t)-1), ==,
                                0);
        data = g_build_filename(server->folder, "data", NULL);
        secret = g_build_filename(server->folder, "secret", NULL);
        pwfile = g_strconcat("--pwfile=", secret, NULL);
        port = g_strdup_printf("%u", server->port);
        line = g_strconcat(password, "\n", NULL);
        g_assert_true(g_file_set_contents(secret, line, -1, NULL));
        g_assert_cmpint(chmod(secret, 0644), ==, 0);

        const char *const make[] = {
                initdb,          "-D",   data,        "-U",         "orders", "-A",
                "scram-sha-256", pwfile, "--no-sync", "--locale=C", NULL
        };
        const char *const run[] = { postgres, "-D",           data,
                                    "-k",     server->folder, "-p",
                                    port,     "-c",           "listen_addresses=localhost",
                                    "-c",     "fsync=off",    NULL };

        server_run(server, make);
        server->command = g_strdupv((char **)(uintptr_t)run);
        g_free(initdb);
        g_free(postgres);
        g_free(data);
        g_free(secret);
        g_free(pwfile);
        g_free(port);
        g_free(line);
}
