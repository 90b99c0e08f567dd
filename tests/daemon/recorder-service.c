/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The service of test-record: comes to the end that its first argument names, once it is
 * ready, and serves HTTP on the socket that the second names.
 */

#include <hale/hale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KEPT_OFF_USEC 3000000
#define STORM_CALLS 1000

static const char *mode;
static hale_service *service;
static hale_link *peer;

/* Exported, so that a stripped program has its name, too. */
__attribute__((noinline)) void a_hang_with_a_name(void);

void a_hang_with_a_name(void) {
        for (;;)
                (void)pause();
}

static __attribute__((noinline)) void a_stall_that_ends(void) {
        struct timespec now, until;

        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += 2;
        do
                (void)clock_gettime(CLOCK_MONOTONIC, &now);
        while (now.tv_sec < until.tv_sec ||
               (now.tv_sec == until.tv_sec && now.tv_nsec < until.tv_nsec));
}

static __attribute__((noinline)) void a_crash_with_a_name(void) {
        volatile int *nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        *nowhere = 1;
}

static __attribute__((noinline)) void an_abort_with_a_name(void) {
        abort();
}

/* The end of a fork is not that of the service, whatever it has inherited. */
static void a_fork_that_exits(void) {
        pid_t pid = fork();

        if (pid == 0)
                exit(4);
        (void)waitpid(pid, NULL, 0);
}

static int is(const char *name) {
        return strcmp(mode, name) == 0;
}

/* A probe and a link that flap with each call, and with them the whole. */
static int storm(hale_probe *probe, int n_calls) {
        if (n_calls > STORM_CALLS) {
                (void)hale_service_set_maintenance(service, 3600000000, "the storm is over");
                mode = "well";
                return 0;
        }
        if (n_calls % 2 == 0) {
                (void)hale_link_up(peer);
                return 0;
        }
        (void)hale_link_down(peer, "cut");
        return hale_probe_warn(probe, "flaps");
}

static int check_engine(hale_probe *probe, void *userdata) {
        static int n_calls;

        (void)userdata;
        if (is("storm"))
                return storm(probe, n_calls++);
        /* Under maintenance it is never ready, and can be asked for another. */
        if (n_calls++ < 3 || !(hale_service_is_ready(service) || is("maintain-shortly")))
                return 0;

        if (is("hang"))
                a_hang_with_a_name();
        if (is("crash"))
                a_crash_with_a_name();
        if (is("abort"))
                an_abort_with_a_name();
        if (is("exit"))
                exit(3);
        if (is("exit-well"))
                exit(0);
        if (is("fork")) {
                a_fork_that_exits();
                (void)hale_service_set_maintenance(service, 3600000000, "the fork has gone");
        }
        if (is("stall"))
                a_stall_that_ends();
        if (is("maintain"))
                (void)hale_service_set_maintenance(service, 3600000000, "new disk");
        if (is("maintain-shortly"))
                (void)hale_service_set_maintenance(service, KEPT_OFF_USEC, "a moment");
        if (!is("sick"))
                mode = "well";
        return is("sick") ? hale_probe_fail(probe, "beyond help\nMAINPID=1") : 0;
}

int main(int argc, char *argv[]) {
        hale_probe *probe = NULL;
        int r;

        if (argc != 3)
                return 2;
        mode = argv[1];

        /* What sanitizers catch is theirs: as if we were built without. */
        (void)signal(SIGSEGV, SIG_DFL);
        (void)signal(SIGABRT, SIG_DFL);

        r = hale_service_new(&service, "subject");
        if (r >= 0)
                r = hale_service_listen_http(service, argv[2]);
        if (r >= 0)
                r = hale_service_add_probe(service, &probe, "engine",
                                           HALE_GATE_LIVE | HALE_GATE_READY, check_engine, NULL);
        if (r >= 0)
                r = hale_probe_set_interval_usec(probe, is("storm") ? 1000 : 10000);
        if (r >= 0)
                r = hale_probe_set_thresholds(probe, is("storm") ? 1 : 2, 1);
        if (r >= 0 && is("storm"))
                r = hale_service_add_link(service, &peer, "peer", NULL, NULL);
        if (r >= 0 && is("storm"))
                r = hale_link_up(peer);
        probe = hale_probe_unref(probe);
        if (r >= 0)
                r = hale_service_run(service);
        peer = hale_link_unref(peer);
        service = hale_service_unref(service);
        return hale_exit_status(r);
}
