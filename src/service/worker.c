/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Workers of a Service: the calls of worker.h that make them and ask about them
 */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/names.h"
#include "check/cgroup-path.h"
#include "core/defaults.h"
#include "service/worker.h"

/* clang-format off */
static const char *const state_names[] = {
        [HALE_WORKER_WAITING]  = "waiting",
        [HALE_WORKER_STARTING] = "starting",
        [HALE_WORKER_RUNNING]  = "running",
        [HALE_WORKER_STOPPING] = "stopping",
        [HALE_WORKER_ENDED]    = "ended",
        [HALE_WORKER_FAILED]   = "failed",
};
/* clang-format on */

static_assert(ELEMENTSOF(state_names) == HALE_WORKER_FAILED + 1, "a worker's state lacks its name");

_public_ const char *hale_worker_state_to_string(hale_worker_state state) {
        return name_table_to_string(state_names, ELEMENTSOF(state_names), (int)state);
}

void worker_set_timer(hale_worker *worker, Timer *timer, uint64_t at_usec) {
        hale_service *service = worker->service;

        /* Deadlines of milliseconds should not be rounded as if counted from the last tick. */
        wheel_advance(&service->wheel, service_now());
        service_set_timer(service, timer, at_usec);
}

int service_workers_init(hale_service *service) {
        struct Workers *workers;
        CgroupPath group;
        int r;

        if (service->workers)
                return 0;

        workers = calloc(1, sizeof(*workers));
        if (!workers)
                return -ENOMEM;

        TAILQ_INIT(&workers->list);
        TAILQ_INIT(&workers->groups);
        workers->oom = (OomWatch)OOM_WATCH_INIT;

        /* A worker starts no others. */
        if (!service->is_worker) {
                r = spawn_image_init(&workers->image);
                if (r < 0) {
                        free(workers);
                        return r;
                }
                if (cgroup_path_find(&group, "") >= 0)
                        (void)oom_watch_open(&workers->oom, group.path, group.v1);
        }

        service->workers = workers;
        return 0;
}

static void worker_free(hale_worker *worker) {
        assert(!worker->service);

        (void)thread_free(worker->thread);
        (void)hale_probe_unref(worker->probe);
        free(worker->name);
        free(worker);
}

_public_ hale_worker *hale_worker_ref(hale_worker *worker) {
        if (worker)
                (void)atomic_fetch_add(&worker->n_ref, 1);

        return worker;
}

_public_ hale_worker *hale_worker_unref(hale_worker *worker) {
        if (worker && atomic_fetch_sub(&worker->n_ref, 1) == 1)
                worker_free(worker);

        return NULL;
}

_public_ void hale_worker_unrefp(hale_worker **worker) {
        (void)hale_worker_unref(*worker);
}

static int worker_new(hale_worker **ret, const char *name) {
        hale_worker *worker;

        worker = calloc(1, sizeof(*worker));
        if (!worker)
                return -ENOMEM;

        worker->n_ref = 1;
        worker->name = strdup(name);
        if (!worker->name) {
                free(worker);
                return -ENOMEM;
        }

        worker->stop_usec = WORKER_STOP_USEC;
        worker->chance = (Chance)CHANCE_INIT;
        worker->timer = (Timer)TIMER_INIT(worker_due, worker);
        worker->beat_timer = (Timer)TIMER_INIT(worker_beat_due, worker);
        worker->spare.timer = (Timer)TIMER_INIT(worker_spare_due, worker);
        restart_policy_default(&worker->policy);
        for (size_t i = 0; i < ELEMENTSOF(worker->processes); i++)
                process_init(&worker->processes[i], &worker_process_ops, worker);
        worker->active = &worker->processes[0];
        worker->spare.process = &worker->processes[1];

        *ret = worker;
        return 0;
}

/* Its probe is pushed, and never too old: silence is what a worker that is well makes. */
static int worker_add_probe(hale_service *service, hale_worker *worker) {
        ProbePolicy *policy;
        int r;

        r = hale_service_add_probe(service, &worker->probe, worker->name, HALE_GATE_NONE, NULL,
                                   NULL);
        if (r < 0)
                return r;

        policy = &worker->probe->health.state.policy;
        policy->stale_usec = USEC_NEVER;
        worker->probe->stale_set = true;
        worker->probe->is_worker = true;
        worker->probe->health.type = "worker";
        return 0;
}

_public_ int hale_service_add_worker(hale_service *service,
                                     hale_worker **ret,
                                     const char *name,
                                     hale_worker_main_t main,
                                     void *userdata) {
        _cleanup_(hale_worker_unrefp) hale_worker *worker = NULL;
        int r;

        SERVICE_CHECK(service);
        RETURN_IF_FAIL(main, -EINVAL);
        RETURN_IF_FAIL(service->state == SERVICE_NEW, -EBUSY);

        r = service_workers_init(service);
        if (r < 0)
                return r;

        if (service->workers->n_workers >= WORKERS_MAX) {
                service_tell_error(service, "Cannot add worker '%s': there are %u already",
                                   name ? name : "", service->workers->n_workers);
                return -E2BIG;
        }

        r = worker_new(&worker, name ? name : "");
        if (r < 0)
                return r;

        r = worker_add_probe(service, worker);
        if (r < 0)
                return r;

        worker->service = service;
        worker->main = main;
        worker->userdata = userdata;
        TAILQ_INSERT_TAIL(&service->workers->list, worker, link);
        service->workers->n_workers++;

        if (ret)
                *ret = hale_worker_ref(worker);

        TAKE_PTR(worker);
        return 0;
}

_public_ hale_worker *hale_service_find_worker(hale_service *service, const char *name) {
        hale_worker *worker;

        if (!service || !name || !service->workers)
                return NULL;

        TAILQ_FOREACH (worker, &service->workers->list, link)
                if (strcmp(worker->name, name) == 0)
                        return worker;

        return NULL;
}

/* Takes the worker out of its service. Its thread, if it does not end, keeps what it needs. */
static void worker_release(hale_worker *worker, uint64_t until_usec) {
        hale_service *service = worker->service;

        worker_beat_end(worker);
        wheel_remove(&service->wheel, &worker->timer.node);
        wheel_remove(&service->wheel, &worker->beat_timer.node);
        wheel_remove(&service->wheel, &worker->spare.timer.node);
        for (size_t i = 0; i < ELEMENTSOF(worker->processes); i++)
                process_done(&worker->processes[i], usec_sub(until_usec, service_now()));

        /* The thread may still look at it. */
        if (worker->thread)
                thread_detach(worker->thread);

        /* Here, on the loop: the thread may give back the last reference to the worker. */
        worker->probe = hale_probe_unref(worker->probe);
        worker->service = NULL;
        (void)hale_worker_unref(worker);
}

void service_workers_done(hale_service *service) {
        struct Workers *workers = service->workers;
        uint64_t until_usec;
        hale_worker *worker;
        hale_group *group;

        if (!workers)
                return;

        /* All at once, and only then wait for each. */
        service_workers_kill(service);
        until_usec = usec_add(service_now(), WORKERS_REAP_USEC);
        while ((group = TAILQ_FIRST(&workers->groups))) {
                TAILQ_REMOVE(&workers->groups, group, link);
                group_free(group);
        }
        while ((worker = TAILQ_FIRST(&workers->list))) {
                TAILQ_REMOVE(&workers->list, worker, link);
                worker_release(worker, until_usec);
        }

        spawn_image_done(&workers->image);
        oom_watch_close(&workers->oom);
        free(workers);
        service->workers = NULL;
}

_public_ const char *hale_worker_get_name(hale_worker *worker) {
        return worker ? worker->name : NULL;
}

_public_ hale_worker_state hale_worker_get_state(hale_worker *worker) {
        return worker ? worker->state : HALE_WORKER_WAITING;
}

_public_ int hale_worker_get_pid(hale_worker *worker) {
        return worker ? (int)worker->active->pid : 0;
}

_public_ uint64_t hale_worker_get_n_restarts(hale_worker *worker) {
        return worker ? worker->restart.n_total : 0;
}

_public_ const char *hale_worker_get_exit_text(hale_worker *worker) {
        return worker ? worker->exit_text : "";
}
