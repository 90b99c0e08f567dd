/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Settling: telling what has changed
 *
 * However many probes have changed, the whole is looked at once, and each report
 * is told the difference between what it knows and what is. The program's own
 * on_change comes last, and may change things again; that is settled in turn.
 */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "core/defaults.h"
#include "service/service.h"

/* A program whose on_change changes the health for ever must not hold the loop. */
#define SETTLE_ROUNDS_MAX 8
#define SETTLE_PAUSE_USEC (10 * USEC_PER_MSEC)

static bool summary_equal(const HealthSummary *a, const HealthSummary *b) {
        return a->status == b->status && a->phase == b->phase && a->live == b->live &&
               a->ready == b->ready && a->started == b->started;
}

void service_tell_status(hale_service *service) {
        hale_phase phase = service->health.summary.phase;
        char text[4 * STATUS_LENGTH_MAX];

        if (service->progress && (phase == HALE_STARTING || phase == HALE_STOPPING))
                (void)snprintf(text, sizeof(text), "%s; %s", hale_phase_to_string(phase),
                               service->progress);
        else
                (void)health_sentence(&service->health, text, sizeof(text));
        service_tell_healing(service, text, sizeof(text));

        (void)notify_status(&service->notify, text, service_now());
        service_set_timer(service, &service->notify_timer, notify_deadline(&service->notify));
}

static void service_announce(hale_service *service) {
        char sentence[4 * STATUS_LENGTH_MAX], text[USEC_TEXT_MAX], usec[24];
        uint64_t now_usec = service_now();

        (void)health_sentence(&service->health, sentence, sizeof(sentence));
        (void)notify_ready(&service->notify, sentence, now_usec);
        service->ready_sent = true;
        service->extended_usec = 0;
        free(service->progress);
        service->progress = NULL;

        (void)snprintf(usec, sizeof(usec), "%" PRIu64, now_usec - service->started_usec);
        (void)journal_send(&service->journal, MESSAGE_SERVICE_READY,
                           (JournalField[]){ { "HALE_STARTUP_USEC", usec } }, 1,
                           "Service '%s' is ready after %s: %s", service->name,
                           usec_format(now_usec - service->started_usec, text), sentence);
}

/* clang-format off */
static const MessageKind status_messages[] = {
        [HALE_UNKNOWN] = MESSAGE_STATUS_FAIL, /* the whole is never unknown */
        [HALE_PASS]    = MESSAGE_STATUS_CHANGED,
        [HALE_WARN]    = MESSAGE_STATUS_WARN,
        [HALE_FAIL]    = MESSAGE_STATUS_FAIL,
};
/* clang-format on */

static void service_journal_status(hale_service *service, const HealthSummary *old) {
        const HealthSummary *summary = &service->health.summary;
        char sentence[4 * STATUS_LENGTH_MAX];

        /* The start and the stop have messages of their own. */
        if (old->status == summary->status || old->phase == HALE_STARTING ||
            summary->phase == HALE_STARTING || summary->phase == HALE_STOPPING ||
            !service_may_tell(service))
                return;

        (void)health_sentence(&service->health, sentence, sizeof(sentence));
        (void)journal_send(&service->journal, status_messages[summary->status],
                           (JournalField[]){
                                   { "HALE_OLD_STATUS", hale_status_to_string(old->status) },
                                   { "HALE_NEW_STATUS", hale_status_to_string(summary->status) },
                                   { "HALE_REASON", sentence },
                           },
                           3, "Health of '%s' is %s (was %s): %s", service->name,
                           hale_status_to_string(summary->status),
                           hale_status_to_string(old->status), sentence);
}

/* A start that moves gets more time; each probe that passes for the first time is a move. */
static void service_look_for_progress(hale_service *service, unsigned n_waiting) {
        if (service->ready_sent || n_waiting >= service->n_waiting_told)
                return;

        service->n_waiting_told = n_waiting;
        (void)service_extend(service);
}

static void service_settle_once(hale_service *service) {
        HealthSummary old = service->told;
        Health *health = &service->health;
        uint64_t now_usec = service_now();

        service->unsettled = false;
        (void)health_update(health, now_usec, NULL);

        if (health->started && !service->probes_begun) {
                service->probes_begun = true;
                service_activate_probes(service, now_usec, false);
                (void)health_update(health, now_usec, NULL);
        }

        service_look_for_progress(service, health->n_startup_waiting + health->n_ready_waiting);
        if (health->announced && !service->ready_sent && !health->stopping)
                service_announce(service);

        service->told = health->summary;
        if (old.status != health->summary.status)
                health->status_since_realtime_usec = clock_now_usec(CLOCK_REALTIME);

        service_journal_status(service, &old);
        service_record_health(service, &old);
        service_stable_arm(service);
        if (service->bus)
                bus_health_changed(service->bus);
        service_tell_status(service);
        service_watch_step(service);
        if (service->on_change && !summary_equal(&old, &health->summary)) {
                blame_enter("the change handler", NULL);
                service->on_change(service, service->on_change_data);
                blame_leave();
        }
}

void service_settle(hale_service *service) {
        if (service->state == SERVICE_NEW || service->state >= SERVICE_STOPPED)
                return;

        if (service->in_settle)
                return;

        /* on_change may give back the last reference. */
        (void)hale_service_ref(service);
        service->in_settle = true;
        for (unsigned round = 0; service->unsettled && round < SETTLE_ROUNDS_MAX; round++)
                service_settle_once(service);
        service->in_settle = false;

        /* It goes on for ever: let the probes, the ping and everybody else have their turn. */
        if (service->unsettled && service->state != SERVICE_STOPPED)
                service_set_timer(service, &service->settle_timer,
                                  usec_add(service_now(), SETTLE_PAUSE_USEC));
        (void)hale_service_unref(service);
}

void service_settle_later(void *userdata) {
        service_settle(userdata);
}

void service_unsettle(hale_service *service) {
        if (service->unsettled)
                return;

        service->unsettled = true;
        if (!service->in_tick && !service->in_settle && service->settle_source)
                (void)sd_event_source_set_enabled(service->settle_source, SD_EVENT_ONESHOT);
}

static int on_settle(sd_event_source *source, void *userdata) {
        (void)source;
        service_settle(userdata);
        return 0;
}

int service_settle_init(hale_service *service) {
        int r;

        r = sd_event_add_defer(service->event, &service->settle_source, on_settle, service);
        if (r < 0)
                return r;

        (void)sd_event_source_set_description(service->settle_source, "hale-settle");
        return sd_event_source_set_priority(service->settle_source, PRIORITY_SETTLE);
}
