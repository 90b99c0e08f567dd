/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Redis
 *
 *     IDLE --open--> RESOLVING --> CONNECTING --> GREETING (AUTH, SELECT, PING) --> READY
 *
 * on hiredis 0.14, whose asynchronous calls know no sd-event, no deadline and no
 * second address: those are here. A context that hiredis ends by itself it also frees,
 * after having told us; one that we end may be freed only when its callbacks have
 * returned. Either way, once it is ours no more nothing in it points to us: its hooks
 * are gone, and replies that come to nothing (NULL) are not looked at.
 */

#include <errno.h>
#include <hiredis/async.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <systemd/sd-event.h>

#include "adapter/redis-url.h"
#include "base/limits.h"
#include "base/macro.h"
#include "hale/redis.h"
#include "hale/service.h"

#define ADDRESS_TEXT_MAX 64

/* Of an array: hiredis needs a tenth of a second to free one of so many. */
#define ELEMENTS_MAX ((size_t)1 << 24)

#if HIREDIS_MAJOR < 1
typedef int ArrayCount;
#else
typedef size_t ArrayCount;
#endif

#define REASON_MAX 256

typedef enum RedisState {
        REDIS_IDLE,
        REDIS_RESOLVING,
        REDIS_CONNECTING,
        REDIS_GREETING,
        REDIS_READY,
} RedisState;

typedef struct Redis {
        hale_link *link; /* weak */
        sd_event *event; /* not ours */
        RedisUrl url;

        RedisState state;
        char addresses[ADDRESSES_MAX][ADDRESS_TEXT_MAX];
        unsigned n_addresses, address; /* the one that is tried */
        unsigned turn, n_tried;        /* which comes first; the one before did not answer */
        redisAsyncContext *context;
        sd_event_source *source;
        uint32_t events;
} Redis;

static const hale_link_ops redis_ops;

static void redis_down(Redis *self, const char *what, const char *text) {
        (void)hale_link_down(self->link, "%s%s%s", what, what[0] ? ": " : "", text);
}

/*
 * hiredis writes with write(2), which raises SIGPIPE when the server is gone. A program
 * that does not ignore it must not die of that: block it, and take back what we caused.
 */
static void write_without_signal(redisAsyncContext *context) {
        const struct timespec at_once = {};
        sigset_t pipe_set, old, pending;
        bool was_pending;

        (void)sigemptyset(&pipe_set);
        (void)sigaddset(&pipe_set, SIGPIPE);
        (void)sigpending(&pending);
        was_pending = sigismember(&pending, SIGPIPE) == 1;
        (void)pthread_sigmask(SIG_BLOCK, &pipe_set, &old);

        redisAsyncHandleWrite(context);

        if (!was_pending)
                while (sigtimedwait(&pipe_set, NULL, &at_once) < 0 && errno == EINTR)
                        ;
        (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* The hooks of hiredis: what it waits for. */

static void redis_wait_for(Redis *self, uint32_t events) {
        if (self->events == events || !self->source)
                return;

        self->events = events;
        (void)sd_event_source_set_io_events(self->source, events);
}

static void hook_add_read(void *data) {
        Redis *self = data;

        redis_wait_for(self, self->events | EPOLLIN);
}

static void hook_del_read(void *data) {
        Redis *self = data;

        redis_wait_for(self, self->events & ~(uint32_t)EPOLLIN);
}

static void hook_add_write(void *data) {
        Redis *self = data;

        redis_wait_for(self, self->events | EPOLLOUT);
}

static void hook_del_write(void *data) {
        Redis *self = data;

        redis_wait_for(self, self->events & ~(uint32_t)EPOLLOUT);
}

/*
 * hiredis believes a server that announces a billion elements, and looks at each when it frees the
 * array: the loop would stand still for seconds, for an answer of 13 bytes.
 */
static redisReplyObjectFunctions hiredis_functions, functions;

static void *create_array(const redisReadTask *task, ArrayCount n) {
        return (size_t)n > ELEMENTS_MAX ? NULL : hiredis_functions.createArray(task, n);
}

static void redis_limit_arrays(redisAsyncContext *context) {
        if (!functions.createArray) {
                hiredis_functions = functions = *context->c.reader->fn;
                functions.createArray = create_array;
        }
        context->c.reader->fn = &functions;
}

/* The context is not ours any more: nothing in it points to us. */
static redisAsyncContext *redis_let_go(Redis *self) {
        redisAsyncContext *context = TAKE_PTR(self->context);

        self->source = sd_event_source_disable_unref(self->source);
        self->events = 0;
        if (context) {
                memset(&context->ev, 0, sizeof(context->ev));
                context->onConnect = NULL;
                context->onDisconnect = NULL;
        }
        return context;
}

static int on_socket(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Redis *self = userdata;
        redisAsyncContext *context = self->context;
        hale_link *link = self->link;

        (void)source, (void)fd;
        (void)hale_link_ref(link); /* and us: the program may let go of both in a reply */
        (void)hale_link_give_way(link, &self->source);
        if (revents & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP))
                redisAsyncHandleRead(context);
        if (self->context == context && (revents & EPOLLOUT))
                write_without_signal(context);
        if (self->context == context && self->state == REDIS_GREETING &&
            context->c.reader->len > LINK_GREETING_MAX)
                redis_down(self, "", "the server talks without end");
        (void)hale_link_unref(link);
        return 0;
}

static void on_lost(const redisAsyncContext *context, int status) {
        Redis *self = context->ev.data;
        char text[REASON_MAX];

        (void)status;
        (void)snprintf(text, sizeof(text), "%s",
                       context->err == REDIS_ERR_OOM ? "no memory for an answer so large"
                       : context->err                ? context->errstr
                                                     : "the server closed the connection");
        (void)redis_let_go(self);
        redis_down(self, "", text);
}

/* Replies. One of NULL: the connection is gone, and who has ended it has told so. */

static bool reply_is_good(Redis *self, const char *what, const redisReply *reply) {
        if (reply->type != REDIS_REPLY_ERROR)
                return true;

        redis_down(self, what, reply->str);
        return false;
}

static void on_auth(redisAsyncContext *context, void *data, void *userdata) {
        (void)context;
        if (data)
                (void)reply_is_good(userdata, "not let in", data);
}

static void on_select(redisAsyncContext *context, void *data, void *userdata) {
        (void)context;
        if (data)
                (void)reply_is_good(userdata, "no such database", data);
}

static void on_pong(redisAsyncContext *context, void *data, void *userdata) {
        Redis *self = userdata;

        if (!data || context != self->context || !reply_is_good(self, "", data))
                return;

        self->state = REDIS_READY;
        (void)hale_link_up(self->link);
}

static int redis_greet(Redis *self) {
        redisAsyncContext *context = self->context;
        const RedisUrl *url = &self->url;
        int r = REDIS_OK;

        if (url->user && url->password)
                r = redisAsyncCommand(context, on_auth, self, "AUTH %s %s", url->user,
                                      url->password);
        else if (url->password)
                r = redisAsyncCommand(context, on_auth, self, "AUTH %s", url->password);
        if (r == REDIS_OK && url->database > 0)
                r = redisAsyncCommand(context, on_select, self, "SELECT %u", url->database);
        if (r == REDIS_OK)
                r = redisAsyncCommand(context, on_pong, self, "PING");

        return r == REDIS_OK ? 0 : -ENOMEM;
}

static void redis_connect(Redis *self);

static void on_connected(const redisAsyncContext *context, int status) {
        Redis *self = context->ev.data;
        char text[REASON_MAX];

        if (status == REDIS_OK) {
                self->state = REDIS_GREETING;
                (void)hale_link_tune_socket(context->c.fd);
                /* Here the context must not be freed. Without memory for the greeting nothing will
                 * come, and the deadline of the attempt ends it. */
                (void)redis_greet(self);
                return;
        }

        (void)snprintf(text, sizeof(text), "%s", context->errstr);
        (void)redis_let_go(self); /* hiredis frees it */
        if (++self->n_tried < self->n_addresses)
                redis_connect(self);
        else
                redis_down(self, self->url.path ? self->url.path : self->addresses[self->address],
                           text);
}

static int redis_attach(Redis *self) {
        redisAsyncContext *context = self->context;
        int r;

        r = sd_event_add_io(self->event, &self->source, context->c.fd, 0, on_socket, self);
        if (r < 0)
                return r;

        (void)sd_event_source_set_description(self->source, "hale-redis");
        redis_limit_arrays(context);
        context->ev.data = self;
        context->ev.addRead = hook_add_read;
        context->ev.delRead = hook_del_read;
        context->ev.addWrite = hook_add_write;
        context->ev.delWrite = hook_del_write;
        (void)redisAsyncSetConnectCallback(context, on_connected);
        (void)redisAsyncSetDisconnectCallback(context, on_lost);
        return 0;
}

/* Begins with the next address; an error that is known at once fails the attempt. */
static int redis_begin(Redis *self, char text[static REASON_MAX]) {
        int r;

        if (self->url.path)
                self->context = redisAsyncConnectUnix(self->url.path);
        else
                self->context = redisAsyncConnect(self->addresses[self->address], self->url.port);
        if (!self->context) {
                (void)snprintf(text, REASON_MAX, "%s", strerror(ENOMEM));
                return -ENOMEM;
        }

        if (self->context->err) {
                (void)snprintf(text, REASON_MAX, "%s", self->context->errstr);
                redisAsyncFree(redis_let_go(self));
                return -ECONNREFUSED;
        }

        r = redis_attach(self);
        if (r < 0) {
                (void)snprintf(text, REASON_MAX, "%s", strerror(-r));
                redisAsyncFree(redis_let_go(self));
        }
        return r;
}

static void redis_connect(Redis *self) {
        char text[REASON_MAX] = "";

        self->state = REDIS_CONNECTING;
        for (; self->n_tried < self->n_addresses; self->n_tried++) {
                self->address = (self->turn + self->n_tried) % self->n_addresses;
                if (redis_begin(self, text) >= 0)
                        return;
        }

        redis_down(self, self->url.path ? self->url.path : self->addresses[self->address], text);
}

static void on_resolved(hale_link *link,
                        const char *const *addresses,
                        unsigned n_addresses,
                        const char *error,
                        void *userdata) {
        Redis *self = userdata;

        if (n_addresses == 0) {
                (void)hale_link_down(link, "%s", error);
                return;
        }

        self->n_addresses = MIN(n_addresses, ADDRESSES_MAX);
        for (unsigned i = 0; i < self->n_addresses; i++)
                (void)snprintf(self->addresses[i], ADDRESS_TEXT_MAX, "%s", addresses[i]);
        redis_connect(self);
}

static int redis_open(hale_link *link, void *userdata) {
        Redis *self = userdata;
        int r;

        self->link = link;
        self->event = hale_service_get_event(hale_link_get_service(link));
        self->state = REDIS_RESOLVING;
        self->n_tried = 0;
        if (self->url.path) {
                self->n_addresses = 1;
                redis_connect(self);
                return HALE_PENDING;
        }

        r = hale_link_resolve(link, self->url.host, on_resolved);
        return r < 0 ? r : HALE_PENDING;
}

static void redis_close(hale_link *link, void *userdata) {
        Redis *self = userdata;
        redisAsyncContext *context;

        (void)link;

        /* Nobody was at home at this address: begin with another the next time. */
        if (self->state == REDIS_CONNECTING && self->context)
                self->turn = self->address + 1;

        self->state = REDIS_IDLE;
        context = redis_let_go(self);
        if (context)
                redisAsyncFree(context);
}

static int redis_check(hale_link *link, void *userdata) {
        Redis *self = userdata;

        (void)link;
        if (self->context->c.flags & (REDIS_SUBSCRIBED | REDIS_MONITORING))
                return 0;

        return redisAsyncCommand(self->context, on_pong, self, "PING") == REDIS_OK ? HALE_PENDING
                                                                                   : -ENOTCONN;
}

static void redis_free(void *userdata) {
        Redis *self = userdata;

        redis_url_done(&self->url);
        free(self);
}

static const hale_link_ops redis_ops = {
        .open = redis_open,
        .check = redis_check,
        .close = redis_close,
        .free = redis_free,
};

_public_ int
hale_redis_add(hale_service *service, hale_link **ret, const char *name, const char *url) {
        Redis *self;
        int r;

        RETURN_IF_FAIL(service && url, -EINVAL);

        self = calloc(1, sizeof(*self));
        if (!self)
                return -ENOMEM;

        r = redis_url_parse(&self->url, url);
        if (r == -EINVAL)
                (void)fprintf(stderr, "hale: link '%s': not a URL like redis://HOST:PORT/DB\n",
                              name ? name : "");
        if (r >= 0)
                r = hale_service_add_link(service, ret, name, &redis_ops, self);
        if (r < 0)
                redis_free(self);
        return r;
}

_public_ struct redisAsyncContext *hale_redis_get(hale_link *link) {
        Redis *self = hale_link_get_userdata(link, &redis_ops);

        return self && hale_link_is_up(link) ? self->context : NULL;
}
