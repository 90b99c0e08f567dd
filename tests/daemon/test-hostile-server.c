/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Links to servers that mean harm
 *
 * Compiled once for each adapter. Whatever the server says, the link is not up, says why, and
 * lets go of each connection within its deadline; the loop turns and the service answers
 * meanwhile; and what all that cost in memory, descriptors and threads is bounded and given
 * back.
 */

#include <hale/hale.h>
#include <stdbool.h>
#include HEADER

#include "lib/hostile-server.h"
#include "lib/manager.h"

/* More than all attempts together keep of what a server says that has not let them in; the
 * sanitizer holds back what was freed. */
#define MEMORY_MAX ((guint64)128 << 20)

/* No single turn of the loop is longer: generous, for sanitizers on a busy machine. */
#define TURN_MAX_USEC (2 * G_USEC_PER_SEC)

#define OPENING(text) text, sizeof(text) - 1

/* clang-format off */
static const struct {
        const char *name;
        HostileManner manner;
        const char *opening;
        gsize n_opening;
        char filler;
} rows[] = {
        { "silent",              HOSTILE_SILENT,     OPENING(""),                        0   },
        { "reset",               HOSTILE_RESET,      OPENING(""),                        0   },
        { "half-close",          HOSTILE_HALF_CLOSE, OPENING(""),                        0   },
        { "noise",               HOSTILE_NOISE,      OPENING(""),                        0   },
        { "drip",                HOSTILE_DRIP,       OPENING(""),                        'R' },
        { "zeros",               HOSTILE_FLOOD,      OPENING(""),                        0   },
        { "newlines",            HOSTILE_FLOOD,      OPENING(""),                        '\n' },
        { "line-without-end",    HOSTILE_FLOOD,      OPENING("+"),                       'a' },
        { "error-without-end",   HOSTILE_FLOOD,      OPENING("-ERR "),                   'a' },
        { "bulk-of-512M",        HOSTILE_FLOOD,      OPENING("$536870912\r\n"),          'a' },
        { "bulk-below-zero",     HOSTILE_FLOOD,      OPENING("$-9223372036854775808\r\n"), 'a' },
        { "array-of-a-billion",  HOSTILE_SILENT,     OPENING("*1000000000\r\n"),         0   },
        { "arrays-in-arrays",    HOSTILE_FLOOD,      OPENING("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"), '*' },
        { "ssl-and-silence",     HOSTILE_SILENT,     OPENING("S"),                       0   },
        { "ssl-and-flood",       HOSTILE_FLOOD,      OPENING("S"),                       'S' },
        { "no-ssl-and-silence",  HOSTILE_SILENT,     OPENING("N"),                       0   },
        { "let-in-and-silence",  HOSTILE_SILENT,     OPENING("NR\0\0\0\10\0\0\0\0"),     0   },
        { "let-in-and-reset",    HOSTILE_RESET,      OPENING("NR\0\0\0\10\0\0\0\0"),     0   },
        { "notice-of-4M",        HOSTILE_FLOOD,      OPENING("NR\0\0\0\10\0\0\0\0N\0\100\0\0"), 'a' },
        { "asks-what-is-unknown", HOSTILE_SILENT,    OPENING("NR\0\0\0\10\0\0\0\143"),   0   },
        { "frame-of-4G",         HOSTILE_FLOOD,      OPENING("\1\0\0\377\377\377\377"),  'a' },
        { "frame-and-drip",      HOSTILE_DRIP,       OPENING("\1\0\0\0\0\377\377"),      'a' },
        { "other-version",       HOSTILE_HALF_CLOSE, OPENING("AMQP\0\1\0\11"),           0   },
};
/* clang-format on */

static guint64 resident(void) {
        char *text = NULL;
        guint64 size, pages;

        g_assert_true(g_file_get_contents("/proc/self/statm", &text, NULL, NULL));
        g_assert_cmpint(sscanf(text, "%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT, &size, &pages), ==,
                        2);
        g_free(text);
        return pages * (guint64)sysconf(_SC_PAGESIZE);
}

static guint count_below(const char *path) {
        GDir *dir = g_dir_open(path, 0, NULL);
        guint n = 0;

        while (g_dir_read_name(dir))
                n++;
        g_dir_close(dir);
        return n;
}

static void test_server(gconstpointer data) {
        gsize row = GPOINTER_TO_SIZE(data);
        Hostile hostile = {
                .manner = rows[row].manner,
                .opening = rows[row].opening,
                .n_opening = rows[row].n_opening,
                .filler = rows[row].filler,
        };
        guint64 least = resident(), most = 0;
        guint n_fds = count_below("/proc/self/fd");
        gint64 longest = 0, until;
        hale_service *service;
        hale_link *link;
        char *url;

        hostile_start(&hostile);
        service = service_of_test();
        url = g_strdup_printf(URL, hostile.port);
        g_assert_cmpint(ADD_LINK(service, &link, "db", url), ==, 0);
        g_assert_cmpint(hale_link_set_backoff_usec(link, 10000, 50000), ==, 0);
        g_assert_cmpint(hale_link_set_connect_timeout_usec(link, 500000), ==, 0);
        g_assert_cmpint(hale_service_start(service), ==, 0);

        until = g_get_monotonic_time() + LIMIT_USEC;
        while (g_atomic_int_get(&hostile.n_accepted) < 3 && g_get_monotonic_time() < until) {
                gint64 before = g_get_monotonic_time();

                g_assert_cmpint(sd_event_run(hale_service_get_event(service), 20000), >=, 0);
                longest = MAX(longest, g_get_monotonic_time() - before);
                most = MAX(most, resident());
                g_assert_false(hale_link_is_up(link));
        }
        g_assert_cmpint(g_atomic_int_get(&hostile.n_accepted), >=, 3);
        g_test_message("%s: %s; %u attempts, %.1f MiB more, longest turn %.1f ms, %.1f MiB sent",
                       rows[row].name, hale_link_get_reason(link),
                       (guint)hale_link_get_n_attempts(link),
                       (double)(MAX(most, least) - least) / (1 << 20), (double)longest / 1000,
                       (double)hostile.n_sent / (1 << 20));
        g_assert_cmpstr(hale_link_get_reason(link), !=, "");
        g_assert_cmpint(longest, <, TURN_MAX_USEC);
        g_assert_cmpuint(most, <, least + MEMORY_MAX);
        g_assert_true(hale_service_is_live(service));
        g_assert_false(hale_service_is_ready(service));

        hale_link_unref(link);
        hale_service_unref(service);
        hostile_stop(&hostile);
        until = g_get_monotonic_time() + LIMIT_USEC;
        while (count_below("/proc/self/fd") > n_fds && g_get_monotonic_time() < until)
                g_thread_yield(); /* a thread of the pool closes */
        g_assert_cmpuint(count_below("/proc/self/fd"), <=, n_fds);
        g_free(url);
}

/* A thousand connections that come to nothing leave nothing behind. */
static void test_churn(void) {
        Hostile hostile = { .manner = HOSTILE_RESET, .opening = "" };
        hale_service *service = service_of_test();
        guint n_fds, n_threads;
        guint64 before = 0;
        hale_link *link;
        char *url;

        hostile_start(&hostile);
        url = g_strdup_printf(URL, hostile.port);
        g_assert_cmpint(ADD_LINK(service, &link, "db", url), ==, 0);
        g_assert_cmpint(hale_link_set_backoff_usec(link, 1000, 1000), ==, 0);
        g_assert_cmpint(hale_link_set_breaker(link, 0), ==, 0);
        g_assert_cmpint(hale_service_start(service), ==, 0);

        /* What is made once has been made by then. */
        g_assert_true(turn_until(service, g_atomic_int_get(&hostile.n_accepted) >= 100));
        n_fds = count_below("/proc/self/fd");
        n_threads = count_below("/proc/self/task");
        before = resident();
        for (gint n = 200; n <= 1100; n += 100) /* the limit is for each hundred */
                g_assert_true(turn_until(service, g_atomic_int_get(&hostile.n_accepted) >= n));
        g_test_message(
                "%u descriptors before, %u after; %u threads before, %u after; %.1f MiB more",
                n_fds, count_below("/proc/self/fd"), n_threads, count_below("/proc/self/task"),
                (double)(MAX(resident(), before) - before) / (1 << 20));

        /* One connection may be under way, with what belongs to it, at either moment. */
        g_assert_true(turn_until(service, count_below("/proc/self/fd") <= n_fds + 8));
        g_assert_true(turn_until(service, count_below("/proc/self/task") <= n_threads + 1));
        g_assert_cmpuint(resident(), <, before + 2 * MEMORY_MAX);
        hale_link_unref(link);
        hale_service_unref(service);
        hostile_stop(&hostile);
        g_free(url);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/adapter/hostile-server/churn", test_churn);
        for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
                char *path = g_strconcat("/adapter/hostile-server/", rows[i].name, NULL);

                g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_server);
                g_free(path);
        }
        return g_test_run();
}
