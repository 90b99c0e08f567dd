/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * AMQP
 *
 * librabbitmq blocks and is not for two threads at once: the link's functions run in
 * the pool, and one lock says who has the connection: they, or a thread of the program
 * that took it. All that librabbitmq waits for has a limit of its own, a little below the
 * link's, so that a thread of the pool is hardly ever given up.
 *
 * Only the loop watches for the end of the connection, through a copy of its descriptor.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <systemd/sd-event.h>
#include <time.h>

/* librabbitmq 0.13 has them in a folder, and warns of the old place. */
#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp.h>
#include <amqp_tcp_socket.h>
#endif

#include "base/clock.h"
#include "base/fd.h"
#include "base/macro.h"
#include "hale/amqp.h"
#include "hale/service.h"

/* Both sides say something at least twice in this time, or count as gone. RabbitMQ's own. */
#define HEARTBEAT_SEC 60

/* RabbitMQ's own, too. */
#define FRAME_MAX 131072

/* Below the default deadlines of a link: connecting and logging in share its 5 s. */
#define CONNECT_WAIT_USEC (2 * USEC_PER_SEC)
#define LOGIN_WAIT_USEC (2500 * USEC_PER_MSEC)
#define REPLY_WAIT_USEC (4 * USEC_PER_SEC)
#define CLOSE_WAIT_USEC (500 * USEC_PER_MSEC)

typedef struct Amqp {
        char *url; /* what @info points into */
        struct amqp_connection_info info;

        pthread_mutex_t lock; /* of what follows, up to @source */
        amqp_connection_state_t connection;
        bool up;

        sd_event_source *source; /* the loop's */
        int fd;
} Amqp;

static const hale_link_ops amqp_ops;

static struct timeval span(uint64_t usec) {
        return (struct timeval){
                .tv_sec = (time_t)(usec / USEC_PER_SEC),
                .tv_usec = (suseconds_t)(usec % USEC_PER_SEC),
        };
}

static int amqp_tell(hale_link *link, const char *what, const char *text) {
        return hale_link_down(link, "%s: %s", what, text);
}

/* What the broker said as it ended the connection, after @what it did by that. */
static int amqp_tell_close(hale_link *link, const char *what, const amqp_method_t *method) {
        const amqp_connection_close_t *close = method->decoded;

        if (method->id != AMQP_CONNECTION_CLOSE_METHOD)
                return amqp_tell(link, what, "the server refused");

        return hale_link_down(link, "%s: %u %.*s", what, close->reply_code,
                              (int)MIN(close->reply_text.len, 200U),
                              (const char *)close->reply_text.bytes);
}

/* What came of logging in: 0, or HALE_REPORTED. */
static int amqp_let_in(hale_link *link, amqp_rpc_reply_t reply) {
        switch (reply.reply_type) {
        case AMQP_RESPONSE_NORMAL:
                return 0;

        case AMQP_RESPONSE_LIBRARY_EXCEPTION:
                return amqp_tell(link, "not let in", amqp_error_string2(reply.library_error));

        case AMQP_RESPONSE_SERVER_EXCEPTION:
                return amqp_tell_close(link, "not let in", &reply.reply);

        default:
                return amqp_tell(link, "not let in", "no reply");
        }
}

/* What came of a question: 0, or HALE_REPORTED. */
static int amqp_answered(hale_link *link, amqp_rpc_reply_t reply) {
        switch (reply.reply_type) {
        case AMQP_RESPONSE_NORMAL:
                return 0;

        case AMQP_RESPONSE_LIBRARY_EXCEPTION:
                /* An alarm is told only to who has asked for it, which would put frames that the
                 * program does not expect among its own. */
                if (reply.library_error == AMQP_STATUS_TIMEOUT)
                        return amqp_tell(link, "no answer",
                                         "timed out (a broker that runs short of memory or disk "
                                         "does not listen to those who publish)");
                return amqp_tell(link, "no answer", amqp_error_string2(reply.library_error));

        case AMQP_RESPONSE_SERVER_EXCEPTION:
                return amqp_tell_close(link, "the broker closed the connection", &reply.reply);

        default:
                return amqp_tell(link, "no answer", "no reply");
        }
}

/* librabbitmq keeps to itself which error of a socket it was. */
static const char *connect_error(int error) {
        return error == AMQP_STATUS_SOCKET_ERROR ? "connection refused, or not reachable"
                                                 : amqp_error_string2(error);
}

static int amqp_log_in(Amqp *self, hale_link *link) {
        const struct amqp_connection_info *info = &self->info;
        struct timeval wait = span(CONNECT_WAIT_USEC), login = span(LOGIN_WAIT_USEC),
                       reply = span(REPLY_WAIT_USEC);
        amqp_socket_t *socket;
        int r;

        socket = amqp_tcp_socket_new(self->connection);
        if (!socket)
                return -ENOMEM;

        /* Resolves, too; here that may block. */
        r = amqp_socket_open_noblock(socket, info->host, info->port, &wait);
        if (r < 0)
                return hale_link_down(link, "%s, port %d: %s", info->host, info->port,
                                      connect_error(r));

        (void)hale_link_tune_socket(amqp_get_sockfd(self->connection));
        (void)amqp_set_handshake_timeout(self->connection, &login);
        (void)amqp_set_rpc_timeout(self->connection, &reply);
        return amqp_let_in(link, amqp_login(self->connection, info->vhost,
                                            AMQP_DEFAULT_MAX_CHANNELS, FRAME_MAX, HEARTBEAT_SEC,
                                            AMQP_SASL_METHOD_PLAIN, info->user, info->password));
}

static int amqp_open(hale_link *link, void *userdata) {
        Amqp *self = userdata;
        int r;

        pthread_mutex_lock(&self->lock);
        self->connection = amqp_new_connection();
        r = self->connection ? amqp_log_in(self, link) : -ENOMEM;
        self->up = r == 0;
        pthread_mutex_unlock(&self->lock);
        return r;
}

/* A channel nobody else uses: as high as the server allows. */
static amqp_channel_t amqp_own_channel(const Amqp *self) {
        int highest = amqp_get_channel_max(self->connection);

        return (amqp_channel_t)(highest > 0 ? highest : UINT16_MAX);
}

static int amqp_ask(Amqp *self, hale_link *link) {
        amqp_channel_t channel = amqp_own_channel(self);
        int r;

        (void)amqp_channel_open(self->connection, channel);
        r = amqp_answered(link, amqp_get_rpc_reply(self->connection));
        if (r != 0)
                return r;

        r = amqp_answered(link, amqp_channel_close(self->connection, channel, AMQP_REPLY_SUCCESS));
        amqp_maybe_release_buffers_on_channel(self->connection, channel);
        return r;
}

static int amqp_check(hale_link *link, void *userdata) {
        Amqp *self = userdata;
        int r;

        if (pthread_mutex_trylock(&self->lock) != 0)
                return 0; /* the program is at it */

        r = amqp_ask(self, link);
        self->up = r == 0;
        pthread_mutex_unlock(&self->lock);
        return r;
}

static void amqp_close(hale_link *link, void *userdata) {
        Amqp *self = userdata;
        struct timeval wait = span(CLOSE_WAIT_USEC);

        (void)link;

        pthread_mutex_lock(&self->lock);
        if (self->connection && self->up) {
                (void)amqp_set_rpc_timeout(self->connection, &wait);
                (void)amqp_connection_close(self->connection, AMQP_REPLY_SUCCESS);
        }
        if (self->connection)
                (void)amqp_destroy_connection(self->connection);
        self->connection = NULL;
        self->up = false;
        pthread_mutex_unlock(&self->lock);
}

static int on_end(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        hale_link *link = userdata;

        (void)source, (void)fd, (void)revents;
        (void)hale_link_down(link, "the broker closed the connection");
        return 0;
}

static void amqp_watch(Amqp *self, hale_link *link) {
        struct sd_event *event = hale_service_get_event(hale_link_get_service(link));

        /* Nobody takes it away meanwhile: it is closed only after amqp_changed(). */
        self->fd = fcntl(amqp_get_sockfd(self->connection), F_DUPFD_CLOEXEC, 3);
        if (self->fd < 0 ||
            sd_event_add_io(event, &self->source, self->fd, EPOLLRDHUP, on_end, link) < 0)
                return; /* the next question finds out */

        (void)sd_event_source_set_description(self->source, "hale-amqp");
}

static void amqp_changed(hale_link *link, void *userdata) {
        Amqp *self = userdata;

        self->source = sd_event_source_disable_unref(self->source);
        self->fd = fd_close(self->fd);
        if (hale_link_is_up(link))
                amqp_watch(self, link);
}

static void amqp_free(void *userdata) {
        Amqp *self = userdata;

        self->source = sd_event_source_disable_unref(self->source);
        self->fd = fd_close(self->fd);
        (void)pthread_mutex_destroy(&self->lock);
        free(self->url);
        free(self);
}

static const hale_link_ops amqp_ops = {
        .open = amqp_open,
        .check = amqp_check,
        .close = amqp_close,
        .changed = amqp_changed,
        .free = amqp_free,
};

static int amqp_parse(Amqp *self, const char *url) {
        self->url = strdup(url);
        if (!self->url)
                return -ENOMEM;

        amqp_default_connection_info(&self->info);
        return amqp_parse_url(self->url, &self->info) == AMQP_STATUS_OK && !self->info.ssl
                       ? 0
                       : -EINVAL;
}

_public_ int
hale_amqp_add(hale_service *service, hale_link **ret, const char *name, const char *url) {
        hale_link *link;
        Amqp *self;
        int r;

        RETURN_IF_FAIL(service && url, -EINVAL);

        self = calloc(1, sizeof(*self));
        if (!self)
                return -ENOMEM;

        self->fd = -EBADF;
        (void)pthread_mutex_init(&self->lock, NULL);
        r = amqp_parse(self, url);
        if (r == -EINVAL)
                (void)fprintf(stderr, "hale: link '%s': not a URL like amqp://USER@HOST/VHOST\n",
                              name ? name : "");
        if (r >= 0)
                r = hale_service_add_link(service, &link, name, &amqp_ops, self);
        if (r < 0) {
                amqp_free(self);
                return r;
        }

        r = hale_link_set_blocking(link, 1);
        if (ret)
                *ret = hale_link_ref(link);
        (void)hale_link_unref(link);
        return r;
}

_public_ struct amqp_connection_state_t_ *hale_amqp_take(hale_link *link, uint64_t wait_usec) {
        Amqp *self = hale_link_get_userdata(link, &amqp_ops);
        uint64_t until_usec;
        struct timespec now, until;

        if (!self)
                return NULL;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        until_usec = (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / NSEC_PER_USEC +
                     MIN(wait_usec, USEC_PER_HOUR);
        until = (struct timespec){
                .tv_sec = (time_t)(until_usec / USEC_PER_SEC),
                .tv_nsec = (long)(until_usec % USEC_PER_SEC * NSEC_PER_USEC),
        };
        if (pthread_mutex_clocklock(&self->lock, CLOCK_MONOTONIC, &until) != 0)
                return NULL;

        if (self->up)
                return self->connection;

        pthread_mutex_unlock(&self->lock);
        return NULL;
}

_public_ void hale_amqp_give(hale_link *link) {
        Amqp *self = hale_link_get_userdata(link, &amqp_ops);

        if (self)
                pthread_mutex_unlock(&self->lock);
}
