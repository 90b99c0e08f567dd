/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Workers
 *
 * A worker is a piece of a service that may die without taking the service along:
 * hale starts it, watches it, and starts it again. By default it is a process of
 * its own, the same program executed a second time:
 *
 *     static int mailer(hale_worker *worker, void *userdata) {
 *             while (!hale_worker_should_stop(worker)) {
 *                     send_next_mail();
 *                     hale_worker_beat(worker);
 *             }
 *             return 0;
 *     }
 *
 *     r = hale_service_add_worker(service, &worker, "mailer", mailer, NULL);
 *     if (r >= 0)
 *             r = hale_worker_set_heartbeat_usec(worker, HALE_WORKER_HEARTBEAT_USEC);
 *     ...
 *     return hale_exit_status(hale_service_run(service));
 *
 * In the worker's process the program's main() runs again, from its beginning
 * and with the same arguments, up to hale_service_run(), which there calls the
 * worker's function and returns what that returned. (hale_service_start() does so,
 * too, and then tells the loop to exit.) Therefore:
 *
 *   - everything between hale_service_new() and hale_service_run() must be cheap
 *     and repeatable, and add the same workers: no "create the table", no
 *     "listen on the port". hale_service_is_worker() tells the two apart;
 *   - nothing is shared with the service but the function: no memory, no
 *     descriptors (all but the standard three are closed), no sockets of systemd;
 *   - the worker has no watchdog, no bus and no HTTP of its own, and what it
 *     reports on probes stays with it. Its life is its answer: each worker is also
 *     a probe of its name, of the type "worker".
 *
 * How it ends, and what then: a crash, an error or a missed heartbeat is told in
 * words, and by its policy the worker is started again, at once the first time
 * and after growing waits then. One that dies too often closes `live`: restarting
 * workers does not help, so systemd restarts the service. A worker dies with its
 * service, whatever ends that (PR_SET_PDEATHSIG). The kernel forgets this when a worker
 * changes its user: one that does so in its function calls prctl(2) again, or finds
 * out by hale_worker_should_stop(), which is true as well when the service has gone.
 *
 * A restart runs the file that the service was started from, even if an upgrade has
 * replaced or deleted it meanwhile: service and workers are always of one version, until
 * the service itself is restarted, as packages do after an upgrade. Shared libraries
 * are loaded anew; with another libhale that speaks otherwise no worker starts, and `live`
 * closes. It needs /proc: in a chroot(2) without it, workers cannot be started.
 * User, directory, limits and environment are those of the service at that moment.
 *
 * With a worker ends its process group. What it has started and moved out of that
 * (setsid(2), daemon(3)) is ended by systemd, with the unit (KillMode=), and counted in
 * TasksMax=.
 *
 * The unit should say KillMode=mixed, so that at the stop the service, and not
 * systemd, ends its workers in their order.
 *
 * All calls are for the thread of the loop, but for those that the worker's
 * function needs: hale_worker_beat(), _should_stop(), _get_stop_fd(),
 * _get_name(), _ref() and _unref().
 */

#include <stdint.h>

#include "hale/probe.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hale_worker hale_worker;
typedef struct hale_group hale_group;

/*
 * The work. Returns 0 (done) or a negative errno (failed); either may mean that
 * it is called anew. Should return soon once hale_worker_should_stop() says so.
 */
typedef int (*hale_worker_main_t)(hale_worker *worker, void *userdata);

/* Whether a worker that has ended is started again. */
typedef enum hale_restart {
        HALE_RESTART_PERMANENT, /* always (the default) */
        HALE_RESTART_TRANSIENT, /* unless it ended well: returned 0, exited with status 0 */
        HALE_RESTART_TEMPORARY, /* never */
} hale_restart;

/* Who else is started anew when a member of a group has died. */
typedef enum hale_strategy {
        HALE_ONE_FOR_ONE,  /* nobody */
        HALE_ONE_FOR_ALL,  /* all members: they cannot do without one another */
        HALE_REST_FOR_ONE, /* those added after it: they build upon it */
} hale_strategy;

typedef enum hale_worker_state {
        HALE_WORKER_WAITING,  /* for the service to start, or for its own restart */
        HALE_WORKER_STARTING, /* on its way to hale_service_run() */
        HALE_WORKER_RUNNING,
        HALE_WORKER_STOPPING, /* asked to stop, or killed, and not gone yet */
        HALE_WORKER_ENDED,    /* and not started again, by its policy */
        HALE_WORKER_FAILED,   /* died too often, or hangs for good: closes `live` */
} hale_worker_state;

/* The word for it ("running"); NULL for a value that is none. */
const char *hale_worker_state_to_string(hale_worker_state state);

/* A limit for heartbeats that a machine under load does not trip. */
#define HALE_WORKER_HEARTBEAT_USEC 10000000ULL

/*
 * Adds a worker and a probe of the same name. With @ret the caller owns a
 * reference; with NULL the worker floats: it lives as long as the service.
 *
 * Before the start only. Returns 0, -EEXIST if a probe or worker has the name,
 * -EINVAL, -EBUSY after the start, -E2BIG at the limit of 256, -ENOMEM, -ECHILD.
 */
int hale_service_add_worker(hale_service *service,
                            hale_worker **ret,
                            const char *name,
                            hale_worker_main_t main,
                            void *userdata);

/* Returns 1 in the process of a worker, 0 in that of the service. */
int hale_service_is_worker(hale_service *service);

/* Take and give back a reference. Both take NULL. _unref() returns NULL. */
hale_worker *hale_worker_ref(hale_worker *worker);
hale_worker *hale_worker_unref(hale_worker *worker);
void hale_worker_unrefp(hale_worker **worker);

/*
 * For the worker's function. _beat() says "I am getting on": one store into
 * shared memory, so it may be called as often as it likes to. _should_stop()
 * returns 1 once the worker has been asked to stop; blocking calls of a process
 * are interrupted then (EINTR). _get_stop_fd() returns a descriptor that becomes
 * readable then, for workers that wait in poll(2); it must not be read or closed.
 *
 * Elsewhere _beat() returns -ESTALE, _get_stop_fd() -ESTALE, _should_stop() 0.
 */
int hale_worker_beat(hale_worker *worker);
int hale_worker_should_stop(hale_worker *worker);
int hale_worker_get_stop_fd(hale_worker *worker);

/*
 * Settings, all before the start. They return 0, -EINVAL when out of range (the log
 * says what was expected), -EBUSY after the start.
 *
 * _set_thread(): with @thread not 0, the worker is a thread of the service and
 * shares its memory. It can be restarted when it returns, but not killed: one
 * that crashes takes the service along, and one that misses its heartbeat, or does not
 * stop when it is to be restarted, closes `live`, for only a restart of the service can
 * end it.
 */
int hale_worker_set_thread(hale_worker *worker, int thread);
int hale_worker_set_restart(hale_worker *worker, hale_restart restart);

/*
 * Waits between restarts: none the first time, then somewhere between 0 and
 * @min_usec, which doubles up to @max_usec (1 s, 60 s); anew after 60 s without a
 * death. At least 1 us, at most a day.
 */
int hale_worker_set_backoff_usec(hale_worker *worker, uint64_t min_usec, uint64_t max_usec);

/*
 * More than @max_restarts (0 to 64) in @per_usec (1 s to a day) close `live`
 * instead (5, 60 s).
 */
int hale_worker_set_intensity(hale_worker *worker, unsigned max_restarts, uint64_t per_usec);

/*
 * The worker must beat at least this often, or it is taken for hung, killed and
 * started again. 0 (the default): it need not. 5 ms to a day.
 *
 * Only time in which the worker could have run counts: not what it waited for a
 * processor, was stopped by a debugger, or what the service itself was held up.
 * Still, below a second a limit is a bet on an idle machine, for a process may
 * hang in the disk or the memory as long as that; HALE_WORKER_HEARTBEAT_USEC is
 * the one to begin with. A worker that is starved for ten limits is hung as well.
 */
int hale_worker_set_heartbeat_usec(hale_worker *worker, uint64_t limit_usec);

/*
 * How long the worker may take to stop after it was asked to (SIGTERM for a
 * process; 5 s); then it is killed with its whole process group. 1 ms to 20 s. At
 * the stop of the service all workers together have what is left of 20 s.
 */
int hale_worker_set_stop_usec(hale_worker *worker, uint64_t stop_usec);

/*
 * With @spare not 0, a second process waits in hale_service_run() and takes over
 * when the first has died. There is never more than one at work. What main() has read
 * in it is as old as it is: it is replaced after a reload (hale_service_on_reload()), and
 * hale_worker_restart() starts a new process instead.
 */
int hale_worker_set_spare(hale_worker *worker, int spare);

/*
 * What the worker's probe closes while the worker does not run: HALE_GATE_READY,
 * HALE_GATE_STARTUP, or nothing (the default). HALE_GATE_LIVE is not to be had: it
 * closes by itself when restarts do not help.
 */
int hale_worker_set_gates(hale_worker *worker, int gates);

/*
 * Stops the worker and starts it again at once, with those of its group that its
 * strategy includes. Does not count as a death, and what has is forgotten.
 *
 * Returns 0, -ESTALE when the service does not run here or the worker is a thread that
 * hangs, -EPERM in another thread than the loop's.
 */
int hale_worker_restart(hale_worker *worker);

/* What to know of it. _get_pid(): 0 for a thread, or when there is none. _get_exit_text(): how it
 * ended the last time, in words; "" if it has not; valid until the next end. */
const char *hale_worker_get_name(hale_worker *worker);
hale_worker_state hale_worker_get_state(hale_worker *worker);
int hale_worker_get_pid(hale_worker *worker);
uint64_t hale_worker_get_n_restarts(hale_worker *worker);
const char *hale_worker_get_exit_text(hale_worker *worker);

/* The worker of that name, or NULL. The service keeps the reference. */
hale_worker *hale_service_find_worker(hale_service *service, const char *name);

/*
 * Groups: workers that are restarted together. Members are started in the order
 * in which they were added, and stopped, one after the other, in the reverse
 * one. Those that have ended for good are started again with their group, unless
 * they are temporary.
 *
 * Before the start only. _add_group() returns 0, -EINVAL, -EEXIST, -EBUSY, -E2BIG,
 * -ENOMEM; _group_add() 0, -EEXIST if the worker is in a group, -EINVAL if it is of
 * another service, -E2BIG at 64 members, -EBUSY.
 */
int hale_service_add_group(hale_service *service,
                           hale_group **ret,
                           const char *name,
                           hale_strategy strategy);
int hale_group_add(hale_group *group, hale_worker *worker);
hale_group *hale_group_ref(hale_group *group);
hale_group *hale_group_unref(hale_group *group);
void hale_group_unrefp(hale_group **group);

#ifdef __cplusplus
}
#endif
