/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Remedies in the Pool
 *
 * Those that block, and malloc_trim(3), which takes its time in a large heap. A run has
 * its own memory and a reference to its remedy, because it may outlive its deadline.
 */

#include <malloc.h>

#include "service/remedy.h"

struct RemedyJob {
        PoolJob job;
        hale_remedy *remedy;
        uint32_t generation;
};

static int remedy_job_work(PoolJob *job) {
        hale_remedy *remedy = CONTAINER_OF(job, RemedyJob, job)->remedy;

        if (remedy->kind != REMEDY_TRIM)
                return remedy->callback(remedy, remedy->userdata);

#ifdef __GLIBC__
        (void)malloc_trim(0);
#endif
        return 0;
}

static void remedy_job_free(PoolJob *job) {
        RemedyJob *self = CONTAINER_OF(job, RemedyJob, job);

        (void)hale_remedy_unref(self->remedy);
        free(self);
}

static void remedy_job_done(PoolJob *job, int result) {
        RemedyJob *self = CONTAINER_OF(job, RemedyJob, job);
        hale_service *service = self->remedy->owner->probe->service;

        self->remedy->owner->job = NULL;
        (void)remedy_end(self->remedy, self->generation, result);
        remedy_job_free(job);
        service_settle(service);
}

/* Returns HALE_PENDING, or a negative errno. */
int remedy_job_start(hale_remedy *remedy, uint32_t generation) {
        struct Remedies *owner = remedy->owner;
        RemedyJob *self;
        int r;

        assert(!owner->job);

        self = malloc(sizeof(*self));
        if (!self)
                return -ENOMEM;

        *self = (RemedyJob){
                .job = { .work = remedy_job_work,
                         .done = remedy_job_done,
                         .free = remedy_job_free },
                .remedy = hale_remedy_ref(remedy),
                .generation = generation,
        };

        r = pool_submit(&owner->probe->service->pool, &self->job);
        if (r < 0) {
                remedy_job_free(&self->job);
                return r;
        }

        owner->job = self;
        return HALE_PENDING;
}

void remedy_job_abandon(struct Remedies *self) {
        RemedyJob *job = TAKE_PTR(self->job);

        pool_job_abandon(&job->job);
}
