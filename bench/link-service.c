/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * link-postgres, link-redis: how soon a link is back when its server is
 *
 *     link-KIND serve TARGET     a service with one link: says when that is up and down
 *     link-KIND watch TARGET     a client without libhale, which tries every millisecond
 *                                until the server takes it in
 *
 * Both speak of CLOCK_MONOTONIC in nanoseconds, a line each:
 *
 *     up TIME ATTEMPTS | down TIME ATTEMPTS          serve; attempts since its start
 *     refused TIME                                   watch, for the first refusal
 *     answered TIME LAST_REFUSED REFUSALS            and at its end
 *
 * The server began to accept between the beginning of the last attempt that it refused
 * and the end of the one that it answered.
 */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "link-bench.h"
#include "nsec.h"

#define WATCH_PAUSE_MSEC 1
#define WATCH_LIMIT_NSEC (20 * NSEC_PER_SEC)

/*
 * Afterwards the link is as one that has been up for the ten seconds of the default:
 * what failed before is forgotten. All else is as a service finds it.
 */
#define STABLE_USEC 1000

static void on_change(hale_link *link, void *userdata) {
        (void)userdata;
        printf("%s %" PRIu64 " %" PRIu64 "\n", hale_link_is_up(link) ? "up" : "down",
               now_nsec(CLOCK_MONOTONIC), hale_link_get_n_attempts(link));
        (void)fflush(stdout);
}

static int serve(const char *target) {
        hale_service *service = NULL;
        hale_link *link = NULL;
        int r;

        r = hale_service_new(&service, "bench");
        if (r >= 0)
                r = link_bench_add(service, &link, target);
        if (r >= 0)
                r = hale_link_set_stable_usec(link, STABLE_USEC);
        if (r >= 0)
                r = hale_link_on_change(link, on_change, NULL);
        if (r >= 0)
                r = hale_service_run(service);
        hale_link_unref(link);
        hale_service_unref(service);
        return hale_exit_status(r);
}

static int watch(const char *target) {
        uint64_t began = now_nsec(CLOCK_MONOTONIC), refused = 0;
        unsigned n_refused = 0;

        for (;;) {
                uint64_t tried = now_nsec(CLOCK_MONOTONIC);

                if (link_bench_try(target))
                        break;
                if (tried - began > WATCH_LIMIT_NSEC)
                        return 1;

                refused = tried;
                if (n_refused++ == 0) {
                        printf("refused %" PRIu64 "\n", refused);
                        (void)fflush(stdout);
                }
                (void)poll(NULL, 0, WATCH_PAUSE_MSEC);
        }

        printf("answered %" PRIu64 " %" PRIu64 " %u\n", now_nsec(CLOCK_MONOTONIC), refused,
               n_refused);
        return 0;
}

int main(int argc, char *argv[]) {
        if (argc == 3 && strcmp(argv[1], "serve") == 0)
                return serve(argv[2]);
        if (argc == 3 && strcmp(argv[1], "watch") == 0)
                return watch(argv[2]);

        fprintf(stderr, "%s serve|watch TARGET\n", argv[0]);
        return 2;
}
