/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Servers for the tests of tcp:// and unix:, in the process of the test: each has a
 * manner of its own in which it treats its only client.
 */

#include "check-fixture.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>

/* What a server does with a client. */
typedef enum Manner {
        SILENT,
        HANGS_UP,
        RESETS,
        BANNER,
        SLOW_BANNER,
        RUBBISH,
        FLOOD,
        ECHO
} Manner;

typedef struct Server {
        Fixture *fixture;
        Manner manner;
        int listener;
        int client;
        unsigned n_clients;
        unsigned n_told;
        sd_event_source *accept_source, *client_source, *timer;
        uint16_t port;
        char path[64]; /* of AF_UNIX */
} Server;

static void server_drop_client(Server *server) {
        server->client_source = sd_event_source_disable_unref(server->client_source);
        server->timer = sd_event_source_disable_unref(server->timer);
        if (server->client >= 0)
                close(server->client);
        server->client = -1;
}

static void server_say(Server *server, const char *text, size_t n) {
        /* The peer may be gone already. */
        (void)!send(server->client, text, n, MSG_NOSIGNAL);
        server->n_told++;
}

/* Two parts, with a turn of the loop between. */
static int on_server_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Server *server = userdata;

        (void)source, (void)usec;
        server_say(server, "come\r\n", 6);
        return 0;
}

static int on_server_input(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Server *server = userdata;
        char buffer[256];
        ssize_t n;

        (void)source, (void)revents;
        n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
        if (n > 0 && server->manner == ECHO)
                server_say(server, buffer, (size_t)n);
        else if (n <= 0)
                server_drop_client(server);
        return 0;
}

static void server_greet(Server *server) {
        static char flood[8192];
        struct linger reset = { .l_onoff = 1 };

        switch (server->manner) {
        case HANGS_UP:
                server_drop_client(server);
                break;
        case RESETS:
                g_assert_cmpint(setsockopt(server->client, SOL_SOCKET, SO_LINGER, &reset,
                                           sizeof(reset)),
                                ==, 0);
                server_drop_client(server);
                break;
        case BANNER:
                server_say(server, "220 welcome\r\n", 13);
                break;
        case SLOW_BANNER:
                server_say(server, "220 wel", 7);
                g_assert_cmpint(sd_event_add_time_relative(server->fixture->event, &server->timer,
                                                           CLOCK_MONOTONIC, 30 * USEC_PER_MSEC, 1,
                                                           on_server_timer, server),
                                >=, 0);
                break;
        case RUBBISH:
                server_say(server, "\x1b[2J\0\xff\nWATCHDOG=trigger\n", 24);
                server_drop_client(server);
                break;
        case FLOOD:
                memset(flood, 'z', sizeof(flood));
                server_say(server, flood, sizeof(flood));
                break;
        default:
                break;
        }
}

static int on_server_accept(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Server *server = userdata;

        (void)source, (void)revents;
        server_drop_client(server);
        server->client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        g_assert_cmpint(server->client, >=, 0);
        server->n_clients++;
        g_assert_cmpint(sd_event_add_io(server->fixture->event, &server->client_source,
                                        server->client, EPOLLIN, on_server_input, server),
                        >=, 0);
        server_greet(server);
        return 0;
}

static int listen_at(const char *address, uint16_t port, int backlog, uint16_t *ret_port) {
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
        socklen_t n = sizeof(in);
        int fd, one = 1;

        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        g_assert_cmpint(fd, >=, 0);
        g_assert_cmpint(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), ==, 0);
        g_assert_cmpint(inet_pton(AF_INET, address, &in.sin_addr), ==, 1);
        g_assert_cmpint(bind(fd, (struct sockaddr *)&in, sizeof(in)), ==, 0);
        if (backlog >= 0)
                g_assert_cmpint(listen(fd, backlog), ==, 0);
        g_assert_cmpint(getsockname(fd, (struct sockaddr *)&in, &n), ==, 0);
        *ret_port = ntohs(in.sin_port);
        return fd;
}

static int listen_unix(const char *path, int backlog) {
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        socklen_t n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
        int fd;

        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        g_assert_cmpint(fd, >=, 0);
        memcpy(un.sun_path, path, strlen(path));
        if (path[0] == '@')
                un.sun_path[0] = '\0';
        else
                n++;
        g_assert_cmpint(bind(fd, (struct sockaddr *)&un, n), ==, 0);
        g_assert_cmpint(listen(fd, backlog), ==, 0);
        return fd;
}

static void server_start(Server *server, Fixture *fixture, Manner manner, const char *path) {
        *server = (Server){ .fixture = fixture, .manner = manner, .client = -1 };

        if (path) {
                (void)g_strlcpy(server->path, path, sizeof(server->path));
                server->listener = listen_unix(path, 16);
        } else
                server->listener = listen_at("127.0.0.1", 0, 16, &server->port);

        g_assert_cmpint(sd_event_add_io(fixture->event, &server->accept_source, server->listener,
                                        EPOLLIN, on_server_accept, server),
                        >=, 0);
}

static void server_stop(Server *server) {
        server_drop_client(server);
        server->accept_source = sd_event_source_disable_unref(server->accept_source);
        close(server->listener);
        if (server->path[0] == '/')
                (void)unlink(server->path);
}

/* @keys follow the server's address. */
static char *server_spec(const Server *server, const char *keys) {
        return server->path[0] ? g_strdup_printf("unix:%s%s", server->path, keys)
                               : g_strdup_printf("tcp://127.0.0.1:%u%s", server->port, keys);
}
