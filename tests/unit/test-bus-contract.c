/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What dbus/ promises is what a live object shows, and nothing else: each interface
 * is taken from the file and from Introspect(), both are written in one canonical
 * form, and must be equal.
 */

#include <gio/gio.h>

#include "lib/bus-lab.h"

static void describe_annotations(GString *text, GDBusAnnotationInfo **annotations) {
        for (; annotations && *annotations; annotations++)
                g_string_append_printf(text, " [%s=%s]", (*annotations)->key,
                                       (*annotations)->value);
}

static void describe_arguments(GString *text, const char *direction, GDBusArgInfo **arguments) {
        for (; arguments && *arguments; arguments++)
                g_string_append_printf(text, " %s:%s:%s", direction, (*arguments)->name,
                                       (*arguments)->signature);
}

static int compare_lines(gconstpointer a, gconstpointer b) {
        return strcmp(*(char *const *)a, *(char *const *)b);
}

/* One line a member, sorted. */
static char *describe(GDBusInterfaceInfo *interface) {
        g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);

        for (GDBusMethodInfo **m = interface->methods; m && *m; m++) {
                GString *line = g_string_new("method ");
                g_string_append(line, (*m)->name);
                describe_arguments(line, "in", (*m)->in_args);
                describe_arguments(line, "out", (*m)->out_args);
                describe_annotations(line, (*m)->annotations);
                g_ptr_array_add(lines, g_string_free(line, FALSE));
        }
        for (GDBusSignalInfo **s = interface->signals; s && *s; s++) {
                GString *line = g_string_new("signal ");
                g_string_append(line, (*s)->name);
                describe_arguments(line, "arg", (*s)->args);
                describe_annotations(line, (*s)->annotations);
                g_ptr_array_add(lines, g_string_free(line, FALSE));
        }
        for (GDBusPropertyInfo **p = interface->properties; p && *p; p++) {
                GString *line = g_string_new("property ");
                g_string_append_printf(line, "%s:%s:%d", (*p)->name, (*p)->signature,
                                       (int)(*p)->flags);
                describe_annotations(line, (*p)->annotations);
                g_ptr_array_add(lines, g_string_free(line, FALSE));
        }

        g_ptr_array_sort(lines, compare_lines);
        g_ptr_array_add(lines, NULL);
        return g_strjoinv("\n", (char **)lines->pdata);
}

static GDBusNodeInfo *introspect(Lab *lab, const char *path) {
        g_autoptr(GError) error = NULL;
        GDBusNodeInfo *node;
        const char *xml;

        lab_call(lab, path, "org.freedesktop.DBus.Introspectable", "Introspect", "");
        g_assert_cmpstr(lab_error(lab), ==, "");
        g_assert_cmpint(sd_bus_message_read(lab->reply, "s", &xml), >, 0);
        node = g_dbus_node_info_new_for_xml(xml, &error);
        g_assert_no_error(error);
        return node;
}

static char *promised(const char *interface) {
        const char *root = g_getenv("HALE_SOURCE_ROOT");
        g_autofree char *file = g_strdup_printf("%s/dbus/%s.xml", root ?: ".", interface);
        g_autoptr(GDBusNodeInfo) node = NULL;
        g_autoptr(GError) error = NULL;
        g_autofree char *xml = NULL;

        g_assert_true(g_file_get_contents(file, &xml, NULL, &error));
        node = g_dbus_node_info_new_for_xml(xml, &error);
        g_assert_no_error(error);
        g_assert_nonnull(g_dbus_node_info_lookup_interface(node, interface));
        return describe(g_dbus_node_info_lookup_interface(node, interface));
}

static char *shown(Lab *lab, const char *path, const char *interface) {
        g_autoptr(GDBusNodeInfo) node = introspect(lab, path);

        g_assert_nonnull(g_dbus_node_info_lookup_interface(node, interface));
        return describe(g_dbus_node_info_lookup_interface(node, interface));
}

static void test_equal(gconstpointer data) {
        const char *const *row = data;
        g_autofree char *file = NULL, *live = NULL;
        Lab *lab = lab_open(1);

        file = promised(row[1]);
        live = shown(lab, row[0], row[1]);
        g_assert_cmpstr(live, ==, file);
        lab_close(lab);
}

/* org.freedesktop.LogControl1(5) is not ours, but we promise to be one. */
static void test_log_control(void) {
        g_autofree char *live = NULL;
        Lab *lab = lab_open(0);

        live = shown(lab, "/org/freedesktop/LogControl1", "org.freedesktop.LogControl1");
        g_assert_nonnull(strstr(live, "property LogLevel:s:3 "));
        g_assert_nonnull(strstr(live, "property LogTarget:s:3 "));
        g_assert_nonnull(strstr(live, "property SyslogIdentifier:s:1 "));
        lab_close(lab);
}

/* Interfaces that no file promises: only those of D-Bus itself. */
static void test_nothing_else(void) {
        g_autoptr(GDBusNodeInfo) node = NULL;
        Lab *lab = lab_open(1);

        node = introspect(lab, "/org/hale/Health1");
        for (GDBusInterfaceInfo **i = node->interfaces; *i; i++)
                g_assert_true(g_str_has_prefix((*i)->name, "org.freedesktop.DBus.") ||
                              g_str_equal((*i)->name, "org.hale.Health1"));
        g_assert_nonnull(
                g_dbus_node_info_lookup_interface(node, "org.freedesktop.DBus.ObjectManager"));
        lab_close(lab);
}

int main(int argc, char *argv[]) {
        static const char *const health[] = { "/org/hale/Health1", "org.hale.Health1" };
        static const char *const probe[] = { "/org/hale/Health1/probes/probe_2d0",
                                             "org.hale.Probe1" };
        static const char *const worker[] = { "/org/hale/Health1/workers/the_2dmailer",
                                              "org.hale.Worker1" };

        static const char *const link[] = { "/org/hale/Health1/links/the_2ddb", "org.hale.Link1" };

        g_test_init(&argc, &argv, NULL);
        g_test_add_data_func("/report/bus/contract/health", health, test_equal);
        g_test_add_data_func("/report/bus/contract/probe", probe, test_equal);
        g_test_add_data_func("/report/bus/contract/worker", worker, test_equal);
        g_test_add_data_func("/report/bus/contract/link", link, test_equal);
        g_test_add_func("/report/bus/contract/log-control", test_log_control);
        g_test_add_func("/report/bus/contract/nothing-else", test_nothing_else);
        return g_test_run();
}
