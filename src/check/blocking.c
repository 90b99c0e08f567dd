/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <string.h>

#include "check/blocking.h"

struct BlockingJob {
        PoolJob job;
        Check *check; /* weak; not for the thread */
        blocking_ask_t ask;
        CheckResult result;
        max_align_t question[];
};

static int blocking_job_work(PoolJob *job) {
        BlockingJob *self = CONTAINER_OF(job, BlockingJob, job);

        self->ask(self->question, &self->result);
        return 0;
}

static void blocking_job_done(PoolJob *job, int result) {
        BlockingJob *self = CONTAINER_OF(job, BlockingJob, job);
        CheckResult answer = self->result;

        (void)result;

        /* A copy: the check, and the job with it, may be freed by who is told. */
        check_answer(self->check, &answer);
}

static void blocking_job_free(PoolJob *job) {
        free(CONTAINER_OF(job, BlockingJob, job));
}

static BlockingJob *blocking_job_new(const Blocking *blocking) {
        BlockingJob *job;

        job = malloc(sizeof(*job) + blocking->size);
        if (!job)
                return NULL;

        *job = (BlockingJob){
                .job = {
                        .work = blocking_job_work,
                        .done = blocking_job_done,
                        .free = blocking_job_free,
                },
                .ask = blocking->ask,
        };
        memcpy(job->question, blocking->question, blocking->size);
        return job;
}

void blocking_init(Blocking *blocking, blocking_ask_t ask, void *question, size_t size) {
        assert(blocking);
        assert(ask);
        assert(question);

        *blocking = (Blocking){ .ask = ask, .question = question, .size = size };
}

void blocking_done(Blocking *blocking) {
        assert(blocking);

        if (blocking->job)
                blocking_job_free(&TAKE_PTR(blocking->job)->job);
        free(TAKE_PTR(blocking->question));
}

int blocking_refused(CheckResult *result, int error) {
        if (error == -EAGAIN)
                return check_result_set(
                        result, HALE_FAIL,
                        "not asked: %d earlier blocking calls hang and were given up",
                        POOL_ABANDONED_MAX);

        return check_result_set(result, HALE_UNKNOWN, "not asked: no thread: %s", strerror(-error));
}

int blocking_start(Blocking *blocking, Check *check, CheckResult *result) {
        int r;

        assert(blocking);
        assert(check);

        if (!blocking->job)
                blocking->job = blocking_job_new(blocking);
        if (!blocking->job)
                return blocking_refused(result, -ENOMEM);

        blocking->job->check = check;
        r = pool_submit(check->context.pool, &blocking->job->job);
        return r < 0 ? blocking_refused(result, r) : CHECK_PENDING;
}

void blocking_cancel(Blocking *blocking, Check *check, CheckResult *result) {
        char limit[USEC_TEXT_MAX];

        assert(blocking);
        assert(check);

        if (result)
                (void)check_result_set(result, HALE_FAIL, "%s hangs: no answer in %s",
                                       check->spec.path ? check->spec.path : "the kernel",
                                       check_timeout_text(check, limit));
        pool_job_abandon(&TAKE_PTR(blocking->job)->job);
}
