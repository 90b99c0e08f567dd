/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Workers on the bus: they are where they should be and nowhere else, show what the
 * source says of them, tell their changes, and are restarted, or not, with a reason.
 */

#include "lib/bus-lab.h"

#define WORKER "/org/hale/Health1/workers/the_2dmailer", "org.hale.Worker1"

static void test_properties(void) {
        static const struct {
                const char *name, *value;
        } rows[] = {
                { "Name", "the-mailer" },
                { "Kind", "process" },
                { "Restart", "permanent" },
                { "Group", "" },
                { "Spare", "true" },
                { "Probe", "/org/hale/Health1/probes/the_2dmailer" },
                { "State", "waiting" },
                { "PID", "4711" },
                { "Restarts", "3" },
                { "LastExit", "killed by SIGSEGV" },
                { "HeartbeatUSec", "10000000" },
                { "StopUSec", "5000000" },
        };
        Lab *lab = lab_open(1);

        lab->worker.state = "waiting";
        lab->worker.exit_text = "killed by SIGSEGV";
        lab->worker.spare = true;
        lab->worker.n_restarts = 3;
        lab->worker.heartbeat_usec = 10 * USEC_PER_SEC;
        lab->worker.stop_usec = 5 * USEC_PER_SEC;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                g_autofree char *value = lab_get(lab, WORKER, rows[i].name);

                g_assert_cmpstr(value, ==, rows[i].value);
        }
        lab_close(lab);
}

static void test_objects(void) {
        Lab *lab = lab_open(1);
        const char *xml;

        lab_call(lab, "/org/hale/Health1/workers", "org.freedesktop.DBus.Introspectable",
                 "Introspect", "");
        g_assert_cmpint(sd_bus_message_read(lab->reply, "s", &xml), >, 0);
        g_assert_nonnull(strstr(xml, "<node name=\"the_2dmailer\"/>"));

        lab_call(lab, "/org/hale/Health1/workers/nobody", "org.hale.Worker1", "Restart", "");
        g_assert_cmpstr(lab_error(lab), ==, SD_BUS_ERROR_UNKNOWN_OBJECT);

        lab->worker.name = NULL;
        lab_call(lab, "/org/hale/Health1/workers", "org.freedesktop.DBus.Introspectable",
                 "Introspect", "");
        g_assert_cmpint(sd_bus_message_read(lab->reply, "s", &xml), >, 0);
        g_assert_null(strstr(xml, "the_2dmailer"));
        lab_close(lab);
}

static void test_restart(void) {
        static const struct {
                int result;
                const char *error;
        } rows[] = {
                { 0, "" },
                { -ESTALE, "org.hale.Error.NotRunning" },
                { -ENOENT, "org.hale.Error.NoSuchWorker" },
                { -ENOMEM, SD_BUS_ERROR_NO_MEMORY },
        };
        Lab *lab = lab_open(1);

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                lab->restart_result = rows[i].result;
                lab_call(lab, WORKER, "Restart", "");
                g_assert_cmpstr(lab_error(lab), ==, rows[i].error);
                lab_call(lab, HEALTH, "RestartWorker", "s", "the-mailer");
                g_assert_cmpstr(lab_error(lab), ==, rows[i].error);
                g_assert_cmpuint(lab->n_restarts, ==, 2 * (i + 1));
                g_assert_cmpuint(lab->uid, ==, getuid());
        }
        lab_call(lab, HEALTH, "RestartWorker", "s", "nobody");
        g_assert_cmpstr(lab_error(lab), ==, "org.hale.Error.NoSuchWorker");
        g_assert_cmpuint(lab->n_restarts, ==, 2 * ELEMENTSOF(rows));

        lab->free_in_call = true;
        lab_send(lab, WORKER, "Restart", "");
        lab_wait(lab, !lab->bus);
        lab_close(lab);
}

static int on_changed(sd_bus_message *message, void *userdata, sd_bus_error *error _unused_) {
        const char *interface;

        g_assert_cmpint(sd_bus_message_read(message, "s", &interface), >, 0);
        *(bool *)userdata = g_str_equal(interface, "org.hale.Worker1") &&
                            g_str_has_suffix(sd_bus_message_get_path(message), "the_2dmailer");
        return 0;
}

static void test_signal(void) {
        _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
        Lab *lab = lab_open(1);
        bool seen = false;

        g_assert_cmpint(sd_bus_match_signal(lab->client, &slot, LAB_NAME, NULL, PROPERTIES,
                                            "PropertiesChanged", on_changed, &seen),
                        >=, 0);
        lab->worker.state = "stopping";
        bus_worker_changed(lab->bus, "the-mailer");
        lab_wait(lab, seen);

        /* Without a bus, and about nobody. */
        bus_worker_changed(NULL, "the-mailer");
        bus_worker_changed(lab->bus, "nobody");
        lab_close(lab);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/report/bus/worker/properties", test_properties);
        g_test_add_func("/report/bus/worker/objects", test_objects);
        g_test_add_func("/report/bus/worker/restart", test_restart);
        g_test_add_func("/report/bus/worker/signal", test_signal);
        return g_test_run();
}
