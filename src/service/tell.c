/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Telling of single probes, and of mistakes
 *
 * One journal message per change of a verdict, never one per run; and of a storm
 * of changes only so many, then their number.
 */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/limits.h"
#include "service/service.h"

/* clang-format off */
static const struct {
        unsigned gate;
        const char *name;
} gate_names[] = {
        { HALE_GATE_LIVE,    "live"    },
        { HALE_GATE_READY,   "ready"   },
        { HALE_GATE_STARTUP, "startup" },
};
/* clang-format on */

static const char *gates_to_string(unsigned gates, char buffer[static 32]) {
        Text text = { .max = 31 };

        for (size_t i = 0; i < ELEMENTSOF(gate_names); i++)
                if (gates & gate_names[i].gate)
                        (void)text_appendf(&text, "%s%s", text.length > 0 ? "," : "",
                                           gate_names[i].name);

        (void)snprintf(buffer, 32, "%s", text.length > 0 ? text.data : "none");
        text_done(&text);
        return buffer;
}

/* False when this storm has been told enough of. */
bool service_may_tell(hale_service *service) {
        uint64_t now_usec = service_now();

        if (now_usec - service->tell_since_usec >= TELL_WINDOW_USEC) {
                if (service->n_told > TELL_MAX)
                        (void)journal_log(&service->journal, LOG_WARNING,
                                          "%u more changes of '%s' in the last %u s",
                                          service->n_told - TELL_MAX, service->name,
                                          (unsigned)(TELL_WINDOW_USEC / USEC_PER_SEC));
                service->tell_since_usec = now_usec;
                service->n_told = 0;
        }

        return ++service->n_told <= TELL_MAX;
}

typedef struct Wording {
        MessageKind kind;
        const char *verb;
} Wording;

/* What to say of a change, or a kind of -1 for nothing. */
static Wording change_wording(const hale_probe *probe, const ProbeChange *change) {
        if (probe->health.state.stale)
                return (Wording){ MESSAGE_PROBE_STALE, "has not answered for too long" };
        if (change->to == HALE_FAIL)
                return probe->timed_out ? (Wording){ MESSAGE_PROBE_TIMED_OUT, "timed out" }
                                        : (Wording){ MESSAGE_PROBE_FAILED, "fails" };
        if (change->to == HALE_WARN)
                return (Wording){ MESSAGE_PROBE_WARNS, "warns" };
        if (change->from == HALE_UNKNOWN)
                return (Wording){ MESSAGE_PROBE_PASSES, "passes" };

        return (Wording){ MESSAGE_PROBE_RECOVERED, "passes again" };
}

void service_tell_probe(hale_service *service, hale_probe *probe, const ProbeChange *change) {
        const ProbeState *state = &probe->health.state;
        const char *output = probe->health.output;
        char gates[32], duration[24], failures[24];
        Wording wording = change_wording(probe, change);

        if (service->bus)
                bus_probe_changed(service->bus, &probe->health, change->from);

        if (probe->is_worker || probe->is_link)
                return;

        service_record_probe(service, &probe->health, change->from, change->to);
        if (!service_may_tell(service))
                return;

        (void)snprintf(duration, sizeof(duration), "%" PRIu64, state->duration_usec);
        (void)snprintf(failures, sizeof(failures), "%" PRIu64, state->n_failed_in_row);
        (void)journal_send(&service->journal, wording.kind,
                           (JournalField[]){
                                   { "HALE_PROBE", probe->name },
                                   { "HALE_PROBE_TYPE", probe->health.type },
                                   { "HALE_STATE", hale_status_to_string(change->to) },
                                   { "HALE_OLD_STATE", hale_status_to_string(change->from) },
                                   { "HALE_GATE", gates_to_string(state->policy.gates, gates) },
                                   { "HALE_REASON", output },
                                   { "HALE_DURATION_USEC", duration },
                                   { "HALE_FAILURES", failures },
                           },
                           8, "Probe '%s' %s%s%s", probe->name, wording.verb, output[0] ? ": " : "",
                           output);
}

void service_tell_error(hale_service *service, const char *format, ...) {
        char text[1024];
        va_list ap;

        va_start(ap, format);
        (void)vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);

        (void)journal_send(&service->journal, MESSAGE_CONFIGURATION_ERROR,
                           (JournalField[]){ { "HALE_REASON", text } }, 1, "%s", text);
}
