/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/macro.h"
#include "heal/blame.h"
#include "heal/stack.h"

/* What is being done: words that the thread may read while they are written, and then again. */
typedef struct Doing {
        _Atomic uint64_t version; /* odd while it is being written */
        _Atomic uint64_t words[2 * (NAME_LENGTH_MAX + 1) / 8];
} Doing;

struct Blame {
        BlameConfig config;
        pid_t pid, tid;
        pthread_t thread;
        bool has_signal;
        int timer_fd, end_fd;

        _Atomic uint64_t due_usec[_BLAME_TIMER_MAX];
        _Atomic uint64_t armed_usec; /* when the thread wakes */
        Doing doing;
        unsigned depth; /* of calls within calls: the outermost is told */
        atomic_bool ending, told;

        atomic_bool asked; /* the handler takes the stack for us */
        sem_t answered;
        RecorderFrames frames;
};

static _Atomic(Blame *) the_blame;

static uint64_t earliest_due(Blame *blame) {
        uint64_t due = USEC_NEVER;

        for (size_t i = 0; i < _BLAME_TIMER_MAX; i++)
                due = MIN(due, atomic_load(&blame->due_usec[i]));

        return due;
}

static void blame_arm(Blame *blame, uint64_t at_usec) {
        struct itimerspec spec = {};

        atomic_store(&blame->armed_usec, at_usec);
        if (at_usec != USEC_NEVER)
                spec.it_value = (struct timespec){
                        .tv_sec = (time_t)(at_usec / USEC_PER_SEC),
                        .tv_nsec = (long)(at_usec % USEC_PER_SEC * NSEC_PER_USEC) + 1,
                };
        (void)timerfd_settime(blame->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

/* Far enough behind what is due, so that it is moved seldom, and near enough to be in time. */
void blame_expect(Blame *blame, BlameTimer timer, uint64_t due_usec) {
        uint64_t limit_usec, armed_usec, at_usec;

        if (!blame)
                return;

        atomic_store(&blame->due_usec[timer], due_usec);
        limit_usec = blame->config.limit_usec;
        armed_usec = atomic_load(&blame->armed_usec);
        at_usec = usec_add(earliest_due(blame), limit_usec);
        if (at_usec == USEC_NEVER) {
                if (armed_usec != USEC_NEVER)
                        blame_arm(blame, USEC_NEVER);
                return;
        }

        if (armed_usec < at_usec || armed_usec > usec_add(at_usec, limit_usec / 2))
                blame_arm(blame, usec_add(at_usec, limit_usec / 4));
}

static void doing_write(Doing *doing, const char *text) {
        char raw[sizeof(doing->words)] = "";

        (void)snprintf(raw, sizeof(raw), "%s", text);
        atomic_fetch_add(&doing->version, 1);
        for (size_t i = 0; i < ELEMENTSOF(doing->words); i++) {
                uint64_t word;

                memcpy(&word, raw + 8 * i, sizeof(word));
                atomic_store_explicit(&doing->words[i], word, memory_order_release);
        }
        atomic_fetch_add(&doing->version, 1);
}

/* A loop that hangs does not write; one that does is read as nothing. */
static void doing_read(Doing *doing, char text[static sizeof(doing->words)]) {
        uint64_t version = atomic_load(&doing->version);

        for (size_t i = 0; i < ELEMENTSOF(doing->words); i++) {
                uint64_t word = atomic_load(&doing->words[i]);

                memcpy(text + 8 * i, &word, sizeof(word));
        }
        if (version % 2 != 0 || atomic_load(&doing->version) != version)
                text[0] = '\0';
        text[sizeof(doing->words) - 1] = '\0';
}

void blame_enter(const char *what, const char *name) {
        Blame *blame = atomic_load(&the_blame);
        char text[sizeof(blame->doing.words)];

        if (!blame || blame->depth++ > 0)
                return;

        if (name)
                (void)snprintf(text, sizeof(text), "%s '%s'", what, name);
        else
                (void)snprintf(text, sizeof(text), "%s", what);
        doing_write(&blame->doing, text);
}

void blame_leave(void) {
        Blame *blame = atomic_load(&the_blame);

        /* It may have been made within the call. */
        if (blame && blame->depth > 0 && --blame->depth == 0)
                doing_write(&blame->doing, "");
}

bool blame_take_told(Blame *blame) {
        return blame && atomic_load_explicit(&blame->told, memory_order_relaxed) &&
               atomic_exchange(&blame->told, false);
}

bool blame_has_signal(const Blame *blame) {
        return blame && blame->has_signal;
}

/* In the thread that hangs. */
static void on_stack_signal(int number, siginfo_t *info, void *ucontext) {
        Blame *blame = atomic_load(&the_blame);
        int saved = errno;

        (void)info;
        if (blame && atomic_exchange(&blame->asked, false)) {
                RecorderFrames *frames = &blame->frames;

                memset(frames, 0, sizeof(*frames));
                frames->run = blame->config.run;
                frames->usec = clock_now_usec(CLOCK_MONOTONIC);
                frames->signal = number;
                stack_take(ucontext, frames);
                if (blame->config.frames)
                        recorder_write_frames(blame->config.frames, frames);
                (void)sem_post(&blame->answered);
        }
        errno = saved;
}

/* Did the other thread show its stack? */
static bool blame_ask(Blame *blame) {
        struct timespec until;
        int r;

        while (sem_trywait(&blame->answered) == 0)
                ; /* an answer that came too late the last time */

        atomic_store(&blame->asked, true);
        if (syscall(SYS_tgkill, blame->pid, blame->tid, blame->config.signal) < 0)
                return false;

        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += (long)(STACK_ANSWER_USEC * NSEC_PER_USEC);
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        do
                r = sem_timedwait(&blame->answered, &until);
        while (r < 0 && errno == EINTR);

        /* If the handler has begun, it also ends. */
        if (r < 0 && !atomic_exchange(&blame->asked, false))
                r = sem_wait(&blame->answered);
        return r == 0;
}

static void blame_tell(Blame *blame, uint64_t now_usec, uint64_t silent_usec) {
        BlameReport report = { .usec = now_usec, .silent_usec = silent_usec };

        doing_read(&blame->doing, report.doing);
        if (!blame->has_signal)
                report.excuse = "the program keeps the signal for it to itself";
        else if (blame_ask(blame))
                report.frames = &blame->frames;
        else
                report.excuse = "the thread takes no signal: it waits in the kernel, or blocks it";

        atomic_store(&blame->told, true);
        blame->config.stalled(&report, blame->config.userdata);
}

/* It is later than it should have got. */
static void blame_look(Blame *blame) {
        uint64_t now_usec = clock_now_usec(CLOCK_MONOTONIC);
        uint64_t limit_usec = blame->config.limit_usec;
        uint64_t armed_usec = atomic_load(&blame->armed_usec);
        uint64_t due_usec = earliest_due(blame);

        if (armed_usec == USEC_NEVER)
                return;
        if (now_usec < armed_usec) {
                /* Moved on this very moment, perhaps between our two looks at it. */
                blame_arm(blame, armed_usec);
                return;
        }

        /* We are late ourselves: all of us were stopped or starved, and get another chance. */
        if (now_usec - armed_usec > limit_usec / 2) {
                blame_arm(blame, now_usec + limit_usec);
                return;
        }

        if (usec_sub(now_usec, due_usec) >= limit_usec)
                blame_tell(blame, now_usec, now_usec - due_usec);
}

static void *blame_main(void *data) {
        Blame *blame = data;
        struct pollfd polled[] = {
                { .fd = blame->timer_fd, .events = POLLIN },
                { .fd = blame->end_fd, .events = POLLIN },
        };
        uint64_t count;

        (void)pthread_setname_np(pthread_self(), "hale-blame");
        stack_prime();
        while (!atomic_load(&blame->ending)) {
                if (poll(polled, ELEMENTSOF(polled), -1) < 0)
                        continue;
                if (read(blame->timer_fd, &count, sizeof(count)) == sizeof(count))
                        blame_look(blame);
        }

        return NULL;
}

/* Takes the signal, unless the program does, and lets it through. */
static bool blame_take_signal(const BlameConfig *config) {
        struct sigaction action = { .sa_sigaction = on_stack_signal,
                                    .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK };
        struct sigaction old;
        sigset_t set;

        if (config->signal == 0 || sigaction(config->signal, NULL, &old) < 0 ||
            (old.sa_flags & SA_SIGINFO) || old.sa_handler != SIG_DFL)
                return false;

        (void)sigemptyset(&action.sa_mask);
        (void)sigemptyset(&set);
        (void)sigaddset(&set, config->signal);
        return sigaction(config->signal, &action, NULL) == 0 &&
               pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0;
}

static void blame_release_signal(const Blame *blame) {
        const struct sigaction standard = { .sa_handler = SIG_IGN };
        struct sigaction action;

        /* Ignored first: one that is on its way would end the process. */
        if (blame->has_signal && sigaction(blame->config.signal, NULL, &action) == 0 &&
            (action.sa_flags & SA_SIGINFO) && action.sa_sigaction == on_stack_signal) {
                (void)sigaction(blame->config.signal, &standard, NULL);
                action = (struct sigaction){ .sa_handler = SIG_DFL };
                (void)sigaction(blame->config.signal, &action, NULL);
        }
}

/* With all signals blocked: they are for the program's threads. */
static int blame_start(Blame *blame) {
        pthread_attr_t attributes;
        sigset_t all, old;
        int r;

        r = -pthread_attr_init(&attributes);
        if (r < 0)
                return r;

        (void)pthread_attr_setstacksize(&attributes, POOL_STACK_SIZE);
        (void)sigfillset(&all);
        (void)pthread_sigmask(SIG_SETMASK, &all, &old);
        r = -pthread_create(&blame->thread, &attributes, blame_main, blame);
        (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
        (void)pthread_attr_destroy(&attributes);
        return r;
}

static void blame_dispose(Blame *blame) {
        blame_release_signal(blame);
        atomic_store(&the_blame, NULL);
        (void)fd_close(blame->timer_fd);
        (void)fd_close(blame->end_fd);
        (void)sem_destroy(&blame->answered);
        free(blame);
}

int blame_new(Blame **ret, const BlameConfig *config) {
        Blame *blame, *none = NULL;
        int r;

        assert(ret);
        assert(config && config->stalled && config->limit_usec > 0);

        blame = calloc(1, sizeof(*blame));
        if (!blame)
                return -ENOMEM;
        if (!atomic_compare_exchange_strong(&the_blame, &none, blame)) {
                free(blame);
                return -EBUSY;
        }

        blame->config = *config;
        blame->pid = getpid();
        blame->tid = gettid();
        (void)sem_init(&blame->answered, 0, 0);
        atomic_store(&blame->armed_usec, USEC_NEVER);
        for (size_t i = 0; i < _BLAME_TIMER_MAX; i++)
                atomic_store(&blame->due_usec[i], USEC_NEVER);
        blame->has_signal = blame_take_signal(config);
        blame->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        blame->end_fd = blame->timer_fd < 0 ? -EBADF : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        r = blame->end_fd < 0 ? -errno : blame_start(blame);
        if (r < 0) {
                blame_dispose(blame);
                return r;
        }

        *ret = blame;
        return 0;
}

Blame *blame_free(Blame *blame) {
        if (!blame)
                return NULL;

        atomic_store(&blame->ending, true);
        (void)eventfd_write(blame->end_fd, 1);
        (void)pthread_join(blame->thread, NULL);
        blame_dispose(blame);
        return NULL;
}
