/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Watch: doing what the gate decides
 *
 * The only file that pings, triggers or ends the process. It runs on a timer of its
 * own, at a priority below the probes, and at once whenever the health changes.
 */

#include <stdio.h>

#include "base/limits.h"
#include "service/service.h"

/* How late a ping may be, for the sake of waking together with something else. */
static uint64_t watch_slack(uint64_t watchdog_usec) {
        return CLAMP(watchdog_usec / 32, USEC_PER_MSEC, 250 * USEC_PER_MSEC);
}

static void watch_arm(hale_service *service) {
        uint64_t at = gate_deadline(&service->gate);

        blame_expect(service->record.blame, BLAME_WATCH, at);
        if (at == service->watch_at_usec)
                return;

        service->watch_at_usec = at;
        if (at == USEC_NEVER) {
                (void)sd_event_source_set_enabled(service->gate_source, SD_EVENT_OFF);
                return;
        }

        (void)sd_event_source_set_time(service->gate_source, at);
        (void)sd_event_source_set_enabled(service->gate_source, SD_EVENT_ONESHOT);
}

static RecorderLife watch_life(MessageKind kind) {
        return kind == MESSAGE_GATE_CLOSED          ? LIFE_WITHHELD
               : kind == MESSAGE_WATCHDOG_TRIGGERED ? LIFE_TRIGGERED
               : kind == MESSAGE_GIVING_UP          ? LIFE_GIVEN_UP
                                                    : LIFE_RUNNING;
}

static void watch_tell(hale_service *service, MessageKind kind, const char *what) {
        const HealthProbe *culprit = health_culprit(&service->health, HALE_GATE_LIVE);
        char sentence[4 * STATUS_LENGTH_MAX];

        (void)health_sentence(&service->health, sentence, sizeof(sentence));
        service_record_gate(service, watch_life(kind), sentence);
        (void)journal_send(&service->journal, kind,
                           (JournalField[]){
                                   { "HALE_PROBE", culprit ? culprit->name : NULL },
                                   { "HALE_REASON", sentence },
                           },
                           2, "'%s' %s: %s", service->name, what, sentence);
}

static void watch_trigger(hale_service *service) {
        char sentence[4 * STATUS_LENGTH_MAX];

        watch_tell(service, MESSAGE_WATCHDOG_TRIGGERED, "asks systemd to act on its watchdog");
        (void)health_sentence(&service->health, sentence, sizeof(sentence));
        (void)notify_trigger(&service->notify, sentence, service_now());
}

static void watch_abort(hale_service *service) {
        watch_tell(service, MESSAGE_GIVING_UP, "was not restarted by anybody and aborts itself");
        abort();
}

static void watch_exit(hale_service *service) {
        watch_tell(service, MESSAGE_GIVING_UP,
                   "has lost its liveness with nobody to restart it, and ends");
        service_finish(service, -ENOTRECOVERABLE);
}

static void watch_ping(hale_service *service) {
        (void)notify_watchdog(&service->notify, service_now());
        service_record_ping(service);
}

void service_watch_step(hale_service *service) {
        const HealthSummary *summary = &service->health.summary;
        unsigned actions;

        if (!service->gate_source)
                return;

        actions = gate_step(&service->gate, summary->live, service_is_healing(service),
                            service_now());
        if (actions & GATE_OPENED)
                watch_tell(service, MESSAGE_GATE_OPENED, "pings its watchdog again");
        if (actions & GATE_PING)
                watch_ping(service);
        if (actions & GATE_CLOSED)
                watch_tell(service, MESSAGE_GATE_CLOSED,
                           service->gate.config.watchdog_usec > 0
                                   ? "withholds the pings to its watchdog"
                                   : "has lost its liveness");
        if (actions & GATE_TRIGGER)
                watch_trigger(service);
        if (actions & GATE_ABORT)
                watch_abort(service);

        watch_arm(service);
        if (actions & GATE_EXIT)
                watch_exit(service);
}

static int on_watch(sd_event_source *source, uint64_t usec, void *userdata) {
        hale_service *service = userdata;

        (void)source, (void)usec;
        service->watch_at_usec = USEC_NEVER;
        service_watch_step(service);
        return 0;
}

int service_watch_init(hale_service *service) {
        const GateConfig config = {
                .watchdog_usec = service->environment.watchdog_usec,
                .managed = notify_is_managed(&service->notify),
        };
        int r;

        gate_init(&service->gate, &config, service_now());
        service->watch_at_usec = USEC_NEVER;

        r = sd_event_add_time(service->event, &service->gate_source, CLOCK_MONOTONIC, USEC_NEVER,
                              watch_slack(config.watchdog_usec), on_watch, service);
        if (r < 0)
                return r;

        (void)sd_event_source_set_description(service->gate_source, "hale-watchdog");
        (void)sd_event_source_set_exit_on_failure(service->gate_source, true);
        return sd_event_source_set_priority(service->gate_source, PRIORITY_PING);
}
