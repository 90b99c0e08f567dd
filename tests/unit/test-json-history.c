/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The history as JSON: newest first, valid whatever is in it, and without details when
 * they are withheld.
 */

#include <json-c/json.h>
#include <signal.h>

#include "health-fixture.h"
#include "recorder-fixture.h"
#include "report/json-history.h"

static const ReportIdentity identity = { .service = SERVICE, .unit = "subject.service" };

static json_object *parse(const Text *text) {
        json_object *document;

        g_assert_cmpint(text->error, ==, 0);
        document = json_tokener_parse(text->data);
        if (!document)
                g_error("not JSON: %s", text->data);
        return document;
}

static const char *string_of(json_object *object, const char *key) {
        json_object *value = NULL;

        return json_object_object_get_ex(object, key, &value) ? json_object_get_string(value)
                                                              : NULL;
}

static json_object *member(json_object *object, const char *key) {
        json_object *value = NULL;

        g_assert_true(json_object_object_get_ex(object, key, &value));
        return value;
}

static json_object *
document_of(const RecorderEntry *entries, guint n, gboolean details, const char *previous) {
        const RecorderState state = { .run = 4, .n_restarts = 3, .lag_max_usec = 1234 };
        const HistoryView history = { .state = &state, .entries = entries, .n_entries = n };
        const JsonView view = {
                .identity = &identity,
                .realtime_usec = 1700000000000000,
                .details = details,
                .previous_run = previous,
        };
        Text text = TEXT_INIT;
        json_object *document;
        Health health;

        health_init(&health, 0);
        health.maintenance = true;
        health.maintenance_reason = "new disk";
        health.rehearsal = "cut-link db";
        g_assert_cmpint(json_write_history(&text, &health, &history, &view), ==, 0);
        document = parse(&text);
        text_done(&text);
        return document;
}

static void test_history(void) {
        RecorderEntry entries[] = {
                entry_of(2000000, "db", "connection refused"),
                { .kind = RECORD_STALL, .run = 1, .realtime_usec = 1, .value = 350000 },
                { .kind = RECORD_SKIPPED, .run = 1, .realtime_usec = 1, .value = 17 },
        };
        json_object *document, *history, *event;

        document = document_of(entries, G_N_ELEMENTS(entries), TRUE, "{\"result\":\"killed\"}");
        g_assert_cmpstr(string_of(document, "serviceId"), ==, "subject.service");
        g_assert_cmpstr(string_of(document, "status"), ==, "fail");
        g_assert_cmpstr(string_of(document, "restarts"), ==, "3");
        g_assert_cmpstr(string_of(document, "lagMaxUsec"), ==, "1234");
        g_assert_cmpstr(string_of(document, "maintenanceReason"), ==, "new disk");
        g_assert_cmpstr(string_of(document, "rehearsal"), ==, "cut-link db");
        g_assert_cmpstr(string_of(member(document, "previousRun"), "result"), ==, "killed");

        history = member(document, "history");
        g_assert_cmpuint(json_object_array_length(history), ==, 3);
        event = json_object_array_get_idx(history, 0);
        g_assert_cmpstr(string_of(event, "event"), ==, "probe");
        g_assert_cmpstr(string_of(event, "name"), ==, "db");
        g_assert_cmpstr(string_of(event, "from"), ==, "pass");
        g_assert_cmpstr(string_of(event, "to"), ==, "fail");
        g_assert_cmpstr(string_of(event, "text"), ==, "connection refused");
        g_assert_cmpstr(string_of(event, "time"), ==, "2023-11-14T22:13:22.000Z");
        g_assert_null(string_of(event, "usec"));
        event = json_object_array_get_idx(history, 1);
        g_assert_cmpstr(string_of(event, "usec"), ==, "350000");
        g_assert_null(string_of(event, "from"));
        event = json_object_array_get_idx(history, 2);
        g_assert_cmpstr(string_of(event, "number"), ==, "17");
        (void)json_object_put(document);
}

static void test_withheld(void) {
        RecorderEntry entries[] = { entry_of(2, "db", "password=hidden") };
        json_object *document = document_of(entries, 1, FALSE, "{\"result\":\"killed\"}");
        json_object *event = json_object_array_get_idx(member(document, "history"), 0);

        g_assert_null(string_of(document, "previousRun"));
        g_assert_null(string_of(document, "output"));
        g_assert_null(string_of(document, "maintenanceReason"));
        g_assert_null(string_of(event, "text"));
        g_assert_cmpstr(string_of(event, "to"), ==, "fail");
        (void)json_object_put(document);
}

/* What is broken on purpose is not taken for an outage, whatever is looked at. */
static void test_rehearsal(void) {
        const JsonView view = { .identity = &identity };
        Text texts[4] = { TEXT_INIT, TEXT_INIT, TEXT_INIT, TEXT_INIT };
        Health health;
        HealthProbe probe;

        health_init(&health, FIXTURE_NOW);
        fixture_add(&health, &probe, "db", HALE_GATE_READY, HALE_FAIL, "refused");
        health.rehearsal = "cut-link db";
        g_assert_cmpint(json_write_health(&texts[0], &health, &view), ==, 0);
        g_assert_cmpint(json_write_health_probe(&texts[1], &health, &probe, &view), ==, 0);
        g_assert_cmpint(json_write_actuator(&texts[2], &health, HALE_GATE_NONE, &view), ==, 0);
        g_assert_cmpint(json_write_actuator(&texts[3], &health, HALE_GATE_READY, &view), ==, 0);
        for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
                json_object *document = parse(&texts[i]);

                g_assert_cmpstr(string_of(document, "rehearsal"), ==, "cut-link db");
                (void)json_object_put(document);
                text_done(&texts[i]);
        }
}

static void test_full_ring(void) {
        RecorderEntry entries[RECORDER_ENTRIES_MAX];
        json_object *document;

        for (guint i = 0; i < RECORDER_ENTRIES_MAX; i++)
                entries[i] = entry_of(i, "quote-\"-me", "back\\slash \"quoted\" \xc3\xa4");
        document = document_of(entries, RECORDER_ENTRIES_MAX, TRUE, NULL);
        g_assert_cmpuint(json_object_array_length(member(document, "history")), ==,
                         RECORDER_ENTRIES_MAX);
        (void)json_object_put(document);
        document = document_of(NULL, 0, TRUE, NULL);
        g_assert_cmpuint(json_object_array_length(member(document, "history")), ==, 0);
        (void)json_object_put(document);
}

static void test_bound(void) {
        const RecorderState state = {};
        RecorderEntry entries[RECORDER_ENTRIES_MAX] = {};
        const HistoryView history = { &state, entries, RECORDER_ENTRIES_MAX };
        const JsonView view = { .identity = &identity };
        Text text = { .max = 1000 };
        Health health;

        health_init(&health, 0);
        g_assert_cmpint(json_write_history(&text, &health, &history, &view), ==, -E2BIG);
        text_done(&text);
}

static void test_previous_run(void) {
        PreviousRun *previous = g_new0(PreviousRun, 1);
        Text text = TEXT_INIT;
        json_object *document;

        previous->end = RUN_END_WATCHDOG;
        previous->run = 6;
        previous->n_restarts = 2;
        previous->signal = SIGABRT;
        previous->stalled_usec = 350000;
        g_strlcpy(previous->function, "check_engine+0x12", sizeof(previous->function));
        g_strlcpy(previous->stack, "pause+0x1 (libc)\ncheck_engine+0x12 (demo+0x1)",
                  sizeof(previous->stack));
        g_assert_cmpint(json_write_previous_run(&text, previous, "it \"hung\""), ==, 0);
        document = parse(&text);
        g_assert_cmpstr(string_of(document, "result"), ==, "watchdog");
        g_assert_cmpstr(string_of(document, "reason"), ==, "it \"hung\"");
        g_assert_cmpstr(string_of(document, "signal"), ==, "SIGABRT");
        g_assert_cmpstr(string_of(document, "function"), ==, "check_engine+0x12");
        g_assert_cmpuint(json_object_array_length(member(document, "stack")), ==, 2);
        g_assert_null(string_of(document, "probe"));
        (void)json_object_put(document);

        text_clear(&text);
        *previous = (PreviousRun){ .end = RUN_END_STOPPED };
        g_assert_cmpint(json_write_previous_run(&text, previous, "x"), ==, 0);
        document = parse(&text);
        g_assert_null(string_of(document, "signal"));
        g_assert_null(string_of(document, "stack"));
        (void)json_object_put(document);
        text_done(&text);
        g_free(previous);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/report/json/history", test_history);
        g_test_add_func("/report/json/history/withheld", test_withheld);
        g_test_add_func("/report/json/rehearsal", test_rehearsal);
        g_test_add_func("/report/json/history/full-ring", test_full_ring);
        g_test_add_func("/report/json/history/bound", test_bound);
        g_test_add_func("/report/json/previous-run", test_previous_run);
        return g_test_run();
}
