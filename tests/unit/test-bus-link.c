/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Links on the bus: they are where they should be and nowhere else, show what the
 * source says of them, tell their changes within the bound, and are opened anew, or
 * not, with a reason.
 */

#include "lib/bus-lab.h"

#define LINKS "/org/hale/Health1/links"
#define LINK LINKS "/the_2ddb", "org.hale.Link1"

static void test_properties(void) {
        static const struct {
                const char *name, *value;
        } rows[] = {
                { "Name", "the-db" },
                { "Kind", "kept" },
                { "Probe", "/org/hale/Health1/probes/the_2ddb" },
                { "State", "down" },
                { "Up", "false" },
                { "Reason", "Connection refused" },
                { "Generation", "7" },
                { "Attempts", "8" },
                { "SinceUSec", "0" },
                { "Breaker", "open" },
                { "FailuresInRow", "5" },
                { "Connections", "9" },
                { "Losses", "10" },
                { "LateAnswers", "11" },
                { "ConnectTimeoutUSec", "12" },
                { "CheckIntervalUSec", "13" },
                { "CheckTimeoutUSec", "14" },
                { "BackoffMinUSec", "15" },
                { "BackoffMaxUSec", "16" },
        };
        Lab *lab = lab_open(1);

        lab->link = (BusLink){
                .name = "the-db",
                .kind = "kept",
                .state = "down",
                .breaker = "open",
                .reason = "Connection refused",
                .generation = 7,
                .n_failures = 5,
                .n_attempts = 8,
                .n_ups = 9,
                .n_losses = 10,
                .n_late = 11,
                .connect_usec = 12,
                .check_interval_usec = 13,
                .check_timeout_usec = 14,
                .backoff_min_usec = 15,
                .backoff_max_usec = 16,
        };
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                lab_assert_property(lab, LINK, rows[i].name, rows[i].value);
        lab_close(lab);
}

/* SinceUSec is told in the time of the calendar. */
static void test_since(void) {
        uint64_t before_usec = clock_now_usec(CLOCK_REALTIME), since_usec;
        g_autofree char *value = NULL;
        Lab *lab = lab_open(1);

        lab->link.since_usec = clock_now_usec(CLOCK_MONOTONIC);
        value = lab_get(lab, LINK, "SinceUSec");
        since_usec = g_ascii_strtoull(value, NULL, 10);
        g_assert_cmpuint(since_usec + USEC_PER_SEC, >=, before_usec);
        g_assert_cmpuint(since_usec, <=, clock_now_usec(CLOCK_REALTIME) + USEC_PER_SEC);
        lab_close(lab);
}

static bool links_has_node(Lab *lab, const char *node) {
        const char *xml;

        lab_call(lab, LINKS, "org.freedesktop.DBus.Introspectable", "Introspect", "");
        g_assert_cmpint(sd_bus_message_read(lab->reply, "s", &xml), >, 0);
        return strstr(xml, node);
}

static void test_objects(void) {
        Lab *lab = lab_open(1);

        g_assert_true(links_has_node(lab, "<node name=\"the_2ddb\"/>"));
        lab_call(lab, LINKS "/nobody", "org.hale.Link1", "Reopen", "");
        g_assert_cmpstr(lab_error(lab), ==, SD_BUS_ERROR_UNKNOWN_OBJECT);

        lab->link.name = NULL;
        g_assert_false(links_has_node(lab, "the_2ddb"));
        lab_call(lab, LINK, "Reopen", "");
        g_assert_cmpstr(lab_error(lab), ==, SD_BUS_ERROR_UNKNOWN_OBJECT);
        lab_call(lab, HEALTH, "ReopenLink", "s", "the-db");
        g_assert_cmpstr(lab_error(lab), ==, "org.hale.Error.NoSuchLink");
        g_assert_cmpuint(lab->n_reopens, ==, 0);
        lab_close(lab);
}

static void test_reopen(void) {
        static const struct {
                int result;
                const char *error;
        } rows[] = {
                { 0, "" },
                { -EINPROGRESS, "" },
                { -ENOENT, "org.hale.Error.NoSuchLink" },
                { -ESTALE, "org.hale.Error.NotRunning" },
                { -EOPNOTSUPP, SD_BUS_ERROR_NOT_SUPPORTED },
                { -ENOMEM, SD_BUS_ERROR_NO_MEMORY },
        };
        Lab *lab = lab_open(1);

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                lab->reopen_result = rows[i].result;
                lab_call(lab, LINK, "Reopen", "");
                g_assert_cmpstr(lab_error(lab), ==, rows[i].error);
                lab_call(lab, HEALTH, "ReopenLink", "s", "the-db");
                g_assert_cmpstr(lab_error(lab), ==, rows[i].error);
                g_assert_cmpuint(lab->n_reopens, ==, 2 * (i + 1));
                g_assert_cmpuint(lab->uid, ==, getuid());
        }
        lab_call(lab, HEALTH, "ReopenLink", "u", 1U);
        g_assert_cmpstr(lab_error(lab), ==, SD_BUS_ERROR_INVALID_ARGS);
        g_assert_cmpuint(lab->n_reopens, ==, 2 * ELEMENTSOF(rows));
        lab_close(lab);
}

/* What hears of it frees the bus, and then has something to complain of. */
static void test_freed(gconstpointer data) {
        Lab *lab = lab_open(1);

        lab->free_in_call = true;
        lab->reopen_result = GPOINTER_TO_INT(data);
        lab_send(lab, LINK, "Reopen", "");
        lab_wait(lab, !lab->bus);
        lab_close(lab);
}

typedef struct Ear {
        unsigned n_changed, n_added;
        bool up;
        char names[128], reason[64];
} Ear;

/* Keeps what is said of the link. */
static void hear_changed(Ear *ear, sd_bus_message *message) {
        const char *interface, *name, *reason;
        int up;

        g_assert_cmpint(sd_bus_message_read(message, "s", &interface), >, 0);
        if (!g_str_equal(interface, "org.hale.Link1"))
                return;

        g_assert_cmpstr(sd_bus_message_get_path(message), ==, LINKS "/the_2ddb");
        ear->names[0] = '\0';
        g_assert_cmpint(sd_bus_message_enter_container(message, 'a', "{sv}"), >=, 0);
        while (sd_bus_message_enter_container(message, 'e', "sv") > 0) {
                g_assert_cmpint(sd_bus_message_read(message, "s", &name), >, 0);
                g_strlcat(ear->names, name, sizeof(ear->names));
                g_strlcat(ear->names, " ", sizeof(ear->names));
                if (g_str_equal(name, "Up")) {
                        g_assert_cmpint(sd_bus_message_read(message, "v", "b", &up), >, 0);
                        ear->up = up;
                } else if (g_str_equal(name, "Reason")) {
                        g_assert_cmpint(sd_bus_message_read(message, "v", "s", &reason), >, 0);
                        g_strlcpy(ear->reason, reason, sizeof(ear->reason));
                } else {
                        g_assert_cmpint(sd_bus_message_skip(message, "v"), >, 0);
                }
                g_assert_cmpint(sd_bus_message_exit_container(message), >, 0);
        }
        ear->n_changed++;
}

static int on_signal(sd_bus_message *message, void *userdata, sd_bus_error *error _unused_) {
        Ear *ear = userdata;
        const char *path;

        if (sd_bus_message_is_signal(message, PROPERTIES, "PropertiesChanged")) {
                hear_changed(ear, message);
        } else if (sd_bus_message_is_signal(message, NULL, "InterfacesAdded")) {
                g_assert_cmpint(sd_bus_message_read(message, "o", &path), >, 0);
                g_assert_cmpstr(path, ==, LINKS "/the_2ddb");
                ear->n_added++;
        }
        return 0;
}

static void listen_to(Lab *lab, Ear *ear) {
        g_assert_cmpint(sd_bus_add_match(lab->client, NULL, "type='signal',sender='" LAB_NAME "'",
                                         on_signal, ear),
                        >=, 0);
}

static void test_signals(void) {
        Ear ear = { .up = true };
        Lab *lab = lab_open(1);

        listen_to(lab, &ear);
        lab->link.state = "down";
        lab->link.up = false;
        lab->link.reason = "lost";
        bus_link_changed(lab->bus, "the-db");
        lab_wait(lab, ear.n_changed == 1);
        g_assert_cmpstr(ear.names, ==, "State Up Reason Generation Attempts SinceUSec ");
        g_assert_cmpstr(ear.reason, ==, "lost");
        g_assert_false(ear.up);

        /* Without a bus, and about nobody: what follows is the next that is heard. */
        bus_link_changed(NULL, "the-db");
        bus_link_changed(lab->bus, "nobody");
        bus_link_added(NULL, "the-db");
        bus_link_added(lab->bus, "nobody");
        bus_link_added(lab->bus, "the-db");
        lab_wait(lab, ear.n_added == 1);
        g_assert_cmpuint(ear.n_changed, ==, 1);
        lab_close(lab);
}

/* A link that flaps shares the bound of the probes; what is not told is counted. */
static void test_flood(void) {
        unsigned n = 3 * BUS_PROBE_SIGNALS_MAX;
        g_autofree char *untold = NULL;
        Ear ear = {};
        Lab *lab = lab_open(0);

        listen_to(lab, &ear);
        for (unsigned i = 0; i < n; i++)
                bus_link_changed(lab->bus, "the-db");
        lab_wait(lab, ear.n_changed >= BUS_PROBE_SIGNALS_MAX);

        untold = lab_get(lab, HEALTH, "UntoldChanges");
        g_assert_cmpuint(ear.n_changed + g_ascii_strtoull(untold, NULL, 10), ==, n);
        g_assert_cmpuint(lab->n_states[BUS_LOST], ==, 0);
        lab_close(lab);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/report/bus/link/properties", test_properties);
        g_test_add_func("/report/bus/link/since", test_since);
        g_test_add_func("/report/bus/link/objects", test_objects);
        g_test_add_func("/report/bus/link/reopen", test_reopen);
        g_test_add_data_func("/report/bus/link/freed", GINT_TO_POINTER(0), test_freed);
        g_test_add_data_func("/report/bus/link/freed-and-gone", GINT_TO_POINTER(-ENOENT),
                             test_freed);
        g_test_add_func("/report/bus/link/signals", test_signals);
        g_test_add_func("/report/bus/link/flood", test_flood);
        return g_test_run();
}
