/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * patient: a service for the scenarios that break things. It may be broken by
 * InjectFault(), has a worker, and gives back its cache when it is asked to. Called
 * with "leak", it leaks: quickly up to 90 % of its limit, slowly up to 96 %, and then a
 * little all the time, as programs do that are found dead in the morning. With "flood"
 * it leaks ten megabytes a second, and does not stop.
 */

#include <hale/hale.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEGABYTE ((size_t)1024 * 1024)

static void *cache;
static bool leaks, floods;

static void *fill(size_t size) {
        void *memory = malloc(size);

        if (memory)
                explicit_bzero(memory, size); /* now it is resident */
        return memory;
}

static void give_back(hale_service *service, void *userdata) {
        (void)service, (void)userdata;
        (void)puts(cache ? "the cache is given back" : "there is nothing to give back");
        (void)fflush(stdout);
        free(cache);
        cache = NULL;
}

/* What the memory probe said last: "91M of 96M in use (95%), ...". */
static int percent_used(hale_probe *memory) {
        const char *at = strchr(hale_probe_get_output(memory), '(');

        return at ? (int)strtol(at + 1, NULL, 10) : 0;
}

static size_t leak_size(int percent) {
        return floods || percent < 90 ? MEGABYTE / 2 : percent < 96 ? MEGABYTE / 64 : 256;
}

static int work(hale_probe *probe, void *userdata) {
        hale_probe *memory = hale_service_find_probe(userdata, "memory");

        (void)probe;
        if (memory && leaks)
                (void)fill(leak_size(percent_used(memory)));
        return 0;
}

static int mail(hale_worker *worker, void *userdata) {
        (void)userdata;
        while (!hale_worker_should_stop(worker)) {
                (void)hale_worker_beat(worker);
                (void)poll(&(struct pollfd){ .fd = hale_worker_get_stop_fd(worker),
                                             .events = POLLIN },
                           1, 20);
        }
        return 0;
}

static int add_all(hale_service *service) {
        hale_worker *worker;
        hale_probe *probe;
        int r;

        r = hale_service_add_probe(service, &probe, "engine", HALE_GATE_LIVE, work, service);
        if (r < 0)
                return r;
        (void)hale_probe_set_interval_usec(probe, 50 * 1000);
        hale_probe_unref(probe);

        r = hale_service_add_check(service, &probe, "memory", HALE_GATE_NONE, "memory:");
        if (r < 0)
                return r;
        (void)hale_probe_set_interval_usec(probe, 50 * 1000);
        r = hale_probe_add_memory_ladder(probe);
        hale_probe_unref(probe);
        if (r < 0)
                return r;

        r = hale_service_add_worker(service, &worker, "mailer", mail, NULL);
        if (r < 0)
                return r;
        r = hale_worker_set_heartbeat_usec(worker, 1000 * 1000);
        hale_worker_unref(worker);
        return r;
}

int main(int argc, char *argv[]) {
        hale_service *service = NULL;
        int r;

        floods = argc > 1 && strcmp(argv[1], "flood") == 0;
        leaks = floods || (argc > 1 && strcmp(argv[1], "leak") == 0);

        r = hale_service_new(&service, "patient");
        if (r >= 0)
                r = hale_service_set_bus_name(service, "org.hale.Demo");
        if (r >= 0)
                r = hale_service_allow_faults(service, 1);
        if (r >= 0)
                r = hale_service_on_trim(service, give_back, NULL);
        if (r >= 0)
                r = add_all(service);
        if (r >= 0) {
                cache = hale_service_is_worker(service) ? NULL : fill(4 * MEGABYTE);
                r = hale_service_run(service);
        }
        free(cache);
        hale_service_unref(service);
        return hale_exit_status(r);
}
