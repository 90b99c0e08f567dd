/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * hale-demo: a whole service. It watches its loop, its memory, its descriptors,
 * the disk, and what it depends on. To see it sick, write a word into its control file:
 *
 *   ready   it takes no orders: /readyz is closed, nobody restarts it, emptying the file heals it
 *   live    it is beyond help: /livez is closed, and systemd is asked to restart it
 *   leak    its memory grows, until the memory probe says that it is beyond help
 *   hang    its loop stops, and systemd's watchdog misses the pings
 */

#include <argp.h>
#include <hale/hale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *arg_listen, *arg_depends_on, *arg_control;

static int is_sick(const char *word) {
        FILE *file = arg_control ? fopen(arg_control, "re") : NULL;
        char line[16] = "";

        if (file && fgets(line, sizeof(line), file))
                line[strcspn(line, "\n")] = '\0';
        if (file)
                (void)fclose(file);
        return strcmp(line, word) == 0;
}

static int check_orders(hale_probe *probe, void *userdata) {
        return is_sick("ready") ? hale_probe_fail(probe, "told to take no orders") : 0;
}

static int check_engine(hale_probe *probe, void *userdata) {
        char *volatile leaked = is_sick("leak") ? malloc(2 << 20) : NULL;

        if (leaked)
                memset(leaked, 1, 2 << 20);
        while (is_sick("hang"))
                (void)pause();
        return is_sick("live") ? hale_probe_fail(probe, "told to be beyond help") : 0;
}

static int set_up(hale_service *service) {
        const struct {
                const char *name;
                int gates;
                hale_probe_check_t ask; /* a question of our own, or */
                const char *spec;       /* one that hale knows how to ask */
        } probes[] = {
                { "engine", HALE_GATE_LIVE, check_engine, NULL },
                { "orders", HALE_GATE_READY, check_orders, NULL },
                { "loop", HALE_GATE_LIVE, NULL, "loop:" },
                { "memory", HALE_GATE_LIVE, NULL, "memory:?max=90%&rss_max=48M" },
                { "fds", HALE_GATE_READY, NULL, "fds:" },
                { "disk", HALE_GATE_READY, NULL, "disk:/?free=1%" },
                { "dependency", HALE_GATE_READY, NULL, arg_depends_on },
        };
        int r = hale_service_set_bus_name(service, "org.hale.Demo");

        if (r >= 0 && arg_listen)
                r = hale_service_listen_http(service, arg_listen);
        for (size_t i = 0; i < (arg_depends_on ? 7 : 6) && r >= 0; i++) {
                const char *name = probes[i].name;
                int gates = probes[i].gates;

                r = probes[i].ask
                            ? hale_service_add_probe(service, NULL, name, gates, probes[i].ask,
                                                     NULL)
                            : hale_service_add_check(service, NULL, name, gates, probes[i].spec);
                if (r >= 0) /* twice a second, so that a demonstration need not wait */
                        r = hale_probe_set_interval_usec(hale_service_find_probe(service, name),
                                                         500000);
        }
        return r;
}

static error_t parse(int key, char *value, struct argp_state *state) {
        const char **arg = key == 'l' ? &arg_listen : key == 'd' ? &arg_depends_on : &arg_control;

        if (key != 'l' && key != 'd' && key != 'c')
                return ARGP_ERR_UNKNOWN;
        *arg = value;
        return 0;
}

int main(int argc, char *argv[]) {
        static const struct argp_option options[] = {
                { "listen", 'l', "ADDRESS", 0, "Serve HTTP at 8080, [::1]:8080, /run/x.http ...",
                  0 },
                { "depends-on", 'd', "SPEC", 0,
                  "Be ready only while this passes: tcp://HOST:PORT ...", 0 },
                { "control", 'c', "FILE", 0, "Be sick as the file says: ready, live, leak, hang",
                  0 },
                { 0 },
        };
        static const struct argp argp = { .options = options, .parser = parse };
        hale_service *service = NULL;
        int r;

        argp_parse(&argp, argc, argv, 0, NULL, NULL);
        r = hale_service_new(&service, "hale-demo");
        if (r >= 0)
                r = set_up(service);
        if (r >= 0)
                r = hale_service_run(service);
        hale_service_unref(service);
        return hale_exit_status(r);
}
