/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Telling of Links: the probe says how it is, the journal has one line for each
 * outage and one for its end, and the program hears of both.
 */

#include <inttypes.h>
#include <stdio.h>

#include "service/link.h"

/* A program whose on_change changes the link for ever must not hold the loop. */
#define CHANGE_ROUNDS_MAX 8

/* The state as it is, for the probe alone. */
void link_show(hale_link *self) {
        Report report = { .given = true };
        bool up = self->link.state.status == LINK_UP;

        /* Nothing was tried, or nothing was told: nobody knows. */
        if (!up && !self->told)
                return;

        report.status = up ? HALE_PASS : HALE_FAIL;
        if (!up)
                memcpy(report.output, self->link.reason, sizeof(report.output));
        (void)probe_take_report(self->probe, &report);
}

static void link_journal(hale_link *self, MessageKind kind, const char *text) {
        const LinkState *state = &self->link.state;
        char attempts[16], generation[16], usec[24];

        service_record_event(self->service, RECORD_LINK, self->name, 0, text);
        if (!service_may_tell(self->service))
                return;

        (void)snprintf(attempts, sizeof(attempts), "%u", state->n_attempts);
        (void)snprintf(generation, sizeof(generation), "%" PRIu32, state->generation);
        (void)snprintf(usec, sizeof(usec), "%" PRIu64, usec_sub(service_now(), state->down_usec));
        (void)journal_send(&self->service->journal, kind,
                           (JournalField[]){
                                   { "HALE_LINK", self->name },
                                   { "HALE_STATE", link_status_to_string(state->status) },
                                   { "HALE_REASON", self->link.reason },
                                   { "HALE_ATTEMPTS", attempts },
                                   { "HALE_GENERATION", generation },
                                   { "HALE_DOWN_USEC", usec },
                           },
                           6, "Link '%s' %s", self->name, text);
}

static void link_tell_is_up(hale_link *self) {
        const LinkState *state = &self->link.state;
        char text[128], usec[USEC_TEXT_MAX];

        if (!self->told) {
                (void)journal_log(&self->service->journal, LOG_DEBUG, "Link '%s' is up",
                                  self->name);
                return;
        }

        (void)snprintf(text, sizeof(text), "is up again after %s and %u attempt%s",
                       usec_format(usec_sub(service_now(), state->down_usec), usec),
                       state->n_attempts, state->n_attempts == 1 ? "" : "s");
        link_journal(self, MESSAGE_LINK_UP, text);
        self->told = false;
}

static void link_tell_is_down(hale_link *self) {
        char text[OUTPUT_LENGTH_MAX + 16];

        if (self->told)
                return;

        (void)snprintf(text, sizeof(text), "is down%s%s", self->link.reason[0] ? ": " : "",
                       self->link.reason);
        link_journal(self, MESSAGE_LINK_DOWN, text);
        self->told = true;
}

/* From within, the program may have made another change, of which it hears afterwards. */
static void link_tell_program(hale_link *self) {
        if (self->in_change)
                return;

        self->in_change = true;
        for (unsigned round = 0; round < CHANGE_ROUNDS_MAX; round++) {
                bool up = self->link.state.status == LINK_UP;

                if (up == self->change_up &&
                    (!up || self->change_generation == self->link.state.generation))
                        break;

                self->change_up = up;
                self->change_generation = self->link.state.generation;
                if (self->ops && self->ops->changed)
                        self->ops->changed(self, self->userdata);
                if (self->on_change)
                        self->on_change(self, self->on_change_data);
        }
        self->in_change = false;
}

void link_changed(Link *link, LinkChange change) {
        hale_link *self = link_owner(link);

        if (change == LINK_CAME_UP)
                link_tell_is_up(self);
        else if (change != LINK_SAME || link->state.status != LINK_UP)
                link_tell_is_down(self);

        link_show(self);
        if (change != LINK_SAME || link->state.status != LINK_UP)
                bus_link_changed(self->service->bus, self->name);
        if (change == LINK_CAME_UP || change == LINK_WENT_DOWN)
                link_tell_program(self);
}

void link_stopped(Link *link) {
        hale_link *self = link_owner(link);

        /* Without an orderly stop the service is being freed, and what belongs to the program may
         * be gone already. */
        if (self->service->state != SERVICE_STOPPED)
                self->on_change = NULL;
        bus_link_changed(self->service->bus, self->name);
        link_tell_program(self);
}
