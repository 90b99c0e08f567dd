/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "base/limits.h"
#include "base/macro.h"
#include "report/text.h"

/* What ?exclude= asked for, and which of it was found. */
typedef struct Excludes {
        const char *const *names;
        size_t n_names;
        bool found[EXCLUDES_MAX];
        bool any;
} Excludes;

static bool excludes_take(Excludes *excludes, const char *name) {
        bool found = false;

        for (size_t i = 0; i < excludes->n_names; i++)
                if (strcmp(excludes->names[i], name) == 0)
                        found = excludes->found[i] = true;

        excludes->any = excludes->any || found;
        return found;
}

/* As Go's %q does for what is printable; the rest was made harmless before. */
static void append_quoted(Text *text, const char *name) {
        char clean[2 * NAME_LENGTH_MAX];

        (void)str_sanitize(name, clean, sizeof(clean));
        (void)text_append(text, "\"");
        for (const char *c = clean; *c; c++) {
                if (*c == '"' || *c == '\\')
                        (void)text_append(text, "\\");
                (void)text_append_n(text, c, 1);
        }
        (void)text_append(text, "\"");
}

/* The least of the names not found that comes after @last; NULL: no more. So they are told in
 * order and each once, as kube-apiserver does. */
static const char *excludes_next(const Excludes *excludes, const char *last) {
        const char *next = NULL;

        for (size_t i = 0; i < excludes->n_names; i++)
                if (!excludes->found[i] && (!last || strcmp(excludes->names[i], last) > 0) &&
                    (!next || strcmp(excludes->names[i], next) < 0))
                        next = excludes->names[i];

        return next;
}

static void append_unmatched(Text *text, const Excludes *excludes) {
        const char *name = excludes_next(excludes, NULL);

        if (!name)
                return;

        (void)text_append(text, "warn: some health checks cannot be excluded: no matches for ");
        append_quoted(text, name);
        while ((name = excludes_next(excludes, name))) {
                (void)text_append(text, ",");
                append_quoted(text, name);
        }
        (void)text_append(text, "\n");
}

/* Why a probe fails: its own words, or what stands for them. */
static const char *probe_reason(const HealthProbe *probe, bool details) {
        if (!details)
                return "reason withheld";
        if (probe->state.stale)
                return "no news for too long";
        if (probe->output[0])
                return probe->output;

        return probe->state.finished_usec == 0 ? "not answered yet" : "no reason given";
}

/* Writes a line for each probe of the gate, and counts those that close it. */
static size_t
append_probes(Text *text, const Health *health, const TextQuery *query, Excludes *excludes) {
        const HealthProbe *probe;
        size_t n_failed = 0;

        TAILQ_FOREACH (probe, &health->probes, link) {
                if (!(probe->state.policy.gates & (unsigned)query->gate))
                        continue;

                if (excludes_take(excludes, probe->name)) {
                        (void)text_appendf(text, "[+]%s excluded: ok\n", probe->name);
                } else if (health_probe_passes(probe, query->gate)) {
                        (void)text_appendf(text, "[+]%s ok\n", probe->name);
                } else {
                        n_failed++;
                        (void)text_appendf(text, "[-]%s failed: %s\n", probe->name,
                                           probe_reason(probe, query->details));
                }
        }

        return n_failed;
}

/* Does the phase, and not a probe, close the gate? The start lasts until all ready probes have
 * passed once: that alone does not close it when one of these is excluded. */
static bool phase_closes(const Health *health, hale_gate gate, bool excluded) {
        const HealthSummary *summary = &health->summary;

        if (gate == HALE_GATE_STARTUP)
                return !summary->started && health->n_startup_waiting == 0;
        if (gate != HALE_GATE_READY)
                return false;

        return health->stopping || health->maintenance || !summary->started ||
               (summary->phase == HALE_STARTING && !excluded);
}

static bool gate_is_open(const Health *health, hale_gate gate) {
        const HealthSummary *summary = &health->summary;

        return gate == HALE_GATE_LIVE    ? summary->live
               : gate == HALE_GATE_READY ? summary->ready
                                         : summary->started;
}

static void append_phase(Text *text, const Health *health, bool details) {
        hale_phase phase =
                health->maintenance && !health->stopping ? HALE_MAINTENANCE : health->summary.phase;

        (void)text_appendf(text, "[-]phase failed: %s", hale_phase_to_string(phase));
        if (phase == HALE_MAINTENANCE && health->maintenance_reason[0])
                (void)text_appendf(text, ": %s",
                                   details ? health->maintenance_reason : "reason withheld");
        (void)text_append(text, "\n");
}

static const char *gate_word(hale_gate gate) {
        return gate == HALE_GATE_LIVE ? "livez" : gate == HALE_GATE_READY ? "readyz" : "startupz";
}

static void append_rehearsal(Text *text, const Health *health) {
        if (health_is_rehearsing(health))
                (void)text_appendf(text, "REHEARSAL: %s\n", health->rehearsal);
}

static void append_outcome(Text *text, hale_gate gate, bool pass) {
        (void)text_appendf(text, "%s check %s\n", gate_word(gate), pass ? "passed" : "failed");
}

bool text_write_gate(Text *text, const Health *health, const TextQuery *query) {
        Excludes excludes = {};
        bool pass, closed;
        size_t n_failed;

        assert(text);
        assert(health);
        assert(query);
        assert(query->gate == HALE_GATE_LIVE || query->gate == HALE_GATE_READY ||
               query->gate == HALE_GATE_STARTUP);

        pass = gate_is_open(health, query->gate);
        if (pass && !query->verbose) {
                (void)text_append(text, "ok");
                return true;
        }

        excludes.names = query->excludes;
        excludes.n_names = MIN(query->n_excludes, (size_t)EXCLUDES_MAX);
        n_failed = append_probes(text, health, query, &excludes);

        closed = phase_closes(health, query->gate, excludes.any);
        if (excludes.any)
                pass = pass || (n_failed == 0 && !closed);
        if (!pass && (closed || n_failed == 0))
                append_phase(text, health, query->details);

        if (pass && !query->verbose) {
                text_clear(text);
                (void)text_append(text, "ok");
                return true;
        }

        append_unmatched(text, &excludes);
        append_rehearsal(text, health);
        append_outcome(text, query->gate, pass);
        return pass;
}

void text_write_probe(Text *text,
                      const Health *health,
                      const HealthProbe *probe,
                      const TextQuery *query,
                      bool open) {
        assert(text);
        assert(health);
        assert(probe);
        assert(query);

        if (open && !query->verbose) {
                (void)text_append(text, "ok");
                return;
        }

        (void)text_appendf(text, "%s%s %s",
                           !query->verbose ? ""
                           : open          ? "[+]"
                                           : "[-]",
                           probe->name, open ? "ok" : "failed");
        if (!open)
                (void)text_appendf(text, ": %s", probe_reason(probe, query->details));
        else if (query->details && probe->output[0])
                (void)text_appendf(text, ": %s", probe->output);
        (void)text_append(text, "\n");
        append_rehearsal(text, health);
        if (query->verbose)
                append_outcome(text, query->gate, open);
}
