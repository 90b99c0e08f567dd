/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Telling of Remedies: one message a run, with what came of it; STATUS= while one is
 * under way; and whether the gate should wait.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "service/remedy.h"

/* clang-format off */
static const struct {
        MessageKind kind;
        const char *text; /* after "Remedy 'x' of probe 'y' " */
} endings[] = {
        [RUNG_HEALED]   = { MESSAGE_REMEDY_HEALED, "has helped: it passes again" },
        [RUNG_NO_HELP]  = { MESSAGE_REMEDY_FAILED, "did not help"                },
        [RUNG_ERROR]    = { MESSAGE_REMEDY_FAILED, "could not be done"           },
        [RUNG_TIMEOUT]  = { MESSAGE_REMEDY_FAILED, "was not done in time"        },
        [RUNG_CANCELED] = { MESSAGE_REMEDY_DONE,   "was broken off"              },
        [RUNG_DONE]     = { MESSAGE_REMEDY_DONE,   "was done as a precaution"    },
};
/* clang-format on */

static_assert(ELEMENTSOF(endings) == _RUNG_OUTCOME_MAX, "an outcome lacks its words");

void remedies_tell_end(struct Remedies *self, const LadderEnd *end) {
        const Rung *rung = &self->ladder.rungs[end->rung];
        hale_service *service = self->probe->service;
        char duration[24], runs[24], text[RECORDER_TEXT_MAX];
        const char *reason = end->outcome == RUNG_ERROR ? strerror(-end->result)
                             : end->outcome == RUNG_HEALED || end->outcome == RUNG_DONE
                                     ? ""
                                     : self->probe->health.output;

        service->results_revision++;
        (void)snprintf(text, sizeof(text), "for '%s': %s", self->probe->name,
                       rung_outcome_to_string(end->outcome));
        service_record_event(service, RECORD_REMEDY, self->rungs[end->rung]->name,
                             end->duration_usec, text);
        if (!service_may_tell(service))
                return;

        (void)snprintf(duration, sizeof(duration), "%" PRIu64, end->duration_usec);
        (void)snprintf(runs, sizeof(runs), "%" PRIu64, rung->n_runs);
        (void)journal_send(&service->journal, endings[end->outcome].kind,
                           (JournalField[]){
                                   { "HALE_PROBE", self->probe->name },
                                   { "HALE_REMEDY", self->rungs[end->rung]->name },
                                   { "HALE_OUTCOME", rung_outcome_to_string(end->outcome) },
                                   { "HALE_REASON", reason },
                                   { "HALE_DURATION_USEC", duration },
                                   { "HALE_RUNS", runs },
                           },
                           6, "Remedy '%s' of probe '%s' %s%s%s", self->rungs[end->rung]->name,
                           self->probe->name, endings[end->outcome].text, reason[0] ? ": " : "",
                           reason);
}

void remedies_tell_spent(struct Remedies *self) {
        hale_service *service = self->probe->service;

        /* The memory's ladder is a wheel: it begins again by itself. */
        if (self->memory || !service_may_tell(service))
                return;

        (void)journal_send(&service->journal, MESSAGE_REMEDIES_SPENT,
                           (JournalField[]){
                                   { "HALE_PROBE", self->probe->name },
                                   { "HALE_REASON", self->probe->health.output },
                           },
                           2, "No remedy of probe '%s' is left%s%s", self->probe->name,
                           self->probe->health.output[0] ? ": " : "", self->probe->health.output);
}

void remedies_mark(struct Remedies *self) {
        hale_service *service = self->probe->service;
        bool busy = ladder_is_busy(&self->ladder);

        if (busy == self->busy)
                return;

        self->busy = busy;
        if (busy)
                TAILQ_INSERT_TAIL(&service->busy_remedies, self, link);
        else
                TAILQ_REMOVE(&service->busy_remedies, self, link);
        service_unsettle(service);
}

void remedies_close_live(struct Remedies *self, bool close) {
        HealthProbe *probe = &self->probe->health;
        Health *health = &self->probe->service->health;

        if (close && !self->closed_live)
                self->gates = probe->state.policy.gates;
        self->closed_live = close;

        health_forget(health, probe);
        probe->state.policy.gates = close ? self->gates | HALE_GATE_LIVE : self->gates;
        health_remember(health, probe);
        health->revision++;
        service_unsettle(self->probe->service);
}

void service_tell_healing(hale_service *service, char *text, size_t size) {
        const struct Remedies *self = TAILQ_FIRST(&service->busy_remedies);
        size_t n = strlen(text);

        if (self && n < size)
                (void)snprintf(text + n, size - n, "; healing %s: %s", self->probe->name,
                               self->rungs[self->ladder.current]->name);
}

bool service_is_healing(const hale_service *service) {
        const HealthProbe *health;

        if (service->health.summary.live)
                return false;

        TAILQ_FOREACH (health, &service->health.probes, link) {
                const hale_probe *probe = health->owner;

                if (health_probe_passes(health, HALE_GATE_LIVE))
                        continue;
                if (!probe->remedies || !ladder_is_healing(&probe->remedies->ladder))
                        return false;
        }

        return true;
}
