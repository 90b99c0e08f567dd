/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Blocking Callbacks
 *
 * A run in the pool has its own memory and a reference to its probe, because it
 * may outlive both its deadline and the probe's place in the service. What the
 * callback reports goes there, and to the core only if it came in time.
 */

#include <stdio.h>

#include "service/service.h"

struct BlockingRun {
        PoolJob job;
        hale_probe *probe;
        hale_probe_check_t callback;
        void *userdata;
        uint32_t generation;
        Report report;
};

/* The run that this thread is in. */
static __thread BlockingRun *current_run;

static int blocking_run_work(PoolJob *job) {
        BlockingRun *run = CONTAINER_OF(job, BlockingRun, job);
        int r;

        current_run = run;
        r = run->callback(run->probe, run->userdata);
        current_run = NULL;
        return r;
}

static void blocking_run_free(PoolJob *job) {
        BlockingRun *run = CONTAINER_OF(job, BlockingRun, job);

        (void)hale_probe_unref(run->probe);
        free(run);
}

static void blocking_run_done(PoolJob *job, int result) {
        BlockingRun *run = CONTAINER_OF(job, BlockingRun, job);
        hale_probe *probe = run->probe;
        hale_service *service = probe->service;

        /* A blocking callback has answered when it returns: there is no "later" for it. */
        report_from_result(&run->report, result);
        probe->job = NULL;
        service->clock_usec = service_now();
        probe_conclude(probe, run->generation, run->report.status, &run->report);
        blocking_run_free(job);
        service_settle(service);
}

int probe_pool_start(hale_probe *probe, uint32_t generation) {
        BlockingRun *run;
        int r;

        assert(!probe->job);

        run = malloc(sizeof(*run));
        if (!run)
                return -ENOMEM;

        *run = (BlockingRun){
                .job = { .work = blocking_run_work,
                         .done = blocking_run_done,
                         .free = blocking_run_free },
                .probe = hale_probe_ref(probe),
                .callback = probe->callback,
                .userdata = probe->userdata,
                .generation = generation,
        };

        r = pool_submit(&probe->service->pool, &run->job);
        if (r < 0) {
                blocking_run_free(&run->job);
                return r;
        }

        probe->job = run;
        return 0;
}

void probe_pool_abandon(hale_probe *probe) {
        BlockingRun *run = TAKE_PTR(probe->job);

        (void)snprintf(probe->service->stuck_probe, sizeof(probe->service->stuck_probe), "%s",
                       probe->name);

        pool_job_abandon(&run->job);
}

Report *probe_pool_current(const hale_probe *probe) {
        return current_run && current_run->probe == probe ? &current_run->report : NULL;
}

uint32_t probe_pool_run(const hale_probe *probe) {
        return current_run && current_run->probe == probe ? current_run->generation : 0;
}
