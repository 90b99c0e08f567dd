/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The bus comes and goes, hangs and refuses, and the service neither waits nor
 * falls: each world is made with a real dbus-daemon, and no turn of the loop may
 * take long. The Bus may be freed in each of its callbacks.
 */

#include <sys/socket.h>
#include <sys/un.h>

#include "lib/bus-lab.h"

/* Far above what a turn takes (a few ms, with sanitizers on a busy machine), and far below any
 * of the times that sd-bus would wait (25 s for an answer, 90 s for a greeting). */
#define TURN_LIMIT_USEC (1 * USEC_PER_SEC)

static void test_absent_then_appears(void) {
        Lab *lab = lab_new(1);

        lab_bus_start(lab);
        lab_wait(lab, lab->n_states[BUS_ABSENT] == 1);
        g_assert_cmpint(lab->errors[BUS_ABSENT], ==, -ENOENT);
        g_assert_false(bus_is_up(lab->bus));
        lab_set_verdict(lab, 0, HALE_FAIL);

        lab_daemon_start(lab);
        lab_wait(lab, lab->n_states[BUS_NAME_ACQUIRED] == 1);
        g_assert_true(bus_is_up(lab->bus));
        g_assert_cmpint((int)lab->n_states[BUS_ABSENT], ==, 1);
        g_assert_cmpint((int)lab->n_states[BUS_UP], ==, 1);
        lab_close(lab);
}

static void test_restarted(void) {
        Lab *lab = lab_new(1);

        lab_daemon_start(lab);
        lab_bus_start(lab);
        lab_wait(lab, lab->n_states[BUS_NAME_ACQUIRED] == 1);

        for (unsigned i = 1; i <= 3; i++) {
                lab_daemon_stop(lab);
                lab_wait(lab, lab->n_states[BUS_LOST] == i);
                g_assert_cmpint((int)lab->n_states[BUS_NAME_ACQUIRED], ==, i);
                lab_daemon_start(lab);
                lab_wait(lab, lab->n_states[BUS_NAME_ACQUIRED] == i + 1);
                lab_set_verdict(lab, 0, i % 2 ? HALE_FAIL : HALE_PASS);
        }

        g_assert_cmpint((int)lab->n_states[BUS_ABSENT], ==, 0);
        g_assert_cmpint((int)lab->n_states[BUS_NAME_DENIED], ==, 0);
        lab_close(lab);
}

/* A daemon that hangs takes no messages: they are bounded, and the connection is given up. */
static void test_hung_while_up(void) {
        Lab *lab = lab_new(500);

        lab_daemon_start(lab);
        lab_bus_start(lab);
        lab_wait(lab, lab->n_states[BUS_NAME_ACQUIRED] == 1);
        lab->longest_usec = 0;

        g_assert_cmpint(kill(lab->daemon, SIGSTOP), ==, 0);
        for (unsigned turn = 0; lab->n_states[BUS_LOST] == 0; turn++) {
                uint64_t end_usec = clock_now_usec(CLOCK_MONOTONIC) + 100 * USEC_PER_MSEC;

                g_assert_cmpint((int)turn, <, 200);
                for (unsigned i = 0; i < lab->n_probes; i++)
                        lab_set_verdict(lab, i, turn % 2 ? HALE_PASS : HALE_FAIL);
                while (clock_now_usec(CLOCK_MONOTONIC) < end_usec)
                        lab_turn(lab, 20 * USEC_PER_MSEC);
        }
        g_assert_cmpint(lab->errors[BUS_LOST], ==, -ENOBUFS);

        /* It reconnects into the socket's backlog, and waits there. */
        g_assert_cmpint(kill(lab->daemon, SIGCONT), ==, 0);
        lab_wait(lab, lab->n_states[BUS_NAME_ACQUIRED] == 2);
        g_assert_cmpint((int)lab->longest_usec, <, (int)TURN_LIMIT_USEC);
        lab_close(lab);
}

static void test_hung_at_start_and_stop(void) {
        uint64_t start_usec;
        Lab *lab = lab_new(1);

        lab_daemon_start(lab);
        g_assert_cmpint(kill(lab->daemon, SIGSTOP), ==, 0);
        start_usec = clock_now_usec(CLOCK_MONOTONIC);
        lab_bus_start(lab);
        lab_turn(lab, 0);
        g_assert_cmpint((int)(clock_now_usec(CLOCK_MONOTONIC) - start_usec), <,
                        (int)TURN_LIMIT_USEC);

        /* Says hello too late: told, and given up for the moment. */
        lab_wait(lab, lab->n_states[BUS_ABSENT] == 1);
        g_assert_cmpint(lab->errors[BUS_ABSENT], ==, -ETIMEDOUT);

        start_usec = clock_now_usec(CLOCK_MONOTONIC);
        lab_free_bus(lab);
        g_assert_cmpint((int)(clock_now_usec(CLOCK_MONOTONIC) - start_usec), <,
                        (int)TURN_LIMIT_USEC);
        g_assert_cmpint((int)lab->longest_usec, <, (int)TURN_LIMIT_USEC);
        g_assert_cmpint(kill(lab->daemon, SIGCONT), ==, 0);
        lab_close(lab);
}

/* The socket is bound, but its queue is full: connect() would block. */
static void test_queue_full(void) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd, filler[8];
        Lab *lab = lab_new(0);

        g_snprintf(address.sun_path, sizeof(address.sun_path), "%s/bus", lab->directory);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
        g_assert_cmpint(listen(fd, 0), ==, 0);
        for (size_t i = 0; i < ELEMENTSOF(filler); i++) {
                filler[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                (void)connect(filler[i], (struct sockaddr *)&address, sizeof(address));
        }

        lab_bus_start(lab);
        lab_wait(lab, lab->n_states[BUS_ABSENT] == 1);
        g_assert_cmpint(lab->errors[BUS_ABSENT], ==, -EAGAIN);

        for (size_t i = 0; i < ELEMENTSOF(filler); i++)
                close(filler[i]);
        close(fd);
        g_assert_cmpint(unlink(address.sun_path), ==, 0);
        lab_daemon_start(lab);
        lab_wait(lab, lab->n_states[BUS_NAME_ACQUIRED] == 1);
        lab_close(lab);
}

static void test_denied_by_policy(void) {
        Lab *lab = lab_new(0);

        lab->policy = g_strdup("<deny own='" LAB_NAME "'/>");
        lab_daemon_start(lab);
        lab_bus_start(lab);
        lab_wait(lab, lab->n_states[BUS_NAME_DENIED] == 1);
        g_assert_cmpint(lab->errors[BUS_NAME_DENIED], ==, -EACCES);
        g_assert_false(bus_is_up(lab->bus));

        /* The policy is mended, and the daemon told. It is asked again by itself. */
        g_autofree char *config = g_build_filename(lab->directory, "bus.conf", NULL);
        g_autofree char *text = NULL;
        g_assert_true(g_file_get_contents(config, &text, NULL, NULL));
        g_autofree char *head = g_strndup(text, (size_t)(strstr(text, "<deny own") - text));
        g_autofree char *mended = g_strconcat(head, "</policy></busconfig>", NULL);
        g_assert_true(g_file_set_contents(config, mended, -1, NULL));
        g_assert_cmpint(kill(lab->daemon, SIGHUP), ==, 0);

        lab_wait(lab, lab->n_states[BUS_NAME_ACQUIRED] == 1);
        g_assert_cmpint((int)lab->n_states[BUS_NAME_DENIED], ==, 1);
        g_assert_cmpint((int)lab->n_states[BUS_LOST], ==, 0);
        lab_close(lab);
}

static void test_taken_then_given_up(void) {
        Lab *lab = lab_new(0);

        lab_daemon_start(lab);
        lab_client_start(lab);
        g_assert_cmpint(sd_bus_request_name(lab->client, LAB_NAME, 0), ==, 1);
        lab_bus_start(lab);
        lab_wait(lab, lab->n_states[BUS_NAME_DENIED] == 1);
        g_assert_cmpint(lab->errors[BUS_NAME_DENIED], ==, -EEXIST);

        g_assert_cmpint(sd_bus_release_name(lab->client, LAB_NAME), >=, 0);
        lab_wait(lab, lab->n_states[BUS_NAME_ACQUIRED] == 1);
        lab_close(lab);
}

static void test_freed_when_told(gconstpointer data) {
        BusState state = (BusState)GPOINTER_TO_INT(data);
        Lab *lab = lab_new(1);

        lab->free_on = state;
        if (state == BUS_NAME_DENIED)
                lab->policy = g_strdup("<deny own='" LAB_NAME "'/>");
        if (state != BUS_ABSENT)
                lab_daemon_start(lab);

        const BusConfig config = { .service = "test", .name = LAB_NAME, .address = lab->address };

        g_assert_cmpint(bus_new(&lab->bus, lab->event, 0, &config, &lab_source, lab), ==, 0);
        g_assert_cmpint(bus_start(lab->bus), ==, 0);
        if (state == BUS_LOST) {
                lab_wait(lab, lab->n_states[BUS_NAME_ACQUIRED] == 1);
                lab_daemon_stop(lab);
        }
        lab_wait(lab, !lab->bus);
        for (int i = 0; i < 3; i++)
                lab_turn(lab, USEC_PER_MSEC);
        lab_close(lab);
}

static void test_freed_in_call(gconstpointer data) {
        bool run = GPOINTER_TO_INT(data);
        Lab *lab = lab_open(1);

        lab->free_in_call = true;
        if (run)
                lab_send(lab, "/org/hale/Health1", "org.hale.Health1", "RunProbe", "s", "probe-0");
        else
                lab_send(lab, "/org/hale/Health1", "org.hale.Health1", "SetMaintenance", "ts",
                         UINT64_C(0), "");
        lab_wait(lab, !lab->bus && lab->reply);
        g_assert_cmpstr(lab_error(lab), ==, "org.hale.Error.NotRunning");
        lab_close(lab);
}

/* The connection is the parent's: a child neither speaks nor closes. */
static void test_forked(void) {
        int status;
        pid_t pid;
        Lab *lab = lab_open(1);

        pid = fork();
        if (pid == 0) {
                int r = bus_start(lab->bus);

                bus_health_changed(lab->bus);
                bus_probe_changed(lab->bus, &lab->probes[0], HALE_FAIL);
                bus_probe_finished(lab->bus, &lab->probes[0]);
                bus_stop(lab->bus);
                bus_free(lab->bus);
                _exit(r == -ECHILD && !bus_is_up(lab->bus) ? 0 : 1);
        }
        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
        g_assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);

        lab_call(lab, "/org/hale/Health1", "org.freedesktop.DBus.Peer", "Ping", "");
        g_assert_cmpstr(lab_error(lab), ==, "");
        lab_close(lab);
}

static void test_bad_name(void) {
        static const char *const names[] = { "", "x", ":1.7", "org..x", "org.x y" };
        Lab *lab = lab_new(0);

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                const BusConfig config = { .service = "test", .name = names[i] };

                g_assert_cmpint(bus_new(&lab->bus, lab->event, 0, &config, &lab_source, lab), ==,
                                -EINVAL);
                g_assert_null(lab->bus);
        }
        lab_close(lab);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/report/bus/life/absent-then-appears", test_absent_then_appears);
        g_test_add_func("/report/bus/life/restarted", test_restarted);
        g_test_add_func("/report/bus/life/hung-while-up", test_hung_while_up);
        g_test_add_func("/report/bus/life/hung-at-start-and-stop", test_hung_at_start_and_stop);
        g_test_add_func("/report/bus/life/queue-full", test_queue_full);
        g_test_add_func("/report/bus/life/denied-by-policy", test_denied_by_policy);
        g_test_add_func("/report/bus/life/taken-then-given-up", test_taken_then_given_up);
        for (BusState state = 0; state < BUS_NAME_LOST; state++) {
                g_autofree char *path = g_strdup_printf("/report/bus/life/freed-when-told/%s",
                                                        bus_state_to_string(state));

                g_test_add_data_func(path, GINT_TO_POINTER(state), test_freed_when_told);
        }
        g_test_add_data_func("/report/bus/life/freed-in-call/maintenance", GINT_TO_POINTER(0),
                             test_freed_in_call);
        g_test_add_data_func("/report/bus/life/freed-in-call/run", GINT_TO_POINTER(1),
                             test_freed_in_call);
        g_test_add_func("/report/bus/life/forked", test_forked);
        g_test_add_func("/report/bus/life/bad-name", test_bad_name);
        return g_test_run();
}
