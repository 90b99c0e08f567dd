/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A Real RabbitMQ for Tests
 *
 * A broker of its own in a temporary folder, with a name server (epmd) of its own, and the
 * program that the operator of a broker has.
 */

#include <stdarg.h>

#include "lib/manager.h"
#include "lib/server.h"

#define BROKER "/usr/lib/rabbitmq/bin/rabbitmq-server"
#define BROKER_CONTROL "/usr/lib/rabbitmq/bin/rabbitmqctl"

/* Erlang takes some seconds to start, more under a sanitizer's load. */
#define START_LIMIT_USEC (60 * G_USEC_PER_SEC)

/* Why there can be none, or NULL. */
G_GNUC_UNUSED static const char *broker_missing(void) {
        if (access(BROKER, X_OK) < 0)
                return "RabbitMQ is not installed (package rabbitmq-server)";
        if (geteuid() == 0 && !getpwnam("rabbitmq"))
                return "there is no user rabbitmq to run RabbitMQ as";

        return NULL;
}

/* The broker listens, after its start. On a crowded machine Erlang may find its name server not
 * ready, or a port gone that was free a moment ago, and gives up: then it is started again. */
G_GNUC_UNUSED static void broker_up(Server *broker) {
        struct sockaddr_in in = {
                .sin_family = AF_INET,
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                .sin_port = htons(broker->port),
        };
        gint64 limit = g_get_monotonic_time() + START_LIMIT_USEC;
        int fd, r;

        do {
                g_assert_cmpint(g_get_monotonic_time(), <, limit);
                if (broker->pid == 0)
                        server_start(broker);
                if (server_ended(broker, 20)) {
                        g_test_message("the broker ended at its start");
                        server_end(broker, SIGKILL);
                }
                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
                r = connect(fd, (struct sockaddr *)&in, sizeof(in));
                (void)close(fd);
        } while (r < 0);
}

static void add_setting(GStrvBuilder *builder, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void add_setting(GStrvBuilder *builder, const char *format, ...) {
        va_list ap;
        char *text;

        va_start(ap, format);
        text = g_strdup_vprintf(format, ap);
        va_end(ap);
        g_strv_builder_add(builder, text);
        g_free(text);
}

/* @names is epmd, which the broker would leave behind; broker_up() starts the broker. */
G_GNUC_UNUSED static void broker_init(Server *broker, Server *names) {
        char *epmd_port = g_strdup_printf("%u", free_port());
        const char *const epmd[] = { "epmd", "-port", epmd_port, "-address", "127.0.0.1", NULL };
        GStrvBuilder *builder = g_strv_builder_new();

        server_init(names, "rabbitmq");
        names->command = g_strdupv((char **)(uintptr_t)epmd);
        server_start(names);

        server_init(broker, "rabbitmq");
        broker->port = free_port();
        if (broker->user)
                g_assert_cmpint(chown(broker->folder, getpwnam("rabbitmq")->pw_uid, (gid_t)-1), ==,
                                0);

        /* The script becomes the broker itself only if it "allows input". */
        g_strv_builder_add_many(builder, "env", "LANG=C.UTF-8", "RABBITMQ_NODENAME=hale@localhost",
                                "RABBITMQ_LOGS=-", "RABBITMQ_NODE_IP_ADDRESS=127.0.0.1",
                                "RABBITMQ_ALLOW_INPUT=1",
                                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-noinput +sbwt none", NULL);
        add_setting(builder, "HOME=%s", broker->folder);
        add_setting(builder, "ERL_EPMD_PORT=%s", epmd_port);
        add_setting(builder, "RABBITMQ_NODE_PORT=%u", broker->port);
        add_setting(builder, "RABBITMQ_DIST_PORT=%u", free_port());
        add_setting(builder, "RABBITMQ_MNESIA_BASE=%s/db", broker->folder);
        add_setting(builder, "RABBITMQ_LOG_BASE=%s", broker->folder);
        add_setting(builder, "RABBITMQ_CONFIG_FILE=%s/none", broker->folder);
        add_setting(builder, "RABBITMQ_CONF_ENV_FILE=%s/env", broker->folder);
        add_setting(builder, "RABBITMQ_ENABLED_PLUGINS_FILE=%s/on", broker->folder);
        g_strv_builder_add(builder, BROKER);
        broker->command = g_strv_builder_end(builder);
        g_strv_builder_unref(builder);
        g_free(epmd_port);
}

/* Runs rabbitmqctl(8) with what the broker has been told, which comes before its program. */
G_GNUC_UNUSED static void broker_control(const Server *broker, const char *const *arguments) {
        GStrvBuilder *builder = g_strv_builder_new();
        char **argv;

        for (char **word = broker->command; strcmp(*word, BROKER) != 0; word++)
                g_strv_builder_add(builder, *word);
        g_strv_builder_add(builder, BROKER_CONTROL);
        g_strv_builder_addv(builder, (const char **)(uintptr_t)arguments);
        argv = g_strv_builder_end(builder);
        g_strv_builder_unref(builder);
        server_run(broker, (const char *const *)argv);
        g_strfreev(argv);
}
