/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <json-c/json_tokener.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/macro.h"
#include "report/json-build.h"
#include "report/json.h"

/* Deeper than any record of ours. */
#define PREVIOUS_RUN_DEPTH 8

/* clang-format off */
/* What the draft calls the thing that is asked (4.4); all others are a "component". */
static const struct {
        const char *type;
        const char *component_type;
} component_types[] = {
        { "disk",     "system"    }, { "memory", "system"    }, { "cpu",  "system"    },
        { "fds",      "system"    }, { "file",   "system"    }, { "loop", "system"    },
        { "threads",  "system"    }, { "clock",  "system"    },
        { "postgres", "datastore" }, { "redis",  "datastore" },
};

/* What is measured, by its unit; all others are a "value". */
static const struct {
        const char *unit;
        const char *measurement;
} measurements[] = {
        { "%",           "utilization" },
        { "percent",     "utilization" },
        { "connections", "connections" },
        { "ms",          "duration"    },
        { "s",           "duration"    },
        { "us",          "duration"    },
};

static const struct {
        hale_gate gate;
        const char *name;
} gate_names[] = {
        { HALE_GATE_LIVE,    "live"    },
        { HALE_GATE_READY,   "ready"   },
        { HALE_GATE_STARTUP, "startup" },
};
/* clang-format on */

static const char *component_type(const char *type) {
        for (size_t i = 0; i < ELEMENTSOF(component_types); i++)
                if (strcmp(component_types[i].type, type) == 0)
                        return component_types[i].component_type;

        return "component";
}

static const char *measurement(const char *unit) {
        for (size_t i = 0; i < ELEMENTSOF(measurements); i++)
                if (strcmp(measurements[i].unit, unit) == 0)
                        return measurements[i].measurement;

        return "value";
}

static json_object *gates_new(unsigned gates) {
        const char *names[ELEMENTSOF(gate_names) + 1] = { NULL };
        size_t n = 0;

        for (size_t i = 0; i < ELEMENTSOF(gate_names); i++)
                if (gates & gate_names[i].gate)
                        names[n++] = gate_names[i].name;

        return json_builder_strings(names);
}

/* The verdict in the three words of the draft. */
static hale_status draft_status(const HealthProbe *probe) {
        if (probe->state.verdict != HALE_UNKNOWN)
                return probe->state.verdict;

        return health_probe_passes(probe, HALE_GATE_LIVE) &&
                               health_probe_passes(probe, HALE_GATE_READY) &&
                               health_probe_passes(probe, HALE_GATE_STARTUP)
                       ? HALE_WARN
                       : HALE_FAIL;
}

static const char *probe_output(const HealthProbe *probe) {
        return probe->state.stale ? "no news for too long"
               : probe->output[0] ? probe->output
                                  : NULL;
}

/* What was measured; without that, how long the answer took, which a pushed one has not. */
static const char *probe_measurement(const HealthProbe *probe) {
        return probe->unit ? measurement(probe->unit)
               : !probe->state.policy.pushed && probe->state.finished_usec > 0 ? "responseTime"
                                                                               : NULL;
}

static void add_observed(JsonBuilder *check, const HealthProbe *probe) {
        if (probe->unit) {
                json_builder_set_number(check, "observedValue", probe->value);
                json_builder_set_string(check, "observedUnit", probe->unit);
        } else if (probe_measurement(probe)) {
                json_builder_set_int(check, "observedValue", probe->state.duration_usec);
                json_builder_set_string(check, "observedUnit", "us");
        }
}

/* "name:measurement": [ { … } ] */
static int write_check(Text *text, const HealthProbe *probe, bool details) {
        const char *measured = probe_measurement(probe);
        hale_status status = draft_status(probe);
        JsonBuilder check = json_builder_begin();
        int r;

        json_builder_set_string(&check, "componentId", probe->name);
        json_builder_set_string(&check, "componentType", component_type(probe->type));
        add_observed(&check, probe);
        json_builder_set_string(&check, "status", hale_status_to_string(status));
        json_builder_set_string(&check, "verdict", hale_status_to_string(probe->state.verdict));
        json_builder_set_value(&check, "gates", gates_new(probe->state.policy.gates));
        json_builder_set_int(&check, "failures", probe->state.n_failed_in_row);
        json_builder_set_time(&check, "time", probe->realtime_usec);
        if (details && status != HALE_PASS)
                json_builder_set_string(&check, "output", probe_output(probe));

        (void)text_appendf(text, "\"%s%s%s\":[", probe->name, measured ? ":" : "",
                           measured ? measured : "");
        r = json_builder_end(&check, text, false);
        (void)text_append(text, "]");
        return r;
}

static void add_identity(JsonBuilder *root, const JsonView *view) {
        const ReportIdentity *identity = view->identity;
        char major[32];

        json_builder_set_string(root, "serviceId",
                                identity->unit ? identity->unit : identity->service);
        if (!view->details)
                return;

        /* The draft's `version` is what callers rely on; releaseId is the exact one. */
        if (identity->version) {
                (void)snprintf(major, sizeof(major), "%.*s",
                               (int)MIN(strcspn(identity->version, "."), sizeof(major) - 1),
                               identity->version);
                json_builder_set_string(root, "version", major);
                json_builder_set_string(root, "releaseId", identity->version);
        }
        json_builder_set_string(root, "haleVersion", identity->hale_version);
        json_builder_set_string(root, "invocationId", identity->invocation_id);
        json_builder_set_time(root, "startTime", identity->started_realtime_usec);
}

static void add_notes(JsonBuilder *root, const Health *health, bool details) {
        char phase[64], maintenance[OUTPUT_LENGTH_MAX + 32], rehearsal[1024];
        const char *notes[] = { phase, NULL, NULL, NULL };
        size_t n = 1;

        (void)snprintf(phase, sizeof(phase), "phase: %s",
                       hale_phase_to_string(health->summary.phase));
        (void)snprintf(maintenance, sizeof(maintenance), "maintenance: %s",
                       health->maintenance_reason);
        if (details && health->maintenance && health->maintenance_reason[0])
                notes[n++] = maintenance;
        if (health_is_rehearsing(health)) {
                (void)snprintf(rehearsal, sizeof(rehearsal), "REHEARSAL: %s", health->rehearsal);
                notes[n++] = rehearsal;
        }

        json_builder_set_value(root, "notes", json_builder_strings(notes));
}

/* Parsed, so that a damaged record cannot damage the document: it is then left out. */
static void add_previous_run(JsonBuilder *root, const char *previous_run) {
        json_tokener *tokener;
        json_object *record;

        if (!previous_run)
                return;

        tokener = json_tokener_new_ex(PREVIOUS_RUN_DEPTH);
        if (!tokener) {
                root->error = -ENOMEM;
                return;
        }

        /* Not JSON_TOKENER_STRICT: with it json-c 0.18 refuses all that is not ASCII. */
        json_tokener_set_flags(tokener, JSON_TOKENER_VALIDATE_UTF8);
        record = json_tokener_parse_ex(tokener, previous_run, (int)strlen(previous_run) + 1);
        json_tokener_free(tokener);

        if (json_object_is_type(record, json_type_object))
                json_builder_set_value(root, "previousRun", record);
        else
                (void)json_object_put(record);
}

int json_write_health(Text *text, const Health *health, const JsonView *view) {
        JsonBuilder root = json_builder_begin();
        const HealthSummary *summary;
        const HealthProbe *probe;
        char sentence[2 * OUTPUT_LENGTH_MAX];
        const char *comma = "";

        assert(text);
        assert(health);
        assert(view && view->identity);

        summary = &health->summary;
        json_builder_set_string(&root, "status", hale_status_to_string(summary->status));
        json_builder_set_time(&root, "timestamp", view->realtime_usec);
        add_identity(&root, view);
        json_builder_set_string(&root, "phase", hale_phase_to_string(summary->phase));
        json_builder_set_bool(&root, "live", summary->live);
        json_builder_set_bool(&root, "ready", summary->ready);
        json_builder_set_bool(&root, "started", summary->started);
        json_builder_set_time(&root, "statusSince", health->status_since_realtime_usec);
        if (view->details && summary->status != HALE_PASS)
                json_builder_set_string(&root, "output",
                                        health_sentence(health, sentence, sizeof(sentence)));
        add_notes(&root, health, view->details);
        json_builder_set_string(&root, "rehearsal",
                                health_is_rehearsing(health) ? health->rehearsal : NULL);
        if (view->details)
                add_previous_run(&root, view->previous_run);

        if (json_builder_end(&root, text, true) == 0) {
                (void)text_append(text, ",\"checks\":{");
                TAILQ_FOREACH (probe, &health->probes, link) {
                        (void)text_append(text, comma);
                        if (write_check(text, probe, view->details) < 0)
                                break;
                        comma = ",";
                }
                (void)text_append(text, "}}\n");
        }

        return root.error < 0 ? root.error : text->error;
}

int json_write_health_probe(Text *text,
                            const Health *health,
                            const HealthProbe *probe,
                            const JsonView *view) {
        JsonBuilder root = json_builder_begin();
        hale_status status;
        int r;

        assert(text);
        assert(health);
        assert(probe);
        assert(view && view->identity);

        status = draft_status(probe);
        json_builder_set_string(&root, "status", hale_status_to_string(status));
        json_builder_set_time(&root, "timestamp", view->realtime_usec);
        add_identity(&root, view);
        if (view->details && status != HALE_PASS)
                json_builder_set_string(&root, "output", probe_output(probe));
        json_builder_set_string(&root, "rehearsal",
                                health_is_rehearsing(health) ? health->rehearsal : NULL);

        r = json_builder_end(&root, text, true);
        if (r < 0)
                return r;

        (void)text_append(text, ",\"checks\":{");
        r = write_check(text, probe, view->details);
        (void)text_append(text, "}}\n");
        return r < 0 ? r : text->error;
}
