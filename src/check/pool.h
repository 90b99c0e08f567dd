/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Pool: threads for what blocks
 *
 * Runs blocking calls (name resolution, statvfs() on a dead server, callbacks of
 * the program) in at most POOL_RUNNING_MAX threads and gives their results back
 * on the event loop. A call that hangs cannot be cancelled: its job is abandoned,
 * its thread counted and replaced, and the memory freed by whoever is last.
 * At POOL_ABANDONED_MAX abandoned threads nothing more is started.
 *
 * Threads are made when they are needed, have all signals blocked, are never
 * joined, and end after POOL_IDLE_USEC without work. What they share is counted,
 * so that one that returns after pool_done() touches nothing that is gone.
 *
 * All calls are for the thread of the loop.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <systemd/sd-event.h>

typedef struct PoolCore PoolCore;
typedef struct PoolJob PoolJob;

typedef struct Pool {
        PoolCore *core;
        sd_event_source *source;
} Pool;

typedef enum PoolJobState {
        POOL_JOB_IDLE, /* the owner's */
        POOL_JOB_QUEUED,
        POOL_JOB_RUNNING,
        POOL_JOB_ABANDONED, /* still running; the thread's */
        POOL_JOB_FINISHED,  /* waits for the loop */
} PoolJobState;

/*
 * A blocking call: embedded in a structure on the heap that holds its arguments
 * and results, and that the thread may use alone until @done is called. The
 * owner sets the three functions and may submit the same job again and again.
 */
struct PoolJob {
        int (*work)(PoolJob *job);              /* in a thread; may block */
        void (*done)(PoolJob *job, int result); /* on the loop; the job is the owner's again */
        void (*free)(PoolJob *job);             /* after pool_job_abandon(); in any thread */
        bool free_blocks; /* pool_done() leaves that to a thread, if there is one */

        /* The pool's, under its lock. */
        TAILQ_ENTRY(PoolJob) link;
        PoolCore *core;
        PoolJobState state;
        int result;
};

typedef struct PoolStats {
        unsigned n_threads; /* all, with the abandoned ones */
        unsigned n_running;
        unsigned n_abandoned; /* now */
        unsigned n_queued;
        uint64_t n_abandoned_total;
} PoolStats;

/* Returns 0, or what eventfd(2) or sd_event_add_io(3) returned. */
int pool_init(Pool *pool, sd_event *event, int64_t priority);

/* Abandons what is left; never waits. Takes a pool of zeros. */
void pool_done(Pool *pool);

/*
 * Queues @job, which must be idle. Calls @done later, never from within.
 *
 * Returns 0, -EAGAIN while POOL_ABANDONED_MAX threads are stuck, -ENOBUFS if the
 * queue is full, -ENOMEM if not one thread could be started.
 */
int pool_submit(Pool *pool, PoolJob *job);

/*
 * Gives up a submitted job: @done will not be called, and the job is freed now,
 * or when its thread returns. The pointer is no longer the caller's.
 */
void pool_job_abandon(PoolJob *job);

void pool_get_stats(const Pool *pool, PoolStats *ret);
