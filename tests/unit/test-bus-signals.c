/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a client hears: exactly what changed, once, as the contract declares it; the
 * last words before the stop; and under a flood no more than the bound, but the
 * whole count.
 */

#include "lib/bus-lab.h"

/* Signals heard, by member. */
typedef struct Ear {
        unsigned n_status, n_probe, n_health_properties, n_probe_properties, n_added, n_removed;
        char changed[256]; /* of the last PropertiesChanged of Health1 */
        uint64_t n_untold;
} Ear;

static void hear_properties(Ear *ear, sd_bus_message *message) {
        const char *interface, *name;
        GString *names = g_string_new(NULL);

        g_assert_cmpint(sd_bus_message_read(message, "s", &interface), >, 0);
        if (strcmp(interface, "org.hale.Probe1") == 0) {
                ear->n_probe_properties++;
        } else {
                ear->n_health_properties++;
                g_assert_cmpint(sd_bus_message_enter_container(message, 'a', "{sv}"), >=, 0);
                while (sd_bus_message_enter_container(message, 'e', "sv") > 0) {
                        g_assert_cmpint(sd_bus_message_read(message, "s", &name), >, 0);
                        g_string_append_printf(names, "%s ", name);
                        if (strcmp(name, "UntoldChanges") == 0)
                                g_assert_cmpint(sd_bus_message_read(message, "v", "t",
                                                                    &ear->n_untold),
                                                >, 0);
                        else
                                g_assert_cmpint(sd_bus_message_skip(message, "v"), >, 0);
                        g_assert_cmpint(sd_bus_message_exit_container(message), >, 0);
                }
                g_strlcpy(ear->changed, names->str, sizeof(ear->changed));
        }
        g_string_free(names, TRUE);
}

static int on_signal(sd_bus_message *message, void *userdata, sd_bus_error *error _unused_) {
        const char *member = sd_bus_message_get_member(message);
        const char *types = sd_bus_message_get_signature(message, true);
        Ear *ear = userdata;

        if (strcmp(member, "StatusChanged") == 0) {
                g_assert_cmpstr(types, ==, "sssa{sv}");
                ear->n_status++;
        } else if (strcmp(member, "ProbeStatusChanged") == 0) {
                g_assert_cmpstr(types, ==, "sosssa{sv}");
                ear->n_probe++;
        } else if (strcmp(member, "PropertiesChanged") == 0) {
                hear_properties(ear, message);
        } else if (strcmp(member, "InterfacesAdded") == 0) {
                ear->n_added++;
        } else if (strcmp(member, "InterfacesRemoved") == 0) {
                ear->n_removed++;
        }
        return 0;
}

static void listen_to(Lab *lab, Ear *ear) {
        g_assert_cmpint(sd_bus_add_match(lab->client, NULL, "type='signal',sender='" LAB_NAME "'",
                                         on_signal, ear),
                        >=, 0);
}

static void test_signals(void) {
        Ear ear = {};
        Lab *lab = lab_open(3);

        listen_to(lab, &ear);
        lab_set_verdict(lab, 0, HALE_FAIL);
        lab_wait(lab, ear.n_status == 1 && ear.n_probe == 1 && ear.n_probe_properties == 1);
        g_assert_cmpstr(ear.changed, ==, "Status Ready StatusSinceUSec Verdicts ");

        /* Nothing changed: nothing is said. The gate alone: only that is said. */
        bus_health_changed(lab->bus);
        lab->gate = "withheld";
        bus_health_changed(lab->bus);
        lab_wait(lab, ear.n_health_properties == 2);
        g_assert_cmpstr(ear.changed, ==, "WatchdogGate ");

        /* The second verdict moves no status; the counts follow by themselves. */
        health_forget(&lab->health, &lab->probes[1]);
        lab->probes[1].state.verdict = HALE_FAIL;
        health_remember(&lab->health, &lab->probes[1]);
        bus_probe_changed(lab->bus, &lab->probes[1], HALE_PASS);
        lab_wait(lab, ear.n_health_properties == 3);
        g_assert_cmpstr(ear.changed, ==, "Verdicts ");
        g_assert_cmpint((int)ear.n_status, ==, 1);

        bus_probe_added(lab->bus, &lab->probes[2]);
        bus_probe_removed(lab->bus, &lab->probes[2]);
        lab_wait(lab, ear.n_added == 1 && ear.n_removed == 1);
        lab_close(lab);
}

/* The last words reach the bus though nobody waits for it. */
static void test_stop_tells(void) {
        Ear ear = {};
        Lab *lab = lab_open(1);

        listen_to(lab, &ear);
        lab->health.stopping = true;
        (void)health_update(&lab->health, clock_now_usec(CLOCK_MONOTONIC), NULL);
        bus_stop(lab->bus);
        lab_wait(lab, ear.n_health_properties == 1);
        g_assert_nonnull(strstr(ear.changed, "Phase "));
        lab_close(lab);
}

/* A thousand probes that flap: told up to the bound, counted above it, and the count is told. */
static void test_flood(void) {
        Ear ear = {};
        Lab *lab = lab_open(LAB_PROBES_MAX);

        listen_to(lab, &ear);
        for (unsigned round = 0; round < 5; round++)
                for (unsigned i = 0; i < lab->n_probes; i++)
                        lab_set_verdict(lab, i, round % 2 ? HALE_PASS : HALE_FAIL);

        lab_wait(lab, ear.n_untold + ear.n_probe >= 5000);
        g_assert_cmpint((int)lab->n_states[BUS_LOST], ==, 0);
        g_assert_cmpint((int)ear.n_untold + (int)ear.n_probe, ==, 5000);
        g_assert_cmpint((int)ear.n_probe, >=, BUS_PROBE_SIGNALS_MAX);
        g_assert_cmpint((int)ear.n_probe, <=, 3 * BUS_PROBE_SIGNALS_MAX);
        g_assert_cmpint((int)ear.n_status, <=, 3 * BUS_HEALTH_SIGNALS_MAX);
        lab_assert_property(lab, HEALTH, "Status", "fail");
        lab_close(lab);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/report/bus/signals/signals", test_signals);
        g_test_add_func("/report/bus/signals/stop-tells", test_stop_tells);
        g_test_add_func("/report/bus/signals/flood", test_flood);
        return g_test_run();
}
