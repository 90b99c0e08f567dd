/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A Hostile Server for Tests
 *
 * Takes each connection, says its opening, and then does one thing for ever: nothing, more
 * and more of the same, a byte now and then, random bytes; or it resets the connection,
 * or ends its half of it. Runs in a thread of its own, one connection after the other
 * being served by turns. Defines its functions, because each test is one program of one
 * file.
 */

#include "lib/server.h"

typedef enum HostileManner {
        HOSTILE_SILENT,
        HOSTILE_FLOOD,
        HOSTILE_DRIP,
        HOSTILE_NOISE,
        HOSTILE_RESET,
        HOSTILE_HALF_CLOSE,
} HostileManner;

typedef struct Hostile {
        int fd;
        guint16 port;
        HostileManner manner;
        const char *opening;
        gsize n_opening;
        char filler; /* of the flood and the drip */
        GThread *thread;
        gint stop, n_accepted;
        guint64 n_sent;
} Hostile;

/* How often the drip falls. */
#define HOSTILE_DRIP_MSEC 20

static void hostile_say_more(Hostile *self, int client, GRand *random) {
        static char block[65536];
        gsize n = self->manner == HOSTILE_DRIP ? 1 : sizeof(block);
        gssize sent;

        memset(block, self->filler, n);
        if (self->manner == HOSTILE_NOISE)
                for (gsize i = 0; i < n; i++)
                        block[i] = (char)g_rand_int(random);
        sent = send(client, block, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        self->n_sent += sent > 0 ? (guint64)sent : 0;
}

static int hostile_accept(Hostile *self) {
        const struct linger at_once = { .l_onoff = 1 };
        int client = accept4(self->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (client < 0)
                return client;

        g_atomic_int_inc(&self->n_accepted);
        (void)send(client, self->opening, self->n_opening, MSG_NOSIGNAL);
        if (self->manner == HOSTILE_HALF_CLOSE)
                (void)shutdown(client, SHUT_WR);
        if (self->manner != HOSTILE_RESET)
                return client;

        (void)setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        (void)close(client);
        return -1;
}

static gpointer hostile_main(gpointer data) {
        Hostile *self = data;
        GRand *random = g_rand_new_with_seed(4711);
        struct pollfd pollfds[2] = { { .fd = self->fd, .events = POLLIN }, { .fd = -1 } };
        bool floods = self->manner == HOSTILE_FLOOD || self->manner == HOSTILE_NOISE;

        while (!g_atomic_int_get(&self->stop)) {
                pollfds[1].events = floods ? POLLOUT : 0;
                (void)poll(pollfds, G_N_ELEMENTS(pollfds), HOSTILE_DRIP_MSEC);
                if (pollfds[0].revents) {
                        if (pollfds[1].fd >= 0)
                                (void)close(pollfds[1].fd);
                        pollfds[1].fd = hostile_accept(self);
                } else if (pollfds[1].fd >= 0 && (floods || self->manner == HOSTILE_DRIP)) {
                        hostile_say_more(self, pollfds[1].fd, random);
                }
        }
        if (pollfds[1].fd >= 0)
                (void)close(pollfds[1].fd);
        g_rand_free(random);
        return NULL;
}

G_GNUC_UNUSED static void hostile_start(Hostile *self) {
        self->fd = listen_somewhere(&self->port, 16);
        self->thread = g_thread_new("hostile", hostile_main, self);
}

G_GNUC_UNUSED static void hostile_stop(Hostile *self) {
        g_atomic_int_set(&self->stop, 1);
        g_thread_join(self->thread);
        (void)close(self->fd);
}
