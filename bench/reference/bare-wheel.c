/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Reference: the bare wheel
 *
 *     bare-wheel N
 *
 * One timerfd that fires ten times a second, ten buckets, and in each turn one
 * bucket whose callbacks are called: N a second in all. No deadlines, verdicts
 * or jitter; nothing that calls N functions a second wakes up less or does less.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define BUCKETS 10

typedef struct Item {
        struct Item *next;
        int (*call)(void *userdata);
        void *userdata;
} Item;

static int count(void *userdata) {
        (*(uint64_t *)userdata)++;
        return 0;
}

static int turn_for_ever(int timer_fd, Item *buckets[BUCKETS]) {
        unsigned bucket = 0;
        uint64_t n_ticks;

        while (read(timer_fd, &n_ticks, sizeof(n_ticks)) == sizeof(n_ticks))
                for (; n_ticks > 0; n_ticks--, bucket = (bucket + 1) % BUCKETS)
                        for (Item *item = buckets[bucket]; item; item = item->next)
                                (void)item->call(item->userdata);
        return -1;
}

int main(int argc, char *argv[]) {
        struct itimerspec every = { { 0, 1000000000 / BUCKETS }, { 0, 1000000000 / BUCKETS } };
        static Item *buckets[BUCKETS];
        static uint64_t n_calls;
        size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
        Item *items;
        int timer_fd;

        items = calloc(n, sizeof(Item));
        timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
        if (n == 0 || !items || timer_fd < 0 || timerfd_settime(timer_fd, 0, &every, NULL) < 0) {
                fprintf(stderr, "bare-wheel N\n");
                return 1;
        }

        for (size_t i = 0; i < n; i++) {
                items[i] = (Item){ buckets[i % BUCKETS], count, &n_calls };
                buckets[i % BUCKETS] = &items[i];
        }

        return turn_for_ever(timer_fd, buckets) < 0;
}
