/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Spring Boot's actuator shape, for the tools that know no other. Its words are
 * UP, DOWN, OUT_OF_SERVICE and UNKNOWN.
 */

#include "base/macro.h"
#include "report/json-build.h"
#include "report/json.h"

/* clang-format off */
static const char *const probe_words[] = {
        [HALE_UNKNOWN] = "UNKNOWN",
        [HALE_PASS]    = "UP",
        [HALE_WARN]    = "UP",
        [HALE_FAIL]    = "DOWN",
};
/* clang-format on */

static_assert(ELEMENTSOF(probe_words) == HALE_FAIL + 1, "a status lacks its word");

/* Closed by the phase is OUT_OF_SERVICE: nothing is broken. */
static const char *whole_word(const Health *health) {
        const HealthSummary *summary = &health->summary;

        if (summary->status != HALE_FAIL)
                return "UP";
        if (summary->live &&
            (health->maintenance || summary->phase == HALE_STARTING ||
             summary->phase == HALE_MAINTENANCE || summary->phase == HALE_STOPPING))
                return "OUT_OF_SERVICE";

        return "DOWN";
}

/* As LivenessState and ReadinessState are mapped there. */
static const char *gate_word(const Health *health, hale_gate gate) {
        if (gate == HALE_GATE_NONE)
                return whole_word(health);
        if (gate == HALE_GATE_LIVE)
                return health->summary.live ? "UP" : "DOWN";

        return health->summary.ready ? "UP" : "OUT_OF_SERVICE";
}

static json_object *details_new(const HealthProbe *probe) {
        JsonBuilder details = json_builder_begin();

        json_builder_set_string(&details, "verdict", hale_status_to_string(probe->state.verdict));
        if (probe->output[0])
                json_builder_set_string(&details, "output", probe->output);
        if (probe->unit) {
                json_builder_set_number(&details, "value", probe->value);
                json_builder_set_string(&details, "unit", probe->unit);
        }
        json_builder_set_time(&details, "time", probe->realtime_usec);

        return json_builder_take(&details);
}

static int write_component(Text *text, const HealthProbe *probe, bool details) {
        JsonBuilder component = json_builder_begin();

        json_builder_set_string(&component, "status", probe_words[probe->state.verdict]);
        if (details)
                json_builder_set_value(&component, "details", details_new(probe));

        return json_builder_end(&component, text, false);
}

static int write_components(Text *text, const Health *health, hale_gate gate, bool details) {
        const HealthProbe *probe;
        const char *comma = "";
        int r;

        (void)text_append(text, ",\"components\":{");
        TAILQ_FOREACH (probe, &health->probes, link) {
                if (gate != HALE_GATE_NONE && !(probe->state.policy.gates & (unsigned)gate))
                        continue;

                (void)text_appendf(text, "%s\"%s\":", comma, probe->name);
                r = write_component(text, probe, details);
                if (r < 0)
                        return r;
                comma = ",";
        }

        return text_append(text, "}");
}

int json_write_actuator(Text *text, const Health *health, hale_gate gate, const JsonView *view) {
        JsonBuilder root = json_builder_begin();
        int r;

        assert(text);
        assert(health);
        assert(view);

        json_builder_set_string(&root, "status", gate_word(health, gate));
        json_builder_set_string(&root, "rehearsal",
                                health_is_rehearsing(health) ? health->rehearsal : NULL);
        r = json_builder_end(&root, text, true);
        if (r < 0)
                return r;

        r = write_components(text, health, gate, view->details);
        if (r < 0)
                return r;

        return text_append(text, gate == HALE_GATE_NONE
                                         ? ",\"groups\":[\"liveness\",\"readiness\"]}\n"
                                         : "}\n");
}

int json_write_actuator_probe(Text *text, const HealthProbe *probe, const JsonView *view) {
        int r;

        assert(text);
        assert(probe);
        assert(view);

        r = write_component(text, probe, view->details);
        return r < 0 ? r : text_append(text, "\n");
}
