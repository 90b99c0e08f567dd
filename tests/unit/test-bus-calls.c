/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a client may do: runs answer when they have ended, with a reason when they
 * cannot; maintenance begins and ends; strangers need polkit's leave; and no more
 * calls wait than the bound allows.
 */

#include "lib/bus-lab.h"

static void assert_run_answer(Lab *lab, const char *expected) {
        const char *status, *output;
        uint64_t duration_usec;

        g_assert_cmpstr(lab_error(lab), ==, "");
        g_assert_cmpint(sd_bus_message_read(lab->reply, "sst", &status, &output, &duration_usec), >,
                        0);
        g_assert_cmpstr(status, ==, expected);
        g_assert_cmpstr(output, ==, "it is so");
        g_assert_cmpint((int)duration_usec, ==, 312);
}

static void test_run_probe(void) {
        Lab *lab = lab_open(2);

        lab->probes[0].state.duration_usec = 312;

        /* Answers when the run has ended, and only that of the same probe. */
        lab_send(lab, HEALTH, "RunProbe", "s", "probe-0");
        lab_wait(lab, lab->n_runs == 1);
        bus_probe_finished(lab->bus, &lab->probes[1]);
        for (int i = 0; i < 5; i++)
                lab_turn(lab, USEC_PER_MSEC);
        g_assert_null(lab->reply);
        lab_set_verdict(lab, 0, HALE_FAIL);
        bus_probe_finished(lab->bus, &lab->probes[0]);
        lab_wait(lab, lab->reply);
        assert_run_answer(lab, "fail");

        /* By the object itself; and a run that ends before run_probe() returns. */
        lab->finish_at_once = true;
        lab->probes[0].unit = "ms";
        lab_call(lab, PROBE, "Run", "");
        assert_run_answer(lab, "fail");

        /* The probe goes away meanwhile. */
        lab->finish_at_once = false;
        lab_send(lab, HEALTH, "RunProbe", "s", "probe-0");
        lab_wait(lab, lab->n_runs == 3);
        bus_probe_removed(lab->bus, &lab->probes[0]);
        lab_wait(lab, lab->reply);
        g_assert_cmpstr(lab_error(lab), ==, "org.hale.Error.NoSuchProbe");
        lab_close(lab);
}

static void test_run_errors(void) {
        static const struct {
                int result;
                const char *probe, *error;
        } rows[] = {
                { 0, "nobody", "org.hale.Error.NoSuchProbe" },
                { 0, "", "org.hale.Error.NoSuchProbe" },
                { -ENOENT, "probe-0", "org.hale.Error.NoSuchProbe" },
                { -EINPROGRESS, "probe-0", "org.hale.Error.ProbeBusy" },
                { -ESTALE, "probe-0", "org.hale.Error.NotRunning" },
                { -EOPNOTSUPP, "probe-0", SD_BUS_ERROR_NOT_SUPPORTED },
                { -ENOMEM, "probe-0", SD_BUS_ERROR_NO_MEMORY },
        };
        Lab *lab = lab_open(1);

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                lab->run_result = rows[i].result;
                lab_call(lab, HEALTH, "RunProbe", "s", rows[i].probe);
                g_assert_cmpstr(lab_error(lab), ==, rows[i].error);
        }

        lab_call(lab, HEALTH, "RunProbe", "u", 1U);
        g_assert_cmpstr(lab_error(lab), ==, SD_BUS_ERROR_INVALID_ARGS);
        lab_close(lab);
}

/* More calls than can wait: those above the bound hear so at once, the others are answered. */
static void test_run_bounded(void) {
        Lab *lab = lab_open(1);

        for (unsigned i = 0; i < BUS_CALLS_MAX; i++)
                lab_send(lab, HEALTH, "RunProbe", "s", "probe-0");
        lab_wait(lab, lab->n_runs == BUS_CALLS_MAX);
        lab_call(lab, HEALTH, "RunProbe", "s", "probe-0");
        g_assert_cmpstr(lab_error(lab), ==, "org.hale.Error.TooManyCalls");

        bus_probe_finished(lab->bus, &lab->probes[0]);
        lab_wait(lab, lab->n_replies == BUS_CALLS_MAX + 1);
        lab_call(lab, HEALTH, "SetMaintenance", "ts", UINT64_C(0), "");
        g_assert_cmpstr(lab_error(lab), ==, "");
        lab_close(lab);
}

static void test_maintenance(void) {
        Lab *lab = lab_open(1);

        lab_call(lab, HEALTH, "SetMaintenance", "ts", UINT64_C(60000000), "new\ndisk");
        g_assert_cmpstr(lab_error(lab), ==, "");
        g_assert_cmpint((int)lab->uid, ==, (int)getuid());
        lab_assert_property(lab, HEALTH, "Maintenance", "true");
        lab_assert_property(lab, HEALTH, "MaintenanceReason", "new disk");
        lab_assert_property(lab, HEALTH, "Phase", "maintenance");
        lab_assert_property(lab, HEALTH, "Ready", "false");

        g_autofree char *until = lab_get(lab, HEALTH, "MaintenanceUntilUSec");
        uint64_t left_usec = g_ascii_strtoull(until, NULL, 10) - clock_now_usec(CLOCK_REALTIME);

        g_assert_cmpint((int)left_usec, >, 30000000);
        g_assert_cmpint((int)left_usec, <=, 60000000);

        lab_call(lab, HEALTH, "SetMaintenance", "ts", UINT64_C(0), "");
        lab_assert_property(lab, HEALTH, "Maintenance", "false");
        lab_assert_property(lab, HEALTH, "Phase", "running");
        lab_close(lab);
}

/* What the made-up polkit answers. */
typedef struct Polkit {
        bool authorized, challenge;
        char action[64];
        unsigned n_asked;
} Polkit;

static int on_polkit(sd_bus_message *message, void *userdata, sd_bus_error *error _unused_) {
        Polkit *polkit = userdata;
        const char *action;

        g_assert_cmpint(sd_bus_message_skip(message, "(sa{sv})"), >, 0);
        g_assert_cmpint(sd_bus_message_read(message, "s", &action), >, 0);
        g_strlcpy(polkit->action, action, sizeof(polkit->action));
        polkit->n_asked++;
        return sd_bus_reply_method_return(message, "(bba{ss})", polkit->authorized,
                                          polkit->challenge, 0);
}

static const sd_bus_vtable polkit_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("CheckAuthorization",
                      "(sa{sv})sa{ss}us",
                      "(bba{ss})",
                      on_polkit,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

static void become_nobody(void *data) {
        lab_die_with_parent(data);
        if (setgid(65534) < 0 || setuid(65534) < 0)
                _exit(99);
}

/* Calls as somebody else. Returns what dbus-send complained of: "" when all went well. */
static char *call_as_nobody(Lab *lab, const char *member, const char *arguments) {
        g_autofree char *line = g_strdup_printf("dbus-send --bus=%s --print-reply --dest=" LAB_NAME
                                                " /org/hale/Health1 org.hale.Health1.%s %s",
                                                lab->address, member, arguments);
        g_auto(GStrv) words = NULL;
        char text[1024] = "";
        int out, status;
        pid_t done = 0;
        GPid pid;

        g_assert_true(g_shell_parse_argv(line, NULL, &words, NULL));
        g_assert_true(g_spawn_async_with_pipes(NULL, words, NULL,
                                               G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD |
                                                       G_SPAWN_STDOUT_TO_DEV_NULL,
                                               become_nobody, NULL, &pid, NULL, NULL, &out, NULL));
        lab_wait(lab, done == pid || (done = waitpid(pid, &status, WNOHANG)) == pid);
        g_assert_cmpint(read(out, text, sizeof(text) - 1), >=, 0);
        close(out);
        return g_strdup(text);
}

static void
assert_refused_call(Lab *lab, const char *member, const char *arguments, const char *because) {
        g_autofree char *text = call_as_nobody(lab, member, arguments);

        if (!strstr(text, because))
                g_test_message("expected '%s' in '%s'", because, text);
        g_assert_nonnull(strstr(text, because));
        g_assert_cmpint((int)lab->uid, ==, 4711);
}

static void assert_refused(Lab *lab, const char *because) {
        assert_refused_call(lab, "SetMaintenance", "uint64:0 string:x", because);
}

static void assert_allowed(Lab *lab, const char *member, const char *arguments) {
        g_autofree char *text = call_as_nobody(lab, member, arguments);

        g_assert_cmpstr(text, ==, "");
}

static void test_strangers(void) {
        g_autofree char *program = g_find_program_in_path("dbus-send");
        Polkit polkit = {};

        if (getuid() != 0 || !program) {
                g_test_skip(program ? "only root can call as somebody else" : "no dbus-send");
                return;
        }

        Lab *lab = lab_open(1);

        lab->uid = 4711;
        assert_refused(lab, "polkit could not be asked");

        g_assert_cmpint(sd_bus_add_object_vtable(lab->client, NULL,
                                                 "/org/freedesktop/PolicyKit1/Authority",
                                                 "org.freedesktop.PolicyKit1.Authority",
                                                 polkit_vtable, &polkit),
                        >=, 0);
        g_assert_cmpint(sd_bus_request_name(lab->client, "org.freedesktop.PolicyKit1", 0), ==, 1);
        assert_refused(lab, "polkit does not allow this");
        g_assert_cmpstr(polkit.action, ==, "org.hale.set-maintenance");
        polkit.challenge = true;
        assert_refused(lab, "password");

        polkit.authorized = true;
        assert_allowed(lab, "SetMaintenance", "uint64:0 string:x");
        g_assert_cmpint((int)lab->uid, ==, 65534);

        lab->finish_at_once = true;
        assert_allowed(lab, "RunProbe", "string:probe-0");
        g_assert_cmpstr(polkit.action, ==, "org.hale.run-probe");
        g_assert_cmpint((int)lab->n_runs, ==, 1);
        g_assert_cmpint((int)polkit.n_asked, ==, 4);

        assert_allowed(lab, "RestartWorker", "string:the-mailer");
        g_assert_cmpstr(polkit.action, ==, "org.hale.restart-worker");
        g_assert_cmpuint(lab->n_restarts, ==, 1);
        assert_allowed(lab, "ReopenLink", "string:the-db");
        g_assert_cmpstr(polkit.action, ==, "org.hale.reopen-link");
        g_assert_cmpuint(lab->n_reopens, ==, 1);
        g_assert_cmpint((int)polkit.n_asked, ==, 6);

        /* What is refused does not come to the source. */
        polkit.authorized = false;
        lab->uid = 4711;
        assert_refused_call(lab, "ReopenLink", "string:the-db", "password");
        assert_refused_call(lab, "RestartWorker", "string:the-mailer", "password");
        g_assert_cmpuint(lab->n_restarts + lab->n_reopens, ==, 2);
        g_assert_cmpint((int)polkit.n_asked, ==, 8);

        /* Reading needs no leave. */
        assert_allowed(lab, "ListProbes", "");
        g_assert_cmpint((int)polkit.n_asked, ==, 8);
        lab_close(lab);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/report/bus/calls/run-probe", test_run_probe);
        g_test_add_func("/report/bus/calls/run-errors", test_run_errors);
        g_test_add_func("/report/bus/calls/run-bounded", test_run_bounded);
        g_test_add_func("/report/bus/calls/maintenance", test_maintenance);
        g_test_add_func("/report/bus/calls/strangers", test_strangers);
        return g_test_run();
}
