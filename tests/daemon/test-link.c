/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Links of a running service, through the public calls only
 *
 * Each way to connect (at once, later, by the program itself) comes to the health as it
 * should; close() is called once for each open(); what is late is not applied; the journal
 * has one line for an outage and one for its end; `live` stays open unless somebody insists.
 * (What runs in the pool is for test-link-blocking.)
 */

#include "lib/fake-link.h"
#include "lib/server.h"

static void test_refusals(void) {
        hale_service *service = service_of_test();
        hale_link *link, *none = NULL;
        Fake fake = {};

        g_assert_cmpint(hale_service_add_link(service, &link, "db", &fake_ops, &fake), ==, 0);
        g_assert_cmpint(hale_service_add_link(service, &none, "db", &fake_ops, &fake), ==, -EEXIST);
        g_assert_cmpint(hale_service_add_link(service, &none, "D B", &fake_ops, &fake), ==,
                        -EINVAL);
        g_assert_cmpint(hale_service_add_probe(service, NULL, "db", 0, NULL, NULL), ==, -EEXIST);
        g_assert_null(none);
        g_assert_true(hale_service_find_link(service, "db") == link);
        g_assert_null(hale_service_find_link(service, "bd"));
        g_assert_cmpuint(fake.n_free, ==, 0);

        g_assert_cmpint(hale_link_set_gates(link, HALE_GATE_LIVE), ==, -EINVAL);
        g_assert_cmpint(hale_link_set_backoff_usec(link, 2000, 1000), ==, -EINVAL);
        g_assert_cmpint(hale_link_set_backoff_usec(link, 0, 1000), ==, -EINVAL);
        g_assert_cmpint(hale_link_set_connect_timeout_usec(link, 0), ==, -EINVAL);
        g_assert_cmpint(hale_link_set_check_interval_usec(link, UINT64_MAX), ==, 0);
        g_assert_cmpint(hale_link_set_check_timeout_usec(link, UINT64_MAX), ==, -EINVAL);
        g_assert_cmpint(hale_link_up(link), ==, -ESTALE);
        g_assert_cmpint(hale_link_reopen(link), ==, -ESTALE);
        g_assert_cmpint(hale_link_up(NULL), ==, -EINVAL);
        g_assert_true(hale_link_get_userdata(link, &fake_ops) == &fake);
        g_assert_null(hale_link_get_userdata(link, NULL));
        g_assert_cmpstr(hale_link_state_to_string(HALE_LINK_CONNECTING), ==, "connecting");
        g_assert_null(hale_link_state_to_string((hale_link_state)3));

        g_assert_cmpint(hale_service_start(service), ==, 0);
        g_assert_true(turn_until(service, hale_link_is_up(link)));
        g_assert_cmpint(hale_link_set_breaker(link, 3), ==, -EBUSY);
        g_assert_cmpint(hale_link_set_gates(link, 0), ==, -EBUSY);

        hale_service_unref(service);
        g_assert_cmpint(hale_link_up(link), ==, -ESTALE);
        g_assert_cmpint(hale_link_reopen(link), ==, -ESTALE);
        g_assert_false(hale_link_is_up(link));
        hale_link_unref(link);
        hale_link_unref(NULL);
        g_assert_cmpuint(fake.n_open, ==, 1);
        g_assert_cmpuint(fake.n_close, ==, 1);
        g_assert_cmpuint(fake.n_free, ==, 1);
}

static void test_told(void) {
        hale_service *service = service_of_test();
        hale_link *link;

        g_assert_cmpint(hale_service_add_link(service, &link, "db", NULL, NULL), ==, 0);
        g_assert_cmpint(hale_service_start(service), ==, 0);
        turn_for(service, 20000);
        g_assert_false(hale_service_is_ready(service));
        g_assert_cmpint(hale_probe_get_verdict(hale_service_find_probe(service, "db")), ==,
                        HALE_UNKNOWN);

        g_assert_cmpint(hale_link_up(link), ==, HALE_REPORTED);
        g_assert_true(turn_until(service, hale_service_is_ready(service)));
        g_assert_cmpint(hale_link_down(link, "gone\nWATCHDOG=trigger password=secret"), ==,
                        HALE_REPORTED);
        g_assert_true(turn_until(service, !hale_service_is_ready(service)));
        g_assert_true(
                g_str_has_prefix(hale_link_get_reason(link), "gone WATCHDOG=trigger password=*"));
        g_assert_null(strstr(hale_link_get_reason(link), "secret"));
        g_assert_true(hale_service_is_live(service));
        g_assert_cmpint(hale_link_reopen(link), ==, -EOPNOTSUPP);

        /* Silence does not age: the link always knows how it is. */
        g_assert_cmpint(hale_link_up(link), ==, HALE_REPORTED);
        g_assert_cmpuint(hale_link_get_generation(link), ==, 2);
        g_assert_true(turn_until(service, hale_service_is_ready(service)));

        hale_link_unref(link);
        hale_service_unref(service);
}

static void test_up_and_checked(void) {
        hale_service *service = service_of_test();
        Fake fake = {};
        hale_link *link = fake_link(service, &fake);

        g_assert_cmpint(hale_service_start(service), ==, 0);
        g_assert_true(turn_until(service, hale_service_is_ready(service)));
        g_assert_true(turn_until(service, fake.n_check >= 3));
        g_assert_cmpuint(fake.n_open, ==, 1);
        g_assert_cmpuint(fake.n_changed, ==, 1);
        g_assert_true(fake.was_up);

        /* The answer that comes later, in time. */
        fake.check_result = HALE_PENDING;
        g_assert_true(turn_until(service, fake.n_check >= 4));
        g_assert_cmpint(hale_link_up(link), ==, HALE_REPORTED);
        g_assert_true(turn_until(service, fake.n_check >= 5));
        g_assert_cmpuint(fake.n_open, ==, 1);

        /* The one that does not: the connection is lost, and made anew. */
        g_assert_true(turn_until(service, fake.n_open == 2));
        g_assert_cmpuint(fake.n_changed, >=, 2);
        fake.check_result = -EPIPE;
        g_assert_true(turn_until(service, fake.n_open >= 4));
        finish(service, link, &fake);
}

static void test_reasons(void) {
        hale_service *service = service_of_test();
        Fake fake = { .open_result = -ECONNREFUSED };
        hale_link *link = fake_link(service, &fake);

        g_assert_cmpint(hale_service_start(service), ==, 0);
        g_assert_true(turn_until(service, fake.n_open >= 3));
        g_assert_true(g_str_has_prefix(hale_link_get_reason(link), "Connection refused"));

        fake.open_result = 4711;
        g_assert_true(turn_until(service, strstr(hale_link_get_reason(link), "4711")));
        fake.says = "the cat sits on the cable";
        g_assert_true(turn_until(service, strstr(hale_link_get_reason(link), "cat")));
        fake.says = NULL;
        fake.open_result = HALE_PENDING;
        g_assert_true(turn_until(service, strcmp(hale_link_get_reason(link),
                                                 "no connection within 50ms") == 0));
        g_assert_cmpint(hale_probe_get_verdict(hale_service_find_probe(service, "db")), ==,
                        HALE_FAIL);
        g_assert_cmpuint(fake.n_changed, ==, 0);
        finish(service, link, &fake);
}

static void test_late_answers(void) {
        hale_service *service = service_of_test();
        Fake fake = { .open_result = HALE_PENDING, .on_loop = true };
        hale_link *link = fake_link(service, &fake);
        uint32_t first;

        g_assert_cmpint(hale_service_start(service), ==, 0);
        g_assert_true(turn_until(service, fake.n_open == 1));
        first = fake.generation;
        g_assert_true(turn_until(service, fake.n_close == 1));
        g_assert_cmpint(hale_link_up(link), ==, -ESTALE);
        g_assert_true(turn_until(service, fake.n_open == 2));
        g_assert_cmpint(hale_link_answer(link, first, 0), ==, -ESTALE);
        g_assert_false(hale_link_is_up(link));
        g_assert_cmpint(hale_link_answer(link, fake.generation, 0), ==, HALE_REPORTED);
        g_assert_true(hale_link_is_up(link));
        g_assert_cmpint(hale_link_answer(link, first, -EPIPE), ==, -ESTALE);
        g_assert_true(hale_link_is_up(link));
        g_assert_cmpint(hale_link_answer(link, fake.generation, -EPIPE), ==, HALE_REPORTED);
        g_assert_false(hale_link_is_up(link));
        finish(service, link, &fake);
}

static void test_one_line_an_outage(void) {
        hale_service *service = service_of_test();
        Fake fake = {};
        hale_link *link = fake_link(service, &fake);
        Capture capture;

        capture_start(&capture);
        g_assert_cmpint(hale_service_start(service), ==, 0);
        g_assert_true(turn_until(service, hale_link_is_up(link)));
        turn_for(service, 5000);
        g_assert_cmpuint(capture_count(&capture, "Link 'db' is"), ==, 0);

        fake.open_result = -ECONNREFUSED;
        g_assert_cmpint(hale_link_down(link, "the plug was pulled"), ==, HALE_REPORTED);
        g_assert_true(turn_until(service, fake.n_open >= 20));
        g_assert_cmpuint(capture_count(&capture, "Link 'db' is down: the plug was pulled"), ==, 1);
        fake.open_result = 0;
        g_assert_true(turn_until(service, hale_link_is_up(link)));
        turn_for(service, 20000);
        g_assert_cmpuint(capture_count(&capture, "Link 'db' is"), ==, 2);
        g_assert_cmpuint(capture_count(&capture, "Link 'db' is up again after"), ==, 1);
        g_assert_cmpuint(capture_count(&capture, "attempts"), ==, 1);
        g_assert_cmpuint(capture_count(&capture, "Probe 'db'"), ==, 0);
        capture_stop(&capture);
        finish(service, link, &fake);
}

static void reopen_on_change(hale_link *link, void *userdata) {
        Fake *fake = userdata;

        fake->n_changed++;
        if (hale_link_is_up(link) && fake->n_open < 3)
                g_assert_cmpint(hale_link_reopen(link), ==, 0);
}

static void test_reopen(void) {
        hale_service *service = service_of_test();
        Fake fake = {};
        hale_link *link = fake_link(service, &fake);

        g_assert_cmpint(hale_link_on_change(link, reopen_on_change, &fake), ==, 0);
        g_assert_cmpint(hale_service_start(service), ==, 0);
        g_assert_true(turn_until(service, fake.n_open == 3 && hale_link_is_up(link)));
        g_assert_cmpuint(hale_link_get_generation(link), ==, 3);

        fake.open_result = HALE_PENDING;
        g_assert_cmpint(hale_link_reopen(link), ==, 0);
        g_assert_false(hale_link_is_up(link));
        g_assert_true(turn_until(service, fake.n_open == 4));
        g_assert_cmpint(hale_link_reopen(link), ==, -EINPROGRESS);
        g_assert_cmpint(hale_link_up(link), ==, HALE_REPORTED);
        g_assert_cmpuint(hale_link_get_n_attempts(link), ==, 4);
        finish(service, link, &fake);
}

static void test_gates(void) {
        hale_service *service = service_of_test();
        hale_link *link;
        Capture capture;

        g_assert_cmpint(hale_service_add_link(service, &link, "cache", NULL, NULL), ==, 0);
        g_assert_cmpint(hale_link_set_gates(link, 0), ==, 0);
        g_assert_cmpint(hale_service_start(service), ==, 0);
        g_assert_cmpint(hale_link_down(link, NULL), ==, HALE_REPORTED);
        g_assert_true(turn_until(service, hale_service_get_health(service) == HALE_WARN));
        g_assert_true(hale_service_is_ready(service));
        hale_link_unref(link);
        hale_service_unref(service);

        service = service_of_test();
        capture_start(&capture);
        g_assert_cmpint(hale_service_add_link(service, &link, "db", NULL, NULL), ==, 0);
        g_assert_cmpint(hale_link_set_gates_live_dangerously(link), ==, 0);
        g_assert_cmpuint(capture_count(&capture, "Link 'db' closes live"), ==, 1);
        capture_stop(&capture);
        g_assert_cmpint(hale_link_up(link), ==, HALE_REPORTED);
        g_assert_cmpint(hale_service_start(service), ==, 0);
        g_assert_true(turn_until(service, hale_service_is_ready(service)));
        g_assert_cmpint(hale_link_down(link, "gone"), ==, HALE_REPORTED);
        g_assert_true(turn_until(service, !hale_service_is_live(service)));
        hale_link_unref(link);
        hale_service_unref(service);
}

static void test_tuned_sockets(void) {
        int fd = socket(AF_INET, SOCK_STREAM, 0), local = socket(AF_UNIX, SOCK_STREAM, 0);
        int value = 0;
        socklen_t size = sizeof(value);

        g_assert_cmpint(hale_link_tune_socket(fd), ==, 0);
        g_assert_cmpint(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &size), ==, 0);
        g_assert_cmpint(value, ==, 1);
        g_assert_cmpint(getsockopt(fd, IPPROTO_TCP, 18 /* TCP_USER_TIMEOUT */, &value, &size), ==,
                        0);
        g_assert_cmpint(value, ==, 15000);
        g_assert_cmpint(hale_link_tune_socket(local), ==, 0);
        g_assert_cmpint(hale_link_tune_socket(-1), ==, -EBADF);
        (void)close(fd);
        (void)close(local);
}

static void on_resolved(hale_link *link,
                        const char *const *addresses,
                        unsigned n_addresses,
                        const char *error,
                        void *userdata) {
        (void)link, (void)addresses, (void)n_addresses, (void)error, (void)userdata;
        g_assert_not_reached();
}

static gpointer tell_from_thread(gpointer link) {
        g_assert_cmpint(hale_link_up(link), ==, -EPERM);
        g_assert_cmpint(hale_link_down(link, "x"), ==, -EPERM);
        g_assert_cmpint(hale_link_reopen(link), ==, -EPERM);
        g_assert_cmpint(hale_link_resolve(link, "::1", on_resolved), ==, -EPERM);
        return NULL;
}

static void test_other_threads(void) {
        hale_service *service = service_of_test();
        hale_link *link;

        g_assert_cmpint(hale_service_add_link(service, &link, "db", NULL, NULL), ==, 0);
        g_thread_join(g_thread_new("teller", tell_from_thread, link));
        hale_link_unref(link);
        hale_service_unref(service);
}
int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/service/link/refusals", test_refusals);
        g_test_add_func("/service/link/told", test_told);
        g_test_add_func("/service/link/up-and-checked", test_up_and_checked);
        g_test_add_func("/service/link/reasons", test_reasons);
        g_test_add_func("/service/link/late-answers", test_late_answers);
        g_test_add_func("/service/link/one-line-an-outage", test_one_line_an_outage);
        g_test_add_func("/service/link/reopen", test_reopen);
        g_test_add_func("/service/link/gates", test_gates);
        g_test_add_func("/service/link/tuned-sockets", test_tuned_sockets);
        g_test_add_func("/service/link/other-threads", test_other_threads);
        return g_test_run();
}
