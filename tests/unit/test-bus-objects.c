/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a client sees: properties, objects, the list, reports; and the log level,
 * which it may set.
 */

#include "lib/bus-lab.h"

static void test_properties(void) {
        Lab *lab = lab_open(3);

        lab_assert_property(lab, HEALTH, "ServiceName", "test");
        lab_assert_property(lab, HEALTH, "Version", "1.2");
        lab_assert_property(lab, HEALTH, "Unit", "test.service");
        lab_assert_property(lab, HEALTH, "InvocationID", "");
        lab_assert_property(lab, HEALTH, "Status", "pass");
        lab_assert_property(lab, HEALTH, "Ready", "true");
        lab_assert_property(lab, HEALTH, "WatchdogUSec", "30000000");
        lab_assert_property(lab, HEALTH, "WatchdogGate", "open");
        lab_assert_property(lab, HEALTH, "Pings", "7");
        lab_assert_property(lab, HEALTH, "MaintenanceUntilUSec", "0");
        lab_assert_property(lab, PROBE, "Name", "probe-0");
        lab_assert_property(lab, PROBE, "Status", "pass");
        lab_assert_property(lab, PROBE, "Output", "it is so");
        lab_assert_property(lab, PROBE, "Running", "false");
        lab_assert_property(lab, PROBE, "ValueUnit", "");

        lab_set_verdict(lab, 0, HALE_FAIL);
        lab_assert_property(lab, HEALTH, "Status", "fail");
        lab_assert_property(lab, HEALTH, "Ready", "false");
        lab_assert_property(lab, PROBE, "Status", "fail");

        lab_call(lab, "/org/hale/Health1/probes/nobody", PROPERTIES, "Get", "ss", "org.hale.Probe1",
                 "Status");
        g_assert_cmpstr(lab_error(lab), ==, SD_BUS_ERROR_UNKNOWN_OBJECT);
        lab_close(lab);
}

/* The objects below @prefix. */
static unsigned count_managed(Lab *lab, const char *prefix) {
        const char *path;
        unsigned n = 0;

        lab_call(lab, "/org/hale/Health1", "org.freedesktop.DBus.ObjectManager",
                 "GetManagedObjects", "");
        g_assert_cmpstr(lab_error(lab), ==, "");
        g_assert_cmpint(sd_bus_message_enter_container(lab->reply, 'a', "{oa{sa{sv}}}"), >=, 0);
        while (sd_bus_message_enter_container(lab->reply, 'e', "oa{sa{sv}}") > 0) {
                g_assert_cmpint(sd_bus_message_read(lab->reply, "o", &path), >, 0);
                n += g_str_has_prefix(path, prefix);
                g_assert_cmpint(sd_bus_message_skip(lab->reply, "a{sa{sv}}"), >, 0);
                g_assert_cmpint(sd_bus_message_exit_container(lab->reply), >, 0);
        }
        return n;
}

static void test_managed_objects(void) {
        Lab *lab = lab_open(3);

        g_assert_cmpuint(count_managed(lab, "/org/hale/Health1/probes/probe_2d"), ==, 3);
        g_assert_cmpuint(count_managed(lab, "/org/hale/Health1/links/the_2ddb"), ==, 1);
        g_assert_cmpuint(count_managed(lab, "/org/hale/Health1/workers/the_2dmailer"), ==, 1);
        g_assert_cmpuint(count_managed(lab, ""), ==, 5);
        lab_close(lab);

        lab = lab_open(0);
        lab->link.name = lab->worker.name = NULL;
        g_assert_cmpuint(count_managed(lab, ""), ==, 0);
        lab_close(lab);
}

static void test_list_probes(void) {
        const char *name, *type, *status, *output, *path, *gate;
        uint64_t last_usec, duration_usec;
        unsigned n = 0;
        Lab *lab = lab_open(3);

        lab_set_verdict(lab, 2, HALE_FAIL);
        lab_call(lab, HEALTH, "ListProbes", "");
        g_assert_cmpstr(lab_error(lab), ==, "");
        g_assert_cmpint(sd_bus_message_enter_container(lab->reply, 'a', "(ssasssttoa{sv})"), >, 0);
        while (sd_bus_message_enter_container(lab->reply, 'r', "ssasssttoa{sv}") > 0) {
                g_assert_cmpint(sd_bus_message_read(lab->reply, "ssasssttoa{sv}", &name, &type, 1,
                                                    &gate, &status, &output, &last_usec,
                                                    &duration_usec, &path, 0),
                                >, 0);
                g_assert_cmpstr(status, ==, n == 0 ? "fail" : "pass");
                g_assert_cmpstr(name, ==, n == 0 ? "probe-2" : n == 1 ? "probe-0" : "probe-1");
                g_assert_cmpstr(gate, ==, "ready");
                g_assert_cmpint(sd_bus_message_exit_container(lab->reply), >, 0);
                n++;
        }
        g_assert_cmpint((int)n, ==, 3);
        lab_close(lab);
}

static void test_reports(void) {
        const char *text;
        Lab *lab = lab_open(0);

        lab_call(lab, HEALTH, "GetReport", "s", "text");
        g_assert_cmpint(sd_bus_message_read(lab->reply, "s", &text), >, 0);
        g_assert_cmpstr(text, ==, "all is well");
        lab_call(lab, HEALTH, "GetReport", "s", "verse");
        g_assert_cmpstr(lab_error(lab), ==, "org.hale.Error.InvalidFormat");
        lab_call(lab, HEALTH, "GetReport", "s", "huge");
        g_assert_cmpstr(lab_error(lab), ==, SD_BUS_ERROR_LIMITS_EXCEEDED);
        lab_close(lab);
}

static void test_log_control(void) {
        static const struct {
                const char *interface, *property, *value, *error;
        } rows[] = {
                { "org.freedesktop.LogControl1", "LogLevel", "debug", "" },
                { "org.freedesktop.LogControl1", "LogLevel", "loud", SD_BUS_ERROR_INVALID_ARGS },
                { "org.freedesktop.LogControl1", "LogTarget", "console", "" },
                { "org.freedesktop.LogControl1", "LogTarget", "moon", SD_BUS_ERROR_INVALID_ARGS },
                { "org.freedesktop.LogControl1", "SyslogIdentifier", "x",
                  SD_BUS_ERROR_PROPERTY_READ_ONLY },
                { "org.freedesktop.LogControl1", "LogVolume", "11", SD_BUS_ERROR_UNKNOWN_PROPERTY },
                { "org.hale.Health1", "LogLevel", "info", SD_BUS_ERROR_UNKNOWN_PROPERTY },
        };
        Lab *lab = lab_open(0);
        const char *path = "/org/freedesktop/LogControl1";

        lab_assert_property(lab, LOG, "LogLevel", "info");
        lab_assert_property(lab, LOG, "SyslogIdentifier", "test");
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                lab_call(lab, path, PROPERTIES, "Set", "ssv", rows[i].interface, rows[i].property,
                         "s", rows[i].value);
                g_assert_cmpstr(lab_error(lab), ==, rows[i].error);
        }
        lab_call(lab, path, PROPERTIES, "Set", "ssv", "org.freedesktop.LogControl1", "LogLevel",
                 "u", 7U);
        g_assert_cmpstr(lab_error(lab), ==, SD_BUS_ERROR_INVALID_ARGS);
        lab_assert_property(lab, LOG, "LogLevel", "debug");
        lab_assert_property(lab, LOG, "LogTarget", "console");
        lab_close(lab);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/report/bus/objects/properties", test_properties);
        g_test_add_func("/report/bus/objects/managed-objects", test_managed_objects);
        g_test_add_func("/report/bus/objects/list-probes", test_list_probes);
        g_test_add_func("/report/bus/objects/reports", test_reports);
        g_test_add_func("/report/bus/objects/log-control", test_log_control);
        return g_test_run();
}
