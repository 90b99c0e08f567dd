/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What of a link runs in the pool: functions that block, and names
 *
 * A call that hangs costs one thread and ends in words; the end of the service waits for
 * nobody; a name is resolved off the loop, and one that is not says why.
 */

#include <dlfcn.h>
#include <netdb.h>

#include "lib/fake-link.h"

/* Stands before the C library's resolver, which answers for the others. */
#define HANGING_NAME "hangs.invalid"

static Fake resolver; /* hangs or does not */
static gint n_lookups;

__attribute__((visibility("default"))) int getaddrinfo(const char *host,
                                                       const char *port,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **ret) {
        union {
                void *pointer;
                int (*call)(const char *,
                            const char *,
                            const struct addrinfo *,
                            struct addrinfo **);
        } real = { .pointer = dlsym(RTLD_NEXT, "getaddrinfo") };

        if (strcmp(host, HANGING_NAME) != 0 || hints->ai_flags & AI_NUMERICHOST)
                return real.call(host, port, hints, ret);

        g_atomic_int_inc(&n_lookups);
        fake_wait(&resolver);
        return real.call("127.0.0.1", port, hints, ret);
}

static void test_added_later(void) {
        hale_service *service = service_of_test();
        Fake fake = {};
        hale_link *link;

        g_assert_cmpint(hale_service_start(service), ==, 0);
        g_assert_true(turn_until(service, hale_service_is_ready(service)));
        link = fake_link(service, &fake);
        g_assert_cmpint(hale_link_set_blocking(link, 1), ==, 0);
        g_assert_true(turn_until(service, hale_link_is_up(link)));
        finish(service, link, &fake);
}

static void test_blocking(void) {
        hale_service *service = service_of_test();
        Fake fake = {};
        hale_link *link = fake_link(service, &fake);

        g_assert_cmpint(hale_link_set_blocking(link, 1), ==, 0);
        g_assert_cmpint(hale_service_start(service), ==, 0);
        g_assert_true(turn_until(service, fake.n_check >= 3));
        g_assert_cmpuint(fake.n_open, ==, 1);

        fake.says = "no room in the thread";
        fake.check_result = -EPIPE;
        g_assert_true(turn_until(service, fake.n_open >= 3 && !hale_link_is_up(link) &&
                                                  strstr(hale_link_get_reason(link), "no room")));
        fake.says = NULL;
        fake.check_result = 0;
        g_assert_true(turn_until(service, hale_link_is_up(link)));

        g_assert_cmpint(hale_link_down(link, "we know better"), ==, HALE_REPORTED);
        g_assert_true(turn_until(service, hale_link_is_up(link)));
        g_assert_cmpint(hale_service_stop(service), ==, 0);
        g_assert_true(turn_until(service, sd_event_get_state(hale_service_get_event(service)) ==
                                                  SD_EVENT_FINISHED));
        g_assert_false(fake.was_up);
        finish(service, link, &fake);
}

/* A call that hangs: one thread is given up, and no second; when it returns, all is well. */
static void test_blocking_hangs(void) {
        hale_service *service = service_of_test();
        Fake fake = { .hangs = true };
        hale_link *link = fake_link(service, &fake);

        g_assert_cmpint(hale_link_set_blocking(link, 1), ==, 0);
        g_assert_cmpint(hale_service_start(service), ==, 0);
        g_assert_true(turn_until(service, strcmp(hale_link_get_reason(link),
                                                 "an earlier call has not returned yet") == 0));
        g_assert_true(turn_until(service, hale_link_get_n_attempts(link) >= 10));
        g_assert_cmpuint(fake.n_open, ==, 1);

        fake_hang(&fake, false);
        g_assert_true(turn_until(service, hale_link_is_up(link)));
        g_assert_cmpuint(fake.n_close, ==, 1);
        g_assert_cmpuint(fake.n_open, ==, 2);

        fake_hang(&fake, true); /* the check */
        g_assert_true(turn_until(service, !hale_link_is_up(link)));
        g_assert_cmpuint(fake.n_open, ==, 2);
        fake_hang(&fake, false);
        g_assert_true(turn_until(service, hale_link_is_up(link)));
        g_assert_cmpuint(fake.n_close, ==, 2);

        finish(service, link, &fake);
}

/* The service ends while a call hangs: its thread has what it needs until it returns. */
static void test_blocking_hangs_at_the_end(void) {
        hale_service *service = service_of_test();
        Fake fake = { .hangs = true };
        hale_link *link = fake_link(service, &fake);

        g_assert_cmpint(hale_link_set_blocking(link, 1), ==, 0);
        g_assert_cmpint(hale_service_start(service), ==, 0);
        g_assert_true(turn_until(service, fake.n_open == 1));
        hale_link_unref(link);
        hale_service_unref(service);
        g_assert_cmpuint(fake.n_free, ==, 0);
        fake_hang(&fake, false);
        fake_await_free(&fake);
        g_assert_cmpuint(fake.n_close, ==, 1);
}

/* The same for a close(): it is the pool's, and nobody waits for it. */
static void test_close_hangs_at_the_end(void) {
        for (guint way = 0; way < 3; way++) {
                hale_service *service = service_of_test();
                Fake fake = { .close_hangs = true };
                hale_link *link = fake_link(service, &fake);

                g_assert_cmpint(hale_link_set_blocking(link, 1), ==, 0);
                g_assert_cmpint(hale_service_start(service), ==, 0);
                g_assert_true(turn_until(service, hale_link_is_up(link) && fake.n_check > way));
                fake_hang(&fake, true);
                if (way > 0)
                        g_assert_cmpint(hale_service_stop(service), ==, 0);
                if (way > 1)
                        g_assert_true(turn_until(service, sd_event_get_state(hale_service_get_event(
                                                                  service)) == SD_EVENT_FINISHED));
                hale_link_unref(link);
                hale_service_unref(service);
                g_assert_cmpuint(fake.n_close, ==, 0);
                fake_hang(&fake, false);
                fake_await_free(&fake);
                g_assert_cmpuint(fake.n_close, ==, 1);
        }
}

typedef struct Names {
        const char *host;
        unsigned n_resolved, n_addresses;
        char first[64], error[256];
} Names;

static void on_resolved(hale_link *link,
                        const char *const *addresses,
                        unsigned n_addresses,
                        const char *error,
                        void *userdata) {
        Names *names = userdata;

        names->n_resolved++;
        names->n_addresses = n_addresses;
        g_strlcpy(names->error, error, sizeof(names->error));
        if (n_addresses > 0)
                g_strlcpy(names->first, addresses[0], sizeof(names->first));
        (void)(n_addresses > 0 ? hale_link_up(link) : hale_link_down(link, "%s", error));
}

static int names_open(hale_link *link, void *userdata) {
        Names *names = userdata;
        int r = hale_link_resolve(link, names->host, on_resolved);

        return r < 0 ? r : HALE_PENDING;
}

static void test_resolve(void) {
        static const hale_link_ops ops = { .open = names_open };
        static const struct {
                const char *host, *first;
        } rows[] = {
                { "192.0.2.1", "192.0.2.1" },
                { "::1", "::1" },
                { "localhost", NULL },
                { "no-such-name.invalid", "" },
        };

        for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
                hale_service *service = service_of_test();
                Names names = { .host = rows[i].host };
                hale_link *link;

                g_assert_cmpint(hale_service_add_link(service, &link, "db", &ops, &names), ==, 0);
                g_assert_cmpint(hale_link_resolve(link, "::1", on_resolved), ==, -ESTALE);
                g_assert_cmpint(hale_link_set_connect_timeout_usec(link, 60 * G_USEC_PER_SEC), ==,
                                0);
                g_assert_cmpint(hale_service_start(service), ==, 0);
                g_assert_true(turn_until(service, names.n_resolved == 1));
                if (rows[i].first && !rows[i].first[0]) {
                        g_assert_false(hale_link_is_up(link));
                        g_assert_nonnull(strstr(hale_link_get_reason(link), rows[i].host));
                } else {
                        g_assert_true(hale_link_is_up(link));
                        g_assert_cmpuint(names.n_addresses, >=, 1);
                        if (rows[i].first)
                                g_assert_cmpstr(names.first, ==, rows[i].first);
                }
                hale_link_unref(link);
                hale_service_unref(service);
        }
}

/*
 * A resolver that hangs: it costs one thread, the link says what it is about and goes on trying,
 * nobody waits for it at the end; and when it answers at last, names are resolved again.
 */
static void test_resolver_hangs(void) {
        static const hale_link_ops ops = { .open = names_open };

        for (guint way = 0; way < 2; way++) {
                Names names = { .host = HANGING_NAME };
                hale_service *service = service_of_test();
                hale_link *link;

                fake_hang(&resolver, true);
                g_atomic_int_set(&n_lookups, 0);
                g_assert_cmpint(hale_service_add_link(service, &link, "db", &ops, &names), ==, 0);
                g_assert_cmpint(hale_link_set_backoff_usec(link, 1000, 1000), ==, 0);
                g_assert_cmpint(hale_link_set_connect_timeout_usec(link, 10000), ==, 0);
                g_assert_cmpint(hale_service_start(service), ==, 0);
                g_assert_true(turn_until(service, strcmp(hale_link_get_reason(link),
                                                         "no connection within 10ms") == 0));
                g_assert_true(
                        turn_until(service, strstr(hale_link_get_reason(link), "earlier lookup")));
                g_assert_nonnull(strstr(hale_link_get_reason(link), HANGING_NAME));
                g_assert_true(turn_until(service, hale_link_get_n_attempts(link) >= 20));
                g_assert_cmpint(g_atomic_int_get(&n_lookups), ==, 1);

                if (way > 0) {
                        fake_hang(&resolver, false);
                        g_assert_true(turn_until(service, hale_link_is_up(link)));
                }
                hale_link_unref(link);
                hale_service_unref(service);
                fake_hang(&resolver, false);
        }
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/service/link/added-later", test_added_later);
        g_test_add_func("/service/link/blocking", test_blocking);
        g_test_add_func("/service/link/blocking-hangs", test_blocking_hangs);
        g_test_add_func("/service/link/blocking-hangs-at-the-end", test_blocking_hangs_at_the_end);
        g_test_add_func("/service/link/close-hangs-at-the-end", test_close_hangs_at_the_end);
        g_test_add_func("/service/link/resolve", test_resolve);
        g_test_add_func("/service/link/resolver-hangs", test_resolver_hangs);
        return g_test_run();
}
