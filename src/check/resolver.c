/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "check/resolver.h"

struct Resolver {
        PoolJob job;
        resolver_done_t done;
        void *userdata; /* weak; not for the thread */
        ResolverAnswer answer;
        char port[6];
        char host[];
};

static int target_from_addrinfo(const struct addrinfo *info, StreamTarget *ret) {
        if (info->ai_addrlen > sizeof(ret->address))
                return -EMSGSIZE;

        *ret = (StreamTarget){ .length = info->ai_addrlen };
        memcpy(&ret->address, info->ai_addr, info->ai_addrlen);
        return 0;
}

/* Without a descriptor glibc cannot read its files, and then says that there is no such name. */
static int lack_of_descriptors(void) {
        _cleanup_close_ int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        return fd < 0 && check_error_is_local(errno) ? errno : 0;
}

static int resolver_work(PoolJob *job) {
        Resolver *self = CONTAINER_OF(job, Resolver, job);
        const struct addrinfo hints = {
                .ai_family = AF_UNSPEC,
                .ai_socktype = SOCK_STREAM,
                .ai_flags = AI_NUMERICSERV,
        };
        ResolverAnswer *answer = &self->answer;
        struct addrinfo *list = NULL;

        answer->n_targets = 0;
        answer->error = getaddrinfo(self->host, self->port, &hints, &list);
        answer->sys = answer->error == EAI_SYSTEM ? errno : 0;

        if (answer->error != 0) {
                int lack = lack_of_descriptors();

                if (lack != 0) {
                        answer->error = EAI_SYSTEM;
                        answer->sys = lack;
                }
                return 0;
        }

        for (const struct addrinfo *i = list; i && answer->n_targets < ADDRESSES_MAX;
             i = i->ai_next)
                if (target_from_addrinfo(i, &answer->targets[answer->n_targets]) >= 0)
                        answer->n_targets++;

        freeaddrinfo(list);
        if (answer->n_targets == 0)
                answer->error = EAI_NONAME;
        return 0;
}

static void resolver_job_done(PoolJob *job, int result) {
        Resolver *self = CONTAINER_OF(job, Resolver, job);

        (void)result;
        self->done(&self->answer, self->userdata);
}

static void resolver_job_free(PoolJob *job) {
        free(CONTAINER_OF(job, Resolver, job));
}

int resolver_new(Resolver **ret,
                 const char *host,
                 uint16_t port,
                 resolver_done_t done,
                 void *userdata) {
        Resolver *resolver;
        size_t n;

        assert(ret);
        assert(host);
        assert(done);

        n = strlen(host) + 1;
        resolver = calloc(1, sizeof(*resolver) + n);
        if (!resolver)
                return -ENOMEM;

        resolver->job = (PoolJob){
                .work = resolver_work,
                .done = resolver_job_done,
                .free = resolver_job_free,
        };
        resolver->done = done;
        resolver->userdata = userdata;
        (void)snprintf(resolver->port, sizeof(resolver->port), "%u", port);
        memcpy(resolver->host, host, n);

        *ret = resolver;
        return 0;
}

Resolver *resolver_free(Resolver *resolver) {
        free(resolver);
        return NULL;
}

int resolver_start(Resolver *resolver, Pool *pool) {
        assert(resolver);

        return pool_submit(pool, &resolver->job);
}

void resolver_abandon(Resolver *resolver) {
        assert(resolver);

        pool_job_abandon(&resolver->job);
}

bool resolver_numeric(const char *host, uint16_t port, StreamTarget *ret) {
        const struct addrinfo hints = {
                .ai_family = AF_UNSPEC,
                .ai_socktype = SOCK_STREAM,
                .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
        };
        struct addrinfo *list = NULL;
        char service[6];
        int r;

        assert(host);
        assert(ret);

        (void)snprintf(service, sizeof(service), "%u", port);
        if (getaddrinfo(host, service, &hints, &list) != 0)
                return false;

        r = target_from_addrinfo(list, ret);
        freeaddrinfo(list);
        return r >= 0;
}

int resolver_tell(const char *host, const ResolverAnswer *answer, CheckResult *result) {
        switch (answer->error) {
        case EAI_NONAME:
        case EAI_NODATA:
                return check_result_set(result, HALE_FAIL, "the name '%s' is not known", host);

        case EAI_AGAIN:
                return check_result_set(result, HALE_FAIL, "no name server answers for '%s'", host);

        case EAI_MEMORY:
                return check_result_set(result, HALE_UNKNOWN, "not asked: %s", strerror(ENOMEM));

        case EAI_SYSTEM:
                return check_result_set(result,
                                        check_error_is_local(answer->sys) ? HALE_UNKNOWN
                                                                          : HALE_FAIL,
                                        "cannot resolve '%s': %s", host, strerror(answer->sys));

        default:
                return check_result_set(result, HALE_FAIL, "cannot resolve '%s': %s", host,
                                        gai_strerror(answer->error));
        }
}
