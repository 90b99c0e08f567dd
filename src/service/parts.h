/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Parts: what the files of this room offer one another, file by file
 *
 * Included by service.h, and by nobody else.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"
#include "core/health.h"
#include "hale/hale.h"
#include "service/probe.h"

/* unit.c: NULL outside of a unit; the caller's */
char *unit_of_self(void);
char *unit_from_cgroup_path(const char *path);

/* tick.c: the one timer */
int service_tick_init(hale_service *service);
void service_tick_done(hale_service *service);
void service_tick_arm(hale_service *service);
void service_set_timer(hale_service *service, Timer *timer, uint64_t at_usec);

/* settle.c: telling what has changed */
int service_settle_init(hale_service *service);
void service_unsettle(hale_service *service);
void service_settle(hale_service *service);
void service_settle_later(void *userdata);
void service_tell_status(hale_service *service);

/* tell.c: single probes, and mistakes */
void service_tell_probe(hale_service *service, hale_probe *probe, const ProbeChange *change);
bool service_may_tell(hale_service *service); /* false in a storm that enough was told of */
void service_tell_error(hale_service *service, const char *format, ...) _printf_(2, 3);

/* trouble.c: what is wrong with the process itself */
void service_look_for_trouble(hale_service *service);

/* watch.c: the gate */
int service_watch_init(hale_service *service);
void service_watch_step(hale_service *service);

/* run.c */
void service_timers_init(hale_service *service);
void service_stable_arm(hale_service *service);
void service_sources_done(hale_service *service);
void service_finish(hale_service *service, int result);
void service_exit_loop(hale_service *service);
int service_checks_init(hale_service *service);

/* stop.c */
int service_signals_init(hale_service *service);
int service_extend(hale_service *service);
void service_handler_late(void *userdata);
void service_drained(void *userdata);

/* link.c */
int service_links_start(hale_service *service);
void service_links_ask(hale_service *service); /* who knows what happened meanwhile */
void service_links_stop(hale_service *service);
void service_links_drop(hale_service *service);

/* remedy*.c: see remedy.h. For probes that have remedies, but for the drop. */
void remedies_answered(hale_probe *probe, hale_status result);
void remedies_silent(hale_probe *probe); /* its last answer is too old */
void remedies_reset(hale_probe *probe);
void remedies_drop(hale_probe *probe);
bool service_is_healing(
        const hale_service *service); /* what keeps `live` closed may yet be healed */
void service_tell_healing(hale_service *service,
                          char *text,
                          size_t size); /* appends what is done */

/* inject.c */
void service_end_rehearsal(hale_service *service);

/* maintenance.c, listen.c, http.c, bus.c */
void service_maintenance_over(void *userdata);
int service_listen_take(hale_service *service);
int service_listen_next(hale_service *service, const char *name);
void service_listen_done(hale_service *service);
int service_http_start(hale_service *service);
void service_http_stop(hale_service *service); /* ends the loop when replies are out */
void service_http_done(hale_service *service);
int service_bus_start(hale_service *service);

/* worker*.c: see worker.h */
int service_child_init(hale_service *service);
int service_child_run(hale_service *service);
int service_child_start(hale_service *service);
int service_workers_init(hale_service *service);
void service_workers_check(hale_service *service);
void service_workers_start(hale_service *service);
bool service_workers_stop(hale_service *service, uint64_t since_usec); /* false: none is left */
void service_workers_stopped(hale_service *service);                   /* the last is gone */
void service_workers_kill(hale_service *service);
void service_workers_done(hale_service *service);
void service_workers_forgive(hale_service *service);
void service_workers_renew_spares(hale_service *service);
