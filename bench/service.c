/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * service: the libhale service under measurement
 *
 * On the public interface only, with the probes of an ordinary service: the loop,
 * the memory, the descriptors, and two callbacks that are the readiness and the
 * liveness of the program. SIGUSR1 makes the live one fail.
 *
 * With --probes it has so many more, which are asked once a second and always
 * pass; at its end it says how often they were asked. With --workers it has so many
 * idle worker processes; with --beat those have the heartbeat that worker.h advises.
 */

#include <errno.h>
#include <getopt.h>
#include <hale/hale.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "events.h"

#define N_PROBES_MAX 1000000

enum {
        ARG_PROBES = 256,
        ARG_BUS,
        ARG_EVENTS,
        ARG_LISTEN,
        ARG_WORKERS,
        ARG_BEAT,
};

static const struct option options[] = {
        { "probes", required_argument, NULL, ARG_PROBES },
        { "bus", required_argument, NULL, ARG_BUS },
        { "events", required_argument, NULL, ARG_EVENTS },
        { "listen", required_argument, NULL, ARG_LISTEN },
        { "workers", required_argument, NULL, ARG_WORKERS },
        { "beat", no_argument, NULL, ARG_BEAT },
        {},
};

static unsigned long arg_probes = 0, arg_workers = 0;
static bool arg_beat = false;
static const char *arg_bus = NULL;
static const char *arg_listen = NULL;

typedef struct App {
        hale_probe *live; /* the service's */
        bool sick;
        bool was_ready;
        uint64_t n_calls;
} App;

static int check_live(hale_probe *probe, void *userdata) {
        App *app = userdata;

        if (!app->sick)
                return 0;

        events_note("fail");
        return hale_probe_fail(probe, "told to be sick");
}

static int check_ready(hale_probe *probe, void *userdata) {
        (void)probe;
        (void)userdata;
        return 0;
}

static int check_trivial(hale_probe *probe, void *userdata) {
        App *app = userdata;

        (void)probe;
        app->n_calls++;
        return 0;
}

static void on_change(hale_service *service, void *userdata) {
        App *app = userdata;
        bool ready = hale_service_is_ready(service) > 0;

        if (ready && !app->was_ready)
                events_note("ready");
        app->was_ready = ready;
}

static int on_usr1(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        App *app = userdata;

        (void)source;
        (void)info;

        app->sick = true;
        (void)hale_probe_run(app->live);
        return 0;
}

static int add_signal(hale_service *service, App *app) {
        sigset_t signals;

        (void)sigemptyset(&signals);
        (void)sigaddset(&signals, SIGUSR1);
        if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
                return -errno;

        return sd_event_add_signal(hale_service_get_event(service), NULL, SIGUSR1, on_usr1, app);
}

static int add_ordinary_probes(hale_service *service, App *app) {
        int r;

        r = hale_service_add_check(service, NULL, "loop", HALE_GATE_NONE, "loop:");
        if (r < 0)
                return r;

        r = hale_service_add_check(service, NULL, "memory", HALE_GATE_NONE, "memory:");
        if (r < 0)
                return r;

        r = hale_service_add_check(service, NULL, "fds", HALE_GATE_NONE, "fds:");
        if (r < 0)
                return r;

        r = hale_service_add_probe(service, NULL, "queue", HALE_GATE_READY, check_ready, app);
        if (r < 0)
                return r;

        r = hale_service_add_probe(service, NULL, "work", HALE_GATE_LIVE, check_live, app);
        if (r < 0)
                return r;

        app->live = hale_service_find_probe(service, "work");
        return hale_probe_set_thresholds(app->live, 1, 1);
}

static int add_trivial_probes(hale_service *service, App *app) {
        for (unsigned long i = 0; i < arg_probes; i++) {
                hale_probe *probe;
                char name[32];
                int r;

                (void)snprintf(name, sizeof(name), "p%lu", i);
                r = hale_service_add_probe(service, &probe, name, HALE_GATE_NONE, check_trivial,
                                           app);
                if (r < 0)
                        return r;

                r = hale_probe_set_timeout_usec(probe, 500000);
                if (r >= 0)
                        r = hale_probe_set_interval_usec(probe, 1000000);
                if (r < 0)
                        return r;
                /* The reference is kept for ever: without it the probe would go. */
        }
        return 0;
}

/* Sleeps until it is to stop; with a heartbeat it beats three times a limit, and not when the
 * others do: each has work of its own. */
static int idle(hale_worker *worker, void *userdata) {
        int pause_msec = arg_beat ? (int)(HALE_WORKER_HEARTBEAT_USEC / 3000) : -1;
        int next_msec = arg_beat ? getpid() * 7 % 16 * pause_msec / 16 : -1;
        struct pollfd stop = { .fd = hale_worker_get_stop_fd(worker), .events = POLLIN };

        (void)userdata;
        while (poll(&stop, 1, next_msec) <= 0 && !hale_worker_should_stop(worker)) {
                (void)hale_worker_beat(worker);
                next_msec = pause_msec;
        }
        return 0;
}

static int add_workers(hale_service *service) {
        for (unsigned long i = 0; i < arg_workers; i++) {
                hale_worker *worker;
                char name[32];
                int r;

                (void)snprintf(name, sizeof(name), "w%lu", i);
                r = hale_service_add_worker(service, &worker, name, idle, NULL);
                if (r >= 0 && arg_beat)
                        r = hale_worker_set_heartbeat_usec(worker, HALE_WORKER_HEARTBEAT_USEC);
                if (r < 0)
                        return r;
                /* The reference is kept for ever, as the probes'. */
        }
        return 0;
}

static int parse(int argc, char *argv[]) {
        int option;

        while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (option) {
                case ARG_PROBES:
                        arg_probes = strtoul(optarg, NULL, 10);
                        if (arg_probes > N_PROBES_MAX)
                                return -E2BIG;
                        break;
                case ARG_BUS:
                        arg_bus = optarg;
                        break;
                case ARG_EVENTS:
                        if (events_open(optarg) < 0)
                                return -errno;
                        break;
                case ARG_LISTEN:
                        arg_listen = optarg;
                        break;
                case ARG_WORKERS:
                        arg_workers = strtoul(optarg, NULL, 10);
                        break;
                case ARG_BEAT:
                        arg_beat = true;
                        break;
                default:
                        return -EINVAL;
                }
        return 0;
}

static int serve(hale_service *service, App *app) {
        int r;

        r = add_ordinary_probes(service, app);
        if (r >= 0)
                r = add_trivial_probes(service, app);
        if (r >= 0)
                r = add_workers(service);
        if (r >= 0)
                r = add_signal(service, app);
        if (r >= 0 && arg_bus)
                r = hale_service_set_bus_name(service, arg_bus);
        if (r >= 0 && arg_listen)
                r = hale_service_listen_http(service, arg_listen);
        if (r >= 0)
                r = hale_service_on_change(service, on_change, app);
        if (r >= 0)
                r = hale_service_run(service);
        return r;
}

int main(int argc, char *argv[]) {
        hale_service *service = NULL;
        App app = {};
        int r;

        r = parse(argc, argv);
        if (r < 0) {
                fprintf(stderr, "service [--probes N] [--bus NAME] [--events FILE] "
                                "[--listen ADDRESS] [--workers N] [--beat]\n");
                return 2;
        }

        r = hale_service_new(&service, "bench");
        if (r >= 0)
                r = serve(service, &app);

        if (arg_probes > 0)
                fprintf(stderr, "asked %" PRIu64 " times\n", app.n_calls);
        (void)hale_service_unref(service);
        return hale_exit_status(r);
}
