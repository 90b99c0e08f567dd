/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Warm Spares
 *
 * A second process of the worker waits in hale_service_run(). It holds the pidfd
 * of the active one, and when that dies it takes over by itself, which saves the
 * way through us; but only while we allow it for this very process, that is, while
 * its death would lead to a restart at once in any case. Otherwise it waits until
 * we say so. The word that decides is in shared memory and changes hands by
 * compare-and-swap, and nobody begins before the other is dead: there are never two
 * at work.
 */

#include "core/defaults.h"
#include "service/worker.h"

bool worker_spare_has_taken(const hale_worker *worker) {
        const Process *process = worker->spare.process;

        return worker->spare.wanted && process_is_alive(process) &&
               atomic_load(&process->beat.slot->turn) ==
                       SPARE_TURN(worker->spare.generation, SPARE_TAKES);
}

/* Starts the spare, or has the one that is there watch the worker that now runs. */
void worker_spare_begin(hale_worker *worker) {
        hale_service *service = worker->service;
        Spare *spare = &worker->spare;
        int r;

        if (!spare->wanted || service->state != SERVICE_RUNNING ||
            worker->state != HALE_WORKER_RUNNING)
                return;

        if (process_is_alive(spare->process)) {
                worker_spare_arm(worker);
                return;
        }

        spare->ready = spare->runs = false;
        r = process_start(spare->process, service->event, PRIORITY_WORKER, &service->workers->image,
                          worker->name, true);
        if (r < 0)
                worker_spare_gone(worker);
}

/* Tells a spare that waits whom to watch, and lets it act if that is how it will be. */
void worker_spare_arm(hale_worker *worker) {
        Spare *spare = &worker->spare;

        if (!spare->ready || worker->state != HALE_WORKER_RUNNING || worker_is_bound(worker))
                return;

        /* A number of its own for each: what it knows of another worker is void. */
        spare->generation = (spare->generation + 1) & (UINT32_MAX >> 2);
        atomic_store(&spare->process->beat.slot->turn, SPARE_TURN(spare->generation, SPARE_WAITS));
        if (restart_is_at_once(&worker->restart, service_now()) &&
            process_tell_peer(spare->process, worker->active, spare->generation) >= 0)
                process_arm(spare->process, spare->generation);
}

void worker_spare_disarm(hale_worker *worker) {
        Spare *spare = &worker->spare;

        if (spare->ready)
                (void)process_disarm(spare->process, spare->generation);
}

/* The spare is the worker from now on, and the other of the two is free. */
void worker_spare_promote(hale_worker *worker) {
        Spare *spare = &worker->spare;
        Process *old = worker->active;
        bool runs = spare->runs;

        worker->active = spare->process;
        spare->process = old;
        spare->ready = spare->runs = false;
        backoff_reset(&spare->backoff);
        worker_enter(worker, HALE_WORKER_STARTING);
        worker_set_timer(worker, &worker->timer, usec_add(service_now(), WORKER_START_USEC));
        if (runs)
                worker_runs(worker);
}

/* Lets the spare be the start that is wanted. Returns false if there is none that could. */
bool worker_spare_use(hale_worker *worker) {
        Spare *spare = &worker->spare;

        if (!spare->ready || !process_is_alive(spare->process))
                return false;

        if (process_disarm(spare->process, spare->generation) && process_go(spare->process) < 0) {
                process_kill(spare->process, REASON_ENDED, 0);
                return false;
        }

        worker_spare_promote(worker);
        return true;
}

void worker_spare_end(hale_worker *worker) {
        worker->spare.ready = false;
        worker_set_timer(worker, &worker->spare.timer, USEC_NEVER);
        process_kill(worker->spare.process, REASON_ENDED, 0);
}

/* It has run main() with what was true then: after a reload, or for a start that somebody asked
 * for, that is out of date. */
void worker_spare_renew(hale_worker *worker) {
        Spare *spare = &worker->spare;

        if (!spare->wanted || !process_is_alive(spare->process))
                return;

        worker_spare_disarm(worker);
        if (worker_spare_has_taken(worker))
                return;

        spare->ready = false;
        spare->stale = true;
        process_kill(spare->process, REASON_ENDED, 0);
}

void service_workers_renew_spares(hale_service *service) {
        hale_worker *worker;

        if (!service->workers)
                return;

        TAILQ_FOREACH (worker, &service->workers->list, link)
                worker_spare_renew(worker);
}

void worker_spare_heard(hale_worker *worker, ProcessWord word) {
        Spare *spare = &worker->spare;

        if (word == WORD_RUNS) {
                spare->runs = true;
                return;
        }

        if (spare->stale)
                return;

        spare->ready = true;
        worker_spare_arm(worker);
}

/* A spare that dies is no death of the worker, but may be that of the next: wait, then try anew. */
void worker_spare_gone(hale_worker *worker) {
        hale_service *service = worker->service;
        Spare *spare = &worker->spare;
        bool stale = spare->stale;

        spare->ready = spare->runs = spare->stale = false;
        if (service->state != SERVICE_RUNNING || worker->state == HALE_WORKER_ENDED ||
            worker->state == HALE_WORKER_FAILED)
                return;

        worker_set_timer(worker, &spare->timer,
                         usec_add(service_now(),
                                  stale ? 0 : backoff_next(&spare->backoff, &service->random)));
}

void worker_spare_due(void *userdata) {
        worker_spare_begin(userdata);
}
