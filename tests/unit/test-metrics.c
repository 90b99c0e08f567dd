/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The document of metrics, parsed back strictly: both formats say the same, every
 * family that is promised is there, what is shown is what was counted, no output is
 * ever in it, and with too many probes it stays within its bound and shows the worst.
 */

#include <errno.h>
#include <glib.h>

#include "base/limits.h"
#include "health-fixture.h"
#include "metrics-fixture.h"
#include "report/metrics.h"

#define OFFSET 1795416000000000

typedef struct World {
        Health health;
        HealthProbe probes[4];
        Histogram durations, lag, page;
        Gate gate;
        MetricsHttp http;
        MetricsView view;
} World;

static const MetricsRequests requests[] = {
        { .page = "livez", .status = 200, .n = 12 },
        { .page = "readyz", .status = 503, .n = 3 },
        { .page = "refused", .status = 405, .n = 1 },
};

static const char *const exit_words[] = { "success", "oom" };
static const uint64_t exits[][2] = { { 1, 2 }, { 0, 6 } };

static const MetricsWorker workers[] = {
        { .name = "mailer",
          .state = HALE_WORKER_RUNNING,
          .n_restarts = 2,
          .n_hangs = 1,
          .n_exits = exits[0],
          .started_realtime_usec = OFFSET },
        { .name = "sweeper", .state = HALE_WORKER_FAILED, .n_exits = exits[1] },
};

static const MetricsLink links[] = {
        { .name = "db",
          .status = LINK_UP,
          .n_attempts = 9,
          .n_connections = 2,
          .n_losses = 1,
          .since_realtime_usec = OFFSET },
        { .name = "cache", .status = LINK_DOWN, .breaker = BREAKER_OPEN, .n_attempts = 5 },
};

static const Rung rung = {
        .n_outcomes = { [RUNG_HEALED] = 4, [RUNG_TIMEOUT] = 2 },
        .n_refused_budget = 3,
};

static const MetricsRemedy remedies[] = {
        { .probe = "memory", .name = "trim", .rung = &rung },
};

static const MetricsPressure pressures[] = { { .resource = "memory", .n_events = 6 } };

static void world_init(World *world) {
        static const MetricsPage page_names[] = { { .name = "livez" } };
        static MetricsPage pages[1];
        const GateConfig config = { .watchdog_usec = 30 * USEC_PER_SEC, .managed = true };

        *world = (World){};
        health_init(&world->health, FIXTURE_NOW);
        fixture_add(&world->health, &world->probes[0], "queue", HALE_GATE_READY, HALE_PASS, "p4ss");
        fixture_add(&world->health, &world->probes[1], "disk", 0, HALE_FAIL, "s3cret");
        fixture_add(&world->health, &world->probes[2], "loop", HALE_GATE_LIVE, HALE_WARN, "w4rn");
        fixture_add(&world->health, &world->probes[3], "new", 0, HALE_UNKNOWN, "");
        fixture_begin(&world->health);

        histogram_note(&world->durations, 2000);
        histogram_note(&world->lag, 100);
        histogram_note(&world->page, 0);
        world->probes[0].durations = &world->durations;
        world->probes[0].state.policy.pushed = false;
        world->probes[0].state.n_results[HALE_FAIL] = 5;
        world->probes[0].state.n_timeouts = 2;

        gate_init(&world->gate, &config, FIXTURE_NOW);
        (void)gate_step(&world->gate, true, false, FIXTURE_NOW);
        pages[0] = page_names[0];
        pages[0].durations = &world->page;
        world->http = (MetricsHttp){
                .n_connections = 3,
                .requests = requests,
                .n_requests = G_N_ELEMENTS(requests),
                .pages = pages,
                .n_pages = 1,
        };
        world->view = (MetricsView){
                .identity = { .service = "orders",
                              .unit = "a\\x2db.service",
                              .invocation_id = "0123",
                              .hale_version = "1.2",
                              .systemd_version = "252" },
                .realtime_usec = OFFSET,
                .health = &world->health,
                .gate = &world->gate,
                .loop_lag = &world->lag,
                .n_notify_sent = 17,
                .n_notify_failed = 1,
                .http = &world->http,
                .pool = { .n_running = 1, .n_stuck = 2, .n_stuck_total = 4 },
                .process = { .cpu_usec = 1500000,
                             .open_fds = 11,
                             .max_fds = METRICS_INFINITE,
                             .virtual_bytes = 1 << 20,
                             .virtual_max_bytes = METRICS_INFINITE,
                             .resident_bytes = 4096,
                             .heap_bytes = 2048,
                             .start_realtime_usec = OFFSET,
                             .n_threads = 3 },
                .recorder = { .n_restarts = 2, .n_fds = 1, .previous_run = "watchdog" },
                .workers = workers,
                .n_workers = G_N_ELEMENTS(workers),
                .exit_words = exit_words,
                .n_exit_words = G_N_ELEMENTS(exit_words),
                .links = links,
                .n_links = G_N_ELEMENTS(links),
                .remedies = remedies,
                .n_remedies = G_N_ELEMENTS(remedies),
                .pressures = pressures,
                .n_pressures = G_N_ELEMENTS(pressures),
        };
}

static void write_and_parse(World *world, gboolean openmetrics, Scrape *scrape) {
        Text text = { .max = HTTP_DOCUMENT_MAX };

        world->view.openmetrics = openmetrics;
        g_assert_cmpint(metrics_write(&text, &world->view), ==, 0);
        scrape_parse(scrape, &text, openmetrics);
        g_assert_null(strstr(text.data, "p4ss"));
        g_assert_null(strstr(text.data, "s3cret"));
        g_assert_null(strstr(text.data, "w4rn"));
        text_done(&text);
}

/* clang-format off */
static const struct {
        const char *family, *type; /* as OpenMetrics has them */
} families[] = {
        { "hale_build",                                "info"      },
        { "hale_service",                              "info"      },
        { "hale_health_status",                        "stateset"  },
        { "hale_live",                                 "gauge"     },
        { "hale_ready",                                "gauge"     },
        { "hale_maintenance",                          "gauge"     },
        { "hale_rehearsal",                            "gauge"     },
        { "hale_status_transitions",                   "counter"   },
        { "hale_probe_status",                         "stateset"  },
        { "hale_probe_runs",                           "counter"   },
        { "hale_probe_duration_seconds",               "histogram" },
        { "hale_probe_last_run_timestamp_seconds",     "gauge"     },
        { "hale_probe_last_success_timestamp_seconds", "gauge"     },
        { "hale_probe_consecutive_failures",           "gauge"     },
        { "hale_probe_interval_seconds",               "gauge"     },
        { "hale_probe_timeout_seconds",                "gauge"     },
        { "hale_watchdog_enabled",                     "gauge"     },
        { "hale_watchdog_gate_open",                   "gauge"     },
        { "hale_watchdog_timeout_seconds",             "gauge"     },
        { "hale_watchdog_last_ping_timestamp_seconds", "gauge"     },
        { "hale_watchdog_pings",                       "counter"   },
        { "hale_watchdog_withheld",                    "counter"   },
        { "hale_watchdog_triggers",                    "counter"   },
        { "hale_event_loop_lag_seconds",               "histogram" },
        { "hale_restarts",                             "gauge"     },
        { "hale_notify_messages",                      "counter"   },
        { "hale_notify_errors",                        "counter"   },
        { "hale_http_requests",                        "counter"   },
        { "hale_http_request_duration_seconds",        "histogram" },
        { "hale_http_connections",                     "gauge"     },
        { "hale_dns_workers_busy",                     "gauge"     },
        { "hale_fdstore_fds",                          "gauge"     },
        { "hale_pressure_events",                      "counter"   },
        { "hale_worker_state",                         "stateset"  },
        { "hale_worker_restarts",                      "counter"   },
        { "hale_worker_hangs",                         "counter"   },
        { "hale_worker_exits",                         "counter"   },
        { "hale_worker_start_timestamp_seconds",       "gauge"     },
        { "hale_link_state",                           "stateset"  },
        { "hale_link_breaker",                         "stateset"  },
        { "hale_link_attempts",                        "counter"   },
        { "hale_link_connections",                     "counter"   },
        { "hale_link_losses",                          "counter"   },
        { "hale_link_state_timestamp_seconds",         "gauge"     },
        { "hale_remedy_runs",                          "counter"   },
        { "hale_remedy_refusals",                      "counter"   },
        { "hale_previous_run",                         "info"      },
        { "hale_probes",                               "gauge"     },
        { "hale_metrics_truncated",                    "gauge"     },
        { "hale_pool_queued",                          "gauge"     },
        { "hale_pool_stuck",                           "gauge"     },
        { "hale_pool_abandoned",                       "counter"   },
        { "process_cpu_seconds",                       "counter"   },
        { "process_open_fds",                          "gauge"     },
        { "process_max_fds",                           "gauge"     },
        { "process_virtual_memory_bytes",              "gauge"     },
        { "process_virtual_memory_max_bytes",          "gauge"     },
        { "process_resident_memory_bytes",             "gauge"     },
        { "process_heap_bytes",                        "gauge"     },
        { "process_start_time_seconds",                "gauge"     },
        { "process_threads",                           "gauge"     },
};

static const struct {
        const char *series, *value;
} values[] = {
        { "hale_build_info{version=\"1.2\",libsystemd=\"252\"}", "1" },
        { "hale_service_info{service=\"orders\",unit=\"a\\\\x2db.service\",invocation_id=\"0123\"}", "1" },
        { "hale_health_status{hale_health_status=\"warn\"}", "1" },
        { "hale_health_status{hale_health_status=\"pass\"}", "0" },
        { "hale_live", "1" },
        { "hale_ready", "1" },
        { "hale_maintenance", "0" },
        { "hale_rehearsal", "0" },
        { "hale_status_transitions_total{from=\"fail\",to=\"warn\"}", "1" },
        { "hale_watchdog_enabled", "1" },
        { "hale_watchdog_gate_open", "1" },
        { "hale_watchdog_timeout_seconds", "30" },
        { "hale_watchdog_last_ping_timestamp_seconds", "1795417000" },
        { "hale_watchdog_pings_total", "1" },
        { "hale_event_loop_lag_seconds_bucket{le=\"0.001\"}", "1" },
        { "hale_event_loop_lag_seconds_sum", "0.0001" },
        { "hale_notify_messages_total", "17" },
        { "hale_notify_errors_total", "1" },
        { "hale_http_connections", "3" },
        { "hale_http_requests_total{code=\"503\",handler=\"readyz\"}", "3" },
        { "hale_http_requests_total{code=\"405\",handler=\"refused\"}", "1" },
        { "hale_http_request_duration_seconds_count{handler=\"livez\"}", "1" },
        { "hale_dns_workers_busy", "1" },
        { "hale_pool_stuck", "2" },
        { "hale_pool_abandoned_total", "4" },
        { "hale_pressure_events_total{resource=\"memory\"}", "6" },
        { "hale_restarts", "2" },
        { "hale_fdstore_fds", "1" },
        { "hale_previous_run_info{result=\"watchdog\"}", "1" },
        { "hale_worker_state{worker=\"mailer\",hale_worker_state=\"running\"}", "1" },
        { "hale_worker_state{worker=\"sweeper\",hale_worker_state=\"failed\"}", "1" },
        { "hale_worker_state{worker=\"sweeper\",hale_worker_state=\"running\"}", "0" },
        { "hale_worker_restarts_total{worker=\"mailer\"}", "2" },
        { "hale_worker_hangs_total{worker=\"mailer\"}", "1" },
        { "hale_worker_exits_total{worker=\"mailer\",reason=\"success\"}", "1" },
        { "hale_worker_exits_total{worker=\"mailer\",reason=\"oom\"}", "2" },
        { "hale_worker_exits_total{worker=\"sweeper\",reason=\"oom\"}", "6" },
        { "hale_worker_start_timestamp_seconds{worker=\"mailer\"}", "1795416000" },
        { "hale_link_state{link=\"db\",hale_link_state=\"up\"}", "1" },
        { "hale_link_breaker{link=\"cache\",hale_link_breaker=\"open\"}", "1" },
        { "hale_link_attempts_total{link=\"cache\"}", "5" },
        { "hale_link_connections_total{link=\"db\"}", "2" },
        { "hale_link_losses_total{link=\"db\"}", "1" },
        { "hale_link_state_timestamp_seconds{link=\"db\"}", "1795416000" },
        { "hale_remedy_runs_total{probe=\"memory\",remedy=\"trim\",result=\"healed\"}", "4" },
        { "hale_remedy_runs_total{probe=\"memory\",remedy=\"trim\",result=\"timeout\"}", "2" },
        { "hale_remedy_refusals_total{probe=\"memory\",remedy=\"trim\",reason=\"budget\"}", "3" },
        { "hale_remedy_refusals_total{probe=\"memory\",remedy=\"trim\",reason=\"cooldown\"}", "0" },
        { "process_cpu_seconds_total", "1.5" },
        { "process_max_fds", "+Inf" },
        { "process_resident_memory_bytes", "4096" },
        { "process_start_time_seconds", "1795416000" },
        { "hale_probes{verdict=\"fail\"}", "1" },
        { "hale_probes{verdict=\"unknown\"}", "1" },
        { "hale_metrics_truncated", "0" },
        { "hale_probe_status{probe=\"disk\",hale_probe_status=\"fail\"}", "1" },
        { "hale_probe_status{probe=\"disk\",hale_probe_status=\"unknown\"}", "0" },
        { "hale_probe_status{probe=\"new\",hale_probe_status=\"unknown\"}", "1" },
        { "hale_probe_runs_total{probe=\"queue\",result=\"pass\"}", "1" },
        { "hale_probe_runs_total{probe=\"queue\",result=\"fail\"}", "3" },
        { "hale_probe_runs_total{probe=\"queue\",result=\"timeout\"}", "2" },
        { "hale_probe_runs_total{probe=\"queue\",result=\"error\"}", "0" },
        { "hale_probe_duration_seconds_bucket{probe=\"queue\",le=\"0.001\"}", "0" },
        { "hale_probe_duration_seconds_bucket{probe=\"queue\",le=\"0.003\"}", "1" },
        { "hale_probe_duration_seconds_sum{probe=\"queue\"}", "0.002" },
        { "hale_probe_last_run_timestamp_seconds{probe=\"disk\"}", "1795416934.123456" },
        { "hale_probe_last_success_timestamp_seconds{probe=\"queue\"}", "1795416934.123456" },
        { "hale_probe_consecutive_failures{probe=\"disk\"}", "1" },
};

/* What is not known is left out, rather than told as 0. */
static const char *const absent[] = {
        "hale_worker_start_timestamp_seconds{worker=\"sweeper\"}",
        "hale_link_state_timestamp_seconds{link=\"cache\"}",
        "hale_probe_duration_seconds_count{probe=\"disk\"}",
        "hale_probe_timeout_seconds{probe=\"disk\"}",
        "hale_probe_last_run_timestamp_seconds{probe=\"new\"}",
        "hale_probe_last_success_timestamp_seconds{probe=\"disk\"}",
        "hale_status_transitions_total{from=\"pass\",to=\"pass\"}",
        "hale_status_transitions_total{from=\"unknown\",to=\"pass\"}",
};
/* clang-format on */

static void test_families(void) {
        Scrape scrape;
        World world;

        world_init(&world);
        write_and_parse(&world, TRUE, &scrape);
        for (size_t i = 0; i < G_N_ELEMENTS(families); i++) {
                const char *name = families[i].family;
                gboolean timed = g_str_has_suffix(name, "_seconds");

                g_assert_cmpstr(g_hash_table_lookup(scrape.families, name), ==, families[i].type);
                g_assert_cmpstr(g_hash_table_lookup(scrape.units, name), ==,
                                timed                              ? "seconds"
                                : g_str_has_suffix(name, "_bytes") ? "bytes"
                                                                   : NULL);
        }
        g_assert_cmpuint(g_hash_table_size(scrape.families), ==, G_N_ELEMENTS(families));
        scrape_done(&scrape);
}

static void test_values(void) {
        for (int openmetrics = FALSE; openmetrics <= TRUE; openmetrics++) {
                Scrape scrape;
                World world;

                world_init(&world);
                write_and_parse(&world, openmetrics, &scrape);
                for (size_t i = 0; i < G_N_ELEMENTS(values); i++)
                        g_assert_cmpstr(scrape_value(&scrape, values[i].series), ==,
                                        values[i].value);
                for (size_t i = 0; i < G_N_ELEMENTS(absent); i++)
                        g_assert_false(g_hash_table_contains(scrape.samples, absent[i]));
                scrape_done(&scrape);
        }
}

static void test_formats_agree(void) {
        Scrape prometheus, openmetrics;
        GHashTableIter iter;
        gpointer series, value;
        World world;

        world_init(&world);
        write_and_parse(&world, FALSE, &prometheus);
        write_and_parse(&world, TRUE, &openmetrics);

        g_assert_cmpuint(prometheus.n_samples, ==, openmetrics.n_samples);
        g_hash_table_iter_init(&iter, prometheus.samples);
        while (g_hash_table_iter_next(&iter, &series, &value))
                g_assert_cmpstr(scrape_value(&openmetrics, series), ==, value);

        scrape_done(&prometheus);
        scrape_done(&openmetrics);
}

/* A service that has nothing: not a probe, no watchdog, no HTTP, no /proc. */
static void test_bare(void) {
        const MetricsProcess unknown = {
                .open_fds = METRICS_UNKNOWN,
                .max_fds = METRICS_UNKNOWN,
                .virtual_bytes = METRICS_UNKNOWN,
                .virtual_max_bytes = METRICS_UNKNOWN,
                .resident_bytes = METRICS_UNKNOWN,
                .heap_bytes = METRICS_UNKNOWN,
                .start_realtime_usec = METRICS_UNKNOWN,
                .n_threads = METRICS_UNKNOWN,
        };

        for (int openmetrics = FALSE; openmetrics <= TRUE; openmetrics++) {
                World world = {};
                Scrape scrape;

                health_init(&world.health, FIXTURE_NOW);
                gate_init(&world.gate, &(GateConfig){}, FIXTURE_NOW);
                world.view = (MetricsView){
                        .health = &world.health,
                        .gate = &world.gate,
                        .loop_lag = &world.lag,
                        .process = unknown,
                        .recorder = METRICS_RECORDER_UNKNOWN,
                };
                write_and_parse(&world, openmetrics, &scrape);
                g_assert_cmpstr(scrape_value(&scrape, "hale_build_info"), ==, "1");
                g_assert_cmpstr(scrape_value(&scrape, "hale_ready"), ==, "0");
                g_assert_cmpstr(scrape_value(&scrape, "hale_watchdog_enabled"), ==, "0");
                g_assert_false(g_hash_table_contains(scrape.families, "process_open_fds"));
                g_assert_false(g_hash_table_contains(scrape.families, "hale_restarts"));
                g_assert_false(g_hash_table_contains(scrape.families, "hale_probe_status"));
                scrape_done(&scrape);
        }
}

#define MANY 100000

static void test_bound(void) {
        g_autofree HealthProbe *probes = g_new0(HealthProbe, MANY);
        g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
        guint n_shown = 0, n_bad = 0;
        char series[128];
        Scrape scrape;
        World world;

        world_init(&world);
        for (guint i = 0; i < MANY; i++) {
                hale_status status = g_test_rand_int_range(0, 100) != 0 ? HALE_PASS
                                     : g_test_rand_bit()                ? HALE_FAIL
                                                                        : HALE_WARN;

                g_ptr_array_add(names, g_strdup_printf("p%u", i));
                fixture_add(&world.health, &probes[i], g_ptr_array_index(names, i), 0, status, "");
                probes[i].durations = &world.durations;
                probes[i].state.policy.pushed = false;
                n_bad += status != HALE_PASS;
        }

        write_and_parse(&world, TRUE, &scrape);
        g_assert_cmpuint(scrape.n_samples, <=, METRICS_LINES_MAX);
        /* One that never passed has a sample less than was reckoned with. */
        g_assert_cmpuint(scrape.n_samples, >, METRICS_LINES_MAX - 100 - n_bad);
        g_assert_cmpuint(n_bad, <, 1500);

        /* All that are not well are there; of the others the first. */
        for (guint i = 0; i < MANY; i++) {
                gboolean shown;

                g_snprintf(series, sizeof(series),
                           "hale_probe_status{probe=\"p%u\",hale_probe_status=\"%s\"}", i,
                           hale_status_to_string(probes[i].state.verdict));
                shown = g_hash_table_contains(scrape.samples, series);
                n_shown += shown;
                if (probes[i].state.verdict != HALE_PASS)
                        g_assert_true(shown);
        }
        g_assert_cmpuint(n_shown, >, 1500);
        g_snprintf(series, sizeof(series), "%u", MANY - n_shown);
        g_assert_cmpstr(scrape_value(&scrape, "hale_metrics_truncated"), ==, series);
        g_snprintf(series, sizeof(series), "%u", world.health.n_verdict[HALE_PASS]);
        g_assert_cmpstr(scrape_value(&scrape, "hale_probes{verdict=\"pass\"}"), ==, series);
        scrape_done(&scrape);
}

static void test_too_small(void) {
        Text text = { .max = 4000 };
        World world;

        world_init(&world);
        g_assert_cmpint(metrics_write(&text, &world.view), ==, -E2BIG);
        text_done(&text);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/report/metrics/families", test_families);
        g_test_add_func("/report/metrics/values", test_values);
        g_test_add_func("/report/metrics/formats-agree", test_formats_agree);
        g_test_add_func("/report/metrics/bare", test_bare);
        g_test_add_func("/report/metrics/bound", test_bound);
        g_test_add_func("/report/metrics/too-small", test_too_small);
        return g_test_run();
}
