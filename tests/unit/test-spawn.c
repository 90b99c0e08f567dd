/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Spawn, Process and Thread
 *
 * A child is this very program with this very command line, in a clean
 * environment; its start does not take longer when the parent is large; its end is
 * seen and described whoever reaps it, and its group goes with it; words that a
 * child should not say are not heard. A thread is asked, and outlives its service
 * without harm.
 *
 * The test is its own child: then HALE_WORKER says what that is to do.
 */

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/macro.h"
#include "heal/child.h"
#include "heal/process.h"
#include "heal/spawn.h"
#include "heal/thread.h"

#define LIMIT_USEC (20 * USEC_PER_SEC)

static char *command_line; /* of main() */

static char *join_arguments(int argc, char *argv[]) {
        GString *text = g_string_new(NULL);

        for (int i = 0; i < argc; i++)
                g_string_append_printf(text, "%s|", argv[i]);
        return g_string_free(text, FALSE);
}

/* Runs in the child. Returns its exit status. */
static int be_child(int argc, char *argv[]) {
        g_autofree char *arguments = join_arguments(argc, argv);
        Child child;

        if (child_take(&child) != 1 || getenv("HALE_WORKER") || getenv("NOTIFY_SOCKET"))
                return 10;
        if (strcmp(arguments, getenv("EXPECTED_ARGUMENTS")) != 0)
                return 11;
        if (getpgrp() != getpid() || fcntl(SPAWN_SOCKET_FD, F_GETFD) != FD_CLOEXEC)
                return 12;
        for (int fd = SPAWN_BEAT_FD; fd < 64; fd++)
                if (fcntl(fd, F_GETFD) >= 0)
                        return 13;

        if (child_begin(&child) != 1)
                return 14;
        if (strcmp(child.name, "quits") == 0) {
                child_end(&child, 0);
                return 0;
        }
        if (strcmp(child.name, "aborts") == 0)
                abort();
        if (strcmp(child.name, "leaves") == 0 && fork() == 0) {
                (void)close(child.socket_fd);
                for (;;)
                        (void)pause();
        }
        if (strcmp(child.name, "talks") == 0)
                for (unsigned i = 0; i < 1000; i++)
                        (void)send(child.socket_fd, "too much", 8, MSG_DONTWAIT);
        while (!child_should_stop(&child)) {
                struct pollfd stop = { .fd = child.socket_fd, .events = POLLIN };

                (void)poll(&stop, 1, -1);
        }
        return 5;
}

typedef struct Watched {
        Process process;
        SpawnImage image;
        sd_event *event;
        unsigned n_heard;
        ProcessWord last_word;
        bool gone;
        WorkerExit end;
} Watched;

static void on_heard(Process *process, ProcessWord word) {
        Watched *watched = process->owner;

        watched->n_heard++;
        watched->last_word = word;
}

static void on_gone(Process *process, const WorkerExit *end) {
        Watched *watched = process->owner;

        watched->gone = true;
        watched->end = *end;
}

static const ProcessOps ops = { .heard = on_heard, .gone = on_gone };

static void watched_init(Watched *watched) {
        *watched = (Watched){};
        g_assert_cmpint(sd_event_new(&watched->event), >=, 0);
        g_assert_cmpint(spawn_image_init(&watched->image), ==, 0);
        process_init(&watched->process, &ops, watched);
        g_setenv("EXPECTED_ARGUMENTS", command_line, TRUE);
        g_setenv("NOTIFY_SOCKET", "/nowhere", TRUE);
}

static void watched_done(Watched *watched) {
        process_done(&watched->process, LIMIT_USEC);
        spawn_image_done(&watched->image);
        (void)sd_event_unref(watched->event);
}

static void watched_start(Watched *watched, const char *name, bool spare) {
        watched->gone = false;
        watched->n_heard = 0;
        g_assert_cmpint(process_start(&watched->process, watched->event, 0, &watched->image, name,
                                      spare),
                        ==, 0);
        g_assert_true(process_is_alive(&watched->process));
}

static void turn_until(Watched *watched, const bool *flag) {
        uint64_t until = clock_now_usec(CLOCK_MONOTONIC) + LIMIT_USEC;

        while (!*flag) {
                g_assert_cmpuint(clock_now_usec(CLOCK_MONOTONIC), <, until);
                g_assert_cmpint(sd_event_run(watched->event, USEC_PER_SEC), >=, 0);
        }
}

static void turn_until_heard(Watched *watched, ProcessWord word) {
        uint64_t until = clock_now_usec(CLOCK_MONOTONIC) + LIMIT_USEC;

        while (watched->n_heard == 0 && !watched->gone) {
                g_assert_cmpuint(clock_now_usec(CLOCK_MONOTONIC), <, until);
                g_assert_cmpint(sd_event_run(watched->event, USEC_PER_SEC), >=, 0);
        }
        if (watched->gone)
                g_error("the child exited with %d %d", watched->end.kind, watched->end.code);
        g_assert_cmpint(watched->last_word, ==, word);
}

static void test_environment(void) {
        static const char *const dirty[] = { "A=1",
                                             "NOTIFY_SOCKET=/x",
                                             "NOTIFY_SOCKET_2=/y",
                                             "LISTEN_FDS=2",
                                             "LISTEN_PID=1",
                                             "LISTEN_FDNAMES=a:b",
                                             "FDSTORE=1",
                                             "WATCHDOG_USEC=1",
                                             "WATCHDOG_PID=1",
                                             "HALE_WORKER=",
                                             "HALE_WORKER_FD=3",
                                             "LISTEN_PIDFDID=4",
                                             "",
                                             "NOTIFY_SOCKET",
                                             NULL };
        static const char *const extra[] = { "HALE_WORKER=b", NULL };
        char **clean = spawn_environment((char *const *)dirty, (char *const *)extra);

        g_assert_cmpuint(g_strv_length(clean), ==, 4);
        g_assert_cmpstr(clean[0], ==, "HALE_WORKER=b");
        g_assert_cmpstr(clean[1], ==, "A=1");
        g_assert_cmpstr(clean[2], ==, "NOTIFY_SOCKET_2=/y");
        g_assert_cmpstr(clean[3], ==, "");
        free(clean);

        clean = spawn_environment(NULL, (char *const *)extra);
        g_assert_cmpuint(g_strv_length(clean), ==, 1);
        free(clean);
}

static void test_ends(void) {
        static const struct {
                const char *name;
                ExitKind kind;
                int code;
                bool has_result;
        } rows[] = {
                { "quits", EXIT_STATUS, 0, true },
                { "aborts", EXIT_SIGNAL, SIGABRT, false },
                { "waits", EXIT_STATUS, 5, false },
        };
        Watched watched;

        watched_init(&watched);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                watched_start(&watched, rows[i].name, false);
                if (i == 2) {
                        turn_until_heard(&watched, WORD_RUNS);
                        process_ask(&watched.process);
                }
                turn_until(&watched, &watched.gone);
                g_assert_false(process_is_alive(&watched.process));
                g_assert_cmpint(watched.end.kind, ==, rows[i].kind);
                g_assert_cmpint(watched.end.code, ==, rows[i].code);
                g_assert_cmpint(watched.end.has_result, ==, rows[i].has_result);
        }
        watched_done(&watched);
}

static void test_first_reason_counts(void) {
        Watched watched;

        watched_init(&watched);
        watched_start(&watched, "waits", false);
        process_kill(&watched.process, REASON_HUNG, 7);
        process_kill(&watched.process, REASON_NO_STOP, 8);
        turn_until(&watched, &watched.gone);
        g_assert_cmpint(watched.end.reason, ==, REASON_HUNG);
        g_assert_cmpuint(watched.end.limit_usec, ==, 7);
        watched_done(&watched);
}

static void wait_for_no_group(pid_t group) {
        uint64_t until = clock_now_usec(CLOCK_MONOTONIC) + LIMIT_USEC;

        while (kill(-group, 0) == 0 || errno != ESRCH) {
                g_assert_cmpuint(clock_now_usec(CLOCK_MONOTONIC), <, until);
                (void)poll(NULL, 0, 1);
        }
}

/* Reaped by somebody else, as a program with a waitpid(-1) of its own does: the end is seen, and
 * what the child has left behind goes. */
static void test_reaped(void) {
        Watched watched;
        pid_t pid;

        watched_init(&watched);
        watched_start(&watched, "leaves", false);
        turn_until_heard(&watched, WORD_RUNS);
        pid = watched.process.pid;
        g_assert_cmpint(kill(pid, SIGKILL), ==, 0);
        g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
        turn_until(&watched, &watched.gone);
        g_assert_cmpint(watched.end.kind, ==, EXIT_UNKNOWN);
        wait_for_no_group(pid);
        watched_done(&watched);
}

static void test_talks(void) {
        Watched watched;

        watched_init(&watched);
        watched_start(&watched, "talks", false);
        turn_until_heard(&watched, WORD_RUNS);
        process_kill(&watched.process, REASON_ITSELF, 0);
        turn_until(&watched, &watched.gone);
        g_assert_cmpuint(watched.n_heard, ==, 1);
        watched_done(&watched);
}

static void watched_join(Watched *watched, sd_event *event) {
        (void)sd_event_unref(watched->event);
        watched->event = sd_event_ref(event);
}

/* A spare takes over when it may, for that worker alone, and else only when it is told to. */
static void check_spare(bool arm, uint32_t armed_for) {
        Watched active, spare;

        watched_init(&active);
        watched_init(&spare);
        watched_join(&spare, active.event);
        watched_start(&active, "waits", false);
        watched_start(&spare, "waits", true);
        turn_until_heard(&active, WORD_RUNS);
        turn_until_heard(&spare, WORD_WAITS);

        g_assert_cmpint(process_tell_peer(&spare.process, &active.process, 2), ==, 0);
        if (arm)
                process_arm(&spare.process, armed_for);
        spare.n_heard = 0;
        g_assert_cmpint(kill(active.process.pid, SIGKILL), ==, 0);
        turn_until(&active, &active.gone);
        if (!arm || armed_for != 2) {
                g_assert_true(process_disarm(&spare.process, armed_for));
                g_assert_cmpuint(spare.n_heard, ==, 0);
                g_assert_cmpint(process_go(&spare.process), ==, 0);
        }
        turn_until_heard(&spare, WORD_RUNS);
        if (arm && armed_for == 2)
                g_assert_false(process_disarm(&spare.process, 2));

        process_ask(&spare.process);
        turn_until(&spare, &spare.gone);
        g_assert_cmpint(spare.end.code, ==, 5);
        watched_done(&active);
        watched_done(&spare);
}

static void test_spare(void) {
        check_spare(true, 2);
        check_spare(false, 0);
        check_spare(true, 1);
        check_spare(true, 3);
}

static void test_spare_stops(void) {
        Watched spare;

        watched_init(&spare);
        watched_start(&spare, "waits", true);
        turn_until_heard(&spare, WORD_WAITS);
        process_ask(&spare.process);
        turn_until(&spare, &spare.gone);
        g_assert_cmpint(spare.n_heard, ==, 1);
        watched_done(&spare);
}

/* The best of several: what others do to the machine meanwhile is not the question. */
static uint64_t best_start(Watched *watched) {
        uint64_t best = UINT64_MAX, before;

        for (unsigned i = 0; i < 9; i++) {
                before = clock_now_usec(CLOCK_MONOTONIC);
                watched_start(watched, "quits", false);
                best = MIN(best, clock_now_usec(CLOCK_MONOTONIC) - before);
                turn_until(watched, &watched->gone);
        }
        return best;
}

/* A fork(2) would take some 15 ms for so much. */
static void test_large_parent(void) {
        const size_t size = (size_t)512 << 20;
        uint64_t small, large;
        Watched watched;
        char *heap;

        watched_init(&watched);
        small = best_start(&watched);
        heap = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        g_assert_true(heap != MAP_FAILED);
        (void)madvise(heap, size, MADV_NOHUGEPAGE);
        memset(heap, 1, size);
        large = best_start(&watched);
        (void)munmap(heap, size);
        g_test_message("start of a child: %" G_GUINT64_FORMAT " us, with 512 MiB %" G_GUINT64_FORMAT
                       " us",
                       small, large);
        g_assert_cmpuint(large, <, 4 * small + 4 * USEC_PER_MSEC);
        watched_done(&watched);
}

/* The page is the child's to fill, and not to cut. */
static void test_beat_is_sealed(void) {
        Beat beat = BEAT_INIT;
        BeatSlot *slot = NULL;

        g_assert_cmpint(beat_init(&beat), ==, 0);
        g_assert_cmpint(ftruncate(beat.fd, 0), ==, -1);
        g_assert_cmpint(beat_map(beat.fd, &slot), ==, 0);
        beat_now(slot);
        g_assert_cmpuint(atomic_load(&beat.slot->beat_usec), >, 0);
        (void)munmap(slot, 4096);
        g_assert_cmpint(beat_map(STDIN_FILENO, &slot), <, 0);
        beat_done(&beat);
        beat_done(&beat);
}

typedef struct Owner {
        Thread *thread;
        bool begun, done;
        int result;
        _Atomic bool released;
} Owner;

static int thread_work(void *data) {
        Owner *owner = data;
        struct pollfd stop = { .fd = thread_stop_fd(owner->thread), .events = POLLIN };

        (void)poll(&stop, 1, -1);
        return atomic_load(&thread_slot(owner->thread)->stop) ? -EINTR : 0;
}

static int thread_no_work(void *data) {
        (void)data;
        return -EHOSTUNREACH;
}

static void thread_begun(void *data) {
        Owner *owner = data;

        g_assert_false(owner->begun);
        g_assert_false(owner->done);
        owner->begun = true;
}

static void thread_done(void *data, int result) {
        Owner *owner = data;

        g_assert_true(owner->begun);
        owner->done = true;
        owner->result = result;
}

static void thread_release(void *data) {
        atomic_store(&((Owner *)data)->released, true);
}

static const ThreadOps thread_ops = {
        .work = thread_work,
        .begun = thread_begun,
        .done = thread_done,
        .release = thread_release,
};

static const ThreadOps short_ops = {
        .work = thread_no_work,
        .begun = thread_begun,
        .done = thread_done,
        .release = thread_release,
};

static void wait_for_release(Owner *owner) {
        uint64_t until = clock_now_usec(CLOCK_MONOTONIC) + LIMIT_USEC;

        while (!atomic_load(&owner->released)) {
                g_assert_cmpuint(clock_now_usec(CLOCK_MONOTONIC), <, until);
                (void)poll(NULL, 0, 1);
        }
}

static void test_thread(void) {
        Owner owner = {};
        Watched watched;

        watched_init(&watched);
        g_assert_cmpint(thread_start(&owner.thread, watched.event, 0, &thread_ops, &owner), ==, 0);
        g_assert_false(owner.begun);
        turn_until(&watched, &owner.begun);
        thread_ask(owner.thread);
        turn_until(&watched, &owner.done);
        g_assert_cmpint(owner.result, ==, -EINTR);
        owner.thread = thread_free(owner.thread);
        wait_for_release(&owner);
        g_assert_null(thread_free(NULL));
        watched_done(&watched);
}

/* It is done before the loop looks: both are told, one after the other. */
static void test_thread_is_short(void) {
        Owner owner = {};
        Watched watched;

        watched_init(&watched);
        g_assert_cmpint(thread_start(&owner.thread, watched.event, 0, &short_ops, &owner), ==, 0);
        wait_for_release(&owner);
        turn_until(&watched, &owner.done);
        g_assert_cmpint(owner.result, ==, -EHOSTUNREACH);
        owner.thread = thread_free(owner.thread);
        watched_done(&watched);
}

static void test_thread_outlives(void) {
        Owner owner = {};
        Watched watched;
        int stop_fd;

        watched_init(&watched);
        g_assert_cmpint(thread_start(&owner.thread, watched.event, 0, &thread_ops, &owner), ==, 0);
        stop_fd = dup(thread_stop_fd(owner.thread));
        (void)thread_free(owner.thread);
        watched_done(&watched);
        g_assert_false(owner.released);

        g_assert_cmpint(write(stop_fd, &(uint64_t){ 1 }, 8), ==, 8);
        wait_for_release(&owner);
        g_assert_false(owner.done);
        (void)close(stop_fd);
}

int main(int argc, char *argv[]) {
        int r;

        if (getenv("HALE_WORKER"))
                return be_child(argc, argv);

        command_line = join_arguments(argc, argv);
        (void)setrlimit(RLIMIT_CORE, &(struct rlimit){}); /* of the child that aborts */
        g_test_init(&argc, &argv, NULL);

        g_test_add_func("/heal/spawn/environment", test_environment);
        g_test_add_func("/heal/spawn/large-parent", test_large_parent);
        g_test_add_func("/heal/beat/is-sealed", test_beat_is_sealed);
        g_test_add_func("/heal/process/ends", test_ends);
        g_test_add_func("/heal/process/first-reason-counts", test_first_reason_counts);
        g_test_add_func("/heal/process/reaped", test_reaped);
        g_test_add_func("/heal/process/talks", test_talks);
        g_test_add_func("/heal/process/spare", test_spare);
        g_test_add_func("/heal/process/spare-stops", test_spare_stops);
        g_test_add_func("/heal/thread/asked", test_thread);
        g_test_add_func("/heal/thread/short", test_thread_is_short);
        g_test_add_func("/heal/thread/outlives", test_thread_outlives);

        r = g_test_run();
        g_free(command_line);
        return r;
}
