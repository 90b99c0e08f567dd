/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Rehearsals
 *
 * Whether a service heals is known only when something breaks. A rehearsal breaks it
 * on purpose, for a limited time: over D-Bus (InjectFault() of org.hale.Health1, for
 * root and the service's own user), or from the program with hale_service_inject_fault().
 *
 *   fail-probe NAME    the probe fails, whatever it answers or is told; that holds afterwards
 *   hang-loop          the event loop stands still
 *   kill-worker NAME   the process of the worker is killed
 *   hang-worker NAME   it is stopped, and does not beat any more
 *   cut-link NAME      the connection is lost, and again as often as it comes back
 *   leak SIZE          memory is lost: "64M", at most 1 GiB
 *
 * It is off unless the program allows it. While one is on, every surface says so: the
 * journal, STATUS=, /health ("rehearsal"), D-Bus (Rehearsal). It ends by itself; what
 * it started (a restart, say) takes its course.
 */

#include <stdint.h>

#include "hale/probe.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Whether faults may be injected (not 0) or not (the default). Ends none that are on. Returns 0,
 * -ECHILD. */
int hale_service_allow_faults(hale_service *service, int allow);

/*
 * Injects a fault of @kind at @target ("" for hang-loop) for @usec, 1 ms to 10 minutes.
 *
 * Returns 0; -EPERM while faults are not allowed; -EINVAL for an unknown kind or a bad
 * target; -ENOENT if there is no target of that name; -ERANGE for the duration;
 * -EALREADY if that very fault is on; -E2BIG when 8 are; -EOPNOTSUPP if the target
 * cannot fail in that way (a thread cannot be killed); -ESTALE when the service or the worker
 * does not run, or the probe is not asked now; -ENOMEM.
 */
int hale_service_inject_fault(hale_service *service,
                              const char *kind,
                              const char *target,
                              uint64_t usec);

/* Returns 1 while a fault is on, else 0. */
int hale_service_is_rehearsing(hale_service *service);

#ifdef __cplusplus
}
#endif
