/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Notify Environment
 *
 * What is taken is gone from the environment, right or wrong; $LISTEN_* stays.
 * Values that make no sense are told and not used, and a watchdog meant for another
 * process is told and kept.
 */

#include <glib.h>
#include <unistd.h>

#include "report/notify-environment.h"

static void set_or_unset(const char *name, const char *value) {
        if (value)
                (void)g_setenv(name, value, TRUE);
        else
                g_unsetenv(name);
}

static void test_environment(void) {
        g_autofree char *me = g_strdup_printf("%d", getpid());
        const struct {
                const char *socket, *usec, *pid;
                const char *address;
                guint64 watchdog_usec;
                gboolean foreign, complains;
        } rows[] = {
                { NULL, NULL, NULL, NULL, 0, FALSE, FALSE },
                { "", NULL, NULL, NULL, 0, FALSE, FALSE },
                { "/run/systemd/notify", "30000000", me, "/run/systemd/notify", 30000000, FALSE,
                  FALSE },
                { "@a", "30000000", NULL, "@a", 30000000, FALSE, FALSE },
                { "@a", "30000000", "1999999999", "@a", 30000000, TRUE, TRUE },
                { "@a", "30000000", "me", "@a", 30000000, FALSE, TRUE },
                { "@a", "0", me, "@a", 0, FALSE, TRUE },
                { "@a", "", me, "@a", 0, FALSE, TRUE },
                { "@a", "-1", me, "@a", 0, FALSE, TRUE },
                { "@a", "30s", me, "@a", 0, FALSE, TRUE },
                { "@a", " 5", me, "@a", 0, FALSE, TRUE },
                { "@a", "18446744073709551615", me, "@a", 0, FALSE, TRUE },
                { "@a", "99999999999999999999", me, "@a", 0, FALSE, TRUE },
                { "@a", NULL, "77", "@a", 0, FALSE, FALSE },
        };

        (void)g_setenv("LISTEN_FDS", "1", TRUE);
        for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
                NotifyEnvironment environment;

                set_or_unset("NOTIFY_SOCKET", rows[i].socket);
                set_or_unset("WATCHDOG_USEC", rows[i].usec);
                set_or_unset("WATCHDOG_PID", rows[i].pid);
                g_test_message("row %" G_GSIZE_FORMAT, i);
                g_assert_cmpint(notify_environment_take(&environment), ==, 0);

                g_assert_cmpstr(environment.address, ==, rows[i].address);
                g_assert_cmpuint(environment.watchdog_usec, ==, rows[i].watchdog_usec);
                g_assert_cmpint(environment.watchdog_foreign, ==, rows[i].foreign);
                g_assert_cmpint(!!environment.complaint, ==, rows[i].complains);
                g_assert_null(g_getenv("NOTIFY_SOCKET"));
                g_assert_null(g_getenv("WATCHDOG_USEC"));
                g_assert_null(g_getenv("WATCHDOG_PID"));
                g_assert_cmpstr(g_getenv("LISTEN_FDS"), ==, "1");
                notify_environment_done(&environment);
        }
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);

        g_test_add_func("/report/notify-environment/take", test_environment);

        return g_test_run();
}
