/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Services
 *
 * A service is the process as systemd sees it. It gathers the health of its
 * probes, tells it to systemd, D-Bus, HTTP and the journal, and pings systemd's
 * watchdog only while the live probes pass.
 *
 *     int main(void) {
 *             hale_service *service = NULL;
 *             int r;
 *
 *             r = hale_service_new(&service, "orders");
 *             if (r >= 0)
 *                     r = hale_service_add_check(service, NULL, "disk",
 *                                                HALE_GATE_READY, "disk:/var");
 *             if (r >= 0)
 *                     r = hale_service_run(service);
 *             hale_service_unref(service);
 *             return hale_exit_status(r);
 *     }
 *
 * All calls are for the thread that runs the loop, but for the reports of
 * probe.h, which any thread may make.
 */

#include <stdint.h>

#include "hale/health.h"
#include "hale/probe.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sd_event;

/*
 * Makes a service called @name ([a-z0-9-], at most 63 characters). Reads
 * $NOTIFY_SOCKET, $WATCHDOG_USEC and $LISTEN_FDS once, and takes them out of the
 * environment, so that children do not speak in our name.
 *
 * SIGTERM, SIGINT and SIGHUP are blocked in this thread here, so that threads
 * started later do not catch them.
 *
 * Returns 0, -EINVAL for a bad name, -EEXIST if this process has a service, -ENOMEM.
 */
int hale_service_new(hale_service **ret, const char *name);

/* Take and give back a reference. Both take NULL. _unref() returns NULL. */
hale_service *hale_service_ref(hale_service *service);
hale_service *hale_service_unref(hale_service *service);
void hale_service_unrefp(hale_service **service);

/*
 * Starts, loops until the service was stopped (SIGTERM, SIGINT, hale_service_stop()),
 * and ends it. Returns 0 after an orderly stop, -ENOTRECOVERABLE when liveness
 * was lost and there is no manager to restart us, -EBUSY if it runs or ran
 * already, or another negative errno of the start. Give the result to
 * hale_exit_status().
 */
int hale_service_run(hale_service *service);

/*
 * For a program with a loop of its own: attach it before _start(), and go on
 * looping after it. _start() returns at once; _stop() asks for an orderly stop,
 * after which the loop is told to exit (sd_event_exit(3)) with the code that
 * hale_exit_status() gives: return what sd_event_loop() returned.
 *
 * _attach() returns 0, -EBUSY after the start or the first check, -EINVAL. _start() returns 0,
 * -EBUSY if started already, or what failed. _stop() returns 0, -ESTALE if not
 * running, -EALREADY while stopping.
 */
int hale_service_attach(hale_service *service, struct sd_event *event);
int hale_service_start(hale_service *service);
int hale_service_stop(hale_service *service);

/* The loop, for sources of your own. The service keeps the reference. NULL without memory. */
struct sd_event *hale_service_get_event(hale_service *service);

/*
 * The exit status for a result of hale_service_run(): 0; 70 (EX_SOFTWARE) when
 * liveness was lost; 78 (EX_CONFIG) for -EINVAL and the like, which a restart
 * cannot mend; 77 (EX_NOPERM) for -EACCES and -EPERM; 71 (EX_OSERR) otherwise.
 */
int hale_exit_status(int result);

/* Health, asked in code. _is_*() return 1 or 0. */
hale_status hale_service_get_health(hale_service *service);
hale_phase hale_service_get_phase(hale_service *service);
int hale_service_is_live(hale_service *service);
int hale_service_is_ready(hale_service *service);
int hale_service_is_started(hale_service *service);
const char *hale_service_get_name(hale_service *service);

/*
 * Where to be found. A socket unit comes first: sockets called `http`
 * (FileDescriptorName=http) are served, several of each kind.
 *
 * _listen_http(): serves also @address: "127.0.0.1:8080", "[::1]:8080", "8080"
 * (loopback, both families) or "/run/orders.http" (AF_UNIX). For a program that
 * is run by hand; not used when systemd passed an `http` socket.
 * _set_bus_name(): owns @name on the bus: the system's, or the user's in a user unit.
 * _set_version(): what /health and D-Bus show as the version of the program.
 *
 * All before the start. Return 0, -EINVAL, -EBUSY after the start, -ENOMEM, -E2BIG.
 */
int hale_service_listen_http(hale_service *service, const char *address);
int hale_service_set_bus_name(hale_service *service, const char *name);
int hale_service_set_version(hale_service *service, const char *version);

/*
 * The next socket that systemd passed under @name (FileDescriptorName=) and that
 * nobody has taken yet. The caller owns it. `http` is hale's. Returns the
 * descriptor, or -ENOENT.
 */
int hale_service_take_socket(hale_service *service, const char *name);

/* Who may read outputs over HTTP: nobody, peers on this host (the default), everybody. */
typedef enum hale_details {
        HALE_DETAILS_NEVER,
        HALE_DETAILS_LOCAL,
        HALE_DETAILS_ALWAYS,
} hale_details;

/* Before the start. Returns 0, -EINVAL, or -EBUSY after it. */
int hale_service_set_http_details(hale_service *service, hale_details details);

/*
 * Closes `ready` on purpose, with a reason, for at most @usec (UINT64_MAX: until
 * it is ended), or ends that with @usec 0. Returns 0, -EINVAL, -ENOMEM, or -ESTALE in a worker.
 */
int hale_service_set_maintenance(hale_service *service, uint64_t usec, const char *reason);

/*
 * How the run before this one ended, as the flight recorder knows it: "stopped",
 * "failed" (ended by itself, with an error), "trigger" (asked systemd to restart it),
 * "watchdog" (missed its pings), "abort", "crash", or "killed" (without a word: SIGKILL,
 * or out of memory); with a sentence in *@ret_reason, which may be NULL. NULL if nothing
 * is known, and before the start. The strings live as long as the service.
 *
 * The recorder is kept by systemd if the unit says FileDescriptorStoreMax=1 or more,
 * over restarts, but not over `systemctl stop`.
 */
const char *hale_service_get_previous_run(hale_service *service, const char **ret_reason);

/*
 * A loop that hangs for so long is blamed, from READY=1 on: the journal and the next
 * run's /health then name what was being done, and the stack. By default that is a
 * third of WatchdogSec=; without a watchdog nobody is blamed, unless asked for here.
 * UINT64_MAX: never. Before the start. Returns 0, -EINVAL below 10 ms, -EBUSY.
 *
 * For the stack the thread of the loop gets a signal, by default SIGRTMAX-5, which
 * must not be blocked there. It interrupts what that thread waits in, such as a sleep.
 * _set_stall_signal() takes another, or none (0); one that the program handles
 * itself is not used. Returns 0, -EINVAL, -EBUSY.
 */
int hale_service_set_stall_usec(hale_service *service, uint64_t usec);
int hale_service_set_stall_signal(hale_service *service, int number);

/*
 * Called on SIGHUP, and when systemd asks for a reload: return 0, a negative
 * errno (the old configuration is kept, and STATUS= says so), or HALE_PENDING and
 * call hale_service_reloaded() within 30 s. systemd hears RELOADING=1 before and
 * READY=1 after, whatever the outcome.
 */
typedef int (*hale_reload_t)(hale_service *service, void *userdata);
int hale_service_on_reload(hale_service *service, hale_reload_t reload, void *userdata);
int hale_service_reloaded(hale_service *service, int result);

/*
 * Called once at the stop, after `ready` was closed and the drain time has
 * passed: finish work, then return 0; or HALE_PENDING, and call
 * hale_service_stopped() within 20 s.
 */
typedef int (*hale_stop_t)(hale_service *service, void *userdata);
int hale_service_on_stop(hale_service *service, hale_stop_t stop, void *userdata);
int hale_service_stopped(hale_service *service);

/* Called after the health has changed: status, phase, live or ready. */
typedef void (*hale_change_t)(hale_service *service, void *userdata);
int hale_service_on_change(hale_service *service, hale_change_t change, void *userdata);

/*
 * How long to go on serving with `ready` closed after SIGTERM, so that load
 * balancers notice (default 0; at most 20 s). Returns 0, or -EINVAL.
 */
int hale_service_set_drain_usec(hale_service *service, uint64_t usec);

/*
 * Says that the start (or the stop) is still moving, with a text for STATUS=:
 * gives 15 s more (EXTEND_TIMEOUT_USEC=), up to 10 minutes in all. Only for real
 * progress: it is what keeps a hung start from being noticed.
 *
 * Returns 0, -ESTALE when neither starting nor stopping, -E2BIG past the cap.
 */
int hale_service_progress(hale_service *service, const char *format, ...) HALE_PRINTF(2, 3);

#ifdef __cplusplus
}
#endif
