/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What the workers of worker-service do
 */

#include <errno.h>
#include <fcntl.h>
#include <hale/hale.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker-service.h"

void say(const char *what, const char *name) {
        char line[256];
        int n = snprintf(line, sizeof(line), "%s %s %d\n", what, name, (int)getpid());

        (void)!write(STDOUT_FILENO, line, (size_t)n);
}

/* Works until it is asked to stop, beating ten times a second. */
static int steady(hale_worker *worker, void *userdata) {
        struct pollfd stop = { .fd = hale_worker_get_stop_fd(worker), .events = POLLIN };

        (void)userdata;
        say("begins", hale_worker_get_name(worker));
        while (!hale_worker_should_stop(worker)) {
                (void)hale_worker_beat(worker);
                (void)poll(&stop, 1, 100);
        }
        say("stops", hale_worker_get_name(worker));
        return 0;
}

static int once(hale_worker *worker, void *userdata) {
        (void)userdata;
        say("begins", hale_worker_get_name(worker));
        return 0;
}

/* Hangs as a thread may, the first time, and comes back from it with an error. */
static int dozes(hale_worker *worker, void *userdata) {
        static bool dozed;

        if (dozed)
                return steady(worker, userdata);
        dozed = true;
        say("begins", hale_worker_get_name(worker));
        (void)poll(NULL, 0, 2000);
        return -EHOSTUNREACH;
}

static int fails(hale_worker *worker, void *userdata) {
        (void)userdata;
        say("begins", hale_worker_get_name(worker));
        return -EHOSTUNREACH;
}

static void hang_for_ever(void) {
        for (;;)
                (void)pause();
}

/* Stops beating after a while, and hears nothing. */
static int hangs(hale_worker *worker, void *userdata) {
        (void)userdata;
        (void)signal(SIGTERM, SIG_IGN);
        say("begins", hale_worker_get_name(worker));
        for (unsigned i = 0; i < 5; i++) {
                (void)hale_worker_beat(worker);
                (void)poll(NULL, 0, 10);
        }
        hang_for_ever();
        return 0;
}

/* The same, but busy. */
static int spins(hale_worker *worker, void *userdata) {
        (void)userdata;
        say("begins", hale_worker_get_name(worker));
        (void)hale_worker_beat(worker);
        for (;;)
                __asm__ volatile("");
        return 0;
}

static int deaf(hale_worker *worker, void *userdata) {
        (void)userdata;
        (void)signal(SIGTERM, SIG_IGN);
        say("begins", hale_worker_get_name(worker));
        hang_for_ever();
        return 0;
}

/* Throws away all that it shares with the service. */
static int closes(hale_worker *worker, void *userdata) {
        (void)userdata;
        say("begins", hale_worker_get_name(worker));
        for (int fd = 3; fd < 64; fd++)
                (void)close(fd);
        hang_for_ever();
        return 0;
}

/* Says nonsense to the service, as fast as it can, and then works on. */
static int babbles(hale_worker *worker, void *userdata) {
        for (unsigned i = 0; i < 10000; i++)
                (void)send(hale_worker_get_stop_fd(worker), "RRRRRRRRRRRR", i % 12 + 1,
                           MSG_DONTWAIT);
        return steady(worker, userdata);
}

/* A tree of fifty that ignore SIGTERM, and then works on. */
static int bomb(hale_worker *worker, void *userdata) {
        say("begins", hale_worker_get_name(worker));
        for (unsigned i = 0; i < 50; i++) {
                pid_t pid = fork();

                if (pid == 0) {
                        (void)signal(SIGTERM, SIG_IGN);
                        if (i % 2 && fork() < 0)
                                _exit(1);
                        if (hale_worker_beat(worker) >= 0)
                                say("beat", "of a forked child was taken");
                        hang_for_ever();
                }
        }
        say("bombed", hale_worker_get_name(worker));
        return steady(worker, userdata);
}

static int exits(hale_worker *worker, void *userdata) {
        (void)userdata;
        say("begins", hale_worker_get_name(worker));
        exit(3);
}

/* What a worker should find when it begins. */
static int looks(hale_worker *worker, void *userdata) {
        static const char *const names[] = { "NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS",
                                             "HALE_WORKER", "HALE_WORKER_FD" };
        struct stat status;
        sigset_t mask;
        bool clean = true;

        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
                clean = clean && !getenv(names[i]);
        for (int fd = 3; fd < 256; fd++)
                clean = clean && (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode));
        (void)sigprocmask(SIG_SETMASK, NULL, &mask);
        clean = clean && !sigismember(&mask, SIGTERM) && !sigismember(&mask, SIGUSR2);
        clean = clean && getpgrp() == getpid() && getenv("KEPT");
        say(clean ? "clean" : "unclean", hale_worker_get_name(worker));
        return steady(worker, userdata);
}

/* Stops itself, and with it its heartbeat. */
static int freezes(hale_worker *worker, void *userdata) {
        (void)userdata;
        say("begins", hale_worker_get_name(worker));
        (void)raise(SIGSTOP);
        return steady(worker, userdata);
}

/* Leaves somebody behind who has left its group and its session, as daemon(3) does. */
static int escapes(hale_worker *worker, void *userdata) {
        say("begins", hale_worker_get_name(worker));
        if (fork() == 0) {
                (void)setsid();
                if (fork() > 0)
                        _exit(0);
                say("escaped from", hale_worker_get_name(worker));
                hang_for_ever();
        }
        return steady(worker, userdata);
}

/* Is another program from now on. */
static int execs(hale_worker *worker, void *userdata) {
        (void)userdata;
        say("begins", hale_worker_get_name(worker));
        (void)execl("/bin/sleep", "sleep", "1000", NULL);
        return -errno;
}

/* Is nobody from now on: the kernel forgets that it should die with its service. */
static int changes_user(hale_worker *worker, void *userdata) {
        if (setgid(65534) < 0 || setuid(65534) < 0)
                return -errno;
        return steady(worker, userdata);
}

/* The page that it shares with the service. */
static void *beat_page(void) {
        FILE *maps = fopen("/proc/self/maps", "re");
        uintptr_t start = 0;
        char line[512];

        while (maps && start == 0 && fgets(line, sizeof(line), maps))
                if (strstr(line, "memfd:hale-worker"))
                        (void)sscanf(line, "%" SCNxPTR, &start);
        if (maps)
                (void)fclose(maps);
        return (void *)start;
}

static int unmaps(hale_worker *worker, void *userdata) {
        void *page = beat_page();

        (void)userdata;
        say("begins", hale_worker_get_name(worker));
        if (!page || munmap(page, 4096) < 0)
                return -EFAULT;
        return hale_worker_beat(worker);
}

/* Fills it with rubbish for a while, and hangs then. */
static int scribbles(hale_worker *worker, void *userdata) {
        unsigned char *page = beat_page();

        (void)userdata;
        say("begins", hale_worker_get_name(worker));
        if (!page)
                return -EFAULT;
        for (unsigned i = 0; i < 1000000; i++)
                page[(unsigned)rand() % 4096] = (unsigned char)rand();
        memset(page, 0xff, 4096);
        (void)signal(SIGTERM, SIG_IGN);
        hang_for_ever();
        return 0;
}

static hale_worker *storming;

static void beat_in_handler(int number) {
        (void)number;
        (void)hale_worker_beat(storming);
}

static void *beat_in_thread(void *data) {
        while (!hale_worker_should_stop(data))
                (void)hale_worker_beat(data);
        return NULL;
}

/* Beats from everywhere at once. */
static int storms(hale_worker *worker, void *userdata) {
        const struct itimerval often = { { 0, 500 }, { 0, 500 } };
        pthread_t threads[4];

        storming = worker;
        (void)signal(SIGALRM, beat_in_handler);
        (void)setitimer(ITIMER_REAL, &often, NULL);
        for (size_t i = 0; i < 4; i++)
                if (pthread_create(&threads[i], NULL, beat_in_thread, worker) != 0)
                        return -EAGAIN;
        (void)steady(worker, userdata);
        (void)signal(SIGALRM, SIG_IGN);
        for (size_t i = 0; i < 4; i++)
                (void)pthread_join(threads[i], NULL);
        return 0;
}

/* A lineage that goes on forking while it is killed: some dozens at a time, and not more than a
 * few thousand in all. */
static void breed(void) {
        atomic_int *left =
                mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        atomic_store(left, 4000);
        for (unsigned i = 0; i < 5; i++)
                (void)fork();
        while (atomic_fetch_sub(left, 1) > 0)
                if (fork() > 0)
                        _exit(0); /* the child goes on in our place */
        hang_for_ever();
}

static int breeds(hale_worker *worker, void *userdata) {
        say("begins", hale_worker_get_name(worker));
        if (fork() == 0)
                breed();
        (void)userdata;
        hang_for_ever();
        return 0;
}

static void exit_again(void) {
        exit(5);
}

/* Ends within its own end. */
static int exits_twice(hale_worker *worker, void *userdata) {
        (void)userdata;
        say("begins", hale_worker_get_name(worker));
        (void)atexit(exit_again);
        exit(4);
}

/* Takes its time to stop. */
static int lingers(hale_worker *worker, void *userdata) {
        int r = steady(worker, userdata);

        for (unsigned i = 0; i < 5; i++)
                (void)poll(NULL, 0, 100);
        say("lingered", hale_worker_get_name(worker));
        return r;
}

/* All that is for the service alone. */
static int calls(hale_worker *worker, void *userdata) {
        hale_service *mine = the_service();
        const char *name = hale_worker_get_name(worker);
        bool refused;

        say("begins", name);
        refused = hale_worker_restart(worker) == -ESTALE && hale_service_run(mine) == -EBUSY &&
                  hale_service_start(mine) == -EBUSY && hale_service_stop(mine) == -ESTALE &&
                  hale_service_stopped(mine) == -ESTALE &&
                  hale_service_reloaded(mine, 0) == -ESTALE &&
                  hale_service_progress(mine, "far") == -ESTALE &&
                  hale_service_set_maintenance(mine, 1000000, "because") == -ESTALE &&
                  hale_service_add_worker(mine, NULL, "new", once, NULL) == -EBUSY &&
                  hale_worker_set_thread(worker, 1) == -EBUSY &&
                  hale_worker_set_spare(worker, 1) == -EBUSY;
        say(refused ? "was refused" : "was allowed", name);

        /* This stays with it. */
        (void)hale_service_add_probe(mine, NULL, "late", HALE_GATE_LIVE, NULL, NULL);
        (void)hale_probe_fail(hale_service_find_probe(mine, "late"), "I am ill");
        (void)hale_probe_fail(hale_service_find_probe(mine, name), "I am ill");
        (void)hale_worker_unref(hale_worker_ref(worker));
        return steady(worker, userdata);
}

/* Gives back what is main()'s. */
static int unrefs(hale_worker *worker, void *userdata) {
        (void)userdata;
        say("begins", hale_worker_get_name(worker));
        drop_the_service();
        return -EREMOTE;
}

/* Takes long to die: its memory is given back page by page. Hangs until then. */
static int fat(hale_worker *worker, void *userdata) {
        const size_t size = (size_t)512 << 20;
        char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (memory == MAP_FAILED)
                return -errno;
        (void)madvise(memory, size, MADV_NOHUGEPAGE);
        memset(memory, 1, size);
        return hangs(worker, userdata);
}

static const struct {
        const char *name;
        hale_worker_main_t main;
} behaviours[] = {
        { "steady", steady },       { "once", once },
        { "fails", fails },         { "hangs", hangs },
        { "spins", spins },         { "deaf", deaf },
        { "closes", closes },       { "bomb", bomb },
        { "exits", exits },         { "looks", looks },
        { "babbles", babbles },     { "freezes", freezes },
        { "escapes", escapes },     { "execs", execs },
        { "nobody", changes_user }, { "unmaps", unmaps },
        { "scribbles", scribbles }, { "storms", storms },
        { "breeds", breeds },       { "exits-twice", exits_twice },
        { "lingers", lingers },     { "calls", calls },
        { "unrefs", unrefs },       { "fat", fat },
        { "dozes", dozes },
};

hale_worker_main_t find_behaviour(const char *name) {
        for (size_t i = 0; i < sizeof(behaviours) / sizeof(*behaviours); i++)
                if (strcmp(behaviours[i].name, name) == 0)
                        return behaviours[i].main;

        return NULL;
}
