/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Bus Lab
 *
 * A private dbus-daemon, a Bus that speaks for a small made-up service, and a
 * client, all turned by one loop in one thread: whatever blocks shows as a long
 * turn. Defines its functions, because each unit test is one program of one file.
 */

#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <syslog.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/macro.h"
#include "report/bus.h"

#define LAB_NAME "org.hale.Test"
#define LAB_LIMIT_USEC (20 * USEC_PER_SEC)
#define LAB_PROBES_MAX 1000

typedef struct Lab {
        char *directory, *address, *policy;
        GPid daemon;
        sd_event *event;
        uint64_t longest_usec; /* turn of the loop, without the waiting */

        Health health;
        HealthProbe probes[LAB_PROBES_MAX];
        char names[LAB_PROBES_MAX][16];
        unsigned n_probes;
        int log_level;
        char log_target[16];
        char reason[OUTPUT_LENGTH_MAX];
        const char *gate;

        Bus *bus;
        unsigned n_states[_BUS_STATE_MAX];
        int errors[_BUS_STATE_MAX];
        BusState free_on; /* frees the bus when told this; _BUS_STATE_MAX: never */
        int run_result;
        bool finish_at_once, free_in_call;
        unsigned n_runs;
        uid_t uid;
        char fault[64], fault_target[64];
        uint64_t fault_usec;
        int fault_result;
        unsigned n_faults;
        BusWorker worker; /* its name NULL: there is none */
        int restart_result;
        unsigned n_restarts;
        BusLink link; /* as @worker */
        int reopen_result;
        unsigned n_reopens;

        sd_bus *client;
        sd_bus_message *reply; /* the last */
        unsigned n_replies;
} Lab;

static _unused_ void lab_set_verdict(Lab *lab, unsigned i, hale_status verdict) {
        HealthProbe *probe = &lab->probes[i];
        hale_status from = probe->state.verdict;

        health_forget(&lab->health, probe);
        probe->state.verdict = verdict;
        probe->state.result = verdict;
        probe->state.passed_once |= verdict == HALE_PASS;
        probe->state.since_usec = clock_now_usec(CLOCK_MONOTONIC);
        health_remember(&lab->health, probe);
        (void)health_update(&lab->health, probe->state.since_usec, NULL);
        bus_probe_changed(lab->bus, probe, from);
        bus_health_changed(lab->bus);
}

static const Health *lab_health(void *data) {
        return &((Lab *)data)->health;
}

static const HealthProbe *lab_find(void *data, const char *name) {
        Lab *lab = data;

        for (unsigned i = 0; i < lab->n_probes; i++)
                if (strcmp(lab->names[i], name) == 0)
                        return &lab->probes[i];

        return NULL;
}

static void lab_watchdog(void *data, BusWatchdog *ret) {
        *ret = (BusWatchdog){
                .watchdog_usec = 30 * USEC_PER_SEC,
                .gate = ((Lab *)data)->gate,
                .n_pings = 7,
                .last_ping_usec = 1,
        };
}

static int lab_report(void *data _unused_, const char *format, Text *text) {
        if (strcmp(format, "huge") == 0)
                for (int i = 0; i < 1024 && text->error == 0; i++)
                        (void)text_appendf(text, "%020000d", i);
        else if (strcmp(format, "text") == 0)
                (void)text_append(text, "all is well");
        else
                return -EINVAL;

        return text->error;
}

static int lab_get_log_level(void *data) {
        return ((Lab *)data)->log_level;
}

static const char *lab_get_log_target(void *data) {
        return ((Lab *)data)->log_target;
}

static int lab_set_log_level(void *data, int level) {
        ((Lab *)data)->log_level = level;
        return 0;
}

static int lab_set_log_target(void *data, const char *target) {
        if (strcmp(target, "console") != 0 && strcmp(target, "journal") != 0)
                return -EINVAL;

        g_strlcpy(((Lab *)data)->log_target, target, sizeof(((Lab *)data)->log_target));
        return 0;
}

static void lab_free_bus(Lab *lab) {
        lab->bus = bus_free(lab->bus);
}

static int lab_run_probe(void *data, const char *name) {
        Lab *lab = data;

        lab->n_runs++;
        if (lab->run_result < 0)
                return lab->run_result;
        if (lab->finish_at_once)
                bus_probe_finished(lab->bus, lab_find(lab, name));
        if (lab->free_in_call)
                lab_free_bus(lab);

        return 0;
}

static int lab_set_maintenance(void *data, uint64_t usec, const char *reason, uid_t uid) {
        Lab *lab = data;
        uint64_t now_usec = clock_now_usec(CLOCK_MONOTONIC);

        lab->uid = uid;
        g_strlcpy(lab->reason, reason, sizeof(lab->reason));
        lab->health.maintenance = usec > 0;
        lab->health.maintenance_until_usec = usec_add(now_usec, usec);
        lab->health.maintenance_reason = lab->reason;
        (void)health_update(&lab->health, now_usec, NULL);
        bus_health_changed(lab->bus);
        if (lab->free_in_call)
                lab_free_bus(lab);

        return 0;
}

static int
lab_inject_fault(void *data, const char *kind, const char *target, uint64_t usec, uid_t uid) {
        Lab *lab = data;

        lab->uid = uid;
        lab->n_faults++;
        g_strlcpy(lab->fault, kind, sizeof(lab->fault));
        g_strlcpy(lab->fault_target, target, sizeof(lab->fault_target));
        lab->fault_usec = usec;
        if (lab->fault_result >= 0) {
                lab->health.rehearsal = lab->fault;
                bus_health_changed(lab->bus);
        }
        if (lab->free_in_call)
                lab_free_bus(lab);

        return lab->fault_result;
}

static unsigned lab_n_workers(void *data) {
        return ((Lab *)data)->worker.name ? 1 : 0;
}

static const char *lab_worker_name(void *data, unsigned index _unused_) {
        return ((Lab *)data)->worker.name;
}

static bool lab_find_worker(void *data, const char *name, BusWorker *ret) {
        Lab *lab = data;

        *ret = lab->worker;
        return g_strcmp0(lab->worker.name, name) == 0;
}

static int lab_restart_worker(void *data, const char *name, uid_t uid) {
        Lab *lab = data;

        lab->uid = uid;
        lab->n_restarts++;
        if (g_strcmp0(lab->worker.name, name) != 0)
                return -ENOENT;
        if (lab->free_in_call)
                lab_free_bus(lab);

        return lab->restart_result;
}

static unsigned lab_n_links(void *data) {
        return ((Lab *)data)->link.name ? 1 : 0;
}

static const char *lab_link_name(void *data, unsigned index _unused_) {
        return ((Lab *)data)->link.name;
}

static bool lab_find_link(void *data, const char *name, BusLink *ret) {
        Lab *lab = data;

        *ret = lab->link;
        return g_strcmp0(lab->link.name, name) == 0;
}

static int lab_reopen_link(void *data, const char *name, uid_t uid) {
        Lab *lab = data;

        g_assert_cmpstr(lab->link.name, ==, name);
        lab->uid = uid;
        lab->n_reopens++;
        if (lab->free_in_call)
                lab_free_bus(lab);

        return lab->reopen_result;
}

static void lab_on_state(void *data, BusState state, int error) {
        Lab *lab = data;

        lab->n_states[state]++;
        lab->errors[state] = error;
        if (lab->free_on == state)
                lab_free_bus(lab);
}

static const BusSource lab_source = {
        .health = lab_health,
        .find_probe = lab_find,
        .watchdog = lab_watchdog,
        .report = lab_report,
        .report_formats = "text, huge",
        .get_log_level = lab_get_log_level,
        .get_log_target = lab_get_log_target,
        .set_log_level = lab_set_log_level,
        .set_log_target = lab_set_log_target,
        .run_probe = lab_run_probe,
        .set_maintenance = lab_set_maintenance,
        .inject_fault = lab_inject_fault,
        .n_workers = lab_n_workers,
        .worker_name = lab_worker_name,
        .find_worker = lab_find_worker,
        .restart_worker = lab_restart_worker,
        .n_links = lab_n_links,
        .link_name = lab_link_name,
        .find_link = lab_find_link,
        .reopen_link = lab_reopen_link,
        .on_state = lab_on_state,
};

/* One turn of the loop, of at most @wait_usec. */
static void lab_turn(Lab *lab, uint64_t wait_usec) {
        uint64_t start_usec, slept_usec;

        start_usec = clock_now_usec(CLOCK_MONOTONIC);
        if (sd_event_prepare(lab->event) == 0) {
                slept_usec = clock_now_usec(CLOCK_MONOTONIC);
                if (sd_event_wait(lab->event, wait_usec) == 0)
                        return;
                start_usec += clock_now_usec(CLOCK_MONOTONIC) - slept_usec;
        }
        g_assert_cmpint(sd_event_dispatch(lab->event), >=, 0);
        lab->longest_usec = MAX(lab->longest_usec, clock_now_usec(CLOCK_MONOTONIC) - start_usec);
}

#define lab_wait(lab, condition)                                                                   \
        do {                                                                                       \
                uint64_t _end_usec = clock_now_usec(CLOCK_MONOTONIC) + LAB_LIMIT_USEC;             \
                while (!(condition) && clock_now_usec(CLOCK_MONOTONIC) < _end_usec)                \
                        lab_turn((lab), 20 * USEC_PER_MSEC);                                       \
                g_assert_true(condition);                                                          \
        } while (0)

/* A test that fails leaves no daemon behind. */
static void lab_die_with_parent(void *data _unused_) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* Starts the daemon and waits until it listens, which it says by printing its address. */
static void lab_daemon_start(Lab *lab) {
        g_autofree char *config = g_build_filename(lab->directory, "bus.conf", NULL);
        g_autofree char *option = g_strdup_printf("--config-file=%s", config);
        g_autofree char *text = g_strdup_printf(
                "<busconfig><type>session</type><listen>unix:path=%s/bus</listen>"
                "<auth>EXTERNAL</auth><policy context='default'><allow user='*'/><allow own='*'/>"
                "<allow send_destination='*'/><allow receive_sender='*'/>%s</policy></busconfig>",
                lab->directory, lab->policy ?: "");
        const char *arguments[] = { "dbus-daemon", option,       "--nofork",
                                    "--nopidfile", "--nosyslog", "--print-address=1",
                                    NULL };
        struct pollfd poller = { .events = POLLIN };
        char line[512];

        g_assert_true(g_file_set_contents(config, text, -1, NULL));
        g_assert_true(g_spawn_async_with_pipes(NULL, (char **)arguments, NULL,
                                               G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD |
                                                       G_SPAWN_STDERR_TO_DEV_NULL,
                                               lab_die_with_parent, NULL, &lab->daemon, NULL,
                                               &poller.fd, NULL, NULL));
        g_assert_cmpint(poll(&poller, 1, 10000), ==, 1);
        g_assert_cmpint(read(poller.fd, line, sizeof(line)), >, 0);
        close(poller.fd);
}

/* Ends the daemon, which must not have crashed. */
static void lab_daemon_stop(Lab *lab) {
        int status;

        g_assert_cmpint(kill(lab->daemon, SIGTERM), ==, 0);
        g_assert_cmpint(waitpid(lab->daemon, &status, 0), ==, lab->daemon);

        /* It tells its address before it handles signals: one that was just started dies of it. */
        g_assert_true((WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
                      (WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM));
        lab->daemon = 0;
}

static Lab *lab_new(unsigned n_probes) {
        Lab *lab = g_new0(Lab, 1);

        lab->directory = g_dir_make_tmp("hale-bus-XXXXXX", NULL);
        g_assert_nonnull(lab->directory);
        g_assert_cmpint(g_chmod(lab->directory, 0755), ==, 0);
        lab->address = g_strdup_printf("unix:path=%s/bus", lab->directory);
        g_assert_cmpint(sd_event_new(&lab->event), >=, 0);
        lab->gate = "open";
        lab->worker = (BusWorker){
                .name = "the-mailer",
                .kind = "process",
                .restart = "permanent",
                .group = "",
                .state = "running",
                .exit_text = "",
                .pid = 4711,
        };
        lab->link = (BusLink){
                .name = "the-db",
                .kind = "kept",
                .state = "up",
                .breaker = "closed",
                .reason = "",
                .up = true,
                .generation = 1,
        };
        lab->log_level = LOG_INFO;
        lab->free_on = _BUS_STATE_MAX;
        g_strlcpy(lab->log_target, "journal", sizeof(lab->log_target));

        health_init(&lab->health, clock_now_usec(CLOCK_MONOTONIC));
        lab->health.announced = lab->health.started = true;
        lab->n_probes = n_probes;
        for (unsigned i = 0; i < n_probes; i++) {
                g_snprintf(lab->names[i], sizeof(lab->names[i]), "probe-%u", i);
                lab->probes[i] = (HealthProbe){
                        .name = lab->names[i],
                        .type = "callback",
                        .output = "it is so",
                        .state.policy.gates = HALE_GATE_READY,
                        .state.verdict = HALE_PASS,
                        .state.passed_once = true,
                };
                health_add(&lab->health, &lab->probes[i]);
        }
        (void)health_update(&lab->health, clock_now_usec(CLOCK_MONOTONIC), NULL);
        return lab;
}

static void lab_bus_start(Lab *lab) {
        const BusConfig config = {
                .service = "test",
                .version = "1.2",
                .unit = "test.service",
                .name = LAB_NAME,
                .address = lab->address,
                .seed = (uint64_t)g_test_rand_int(),
        };

        g_assert_cmpint(bus_new(&lab->bus, lab->event, 0, &config, &lab_source, lab), ==, 0);
        g_assert_cmpint(bus_start(lab->bus), ==, 0);
}

static void lab_client_start(Lab *lab) {
        g_assert_cmpint(sd_bus_new(&lab->client), >=, 0);
        g_assert_cmpint(sd_bus_set_address(lab->client, lab->address), >=, 0);
        g_assert_cmpint(sd_bus_set_bus_client(lab->client, true), >=, 0);
        g_assert_cmpint(sd_bus_set_close_on_exit(lab->client, false), >=, 0);
        g_assert_cmpint(sd_bus_start(lab->client), >=, 0);
        g_assert_cmpint(sd_bus_attach_event(lab->client, lab->event, 0), >=, 0);
        lab_wait(lab, sd_bus_is_ready(lab->client) > 0);
}

/* A running daemon, a service that owns its name, and a client. */
static _unused_ Lab *lab_open(unsigned n_probes) {
        Lab *lab = lab_new(n_probes);

        lab_daemon_start(lab);
        lab_bus_start(lab);
        lab_wait(lab, lab->n_states[BUS_NAME_ACQUIRED] == 1);
        lab_client_start(lab);
        return lab;
}

static void lab_close(Lab *lab) {
        g_autofree char *config = g_build_filename(lab->directory, "bus.conf", NULL);
        g_autofree char *socket = g_build_filename(lab->directory, "bus", NULL);

        sd_bus_message_unref(lab->reply);
        sd_bus_close_unref(lab->client);
        lab_free_bus(lab);
        if (lab->daemon > 0)
                lab_daemon_stop(lab);
        sd_event_unref(lab->event);
        (void)unlink(config);
        (void)unlink(socket);
        g_assert_cmpint(rmdir(lab->directory), ==, 0);
        g_free(lab->directory);
        g_free(lab->address);
        g_free(lab->policy);
        g_free(lab);
}

static int lab_on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *error _unused_) {
        Lab *lab = userdata;

        sd_bus_message_unref(lab->reply);
        lab->reply = sd_bus_message_ref(reply);
        lab->n_replies++;
        return 1;
}

/* Begins a call of the service; the answer will be in lab->reply. */
static _unused_ void lab_send(Lab *lab,
                              const char *path,
                              const char *interface,
                              const char *member,
                              const char *types,
                              ...) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        va_list ap;

        lab->reply = sd_bus_message_unref(lab->reply);
        g_assert_cmpint(sd_bus_message_new_method_call(lab->client, &message, LAB_NAME, path,
                                                       interface, member),
                        >=, 0);
        va_start(ap, types);
        g_assert_cmpint(sd_bus_message_appendv(message, types, ap), >=, 0);
        va_end(ap);
        g_assert_cmpint(sd_bus_call_async(lab->client, NULL, message, lab_on_reply, lab,
                                          LAB_LIMIT_USEC),
                        >=, 0);
}

#define lab_call(lab, ...)                                                                         \
        do {                                                                                       \
                lab_send((lab), __VA_ARGS__);                                                      \
                lab_wait((lab), (lab)->reply);                                                     \
        } while (0)

/* The name of the error that was answered, or "". */
static _unused_ const char *lab_error(Lab *lab) {
        const sd_bus_error *error = sd_bus_message_get_error(lab->reply);

        return error ? error->name : "";
}

#define HEALTH "/org/hale/Health1", "org.hale.Health1"
#define PROBE "/org/hale/Health1/probes/probe_2d0", "org.hale.Probe1"
#define LOG "/org/freedesktop/LogControl1", "org.freedesktop.LogControl1"
#define PROPERTIES "org.freedesktop.DBus.Properties"

/* The property as text: a boolean is "true" or "false", a number is decimal. */
static _unused_ char *lab_get(Lab *lab, const char *path, const char *interface, const char *name) {
        const char *types, *text;
        uint64_t number = 0;
        int truth;
        char type;

        lab_call(lab, path, PROPERTIES, "Get", "ss", interface, name);
        g_assert_cmpstr(lab_error(lab), ==, "");
        g_assert_cmpint(sd_bus_message_peek_type(lab->reply, &type, &types), >, 0);
        g_assert_cmpint(sd_bus_message_enter_container(lab->reply, 'v', types), >, 0);
        if (types[0] == 's' || types[0] == 'o') {
                g_assert_cmpint(sd_bus_message_read(lab->reply, types, &text), >, 0);
                return g_strdup(text);
        }
        if (types[0] == 'b') {
                g_assert_cmpint(sd_bus_message_read(lab->reply, "b", &truth), >, 0);
                return g_strdup(truth ? "true" : "false");
        }
        g_assert_cmpint(sd_bus_message_read(lab->reply, types, &number), >, 0);
        return g_strdup_printf("%" G_GUINT64_FORMAT, number);
}

static _unused_ void lab_assert_property(Lab *lab,
                                         const char *path,
                                         const char *interface,
                                         const char *name,
                                         const char *expected) {
        g_autofree char *value = lab_get(lab, path, interface, name);

        g_assert_cmpstr(value, ==, expected);
}
