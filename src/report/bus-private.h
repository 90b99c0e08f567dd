/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Bus: the inside
 *
 * What the files of this module share. bus.c keeps the connection, bus-name.c the
 * name, bus-signal.c tells changes, bus-call.c keeps method calls until they can be
 * answered (bus-call.h), and the others are the objects (bus-object.h).
 *
 * Whoever calls out to the source holds the Bus (bus_hold()), so that it may be
 * freed meanwhile, and looks at @dead afterwards.
 */

#include <sys/queue.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "base/limits.h"
#include "base/macro.h"
#include "core/backoff.h"
#include "core/random.h"
#include "report/bus-call.h"
#include "report/bus.h"

/* What is attached to a connection: a filter, two local signals, eight parts of objects. */
#define SLOTS_MAX 16

typedef enum BusRetry {
        RETRY_CONNECT,  /* build the connection anew */
        RETRY_DEADLINE, /* it was built, and should be up by now */
        RETRY_NAME,     /* ask for the name again */
} BusRetry;

/* What clients were told last; the difference to what is so now is told next. */
typedef struct BusTold {
        HealthSummary summary;
        uint64_t since_usec;
        bool maintenance;
        uint64_t until_usec;
        char reason[OUTPUT_LENGTH_MAX];
        const char *gate;
        char rehearsal[REHEARSAL_TEXT_MAX];
        unsigned n_verdict[4];
        uint64_t n_untold;
} BusTold;

struct Bus {
        sd_event *event;
        int64_t priority;
        pid_t pid;
        uid_t uid;
        BusConfig config;
        const BusSource *source; /* not ours */
        void *data;
        char *address; /* NULL: there is none */

        unsigned n_holds; /* frames that are out at the source */
        bool dead;        /* freed, but for the memory */
        bool started;

        sd_bus *link; /* NULL: not connected, and waiting to be */
        sd_bus_slot *slots[SLOTS_MAX];
        unsigned n_slots;
        bool ready; /* hello was said */
        bool owned; /* the name is ours */
        bool absence_told, denial_told;
        uint64_t ready_usec;

        Random random;
        Backoff connect_backoff, name_backoff;
        sd_event_source *start_source, *retry_source;
        BusRetry retry;

        struct BusCalls calls;
        unsigned n_calls, n_at_polkit, n_running;
        sd_event_source *calls_source;

        BusWorker worker; /* these are being looked at */
        BusLink seen_link;

        BusTold told;
        uint64_t window_usec; /* when the window began */
        unsigned n_probe_signals, n_health_signals;
        uint64_t n_untold; /* changes of single things for which there was no signal */
        sd_event_source *tell_source;
};

static inline Bus *bus_hold(Bus *bus) {
        bus->n_holds++;
        return bus;
}

void bus_release(Bus **bus);

#define _cleanup_release_ __attribute__((cleanup(bus_release)))

static inline const Health *bus_health(const Bus *bus) {
        return bus->source->health(bus->data);
}

uint64_t bus_now_usec(const Bus *bus);

/* Closes the connection at once, even from within its callbacks, and plans the next. */
void bus_lose(Bus *bus, int error);

/* Tells the source. */
void bus_report(Bus *bus, BusState state, int error);

/* Does @retry after @wait_usec, instead of what was planned before. */
void bus_plan(Bus *bus, BusRetry retry, uint64_t wait_usec);

/* Asks for the name, if it is not ours yet; and looks whether a message gives or takes it. */
int bus_request_name(Bus *bus);
void bus_take_name_signal(Bus *bus, sd_bus_message *message);

/* Loses the connection if more is queued than it should take. Returns true if it may be used. */
bool bus_has_room(Bus *bus);

/* True if an answer of up to BUS_REPORT_MAX may be made; otherwise sets @error. */
bool bus_has_room_for_much(Bus *bus, sd_bus_error *error);

/* Sets @source to fire at @at_usec, making it the first time. */
int bus_arm(Bus *bus,
            sd_event_source **source,
            uint64_t at_usec,
            sd_event_time_handler_t handler,
            const char *description);

/* Takes what is so now for told: after the name was acquired, nobody knows an older state. */
void bus_told_reset(Bus *bus);
void bus_tell(Bus *bus);

/* True if something may be said about one probe, link or worker now; else it is only counted. */
bool bus_may_tell_one(Bus *bus);
