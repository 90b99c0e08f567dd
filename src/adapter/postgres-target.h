/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a PostgreSQL link connects to
 *
 * A connection string of libpq taken apart, so that its hosts can be resolved off the
 * loop, and put together again with the addresses: libpq would resolve names by itself,
 * and block.
 */

#include <libpq-fe.h>
#include <stdbool.h>

/* Hosts of one connection string, and addresses of all of them together. */
#define PG_HOSTS_MAX 16
#define PG_TARGETS_MAX 64

typedef struct PgHost {
        char *name;    /* "": the default socket */
        char *port;    /* "": the default */
        char *address; /* hostaddr, given or to be resolved: "" */
} PgHost;

typedef struct PgTarget {
        const PgHost *host;
        char *address; /* "": a socket of this machine */
} PgTarget;

typedef struct PgTargets {
        PQconninfoOption *options; /* as they were given */
        PgHost hosts[PG_HOSTS_MAX];
        unsigned n_hosts;
        PgTarget targets[PG_TARGETS_MAX]; /* of this attempt */
        unsigned n_targets;
} PgTargets;

/* Returns 0, -EINVAL, -ENOMEM. */
int pg_targets_init(PgTargets *targets, const char *conninfo);
void pg_targets_done(PgTargets *targets);

/* Is there a name that libpq would have to resolve? */
bool pg_host_is_name(const PgHost *host);

void pg_targets_clear(PgTargets *targets);
int pg_targets_add(PgTargets *targets, const PgHost *host, const char *address);

/* Begins to connect to the targets, beginning with the @turn-th. NULL: no memory. */
PGconn *pg_targets_connect(const PgTargets *targets, unsigned turn, const char *application);
