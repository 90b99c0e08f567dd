/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * PostgreSQL
 *
 *     IDLE --open--> RESOLVING --> CONNECTING --> READY <--> ASKED
 *
 * with libpq's asynchronous calls only. The socket may be another one after each
 * PQconnectPoll(), and libpq closes the old one within: its event source goes before
 * each step and is made anew after it. While the link is up the descriptor that is
 * watched is a copy, because the program may want the original in the same loop, and
 * it is watched for the end alone: what arrives is the program's, unless we have asked.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <systemd/sd-event.h>

#include "adapter/postgres-target.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/macro.h"
#include "hale/postgres.h"
#include "hale/service.h"

/* How long hale_postgres_get() may hold the loop for an answer that is on its way. */
#define ANSWER_WAIT_MSEC 20

#define REASON_MAX 256

typedef enum PostgresState {
        POSTGRES_IDLE,
        POSTGRES_RESOLVING,
        POSTGRES_CONNECTING,
        POSTGRES_READY,
        POSTGRES_ASKED,
} PostgresState;

typedef struct Postgres {
        hale_link *link; /* weak */
        sd_event *event; /* not ours */
        char *application;
        PgTargets targets;
        unsigned turn; /* which target comes first; the one before did not answer */

        PostgresState state;
        unsigned host; /* the one that is resolved */
        PGconn *connection;
        sd_event_source *source;
        size_t n_heard;          /* bytes, while connecting, about */
        int fd;                  /* a copy of PQsocket(), while it is up */
        char reason[REASON_MAX]; /* what the server said last, or the resolver */
} Postgres;

static const hale_link_ops postgres_ops;

/* The first line: what follows is advice. */
static void postgres_down(Postgres *self, const char *text) {
        (void)hale_link_down(self->link, "%.*s", (int)strcspn(text, "\n"), text);
}

/* The server says why it ends a connection in a message that nobody asked for. */
static void on_notice(void *userdata, const PGresult *result) {
        Postgres *self = userdata;
        const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
        const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

        if (severity && message &&
            (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0))
                (void)snprintf(self->reason, sizeof(self->reason), "%s: %s", severity, message);
}

static void postgres_lost(Postgres *self) {
        char reason[REASON_MAX];

        (void)PQconsumeInput(self->connection);
        if (self->state == POSTGRES_READY)
                (void)PQisBusy(self->connection); /* reads what came: on_notice() */

        (void)snprintf(reason, sizeof(reason), "%s",
                       self->reason[0] ? self->reason : PQerrorMessage(self->connection));
        postgres_down(self, reason[0] ? reason : "the server closed the connection");
}

static int on_watch(sd_event_source *source, int fd, uint32_t revents, void *userdata);

static void postgres_watch(Postgres *self, uint32_t events) {
        (void)sd_event_source_set_io_events(self->source, events | EPOLLRDHUP);
}

static int postgres_established(Postgres *self) {
        int r;

        (void)PQsetnonblocking(self->connection, 1);
        self->fd = fcntl(PQsocket(self->connection), F_DUPFD_CLOEXEC, 3);
        if (self->fd < 0)
                return -errno;

        r = sd_event_add_io(self->event, &self->source, self->fd, EPOLLRDHUP, on_watch, self);
        if (r < 0)
                return r;

        (void)sd_event_source_set_description(self->source, "hale-postgres");
        self->state = POSTGRES_READY;
        return 0;
}

static int on_connecting(sd_event_source *source, int fd, uint32_t revents, void *userdata);

static int postgres_wait_for(Postgres *self, uint32_t events) {
        int r;

        r = sd_event_add_io(self->event, &self->source, PQsocket(self->connection), events,
                            on_connecting, self);
        if (r < 0)
                return r;

        (void)sd_event_source_set_description(self->source, "hale-postgres-connect");
        (void)hale_link_give_way(self->link, &self->source);
        return 0;
}

/* libpq keeps all that it is sent until a message is whole. How much that is it does not say;
 * what waits to be read before each step is no less. */
static bool postgres_hears_too_much(Postgres *self) {
        int n = 0;

        if (ioctl(PQsocket(self->connection), FIONREAD, &n) == 0 && n > 0)
                self->n_heard += (size_t)n;
        return self->n_heard > LINK_GREETING_MAX;
}

/* The next step of connecting. */
static void postgres_step(Postgres *self, PostgresPollingStatusType status) {
        int r;

        if (status == PGRES_POLLING_FAILED) {
                postgres_down(self, PQerrorMessage(self->connection));
                return;
        }

        if (status == PGRES_POLLING_OK)
                r = postgres_established(self);
        else
                r = postgres_wait_for(self, status == PGRES_POLLING_READING ? EPOLLIN : EPOLLOUT);

        if (r < 0)
                postgres_down(self, strerror(-r));
        else if (status == PGRES_POLLING_OK)
                (void)hale_link_up(self->link);
}

static int on_connecting(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Postgres *self = userdata;

        (void)source, (void)fd, (void)revents;
        self->source = sd_event_source_disable_unref(self->source);
        if (postgres_hears_too_much(self))
                postgres_down(self, "the server talks without end");
        else
                postgres_step(self, PQconnectPoll(self->connection));
        return 0;
}

static void postgres_connect(Postgres *self) {
        if (self->targets.n_targets == 0) {
                postgres_down(self, self->reason);
                return;
        }

        self->reason[0] = '\0';
        self->n_heard = 0;
        self->connection = pg_targets_connect(&self->targets, self->turn % self->targets.n_targets,
                                              self->application);
        if (!self->connection) {
                postgres_down(self, strerror(ENOMEM));
                return;
        }

        (void)PQsetNoticeReceiver(self->connection, on_notice, self);
        self->state = POSTGRES_CONNECTING;
        postgres_step(self, PQstatus(self->connection) == CONNECTION_BAD ? PGRES_POLLING_FAILED
                                                                         : PGRES_POLLING_WRITING);
}

static void postgres_resolve(Postgres *self);

static void on_resolved(hale_link *link,
                        const char *const *addresses,
                        unsigned n_addresses,
                        const char *error,
                        void *userdata) {
        Postgres *self = userdata;

        (void)link;
        if (n_addresses == 0)
                (void)snprintf(self->reason, sizeof(self->reason), "%s", error);
        for (unsigned i = 0; i < n_addresses; i++)
                (void)pg_targets_add(&self->targets, &self->targets.hosts[self->host],
                                     addresses[i]);

        self->host++;
        postgres_resolve(self);
}

/* Takes the hosts one by one, until one is to be waited for or all are done. */
static void postgres_resolve(Postgres *self) {
        int r;

        while (self->host < self->targets.n_hosts) {
                const PgHost *host = &self->targets.hosts[self->host];

                if (pg_host_is_name(host)) {
                        r = hale_link_resolve(self->link, host->name, on_resolved);
                        if (r >= 0)
                                return;
                        (void)snprintf(self->reason, sizeof(self->reason),
                                       "cannot resolve '%s': %s", host->name, strerror(-r));
                } else {
                        (void)pg_targets_add(&self->targets, host, host->address);
                }
                self->host++;
        }

        postgres_connect(self);
}

static int postgres_open(hale_link *link, void *userdata) {
        Postgres *self = userdata;

        self->link = link;
        self->event = hale_service_get_event(hale_link_get_service(link));
        self->state = POSTGRES_RESOLVING;
        self->host = 0;
        self->reason[0] = '\0';
        pg_targets_clear(&self->targets);
        (void)snprintf(self->reason, sizeof(self->reason), "no addresses");
        postgres_resolve(self);
        return HALE_PENDING;
}

static void postgres_close(hale_link *link, void *userdata) {
        Postgres *self = userdata;

        (void)link;

        /* Nobody was at home at the first address: begin with another the next time. */
        if (self->state == POSTGRES_CONNECTING && PQstatus(self->connection) != CONNECTION_BAD)
                self->turn++;

        self->state = POSTGRES_IDLE;
        self->source = sd_event_source_disable_unref(self->source);
        self->fd = fd_close(self->fd);
        PQfinish(self->connection);
        self->connection = NULL;
}

/* Takes the answer to our question, as far as it has come. */
static void postgres_take_answer(Postgres *self) {
        PGresult *result;

        if (!PQconsumeInput(self->connection)) {
                postgres_lost(self);
                return;
        }

        while (!PQisBusy(self->connection)) {
                result = PQgetResult(self->connection);
                if (!result) {
                        self->state = POSTGRES_READY;
                        postgres_watch(self, 0);
                        (void)hale_link_up(self->link);
                        return;
                }
                if (PQresultStatus(result) == PGRES_FATAL_ERROR)
                        on_notice(self, result);
                PQclear(result);
                if (PQstatus(self->connection) == CONNECTION_BAD) {
                        postgres_lost(self);
                        return;
                }
        }
}

static int on_watch(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Postgres *self = userdata;

        (void)source, (void)fd;
        (void)hale_link_give_way(self->link, &self->source);
        if (revents & EPOLLOUT) {
                int left = PQflush(self->connection);

                postgres_watch(self, left > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
        }

        if (revents & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
                postgres_lost(self);
        else if (revents & EPOLLIN)
                postgres_take_answer(self);
        return 0;
}

/* A round trip through the server's process, with a command that does nothing. */
static int postgres_check(hale_link *link, void *userdata) {
        Postgres *self = userdata;

        (void)link;
        if (PQstatus(self->connection) == CONNECTION_BAD) {
                postgres_lost(self);
                return HALE_REPORTED;
        }
        if (PQtransactionStatus(self->connection) != PQTRANS_IDLE ||
            PQpipelineStatus(self->connection) != PQ_PIPELINE_OFF)
                return 0; /* the program is at it */

        if (!PQsendQuery(self->connection, "")) {
                postgres_lost(self);
                return HALE_REPORTED;
        }

        self->state = POSTGRES_ASKED;
        postgres_watch(self, PQflush(self->connection) > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
        return HALE_PENDING;
}

static void postgres_free(void *userdata) {
        Postgres *self = userdata;

        pg_targets_done(&self->targets);
        free(self->application);
        free(self);
}

static const hale_link_ops postgres_ops = {
        .open = postgres_open,
        .check = postgres_check,
        .close = postgres_close,
        .free = postgres_free,
};

_public_ int
hale_postgres_add(hale_service *service, hale_link **ret, const char *name, const char *conninfo) {
        Postgres *self;
        int r;

        RETURN_IF_FAIL(service && conninfo, -EINVAL);

        self = calloc(1, sizeof(*self));
        if (!self)
                return -ENOMEM;

        self->fd = -EBADF;
        self->application = strdup(hale_service_get_name(service));
        r = self->application ? pg_targets_init(&self->targets, conninfo) : -ENOMEM;
        if (r == -EINVAL) /* what libpq says of it could quote a password */
                (void)fprintf(stderr, "hale: link '%s': not a connection string of libpq\n",
                              name ? name : "");
        if (r >= 0)
                r = hale_service_add_link(service, ret, name, &postgres_ops, self);
        if (r < 0)
                postgres_free(self);
        return r;
}

_public_ struct pg_conn *hale_postgres_get(hale_link *link) {
        Postgres *self = hale_link_get_userdata(link, &postgres_ops);
        struct pg_conn *connection;
        struct pollfd pollfd;

        if (!self || !hale_link_is_up(link))
                return NULL;

        (void)hale_link_ref(link); /* the answer may be the end, and on_change let go of it */
        if (self->state == POSTGRES_ASKED) {
                pollfd = (struct pollfd){ .fd = self->fd, .events = POLLIN };
                (void)PQflush(self->connection);
                if (poll(&pollfd, 1, ANSWER_WAIT_MSEC) > 0)
                        postgres_take_answer(self);
        }

        connection = self->state == POSTGRES_READY ? self->connection : NULL;
        (void)hale_link_unref(link);
        return connection;
}
