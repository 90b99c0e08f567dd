/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Names for Links, in the pool
 *
 * A lookup that outlives its attempt is abandoned, and its link has no other until it
 * has returned: a resolver that hangs costs one thread a link, not all of them.
 */

#include <arpa/inet.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>

#include "check/check-type.h"
#include "check/resolver.h"
#include "service/link.h"

#define ADDRESS_TEXT_MAX (INET6_ADDRSTRLEN + 1 + 16) /* and a scope, IFNAMSIZ */

/* Host names have at most 253 characters (RFC 1035, 2.3.4). */
#define HOST_LENGTH_MAX 253

struct LinkLookup {
        PoolJob job;
        atomic_uint n_ref;
        atomic_bool returned;
        hale_link *link; /* weak; not for the thread */
        uint32_t generation;
        ResolverAnswer answer; /* its errors */
        unsigned n_texts;
        char texts[ADDRESSES_MAX][ADDRESS_TEXT_MAX];
        char host[HOST_LENGTH_MAX + 1];
};

static LinkLookup *link_lookup_unref(LinkLookup *lookup) {
        if (lookup && atomic_fetch_sub(&lookup->n_ref, 1) == 1)
                free(lookup);

        return NULL;
}

static void lookup_keep(LinkLookup *lookup, const struct addrinfo *list) {
        for (const struct addrinfo *i = list; i && lookup->n_texts < ADDRESSES_MAX; i = i->ai_next)
                if (getnameinfo(i->ai_addr, i->ai_addrlen, lookup->texts[lookup->n_texts],
                                ADDRESS_TEXT_MAX, NULL, 0, NI_NUMERICHOST) == 0)
                        lookup->n_texts++;
}

/* Returns 0, or the error of getaddrinfo(3). */
static int lookup_ask(LinkLookup *lookup, int flags) {
        const struct addrinfo hints = {
                .ai_family = AF_UNSPEC,
                .ai_socktype = SOCK_STREAM,
                .ai_flags = flags,
        };
        struct addrinfo *list = NULL;
        int r;

        r = getaddrinfo(lookup->host, NULL, &hints, &list);
        if (r != 0)
                return r;

        lookup_keep(lookup, list);
        freeaddrinfo(list);
        return lookup->n_texts > 0 ? 0 : EAI_NONAME;
}

static int lookup_work(PoolJob *job) {
        LinkLookup *lookup = CONTAINER_OF(job, LinkLookup, job);
        int r;

        r = lookup_ask(lookup, 0);
        lookup->answer.error = r;
        lookup->answer.sys = r == EAI_SYSTEM ? errno : 0;
        return 0;
}

static void link_call_resolved(hale_link *self, const LinkLookup *lookup) {
        const char *texts[ADDRESSES_MAX] = {};
        CheckResult answer = {};

        if (lookup->answer.error != 0)
                (void)resolver_tell(lookup->host, &lookup->answer, &answer);

        for (unsigned i = 0; i < lookup->n_texts; i++)
                texts[i] = lookup->texts[i];

        self->resolved(self, texts, lookup->n_texts, answer.output, self->userdata);
}

static void lookup_done(PoolJob *job, int result) {
        LinkLookup *lookup = CONTAINER_OF(job, LinkLookup, job);
        hale_link *self = lookup->link;
        hale_service *service = hale_service_ref(self->service); /* the program may let go of it */

        (void)result;
        self->lookup = link_lookup_unref(self->lookup);
        if (lookup->generation == self->link.state.generation)
                link_call_resolved(self, lookup);
        (void)link_lookup_unref(lookup);
        (void)hale_service_unref(service);
}

static void lookup_free(PoolJob *job) {
        LinkLookup *lookup = CONTAINER_OF(job, LinkLookup, job);

        atomic_store(&lookup->returned, true);
        (void)link_lookup_unref(lookup);
}

static int lookup_new(LinkLookup **ret, hale_link *self, const char *host) {
        LinkLookup *lookup;

        lookup = calloc(1, sizeof(*lookup));
        if (!lookup)
                return -ENOMEM;

        *lookup = (LinkLookup){
                .job = { .work = lookup_work, .done = lookup_done, .free = lookup_free },
                .n_ref = 1,
                .link = self,
                .generation = self->link.state.generation,
        };
        (void)snprintf(lookup->host, sizeof(lookup->host), "%s", host);
        *ret = lookup;
        return 0;
}

static int link_submit_lookup(hale_link *self, LinkLookup *lookup) {
        int r;

        atomic_store(&lookup->n_ref, 2);
        r = pool_submit(&self->service->pool, &lookup->job);
        if (r < 0) {
                atomic_store(&lookup->n_ref, 1);
                return r;
        }

        self->lookup = lookup;
        return 0;
}

/* Nobody can be asked now, and the link says so instead of a time-out. */
static void link_tell_stuck(hale_link *self, const char *host, const char *why) {
        char error[HOST_LENGTH_MAX + 128];

        (void)snprintf(error, sizeof(error), "cannot resolve '%s': %s", host, why);
        self->resolved(self, (const char *const[]){ NULL }, 0, error, self->userdata);
}

_public_ int hale_link_resolve(hale_link *link, const char *host, hale_link_resolved_t resolved) {
        LinkLookup *lookup;
        int r;

        RETURN_IF_FAIL(link, -EINVAL);
        RETURN_IF_FAIL(on_loop_thread, -EPERM);
        LINK_CHECK_CALL(link);
        RETURN_IF_FAIL(host && host[0] && strlen(host) <= HOST_LENGTH_MAX && resolved, -EINVAL);
        RETURN_IF_FAIL(!link->lookup, -EBUSY);
        RETURN_IF_FAIL(link->link.state.status == LINK_CONNECTING, -ESTALE);

        if (link->lookup_stuck && atomic_load(&link->lookup_stuck->returned))
                link->lookup_stuck = link_lookup_unref(link->lookup_stuck);

        r = lookup_new(&lookup, link, host);
        if (r < 0)
                return r;

        link->resolved = resolved;
        if (lookup_ask(lookup, AI_NUMERICHOST) == 0) {
                link_call_resolved(link, lookup);
                (void)link_lookup_unref(lookup);
                return 0;
        }

        r = link->lookup_stuck ? -EBUSY : link_submit_lookup(link, lookup);
        if (r < 0)
                (void)link_lookup_unref(lookup);
        if (r != -EBUSY && r != -EAGAIN)
                return r;

        link_tell_stuck(link, host,
                        r == -EBUSY ? "an earlier lookup has not returned yet"
                                    : "all threads for blocking calls are stuck");
        return 0;
}

/* The attempt is over. A thread that is still at it is left to the pool. */
void link_resolve_cancel(hale_link *self) {
        LinkLookup *lookup = TAKE_PTR(self->lookup);

        if (!lookup)
                return;

        pool_job_abandon(&lookup->job);
        self->lookup_stuck = link_lookup_unref(self->lookup_stuck);
        self->lookup_stuck = lookup;
}

void link_resolve_done(hale_link *self) {
        link_resolve_cancel(self);
        self->lookup_stuck = link_lookup_unref(self->lookup_stuck);
}
