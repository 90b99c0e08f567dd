/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The One Timer
 *
 * All probes and all other deadlines wait in the wheel, and one sd-event timer
 * waits for the wheel: an idle service wakes for what is due and nothing else.
 *
 * Here is also noticed that time has passed without us. Between going to poll and
 * waking nobody but the machine (suspend), a manager (freeze) or a debugger (stop)
 * can hold us up; what is old then is nobody's fault, so everything is asked anew
 * and nothing is held against anybody.
 */

#include <sys/epoll.h>

#include "core/defaults.h"
#include "service/service.h"

/* So much is handed out before the loop turns again: at 0.3 usec each the rest waits a
 * millisecond at most. */
#define TICK_BATCH 4096

#define TICK_ACCURACY_USEC USEC_PER_MSEC

void service_set_timer(hale_service *service, Timer *timer, uint64_t at_usec) {
        /* A delay is rounded by how far it is from now, not from when the wheel last turned. */
        if (!service->in_tick)
                wheel_advance(&service->wheel, service_now());

        /* What is due already need not wait for the next tick of the wheel. */
        wheel_set(&service->wheel, &timer->node, at_usec <= service->clock_usec ? 0 : at_usec);
        if (!service->in_tick)
                service_tick_arm(service);
}

void service_tick_arm(hale_service *service) {
        uint64_t next = wheel_next(&service->wheel);

        blame_expect(service->record.blame, BLAME_TICK, next == 0 ? service->clock_usec : next);
        if (!service->tick_source || next == service->tick_at_usec)
                return;

        service->tick_at_usec = next;
        if (next == 0)
                (void)sd_event_source_set_enabled(service->now_source, SD_EVENT_ONESHOT);
        if (next == 0 || next == USEC_NEVER) {
                (void)sd_event_source_set_enabled(service->tick_source, SD_EVENT_OFF);
                return;
        }

        (void)sd_event_source_set_time(service->tick_source, next);
        (void)sd_event_source_set_enabled(service->tick_source, SD_EVENT_ONESHOT);
}

static uint64_t slept_usec(void) {
        return usec_sub(clock_now_usec(CLOCK_BOOTTIME), clock_now_usec(CLOCK_MONOTONIC));
}

static void service_gap(hale_service *service, uint64_t gap_usec, uint64_t now_usec) {
        char text[USEC_TEXT_MAX];

        (void)journal_send(
                &service->journal, MESSAGE_GAP, NULL, 0,
                "Nothing ran for %s (suspended, frozen or stopped): all probes are asked anew",
                usec_format(gap_usec, text));

        loop_lag_forgive(&service->lag);
        service_record_event(service, RECORD_GAP, NULL, gap_usec, NULL);

        if (service->state != SERVICE_RUNNING)
                return;

        /* systemd counted on: the first thing it hears is that we are here. */
        if (service->gate.state == GATE_OPEN && service->gate.config.watchdog_usec > 0)
                service->gate.ping_usec = now_usec;

        service_activate_probes(service, now_usec, true);
        service_workers_forgive(service);
        service_links_ask(service);
        service_watch_step(service);
}

/* Whoever was due while the loop polled was late for want of a running process: returns true. */
static bool service_look_for_gap(hale_service *service, uint64_t due_usec, uint64_t woken_usec) {
        uint64_t slept = slept_usec();
        uint64_t gap = usec_sub(slept, service->sleep_usec);

        service->sleep_usec = slept;
        gap = MAX(gap, loop_watch_overslept(&service->loop_watch, due_usec, woken_usec));
        if (gap <= GAP_USEC)
                return false;

        service_gap(service, gap, woken_usec);
        return true;
}

#define CACHE_LINE 64

/* Asks for the memory of a node that will be handed out soon, so that it is there by then. */
static void prefetch(const WheelNode *node) {
        const char *memory = (const char *)CONTAINER_OF(node, Timer, node);

        for (size_t i = 0; i < PROBE_HOT_SIZE; i += CACHE_LINE)
                __builtin_prefetch(memory + i, 1);
}

/* Hands out all that is due. @due_usec: when the first of it was. */
static void service_tick(hale_service *service, uint64_t due_usec) {
        uint64_t woken_usec;
        WheelNode *node;

        if (sd_event_now(service->event, CLOCK_MONOTONIC, &woken_usec) < 0)
                woken_usec = service_now();

        service->tick_at_usec = USEC_NEVER;
        service->in_tick = true;
        service->clock_usec = service_now();
        service->realtime_usec = usec_sub(clock_now_usec(CLOCK_REALTIME), service->clock_usec);
        if (!service_look_for_gap(service, due_usec, woken_usec) && due_usec != USEC_NEVER)
                loop_lag_note(&service->lag, due_usec + TICK_ACCURACY_USEC, woken_usec);

        for (unsigned n = 0; n < TICK_BATCH; n++) {
                node = wheel_pop(&service->wheel, woken_usec);
                if (!node)
                        break;

                if (node->ahead)
                        prefetch(node->ahead);

                Timer *timer = CONTAINER_OF(node, Timer, node);
                timer->fire(timer->userdata);
        }

        service->in_tick = false;
        service_look_for_trouble(service);
        service_settle(service);
        service_tick_arm(service);
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata) {
        (void)source;
        /* A callback may give back the last reference. */
        (void)hale_service_ref(userdata);
        service_tick(userdata, usec);
        (void)hale_service_unref(userdata);
        return 0;
}

static int on_now(sd_event_source *source, void *userdata) {
        (void)source;
        (void)hale_service_ref(userdata);
        service_tick(userdata, USEC_NEVER);
        (void)hale_service_unref(userdata);
        return 0;
}

int service_tick_init(hale_service *service) {
        int r;

        service->tick_at_usec = USEC_NEVER;
        service->sleep_usec = slept_usec();
        r = sd_event_add_time(service->event, &service->tick_source, CLOCK_MONOTONIC, USEC_NEVER,
                              TICK_ACCURACY_USEC, on_tick, service);
        if (r < 0)
                return r;

        r = sd_event_source_set_priority(service->tick_source, PRIORITY_PROBE);
        if (r < 0)
                return r;

        r = sd_event_add_defer(service->event, &service->now_source, on_now, service);
        if (r < 0)
                return r;

        r = sd_event_source_set_priority(service->now_source, PRIORITY_PROBE);
        if (r < 0)
                return r;

        (void)sd_event_source_set_enabled(service->now_source, SD_EVENT_OFF);
        (void)sd_event_source_set_description(service->now_source, "hale-now");
        (void)sd_event_source_set_description(service->tick_source, "hale-tick");
        return sd_event_source_set_exit_on_failure(service->tick_source, true);
}

void service_tick_done(hale_service *service) {
        service->now_source = sd_event_source_disable_unref(service->now_source);
        service->tick_source = sd_event_source_disable_unref(service->tick_source);
}
