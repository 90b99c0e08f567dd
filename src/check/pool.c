/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Who counts as what: a thread is idle (waits in pool_core_take()), running, or
 * abandoned (runs a job that nobody waits for). A thread that turns out to be
 * one too many when it returns from an abandoned job ends.
 */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/macro.h"
#include "check/pool.h"

/* The instrumentation of ASan and TSan multiplies the size of frames. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_FACTOR 4
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STACK_FACTOR 4
#endif
#endif
#ifndef STACK_FACTOR
#define STACK_FACTOR 1
#endif

TAILQ_HEAD(PoolJobs, PoolJob);

struct PoolCore {
        pthread_mutex_t lock;
        pthread_cond_t wake; /* there may be work, or the end */

        /* All below under @lock. */
        unsigned n_ref; /* the Pool, and each thread */
        int event_fd;   /* -EBADF once closed: no thread may write to it any more */
        bool closed;
        struct PoolJobs queue, finished, orphans;
        unsigned n_queued, n_finished, n_idle;
        unsigned n_threads, n_running, n_abandoned;
        uint64_t n_abandoned_total;
};

static int pool_core_new(PoolCore **ret) {
        pthread_condattr_t attr;
        PoolCore *core;

        core = calloc(1, sizeof(*core));
        if (!core)
                return -ENOMEM;

        core->n_ref = 1;
        core->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (core->event_fd < 0) {
                int saved = errno;
                free(core);
                return -saved;
        }

        TAILQ_INIT(&core->queue);
        TAILQ_INIT(&core->finished);
        TAILQ_INIT(&core->orphans);

        /* None of these fails in glibc with such arguments. */
        (void)pthread_condattr_init(&attr);
        (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        (void)pthread_cond_init(&core->wake, &attr);
        (void)pthread_condattr_destroy(&attr);
        (void)pthread_mutex_init(&core->lock, NULL);

        *ret = core;
        return 0;
}

static void pool_core_lock(PoolCore *core) {
        (void)pthread_mutex_lock(&core->lock);
}

static void pool_core_unlock(PoolCore *core) {
        (void)pthread_mutex_unlock(&core->lock);
}

/* Gives back a reference and the lock. */
static void pool_core_unref_unlock(PoolCore *core) {
        bool last;

        assert(core->n_ref > 0);
        last = --core->n_ref == 0;
        pool_core_unlock(core);

        if (!last)
                return;

        assert(core->event_fd < 0);
        (void)pthread_cond_destroy(&core->wake);
        (void)pthread_mutex_destroy(&core->lock);
        free(core);
}

/* May one more job run? No more than POOL_ABANDONED_MAX could ever become stuck. */
static bool pool_core_may_run(const PoolCore *core) {
        return core->n_running < POOL_RUNNING_MAX &&
               core->n_running + core->n_abandoned < POOL_ABANDONED_MAX;
}

/* Wakes the loop, which then looks at all that is finished. */
static void pool_core_notify(PoolCore *core) {
        if (core->event_fd >= 0)
                (void)eventfd_write(core->event_fd, 1);
}

/* Waits for the next job. Returns NULL when the thread should end. */
static PoolJob *pool_core_take(PoolCore *core) {
        uint64_t until_usec = clock_now_usec(CLOCK_MONOTONIC) + POOL_IDLE_USEC;
        struct timespec until = {
                .tv_sec = (time_t)(until_usec / USEC_PER_SEC),
                .tv_nsec = (long)(until_usec % USEC_PER_SEC * NSEC_PER_USEC),
        };

        while (!core->closed && core->n_threads - core->n_abandoned <= POOL_RUNNING_MAX) {
                PoolJob *job = TAILQ_FIRST(&core->queue);
                int r;

                if (job && pool_core_may_run(core)) {
                        TAILQ_REMOVE(&core->queue, job, link);
                        core->n_queued--;
                        core->n_running++;
                        job->state = POOL_JOB_RUNNING;
                        return job;
                }

                core->n_idle++;
                r = pthread_cond_timedwait(&core->wake, &core->lock, &until);
                core->n_idle--;
                if (r == ETIMEDOUT && (TAILQ_EMPTY(&core->queue) || !pool_core_may_run(core)))
                        break;
        }

        return NULL;
}

/* Called, and returns, with the lock. */
static void pool_core_finish(PoolCore *core, PoolJob *job, int result) {
        bool abandoned = job->state == POOL_JOB_ABANDONED;

        assert(abandoned || job->state == POOL_JOB_RUNNING);

        if (abandoned)
                core->n_abandoned--;
        else
                core->n_running--;

        if (abandoned || core->closed) {
                pool_core_unlock(core);
                job->free(job);
                pool_core_lock(core);
                return;
        }

        job->result = result;
        job->state = POOL_JOB_FINISHED;
        TAILQ_INSERT_TAIL(&core->finished, job, link);
        if (core->n_finished++ == 0)
                pool_core_notify(core);
}

/* What the end of the pool left to its threads. With the lock. */
static void pool_core_bury(PoolCore *core) {
        PoolJob *job;

        while ((job = TAILQ_FIRST(&core->orphans))) {
                TAILQ_REMOVE(&core->orphans, job, link);
                pool_core_unlock(core);
                job->free(job);
                pool_core_lock(core);
        }
}

static void *pool_thread(void *userdata) {
        PoolCore *core = userdata;
        PoolJob *job;

        (void)pthread_setname_np(pthread_self(), "hale-pool");

        pool_core_lock(core);
        while ((job = pool_core_take(core))) {
                int result;

                pool_core_unlock(core);
                result = job->work(job);
                pool_core_lock(core);
                pool_core_finish(core, job, result);
        }

        pool_core_bury(core);
        core->n_threads--;
        pool_core_unref_unlock(core);
        return NULL;
}

static int pool_thread_create(PoolCore *core, size_t stack_size) {
        sigset_t all, saved;
        pthread_attr_t attr;
        pthread_t thread;
        int r;

        r = pthread_attr_init(&attr);
        if (r != 0)
                return -r;

        (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        if (stack_size > 0)
                (void)pthread_attr_setstacksize(&attr, stack_size);

        /* Threads inherit the mask, and signals are for the threads of the program. */
        (void)sigfillset(&all);
        (void)pthread_sigmask(SIG_SETMASK, &all, &saved);
        r = pthread_create(&thread, &attr, pool_thread, core);
        (void)pthread_sigmask(SIG_SETMASK, &saved, NULL);

        (void)pthread_attr_destroy(&attr);
        return -r;
}

/* Makes sure that somebody will take what is queued. With the lock. */
static int pool_core_staff(PoolCore *core) {
        int r;

        if (core->n_queued <= core->n_idle) {
                (void)pthread_cond_signal(&core->wake);
                return 0;
        }
        if (core->n_threads - core->n_abandoned >= POOL_RUNNING_MAX || !pool_core_may_run(core))
                return 0;

        r = pool_thread_create(core, POOL_STACK_SIZE * STACK_FACTOR);
        if (r == -EINVAL) /* a program with so much thread-local data that it does not fit */
                r = pool_thread_create(core, 0);
        if (r < 0) {
                (void)pthread_cond_signal(&core->wake);
                return core->n_threads > core->n_abandoned ? 0 : -ENOMEM;
        }

        core->n_threads++;
        core->n_ref++;
        return 0;
}

int pool_submit(Pool *pool, PoolJob *job) {
        PoolCore *core;
        int r = 0;

        assert(pool);
        assert(pool->core);
        assert(job);
        assert(job->work && job->done && job->free);

        core = pool->core;
        pool_core_lock(core);

        assert(job->state == POOL_JOB_IDLE);
        assert(!core->closed);

        if (core->n_abandoned >= POOL_ABANDONED_MAX)
                r = -EAGAIN;
        else if (core->n_queued >= POOL_QUEUE_MAX)
                r = -ENOBUFS;
        else {
                job->core = core;
                job->state = POOL_JOB_QUEUED;
                TAILQ_INSERT_TAIL(&core->queue, job, link);
                core->n_queued++;

                r = pool_core_staff(core);
                if (r < 0) {
                        TAILQ_REMOVE(&core->queue, job, link);
                        core->n_queued--;
                        job->state = POOL_JOB_IDLE;
                }
        }

        pool_core_unlock(core);
        return r;
}

/* Returns the job if it is to be freed by the caller, once it has let go of the lock. */
static PoolJob *pool_core_abandon(PoolCore *core, PoolJob *job) {
        switch (job->state) {
        case POOL_JOB_QUEUED:
                TAILQ_REMOVE(&core->queue, job, link);
                core->n_queued--;
                return job;

        case POOL_JOB_FINISHED:
                TAILQ_REMOVE(&core->finished, job, link);
                core->n_finished--;
                return job;

        case POOL_JOB_RUNNING:
                job->state = POOL_JOB_ABANDONED;
                core->n_running--;
                core->n_abandoned++;
                core->n_abandoned_total++;
                /* Others wait behind it. If no thread can be had now, the next submission tries
                 * again, and their deadlines hold in any case. */
                if (!core->closed && core->n_queued > 0)
                        (void)pool_core_staff(core);
                return NULL;

        default:
                assert(false);
                return NULL;
        }
}

void pool_job_abandon(PoolJob *job) {
        PoolCore *core;

        assert(job);
        assert(job->core);

        core = job->core;
        pool_core_lock(core);
        job = pool_core_abandon(core, job);
        pool_core_unlock(core);

        if (job)
                job->free(job);
}

/* The next finished job, which is then the owner's; NULL if none, or the pool is gone. */
static PoolJob *pool_core_pop(PoolCore *core) {
        PoolJob *job = core->closed ? NULL : TAILQ_FIRST(&core->finished);

        if (job) {
                TAILQ_REMOVE(&core->finished, job, link);
                core->n_finished--;
                job->state = POOL_JOB_IDLE;
        }

        return job;
}

/* A callback may submit, abandon, and even end the pool: only @core is touched in between. */
static int on_pool_event(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        PoolCore *core = ((Pool *)userdata)->core;
        eventfd_t count;
        PoolJob *job;
        unsigned n;

        (void)source, (void)revents;

        pool_core_lock(core);
        core->n_ref++;
        (void)eventfd_read(fd, &count);

        /* What finishes meanwhile waits for the next turn: other sources want theirs, too. */
        for (n = core->n_finished; n > 0 && (job = pool_core_pop(core)); n--) {
                int result = job->result;

                pool_core_unlock(core);
                job->done(job, result);
                pool_core_lock(core);
        }

        if (core->n_finished > 0)
                pool_core_notify(core);

        pool_core_unref_unlock(core);
        return 0;
}

int pool_init(Pool *pool, sd_event *event, int64_t priority) {
        Pool made = {};
        int r;

        assert(pool);
        assert(event);

        r = pool_core_new(&made.core);
        if (r < 0)
                return r;

        r = sd_event_add_io(event, &made.source, made.core->event_fd, EPOLLIN, on_pool_event, pool);
        if (r >= 0)
                r = sd_event_source_set_priority(made.source, priority);
        if (r < 0) {
                pool_done(&made);
                return r;
        }

        (void)sd_event_source_set_description(made.source, "pool");
        *pool = made;
        return 0;
}

void pool_done(Pool *pool) {
        struct PoolJobs all, ours;
        PoolCore *core;
        PoolJob *job;
        bool alone;

        if (!pool || !pool->core)
                return;

        core = TAKE_PTR(pool->core);
        pool->source = sd_event_source_disable_unref(pool->source);

        TAILQ_INIT(&all);
        TAILQ_INIT(&ours);

        pool_core_lock(core);
        core->closed = true;
        core->event_fd = fd_close(core->event_fd);
        TAILQ_CONCAT(&all, &core->queue, link);
        TAILQ_CONCAT(&all, &core->finished, link);
        core->n_queued = core->n_finished = 0;
        alone = core->n_threads == core->n_abandoned;
        while ((job = TAILQ_FIRST(&all))) {
                TAILQ_REMOVE(&all, job, link);
                if (job->free_blocks && !alone)
                        TAILQ_INSERT_TAIL(&core->orphans, job, link);
                else
                        TAILQ_INSERT_TAIL(&ours, job, link);
        }
        (void)pthread_cond_broadcast(&core->wake);
        pool_core_unref_unlock(core);

        while ((job = TAILQ_FIRST(&ours))) {
                TAILQ_REMOVE(&ours, job, link);
                job->free(job);
        }
}

void pool_get_stats(const Pool *pool, PoolStats *ret) {
        PoolCore *core;

        assert(pool);
        assert(pool->core);
        assert(ret);

        core = pool->core;
        pool_core_lock(core);
        *ret = (PoolStats){
                .n_threads = core->n_threads,
                .n_running = core->n_running,
                .n_abandoned = core->n_abandoned,
                .n_queued = core->n_queued,
                .n_abandoned_total = core->n_abandoned_total,
        };
        pool_core_unlock(core);
}
