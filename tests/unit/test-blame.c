/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A thread that hangs is blamed: once, with what it did and where. One that turns in time
 * is not, and costs no wake-up. A signal that is not to be had costs the stack only.
 */

#include <glib.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "heal/blame.h"
#include "heal/fatal.h"
#include "heal/modules.h"
#include "heal/symbols.h"

#define LIMIT_USEC (40 * USEC_PER_MSEC)
#define PATIENCE_USEC (20 * USEC_PER_SEC)
#define STACK_SIGNAL (SIGRTMAX - 5)

typedef struct Heard {
        atomic_uint n;
        BlameReport report;
        RecorderFrames frames;
        gboolean has_frames;
} Heard;

static void on_stalled(const BlameReport *report, void *userdata) {
        Heard *heard = userdata;

        heard->report = *report;
        heard->has_frames = report->frames != NULL;
        if (report->frames)
                heard->frames = *report->frames;
        atomic_fetch_add(&heard->n, 1);
}

static Blame *blame_of(Heard *heard, RecorderFrames *frames, int number) {
        const BlameConfig config = {
                .limit_usec = LIMIT_USEC,
                .signal = number,
                .run = 3,
                .frames = frames,
                .stalled = on_stalled,
                .userdata = heard,
        };
        Blame *blame = NULL;

        g_assert_cmpint(blame_new(&blame, &config), ==, 0);
        return blame;
}

/* Hangs until it has been told, in a function that has a name; a loop, so that no system call is
 * needed to be found. */
static __attribute__((noinline)) gboolean hang_here(Heard *heard, guint n) {
        guint64 until = clock_now_usec(CLOCK_MONOTONIC) + PATIENCE_USEC;

        while (atomic_load(&heard->n) < n && clock_now_usec(CLOCK_MONOTONIC) < until)
                (void)sched_yield();
        return atomic_load(&heard->n) >= n;
}

static void test_blamed(void) {
        g_autofree RecorderModules *modules = g_new0(RecorderModules, 1);
        RecorderFrames written = {};
        Heard heard = {};
        Blame *blame = blame_of(&heard, &written, STACK_SIGNAL);
        char text[STACK_TEXT_MAX], function[FUNCTION_LENGTH_MAX];
        guint64 due = clock_now_usec(CLOCK_MONOTONIC);

        g_assert_true(blame_has_signal(blame));
        blame_expect(blame, BLAME_WATCH, due + PATIENCE_USEC);
        blame_expect(blame, BLAME_TICK, due);
        blame_leave(); /* of what began before there was any blame */
        blame_enter("probe", "engine");
        blame_enter("link", "db");
        blame_leave();
        g_assert_true(hang_here(&heard, 1));
        blame_leave();

        g_assert_cmpuint(heard.report.silent_usec, >=, LIMIT_USEC);
        g_assert_cmpstr(heard.report.doing, ==, "probe 'engine'");
        g_assert_true(heard.has_frames);
        g_assert_cmpuint(heard.frames.run, ==, 3);
        modules_take(modules);
        symbols_write(&heard.frames, modules, text, function);
        if (!strstr(text, "hang_here"))
                g_error("'hang_here' is not in:\n%s", text);
        g_assert_nonnull(strstr(text, "test_blamed"));
        g_assert_cmpmem(&written, offsetof(RecorderFrames, checksum), &heard.frames,
                        offsetof(RecorderFrames, checksum));
        g_assert_true(blame_take_told(blame));
        g_assert_false(blame_take_told(blame));

        /* It turns again, and hangs again: told again, and of nothing in particular. */
        blame_expect(blame, BLAME_TICK, clock_now_usec(CLOCK_MONOTONIC));
        g_assert_true(hang_here(&heard, 2));
        g_assert_cmpstr(heard.report.doing, ==, "");
        (void)blame_free(blame);
}

/* How often the thread of that name has slept, or -1 if there is none. */
static gint64 wakeups_of(const char *name) {
        GDir *dir = g_dir_open("/proc/self/task", 0, NULL);
        const char *task;
        gint64 n = -1;

        while (n < 0 && (task = g_dir_read_name(dir))) {
                g_autofree char *path = g_strdup_printf("/proc/self/task/%s/status", task);
                g_autofree char *text = NULL, *head = g_strdup_printf("Name:\t%s\n", name);
                const char *line;

                if (!g_file_get_contents(path, &text, NULL, NULL) || !g_str_has_prefix(text, head))
                        continue;
                line = strstr(text, "\nvoluntary_ctxt_switches:");
                g_assert_nonnull(line);
                n = g_ascii_strtoll(strchr(line, ':') + 1, NULL, 10);
        }
        g_dir_close(dir);
        return n;
}

/* As a loop that turns in time: each time before it is due, it says the next. */
static void test_no_wakeups(void) {
        Heard heard = {};
        Blame *blame = blame_of(&heard, NULL, STACK_SIGNAL);
        guint64 until = clock_now_usec(CLOCK_MONOTONIC) + PATIENCE_USEC;
        guint64 last;
        gint64 before;
        guint n_turns = 0, n_starved = 0;

        /* Until it has begun and sleeps: nothing more is counted. */
        while ((before = wakeups_of("hale-blame")) < 1 ||
               !g_file_test("/proc/self/task", G_FILE_TEST_IS_DIR))
                g_assert_cmpuint(clock_now_usec(CLOCK_MONOTONIC), <, until);
        for (guint64 settled = clock_now_usec(CLOCK_MONOTONIC) + 100 * USEC_PER_MSEC;
             clock_now_usec(CLOCK_MONOTONIC) < settled;)
                (void)sched_yield();
        before = wakeups_of("hale-blame");

        last = clock_now_usec(CLOCK_MONOTONIC);
        until = last + 10 * LIMIT_USEC;
        for (guint64 now; (now = clock_now_usec(CLOCK_MONOTONIC)) < until; n_turns++) {
                n_starved += now - last >= LIMIT_USEC / 2;
                last = now;
                blame_expect(blame, BLAME_TICK, now + LIMIT_USEC / 10);
                blame_expect(blame, BLAME_WATCH, now + LIMIT_USEC);
                (void)sched_yield();
        }
        blame_expect(blame, BLAME_TICK, USEC_NEVER);
        blame_expect(blame, BLAME_WATCH, USEC_NEVER);
        /* A machine under load may starve us for about the limit: each time it looks, and asks. */
        g_assert_true(n_turns > 10 || n_starved > 0);
        g_assert_cmpint(wakeups_of("hale-blame") - before, <=, 2 + 4 * (gint64)n_starved);
        (void)blame_free(blame);

        /* Who has been joined is still in /proc for a moment. */
        until = clock_now_usec(CLOCK_MONOTONIC) + PATIENCE_USEC;
        while (wakeups_of("hale-blame") >= 0)
                g_assert_cmpuint(clock_now_usec(CLOCK_MONOTONIC), <, until);
}

static void on_own(int number) {
        (void)number;
}

static void test_signal_is_taken(void) {
        Heard heard = {};
        struct sigaction action;
        Blame *blame;

        (void)signal(STACK_SIGNAL, on_own);
        blame = blame_of(&heard, NULL, STACK_SIGNAL);
        g_assert_false(blame_has_signal(blame));
        blame_expect(blame, BLAME_TICK, clock_now_usec(CLOCK_MONOTONIC));
        g_assert_true(hang_here(&heard, 1));
        g_assert_false(heard.has_frames);
        g_assert_nonnull(strstr(heard.report.excuse, "the program keeps"));
        (void)blame_free(blame);
        g_assert_cmpint(sigaction(STACK_SIGNAL, NULL, &action), ==, 0);
        g_assert_true(action.sa_handler == on_own);
        (void)signal(STACK_SIGNAL, SIG_DFL);
}

static void test_signal_is_blocked(void) {
        Heard heard = {};
        Blame *blame = blame_of(&heard, NULL, STACK_SIGNAL);
        sigset_t set;

        (void)sigemptyset(&set);
        (void)sigaddset(&set, STACK_SIGNAL);
        g_assert_cmpint(pthread_sigmask(SIG_BLOCK, &set, NULL), ==, 0);
        blame_expect(blame, BLAME_TICK, clock_now_usec(CLOCK_MONOTONIC));
        g_assert_true(hang_here(&heard, 1));
        g_assert_false(heard.has_frames);
        g_assert_nonnull(strstr(heard.report.excuse, "takes no signal"));

        /* The one that still waits finds nobody, and does no harm. */
        (void)blame_free(blame);
        g_assert_cmpint(pthread_sigmask(SIG_UNBLOCK, &set, NULL), ==, 0);
}

/* The thread sanitizer holds signals back until the next call. */
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#define CAN_CORRUPT
#endif

#ifdef CAN_CORRUPT
/* Hangs, with a frame pointer that leads nowhere, until it has been told, or for some seconds. */
__attribute__((noinline)) static void hang_corrupted(Heard *heard) {
        volatile char *space = __builtin_alloca((size_t)getpid() % 16 + 16);
        guint64 frame = 16, left = G_GUINT64_CONSTANT(20000000000);

        space[0] = 0;
        __asm__ volatile("xchg %0, %%rbp\n"
                         "1: dec %1\n\t"
                         "jz 2f\n\t"
                         "cmpl $0, (%2)\n\t"
                         "je 1b\n"
                         "2: xchg %0, %%rbp"
                         : "+r"(frame), "+r"(left)
                         : "r"(&heard->n)
                         : "memory", "cc");
}

/* Whoever goes on has not been killed by our looking at him. */
static void test_corrupted(void) {
        g_autofree RecorderModules *modules = g_new0(RecorderModules, 1);
        char text[STACK_TEXT_MAX], function[FUNCTION_LENGTH_MAX];
        struct sigaction old[2], standard = { .sa_handler = SIG_DFL };
        RecorderFrames written = {}, last_words = {};
        Heard heard = {};
        Blame *blame;

        /* As without a sanitizer. */
        (void)sigaction(SIGSEGV, &standard, &old[0]);
        (void)sigaction(SIGBUS, &standard, &old[1]);
        fatal_install(&last_words, 3);
        blame = blame_of(&heard, &written, STACK_SIGNAL);
        blame_expect(blame, BLAME_TICK, clock_now_usec(CLOCK_MONOTONIC));
        hang_corrupted(&heard);

        g_assert_cmpuint(atomic_load(&heard.n), ==, 1);
        g_assert_true(heard.has_frames);
        modules_take(modules);
        symbols_write(&heard.frames, modules, text, function);
        g_assert_nonnull(strstr(text, "hang_corrupted"));
        g_assert_cmpint(last_words.signal, ==, 0);
        (void)blame_free(blame);
        fatal_remove();
        (void)sigaction(SIGSEGV, &old[0], NULL);
        (void)sigaction(SIGBUS, &old[1], NULL);
}
#endif

static void test_only_one(void) {
        Heard heard = {};
        Blame *blame = blame_of(&heard, NULL, 0), *other = NULL;
        const BlameConfig config = { .limit_usec = 1, .stalled = on_stalled };
        struct sigaction action;

        g_assert_cmpint(blame_new(&other, &config), ==, -EBUSY);
        g_assert_null(other);
        (void)blame_free(blame);
        g_assert_null(blame_free(NULL));

        /* Nobody is there, and nobody minds. */
        blame_enter("probe", "x");
        blame_leave();
        blame_expect(NULL, BLAME_TICK, 1);
        g_assert_false(blame_take_told(NULL));
        g_assert_cmpint(sigaction(STACK_SIGNAL, NULL, &action), ==, 0);
        g_assert_true(action.sa_handler == SIG_DFL);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/heal/blame/blamed", test_blamed);
        g_test_add_func("/heal/blame/no-wakeups", test_no_wakeups);
        g_test_add_func("/heal/blame/signal-is-taken", test_signal_is_taken);
        g_test_add_func("/heal/blame/signal-is-blocked", test_signal_is_blocked);
#ifdef CAN_CORRUPT
        g_test_add_func("/heal/blame/corrupted", test_corrupted);
#endif
        g_test_add_func("/heal/blame/only-one", test_only_one);
        return g_test_run();
}
