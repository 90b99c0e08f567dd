/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Kubernetes Text
 *
 * The bodies are those of kube-apiserver, byte for byte. Without excludes the
 * answer is always the health's own, whatever its state; with excludes a closed
 * gate may open for the asker, but never because of an exclude that matched
 * nothing, and never against the phase.
 */

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "base/limits.h"
#include "health-fixture.h"
#include "report/text.h"

#define LIVE HALE_GATE_LIVE
#define READY HALE_GATE_READY

typedef struct World {
        Health health;
        HealthProbe loop, db, cache, disk;
} World;

static void world_init(World *world, hale_status loop, hale_status db, hale_status cache) {
        health_init(&world->health, FIXTURE_NOW);
        fixture_add(&world->health, &world->loop, "loop", LIVE, loop, "late by 7 s");
        fixture_add(&world->health, &world->db, "db", READY, HALE_PASS, "");
        fixture_add(&world->health, &world->cache, "cache", READY, HALE_PASS, "connection refused");
        fixture_add(&world->health, &world->disk, "disk", 0, HALE_FAIL, "full");
        fixture_begin(&world->health);
        g_assert_true(world->health.announced);
        fixture_push(&world->health, &world->db, db);
        fixture_push(&world->health, &world->cache, cache);
}

static void
expect_gate(const Health *health, const TextQuery *query, gboolean pass, const char *body) {
        Text text = TEXT_INIT;

        g_assert_cmpint(text_write_gate(&text, health, query), ==, pass);
        g_assert_cmpint(text.error, ==, 0);
        g_assert_cmpstr(text.data, ==, body);
        text_done(&text);
}

static void test_open(void) {
        World world;

        world_init(&world, HALE_PASS, HALE_PASS, HALE_WARN);
        expect_gate(&world.health, &(TextQuery){ .gate = LIVE }, TRUE, "ok");
        expect_gate(&world.health, &(TextQuery){ .gate = READY }, TRUE, "ok");
        expect_gate(&world.health, &(TextQuery){ .gate = HALE_GATE_STARTUP }, TRUE, "ok");
        expect_gate(&world.health, &(TextQuery){ .gate = LIVE, .verbose = true }, TRUE,
                    "[+]loop ok\nlivez check passed\n");
        expect_gate(&world.health, &(TextQuery){ .gate = READY, .verbose = true }, TRUE,
                    "[+]db ok\n[+]cache ok\nreadyz check passed\n");
        expect_gate(&world.health, &(TextQuery){ .gate = HALE_GATE_STARTUP, .verbose = true }, TRUE,
                    "startupz check passed\n");
}

static void test_closed_by_a_probe(void) {
        World world;

        world_init(&world, HALE_FAIL, HALE_PASS, HALE_FAIL);
        expect_gate(&world.health, &(TextQuery){ .gate = LIVE }, FALSE,
                    "[-]loop failed: reason withheld\nlivez check failed\n");
        expect_gate(&world.health, &(TextQuery){ .gate = READY }, FALSE,
                    "[+]db ok\n[-]cache failed: reason withheld\nreadyz check failed\n");
        expect_gate(&world.health, &(TextQuery){ .gate = READY, .details = true }, FALSE,
                    "[+]db ok\n[-]cache failed: connection refused\nreadyz check failed\n");
}

static void test_excludes(void) {
        static const char *const cache[] = { "cache" };
        static const char *const many[] = { "zebra", "cache", "a\"b\\\n", "zebra", "", "loop" };
        World world;

        world_init(&world, HALE_PASS, HALE_PASS, HALE_FAIL);
        expect_gate(&world.health,
                    &(TextQuery){ .gate = READY, .excludes = cache, .n_excludes = 1 }, TRUE, "ok");
        expect_gate(&world.health,
                    &(TextQuery){
                            .gate = READY, .verbose = true, .excludes = cache, .n_excludes = 1 },
                    TRUE, "[+]db ok\n[+]cache excluded: ok\nreadyz check passed\n");
        expect_gate(&world.health,
                    &(TextQuery){
                            .gate = READY, .verbose = true, .excludes = many, .n_excludes = 6 },
                    TRUE,
                    "[+]db ok\n[+]cache excluded: ok\n"
                    "warn: some health checks cannot be excluded: no matches for "
                    "\"\",\"a\\\"b\\\\ \",\"loop\",\"zebra\"\nreadyz check passed\n");

        fixture_push(&world.health, &world.db, HALE_FAIL);
        expect_gate(&world.health,
                    &(TextQuery){ .gate = READY, .excludes = cache, .n_excludes = 1 }, FALSE,
                    "[-]db failed: reason withheld\n[+]cache excluded: ok\nreadyz check failed\n");
}

static void test_excludes_are_bounded(void) {
        const char *names[EXCLUDES_MAX + 1];
        World world;

        for (gsize i = 0; i < EXCLUDES_MAX; i++)
                names[i] = "nothing";
        names[EXCLUDES_MAX] = "cache";

        world_init(&world, HALE_PASS, HALE_PASS, HALE_FAIL);
        expect_gate(&world.health,
                    &(TextQuery){
                            .gate = READY, .excludes = names, .n_excludes = EXCLUDES_MAX + 1 },
                    FALSE,
                    "[+]db ok\n[-]cache failed: reason withheld\n"
                    "warn: some health checks cannot be excluded: no matches for \"nothing\"\n"
                    "readyz check failed\n");
}

static void test_closed_by_the_phase(void) {
        static const char *const phase[] = { "phase" }, *const db[] = { "db" };
        World world;

        world_init(&world, HALE_PASS, HALE_PASS, HALE_PASS);
        world.health.maintenance = true;
        world.health.maintenance_until_usec = USEC_NEVER;
        world.health.maintenance_reason = "ticket 17";
        (void)health_update(&world.health, FIXTURE_NOW, NULL);
        expect_gate(&world.health, &(TextQuery){ .gate = LIVE }, TRUE, "ok");
        expect_gate(&world.health, &(TextQuery){ .gate = READY }, FALSE,
                    "[+]db ok\n[+]cache ok\n[-]phase failed: maintenance: reason withheld\n"
                    "readyz check failed\n");
        expect_gate(&world.health, &(TextQuery){ .gate = READY, .details = true }, FALSE,
                    "[+]db ok\n[+]cache ok\n[-]phase failed: maintenance: ticket 17\n"
                    "readyz check failed\n");
        expect_gate(&world.health,
                    &(TextQuery){ .gate = READY, .excludes = phase, .n_excludes = 1 }, FALSE,
                    "[+]db ok\n[+]cache ok\n[-]phase failed: maintenance: reason withheld\n"
                    "warn: some health checks cannot be excluded: no matches for \"phase\"\n"
                    "readyz check failed\n");
        expect_gate(&world.health, &(TextQuery){ .gate = READY, .excludes = db, .n_excludes = 1 },
                    FALSE,
                    "[+]db excluded: ok\n[+]cache ok\n"
                    "[-]phase failed: maintenance: reason withheld\nreadyz check failed\n");

        world.health.stopping = true;
        (void)health_update(&world.health, FIXTURE_NOW, NULL);
        expect_gate(&world.health, &(TextQuery){ .gate = READY }, FALSE,
                    "[+]db ok\n[+]cache ok\n[-]phase failed: stopping\nreadyz check failed\n");
}

static void test_start(void) {
        static const char *const db[] = { "db" };
        Health health;
        HealthProbe schema, probe, cache;

        /* Nothing was added yet: closed, and it is said why. */
        health_init(&health, FIXTURE_NOW);
        expect_gate(&health, &(TextQuery){ .gate = LIVE }, TRUE, "ok");
        expect_gate(&health, &(TextQuery){ .gate = READY }, FALSE,
                    "[-]phase failed: starting\nreadyz check failed\n");
        expect_gate(&health, &(TextQuery){ .gate = HALE_GATE_STARTUP }, FALSE,
                    "[-]phase failed: starting\nstartupz check failed\n");

        fixture_add(&health, &schema, "schema", HALE_GATE_STARTUP, HALE_UNKNOWN, "");
        fixture_add(&health, &probe, "db", READY, HALE_UNKNOWN, "");
        fixture_add(&health, &cache, "cache", READY, HALE_PASS, "");
        fixture_begin(&health);
        expect_gate(&health, &(TextQuery){ .gate = HALE_GATE_STARTUP, .details = true }, FALSE,
                    "[-]schema failed: not answered yet\nstartupz check failed\n");
        expect_gate(&health, &(TextQuery){ .gate = READY, .excludes = db, .n_excludes = 1 }, FALSE,
                    "[+]db excluded: ok\n[+]cache ok\n[-]phase failed: starting\n"
                    "readyz check failed\n");

        fixture_push(&health, &schema, HALE_PASS);
        expect_gate(&health, &(TextQuery){ .gate = HALE_GATE_STARTUP }, TRUE, "ok");
        expect_gate(&health, &(TextQuery){ .gate = READY }, FALSE,
                    "[-]db failed: reason withheld\n[+]cache ok\n[-]phase failed: starting\n"
                    "readyz check failed\n");
        expect_gate(&health, &(TextQuery){ .gate = READY, .excludes = db, .n_excludes = 1 }, TRUE,
                    "ok");

        fixture_push(&health, &probe, HALE_PASS);
        expect_gate(&health, &(TextQuery){ .gate = READY }, TRUE, "ok");
}

static void test_one_probe(void) {
        static const struct {
                const char *rehearsal;
                gboolean open, verbose, details;
                const char *body;
        } rows[] = {
                { NULL, TRUE, FALSE, FALSE, "ok" },
                { NULL, TRUE, FALSE, TRUE, "ok" },
                { NULL, FALSE, FALSE, FALSE, "cache failed: reason withheld\n" },
                { NULL, FALSE, FALSE, TRUE, "cache failed: connection refused\n" },
                { NULL, TRUE, TRUE, FALSE, "[+]cache ok\nreadyz check passed\n" },
                { NULL, TRUE, TRUE, TRUE,
                  "[+]cache ok: connection refused\nreadyz check passed\n" },
                { NULL, FALSE, TRUE, FALSE,
                  "[-]cache failed: reason withheld\nreadyz check failed\n" },
                { NULL, FALSE, TRUE, TRUE,
                  "[-]cache failed: connection refused\nreadyz check failed\n" },
                { "cut-link db", TRUE, FALSE, FALSE, "ok" },
                { "cut-link db", FALSE, FALSE, FALSE,
                  "cache failed: reason withheld\nREHEARSAL: cut-link db\n" },
                { "cut-link db", TRUE, TRUE, FALSE,
                  "[+]cache ok\nREHEARSAL: cut-link db\nreadyz check passed\n" },
        };
        World world;

        world_init(&world, HALE_PASS, HALE_PASS, HALE_FAIL);
        for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
                const TextQuery query = {
                        .gate = READY,
                        .verbose = rows[i].verbose,
                        .details = rows[i].details,
                };
                Text text = TEXT_INIT;

                world.health.rehearsal = rows[i].rehearsal;
                text_write_probe(&text, &world.health, &world.cache, &query, rows[i].open);
                g_assert_cmpint(text.error, ==, 0);
                g_assert_cmpstr(text.data, ==, rows[i].body);
                text_done(&text);
        }
}

static void test_room_runs_out(void) {
        World world;
        Text text = { .max = 20 };

        world_init(&world, HALE_PASS, HALE_PASS, HALE_FAIL);
        g_assert_false(text_write_gate(&text, &world.health, &(TextQuery){ .gate = READY }));
        g_assert_cmpint(text.error, ==, -E2BIG);
        text_done(&text);
}

static hale_status random_status(void) {
        return (hale_status)g_test_rand_int_range(HALE_UNKNOWN, HALE_FAIL + 1);
}

/* Whatever the state: the answer is the health's, a closed gate has a line that says why, and an
 * open one has none. */
static void test_agrees_with_the_health(void) {
        static const hale_gate gates[] = { LIVE, READY, HALE_GATE_STARTUP };
        static const char *const none[] = { "no-such-probe" };

        for (guint round = 0; round < 3000; round++) {
                HealthProbe probes[4];
                Health health;

                health_init(&health, FIXTURE_NOW);
                for (gsize i = 0; i < G_N_ELEMENTS(probes); i++)
                        fixture_add(&health, &probes[i], "probe",
                                    (unsigned)g_test_rand_int_range(0, 8), random_status(), "");
                if (g_test_rand_bit())
                        fixture_begin(&health);
                for (gsize i = 0; i < G_N_ELEMENTS(probes); i++)
                        if (g_test_rand_bit())
                                fixture_push(&health, &probes[i], random_status());
                health.maintenance = g_test_rand_int_range(0, 4) == 0;
                health.maintenance_until_usec = USEC_NEVER;
                health.stopping = g_test_rand_int_range(0, 4) == 0;
                (void)health_update(&health, FIXTURE_NOW, NULL);

                const gboolean open[] = { health.summary.live, health.summary.ready,
                                          health.summary.started };
                for (gsize i = 0; i < G_N_ELEMENTS(gates); i++) {
                        TextQuery query = { .gate = gates[i],
                                            .verbose = g_test_rand_bit(),
                                            .excludes = none,
                                            .n_excludes = g_test_rand_bit() ? 1 : 0 };
                        Text text = TEXT_INIT;

                        g_assert_cmpint(text_write_gate(&text, &health, &query), ==, open[i]);
                        g_assert_cmpint(!open[i], ==, !!strstr(text.data, "check failed\n"));
                        if (!open[i])
                                g_assert_nonnull(strstr(text.data, "[-]"));
                        else if (gates[i] != HALE_GATE_STARTUP)
                                g_assert_null(strstr(text.data, "[-]"));
                        text_done(&text);
                }
        }
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);

        g_test_add_func("/report/text/open", test_open);
        g_test_add_func("/report/text/closed-by-a-probe", test_closed_by_a_probe);
        g_test_add_func("/report/text/excludes", test_excludes);
        g_test_add_func("/report/text/excludes-are-bounded", test_excludes_are_bounded);
        g_test_add_func("/report/text/closed-by-the-phase", test_closed_by_the_phase);
        g_test_add_func("/report/text/start", test_start);
        g_test_add_func("/report/text/one-probe", test_one_probe);
        g_test_add_func("/report/text/room-runs-out", test_room_runs_out);
        g_test_add_func("/report/text/agrees-with-the-health", test_agrees_with_the_health);

        return g_test_run();
}
