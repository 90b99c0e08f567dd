/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The pages of a running service
 *
 * A table of requests against a service in each state: code, type and body are
 * those of Kubernetes, health+json and Spring Boot; what strangers may not see is
 * withheld; and a change of health shows at the very next request.
 */

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lib/manager.h"

typedef struct Site {
        char *folder, *path;
        hale_service *service;
        hale_probe *db, *disk;
} Site;

static void site_init(Site *site, hale_details details) {
        site->folder = g_dir_make_tmp("hale-XXXXXX", NULL);
        site->path = g_build_filename(site->folder, "http", NULL);
        site->service = service_of_test();
        g_assert_cmpint(hale_service_set_version(site->service, "1.2.3"), ==, 0);
        g_assert_cmpint(hale_service_set_http_details(site->service, details), ==, 0);
        g_assert_cmpint(hale_service_listen_http(site->service, site->path), ==, 0);
        g_assert_cmpint(hale_service_add_probe(site->service, &site->db, "db", HALE_GATE_READY,
                                               NULL, NULL),
                        ==, 0);
        g_assert_cmpint(hale_service_add_probe(site->service, &site->disk, "disk", HALE_GATE_LIVE,
                                               NULL, NULL),
                        ==, 0);
        g_assert_cmpint(hale_probe_set_thresholds(site->disk, 3, 1), ==, 0);
        g_assert_cmpint(hale_service_start(site->service), ==, 0);
}

static void site_done(Site *site) {
        hale_probe_unref(site->db);
        hale_probe_unref(site->disk);
        hale_service_unref(site->service);
        g_assert_false(g_file_test(site->path, G_FILE_TEST_EXISTS));
        (void)g_rmdir(site->folder);
        g_free(site->path);
        g_free(site->folder);
}

/* Asks, turning the service's loop meanwhile. Returns the whole reply; the caller's. */
static char *ask(Site *site, const char *method, const char *target, const char *accept) {
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        gint64 limit = g_get_monotonic_time() + LIMIT_USEC;
        GString *reply = g_string_new(NULL);
        char *request =
                g_strdup_printf("%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s%s%s\r\n",
                                method, target, accept ? "Accept: " : "", accept ? accept : "",
                                accept ? "\r\n" : "");
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        char buffer[4096];
        ssize_t n;

        memcpy(un.sun_path, site->path, strlen(site->path));
        g_assert_cmpint(connect(fd, (struct sockaddr *)&un, sizeof(un)), ==, 0);
        g_assert_cmpint(send(fd, request, strlen(request), MSG_NOSIGNAL), ==,
                        (ssize_t)strlen(request));

        do {
                g_assert_cmpint(sd_event_run(hale_service_get_event(site->service), 1000), >=, 0);
                n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
                if (n > 0)
                        g_string_append_len(reply, buffer, n);
                g_assert_cmpint(g_get_monotonic_time(), <, limit);
        } while (n > 0 || (n < 0 && errno == EAGAIN));

        (void)close(fd);
        g_free(request);
        return g_string_free(reply, FALSE);
}

typedef struct Case {
        const char *method, *target, *accept;
        unsigned status;
        const char *has, *has_not; /* NULL: whatever */
} Case;

static void walk(Site *site, const Case cases[], gsize n) {
        for (gsize i = 0; i < n; i++) {
                char *reply = ask(site, cases[i].method, cases[i].target, cases[i].accept);
                char *expected = g_strdup_printf("HTTP/1.1 %u ", cases[i].status);

                g_test_message("%s %s (%s): %s", cases[i].method, cases[i].target,
                               cases[i].accept ? cases[i].accept : "", reply);
                g_assert_true(g_str_has_prefix(reply, expected));
                g_assert_nonnull(strstr(reply, "Cache-Control: no-store\r\n"));
                g_assert_nonnull(strstr(reply, "X-Content-Type-Options: nosniff\r\n"));
                if (cases[i].has)
                        g_assert_nonnull(strstr(reply, cases[i].has));
                if (cases[i].has_not)
                        g_assert_null(strstr(reply, cases[i].has_not));
                g_free(expected);
                g_free(reply);
        }
}

#define SPRING "application/vnd.spring-boot.actuator.v3+json"

/* clang-format off */
static const Case starting[] = {
        { "GET", "/readyz",   NULL, 503, "[-]db failed",        NULL          },
        { "GET", "/readyz",   NULL, 503, "Retry-After: ",       NULL          },
        { "GET", "/livez",    NULL, 200, "ok",                  NULL          },
        { "GET", "/startupz", NULL, 200, "ok",                  NULL          }, /* no startup probe: it has started */
        { "GET", "/health",   NULL, 503, "\"phase\":\"starting\"", NULL       },
        { "GET", "/ping",     NULL, 200, "pong",                NULL          },
};

static const Case healthy[] = {
        { "GET",    "/readyz",                    NULL,   200, "\r\n\r\nok",                       NULL       },
        { "GET",    "/healthz",                   NULL,   200, "ok",                               NULL       },
        { "GET",    "/readyz?verbose",            NULL,   200, "[+]db ok\nreadyz check passed\n",  "disk"     },
        { "GET",    "/livez?verbose=1",           NULL,   200, "[+]disk ok\nlivez check passed\n", "db"       },
        { "GET",    "/readyz/db",                 NULL,   200, "ok",                               NULL       },
        { "GET",    "/readyz/disk",               NULL,   404, NULL,                               NULL       },
        { "GET",    "/readyz/none",               NULL,   404, NULL,                               NULL       },
        { "GET",    "/readyz/db/x",               NULL,   404, NULL,                               NULL       },
        { "GET",    "/readyz/%64b",               NULL,   200, "ok",                               NULL       },
        { "GET",    "/readyz/d%00b",              NULL,   404, NULL,                               NULL       },
        { "GET",    "/livez/disk",                NULL,   200, "ok",                               NULL       },
        { "GET",    "/health",                    NULL,   200, "application/health+json",          NULL       },
        { "GET",    "/health",                    NULL,   200, "\"status\":\"pass\"",              NULL       },
        { "GET",    "/health",                    NULL,   200, "\"releaseId\":\"1.2.3\"",            NULL       },
        { "GET",    "/health/db",                 NULL,   200, "\"db",                             "\"disk"   },
        { "GET",    "/health/none",               NULL,   404, NULL,                               NULL       },
        { "GET",    "/health/liveness",           NULL,   200, NULL,                               NULL       },
        { "GET",    "/health/readiness",          NULL,   200, NULL,                               NULL       },
        { "GET",    "/health",                    SPRING, 200, "\"status\":\"UP\"",                NULL       },
        { "GET",    "/health?format=actuator",    NULL,   200, "\"components\"",                   NULL       },
        { "GET",    "/health", "application/json", 200, "\"status\":\"pass\"",                     NULL       },
        { "HEAD",   "/health",                    NULL,   200, "Content-Length: ",                 "{"        },
        { "POST",   "/health",                    NULL,   405, "Allow: GET, HEAD",                 NULL       },
        { "GET",    "/",                          NULL,   404, NULL,                               NULL       },
        { "GET",    "/nothing",                   NULL,   404, NULL,                               NULL       },
        { "GET",    "/ping/x",                    NULL,   404, NULL,                               NULL       },
        { "BREW",   "/health",                    NULL,   501, NULL,                               NULL       },
};

static const Case warning[] = {
        { "GET", "/readyz",          NULL,   200, "ok",                   NULL },
        { "GET", "/health",          NULL,   200, "\"status\":\"warn\"",  NULL },
        { "GET", "/health",          NULL,   200, "slow but here",        NULL },
        { "GET", "/health?warn=429", NULL,   429, "\"status\":\"warn\"",  NULL },
        { "GET", "/health/db?warn=429", NULL, 429, NULL,                  NULL },
        { "GET", "/health",          SPRING, 200, "\"status\":\"UP\"",    NULL },
};

static const Case unready[] = {
        { "GET", "/readyz",             NULL,   503, "[-]db failed: refused by http://*********@h/\n", "secret" },
        { "GET", "/readyz?exclude=db",  NULL,   200, "[+]db excluded: ok",         NULL     },
        { "GET", "/readyz?exclude=zz",  NULL,   503, "no matches for \"zz\"",      NULL     },
        { "GET", "/readyz/db",          NULL,   503, "db failed",                  NULL     },
        { "GET", "/livez",              NULL,   200, "ok",                         NULL     },
        { "GET", "/health",             NULL,   503, "\"status\":\"fail\"",        "secret" },
        { "GET", "/health?warn=429",    NULL,   503, NULL,                         NULL     },
        { "GET", "/health",             SPRING, 503, "\"status\":\"DOWN\"", "secret" },
        { "GET", "/health/readiness",   NULL,   503, NULL,                         NULL     },
        { "GET", "/health/db",          NULL,   503, NULL,                         NULL     },
};

static const Case withheld[] = {
        { "GET", "/readyz",         NULL,   503, "[-]db failed: reason withheld", "refused" },
        { "GET", "/readyz?verbose", NULL,   503, "reason withheld",               "refused" },
        { "GET", "/readyz/db",      NULL,   503, "reason withheld",               "refused" },
        { "GET", "/health",         NULL,   503, "\"status\":\"fail\"",           "refused" },
        { "GET", "/health/db",      NULL,   503, NULL,                            "refused" },
        { "GET", "/health",         SPRING, 503, NULL,                            "refused" },
};

static const Case maintained[] = {
        { "GET", "/readyz", NULL, 503, "maintenance",                 NULL },
        { "GET", "/livez",  NULL, 200, "ok",                          NULL },
        { "GET", "/health", NULL, 503, "\"phase\":\"maintenance\"",   NULL },
};
/* clang-format on */

static void test_states(void) {
        Site site;

        site_init(&site, HALE_DETAILS_LOCAL);
        walk(&site, starting, G_N_ELEMENTS(starting));

        (void)hale_probe_pass(site.disk, NULL);
        (void)hale_probe_pass(site.db, NULL);
        walk(&site, healthy, G_N_ELEMENTS(healthy));

        (void)hale_probe_warn(site.db, "slow but here");
        walk(&site, warning, G_N_ELEMENTS(warning));

        (void)hale_probe_fail(site.db, "refused by http://me:secret@h/");
        walk(&site, unready, G_N_ELEMENTS(unready));

        (void)hale_probe_pass(site.db, NULL);
        g_assert_cmpint(hale_service_set_maintenance(site.service, UINT64_MAX, "disk swap"), ==, 0);
        walk(&site, maintained, G_N_ELEMENTS(maintained));
        site_done(&site);
}

static void test_details_are_withheld(void) {
        Site site;

        site_init(&site, HALE_DETAILS_NEVER);
        (void)hale_probe_pass(site.disk, NULL);
        (void)hale_probe_pass(site.db, NULL);
        (void)hale_probe_fail(site.db, "refused by 10.0.0.7");
        walk(&site, withheld, G_N_ELEMENTS(withheld));
        site_done(&site);
}

/* The next request after a change shows it: a page may be kept, but not a moment too long. */
static void test_no_page_is_older_than_the_health(void) {
        Site site;

        site_init(&site, HALE_DETAILS_ALWAYS);
        (void)hale_probe_pass(site.disk, NULL);
        for (guint i = 0; i < 200; i++) {
                gboolean pass = g_test_rand_bit();
                char *reply;

                if (pass)
                        (void)hale_probe_pass(site.db, NULL);
                else
                        (void)hale_probe_fail(site.db, NULL);

                reply = ask(&site, "GET", i % 2 ? "/readyz" : "/health", NULL);
                g_assert_true(g_str_has_prefix(reply, pass ? "HTTP/1.1 200" : "HTTP/1.1 503"));
                g_assert_cmpint(hale_service_is_ready(site.service), ==, pass);
                g_free(reply);
        }
        site_done(&site);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/service/http/states", test_states);
        g_test_add_func("/service/http/details-are-withheld", test_details_are_withheld);
        g_test_add_func("/service/http/no-page-is-older-than-the-health",
                        test_no_page_is_older_than_the_health);
        return g_test_run();
}
