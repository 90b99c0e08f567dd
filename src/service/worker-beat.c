/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Heartbeats of Workers: the calls of the worker, and the look that the service
 * takes when a beat is overdue. Workers that beat cost two wake-ups a limit at most,
 * all together: who looks at one looks at the others, too.
 */

#include <unistd.h>

#include "core/defaults.h"
#include "service/worker.h"

/* Where the worker that runs here writes: in its process, or in its thread. */
static BeatSlot *worker_own_slot(hale_worker *worker) {
        const hale_service *service;

        /* First: a thread may outlive its service, and must not look at that. */
        if (worker->thread)
                return thread_slot(worker->thread);

        service = worker->service;
        return service && service->is_worker && service->working == worker ? service->child.slot
                                                                           : NULL;
}

_public_ int hale_worker_beat(hale_worker *worker) {
        BeatSlot *slot;

        RETURN_IF_FAIL(worker, -EINVAL);

        slot = worker_own_slot(worker);
        if (!slot)
                return -ESTALE;

        beat_now(slot);
        return 0;
}

_public_ int hale_worker_should_stop(hale_worker *worker) {
        hale_service *service;

        if (!worker)
                return 0;
        if (worker->thread)
                return atomic_load_explicit(&thread_slot(worker->thread)->stop,
                                            memory_order_relaxed) != 0;

        service = worker->service;
        return service && service->is_worker && service->working == worker &&
               child_should_stop(&service->child);
}

_public_ int hale_worker_get_stop_fd(hale_worker *worker) {
        hale_service *service;

        RETURN_IF_FAIL(worker, -EINVAL);
        if (worker->thread)
                return thread_stop_fd(worker->thread);

        service = worker->service;
        RETURN_IF_FAIL(service && service->is_worker && service->working == worker, -ESTALE);
        return service->child.socket_fd;
}

/* What the service reads. */
BeatSlot *worker_slot(hale_worker *worker) {
        return worker->is_thread ? thread_slot(worker->thread) : worker->active->beat.slot;
}

static void worker_beat_look(hale_worker *worker, HeartbeatChance *ret_chance) {
        if (worker->chance.schedstat_fd < 0) {
                pid_t tid = worker->is_thread ? atomic_load(&worker_slot(worker)->tid)
                                              : worker->active->pid;

                if (tid > 0)
                        chance_open(&worker->chance, worker->is_thread ? getpid() : tid, tid);
        }
        chance_read(&worker->chance, ret_chance);
}

void worker_beat_begin(hale_worker *worker) {
        HeartbeatChance chance;

        if (worker->heartbeat_usec == 0)
                return;

        worker->starved_told = false;
        worker_beat_look(worker, &chance);
        heartbeat_begin(&worker->heartbeat, worker->heartbeat_usec,
                        atomic_load(&worker_slot(worker)->beat_usec), &chance, service_now());
        worker_set_timer(worker, &worker->beat_timer, worker->heartbeat.due_usec);
}

void worker_beat_end(hale_worker *worker) {
        worker_set_timer(worker, &worker->beat_timer, USEC_NEVER);
        chance_close(&worker->chance);
}

static void worker_hung(hale_worker *worker) {
        worker_beat_end(worker);
        worker->n_hangs++;
        worker_tell_hung(worker);

        if (worker->is_thread) {
                worker_lost(worker, "hangs");
                return;
        }

        worker_kill(worker, REASON_HUNG, worker->heartbeat_usec);
}

static void worker_beat_check(hale_worker *worker) {
        HeartbeatChance chance;
        HeartbeatVerdict verdict;

        worker_beat_look(worker, &chance);
        verdict = heartbeat_check(&worker->heartbeat, atomic_load(&worker_slot(worker)->beat_usec),
                                  &chance, service_now());
        if (verdict == HEARTBEAT_HUNG) {
                worker_hung(worker);
                return;
        }

        if (verdict == HEARTBEAT_STARVED && !worker->starved_told) {
                worker->starved_told = true;
                worker_tell_starved(worker);
        }
        worker_set_timer(worker, &worker->beat_timer, worker->heartbeat.due_usec);
}

void worker_beat_due(void *userdata) {
        hale_worker *worker = userdata, *other;

        if (worker->state != HALE_WORKER_RUNNING)
                return;

        worker_beat_check(worker);
        TAILQ_FOREACH (other, &worker->service->workers->list, link)
                if (other != worker && other->state == HALE_WORKER_RUNNING &&
                    other->heartbeat_usec > 0 &&
                    heartbeat_looks_along(&other->heartbeat, service_now()))
                        worker_beat_check(other);
}

/* Nobody ran for a while: silence counts from now, and the probes, which were made to forget,
 * learn again how the workers are. */
void service_workers_forgive(hale_service *service) {
        hale_worker *worker;

        if (!service->workers)
                return;

        TAILQ_FOREACH (worker, &service->workers->list, link) {
                worker_forgive(worker);
                worker_tell_anew(worker);
        }
}
