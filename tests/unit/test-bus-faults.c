/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * InjectFault(): the service's own user and root may, strangers may not and polkit is
 * not asked; what the service refuses has a name and a reason; and everybody can see
 * that a rehearsal is on. (Strangers need root here, to become one.)
 */

#include "lib/bus-lab.h"

#define MINUTE (60 * USEC_PER_SEC)

static void test_arrives(void) {
        Lab *lab = lab_open(1);

        lab_assert_property(lab, HEALTH, "Rehearsal", "");
        lab_call(lab, HEALTH, "InjectFault", "sst", "fail-probe", "db\n", (uint64_t)MINUTE);
        g_assert_cmpstr(lab_error(lab), ==, "");
        g_assert_cmpuint(lab->n_faults, ==, 1);
        g_assert_cmpint((int)lab->uid, ==, (int)getuid());
        g_assert_cmpstr(lab->fault, ==, "fail-probe");
        g_assert_cmpstr(lab->fault_target, ==, "db\n");
        g_assert_cmpuint(lab->fault_usec, ==, MINUTE);
        lab_assert_property(lab, HEALTH, "Rehearsal", "fail-probe");
        g_autofree char *text = lab_get(lab, HEALTH, "StatusText");
        g_assert_true(g_str_has_prefix(text, "REHEARSAL (fail-probe): "));
        lab_close(lab);
}

static void test_refused(void) {
        static const struct {
                int result;
                const char *error, *text;
        } rows[] = {
                { -EPERM, "org.hale.Error.FaultsNotAllowed", "does not allow" },
                { -EINVAL, "org.hale.Error.NoSuchFault", "hang-worker" },
                { -ENOENT, "org.hale.Error.NoSuchTarget", "nothing of that name" },
                { -ERANGE, SD_BUS_ERROR_INVALID_ARGS, "10 minutes" },
                { -EALREADY, SD_BUS_ERROR_FAILED, "already" },
                { -E2BIG, SD_BUS_ERROR_LIMITS_EXCEEDED, "Too many" },
                { -EOPNOTSUPP, SD_BUS_ERROR_NOT_SUPPORTED, "thread" },
                { -ESTALE, "org.hale.Error.NotRunning", "not running" },
                { -ENOMEM, SD_BUS_ERROR_NO_MEMORY, "" },
        };
        Lab *lab = lab_open(1);

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                lab->fault_result = rows[i].result;
                lab_call(lab, HEALTH, "InjectFault", "sst", "hang-loop", "", (uint64_t)MINUTE);
                g_assert_cmpstr(lab_error(lab), ==, rows[i].error);
                g_assert_nonnull(
                        strstr(sd_bus_message_get_error(lab->reply)->message, rows[i].text));
        }
        g_assert_cmpuint(lab->n_faults, ==, ELEMENTSOF(rows));
        lab_assert_property(lab, HEALTH, "Rehearsal", "");

        lab_call(lab, HEALTH, "InjectFault", "ss", "hang-loop", "");
        g_assert_cmpstr(lab_error(lab), ==, SD_BUS_ERROR_INVALID_ARGS);
        lab_close(lab);
}

/* The bus goes away in the very call. */
static void test_freed_meanwhile(void) {
        Lab *lab = lab_open(1);

        lab->free_in_call = true;
        lab_send(lab, HEALTH, "InjectFault", "sst", "hang-loop", "", (uint64_t)MINUTE);
        lab_wait(lab, lab->n_faults == 1);
        for (int i = 0; i < 5; i++)
                lab_turn(lab, USEC_PER_MSEC);
        lab_close(lab);
}

static void become_nobody(void *data) {
        (void)data;
        if (setgid(65534) < 0 || setuid(65534) < 0)
                _exit(99);
}

static void test_stranger(void) {
        g_autofree char *program = g_find_program_in_path("dbus-send");
        g_autofree char *address = NULL;
        char text[512] = "";
        pid_t done = 0;
        GPid pid;
        Lab *lab;
        int out;

        if (getuid() != 0 || !program) {
                g_test_skip("needs root, to become somebody else, and dbus-send");
                return;
        }

        lab = lab_open(1);
        g_assert_cmpint(chmod(lab->directory, 0755), ==, 0);
        address = g_strdup_printf("--bus=%s", lab->address);
        const char *arguments[] = { program,
                                    address,
                                    "--print-reply",
                                    "--dest=" LAB_NAME,
                                    "/org/hale/Health1",
                                    "org.hale.Health1.InjectFault",
                                    "string:hang-loop",
                                    "string:",
                                    "uint64:1000000",
                                    NULL };

        g_assert_true(g_spawn_async_with_pipes(NULL, (char **)arguments, NULL,
                                               G_SPAWN_DO_NOT_REAP_CHILD, become_nobody, NULL, &pid,
                                               NULL, NULL, &out, NULL));
        lab_wait(lab, done == pid || (done = waitpid(pid, NULL, WNOHANG)) == pid);
        g_assert_cmpint(read(out, text, sizeof(text) - 1), >, 0);
        close(out);
        g_assert_nonnull(strstr(text, SD_BUS_ERROR_ACCESS_DENIED));
        g_assert_nonnull(strstr(text, "Only root and the service's own user"));
        g_assert_cmpuint(lab->n_faults, ==, 0);
        lab_close(lab);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/report/bus/faults/arrives", test_arrives);
        g_test_add_func("/report/bus/faults/refused", test_refused);
        g_test_add_func("/report/bus/faults/freed-meanwhile", test_freed_meanwhile);
        g_test_add_func("/report/bus/faults/stranger", test_stranger);
        return g_test_run();
}
