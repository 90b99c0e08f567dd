/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * metrics-service: a service with one of each kind, to be scraped
 *
 *   metrics-service ADDRESS [BUS-NAME]
 *
 * Probes that pass, fail with a secret, time out, cannot be asked, block and are
 * pushed; a remedy that does not help; a worker that fails once; a link. SIGUSR1 makes the ready
 * probe fail and takes the link down, SIGUSR2 heals both.
 */

#include <errno.h>
#include <hale/hale.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <systemd/sd-event.h>

typedef struct App {
        bool sick;
        hale_link *link;
        hale_probe *ready, *pushed;
        atomic_uint n_starts;
} App;

static int check_ready(hale_probe *probe, void *userdata) {
        const App *app = userdata;

        return app->sick ? hale_probe_fail(probe, "told to be sick") : 0;
}

static int check_secret(hale_probe *probe, void *userdata) {
        (void)userdata;
        return hale_probe_fail(probe, "s3cret-%u", hale_probe_get_run(probe));
}

static int check_slow(hale_probe *probe, void *userdata) {
        (void)probe, (void)userdata;
        return HALE_PENDING;
}

static int check_fast(hale_probe *probe, void *userdata) {
        (void)probe, (void)userdata;
        return 0;
}

static int repair(hale_remedy *remedy, void *userdata) {
        (void)remedy, (void)userdata;
        return 0;
}

static int work(hale_worker *worker, void *userdata) {
        struct pollfd stop = { .fd = hale_worker_get_stop_fd(worker), .events = POLLIN };
        App *app = userdata;

        if (atomic_fetch_add(&app->n_starts, 1) == 0)
                return -EIO;

        while (!hale_worker_should_stop(worker))
                (void)poll(&stop, 1, -1);
        return 0;
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        App *app = userdata;

        (void)source;
        app->sick = info->ssi_signo == SIGUSR1;
        (void)hale_probe_run(app->ready);
        (void)hale_probe_warn(app->pushed, "news");
        if (app->sick)
                (void)hale_link_down(app->link, "told to be down");
        else
                (void)hale_link_up(app->link);
        return 0;
}

static int add_probes(hale_service *service, App *app) {
        const struct {
                const char *name;
                int gates;
                hale_probe_check_t check;
                const char *spec;
                bool blocking;
        } rows[] = {
                { "ready", HALE_GATE_READY, check_ready, NULL, false },
                { "secret", HALE_GATE_NONE, check_secret, NULL, false },
                { "slow", HALE_GATE_NONE, check_slow, NULL, false },
                { "blocking", HALE_GATE_NONE, check_fast, NULL, true },
                { "live", HALE_GATE_LIVE, check_fast, NULL, false },
                { "pushed", HALE_GATE_NONE, NULL, NULL, false },
                { "absent", HALE_GATE_NONE, NULL, "file:/nowhere/s3cret", false },
                { "loop", HALE_GATE_NONE, NULL, "loop:", false },
        };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < sizeof(rows) / sizeof(rows[0]); i++) {
                hale_probe *probe;

                r = rows[i].spec ? hale_service_add_check(service, NULL, rows[i].name,
                                                          rows[i].gates, rows[i].spec)
                                 : hale_service_add_probe(service, NULL, rows[i].name,
                                                          rows[i].gates, rows[i].check, app);
                if (r < 0)
                        break;
                probe = hale_service_find_probe(service, rows[i].name);
                if (rows[i].blocking)
                        r = hale_probe_set_blocking(probe, 1);
                if (r >= 0 && rows[i].check == check_slow)
                        r = hale_probe_set_timeout_usec(probe, 20 * 1000);
                if (r >= 0)
                        r = hale_probe_set_interval_usec(probe, 100 * 1000);
                if (r >= 0)
                        r = hale_probe_set_thresholds(probe, 1, 1);
        }

        if (r >= 0)
                r = hale_probe_add_remedy(hale_service_find_probe(service, "secret"), NULL, "vain",
                                          2, repair, NULL);
        if (r >= 0)
                r = hale_service_add_check(service, NULL, "memory", HALE_GATE_NONE, "memory:");
        if (r >= 0)
                r = hale_probe_add_memory_ladder(hale_service_find_probe(service, "memory"));
        app->ready = hale_service_find_probe(service, "ready");
        app->pushed = hale_service_find_probe(service, "pushed");
        return r;
}

static int add_signals(hale_service *service, App *app) {
        struct sd_event *event = hale_service_get_event(service);
        sigset_t signals;
        int r;

        (void)sigemptyset(&signals);
        (void)sigaddset(&signals, SIGUSR1);
        (void)sigaddset(&signals, SIGUSR2);
        if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
                return -errno;

        r = sd_event_add_signal(event, NULL, SIGUSR1, on_signal, app);
        if (r >= 0)
                r = sd_event_add_signal(event, NULL, SIGUSR2, on_signal, app);
        return r;
}

static int add_all(hale_service *service, App *app, char *argv[]) {
        hale_worker *worker;
        int r;

        r = add_probes(service, app);
        if (r >= 0)
                r = add_signals(service, app);
        if (r >= 0)
                r = hale_service_add_link(service, NULL, "db", NULL, NULL);
        if (r < 0)
                return r;

        app->link = hale_service_find_link(service, "db");
        r = hale_link_set_gates(app->link, HALE_GATE_NONE);
        if (r >= 0)
                r = hale_service_add_worker(service, NULL, "fitful", work, app);
        if (r < 0)
                return r;

        worker = hale_service_find_worker(service, "fitful");
        r = hale_worker_set_thread(worker, 1);
        if (r >= 0)
                r = hale_service_listen_http(service, argv[1]);
        if (r >= 0 && argv[2])
                r = hale_service_set_bus_name(service, argv[2]);
        return r;
}

int main(int argc, char *argv[]) {
        hale_service *service = NULL;
        App app = {};
        int r;

        if (argc < 2) {
                fprintf(stderr, "metrics-service ADDRESS [BUS-NAME]\n");
                return 2;
        }

        r = hale_service_new(&service, "scraped");
        if (r >= 0)
                r = add_all(service, &app, argv);
        if (r >= 0)
                r = hale_service_run(service);
        hale_service_unref(service);
        return hale_exit_status(r);
}
