/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * ping: what one WATCHDOG=1 costs the sender
 *
 *     ping N
 *
 * In turns, a batch each: report/notify, the limit (send(2) on a socket that
 * stays open) and sd_notify(3). The receiver reads between the batches, so that
 * nobody waits for it. CPU time of this thread, in nanoseconds a ping.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macro.h"
#include "nsec.h"
#include "report/notify.h"

/* Below net.unix.max_dgram_qlen, which is 10 by default: no batch meets a full queue. */
#define BATCH 8
#define N_MAX 10000000

#define PING "WATCHDOG=1"

typedef struct Bench {
        char folder[32], path[64];
        int receiver_fd, raw_fd;
        Notify notify;
        uint64_t nsec[3];
} Bench;

static int ping_notify(Bench *bench) {
        return notify_watchdog(&bench->notify, now_nsec(CLOCK_MONOTONIC) / 1000) == 1 ? 0 : -EIO;
}

static int ping_raw(Bench *bench) {
        return send(bench->raw_fd, PING, strlen(PING), MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int ping_libsystemd(Bench *bench) {
        int r;

        (void)bench;
        r = sd_notify(0, PING);
        return r < 0 ? r : r > 0 ? 0 : -ENOTCONN;
}

static int (*const ways[])(Bench *bench) = { ping_notify, ping_raw, ping_libsystemd };

static int bench_init(Bench *bench) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        (void)snprintf(bench->folder, sizeof(bench->folder), "/tmp/hale-bench-XXXXXX");
        if (!mkdtemp(bench->folder))
                return -errno;

        (void)snprintf(bench->path, sizeof(bench->path), "%s/notify", bench->folder);
        memcpy(address.sun_path, bench->path, strlen(bench->path) + 1);
        bench->receiver_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        bench->raw_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (bench->receiver_fd < 0 || bench->raw_fd < 0 ||
            bind(bench->receiver_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            connect(bench->raw_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            setenv("NOTIFY_SOCKET", bench->path, 1) < 0)
                return -errno;

        return notify_init(&bench->notify, bench->path);
}

static void bench_done(Bench *bench) {
        notify_done(&bench->notify);
        (void)fd_close(bench->raw_fd);
        (void)fd_close(bench->receiver_fd);
        (void)unlink(bench->path);
        (void)rmdir(bench->folder);
}

static int run_batch(Bench *bench, size_t way) {
        uint64_t started = now_nsec(CLOCK_THREAD_CPUTIME_ID);
        char message[64];

        for (unsigned i = 0; i < BATCH; i++) {
                int r;

                r = ways[way](bench);
                if (r < 0)
                        return r;
        }
        bench->nsec[way] += now_nsec(CLOCK_THREAD_CPUTIME_ID) - started;

        for (unsigned i = 0; i < BATCH; i++)
                if (recv(bench->receiver_fd, message, sizeof(message), MSG_DONTWAIT) !=
                            (ssize_t)strlen(PING) ||
                    memcmp(message, PING, strlen(PING)) != 0)
                        return -EBADMSG;
        return 0;
}

static int run(Bench *bench, uint64_t n_batches) {
        int r;

        for (size_t way = 0; way < ELEMENTSOF(ways); way++) {
                r = run_batch(bench, way); /* connects, and warms caches */
                if (r < 0)
                        return r;
                bench->nsec[way] = 0;
        }

        for (uint64_t i = 0; i < n_batches; i++)
                for (size_t way = 0; way < ELEMENTSOF(ways); way++) {
                        r = run_batch(bench, way);
                        if (r < 0)
                                return r;
                }
        return 0;
}

int main(int argc, char *argv[]) {
        uint64_t n = argc == 2 ? strtoull(argv[1], NULL, 10) : 0;
        Bench bench = { .receiver_fd = -EBADF, .raw_fd = -EBADF, .notify = NOTIFY_INIT };
        double n_pings = (double)(n / BATCH * BATCH);
        int r;

        if (n < BATCH || n > N_MAX) {
                fprintf(stderr, "ping N\n");
                return 2;
        }

        r = bench_init(&bench);
        if (r >= 0)
                r = run(&bench, n / BATCH);
        if (r < 0)
                fprintf(stderr, "ping: %s\n", strerror(-r));
        else
                printf("{\"notify_nsec\": %.1f, \"raw_nsec\": %.1f, \"libsystemd_nsec\": %.1f}\n",
                       (double)bench.nsec[0] / n_pings, (double)bench.nsec[1] / n_pings,
                       (double)bench.nsec[2] / n_pings);

        bench_done(&bench);
        return r < 0;
}
