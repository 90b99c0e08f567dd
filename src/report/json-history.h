/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * JSON of the flight record: how the last run ended, and /status.json, the history
 */

#include "core/recorder-read.h"
#include "report/json.h"

/* An object, for JsonView.previous_run. Returns 0, -ENOMEM, or -E2BIG past the bound of @text. */
int json_write_previous_run(Text *text, const PreviousRun *previous, const char *sentence);

typedef struct HistoryView {
        const RecorderState *state;
        const RecorderEntry *entries; /* the newest first */
        unsigned n_entries;
} HistoryView;

/*
 * The whole in short, and the history, newest first. Without view->details it has
 * only what also /health shows everybody: words and names, but no texts, and nothing of
 * the previous run.
 */
int json_write_history(Text *text,
                       const Health *health,
                       const HistoryView *history,
                       const JsonView *view);
