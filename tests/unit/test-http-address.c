/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * HTTP Address and Peer
 *
 * Addresses are what they say or are refused; a socket left behind is replaced
 * and nothing else is ever removed; a peer is local exactly if it is on this
 * machine, and counts with its like.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/macro.h"
#include "report/http-address.h"
#include "report/http-peer.h"

static char *address_show(const HttpAddress *address) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&address->address;
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&address->address;
        char text[INET6_ADDRSTRLEN];

        if (http_address_path(address))
                return g_strdup(http_address_path(address));
        if (address->address.ss_family == AF_INET)
                return g_strdup_printf("%s %u",
                                       inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text)),
                                       ntohs(in->sin_port));

        return g_strdup_printf("%s %u", inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text)),
                               ntohs(in6->sin6_port));
}

static void test_parse(void) {
        static const struct {
                const char *text, *first, *second;
        } rows[] = {
                { "127.0.0.1:8080", "127.0.0.1 8080", NULL },
                { "0.0.0.0:0", "0.0.0.0 0", NULL },
                { "[::1]:65535", "::1 65535", NULL },
                { "[::]:80", ":: 80", NULL },
                { "8080", "127.0.0.1 8080", "::1 8080" },
                { "localhost:8080", "127.0.0.1 8080", "::1 8080" },
                { "*:8080", "0.0.0.0 8080", ":: 8080" },
                { "/run/x.http", "/run/x.http", NULL },
                { "/run/a:b", "/run/a:b", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                HttpAddresses addresses;

                g_assert_cmpint(http_address_parse(rows[i].text, &addresses), ==, 0);
                g_assert_cmpuint(addresses.n, ==, rows[i].second ? 2 : 1);
                for (unsigned k = 0; k < addresses.n; k++) {
                        g_autofree char *shown = address_show(&addresses.addresses[k]);

                        g_assert_cmpstr(shown, ==, k == 0 ? rows[i].first : rows[i].second);
                }
        }
}

static void test_parse_invalid(void) {
        static const char *const texts[] = {
                "",
                ":",
                ":80",
                "a",
                "80a",
                "-1",
                "+80",
                " 80",
                "65536",
                "99999999999",
                "127.0.0.1",
                "127.0.0.1:",
                "127.0.0.1:65536",
                "127.0.0.1:8 0",
                "::1:80",
                "[::1]",
                "[::1]80",
                "[::1:80",
                "::1]:80",
                "[127.0.0.1]:80",
                "[]:80",
                "example.org:80",
                "run/x.http",
                "[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb]:80",
        };
        g_autofree char *long_path = g_strnfill(sizeof(((struct sockaddr_un *)0)->sun_path), '/');
        HttpAddresses addresses;

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                g_test_message("'%s'", texts[i]);
                g_assert_cmpint(http_address_parse(texts[i], &addresses), ==, -EINVAL);
        }

        g_assert_cmpint(http_address_parse(long_path, &addresses), ==, -ENAMETOOLONG);
        long_path[strlen(long_path) - 1] = '\0';
        g_assert_cmpint(http_address_parse(long_path, &addresses), ==, 0);
}

static int listen_at(const char *text, int *ret_fd) {
        HttpAddresses addresses;

        g_assert_cmpint(http_address_parse(text, &addresses), ==, 0);
        return http_address_listen(&addresses.addresses[0], ret_fd);
}

static void test_listen_local(void) {
        g_autofree char *folder = g_dir_make_tmp("hale-http-XXXXXX", NULL);
        g_autofree char *path = g_build_filename(folder, "x.http", NULL);
        int first, second;

        g_assert_cmpint(listen_at(path, &first), ==, 0);
        g_assert_cmpint(listen_at(path, &second), ==, -EADDRINUSE);

        /* Its server is dead now: it may be replaced. */
        (void)close(first);
        g_assert_cmpint(listen_at(path, &second), ==, 0);
        (void)close(second);
        g_assert_cmpint(g_unlink(path), ==, 0);

        /* A file is not ours to remove. */
        g_assert_true(g_file_set_contents(path, "precious", -1, NULL));
        g_assert_cmpint(listen_at(path, &first), ==, -EADDRINUSE);
        g_assert_true(g_file_test(path, G_FILE_TEST_IS_REGULAR));
        g_assert_cmpint(g_unlink(path), ==, 0);

        g_assert_cmpint(g_rmdir(folder), ==, 0);
        g_assert_cmpint(listen_at(path, &first), ==, -ENOENT);
}

static void test_listen_tcp(void) {
        struct sockaddr_in in = {};
        socklen_t length = sizeof(in);
        int first, second;

        g_assert_cmpint(listen_at("127.0.0.1:0", &first), ==, 0);
        g_assert_cmpint(getsockname(first, (struct sockaddr *)&in, &length), ==, 0);

        g_autofree char *text = g_strdup_printf("127.0.0.1:%u", ntohs(in.sin_port));
        g_assert_cmpint(listen_at(text, &second), ==, -EADDRINUSE);
        (void)close(first);
}

static HttpPeer peer_of(const char *text) {
        struct sockaddr_in in = { .sin_family = AF_INET };
        struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

        if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
                return http_peer_from_address((struct sockaddr *)&in, sizeof(in));

        g_assert_cmpint(inet_pton(AF_INET6, text, &in6.sin6_addr), ==, 1);
        return http_peer_from_address((struct sockaddr *)&in6, sizeof(in6));
}

static void test_peer(void) {
        static const struct {
                const char *address;
                bool local;
        } rows[] = {
                { "127.0.0.1", true },
                { "127.255.0.9", true },
                { "128.0.0.1", false },
                { "10.0.0.1", false },
                { "::1", true },
                { "::2", false },
                { "::ffff:127.0.0.1", true },
                { "::ffff:10.0.0.1", false },
                { "fe80::1", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                HttpPeer peer = peer_of(rows[i].address);

                g_assert_true(peer.local == rows[i].local);
                g_assert_true((peer.kind == HTTP_PEER_UNCOUNTED) == rows[i].local);
        }

        HttpPeer a = peer_of("10.0.0.1"), b = peer_of("::ffff:10.0.0.1"), c = peer_of("10.0.0.2");
        HttpPeer d = peer_of("2001:db8::1"), e = peer_of("2001:db8::2"),
                 f = peer_of("2001:db8:0:1::1");

        g_assert_true(http_peer_equal(&a, &b));
        g_assert_false(http_peer_equal(&a, &c));
        g_assert_true(http_peer_equal(&d, &e));
        g_assert_false(http_peer_equal(&d, &f));

        /* Of a kind that we do not know, and cut short: a stranger. */
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        struct sockaddr_in in = { .sin_family = AF_INET };
        HttpPeer g = http_peer_from_address((struct sockaddr *)&un, sizeof(un));
        HttpPeer h = http_peer_from_address((struct sockaddr *)&in, 2);

        g_assert_false(g.local || h.local);
}

static void test_census(void) {
        HttpPeerCensus census = {};
        HttpPeer stranger = peer_of("10.0.0.1"), local = peer_of("127.0.0.1");

        g_assert_cmpuint(http_peer_census_add(&census, &stranger), ==, 1);
        g_assert_cmpuint(http_peer_census_add(&census, &stranger), ==, 2);
        g_assert_cmpuint(http_peer_census_drop(&census, &stranger), ==, 1);
        g_assert_cmpuint(http_peer_census_drop(&census, &stranger), ==, 0);
        g_assert_cmpuint(http_peer_census_add(&census, &local), ==, 0);
        g_assert_cmpuint(http_peer_census_drop(&census, &local), ==, 0);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);

        g_test_add_func("/report/http-address/parses", test_parse);
        g_test_add_func("/report/http-address/refuses-what-is-none", test_parse_invalid);
        g_test_add_func("/report/http-address/replaces-only-what-is-dead", test_listen_local);
        g_test_add_func("/report/http-address/a-port-is-taken-once", test_listen_tcp);
        g_test_add_func("/report/http-peer/knows-who-is-local", test_peer);
        g_test_add_func("/report/http-peer/counts", test_census);

        return g_test_run();
}
