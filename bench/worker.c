/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * worker: from the death of a worker to the work of its replacement
 *
 *     worker [--rounds=N] [--json]
 *
 * Starts itself as a service with one worker, kills that, and takes the time
 * until the worker's function runs again: with an empty heap and with a gigabyte
 * of written memory in the service, with a warm spare, and for a worker that
 * hangs with a limit of 20 ms. Beside it, in the same turn, the floor: a program
 * of a few lines that waits for its child and forks the next.
 *
 * Each line is the median and, in brackets, the tenth and the ninetieth of a
 * hundred. Prints the aims as well; a missed one is no failure.
 */

#include <errno.h>
#include <fcntl.h>
#include <hale/hale.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nsec.h"

#define ROUNDS_MAX 1000

/* What the worker tells the bench, over stdout: who it is, and when it began. */
typedef struct Word {
        pid_t pid;
        uint64_t main_nsec; /* main() of its process */
        uint64_t work_nsec; /* its function */
        uint64_t hung_nsec; /* its last beat, 0 if it goes on */
} Word;

static uint64_t main_nsec;

static void tell(uint64_t hung_nsec) {
        const Word word = { getpid(), main_nsec, now_nsec(CLOCK_MONOTONIC), hung_nsec };

        (void)!write(STDOUT_FILENO, &word, sizeof(word));
}

static int work(hale_worker *worker, void *userdata) {
        (void)userdata;
        tell(0);
        while (!hale_worker_should_stop(worker))
                (void)pause();
        return 0;
}

/* Beats every 5 ms for a while, says when it did the last time, and does no more. */
static int work_and_hang(hale_worker *worker, void *userdata) {
        struct pollfd stop = { .fd = hale_worker_get_stop_fd(worker), .events = POLLIN };

        (void)userdata;
        tell(0);
        for (unsigned i = 0; i < 20; i++) {
                (void)hale_worker_beat(worker);
                (void)poll(&stop, 1, 5);
        }
        (void)hale_worker_beat(worker);
        tell(now_nsec(CLOCK_MONOTONIC));
        for (;;)
                (void)pause();
        return 0;
}

/* The service under test: "serve MIB SPARE HUNG". */
static int serve(unsigned long mib, int spare, int hung) {
        hale_service *service;
        hale_worker *worker;
        char *heap;
        int r;

        r = hale_service_new(&service, "bench");
        if (r >= 0)
                r = hale_service_add_worker(service, &worker, "worker", hung ? work_and_hang : work,
                                            NULL);
        if (r >= 0)
                r = hale_worker_set_backoff_usec(worker, 1, 1);
        if (r >= 0)
                r = hale_worker_set_intensity(worker, 64, 1000000);
        if (r >= 0)
                r = hale_worker_set_spare(worker, spare);
        if (r >= 0 && hung)
                r = hale_worker_set_heartbeat_usec(worker, 20000);
        if (r >= 0 && mib > 0 && !hale_service_is_worker(service)) {
                heap = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                            -1, 0);
                if (heap == MAP_FAILED)
                        return EXIT_FAILURE;
                (void)madvise(heap, mib << 20, MADV_NOHUGEPAGE);
                memset(heap, 1, mib << 20);
        }
        if (r >= 0)
                r = hale_service_run(service);
        return hale_exit_status(r);
}

/* The floor: nothing but waitpid(2) and fork(2). */
static int serve_floor(void) {
        for (;;) {
                pid_t pid = fork();

                if (pid < 0)
                        return EXIT_FAILURE;
                if (pid == 0) {
                        main_nsec = now_nsec(CLOCK_MONOTONIC);
                        tell(0);
                        for (;;)
                                (void)pause();
                }
                (void)waitpid(pid, NULL, 0);
        }
}

typedef struct Bench {
        pid_t pid;
        int fd;
} Bench;

static int bench_start(Bench *bench, const char *const arguments[]) {
        int fds[2];

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;

        bench->fd = fds[0];
        bench->pid = fork();
        if (bench->pid < 0)
                return -errno;
        if (bench->pid == 0) {
                int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

                (void)setpgid(0, 0);
                (void)dup2(fds[1], STDOUT_FILENO);
                (void)dup2(null, STDERR_FILENO);
                (void)execv("/proc/self/exe", (char *const *)arguments);
                _exit(127);
        }

        (void)close(fds[1]);
        return 0;
}

static void bench_stop(Bench *bench) {
        (void)kill(bench->pid, SIGKILL);
        (void)waitpid(bench->pid, NULL, 0);
        (void)close(bench->fd);
}

static int hear(const Bench *bench, Word *ret) {
        return read(bench->fd, ret, sizeof(*ret)) == (ssize_t)sizeof(*ret) ? 0 : -EPIPE;
}

typedef struct Figure {
        const char *name, *what;
        unsigned long mib;
        int spare, hung, floor;
        double aim_msec; /* 0: none */
        uint64_t nsec[ROUNDS_MAX];
        uint64_t main_nsec[ROUNDS_MAX];
        unsigned n;
} Figure;

static int measure_kill(Figure *figure, const Bench *bench, unsigned rounds) {
        uint64_t killed;
        Word word;
        int r;

        r = hear(bench, &word);
        while (r >= 0 && figure->n < rounds) {
                /* Until it sleeps, and the next spare is ready; and below 64 restarts a second. */
                (void)poll(NULL, 0, 25);
                killed = now_nsec(CLOCK_MONOTONIC);
                if (kill(word.pid, SIGKILL) < 0)
                        return -errno;
                r = hear(bench, &word);
                figure->nsec[figure->n] = word.work_nsec - killed;
                figure->main_nsec[figure->n++] = word.main_nsec - killed;
        }
        return r;
}

static int measure_hung(Figure *figure, const Bench *bench, unsigned rounds) {
        uint64_t hung = 0;
        Word word;
        int r = 0;

        while (figure->n < rounds && (r = hear(bench, &word)) >= 0) {
                if (word.hung_nsec == 0 && hung > 0) {
                        figure->nsec[figure->n] = word.work_nsec - hung;
                        figure->main_nsec[figure->n++] = word.main_nsec - hung;
                }
                hung = word.hung_nsec;
        }
        return r;
}

static int measure(Figure *figure, unsigned rounds) {
        char mib[16], spare[4], hung[4];
        Bench bench = { .fd = -1 };
        int r;

        (void)snprintf(mib, sizeof(mib), "%lu", figure->mib);
        (void)snprintf(spare, sizeof(spare), "%d", figure->spare);
        (void)snprintf(hung, sizeof(hung), "%d", figure->hung);
        r = bench_start(&bench, figure->floor ? (const char *const[]){ "worker", "floor", NULL }
                                              : (const char *const[]){ "worker", "serve", mib,
                                                                       spare, hung, NULL });
        if (r < 0)
                return r;

        r = figure->hung ? measure_hung(figure, &bench, rounds)
                         : measure_kill(figure, &bench, rounds);
        bench_stop(&bench);
        return r;
}

static double at(uint64_t *nsec, unsigned n, unsigned percent) {
        qsort(nsec, n, sizeof(*nsec), compare_u64);
        return (double)nsec[(n - 1) * percent / 100] / 1e6;
}

static void print_line(Figure *f) {
        char aim[32] = "", begun[32] = "";

        if (f->aim_msec > 0)
                (void)snprintf(aim, sizeof(aim), "  aim %.1f %s", f->aim_msec,
                               at(f->nsec, f->n, 50) <= f->aim_msec ? "met" : "MISSED");
        /* The main() of a spare was long before. */
        if (!f->spare)
                (void)snprintf(begun, sizeof(begun), ", main() %.2f", at(f->main_nsec, f->n, 50));
        printf("%-52s %7.2f ms (%.2f-%.2f)%s%s\n", f->what, at(f->nsec, f->n, 50),
               at(f->nsec, f->n, 10), at(f->nsec, f->n, 90), begun, aim);
}

static void print_json(Figure *f, const char *separator) {
        printf("\"%s\": {\"median_msec\": %.3f, \"p10_msec\": %.3f, \"p90_msec\": %.3f, "
               "\"main_msec\": %.3f, \"aim_msec\": %.1f, \"rounds\": %u}%s",
               f->name, at(f->nsec, f->n, 50), at(f->nsec, f->n, 10), at(f->nsec, f->n, 90),
               f->spare ? 0 : at(f->main_nsec, f->n, 50), f->aim_msec, f->n, separator);
}

/* clang-format off */
static Figure figures[] = {
        { "floor",       "waitpid() and fork(), nothing else",        0, 0, 0, 1,  0,  {}, {}, 0 },
        { "kill",        "SIGKILL, empty heap",                       0, 0, 0, 0,  1.3, {}, {}, 0 },
        { "kill_1gib",   "SIGKILL, 1 GiB of written heap",         1024, 0, 0, 0,  1.3, {}, {}, 0 },
        { "spare",       "SIGKILL, warm spare",                       0, 1, 0, 0,  0.6, {}, {}, 0 },
        { "spare_1gib",  "SIGKILL, warm spare, 1 GiB",             1024, 1, 0, 0,  0.6, {}, {}, 0 },
        { "hung",        "hung, limit 20 ms: last beat to new work",  0, 0, 1, 0, 40,  {}, {}, 0 },
        { "hung_spare",  "the same with a warm spare",                0, 1, 1, 0, 40,  {}, {}, 0 },
};
/* clang-format on */

#define N_FIGURES (sizeof(figures) / sizeof(*figures))

int main(int argc, char *argv[]) {
        unsigned rounds = 100;
        int json = 0, r = 0;

        main_nsec = now_nsec(CLOCK_MONOTONIC);
        if (argc == 5 && strcmp(argv[1], "serve") == 0)
                return serve(strtoul(argv[2], NULL, 10), argv[3][0] == '1', argv[4][0] == '1');
        if (argc == 2 && strcmp(argv[1], "floor") == 0)
                return serve_floor();

        for (int i = 1; i < argc; i++)
                if (strcmp(argv[i], "--json") == 0)
                        json = 1;
                else if (sscanf(argv[i], "--rounds=%u", &rounds) != 1 || rounds == 0 ||
                         rounds > ROUNDS_MAX) {
                        fprintf(stderr, "worker [--rounds=N] [--json]\n");
                        return 2;
                }

        for (size_t i = 0; i < N_FIGURES && r >= 0; i++) {
                r = measure(&figures[i], figures[i].hung ? (rounds + 3) / 4 : rounds);
                if (r >= 0 && !json)
                        print_line(&figures[i]);
        }
        if (r < 0) {
                fprintf(stderr, "worker: %s\n", strerror(-r));
                return 1;
        }

        for (size_t i = 0; i < N_FIGURES && json; i++) {
                if (i == 0)
                        printf("{");
                print_json(&figures[i], i + 1 < N_FIGURES ? ", " : "}\n");
        }
        return 0;
}
