/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A Manager for Tests
 *
 * Stands where systemd stands: listens on $NOTIFY_SOCKET, keeps every datagram it
 * got, and turns the loop of a service that runs in the test itself until
 * something has happened, with a limit. Defines its functions, because each test
 * is one program of one file.
 */

#include <glib.h>
#include <glib/gstdio.h>
#include <hale/hale.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-event.h>
#include <unistd.h>

/* Generous: a test that needs it has failed, or the machine has. */
#define LIMIT_USEC (20 * G_USEC_PER_SEC)

typedef struct Manager {
        char *folder, *path;
        int fd;
        GPtrArray *messages; /* of char *, in the order they came */
} Manager;

G_GNUC_UNUSED static void manager_init(Manager *manager, const char *watchdog_usec) {
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        char *pid;

        manager->folder = g_dir_make_tmp("hale-XXXXXX", NULL);
        manager->path = g_build_filename(manager->folder, "notify", NULL);
        manager->messages = g_ptr_array_new_with_free_func(g_free);
        g_assert_cmpuint(strlen(manager->path), <, sizeof(un.sun_path));
        memcpy(un.sun_path, manager->path, strlen(manager->path));

        manager->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        g_assert_cmpint(manager->fd, >=, 0);
        g_assert_cmpint(bind(manager->fd, (struct sockaddr *)&un, sizeof(un)), ==, 0);

        pid = g_strdup_printf("%d", (int)getpid());
        g_setenv("NOTIFY_SOCKET", manager->path, TRUE);
        if (watchdog_usec) {
                g_setenv("WATCHDOG_USEC", watchdog_usec, TRUE);
                g_setenv("WATCHDOG_PID", pid, TRUE);
        }
        g_free(pid);
}

G_GNUC_UNUSED static void manager_done(Manager *manager) {
        (void)close(manager->fd);
        (void)g_unlink(manager->path);
        (void)g_rmdir(manager->folder);
        g_ptr_array_unref(manager->messages);
        g_free(manager->path);
        g_free(manager->folder);
}

/* Takes in what has come. */
G_GNUC_UNUSED static void manager_read(Manager *manager) {
        char buffer[8192];
        ssize_t n;

        while ((n = recv(manager->fd, buffer, sizeof(buffer) - 1, MSG_DONTWAIT)) >= 0) {
                buffer[n] = '\0';
                g_ptr_array_add(manager->messages, g_strdup(buffer));
        }
}

static gboolean message_has(const char *message, const char *line) {
        char **lines = g_strsplit(message, "\n", -1);
        gboolean found = FALSE;

        for (char **l = lines; *l; l++)
                found = found || g_str_has_prefix(*l, line);

        g_strfreev(lines);
        return found;
}

/* How many messages have a line that begins like that. */
G_GNUC_UNUSED static guint manager_count(Manager *manager, const char *line) {
        guint n = 0;

        manager_read(manager);
        for (guint i = 0; i < manager->messages->len; i++)
                n += message_has(g_ptr_array_index(manager->messages, i), line);

        return n;
}

/* The last message with such a line, or NULL. */
G_GNUC_UNUSED static const char *manager_last(Manager *manager, const char *line) {
        manager_read(manager);
        for (guint i = manager->messages->len; i > 0; i--)
                if (message_has(g_ptr_array_index(manager->messages, i - 1), line))
                        return g_ptr_array_index(manager->messages, i - 1);

        return NULL;
}

/* Forgets all, for "from now on". */
G_GNUC_UNUSED static void manager_forget(Manager *manager) {
        manager_read(manager);
        g_ptr_array_set_size(manager->messages, 0);
}

/* Turns the loop until @condition, and says whether it came before the limit. */
#define turn_until(service, condition)                                                             \
        ({                                                                                         \
                gint64 _limit = g_get_monotonic_time() + LIMIT_USEC;                               \
                while (!(condition) && g_get_monotonic_time() < _limit)                            \
                        g_assert_cmpint(sd_event_run(hale_service_get_event(service), 20000), >=,  \
                                        0);                                                        \
                (condition);                                                                       \
        })

/* Turns the loop for so long, for what must not happen meanwhile. */
G_GNUC_UNUSED static void turn_for(hale_service *service, guint64 usec) {
        gint64 until = g_get_monotonic_time() + (gint64)usec;

        while (g_get_monotonic_time() < until)
                g_assert_cmpint(sd_event_run(hale_service_get_event(service), 5000), >=, 0);
}

/* A service with a loop of its own, as if in a fresh process. */
G_GNUC_UNUSED static hale_service *service_of_test(void) {
        hale_service *service = NULL;
        sd_event *event = NULL;

        g_assert_cmpint(hale_service_new(&service, "subject"), ==, 0);
        g_assert_cmpint(sd_event_new(&event), ==, 0);
        g_assert_cmpint(hale_service_attach(service, event), ==, 0);
        (void)sd_event_unref(event);
        return service;
}
