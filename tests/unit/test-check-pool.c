/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Pool
 *
 * Every job is answered once or freed once; never more run than may; a stuck
 * thread holds up nobody, is counted while it lasts, and frees its job when it
 * returns, even after the pool is gone. Built a second time with TSan.
 */

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/macro.h"
#include "check/pool.h"

#define PATIENCE_SEC 20

typedef struct Job {
        PoolJob job;
        unsigned number;
        sem_t *gate; /* NULL: does not block */
} Job;

static sd_event *event;
static Pool pool;
static sem_t gate, entered, freed;
static atomic_uint n_inside, n_inside_max, n_worked, n_freed;
static unsigned n_done, last_done;

static void wait_for(sem_t *sem) {
        struct timespec until;

        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += PATIENCE_SEC;
        while (sem_timedwait(sem, &until) < 0)
                g_assert_cmpint(errno, ==, EINTR);
}

static int job_work(PoolJob *job) {
        Job *self = CONTAINER_OF(job, Job, job);
        unsigned inside = atomic_fetch_add(&n_inside, 1) + 1, max = atomic_load(&n_inside_max);

        while (inside > max && !atomic_compare_exchange_weak(&n_inside_max, &max, inside))
                ;

        if (self->gate) {
                (void)sem_post(&entered);
                wait_for(self->gate);
        }

        (void)atomic_fetch_sub(&n_inside, 1);
        (void)atomic_fetch_add(&n_worked, 1);
        return (int)self->number;
}

static void job_done(PoolJob *job, int result) {
        Job *self = CONTAINER_OF(job, Job, job);

        g_assert_cmpint(result, ==, (int)self->number);
        last_done = self->number;
        n_done++;
        g_free(self);
}

static void job_free(PoolJob *job) {
        g_free(CONTAINER_OF(job, Job, job));
        (void)atomic_fetch_add(&n_freed, 1);
        (void)sem_post(&freed);
}

static Job *job_new(unsigned number, sem_t *blocked_by) {
        Job *job = g_new0(Job, 1);

        job->job = (PoolJob){ .work = job_work, .done = job_done, .free = job_free };
        job->number = number;
        job->gate = blocked_by;
        return job;
}

static Job *submit(unsigned number, sem_t *blocked_by) {
        Job *job = job_new(number, blocked_by);

        g_assert_cmpint(pool_submit(&pool, &job->job), ==, 0);
        return job;
}

static void run_until(const unsigned *count, unsigned value) {
        uint64_t end_usec = clock_now_usec(CLOCK_MONOTONIC) + PATIENCE_SEC * USEC_PER_SEC;

        while (*count < value) {
                g_assert_cmpuint(clock_now_usec(CLOCK_MONOTONIC), <, end_usec);
                g_assert_cmpint(sd_event_run(event, USEC_PER_SEC), >=, 0);
        }
}

static PoolStats stats(void) {
        PoolStats s;

        pool_get_stats(&pool, &s);
        g_assert_cmpuint(s.n_running, <=, POOL_RUNNING_MAX);
        g_assert_cmpuint(s.n_abandoned, <=, POOL_ABANDONED_MAX);
        g_assert_cmpuint(s.n_threads, <=, POOL_RUNNING_MAX + POOL_ABANDONED_MAX);
        return s;
}

static void begin(void) {
        n_done = 0;
        n_inside_max = n_worked = n_freed = 0;
        g_assert_cmpint(sem_init(&gate, 0, 0) | sem_init(&entered, 0, 0) | sem_init(&freed, 0, 0),
                        ==, 0);
        g_assert_cmpint(sd_event_new(&event), >=, 0);
        g_assert_cmpint(pool_init(&pool, event, 0), ==, 0);
        g_assert_cmpuint(stats().n_threads, ==, 0);
}

static void end(void) {
        pool_done(&pool);
        pool_done(&pool);
        event = sd_event_unref(event);
        g_assert_cmpuint(atomic_load(&n_inside), ==, 0);
}

static void test_thousand(void) {
        begin();
        for (unsigned i = 1; i <= 1000; i++)
                (void)submit(i, NULL);
        run_until(&n_done, 1000);

        g_assert_cmpuint(n_worked, ==, 1000);
        g_assert_cmpuint(n_inside_max, <=, POOL_RUNNING_MAX);
        g_assert_cmpuint(stats().n_threads, <=, POOL_RUNNING_MAX);
        g_assert_cmpuint(n_freed, ==, 0);
        end();
}

/* With one of the two threads blocked, the other takes the rest in order. */
static void test_fifo(void) {
        Job *first;

        begin();
        first = submit(99, &gate);
        wait_for(&entered);
        for (unsigned i = 1; i <= 50; i++) {
                (void)submit(i, NULL);
                run_until(&n_done, i);
                g_assert_cmpuint(last_done, ==, i);
        }
        g_assert_cmpuint(stats().n_running, ==, 1);

        pool_job_abandon(&first->job);
        g_assert_cmpuint(stats().n_abandoned, ==, 1);
        (void)sem_post(&gate);
        wait_for(&freed);
        end();
}

static void test_stuck(void) {
        Job *stuck[POOL_ABANDONED_MAX], *refused, *waiting;

        begin();

        for (unsigned i = 0; i < POOL_ABANDONED_MAX; i++) {
                stuck[i] = submit(i, &gate);
                wait_for(&entered);
                pool_job_abandon(&stuck[i]->job);
                g_assert_cmpuint(stats().n_abandoned, ==, i + 1);

                /* Whoever comes next does not wait, as long as there may be one more. */
                if (i + 1 < POOL_ABANDONED_MAX) {
                        (void)submit(100 + i, NULL);
                        run_until(&n_done, i + 1);
                }
        }

        refused = job_new(1, NULL);
        g_assert_cmpint(pool_submit(&pool, &refused->job), ==, -EAGAIN);
        g_assert_cmpuint(stats().n_queued, ==, 0);

        /* One returns after all: it is not counted any more, and the pool works again. */
        (void)sem_post(&gate);
        wait_for(&freed);
        g_assert_cmpuint(stats().n_abandoned, ==, POOL_ABANDONED_MAX - 1);
        g_assert_cmpuint(stats().n_abandoned_total, ==, POOL_ABANDONED_MAX);
        g_assert_cmpint(pool_submit(&pool, &refused->job), ==, 0);
        run_until(&n_done, POOL_ABANDONED_MAX);

        /* Two that wait behind a full house are still served when somebody leaves it. */
        (void)submit(7, &gate);
        wait_for(&entered);
        waiting = submit(8, NULL);
        g_assert_cmpuint(stats().n_queued, ==, 1);
        g_assert_cmpint(waiting->job.state, ==, POOL_JOB_QUEUED);
        for (unsigned i = 0; i < POOL_ABANDONED_MAX; i++)
                (void)sem_post(&gate);
        run_until(&n_done, POOL_ABANDONED_MAX + 2);

        for (unsigned i = 0; i < POOL_ABANDONED_MAX - 1; i++)
                wait_for(&freed);
        g_assert_cmpuint(stats().n_abandoned, ==, 0);
        end();
}

static void test_abandon_early_and_late(void) {
        Job *blocker[2], *queued, *finished;

        begin();
        for (unsigned i = 0; i < 2; i++) {
                blocker[i] = submit(i, &gate);
                wait_for(&entered);
        }

        queued = submit(5, NULL);
        pool_job_abandon(&queued->job);
        g_assert_cmpuint(n_freed, ==, 1);
        g_assert_cmpuint(stats().n_queued, ==, 0);

        /* Both finish, but the loop has not looked yet. */
        finished = blocker[0];
        (void)sem_post(&gate);
        (void)sem_post(&gate);
        while (stats().n_running > 0)
                g_thread_yield();
        pool_job_abandon(&finished->job);
        g_assert_cmpuint(n_freed, ==, 2);
        g_assert_cmpuint(stats().n_abandoned_total, ==, 0);

        run_until(&n_done, 1);
        g_assert_cmpuint(last_done, ==, 1);
        end();
}

static void test_done_while_stuck(void) {
        begin();
        (void)submit(1, &gate);
        (void)submit(2, &gate);
        (void)submit(3, NULL);
        wait_for(&entered);
        wait_for(&entered);

        /* The queued one is freed at once; the others are the threads'. */
        pool_done(&pool);
        g_assert_cmpuint(n_freed, ==, 1);
        event = sd_event_unref(event);

        (void)sem_post(&gate);
        (void)sem_post(&gate);
        for (unsigned i = 0; i < 3; i++)
                wait_for(&freed);
        g_assert_cmpuint(n_done, ==, 0);
}

static int work_look_around(PoolJob *job) {
        char name[16] = "";
        sigset_t mask;

        (void)job;
        (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
        (void)pthread_getname_np(pthread_self(), name, sizeof(name));
        return strcmp(name, "hale-pool") == 0 && sigismember(&mask, SIGTERM) == 1 &&
                               sigismember(&mask, SIGCHLD) == 1 && sigismember(&mask, SIGRTMAX) == 1
                       ? 1
                       : 0;
}

static void test_threads_are_quiet(void) {
        sigset_t before, after;
        Job *job;

        begin();
        (void)pthread_sigmask(SIG_SETMASK, NULL, &before);
        job = job_new(1, NULL);
        job->job.work = work_look_around;
        g_assert_cmpint(pool_submit(&pool, &job->job), ==, 0);
        run_until(&n_done, 1);
        (void)pthread_sigmask(SIG_SETMASK, NULL, &after);
        g_assert_cmpint(sigismember(&before, SIGTERM), ==, sigismember(&after, SIGTERM));
        end();
}

static void done_again(PoolJob *job, int result) {
        Job *self = CONTAINER_OF(job, Job, job);

        (void)result;
        if (++n_done < 100)
                g_assert_cmpint(pool_submit(&pool, &self->job), ==, 0);
        else
                g_free(self);
}

static void test_again_from_callback(void) {
        Job *job;

        begin();
        job = job_new(1, NULL);
        job->job.done = done_again;
        g_assert_cmpint(pool_submit(&pool, &job->job), ==, 0);
        run_until(&n_done, 100);
        end();
}

static void done_ends_all(PoolJob *job, int result) {
        Job *self = CONTAINER_OF(job, Job, job);

        (void)result;
        n_done++;
        pool_done(&pool);
        g_free(self);
}

static void test_end_from_callback(void) {
        begin();
        for (unsigned i = 0; i < 20; i++) {
                Job *job = job_new(i, NULL);

                job->job.done = done_ends_all;
                g_assert_cmpint(pool_submit(&pool, &job->job), ==, 0);
        }
        run_until(&n_done, 1);
        while (n_freed < 19)
                wait_for(&freed);
        g_assert_cmpuint(n_done, ==, 1);
        event = sd_event_unref(event);
}

/* Random: submit, abandon, look; in the end every job is accounted for once. */
static Job *walk_jobs[64];

static void done_walk(PoolJob *job, int result) {
        Job *self = CONTAINER_OF(job, Job, job);

        (void)result;
        g_assert_true(walk_jobs[self->number] == self);
        walk_jobs[self->number] = NULL;
        n_done++;
        g_free(self);
}

static void test_walk(void) {
        unsigned n_submitted = 0, n_refused = 0;

        begin();
        for (unsigned step = 0; step < 20000; step++) {
                unsigned i = (unsigned)g_test_rand_int_range(0, ELEMENTSOF(walk_jobs));

                if (!walk_jobs[i]) {
                        Job *job = job_new(i, NULL);

                        job->job.done = done_walk;
                        if (pool_submit(&pool, &job->job) < 0) {
                                g_free(job);
                                n_refused++;
                        } else {
                                walk_jobs[i] = job;
                                n_submitted++;
                        }
                } else if (g_test_rand_int_range(0, 3) == 0)
                        pool_job_abandon(&TAKE_PTR(walk_jobs[i])->job);
                else
                        g_assert_cmpint(sd_event_run(event, 0), >=, 0);
                (void)stats();
        }

        for (unsigned i = 0; i < ELEMENTSOF(walk_jobs); i++)
                if (walk_jobs[i])
                        pool_job_abandon(&TAKE_PTR(walk_jobs[i])->job);
        while (n_done + n_freed < n_submitted)
                wait_for(&freed);

        g_test_message("%u submitted, %u done, %u freed, %u refused", n_submitted, n_done,
                       atomic_load(&n_freed), n_refused);
        g_assert_cmpuint(n_done + n_freed, ==, n_submitted);
        end();
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/check/pool/thousand-jobs", test_thousand);
        g_test_add_func("/check/pool/first-come-first-served", test_fifo);
        g_test_add_func("/check/pool/stuck-threads-are-replaced-and-counted", test_stuck);
        g_test_add_func("/check/pool/abandon-queued-and-finished", test_abandon_early_and_late);
        g_test_add_func("/check/pool/done-while-stuck", test_done_while_stuck);
        g_test_add_func("/check/pool/threads-block-signals-and-have-a-name",
                        test_threads_are_quiet);
        g_test_add_func("/check/pool/submit-again-from-callback", test_again_from_callback);
        g_test_add_func("/check/pool/end-from-callback", test_end_from_callback);
        g_test_add_func("/check/pool/random-walk", test_walk);
        return g_test_run();
}
