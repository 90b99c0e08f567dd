/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * JSON Documents
 *
 * Each document is parsed back, strictly, and held against the draft: its keys, the
 * types of their values, its vocabulary. Without details nothing of an output, a
 * reason or a version is in it, whatever the state. With 0 and with 100 000 probes it
 * is whole.
 */

#include <errno.h>
#include <glib.h>
#include <json-c/json.h>
#include <locale.h>
#include <math.h>
#include <string.h>

#include "health-fixture.h"
#include "report/json.h"

static const ReportIdentity identity = {
        .service = "orders",
        .unit = "orders.service",
        .version = "2.7.1",
        .hale_version = "0.1.0",
        .invocation_id = "0123456789abcdef0123456789abcdef",
        .started_usec = FIXTURE_NOW,
        .started_realtime_usec = 1795416900000000,
};

static const JsonView open_view = {
        .identity = &identity,
        .realtime_usec = 1795416934123456,
        .details = true,
        .previous_run = "{\"result\":\"watchdog\",\"probe\":\"queue\"}",
};

static const JsonView withheld_view = {
        .identity = &identity,
        .realtime_usec = 1795416934123456,
        .previous_run = "{\"result\":\"secret-run\"}",
};

/* Strictly one document and a newline. */
static json_object *parse(const Text *text) {
        json_tokener *tokener = json_tokener_new_ex(16);
        json_object *document;

        g_assert_cmpint(text->error, ==, 0);
        g_assert_true(g_utf8_validate(text->data, (gssize)text->length, NULL));
        g_assert_cmpint(text->data[text->length - 1], ==, '\n');
        g_assert_true(strchr(text->data, '\n') == text->data + text->length - 1);

        /* json-c 0.18, if it is to be strict, takes all that is not ASCII for control characters.
         */
        json_tokener_set_flags(tokener,
                               JSON_TOKENER_VALIDATE_UTF8 |
                                       (json_c_version_num() >> 8 == 18 ? 0 : JSON_TOKENER_STRICT));
        document = json_tokener_parse_ex(tokener, text->data, (int)text->length);
        g_assert_cmpint(json_tokener_get_error(tokener), ==, json_tokener_success);
        g_assert_true(json_object_is_type(document, json_type_object));
        json_tokener_free(tokener);
        return document;
}

/* "a.b" walks down; "[]" is the first of an array. */
static json_object *at(json_object *object, const char *path) {
        g_auto(GStrv) steps = g_strsplit(path, ".", -1);

        for (char **step = steps; *step; step++)
                object = g_str_equal(*step, "[]") ? json_object_array_get_idx(object, 0)
                                                  : json_object_object_get(object, *step);
        return object;
}

static void expect(json_object *object, const char *path, const char *json) {
        json_object *value = at(object, path);

        g_test_message("%s", path);
        g_assert_cmpstr(value ? json_object_to_json_string_ext(
                                        value,
                                        JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)
                              : NULL,
                        ==, json);
}

static void is_one_of(json_object *object, const char *key, const char *words) {
        json_object *value = json_object_object_get(object, key);
        g_auto(GStrv) list = g_strsplit(words, " ", -1);

        g_assert_true(json_object_is_type(value, json_type_string));
        g_assert_true(g_strv_contains((const gchar *const *)list, json_object_get_string(value)));
}

static void is_type_or_absent(json_object *object, const char *key, json_type type) {
        json_object *value;

        if (json_object_object_get_ex(object, key, &value))
                g_assert_true(json_object_is_type(value, type));
}

static void is_time_or_absent(json_object *object, const char *key) {
        json_object *value;

        if (!json_object_object_get_ex(object, key, &value))
                return;
        g_assert_true(g_regex_match_simple("^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$",
                                           json_object_get_string(value), 0, 0));
}

/* What draft-inadarei-api-health-check-06 says of types and words (sections 3 and 4). */
static void validate_health(json_object *root) {
        json_object *checks = json_object_object_get(root, "checks");

        is_one_of(root, "status", "pass warn fail");
        is_type_or_absent(root, "version", json_type_string);
        is_type_or_absent(root, "releaseId", json_type_string);
        is_type_or_absent(root, "serviceId", json_type_string);
        is_type_or_absent(root, "output", json_type_string);
        is_type_or_absent(root, "notes", json_type_array);
        is_time_or_absent(root, "timestamp");
        if (g_str_equal(json_object_get_string(json_object_object_get(root, "status")), "pass"))
                g_assert_false(json_object_object_get_ex(root, "output", NULL));

        g_assert_true(json_object_is_type(checks, json_type_object));
        json_object_object_foreach(checks, key, array) {
                g_auto(GStrv) parts = g_strsplit(key, ":", -1);

                g_assert_cmpuint(g_strv_length(parts), <=, 2);
                g_assert_true(json_object_is_type(array, json_type_array));
                g_assert_cmpuint(json_object_array_length(array), ==, 1);

                json_object *check = json_object_array_get_idx(array, 0), *value;
                g_assert_cmpstr(json_object_get_string(
                                        json_object_object_get(check, "componentId")),
                                ==, parts[0]);
                is_one_of(check, "componentType", "component datastore system");
                is_one_of(check, "status", "pass warn fail");
                is_one_of(check, "verdict", "pass warn fail unknown");
                is_type_or_absent(check, "observedUnit", json_type_string);
                is_type_or_absent(check, "output", json_type_string);
                is_time_or_absent(check, "time");
                if (json_object_object_get_ex(check, "observedValue", &value))
                        g_assert_true(json_object_is_type(value, json_type_int) ||
                                      json_object_is_type(value, json_type_double));
        }
}

static json_object *health_document(const Health *health, const JsonView *view) {
        Text text = TEXT_INIT;
        json_object *root;

        g_assert_cmpint(json_write_health(&text, health, view), ==, 0);
        root = parse(&text);
        validate_health(root);
        text_done(&text);
        return root;
}

typedef struct World {
        Health health;
        HealthProbe loop, db, disk, memory, extra;
} World;

static void world_init(World *world) {
        health_init(&world->health, FIXTURE_NOW);
        world->health.status_since_realtime_usec = 1795416930000000;
        fixture_add(&world->health, &world->loop, "loop", HALE_GATE_LIVE, HALE_PASS, "fine");
        fixture_add(&world->health, &world->db, "db", HALE_GATE_READY, HALE_PASS, "");
        world->db.type = "postgres";
        world->db.state.policy.pushed = false;
        world->db.state.finished_usec = FIXTURE_NOW;
        world->db.state.duration_usec = 1234;
        fixture_add(&world->health, &world->disk, "disk", HALE_GATE_READY, HALE_WARN,
                    "/var at 91%");
        world->disk.type = "disk";
        world->disk.unit = "%";
        world->disk.value = 91.25;
        fixture_add(&world->health, &world->memory, "memory", 0, HALE_PASS, "");
        world->memory.type = "memory";
        world->memory.unit = "bytes";
        world->memory.value = 123456789012.0;
        fixture_add(&world->health, &world->extra, "extra", 0, HALE_UNKNOWN, "");
        fixture_begin(&world->health);
}

static void test_warning(void) {
        World world;
        json_object *root;

        world_init(&world);
        root = health_document(&world.health, &open_view);
        expect(root, "status", "\"warn\"");
        expect(root, "timestamp", "\"2026-11-23T06:55:34.123Z\"");
        expect(root, "serviceId", "\"orders.service\"");
        expect(root, "version", "\"2\"");
        expect(root, "releaseId", "\"2.7.1\"");
        expect(root, "phase", "\"running\"");
        expect(root, "live", "true");
        expect(root, "ready", "true");
        expect(root, "started", "true");
        expect(root, "notes", "[\"phase: running\"]");
        expect(root, "previousRun.result", "\"watchdog\"");
        g_assert_nonnull(strstr(json_object_get_string(at(root, "output")), "disk: /var at 91%"));

        expect(root, "checks.loop.[].status", "\"pass\"");
        expect(root, "checks.loop.[].output", NULL);
        expect(root, "checks.loop.[].gates", "[\"live\"]");
        expect(root, "checks.db:responseTime.[].observedValue", "1234");
        expect(root, "checks.db:responseTime.[].observedUnit", "\"us\"");
        expect(root, "checks.db:responseTime.[].componentType", "\"datastore\"");
        expect(root, "checks.disk:utilization.[].observedValue", "91.25");
        expect(root, "checks.disk:utilization.[].status", "\"warn\"");
        expect(root, "checks.disk:utilization.[].output", "\"/var at 91%\"");
        expect(root, "checks.memory:value.[].observedValue", "123456789012");
        expect(root, "checks.memory:value.[].gates", "[]");
        expect(root, "checks.extra.[].status", "\"warn\"");
        expect(root, "checks.extra.[].verdict", "\"unknown\"");
        expect(root, "checks.extra.[].time", NULL);
        json_object_put(root);
}

static void test_failure_and_phase(void) {
        World world;
        json_object *root;

        world_init(&world);
        fixture_push(&world.health, &world.db, HALE_FAIL);
        world.db.output = "refused";
        root = health_document(&world.health, &open_view);
        expect(root, "status", "\"fail\"");
        expect(root, "ready", "false");
        expect(root, "output", "\"not ready: db: refused\"");
        expect(root, "checks.db:responseTime.[].status", "\"fail\"");
        expect(root, "checks.db:responseTime.[].failures", "1");
        json_object_put(root);

        world.health.maintenance = true;
        world.health.maintenance_until_usec = USEC_NEVER;
        world.health.maintenance_reason = "ticket 17";
        (void)health_update(&world.health, FIXTURE_NOW, NULL);
        root = health_document(&world.health, &open_view);
        expect(root, "phase", "\"maintenance\"");
        expect(root, "notes", "[\"phase: maintenance\",\"maintenance: ticket 17\"]");
        json_object_put(root);
}

/* Not answered yet: closes ready, so it is a fail; closes nothing or only live: a warning. */
static void test_unknown_words(void) {
        static const struct {
                unsigned gates;
                const char *expected;
        } rows[] = {
                { HALE_GATE_NONE, "\"warn\"" },
                { HALE_GATE_LIVE, "\"warn\"" },
                { HALE_GATE_READY, "\"fail\"" },
                { HALE_GATE_STARTUP, "\"fail\"" },
        };

        for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
                HealthProbe probe;
                Health health;
                json_object *root;

                health_init(&health, FIXTURE_NOW);
                fixture_add(&health, &probe, "x", rows[i].gates, HALE_UNKNOWN, "");
                fixture_begin(&health);
                root = health_document(&health, &open_view);
                expect(root, "checks.x.[].status", rows[i].expected);
                json_object_put(root);
        }
}

static void test_one_probe(void) {
        World world;
        Text text = TEXT_INIT;
        json_object *root;

        world_init(&world);
        g_assert_cmpint(json_write_health_probe(&text, &world.health, &world.disk, &open_view), ==,
                        0);
        root = parse(&text);
        validate_health(root);
        expect(root, "status", "\"warn\"");
        expect(root, "output", "\"/var at 91%\"");
        g_assert_cmpint(json_object_object_length(at(root, "checks")), ==, 1);
        json_object_put(root);
        text_done(&text);
}

static const char *write_any(Text *text, const World *world, guint which, const JsonView *view) {
        static const hale_gate gates[] = { HALE_GATE_NONE, HALE_GATE_LIVE, HALE_GATE_READY };

        text_clear(text);
        if (which == 0)
                g_assert_cmpint(json_write_health(text, &world->health, view), ==, 0);
        else if (which == 1)
                g_assert_cmpint(json_write_health_probe(text, &world->health, &world->disk, view),
                                ==, 0);
        else if (which == 2)
                g_assert_cmpint(json_write_actuator_probe(text, &world->disk, view), ==, 0);
        else
                g_assert_cmpint(json_write_actuator(text, &world->health, gates[which - 3], view),
                                ==, 0);
        json_object_put(parse(text));
        return text->data;
}

static void test_withheld(void) {
        static const char *const secrets[] = { "91%",   "ticket",     "2.7.1",
                                               "0.1.0", "secret-run", "0123456789abcdef" };
        Text text = TEXT_INIT;
        World world;

        world_init(&world);
        world.health.maintenance = true;
        world.health.maintenance_until_usec = USEC_NEVER;
        world.health.maintenance_reason = "ticket 17";
        (void)health_update(&world.health, FIXTURE_NOW, NULL);

        for (guint which = 0; which < 6; which++)
                for (gsize i = 0; i < G_N_ELEMENTS(secrets); i++)
                        g_assert_null(strstr(write_any(&text, &world, which, &withheld_view),
                                             secrets[i]));
        text_done(&text);
}

static void test_actuator(void) {
        Text text = TEXT_INIT;
        json_object *root;
        World world;

        world_init(&world);
        fixture_push(&world.health, &world.memory, HALE_FAIL);
        (void)write_any(&text, &world, 3, &open_view);
        root = parse(&text);
        expect(root, "status", "\"UP\"");
        expect(root, "components.db.status", "\"UP\"");
        expect(root, "components.disk.status", "\"UP\"");
        expect(root, "components.disk.details.verdict", "\"warn\"");
        expect(root, "components.disk.details.output", "\"/var at 91%\"");
        expect(root, "components.memory.status", "\"DOWN\"");
        expect(root, "components.extra.status", "\"UNKNOWN\"");
        expect(root, "groups", "[\"liveness\",\"readiness\"]");
        json_object_put(root);

        g_assert_cmpstr(write_any(&text, &world, 4, &withheld_view), ==,
                        "{\"status\":\"UP\",\"components\":{\"loop\":{\"status\":\"UP\"}}}\n");
        g_assert_cmpstr(write_any(&text, &world, 2, &withheld_view), ==, "{\"status\":\"UP\"}\n");

        fixture_push(&world.health, &world.db, HALE_FAIL);
        root = parse((write_any(&text, &world, 3, &open_view), &text));
        expect(root, "status", "\"DOWN\"");
        json_object_put(root);
        g_assert_cmpstr(
                write_any(&text, &world, 5, &withheld_view), ==,
                "{\"status\":\"OUT_OF_SERVICE\",\"components\":{\"db\":{\"status\":\"DOWN\"},"
                "\"disk\":{\"status\":\"UP\"}}}\n");

        world.health.stopping = true;
        (void)health_update(&world.health, FIXTURE_NOW, NULL);
        root = parse((write_any(&text, &world, 3, &open_view), &text));
        expect(root, "status", "\"OUT_OF_SERVICE\"");
        json_object_put(root);

        fixture_push(&world.health, &world.loop, HALE_FAIL);
        root = parse((write_any(&text, &world, 3, &open_view), &text));
        expect(root, "status", "\"DOWN\"");
        json_object_put(root);
        text_done(&text);
}

static void test_numbers(void) {
        /* clang-format off */
        static const struct {
                double value;
                const char *expected;
        } rows[] = {
                { 0,               "0"                },
                { -0.0,            "0"                },
                { 12,              "12"               },
                { -3,              "-3"               },
                { 0.1,             "0.1"              },
                { 93.7000000001,   "93.7"             },
                { 1e15,            "1000000000000000" },
                { 1e300,           "1e+300"           },
                { 0.000012,        "1.2e-05"          },
                { NAN,             NULL               },
                { INFINITY,        NULL               },
                { -INFINITY,       NULL               },
        };
        /* clang-format on */
        static const char *const locales[] = { "C", "de_DE.UTF-8" };

        /* A decimal comma must not get through, where there is such a locale. */
        for (gsize l = 0; l < G_N_ELEMENTS(locales); l++) {
                if (!setlocale(LC_NUMERIC, locales[l]))
                        continue;
                for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
                        HealthProbe probe;
                        Health health;
                        json_object *root;
                        const char *value = NULL;

                        health_init(&health, FIXTURE_NOW);
                        fixture_add(&health, &probe, "x", 0, HALE_PASS, "");
                        probe.unit = "B";
                        probe.value = rows[i].value;
                        root = health_document(&health, &open_view);
                        if (at(root, "checks.x:value.[].observedValue"))
                                value = json_object_to_json_string(
                                        at(root, "checks.x:value.[].observedValue"));
                        g_assert_cmpstr(value, ==, rows[i].expected);
                        json_object_put(root);
                }
        }
        (void)setlocale(LC_NUMERIC, "C");
}

/* What the program says of itself was not cleaned by anybody. */
static void test_hostile_strings(void) {
        static const char hostile[] = "a\"b\\c/\n\xff\xed\xa0\x80\x01</script>";
        static const char *const no_records[] = { "[1]", "{\"a\":\"\377\"}", "{\"a\":\"\303\"}" };
        ReportIdentity liar = { .service = hostile, .version = hostile, .hale_version = hostile };
        JsonView view = { .identity = &liar, .details = true, .previous_run = "{\"a\":" };
        HealthProbe probe;
        Health health;
        json_object *root;

        health_init(&health, FIXTURE_NOW);
        fixture_add(&health, &probe, "x", HALE_GATE_READY, HALE_FAIL, hostile);
        probe.unit = hostile;
        root = health_document(&health, &view);
        g_assert_true(g_str_has_prefix(json_object_get_string(at(root, "serviceId")), "a\"b\\c/ "));
        expect(root, "previousRun", NULL);
        json_object_put(root);

        for (guint i = 0; i < G_N_ELEMENTS(no_records); i++) {
                view.previous_run = no_records[i];
                root = health_document(&health, &view);
                expect(root, "previousRun", NULL);
                json_object_put(root);
        }

        view.previous_run = "{\"reason\":\"h\303\244ngt\"}";
        root = health_document(&health, &view);
        expect(root, "previousRun.reason", "\"h\303\244ngt\"");
        json_object_put(root);
}

static void test_no_probes(void) {
        Health health;
        json_object *root;

        health_init(&health, FIXTURE_NOW);
        root = health_document(&health, &open_view);
        expect(root, "status", "\"fail\"");
        expect(root, "phase", "\"starting\"");
        expect(root, "checks", "{}");
        json_object_put(root);
}

static void test_many_probes(void) {
        enum {
                N = 100000
        };
        g_autofree HealthProbe *probes = g_new0(HealthProbe, N);
        g_autofree char *names = g_malloc(N * 8);
        Text text = TEXT_INIT, bounded = { .max = 4096 };
        json_object *root;
        Health health;
        gint64 began;

        health_init(&health, FIXTURE_NOW);
        for (guint i = 0; i < N; i++) {
                (void)g_snprintf(names + i * 8, 8, "p%u", i);
                fixture_add(&health, &probes[i], names + i * 8, HALE_GATE_READY, HALE_PASS, "");
        }
        fixture_begin(&health);

        began = g_get_monotonic_time();
        g_assert_cmpint(json_write_health(&text, &health, &open_view), ==, 0);
        g_test_message("100 000 probes: %" G_GINT64_FORMAT " ms, %" G_GSIZE_FORMAT " bytes",
                       (g_get_monotonic_time() - began) / 1000, text.length);
        root = parse(&text);
        g_assert_cmpint(json_object_object_length(at(root, "checks")), ==, N);
        json_object_put(root);

        g_assert_cmpint(json_write_health(&bounded, &health, &open_view), ==, -E2BIG);
        g_assert_cmpuint(bounded.length, <=, 4096);
        text_done(&bounded);
        text_done(&text);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);

        g_test_add_func("/report/json/warning", test_warning);
        g_test_add_func("/report/json/failure-and-phase", test_failure_and_phase);
        g_test_add_func("/report/json/unknown-words", test_unknown_words);
        g_test_add_func("/report/json/one-probe", test_one_probe);
        g_test_add_func("/report/json/withheld", test_withheld);
        g_test_add_func("/report/json/actuator", test_actuator);
        g_test_add_func("/report/json/numbers", test_numbers);
        g_test_add_func("/report/json/hostile-strings", test_hostile_strings);
        g_test_add_func("/report/json/no-probes", test_no_probes);
        g_test_add_func("/report/json/many-probes", test_many_probes);

        return g_test_run();
}
