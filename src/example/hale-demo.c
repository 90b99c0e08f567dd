/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * hale-demo: a whole service. It watches its loop, its memory, its descriptors,
 * the disk and what it depends on. Files in its working folder, which is
 * /run/hale-demo when systemd runs it, make it sick:
 *
 *   sick.ready   it takes no orders: /readyz is closed; nobody restarts it, rm heals it
 *   sick.live    it is beyond help: /livez is closed, and systemd is asked to restart it
 *   sick.leak    its memory grows, and before MemoryMax= is reached it ends, to be restarted
 *   sick.hang    its loop stops, and systemd's watchdog misses the pings
 */

#include <argp.h>
#include <hale/hale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *arg_listen, *arg_depends_on;

static int is(const char *sick) {
        return access(sick, F_OK) == 0;
}

static int check_orders(hale_probe *probe, void *userdata) {
        return is("sick.ready") ? hale_probe_fail(probe, "told to take no orders") : 0;
}

static int check_engine(hale_probe *probe, void *userdata) {
        void *leaked = is("sick.leak") ? malloc(2 << 20) : NULL;

        if (leaked)
                explicit_bzero(leaked, 2 << 20); /* now it is resident */
        while (is("sick.hang"))
                (void)pause();
        return is("sick.live") ? hale_probe_fail(probe, "told to be beyond help") : 0;
}

static int add_probes(hale_service *demo) {
        const struct probe {
                const char *name;
                int gates;
                hale_probe_check_t check; /* asks a question of our own; or */
                const char *spec;         /* one that hale knows how to ask */
        } probes[] = {
                { "engine", HALE_GATE_LIVE, check_engine, NULL },
                { "orders", HALE_GATE_READY, check_orders, NULL },
                { "loop", HALE_GATE_LIVE, NULL, "loop:" },
                { "memory", HALE_GATE_NONE, NULL, "memory:" },
                { "fds", HALE_GATE_READY, NULL, "fds:" },
                { "disk", HALE_GATE_READY, NULL, "disk:/?free=1%" },
                { "dependency", HALE_GATE_READY, NULL, arg_depends_on },
        };
        const size_t n = arg_depends_on ? 7 : 6;
        int r = 0;

        for (const struct probe *p = probes; r >= 0 && p < probes + n; p++) {
                r = p->check ? hale_service_add_probe(demo, NULL, p->name, p->gates, p->check, NULL)
                             : hale_service_add_check(demo, NULL, p->name, p->gates, p->spec);
                if (r >= 0) /* often, so that a demonstration need not wait */
                        r = hale_probe_set_interval_usec(hale_service_find_probe(demo, p->name),
                                                         500 * 1000);
        }
        return r < 0 ? r : hale_probe_add_memory_ladder(hale_service_find_probe(demo, "memory"));
}

static error_t parse(int key, char *value, struct argp_state *state) {
        if (key == 'l')
                arg_listen = value;
        else if (key == 'd')
                arg_depends_on = value;
        return key == 'l' || key == 'd' ? 0 : ARGP_ERR_UNKNOWN;
}

int main(int argc, char *argv[]) {
        static const struct argp_option options[] = {
                { "listen", 'l', "ADDRESS", 0, "Serve HTTP: 8080, [::1]:8080, /run/my.http", 0 },
                { "depends-on", 'd', "SPEC", 0, "Be ready only while tcp://HOST:PORT answers", 0 },
                { 0 },
        };
        static const struct argp argp = { .options = options,
                                          .parser = parse,
                                          .doc = "A service that watches its health." };
        hale_service *service = NULL;
        int r;

        argp_parse(&argp, argc, argv, 0, NULL, NULL);
        r = hale_service_new(&service, "hale-demo");
        if (r >= 0)
                r = hale_service_set_bus_name(service, "org.hale.Demo");
        if (r >= 0 && arg_listen)
                r = hale_service_listen_http(service, arg_listen);
        if (r >= 0)
                r = add_probes(service);
        if (r >= 0)
                r = hale_service_run(service);
        hale_service_unref(service);
        return hale_exit_status(r);
}
