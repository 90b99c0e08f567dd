/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The connection. bus_build() makes all of it, at the start and at each reconnect,
 * because an sd_bus that was closed never comes back. Every step is asynchronous:
 * sd_bus_start(3) connects without blocking, waits by inotify for a socket that is
 * not there yet, and queues Hello; the name is asked for behind it.
 */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/names.h"
#include "core/defaults.h"
#include "report/bus-object.h"

/* clang-format off */
static const char *const state_names[] = {
        [BUS_ABSENT]        = "absent",
        [BUS_UP]            = "up",
        [BUS_LOST]          = "lost",
        [BUS_NAME_ACQUIRED] = "name acquired",
        [BUS_NAME_DENIED]   = "name denied",
        [BUS_NAME_LOST]     = "name lost",
};
/* clang-format on */

static_assert(ELEMENTSOF(state_names) == _BUS_STATE_MAX, "a state of the bus lacks its name");

const char *bus_state_to_string(BusState state) {
        return name_table_to_string(state_names, ELEMENTSOF(state_names), (int)state);
}

uint64_t bus_now_usec(const Bus *bus) {
        uint64_t now_usec;

        if (sd_event_now(bus->event, CLOCK_MONOTONIC, &now_usec) < 0)
                return clock_now_usec(CLOCK_MONOTONIC);

        return now_usec;
}

int bus_arm(Bus *bus,
            sd_event_source **source,
            uint64_t at_usec,
            sd_event_time_handler_t handler,
            const char *description) {
        int r;

        if (*source) {
                r = sd_event_source_set_time(*source, at_usec);
                if (r < 0)
                        return r;

                return sd_event_source_set_enabled(*source, SD_EVENT_ONESHOT);
        }

        /* Accuracy 0 is the default of 250 ms: nothing here is in a hurry. */
        r = sd_event_add_time(bus->event, source, CLOCK_MONOTONIC, at_usec, 0, handler, bus);
        if (r < 0)
                return r;

        (void)sd_event_source_set_description(*source, description);
        return sd_event_source_set_priority(*source, bus->priority);
}

void bus_report(Bus *bus, BusState state, int error) {
        if (bus->dead || !bus->started)
                return;

        bus->source->on_state(bus->data, state, error);
}

sd_bus_slot **bus_next_slot(Bus *bus) {
        assert(bus->n_slots < SLOTS_MAX);

        return &bus->slots[bus->n_slots++];
}

static int on_unref(sd_event_source *source, void *userdata _unused_) {
        /* Frees the source, and by its destroy callback the bus. */
        sd_event_source_disable_unref(source);
        return 0;
}

static void unref_link(void *link) {
        sd_bus_unref(link);
}

/*
 * Closes and gives back @link. The event handlers of sd-bus still look at it when
 * one of its callbacks returns: in that case it is kept until the loop's next turn.
 */
static void bus_dispose(Bus *bus, sd_bus *link) {
        sd_event_source *source = NULL;

        bool busy = sd_bus_get_current_message(link) != NULL;

        sd_bus_close(link);
        if (!busy) {
                sd_bus_unref(link);
                return;
        }

        /* Without memory even for this, the closed connection stays: better than what is freed
         * too early. */
        if (sd_event_add_defer(bus->event, &source, on_unref, link) < 0)
                return;
        (void)sd_event_source_set_destroy_callback(source, unref_link);
        (void)sd_event_source_set_floating(source, true);
        (void)sd_event_source_unref(source);
}

static void bus_disconnect(Bus *bus) {
        sd_bus *link = TAKE_PTR(bus->link);

        bus->ready = false;
        bus->owned = false;
        bus_calls_drop(bus);

        while (bus->n_slots > 0) {
                bus->n_slots--;
                bus->slots[bus->n_slots] = sd_bus_slot_unref(bus->slots[bus->n_slots]);
        }

        if (link)
                bus_dispose(bus, link);
}

void bus_lose(Bus *bus, int error) {
        _cleanup_release_ Bus *held = bus_hold(bus);

        bool was_ready = bus->ready;
        bool lasted = was_ready && bus_now_usec(bus) - bus->ready_usec >= BUS_STABLE_USEC;
        bool tell = was_ready || !bus->absence_told;

        bus_disconnect(bus);
        if (lasted)
                backoff_reset(&bus->connect_backoff);
        bus_plan(bus, RETRY_CONNECT, backoff_next(&bus->connect_backoff, &bus->random));

        bus->absence_told = true;
        bus->denial_told = false;
        if (tell)
                bus_report(held, was_ready ? BUS_LOST : BUS_ABSENT, error);
}

bool bus_has_room(Bus *bus) {
        uint64_t n_queued;

        if (!bus->link)
                return false;
        if (sd_bus_get_n_queued_write(bus->link, &n_queued) >= 0 && n_queued <= BUS_QUEUE_MAX)
                return true;

        bus_lose(bus, -ENOBUFS);
        return false;
}

bool bus_has_room_for_much(Bus *bus, sd_bus_error *error) {
        uint64_t n_queued;

        if (bus->link && sd_bus_get_n_queued_write(bus->link, &n_queued) >= 0 &&
            n_queued <= BUS_QUEUE_LARGE_MAX)
                return true;

        (void)sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                               "Earlier answers are still on their way; try again in a moment");
        return false;
}

bool bus_is_up(const Bus *bus) {
        return bus && bus->ready && (bus->owned || !bus->config.name) && bus->pid == getpid();
}

/* Sees every message that comes in, before all else. */
static int on_message(sd_bus_message *message, void *userdata, sd_bus_error *error _unused_) {
        _cleanup_release_ Bus *bus = bus_hold(userdata);

        /* Whoever asks faster than the answers are taken away does not get to fill our memory. */
        if (!bus_has_room(bus))
                return 1;

        bus_take_name_signal(bus, message);
        return bus->dead || !bus->link;
}

static int
on_connected(sd_bus_message *message _unused_, void *userdata, sd_bus_error *error _unused_) {
        _cleanup_release_ Bus *bus = bus_hold(userdata);

        bus->ready = true;
        bus->ready_usec = bus_now_usec(bus);
        bus->absence_told = false;
        if (bus->retry_source && bus->retry == RETRY_DEADLINE)
                (void)sd_event_source_set_enabled(bus->retry_source, SD_EVENT_OFF);
        if (!bus->config.name)
                bus_told_reset(bus);

        bus_report(bus, BUS_UP, 0);
        return 1;
}

static int
on_disconnected(sd_bus_message *message _unused_, void *userdata, sd_bus_error *error _unused_) {
        bus_lose(userdata, -ECONNRESET);
        return 1;
}

static int bus_prepare(Bus *bus, sd_bus *link) {
        int r;

        r = sd_bus_set_address(link, bus->address);
        if (r < 0)
                return r;

        /* These cannot fail on a connection that was not started. No descriptors are wanted from
         * strangers; and at the exit of the loop sd-bus must not flush, because that may block. */
        (void)sd_bus_set_bus_client(link, true);
        (void)sd_bus_set_watch_bind(link, true);
        (void)sd_bus_set_connected_signal(link, true);
        (void)sd_bus_set_close_on_exit(link, false);
        (void)sd_bus_negotiate_fds(link, false);
        (void)sd_bus_set_method_call_timeout(link, BUS_REPLY_USEC);

        r = sd_bus_add_filter(link, bus_next_slot(bus), on_message, bus);
        if (r < 0)
                return r;

        /* Local signals: sd-bus makes them itself, and asks the bus for no match. */
        r = sd_bus_match_signal(link, bus_next_slot(bus), NULL, NULL, "org.freedesktop.DBus.Local",
                                "Connected", on_connected, bus);
        if (r < 0)
                return r;

        return sd_bus_match_signal(link, bus_next_slot(bus), NULL, NULL,
                                   "org.freedesktop.DBus.Local", "Disconnected", on_disconnected,
                                   bus);
}

static int bus_build(Bus *bus) {
        int r;

        assert(!bus->link);

        r = sd_bus_new(&bus->link);
        if (r < 0)
                return r;

        r = bus_prepare(bus, bus->link);
        if (r < 0)
                return r;

        r = bus_export_health(bus, bus->link);
        if (r < 0)
                return r;

        r = bus_export_probes(bus, bus->link);
        if (r < 0)
                return r;

        r = bus_export_workers(bus, bus->link);
        if (r < 0)
                return r;

        r = bus_export_links(bus, bus->link);
        if (r < 0)
                return r;

        r = bus_export_log(bus, bus->link);
        if (r < 0)
                return r;

        r = sd_bus_start(bus->link);
        if (r < 0)
                return r;

        r = sd_bus_attach_event(bus->link, bus->event, (int)bus->priority);
        if (r < 0)
                return r;

        /* The last step (daemon(7)): whoever finds the name finds all of us. */
        return bus_request_name(bus);
}

/* Is it the socket that is waited for? Then the descriptor is an inotify's, not a socket's. */
static bool bus_waits_for_socket(sd_bus *link) {
        socklen_t size = sizeof(int);
        int type;

        return getsockopt(sd_bus_get_fd(link), SOL_SOCKET, SO_TYPE, &type, &size) < 0;
}

static void bus_attempt(Bus *bus) {
        int r;

        r = bus_build(bus);
        if (r < 0) {
                bus_lose(bus, r);
                return;
        }

        if (!bus_waits_for_socket(bus->link)) {
                bus_plan(bus, RETRY_DEADLINE, BUS_CONNECT_USEC);
        } else if (!bus->absence_told) {
                bus->absence_told = true;
                bus_report(bus, BUS_ABSENT, -ENOENT);
        }
}

static int on_retry(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        _cleanup_release_ Bus *bus = bus_hold(userdata);

        if (bus->pid != getpid())
                return 0;

        if (bus->retry == RETRY_CONNECT)
                bus_attempt(bus);
        else if (bus->retry == RETRY_DEADLINE && bus->link && !bus->ready)
                bus_lose(bus, -ETIMEDOUT);
        else if (bus->retry == RETRY_NAME && bus->link && bus_request_name(bus) < 0)
                bus_lose(bus, -ENOTCONN);

        return 0;
}

void bus_plan(Bus *bus, BusRetry retry, uint64_t wait_usec) {
        bus->retry = retry;
        if (!bus->started)
                return;

        /* Without memory for a timer there is no bus until the next start; health goes on. */
        (void)bus_arm(bus, &bus->retry_source, usec_add(bus_now_usec(bus), wait_usec), on_retry,
                      "bus-retry");
}

static int on_start(sd_event_source *source _unused_, void *userdata) {
        _cleanup_release_ Bus *bus = bus_hold(userdata);

        if (bus->pid != getpid())
                return 0;

        if (bus->address)
                bus_attempt(bus);
        else
                bus_report(bus, BUS_ABSENT, -ENOMEDIUM);

        return 0;
}

int bus_start(Bus *bus) {
        int r;

        assert(bus);

        if (bus->pid != getpid())
                return -ECHILD;
        if (bus->started)
                return -EALREADY;

        /* Not now: connecting costs a tenth of a millisecond, and READY=1 must not wait for it.
         * The loop comes to this when all that is more important is done. */
        r = sd_event_add_defer(bus->event, &bus->start_source, on_start, bus);
        if (r < 0)
                return r;

        (void)sd_event_source_set_description(bus->start_source, "bus-start");
        (void)sd_event_source_set_priority(bus->start_source, bus->priority);
        bus->started = true;
        return 0;
}

void bus_stop(Bus *bus) {
        if (!bus || !bus->started || bus->pid != getpid())
                return;

        _cleanup_release_ Bus *held = bus_hold(bus);

        /* sd_bus_send() writes at once what the socket takes. What it does not take now is lost:
         * sd_bus_flush() would wait for it, without limit. */
        if (bus_is_up(held))
                bus_tell(held);
        bus_calls_fail(held, NULL, ERROR_NOT_RUNNING, "The service is stopping");

        held->started = false;
        bus_disconnect(held);
        held->start_source = sd_event_source_disable_unref(held->start_source);
        held->retry_source = sd_event_source_disable_unref(held->retry_source);
        held->calls_source = sd_event_source_disable_unref(held->calls_source);
        held->tell_source = sd_event_source_disable_unref(held->tell_source);
}
