/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Start, run and finish
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "core/defaults.h"
#include "service/service.h"

static void on_notify_due(void *userdata) {
        hale_service *service = userdata;

        notify_flush(&service->notify, service_now());
        service_set_timer(service, &service->notify_timer, notify_deadline(&service->notify));
}

/* Well and ready for so long: what went before no longer counts (systemd 258). */
static void on_stable(void *userdata) {
        hale_service *service = userdata;

        if (service->health.summary.ready && service->health.summary.live)
                (void)notify_restart_reset(&service->notify, service_now());
}

void service_stable_arm(hale_service *service) {
        const HealthSummary *summary = &service->health.summary;
        bool well = summary->ready && summary->live;

        if (well == service->well)
                return;

        service->well = well;
        service_set_timer(service, &service->stable_timer,
                          well ? usec_add(service_now(), STABLE_USEC) : USEC_NEVER);
}

void service_timers_init(hale_service *service) {
        service->settle_timer = (Timer)TIMER_INIT(service_settle_later, service);
        service->notify_timer = (Timer)TIMER_INIT(on_notify_due, service);
        service->stable_timer = (Timer)TIMER_INIT(on_stable, service);
        service->maintenance_timer = (Timer)TIMER_INIT(service_maintenance_over, service);
        service->handler_timer = (Timer)TIMER_INIT(service_handler_late, service);
        service->drain_timer = (Timer)TIMER_INIT(service_drained, service);
}

/* Says once what is missing, for a program that is run by hand. */
static void service_tell_surroundings(hale_service *service) {
        const NotifyEnvironment *environment = &service->environment;
        char text[USEC_TEXT_MAX];

        if (environment->complaint)
                (void)journal_log(&service->journal, LOG_WARNING, "%s", environment->complaint);

        if (!notify_is_managed(&service->notify))
                (void)journal_log(
                        &service->journal, LOG_INFO,
                        "No service manager ($NOTIFY_SOCKET is not set): nobody restarts '%s' "
                        "when it is sick; it will exit with status 70 instead",
                        service->name);
        else if (environment->watchdog_usec == 0)
                (void)journal_log(
                        &service->journal, LOG_INFO,
                        "No watchdog (the unit has no WatchdogSec=): a hung loop of '%s' will not "
                        "be noticed",
                        service->name);
        else
                (void)journal_log(&service->journal, LOG_DEBUG,
                                  "Watchdog of %s, pinging every third of it",
                                  usec_format(environment->watchdog_usec, text));
}

static int service_start_reports(hale_service *service) {
        int r;

        r = service_http_start(service);
        if (r < 0)
                return r;

        return service_bus_start(service);
}

int service_checks_init(hale_service *service) {
        int r;

        if (service->pool.core)
                return 0;

        r = pool_init(&service->pool, service->event, PRIORITY_PROBE);
        if (r < 0)
                return r;

        service->check_context = (CheckContext){
                .event = service->event,
                .priority = PRIORITY_PROBE,
                .pool = &service->pool,
                .lag = &service->lag,
        };
        return 0;
}

static int service_start_sources(hale_service *service) {
        int r;

        r = service_checks_init(service);
        if (r < 0)
                return r;
        r = service_tick_init(service);
        if (r < 0)
                return r;
        r = loop_watch_init(&service->loop_watch, service->event, &service->lag);
        if (r < 0)
                return r;
        r = service_settle_init(service);
        if (r < 0)
                return r;
        r = service_mail_init(service);
        if (r < 0)
                return r;
        r = service_signals_init(service);
        if (r < 0)
                return r;

        r = notify_init(&service->notify, service->environment.address);
        if (r < 0)
                (void)journal_log(&service->journal, LOG_WARNING, "Cannot use $NOTIFY_SOCKET: %s",
                                  strerror(-r));

        return service_watch_init(service);
}

/* Takes away all that was made at the start; the reverse of it. */
void service_sources_done(hale_service *service) {
        service->gate_source = sd_event_source_disable_unref(service->gate_source);
        service->bus = bus_free(service->bus);
        service_http_done(service);
        for (size_t i = 0; i < ELEMENTSOF(service->signal_sources); i++)
                service->signal_sources[i] =
                        sd_event_source_disable_unref(service->signal_sources[i]);
        service_mail_done(service);
        service->settle_source = sd_event_source_disable_unref(service->settle_source);
        loop_watch_done(&service->loop_watch);
        service_tick_done(service);
}

_public_ int hale_service_start(hale_service *service) {
        int r;

        SERVICE_CHECK(service);

        if (service->is_worker)
                return service_child_start(service);

        if (service->state != SERVICE_NEW) {
                service_tell_error(service, "Service '%s' was started already", service->name);
                return -EBUSY;
        }

        on_loop_thread = true;
        service->started_usec = service_now();
        service->identity.started_usec = service->started_usec;
        r = service_start_sources(service);
        if (r >= 0) {
                service_record_start(service);
                r = service_start_reports(service);
        }
        if (r < 0) {
                service_record_stop(service, r);
                service_tell_error(service, "Cannot start service '%s': %s", service->name,
                                   strerror(-r));
                service_sources_done(service);
                return r;
        }

        service_tell_surroundings(service);
        service->state = SERVICE_RUNNING;
        service->clock_usec = service_now();
        service->realtime_usec = usec_sub(clock_now_usec(CLOCK_REALTIME), service->clock_usec);
        service->identity.started_realtime_usec = clock_now_usec(CLOCK_REALTIME);
        service->health.begun = true;
        service->n_waiting_told =
                service->health.n_startup_waiting + service->health.n_ready_waiting;
        (void)health_update(&service->health, service->clock_usec, NULL);
        service_activate_probes(service, service->clock_usec, false);
        service_workers_start(service);
        r = service_links_start(service);
        if (r < 0)
                service_tell_error(service, "Cannot keep up the links of '%s': %s", service->name,
                                   strerror(-r));
        service->unsettled = true;

        /* on_change may give back the last reference. */
        (void)hale_service_ref(service);
        service_settle(service);
        service_record_started(service);
        (void)hale_service_unref(service);
        return 0;
}

_public_ int hale_service_run(hale_service *service) {
        int r;

        SERVICE_CHECK(service);

        if (service->is_worker)
                return service_child_run(service);

        r = hale_service_start(service);
        if (r < 0)
                return r;

        (void)hale_service_ref(service);
        r = sd_event_loop(service->event);
        if (r >= 0)
                r = service->result;
        if (service->state != SERVICE_STOPPED)
                service_finish(service, r);
        (void)hale_service_unref(service);
        return r;
}

/* A program with a loop of its own returns what its loop returns: that is then our exit status. */
void service_exit_loop(hale_service *service) {
        (void)sd_event_exit(service->event, hale_exit_status(service->result));
}

void service_finish(hale_service *service, int result) {
        if (service->state == SERVICE_STOPPED)
                return;

        service->result = result;
        service->state = SERVICE_STOPPED;
        service_record_stop(service, result);
        (void)journal_send(&service->journal, MESSAGE_STOPPED, NULL, 0,
                           "Service '%s' has stopped%s%s", service->name, result < 0 ? ": " : "",
                           result < 0 ? strerror(-result) : "");

        service_workers_kill(service);
        service_links_stop(service);
        service_deactivate_probes(service);
        if (service->bus)
                bus_stop(service->bus);
        service_http_stop(service);
}
