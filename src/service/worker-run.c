/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The Life of a Worker
 *
 *   WAITING --start--> STARTING --says so--> RUNNING --dies--> WAITING (or ENDED, or FAILED)
 *                          |                    |                  ^
 *                          +------ asked or killed --> STOPPING ---+
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/defaults.h"
#include "service/worker.h"

/* The only place that writes @state. */
void worker_enter(hale_worker *worker, hale_worker_state state) {
        worker->state = state;
        worker->service->results_revision++;
        bus_worker_changed(worker->service->bus, worker->name);
}

bool worker_is_alive(const hale_worker *worker) {
        return !worker->given_up &&
               (worker->is_thread ? worker->thread != NULL : process_is_alive(worker->active));
}

static int worker_work(void *owner) {
        hale_worker *worker = owner;

        return worker->main(worker, worker->userdata);
}

static void worker_thread_release(void *owner) {
        (void)hale_worker_unref(owner);
}

static void worker_gone(hale_worker *worker, const WorkerExit *end);

static void worker_thread_begun(void *owner) {
        hale_worker *worker = owner;

        worker_runs(worker);
        service_settle(worker->service);
}

static void worker_thread_done(void *owner, int result) {
        hale_worker *worker = owner;
        const WorkerExit end = {
                .kind = EXIT_RETURNED,
                .has_result = true,
                .result = result,
                .reason = worker->asked ? REASON_ASKED : REASON_ITSELF,
        };

        worker->thread = thread_free(worker->thread);
        worker_gone(worker, &end);
        service_settle(worker->service);
}

static const ThreadOps worker_thread_ops = {
        .work = worker_work,
        .begun = worker_thread_begun,
        .done = worker_thread_done,
        .release = worker_thread_release,
};

static int worker_start_thread(hale_worker *worker) {
        int r;

        (void)hale_worker_ref(worker);
        r = thread_start(&worker->thread, worker->service->event, PRIORITY_WORKER,
                         &worker_thread_ops, worker);
        if (r < 0)
                (void)hale_worker_unref(worker);

        return r;
}

void worker_start(hale_worker *worker) {
        hale_service *service = worker->service;
        int r = 0;

        assert(!worker_is_alive(worker));

        worker->asked = worker->again = worker->killed = worker->given_up = false;
        worker->start_error = 0;
        worker_enter(worker, HALE_WORKER_STARTING);
        worker_set_timer(worker, &worker->timer, usec_add(service_now(), WORKER_START_USEC));

        if (worker->is_thread)
                r = worker_start_thread(worker);
        else if (!worker_spare_use(worker))
                r = process_start(worker->active, service->event, PRIORITY_WORKER,
                                  &service->workers->image, worker->name, false);

        /* It counts as a death, but not from within whoever wants it started. */
        if (r < 0) {
                worker->start_error = r;
                worker_set_timer(worker, &worker->timer, service_now());
        }
}

void worker_runs(hale_worker *worker) {
        uint64_t now_usec = service_now();

        if (worker->state != HALE_WORKER_STARTING)
                return;

        worker_enter(worker, HALE_WORKER_RUNNING);
        worker->told_pid = worker->active->pid;
        restart_begun(&worker->restart, now_usec);
        worker_set_timer(worker, &worker->timer, restart_settles_at(&worker->restart));
        worker_beat_begin(worker);
        worker_tell_runs(worker);
        worker_spare_begin(worker);
}

/* Asks the worker to stop, and kills it after @limit_usec. */
void worker_ask(hale_worker *worker, uint64_t limit_usec) {
        if (!worker_is_alive(worker) || worker->asked)
                return;

        worker->asked = true;
        worker->stop_limit_usec = limit_usec;
        worker_beat_end(worker);
        worker_spare_disarm(worker);
        worker_enter(worker, HALE_WORKER_STOPPING);
        worker_tell_stopping(worker);
        worker_set_timer(worker, &worker->timer, usec_add(service_now(), limit_usec));

        if (worker->is_thread)
                thread_ask(worker->thread);
        else
                process_ask(worker->active);
}

static void worker_fail(hale_worker *worker) {
        worker->again = false;
        worker_enter(worker, HALE_WORKER_FAILED);
        worker_spare_end(worker);
        worker_tell_escalated(worker);
        worker_gate_live(worker, true);
}

/* Talk is for the time in which the new process loads its libraries. */
static void worker_start_again(hale_worker *worker, uint64_t at_usec, uint64_t wait_usec) {
        bool at_once = wait_usec <= RESTART_AT_ONCE_USEC && !worker_is_bound(worker);

        if (at_once && !worker->is_thread) {
                worker_start(worker);
                worker_tell_died(worker, wait_usec);
                return;
        }

        worker_tell_died(worker, wait_usec);
        if (at_once)
                worker_start(worker);
        else if (worker_is_bound(worker))
                group_restart(worker->group, worker, at_usec);
        else
                worker_set_timer(worker, &worker->timer, at_usec);
}

/* It died of itself, or was killed because it did not do as it should: what now? */
static void worker_died(hale_worker *worker, bool success) {
        uint64_t now_usec = service_now(), at_usec = now_usec;
        RestartDecision decision;

        decision = restart_ended(&worker->restart, success, now_usec, &worker->service->random,
                                 &at_usec);

        /* It has been allowed to, while a restart would have been at once. */
        if (worker_spare_has_taken(worker)) {
                worker_tell_died(worker, 0);
                worker_spare_promote(worker);
                return;
        }

        if (decision == RESTART_AT) {
                worker_enter(worker, HALE_WORKER_WAITING);
                worker_start_again(worker, at_usec, at_usec - now_usec);
                return;
        }

        if (decision == RESTART_NOT) {
                worker->ended_well = success;
                worker_enter(worker, HALE_WORKER_ENDED);
                worker_spare_end(worker);
                worker_tell_ended(worker, success);
        } else {
                worker_fail(worker);
        }

        /* It may have been waited for: killed, it is not asked any more. */
        if (worker->group)
                group_step(worker->group);
}

/* It stopped because it was asked to. */
static void worker_stopped(hale_worker *worker) {
        restart_stopped(&worker->restart, service_now());

        /* The spare was faster than our word: it is asked in its turn. */
        if (worker_spare_has_taken(worker)) {
                worker_spare_promote(worker);
                worker->asked = false;
                worker_ask(worker, worker->stop_limit_usec);
                return;
        }

        worker->ended_well = true;
        worker_enter(worker, worker->policy.mode == HALE_RESTART_TEMPORARY && !worker->again
                                     ? HALE_WORKER_ENDED
                                     : HALE_WORKER_WAITING);
        if (worker->service->workers->stopping)
                workers_stop_next(worker->service);
        else if (worker->group && worker->group->pending)
                group_step(worker->group);
        else if (worker->again && worker->service->state == SERVICE_RUNNING)
                worker_start(worker);
}

static void worker_gone(hale_worker *worker, const WorkerExit *end) {
        hale_service *service = worker->service;

        (void)exit_describe(end, worker->exit_text, sizeof(worker->exit_text));
        worker->n_exits[exit_word(end)]++;
        worker->died_usec = service_now();
        worker->told_pid = worker->is_thread ? 0 : worker->active->last_pid;
        worker->killed = false;
        worker_gate_live(worker, false); /* what a thread closed that hung, and is back */
        worker_beat_end(worker);
        worker_set_timer(worker, &worker->timer, USEC_NEVER);
        service->clock_usec = worker->died_usec;

        if (worker->asked) {
                worker_stopped(worker);
        } else if (service->state != SERVICE_RUNNING) {
                /* Whoever stops all may have told the worker as well (KillMode=control-group). */
                if (worker_spare_has_taken(worker))
                        worker_spare_promote(worker);
                else
                        worker_enter(worker, HALE_WORKER_WAITING);
                if (service->workers->stopping)
                        workers_stop_next(service);
        } else {
                worker_died(worker, exit_is_success(end));
        }
}

static void on_process_gone(Process *process, const WorkerExit *end) {
        hale_worker *worker = process->owner;
        hale_service *service = worker->service;
        WorkerExit told = *end;

        if (process == worker->active) {
                told.oom = oom_watch_look(&service->workers->oom) && end->kind == EXIT_SIGNAL &&
                           end->reason == REASON_ITSELF;
                worker_gone(worker, &told);
        } else {
                worker_spare_gone(worker);
        }
        service_settle(service);
}

static void on_process_heard(Process *process, ProcessWord word) {
        hale_worker *worker = process->owner;

        if (process != worker->active)
                worker_spare_heard(worker, word);
        else if (word == WORD_RUNS)
                worker_runs(worker);
        service_settle(worker->service);
}

const ProcessOps worker_process_ops = {
        .heard = on_process_heard,
        .gone = on_process_gone,
};

/* A thread that nothing but the end of the service can end. */
void worker_lost(hale_worker *worker, const char *how) {
        (void)snprintf(worker->exit_text, sizeof(worker->exit_text), "%s", how);
        worker_enter(worker, HALE_WORKER_FAILED);
        worker_set_timer(worker, &worker->timer, USEC_NEVER);
        worker_gate_live(worker, true);
}

/* Killed, and still not gone: it hangs in the kernel, or is a thread. */
static void worker_stays(hale_worker *worker) {
        if (worker->is_thread)
                worker_tell_late(worker, "does not stop", worker->stop_limit_usec,
                                 ", and a thread cannot be killed");
        else
                worker_tell_late(worker, "was killed, but does not end", WORKER_KILL_USEC, "");

        if (worker->service->workers->stopping) {
                worker->given_up = true;
                workers_stop_next(worker->service);
        } else if (worker->is_thread) {
                worker_lost(worker, "does not stop");
        }
}

void worker_kill(hale_worker *worker, ExitReason reason, uint64_t limit_usec) {
        hale_service *service = worker->service;
        uint64_t until = usec_add(service_now(), WORKER_KILL_USEC);

        if (service->workers->stopping)
                until = MIN(until, usec_add(service->workers->stop_by_usec, WORKERS_REAP_USEC));

        worker->killed = true;
        worker_beat_end(worker);
        worker_enter(worker, HALE_WORKER_STOPPING);
        worker_set_timer(worker, &worker->timer, until);
        process_kill(worker->active, reason, limit_usec);
}

static void worker_start_late(hale_worker *worker) {
        const WorkerExit end = { .kind = EXIT_NO_START, .code = worker->start_error };

        if (worker->start_error < 0) {
                worker->start_error = 0;
                worker_gone(worker, &end);
                return;
        }

        /* The machine has no time for it, and it cannot be killed: it is waited for. */
        if (worker->is_thread) {
                worker_tell_late(worker, "did not begin", WORKER_START_USEC, "");
                worker_set_timer(worker, &worker->timer,
                                 usec_add(service_now(), WORKER_START_USEC));
                return;
        }

        worker_tell_late(worker, "did not reach hale_service_run()", WORKER_START_USEC, "");
        worker_kill(worker, REASON_NO_BEGIN, WORKER_START_USEC);
}

static void worker_stop_late(hale_worker *worker) {
        if (worker->is_thread || worker->killed) {
                worker_stays(worker);
                return;
        }

        worker_tell_late(worker, "did not stop", worker->stop_limit_usec, "");
        worker_kill(worker, REASON_NO_STOP, worker->stop_limit_usec);
}

/* Nothing ran for a while, so that what it is waited for may not have come: its time begins anew.
 */
void worker_forgive(hale_worker *worker) {
        uint64_t limit_usec = worker->killed ? WORKER_KILL_USEC : worker->stop_limit_usec;

        if (worker->state == HALE_WORKER_RUNNING)
                worker_beat_begin(worker);
        else if (worker->state == HALE_WORKER_STARTING && worker->start_error == 0)
                worker_set_timer(worker, &worker->timer,
                                 usec_add(service_now(), WORKER_START_USEC));
        else if (worker->state == HALE_WORKER_STOPPING)
                worker_set_timer(worker, &worker->timer, usec_add(service_now(), limit_usec));
}

void worker_due(void *userdata) {
        hale_worker *worker = userdata;

        switch (worker->state) {
        case HALE_WORKER_WAITING:
                if (worker->service->state == SERVICE_RUNNING)
                        worker_start(worker);
                break;
        case HALE_WORKER_STARTING:
                worker_start_late(worker);
                break;
        case HALE_WORKER_RUNNING:
                if (restart_settle(&worker->restart, service_now())) {
                        worker_tell_settled(worker);
                        worker_spare_arm(worker);
                } else {
                        worker_set_timer(worker, &worker->timer,
                                         restart_settles_at(&worker->restart));
                }
                break;
        case HALE_WORKER_STOPPING:
                worker_stop_late(worker);
                break;
        case HALE_WORKER_ENDED:
        case HALE_WORKER_FAILED:
                break;
        }
}

_public_ int hale_worker_restart(hale_worker *worker) {
        hale_service *service;

        WORKER_CHECK(worker);
        RETURN_IF_FAIL(on_loop_thread, -EPERM);
        service = worker->service;
        RETURN_IF_FAIL(service->state == SERVICE_RUNNING, -ESTALE);
        RETURN_IF_FAIL(worker->state != HALE_WORKER_FAILED || !worker_is_alive(worker), -ESTALE);

        restart_forgive(&worker->restart);
        worker_gate_live(worker, false);
        worker_spare_renew(worker);
        worker->again = true;
        if (worker_is_bound(worker)) {
                if (worker->state == HALE_WORKER_FAILED)
                        worker_enter(worker, HALE_WORKER_WAITING);
                group_restart(worker->group, worker, 0);
        } else if (worker_is_alive(worker)) {
                worker_ask(worker, worker->stop_usec);
        } else {
                worker_set_timer(worker, &worker->timer, USEC_NEVER);
                worker_start(worker);
        }
        service_unsettle(service);
        return 0;
}
