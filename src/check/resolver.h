/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Resolver: a host name to addresses, off the loop
 *
 * getaddrinfo(3) reads files, asks servers and loads plug-ins, and cannot be
 * cancelled: it runs in the pool. Names are resolved anew each time, for the
 * addresses of a service that moved are what its clients need most.
 */

#include "check/stream.h"

typedef struct Resolver Resolver;

/* On the loop. @n_targets 0: @error is of getaddrinfo(3), and @sys its errno for EAI_SYSTEM. */
typedef struct ResolverAnswer {
        StreamTarget targets[ADDRESSES_MAX];
        unsigned n_targets;
        int error;
        int sys;
} ResolverAnswer;

typedef void (*resolver_done_t)(const ResolverAnswer *answer, void *userdata);

/* Returns 0 or -ENOMEM. */
int resolver_new(Resolver **ret,
                 const char *host,
                 uint16_t port,
                 resolver_done_t done,
                 void *userdata);

/* Frees one that is not under way. Takes NULL. */
Resolver *resolver_free(Resolver *resolver);

/* As pool_submit(). May be called again after it was answered. */
int resolver_start(Resolver *resolver, Pool *pool);

/* Leaves one that is under way to the pool. */
void resolver_abandon(Resolver *resolver);

/*
 * Takes a numeric host ("192.0.2.1", "::1", "fe80::1%eth0") without blocking.
 * Returns false if it is a name.
 */
bool resolver_numeric(const char *host, uint16_t port, StreamTarget *ret);

/* The answer of a check when a name was not resolved. Returns CHECK_ANSWERED. */
int resolver_tell(const char *host, const ResolverAnswer *answer, CheckResult *result);
