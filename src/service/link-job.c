/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Links in the Pool: functions that block
 *
 * One call at a time, so that the program need not lock. A call that exceeds its
 * deadline is abandoned, so that it does not keep a place in the pool; when it
 * returns at last, its thread closes what it has opened. Until then nothing
 * else is called, and attempts fail with that reason.
 *
 * A job belongs to the pool and, while it is in a queue, to the link: it is freed by
 * whoever is last.
 */

#include <stdatomic.h>
#include <stdio.h>

#include "service/link.h"

struct LinkJob {
        PoolJob job;
        atomic_uint n_ref;
        hale_link *link; /* a reference */
        LinkTask task;
        uint32_t generation;
        uint64_t deadline_usec;
        bool gave_up;         /* by us, not by the end of the pool */
        atomic_bool started;  /* in its thread */
        atomic_bool returned; /* and back, or never started and never will */
        bool has_reason;
        char reason[OUTPUT_LENGTH_MAX];
};

/* The call that this thread is in. */
static __thread LinkJob *current_job;

static void link_pump(hale_link *self);

static LinkJob *link_job_unref(LinkJob *job) {
        if (!job || atomic_fetch_sub(&job->n_ref, 1) != 1)
                return NULL;

        (void)hale_link_unref(job->link);
        free(job);
        return NULL;
}

static void call_close(hale_link *self) {
        if (self->ops->close)
                self->ops->close(self, self->userdata);
}

static int link_job_work(PoolJob *pool_job) {
        LinkJob *job = CONTAINER_OF(pool_job, LinkJob, job);
        hale_link *link = job->link;
        int r = 0;

        atomic_store(&job->started, true);
        current_job = job;
        if (job->task == TASK_OPEN)
                r = link->ops->open(link, link->userdata);
        else if (job->task == TASK_CHECK)
                r = link->ops->check(link, link->userdata);
        else
                call_close(link);
        current_job = NULL;
        return r;
}

/* Nobody waits for it any more: it is back from its thread, or was never given to one. */
static void link_job_free(PoolJob *pool_job) {
        LinkJob *job = CONTAINER_OF(pool_job, LinkJob, job);
        bool started = atomic_load(&job->started);
        bool opened = started ? job->task != TASK_CLOSE : job->task != TASK_OPEN;

        /* One that we gave up before it was started leaves the closing to us. */
        if (opened && (started || !job->gave_up))
                call_close(job->link);

        atomic_store(&job->returned, true);
        (void)link_job_unref(job);
}

static void link_job_result(hale_link *self, const LinkJob *job, int result) {
        char text[128];

        if (result == 0) {
                (void)link_tell_up(&self->link, job->generation);
                return;
        }

        if (result > 0)
                (void)snprintf(text, sizeof(text), "the callback returned %d, which means nothing",
                               result);
        (void)link_tell_down(&self->link, job->generation,
                             job->has_reason ? job->reason
                             : result < 0    ? strerror(-result)
                                             : text);
}

static void link_job_done(PoolJob *pool_job, int result) {
        LinkJob *job = CONTAINER_OF(pool_job, LinkJob, job);
        hale_link *self = job->link;
        LinkQueue *queue = &self->queue;
        hale_service *service = hale_service_ref(self->service); /* on_change may let go of it */

        queue->job = link_job_unref(queue->job);
        if (job->task == TASK_CLOSE) {
                queue->opened = false;
                queue->wants_close = false;
        } else if (!queue->wants_close) {
                link_job_result(self, job, result);
        }

        link_pump(self);
        (void)link_job_unref(job);
        (void)hale_service_unref(service);
}

static int link_submit(hale_link *self, LinkTask task) {
        LinkQueue *queue = &self->queue;
        LinkState *state = &self->link.state;
        LinkJob *job;
        int r;

        job = calloc(1, sizeof(*job));
        if (!job)
                return -ENOMEM;

        *job = (LinkJob){
                .job = { .work = link_job_work,
                         .done = link_job_done,
                         .free = link_job_free, /* closes */
                         .free_blocks = true },
                .n_ref = 2,
                .link = hale_link_ref(self),
                .task = task,
                .generation = state->generation,
                .deadline_usec = task == TASK_CLOSE
                                         ? usec_add(service_now(), state->policy.connect_usec)
                                         : link_state_deadline(state),
        };

        r = pool_submit(&self->service->pool, &job->job);
        if (r < 0) {
                (void)link_job_unref(job);
                (void)link_job_unref(job);
                return r;
        }

        queue->job = job;
        queue->opened = queue->opened || task == TASK_OPEN;
        return 0;
}

/* Starts what is wanted next, if nothing is under way. */
static void link_pump(hale_link *self) {
        LinkQueue *queue = &self->queue;
        int r = 0;

        if (queue->stuck && atomic_load(&queue->stuck->returned))
                queue->stuck = link_job_unref(queue->stuck);
        if (queue->job || queue->stuck)
                return;

        if (queue->wants_close) {
                (void)link_submit(self, TASK_CLOSE); /* or at the next attempt */
                return;
        }

        if (queue->wants_open)
                r = link_submit(self, TASK_OPEN);
        else if (queue->wants_check)
                r = link_submit(self, TASK_CHECK);

        queue->wants_open = false;
        queue->wants_check = false;
        if (r < 0)
                (void)link_tell_down(&self->link, 0,
                                     r == -EAGAIN ? "all threads for blocking calls are stuck"
                                                  : strerror(-r));
}

int link_queue_open(hale_link *self) {
        self->queue.wants_open = true;
        link_pump(self);
        if (!self->queue.stuck)
                return HALE_PENDING;

        self->queue.wants_open = false;
        (void)link_tell_down(&self->link, 0, "an earlier call has not returned yet");
        return HALE_REPORTED;
}

int link_queue_check(hale_link *self) {
        self->queue.wants_check = true;
        link_pump(self);
        return HALE_PENDING;
}

/* Lets go of a call that is past its deadline. */
static void link_give_up_job(hale_link *self) {
        LinkQueue *queue = &self->queue;
        LinkJob *job = queue->job;

        if (!job || service_now() < job->deadline_usec ||
            (job->task == TASK_CLOSE && !atomic_load(&job->started)))
                return;

        queue->job = NULL;
        job->gave_up = true;
        pool_job_abandon(&job->job);

        /* The thread closes what it has opened; without a thread, there is nothing to wait for. */
        if (!atomic_load(&job->returned) || atomic_load(&job->started)) {
                queue->opened = false;
                queue->stuck = job;
                return;
        }

        if (job->task == TASK_OPEN)
                queue->opened = false;
        (void)link_job_unref(job);
}

void link_queue_close(hale_link *self) {
        LinkQueue *queue = &self->queue;

        queue->wants_open = false;
        queue->wants_check = false;
        link_give_up_job(self);
        queue->wants_close = queue->opened;
        link_pump(self);
}

/* The end: what is under way is left to the pool, and what nobody took is closed here. */
void link_queue_done(hale_link *self) {
        LinkQueue *queue = &self->queue;

        if (queue->opened && !queue->job)
                call_close(self);

        queue->opened = false;
        queue->job = link_job_unref(queue->job);
        queue->stuck = link_job_unref(queue->stuck);
}

bool link_job_say(hale_link *self, const char *reason) {
        if (!current_job || current_job->link != self)
                return false;

        current_job->has_reason = true;
        (void)snprintf(current_job->reason, sizeof(current_job->reason), "%s", reason);
        return true;
}
