/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Starting all workers, and stopping them, in the reverse order and in time
 *
 * One is asked to stop when the one before it is gone, and killed when its share
 * of the time is over.
 */

#include "core/defaults.h"
#include "service/worker.h"

void service_workers_start(hale_service *service) {
        hale_worker *worker;

        if (!service->workers)
                return;

        service_workers_check(service);
        TAILQ_FOREACH (worker, &service->workers->list, link) {
                restart_init(&worker->restart, &worker->policy);
                backoff_init(&worker->spare.backoff, BACKOFF_FULL, WORKER_BACKOFF_MIN_USEC,
                             WORKER_BACKOFF_MAX_USEC);
                worker_start(worker);
        }
}

/* Asks the next, if all before it are gone. Returns false when nobody is left. */
static bool workers_ask_next(hale_service *service) {
        struct Workers *workers = service->workers;
        uint64_t left = usec_sub(workers->stop_by_usec, service_now());
        hale_worker *worker, *last = NULL;
        unsigned n_left = 0;

        TAILQ_FOREACH (worker, &workers->list, link)
                if (worker_is_alive(worker)) {
                        last = worker;
                        n_left++;
                }

        if (!last)
                return false;

        /* A restart by hand may have asked it already, and given it more time than there is. */
        if (last->asked && !last->killed)
                worker_set_timer(last, &last->timer,
                                 MIN(usec_add(service_now(), last->stop_limit_usec),
                                     workers->stop_by_usec));
        else if (!last->killed)
                worker_ask(last, strategy_stop_share(left, last->stop_usec, n_left));
        return true;
}

void workers_stop_next(hale_service *service) {
        if (!workers_ask_next(service))
                service_workers_stopped(service);
}

bool service_workers_stop(hale_service *service, uint64_t since_usec) {
        struct Workers *workers = service->workers;
        hale_worker *worker;
        hale_group *group;

        if (!workers)
                return false;

        workers->stopping = true;
        workers->stop_by_usec = MAX(usec_add(since_usec, STOP_TIMEOUT_USEC),
                                    usec_add(service_now(), WORKERS_STOP_MIN_USEC));
        TAILQ_FOREACH (group, &workers->groups, link) {
                group->pending = false;
                service_set_timer(service, &group->timer, USEC_NEVER);
        }
        TAILQ_FOREACH (worker, &workers->list, link) {
                worker_spare_disarm(worker);
                if (!worker_spare_has_taken(worker))
                        worker_spare_end(worker);
                if (!worker_is_alive(worker))
                        worker_set_timer(worker, &worker->timer, USEC_NEVER);
        }

        return workers_ask_next(service);
}

void service_workers_kill(hale_service *service) {
        hale_worker *worker;

        if (!service->workers)
                return;

        TAILQ_FOREACH (worker, &service->workers->list, link) {
                worker_spare_disarm(worker);
                process_kill(worker->spare.process, REASON_ENDED, 0);
                process_kill(worker->active, REASON_ENDED, 0);
                if (worker->thread)
                        thread_ask(worker->thread);
        }
}
