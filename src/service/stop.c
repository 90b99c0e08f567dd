/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Signals, the orderly stop, and reloading
 *
 *   RUNNING --stop--> DRAINING (ready is closed, still serving) --drain time-->
 *   STOPPING (the program's on_stop) --done or too late--> STOPPED
 *
 * A second signal does not wait: it goes straight to STOPPED.
 */

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "core/defaults.h"
#include "service/service.h"

int service_extend(hale_service *service) {
        uint64_t usec = MIN(EXTEND_STEP_USEC, usec_sub(EXTEND_TOTAL_USEC, service->extended_usec));

        if (usec == 0)
                return -E2BIG;

        service->extended_usec += usec;
        (void)notify_extend(&service->notify, usec, service_now());
        return 0;
}

_public_ int hale_service_progress(hale_service *service, const char *format, ...) {
        char text[STATUS_LENGTH_MAX + 1];
        va_list ap;

        SERVICE_CHECK(service);
        RETURN_IF_FAIL(format, -EINVAL);
        RETURN_IF_FAIL(service->health.stopping ||
                               (service->state == SERVICE_RUNNING && !service->ready_sent),
                       -ESTALE);

        va_start(ap, format);
        (void)vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);

        free(service->progress);
        service->progress = strdup(text);
        service_tell_status(service);
        return service_extend(service);
}

static void service_stopped_now(hale_service *service) {
        service_set_timer(service, &service->handler_timer, USEC_NEVER);
        service_set_timer(service, &service->drain_timer, USEC_NEVER);
        service_finish(service, service->stop_result);
}

/* The program has finished its part: now the workers, and then we. */
static void service_handler_done(hale_service *service) {
        service_set_timer(service, &service->handler_timer, USEC_NEVER);
        service->workers_stop = true;
        if (!service_workers_stop(service, service->stopping_usec))
                service_stopped_now(service);
}

void service_workers_stopped(hale_service *service) {
        service_stopped_now(service);
}

/* The drain time is over: the program may finish its work. */
void service_drained(void *userdata) {
        hale_service *service = userdata;
        int r = 0;

        service->state = SERVICE_STOPPING;
        service->stopping_usec = service_now();
        blame_enter("the stop handler", NULL);
        if (service->on_stop)
                r = service->on_stop(service, service->on_stop_data);
        blame_leave();
        if (service->state != SERVICE_STOPPING || service->workers_stop)
                return;

        if (r == HALE_PENDING) {
                service_set_timer(service, &service->handler_timer,
                                  usec_add(service_now(), STOP_TIMEOUT_USEC));
                return;
        }
        if (r < 0)
                (void)journal_log(&service->journal, LOG_WARNING,
                                  "The stop handler of '%s' failed: %s", service->name,
                                  strerror(-r));

        service_handler_done(service);
}

/* What a stop finds unready stays to be read in `systemctl status`: it may be why we are stopped.
 */
static void service_keep_last_words(hale_service *service) {
        char sentence[4 * STATUS_LENGTH_MAX];

        free(service->progress);
        service->progress = NULL;
        if (service->health.summary.status != HALE_FAIL)
                return;

        (void)health_sentence(&service->health, sentence, sizeof(sentence));
        if (asprintf(&service->progress, "was %s", sentence) < 0)
                service->progress = NULL;
}

_public_ int hale_service_stop(hale_service *service) {
        SERVICE_CHECK(service);
        RETURN_IF_FAIL(service->state != SERVICE_DRAINING && service->state != SERVICE_STOPPING,
                       -EALREADY);
        RETURN_IF_FAIL(service->state == SERVICE_RUNNING, -ESTALE);

        service->state = SERVICE_DRAINING;
        service_end_rehearsal(service);
        service_keep_last_words(service);
        service->gate.stopping = true;
        service->health.stopping = true;
        service_record_stopping(service);
        (void)notify_stopping(&service->notify, NULL, service_now());
        (void)journal_send(&service->journal, MESSAGE_STOPPING, NULL, 0, "Service '%s' is stopping",
                           service->name);
        service_unsettle(service);

        (void)hale_service_ref(service); /* on_change may give back the last reference */
        service_settle(service);
        service_set_timer(service, &service->drain_timer,
                          usec_add(service_now(), service->drain_usec));
        (void)hale_service_unref(service);
        return 0;
}

_public_ int hale_service_stopped(hale_service *service) {
        SERVICE_CHECK(service);
        RETURN_IF_FAIL(service->state == SERVICE_STOPPING && !service->workers_stop, -ESTALE);

        service_handler_done(service);
        return 0;
}

static void reload_finish(hale_service *service, int result) {
        service->health.reloading = false;
        service_set_timer(service, &service->handler_timer, USEC_NEVER);

        if (result < 0)
                (void)journal_send(&service->journal, MESSAGE_RELOAD_FAILED,
                                   (JournalField[]){ { "HALE_REASON", strerror(-result) } }, 1,
                                   "Reload of '%s' failed, the old configuration is kept: %s",
                                   service->name, strerror(-result));
        else
                (void)journal_send(&service->journal, MESSAGE_RELOAD_DONE, NULL, 0,
                                   "Service '%s' has reloaded", service->name);
        if (result >= 0)
                service_workers_renew_spares(service);

        /* A unit that has said RELOADING=1 hangs there until it hears READY=1, whatever came of
         * it; before the first READY=1 that one will do. */
        if (service->ready_sent) {
                char failed[128];

                (void)snprintf(failed, sizeof(failed), "reload failed, old configuration kept: %s",
                               result < 0 ? strerror(-result) : "");
                (void)notify_ready(&service->notify, result < 0 ? failed : NULL, service_now());
        }
        service_unsettle(service);
        service_settle(service);
}

static void service_reload(hale_service *service) {
        int r = 0;

        if (service->state != SERVICE_RUNNING || service->health.reloading)
                return;

        service->health.reloading = true;
        if (service->ready_sent)
                (void)notify_reloading(&service->notify, "reloading", service_now());
        service_unsettle(service);
        service_settle(service);

        blame_enter("the reload handler", NULL);
        if (service->on_reload)
                r = service->on_reload(service, service->on_reload_data);
        blame_leave();
        if (r == HALE_PENDING)
                service_set_timer(service, &service->handler_timer,
                                  usec_add(service_now(), RELOAD_TIMEOUT_USEC));
        else if (service->health.reloading)
                reload_finish(service, r);
}

_public_ int hale_service_reloaded(hale_service *service, int result) {
        SERVICE_CHECK(service);
        RETURN_IF_FAIL(service->health.reloading, -ESTALE);

        reload_finish(service, result);
        return 0;
}

/* A handler that said HALE_PENDING has not come back in time. */
void service_handler_late(void *userdata) {
        hale_service *service = userdata;

        if (service->state == SERVICE_STOPPING) {
                (void)journal_log(&service->journal, LOG_WARNING,
                                  "The stop handler of '%s' took too long", service->name);
                service_handler_done(service);
        } else if (service->health.reloading) {
                reload_finish(service, -ETIMEDOUT);
        }
}

static int
on_stop_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        hale_service *service = userdata;

        (void)source, (void)info;
        (void)hale_service_ref(service);
        if (hale_service_stop(service) == -EALREADY)
                service_stopped_now(service);
        (void)hale_service_unref(service);

        return 0;
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        hale_service *service = userdata;

        /* In a terminal that is closed, with nothing to reload, it means what it always meant. */
        if (!service->on_reload && !notify_is_managed(&service->notify))
                return on_stop_signal(source, info, userdata);

        (void)hale_service_ref(service);
        service_reload(service);
        (void)hale_service_unref(service);
        return 0;
}

int service_signals_init(hale_service *service) {
        static const struct {
                int signal;
                sd_event_signal_handler_t handler;
                int64_t priority;
        } signals[] = {
                { SIGTERM, on_stop_signal, PRIORITY_SIGNAL },
                { SIGINT, on_stop_signal, PRIORITY_SIGNAL },
                /* Of one priority the lower number comes first, and SIGHUP is 1: a storm of them
                 * would keep out the stop, the probes and the ping. */
                { SIGHUP, on_hangup, PRIORITY_BUS },
        };
        int r;

        static_assert(ELEMENTSOF(signals) == ELEMENTSOF(service->signal_sources), "a source each");

        for (size_t i = 0; i < ELEMENTSOF(signals); i++) {
                r = sd_event_add_signal(service->event, &service->signal_sources[i],
                                        signals[i].signal, signals[i].handler, service);
                if (r == -EBUSY) /* the program handles it itself, in this loop */
                        continue;
                if (r < 0)
                        return r;
                (void)sd_event_source_set_priority(service->signal_sources[i], signals[i].priority);
        }

        return 0;
}
