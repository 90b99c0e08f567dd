/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/macro.h"
#include "report/json-build.h"
#include "report/json-history.h"

static void set_text(JsonBuilder *builder, const char *key, const char *value) {
        json_builder_set_string(builder, key, value[0] ? value : NULL);
}

static void set_number(JsonBuilder *builder, const char *key, uint64_t value) {
        if (value > 0)
                json_builder_set_int(builder, key, value);
}

static json_object *lines_new(const char *text) {
        char copy[STACK_TEXT_MAX];
        const char *lines[STACK_FRAMES_MAX + 1] = { NULL };
        char *rest = copy, *line;
        size_t n = 0;

        (void)snprintf(copy, sizeof(copy), "%s", text);
        while (n < STACK_FRAMES_MAX && (line = strsep(&rest, "\n")))
                lines[n++] = line;

        return json_builder_strings(lines);
}

int json_write_previous_run(Text *text, const PreviousRun *previous, const char *sentence) {
        JsonBuilder run = json_builder_begin();
        const char *signal_name;
        char name[32];

        assert(text);
        assert(previous);
        assert(sentence);

        json_builder_set_string(&run, "result", run_end_to_string(previous->end));
        json_builder_set_string(&run, "reason", sentence);
        json_builder_set_int(&run, "run", previous->run);
        json_builder_set_int(&run, "restarts", previous->n_restarts);
        json_builder_set_time(&run, "startTime", previous->started_realtime_usec);
        json_builder_set_time(&run, "lastSeen", previous->seen_realtime_usec);
        json_builder_set_int(&run, "livedUsec", previous->lived_usec);
        set_text(&run, "probe", previous->probe);
        signal_name = previous->signal > 0 ? sigabbrev_np(previous->signal) : NULL;
        (void)snprintf(name, sizeof(name), "SIG%s", signal_name ? signal_name : "");
        json_builder_set_string(&run, "signal", signal_name ? name : NULL);
        set_number(&run, "stalledUsec", previous->stalled_usec);
        set_text(&run, "stalledIn", previous->doing);
        set_text(&run, "function", previous->function);
        if (previous->stack[0])
                json_builder_set_value(&run, "stack", lines_new(previous->stack));

        return json_builder_end(&run, text, false);
}

static bool has_statuses(const RecorderEntry *entry) {
        return entry->kind == RECORD_PROBE || entry->kind == RECORD_HEALTH ||
               entry->from != entry->to;
}

static int write_entry(Text *text, const RecorderEntry *entry, bool details) {
        JsonBuilder event = json_builder_begin();

        json_builder_set_time(&event, "time", entry->realtime_usec);
        json_builder_set_int(&event, "run", entry->run);
        json_builder_set_string(&event, "event",
                                recorder_kind_to_string((RecorderKind)entry->kind));
        set_text(&event, "name", entry->name);
        if (has_statuses(entry)) {
                json_builder_set_string(&event, "from", hale_status_to_string(entry->from));
                json_builder_set_string(&event, "to", hale_status_to_string(entry->to));
        }
        if (entry->kind == RECORD_SKIPPED)
                set_number(&event, "number", entry->value);
        else
                set_number(&event, "usec", entry->value);
        if (details)
                set_text(&event, "text", entry->text);

        return json_builder_end(&event, text, false);
}

static void add_maintenance(JsonBuilder *root, const Health *health, const JsonView *view) {
        json_builder_set_bool(root, "maintenance", health->maintenance);
        if (health->maintenance && view->details)
                set_text(root, "maintenanceReason", health->maintenance_reason);
}

int json_write_history(Text *text,
                       const Health *health,
                       const HistoryView *history,
                       const JsonView *view) {
        JsonBuilder root = json_builder_begin();
        const HealthSummary *summary;
        char sentence[2 * OUTPUT_LENGTH_MAX];
        int r;

        assert(text);
        assert(health);
        assert(history && history->state);
        assert(view && view->identity);

        summary = &health->summary;
        json_builder_set_string(&root, "serviceId",
                                view->identity->unit ? view->identity->unit
                                                     : view->identity->service);
        json_builder_set_time(&root, "timestamp", view->realtime_usec);
        json_builder_set_string(&root, "status", hale_status_to_string(summary->status));
        json_builder_set_string(&root, "phase", hale_phase_to_string(summary->phase));
        json_builder_set_bool(&root, "live", summary->live);
        json_builder_set_bool(&root, "ready", summary->ready);
        if (view->details)
                json_builder_set_string(&root, "output",
                                        health_sentence(health, sentence, sizeof(sentence)));
        add_maintenance(&root, health, view);
        json_builder_set_string(&root, "rehearsal",
                                health_is_rehearsing(health) ? health->rehearsal : NULL);
        json_builder_set_int(&root, "run", history->state->run);
        json_builder_set_int(&root, "restarts", history->state->n_restarts);
        json_builder_set_int(&root, "lagMaxUsec", history->state->lag_max_usec);

        r = json_builder_end(&root, text, true);
        if (r < 0)
                return r;

        if (view->details && view->previous_run)
                (void)text_appendf(text, ",\"previousRun\":%s", view->previous_run);
        (void)text_append(text, ",\"history\":[");
        for (unsigned i = 0; i < history->n_entries; i++) {
                (void)text_append(text, i > 0 ? "," : "");
                r = write_entry(text, &history->entries[i], view->details);
                if (r < 0)
                        return r;
        }
        (void)text_append(text, "]}\n");
        return text->error;
}
