/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * RECORDER
 *
 * Any bytes as the record that systemd passes back. The first byte says whether the
 * checksums are as they come, or are made right, as somebody would who knows how. What
 * is read must be clean and within its bounds, and whatever was made of it must be
 * writable again, and valid JSON.
 */

#include <errno.h>
#include <json-c/json_tokener.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "base/str.h"
#include "core/recorder-read.h"
#include "report/json-history.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* abort() and not assert(): it must hold in every kind of build. */
#define MUST(expression)                                                                           \
        do {                                                                                       \
                if (!(expression))                                                                 \
                        abort();                                                                   \
        } while (0)

#define MEND(part)                                                                                 \
        ((part)->checksum = (__typeof__((part)->checksum))                                         \
                 recorder_checksum((part), offsetof(__typeof__(*(part)), checksum)))

static void mend(RecorderArea *area) {
        MEND(&area->header);
        for (size_t i = 0; i < ELEMENTSOF(area->states); i++)
                MEND(&area->states[i]);
        MEND(&area->fatal);
        MEND(&area->hung);
        MEND(&area->stall);
        MEND(&area->modules);
        for (size_t i = 0; i < ELEMENTSOF(area->entries); i++)
                MEND(&area->entries[i]);
}

static void must_be_clean(const char *text, size_t size, bool lines) {
        size_t n = strnlen(text, size);

        MUST(n < size);
        for (size_t i = 0; i < n;) {
                size_t length = utf8_sequence(text + i, n - i);

                MUST(length > 0);
                MUST(((unsigned char)text[i] >= 0x20 && text[i] != 0x7f) ||
                     (lines && text[i] == '\n'));
                i += length;
        }
}

#define MUST_BE_CLEAN(text) must_be_clean((text), sizeof(text), false)

static void try_entries(const RecorderArea *area, RecorderEntry *entries, HistoryView *ret) {
        unsigned n = recorder_read_entries(area, entries);

        MUST(n <= RECORDER_ENTRIES_MAX);
        for (unsigned i = 0; i < n; i++) {
                MUST_BE_CLEAN(entries[i].name);
                MUST_BE_CLEAN(entries[i].text);
                MUST(entries[i].sequence <= recorder_last_sequence(area));
                MUST(i == 0 || entries[i].sequence < entries[i - 1].sequence);
                MUST(recorder_kind_to_string((RecorderKind)entries[i].kind));
                MUST(entries[i].from <= HALE_FAIL && entries[i].to <= HALE_FAIL);
        }
        ret->entries = entries;
        ret->n_entries = n;
}

static void must_be_json(const Text *text) {
        struct json_object *object = json_tokener_parse(text->data);

        MUST(text->error == 0);
        MUST(object);
        (void)json_object_put(object);
}

static void try_previous(const RecorderArea *area, const RecorderState *state) {
        PreviousRun previous;
        char sentence[512];
        Text text = TEXT_INIT;

        recorder_deduce(area, state, &previous);
        MUST(run_end_to_string(previous.end));
        MUST_BE_CLEAN(previous.probe);
        MUST_BE_CLEAN(previous.reason);
        MUST_BE_CLEAN(previous.doing);
        MUST_BE_CLEAN(previous.function);
        must_be_clean(previous.stack, sizeof(previous.stack), true);
        (void)previous_run_sentence(&previous, sentence, sizeof(sentence));
        MUST_BE_CLEAN(sentence);
        MUST(json_write_previous_run(&text, &previous, sentence) == 0);
        must_be_json(&text);
        text_done(&text);
}

static void try_history(const RecorderState *state, HistoryView *history) {
        const ReportIdentity identity = { .service = "subject" };
        const JsonView view = { .identity = &identity, .details = true };
        Text text = TEXT_INIT;
        Health health;

        health_init(&health, 0);
        history->state = state;
        MUST(json_write_history(&text, &health, history, &view) == 0);
        must_be_json(&text);
        text_done(&text);
}

/* What a new run does with it. */
static void try_writing(RecorderArea *area, RecorderState *state) {
        const RecorderEntry entry = { .kind = RECORD_START, .run = state->run };
        static RecorderEntry entries[RECORDER_ENTRIES_MAX];
        uint64_t sequence = recorder_last_sequence(area);
        RecorderState found;

        state->run++;
        recorder_write_state(area, state);
        MUST(recorder_read_state(area, &found));
        MUST(found.run == state->run);
        recorder_write_entry(area, &sequence, &entry);
        MUST(recorder_last_sequence(area) == sequence);
        MUST(recorder_read_entries(area, entries) > 0);
        MUST(entries[0].kind == RECORD_START);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static _Alignas(RecorderArea) RecorderArea area;
        static RecorderEntry entries[RECORDER_ENTRIES_MAX];
        static RecorderModules modules;
        const char *word = NULL;
        HistoryView history = {};
        RecorderState state;
        RecorderFrames frames;
        int r;

        if (size == 0)
                return 0;

        memset(&area, 0, sizeof(area));
        memcpy(&area, data + 1, MIN(size - 1, sizeof(area)));
        if (data[0] % 2 == 1)
                mend(&area);

        r = recorder_check(&area, "subject", &word);
        MUST(r == 0 || ((r == -EBADMSG || r == -EPROTONOSUPPORT) && word));
        MUST(recorder_restore_begin(&area) <= RECORDER_RESTORES_MAX);
        try_entries(&area, entries, &history);
        if (!recorder_read_state(&area, &state))
                return 0;

        MUST_BE_CLEAN(state.probe);
        MUST_BE_CLEAN(state.reason);
        MUST_BE_CLEAN(state.maintenance_reason);
        (void)recorder_maintenance_left(&state, 1000000, 1000000);
        if (recorder_read_frames(&area.fatal, state.run, &frames))
                MUST(frames.n_frames <= STACK_FRAMES_MAX);
        if (recorder_read_modules(&area, state.run, &modules))
                for (uint32_t i = 0; i < modules.n; i++)
                        MUST(strnlen(modules.modules[i].path, MODULE_PATH_MAX) < MODULE_PATH_MAX);
        try_previous(&area, &state);
        try_history(&state, &history);
        try_writing(&area, &state);
        return 0;
}
