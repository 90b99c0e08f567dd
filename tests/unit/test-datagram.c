/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Datagrams
 *
 * A send never blocks, says why it failed, keeps one descriptor whatever happens
 * to the server, and finds a new server under the old address by itself.
 */

#include <glib.h>
#include <sys/stat.h>

#include "base/datagram.h"
#include "base/fd.h"
#include "datagram-fixture.h"

static void test_addresses(void) {
        g_autofree char *longest = g_strnfill(107, 'a'), *abstract = g_strnfill(108, 'a'),
                        *too_long = g_strnfill(108, 'a'), *too_long_abstract = g_strnfill(109, 'a');
        Datagram datagram;

        longest[0] = too_long[0] = '/';
        abstract[0] = too_long_abstract[0] = '@';

        const struct {
                const char *address;
                int expected;
        } rows[] = {
                { NULL, -EINVAL },
                { "", -EINVAL },
                { "/", -EINVAL },
                { "@", -EINVAL },
                { "relative/path", -EAFNOSUPPORT },
                { "vsock:2:1234", -EAFNOSUPPORT },
                { "/run/systemd/notify", 0 },
                { "@abstract", 0 },
                { longest, 0 },
                { too_long, -ENAMETOOLONG },
                { abstract, 0 },
                { too_long_abstract, -ENAMETOOLONG },
        };

        for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
                g_test_message("%s", rows[i].address ? rows[i].address : "(null)");
                g_assert_cmpint(datagram_init(&datagram, rows[i].address), ==, rows[i].expected);
                if (rows[i].expected == 0)
                        datagram_done(&datagram);
        }
}

static void test_without_address(void) {
        Datagram datagram = DATAGRAM_INIT;

        g_assert_cmpint(datagram_send(&datagram, "x", 1, -1), ==, -ENOTCONN);
        g_assert_cmpint(datagram.fd, <, 0);
        datagram_done(&datagram);
}

static void test_abstract(void) {
        g_autofree char *name = g_strdup_printf("@hale-test-%d-%u", getpid(), g_test_rand_int());
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        Datagram datagram;
        char byte;
        int fd;

        memcpy(un.sun_path + 1, name + 1, strlen(name) - 1);
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        g_assert_cmpint(bind(fd, (struct sockaddr *)&un,
                             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
                        ==, 0);

        g_assert_cmpint(datagram_init(&datagram, name), ==, 0);
        g_assert_cmpint(datagram_send(&datagram, "x", 1, -1), ==, 0);
        g_assert_cmpint(recv(fd, &byte, 1, 0), ==, 1);

        datagram_done(&datagram);
        (void)close(fd);
}

static void test_server_goes_and_comes(void) {
        Receiver receiver;
        Datagram datagram;
        int fd;

        receiver_init(&receiver);
        g_assert_cmpint(datagram_init(&datagram, receiver.path), ==, 0);
        g_assert_cmpint(datagram_open(&datagram), ==, 0);
        fd = datagram.fd;

        g_assert_cmpint(datagram_send(&datagram, "one", 3, -1), ==, 0);
        receiver_expect(&receiver, "one");

        receiver_close(&receiver);
        g_assert_cmpint(datagram_send(&datagram, "lost", 4, -1), ==, -ECONNREFUSED);
        g_assert_cmpint(datagram_send(&datagram, "lost", 4, -1), ==, -ECONNREFUSED);
        (void)unlink(receiver.path);
        g_assert_cmpint(datagram_send(&datagram, "lost", 4, -1), ==, -ENOENT);

        receiver_open(&receiver);
        g_assert_cmpint(datagram_send(&datagram, "two", 3, -1), ==, 0);
        receiver_expect(&receiver, "two");

        /* Gone and back between two sends: nobody notices. */
        receiver_close(&receiver);
        receiver_open(&receiver);
        g_assert_cmpint(datagram_send(&datagram, "three", 5, -1), ==, 0);
        receiver_expect(&receiver, "three");

        g_assert_cmpint(datagram.fd, ==, fd);
        datagram_done(&datagram);
        receiver_done(&receiver);
}

static void test_full_and_too_long(void) {
        static char large[1024 * 1024];
        Receiver receiver;
        Datagram datagram;
        guint n;

        receiver_init(&receiver);
        g_assert_cmpint(datagram_init(&datagram, receiver.path), ==, 0);
        g_assert_cmpint(datagram_send(&datagram, large, sizeof(large), -1), ==, -EMSGSIZE);

        n = receiver_fill(&receiver);
        g_assert_cmpint(datagram_send(&datagram, "x", 1, -1), ==, -EAGAIN);
        receiver_drain(&receiver, n);
        g_assert_cmpint(datagram_send(&datagram, "x", 1, -1), ==, 0);
        receiver_expect(&receiver, "x");

        datagram_done(&datagram);
        receiver_done(&receiver);
}

static void test_passes_a_descriptor(void) {
        struct stat ours, theirs;
        Receiver receiver;
        Datagram datagram;
        int pipes[2];

        g_assert_cmpint(pipe(pipes), ==, 0);
        receiver_init(&receiver);
        g_assert_cmpint(datagram_init(&datagram, receiver.path), ==, 0);
        g_assert_cmpint(datagram_send(&datagram, "fd", 2, pipes[0]), ==, 0);
        receiver_expect(&receiver, "fd");

        g_assert_cmpint(receiver.passed_fd, >=, 0);
        g_assert_cmpint(fstat(pipes[0], &ours), ==, 0);
        g_assert_cmpint(fstat(receiver.passed_fd, &theirs), ==, 0);
        g_assert_cmpuint(ours.st_ino, ==, theirs.st_ino);

        datagram_done(&datagram);
        receiver_done(&receiver);
        (void)close(pipes[0]);
        (void)close(pipes[1]);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);

        g_test_add_func("/base/datagram/addresses", test_addresses);
        g_test_add_func("/base/datagram/without-address", test_without_address);
        g_test_add_func("/base/datagram/abstract", test_abstract);
        g_test_add_func("/base/datagram/server-goes-and-comes", test_server_goes_and_comes);
        g_test_add_func("/base/datagram/full-and-too-long", test_full_and_too_long);
        g_test_add_func("/base/datagram/passes-a-descriptor", test_passes_a_descriptor);

        return g_test_run();
}
