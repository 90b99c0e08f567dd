/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * worker: from the death of a worker to the work of its replacement
 *
 *     worker [--rounds=N] [--heap=MIB] [--json]
 *
 * Starts itself as services with one worker, kills that, and takes the time until
 * main() of the next process begins, and until the worker's function does: with an
 * empty heap and with a gigabyte (--heap) of written memory in the service, with a
 * warm spare, and for a worker that hangs with a limit of 20 ms. Beside them what
 * the same costs without libhale: programs of a few lines that wait for their child
 * and fork the next, or execute a bare one.
 *
 * Each round kills one worker of each, one after the other, so that what else the
 * machine does meets them alike. A line is the median and, in brackets, the tenth
 * and the ninetieth of a hundred. Prints the aims as well; a missed one is no failure.
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker-subject.h"

#define ROUNDS_MAX 1000

/* Before each kill: until everybody sleeps, and the next spare waits; with all the subjects of a
 * round that is long enough to stay below 64 restarts a second. */
#define SETTLE_MSEC 15

typedef struct Figure {
        const char *name, *what;
        const char *mode, *argument, *flags;
        bool heap, hung;
        double aim_msec; /* 0: none */
} Figure;

/* clang-format off */
static const Figure figures[] = {
        { "fork",            "fork(), of this program",         "fork",  NULL, NULL, false, false, 0 },
        { "spawn_static",    "posix_spawn(), static",           "spawn", "first-word-static", NULL, false, false, 0 },
        { "spawn_libc",      "posix_spawn(), the C library",    "spawn", "first-word", NULL, false, false, 0 },
        { "spawn_libsystemd", "posix_spawn(), and libsystemd",  "spawn", "first-word-libsystemd", NULL, false, false, 0 },
        { "kill",            "SIGKILL, empty heap",             "serve", NULL, "-",  false, false, 1.3 },
        { "kill_heap",       "SIGKILL, written heap",           "serve", NULL, "-",  true,  false, 1.3 },
        { "spare",           "SIGKILL, warm spare",             "serve", NULL, "s",  false, false, 0.6 },
        { "spare_heap",      "SIGKILL, warm spare, written heap", "serve", NULL, "s", true, false, 0.6 },
        { "hung",            "hung, limit 20 ms",               "serve", NULL, "h",  false, true, 40 },
        { "hung_spare",      "hung, limit 20 ms, warm spare",   "serve", NULL, "sh", false, true, 40 },
};
/* clang-format on */

#define N_FIGURES (sizeof(figures) / sizeof(*figures))

typedef struct Result {
        Subject subject;
        Word word; /* its worker's last */
        char *arguments[5];
        char path[256], heap_text[16];
        bool there;
        uint64_t main_nsec[ROUNDS_MAX], work_nsec[ROUNDS_MAX];
        unsigned n, n_false; /* taken for hung, and was not */
} Result;

static Result results[N_FIGURES];
static unsigned long arg_heap = 1024;
static unsigned arg_rounds = 100;
static bool arg_json;

/* The bare programs lie beside this one; a static one cannot be linked everywhere. */
static bool find_program(Result *result, const char *name) {
        ssize_t n = readlink("/proc/self/exe", result->path, sizeof(result->path) - 1);
        char *end;

        if (n < 0)
                return false;

        result->path[n] = '\0';
        end = strrchr(result->path, '/') + 1;
        (void)snprintf(end, (size_t)(result->path + sizeof(result->path) - end), "%s", name);
        return access(result->path, X_OK) == 0;
}

static bool prepare(const Figure *figure, Result *result) {
        static char self[] = "worker";
        unsigned n = 0;

        if (figure->heap && arg_heap == 0)
                return false;
        if (figure->argument && !find_program(result, figure->argument))
                return false;

        (void)snprintf(result->heap_text, sizeof(result->heap_text), "%lu",
                       figure->heap ? arg_heap : 0);
        result->arguments[n++] = self;
        result->arguments[n++] = (char *)(uintptr_t)figure->mode;
        if (figure->argument)
                result->arguments[n++] = result->path;
        if (figure->flags) {
                result->arguments[n++] = result->heap_text;
                result->arguments[n++] = (char *)(uintptr_t)figure->flags;
        }
        return true;
}

static void complain(const Figure *figure, const char *when, int error) {
        fprintf(stderr, "worker: %s: %s: %s\n", figure->what, when, strerror(-error));
}

static int start(const Figure *figure, Result *result) {
        int r;

        result->there = prepare(figure, result);
        if (!result->there)
                return 0;

        r = subject_start(&result->subject, result->arguments);
        if (r >= 0)
                r = subject_hear(&result->subject, &result->word);
        if (r >= 0 && figure->heap && subject_resident_mib(&result->subject) < arg_heap)
                r = -ENOMEM;
        if (r < 0)
                complain(figure, "start", r);
        return r;
}

static void take(Result *result, const Word *word, uint64_t since) {
        result->main_nsec[result->n] = word->main_nsec - since;
        result->work_nsec[result->n++] = word->work_nsec - since;
}

static int kill_one(Result *result) {
        uint64_t killed;
        Word word;
        int r;

        (void)poll(NULL, 0, SETTLE_MSEC);
        killed = now_nsec(CLOCK_MONOTONIC);
        if (kill(result->word.pid, SIGKILL) < 0)
                return -errno;

        r = subject_hear(&result->subject, &word);
        if (r < 0)
                return r;

        take(result, &word, killed);
        result->word = word;
        return 0;
}

/* Each round begins with another subject, so that nobody always comes after the same one. */
static int measure_kills(void) {
        int r = 0;

        for (size_t i = 0; i < N_FIGURES && r >= 0; i++)
                if (!figures[i].hung)
                        r = start(&figures[i], &results[i]);

        for (unsigned round = 0; round < arg_rounds; round++)
                for (size_t k = 0; k < N_FIGURES && r >= 0; k++) {
                        Result *result = &results[(k + round) % N_FIGURES];

                        if (result->there)
                                r = kill_one(result);
                        if (r < 0)
                                complain(&figures[(k + round) % N_FIGURES], "kill", r);
                }

        for (size_t i = 0; i < N_FIGURES; i++)
                subject_stop(&results[i].subject);
        return r;
}

/* Alone, for a worker with such a limit is replaced as soon as it does not get to run. */
static int measure_hung(const Figure *figure, Result *result, unsigned rounds) {
        int r;

        r = start(figure, result);
        while (result->n < rounds && r >= 0) {
                uint64_t hung = result->word.hung_nsec;
                Word word = {};

                r = subject_hear(&result->subject, &word);
                if (r >= 0 && word.hung_nsec == 0 && hung > 0)
                        take(result, &word, hung);
                else if (r >= 0 && word.hung_nsec == 0)
                        result->n_false++;
                result->word = word;
        }
        if (r < 0)
                complain(figure, "replace", r);
        subject_stop(&result->subject);
        return r;
}

static double at(const uint64_t *nsec, unsigned n, unsigned percent) {
        static uint64_t sorted[ROUNDS_MAX];

        memcpy(sorted, nsec, n * sizeof(*nsec));
        qsort(sorted, n, sizeof(*sorted), compare_u64);
        return (double)sorted[(n - 1) * percent / 100] / 1e6;
}

/* The main() of a spare was long before. */
static bool has_main(const Figure *figure) {
        return !figure->flags || !strchr(figure->flags, 's');
}

static void print_line(const Figure *f, const Result *result) {
        double median = at(result->work_nsec, result->n, 50);
        char aim[32] = "", begun[32] = "";

        if (f->aim_msec > 0)
                (void)snprintf(aim, sizeof(aim), "  aim %.1f %s", f->aim_msec,
                               median <= f->aim_msec ? "met" : "MISSED");
        if (has_main(f))
                (void)snprintf(begun, sizeof(begun), ", main() %.2f",
                               at(result->main_nsec, result->n, 50));
        printf("%-36s %7.2f ms (%.2f-%.2f)%s%s\n", f->what, median,
               at(result->work_nsec, result->n, 10), at(result->work_nsec, result->n, 90), begun,
               aim);
}

static void print_list(const char *name, const uint64_t *nsec, unsigned n) {
        printf(", \"%s\": [", name);
        for (unsigned i = 0; i < n; i++)
                printf("%s%.4f", i > 0 ? ", " : "", (double)nsec[i] / 1e6);
        printf("]");
}

static void print_all(void) {
        const char *separator = "{";

        for (size_t i = 0; i < N_FIGURES; i++) {
                const Result *result = &results[i];

                if (!result->there)
                        continue;
                if (!arg_json) {
                        print_line(&figures[i], result);
                        continue;
                }
                printf("%s\"%s\": {\"false\": %u", separator, figures[i].name, result->n_false);
                print_list("main_msec", result->main_nsec, has_main(&figures[i]) ? result->n : 0);
                print_list("work_msec", result->work_nsec, result->n);
                printf("}");
                separator = ",\n ";
        }
        if (arg_json)
                printf("}\n");
}

static int parse(char *argv[]) {
        for (char **arg = argv + 1; *arg; arg++)
                if (strcmp(*arg, "--json") == 0)
                        arg_json = true;
                else if (sscanf(*arg, "--rounds=%u", &arg_rounds) != 1 &&
                         sscanf(*arg, "--heap=%lu", &arg_heap) != 1)
                        return -EINVAL;

        return arg_rounds > 0 && arg_rounds <= ROUNDS_MAX ? 0 : -EINVAL;
}

int main(int argc, char *argv[]) {
        uint64_t main_nsec = now_nsec(CLOCK_MONOTONIC);
        int r;

        (void)argc;
        r = subject_main(main_nsec, argv);
        if (r >= 0)
                return r;

        if (parse(argv) < 0) {
                fprintf(stderr, "worker [--rounds=N] [--heap=MIB] [--json]\n");
                return 2;
        }

        r = measure_kills();
        for (size_t i = 0; i < N_FIGURES && r >= 0; i++)
                if (figures[i].hung)
                        r = measure_hung(&figures[i], &results[i], (arg_rounds + 3) / 4);
        if (r < 0)
                return 1;

        print_all();
        return 0;
}
