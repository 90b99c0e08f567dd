/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Fatal signals leave their name, their sender and the stack in the record, and kill as
 * they would have without us. What the program catches itself is left alone.
 */

#include <glib.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/recorder-read.h"
#include "heal/fatal.h"
#include "heal/modules.h"
#include "heal/stack.h"
#include "heal/symbols.h"

#define RUN 5

static RecorderFrames *shared_new(void) {
        void *memory = mmap(NULL, sizeof(RecorderFrames), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        g_assert_true(memory != MAP_FAILED);
        return memory;
}

__attribute__((noinline)) static void die_by_fault(void) {
        volatile int *nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        *nowhere = 1;
}

__attribute__((noinline)) static void die_by_abort(void) {
        abort();
}

static void die_by_kill(void) {
        (void)kill(getpid(), SIGABRT);
        __asm__ volatile(""); /* or the call would take our place on the stack */
}

#ifdef __x86_64__
/* The frame pointer leads nowhere: so does the stack, to whoever follows it. */
__attribute__((noinline)) static void die_corrupted(void) {
        volatile char *space = __builtin_alloca((size_t)getpid() % 16 + 16);

        space[0] = 0;
        __asm__ volatile("mov $16, %%rbp\n\tmovl $0, 0" : : : "memory");
}
#endif

static pthread_barrier_t together;

__attribute__((noinline)) static void *die_in_thread(void *data) {
        (void)data;
        (void)pthread_barrier_wait(&together);
        die_by_fault();
        return NULL;
}

__attribute__((noinline)) static void die_together(void) {
        pthread_t threads[7];

        (void)pthread_barrier_init(&together, NULL, G_N_ELEMENTS(threads) + 1);
        for (gsize i = 0; i < G_N_ELEMENTS(threads); i++)
                (void)pthread_create(&threads[i], NULL, die_in_thread, NULL);
        (void)die_in_thread(NULL);
}

/* It is our child that dies. */
static void die_forked(void) {
        int status = 0;
        pid_t pid = fork();

        if (pid == 0)
                abort();
        (void)waitpid(pid, &status, 0);
        _exit(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? 33 : 1);
}

static int ready_fd;

static void wait_for_death(void) {
        (void)!write(ready_fd, "", 1);
        for (;;)
                (void)pause();
}

static void on_own(int number) {
        _exit(number == SIGABRT ? 33 : 34);
}

static void take_over_first(void) {
        (void)signal(SIGABRT, on_own);
}

typedef struct Row {
        const char *name;
        void (*before)(void);
        void (*die)(void);
        int signal;           /* what it dies of; 0: exits by itself */
        const char *function; /* NULL: nothing is recorded */
        gboolean from_parent;
        guint n_times; /* of what a race may save */
} Row;

static const Row rows[] = {
        { "fault", NULL, die_by_fault, SIGSEGV, "die_by_fault", FALSE, 1 },
        { "abort", NULL, die_by_abort, SIGABRT, "die_by_abort", FALSE, 1 },
        { "kill", NULL, die_by_kill, SIGABRT, "die_by_kill", FALSE, 1 },
        { "from-elsewhere", NULL, wait_for_death, SIGABRT, "wait_for_death", TRUE, 1 },
        { "own-handler", take_over_first, die_by_kill, 0, NULL, FALSE, 1 },
        { "forked", NULL, die_forked, 0, NULL, FALSE, 1 },
        { "together", NULL, die_together, SIGSEGV, "die_in_thread", FALSE, 50 },
#ifdef __x86_64__
        { "corrupted", NULL, die_corrupted, SIGSEGV, "die_corrupted", FALSE, 1 },
#endif
};

static void in_child(const Row *row, RecorderFrames *place) {
        const struct rlimit no_core = { 0, 0 };

        /* What the sanitizers catch is theirs: as if we were built without. */
        for (int number = 1; number < 32; number++)
                (void)signal(number, SIG_DFL);
        (void)setrlimit(RLIMIT_CORE, &no_core);
        if (row->before)
                row->before();
        stack_prime();
        fatal_install(place, RUN);
        row->die();
        _exit(1);
}

static pid_t spawn(const Row *row, RecorderFrames *place) {
        int fds[2];
        char byte;
        pid_t pid;

        g_assert_cmpint(pipe(fds), ==, 0);
        pid = fork();
        g_assert_cmpint(pid, >=, 0);
        ready_fd = fds[1];
        if (pid == 0)
                in_child(row, place);
        (void)close(fds[1]);
        g_assert_cmpint(read(fds[0], &byte, 1), ==, row->from_parent ? 1 : 0);
        (void)close(fds[0]);
        return pid;
}

static void check_stack(const RecorderFrames *frames, const char *expected) {
        g_autofree RecorderModules *modules = g_new0(RecorderModules, 1);
        char text[STACK_TEXT_MAX], function[FUNCTION_LENGTH_MAX];

        /* A forked child has its code where we have ours. */
        modules_take(modules);
        symbols_write(frames, modules, text, function);
        if (!strstr(text, expected))
                g_error("'%s' is not in:\n%s", expected, text);
}

static void check_row(const Row *row) {
        RecorderFrames *place = shared_new(), frames;
        pid_t pid = spawn(row, place);
        int status;

        if (row->from_parent)
                g_assert_cmpint(kill(pid, SIGABRT), ==, 0);
        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
        if (row->signal == 0) {
                g_assert_true(WIFEXITED(status));
                g_assert_cmpint(WEXITSTATUS(status), ==, 33);
                g_assert_false(recorder_read_frames(place, RUN, &frames));
        } else {
                g_assert_true(WIFSIGNALED(status));
                g_assert_cmpint(WTERMSIG(status), ==, row->signal);
                g_assert_true(recorder_read_frames(place, RUN, &frames));
                g_assert_cmpint(frames.signal, ==, row->signal);
                g_assert_cmpuint(frames.n_frames, >, 0);
                g_assert_cmpuint(frames.usec, >, 0);
                if (row->from_parent)
                        g_assert_cmpint(frames.sender, ==, getpid());
                check_stack(&frames, row->function);
        }
        (void)munmap(place, sizeof(*place));
}

static void test_row(gconstpointer data) {
        const Row *row = data;

        for (guint i = 0; i < row->n_times; i++)
                check_row(row);
}

/* Whoever looks at the second one, a core dump or a debugger, sees the first. */
static void test_siginfo(void) {
        RecorderFrames *place = shared_new();
        siginfo_t first = {}, last = {};
        guint n = 0;
        int status;
        pid_t pid;

        pid = fork();
        g_assert_cmpint(pid, >=, 0);
        if (pid == 0) {
                if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
                        _exit(77);
                in_child(&rows[0], place);
        }
        while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
                g_assert_cmpint(ptrace(PTRACE_GETSIGINFO, pid, NULL, &last), ==, 0);
                if (n++ == 0)
                        first = last;
                g_assert_cmpint(ptrace(PTRACE_CONT, pid, NULL, WSTOPSIG(status)), ==, 0);
        }
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
                g_test_skip("nobody may be traced here");
        } else {
                g_assert_true(WIFSIGNALED(status));
                g_assert_cmpuint(n, ==, 2);
                g_assert_cmpint(first.si_code, ==, SEGV_ACCERR);
                g_assert_cmpint(last.si_code, ==, SEGV_ACCERR);
                g_assert_true(last.si_addr && last.si_addr == first.si_addr);
        }
        (void)munmap(place, sizeof(*place));
}

/* After the service has gone, nobody's handlers are ours; and a program that took over keeps. */
static void test_remove(void) {
        RecorderFrames *place = shared_new();
        struct sigaction action, old;

        g_assert_cmpint(sigaction(SIGABRT, NULL, &old), ==, 0);
        (void)signal(SIGABRT, SIG_DFL);
        fatal_install(place, RUN);
        g_assert_cmpint(sigaction(SIGABRT, NULL, &action), ==, 0);
        g_assert_true(action.sa_flags & SA_SIGINFO);
        (void)signal(SIGILL, on_own);
        fatal_remove();
        g_assert_cmpint(sigaction(SIGABRT, NULL, &action), ==, 0);
        g_assert_true(action.sa_handler == SIG_DFL);
        g_assert_cmpint(sigaction(SIGILL, NULL, &action), ==, 0);
        g_assert_true(action.sa_handler == on_own);
        (void)signal(SIGILL, SIG_DFL);
        g_assert_cmpint(sigaction(SIGABRT, &old, NULL), ==, 0);
        (void)munmap(place, sizeof(*place));
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
                char *path = g_strdup_printf("/heal/fatal/%s", rows[i].name);

                g_test_add_data_func(path, &rows[i], test_row);
                g_free(path);
        }
        g_test_add_func("/heal/fatal/siginfo", test_siginfo);
        g_test_add_func("/heal/fatal/remove", test_remove);
        return g_test_run();
}
