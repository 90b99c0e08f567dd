/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The flight recorder across the death of its service: this test is the manager, which
 * keeps what it is given (FDSTORE=1), kills in each way there is, starts the service
 * anew, and reads on its /health why the last one died.
 */

#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/recorder-format.h"

#define LIMIT_USEC (30 * G_USEC_PER_SEC)
#define WATCHDOG_USEC (2 * G_USEC_PER_SEC)
#define FD_NAME "hale-recorder"

typedef struct Manager {
        char *folder, *notify_path, *http_path, *log_path;
        int fd;
        int kept; /* of the service, or -1 */
        guint n_stored, n_removed;
        gboolean ready;
        gint64 pinged_usec;
        pid_t pid;
} Manager;

static void manager_init(Manager *manager) {
        struct sockaddr_un un = { .sun_family = AF_UNIX };

        *manager = (Manager){ .kept = -1 };
        manager->folder = g_dir_make_tmp("hale-XXXXXX", NULL);
        manager->notify_path = g_build_filename(manager->folder, "notify", NULL);
        manager->http_path = g_build_filename(manager->folder, "http", NULL);
        manager->log_path = g_build_filename(manager->folder, "log", NULL);
        g_assert_cmpuint(strlen(manager->notify_path), <, sizeof(un.sun_path));
        memcpy(un.sun_path, manager->notify_path, strlen(manager->notify_path));
        manager->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        g_assert_cmpint(bind(manager->fd, (struct sockaddr *)&un, sizeof(un)), ==, 0);
}

static void manager_done(Manager *manager) {
        g_assert_cmpint(manager->pid, ==, 0);
        (void)g_unlink(manager->notify_path);
        (void)g_unlink(manager->http_path);
        (void)g_unlink(manager->log_path);
        (void)g_rmdir(manager->folder);
        if (manager->kept >= 0)
                (void)close(manager->kept);
        (void)close(manager->fd);
        g_free(manager->notify_path);
        g_free(manager->http_path);
        g_free(manager->log_path);
        g_free(manager->folder);
}

/* In the child: as systemd does, with what was kept from the third descriptor on. */
static void exec_service(const Manager *manager, const char *mode) {
        const char *program = g_getenv("RECORDER_SERVICE");
        const struct rlimit no_core = { 0, 0 };
        char pid[16], watchdog[16];
        int log;

        (void)g_snprintf(pid, sizeof(pid), "%d", (int)getpid());
        (void)g_snprintf(watchdog, sizeof(watchdog), "%d", (int)WATCHDOG_USEC);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        log = open(manager->log_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        (void)dup2(log, STDERR_FILENO);
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)g_setenv("NOTIFY_SOCKET", manager->notify_path, TRUE);
        (void)g_setenv("WATCHDOG_USEC", watchdog, TRUE);
        (void)g_setenv("WATCHDOG_PID", pid, TRUE);
        if (manager->kept >= 0) {
                int moved = fcntl(manager->kept, F_DUPFD, 10);

                (void)dup2(moved, 3);
                (void)close(moved);
                (void)g_setenv("LISTEN_FDS", "1", TRUE);
                (void)g_setenv("LISTEN_PID", pid, TRUE);
                (void)g_setenv("LISTEN_FDNAMES", FD_NAME, TRUE);
        }
        (void)execl(program, program, mode, manager->http_path, NULL);
        _exit(127);
}

static void manager_start(Manager *manager, const char *mode) {
        g_assert_nonnull(g_getenv("RECORDER_SERVICE"));
        g_assert_cmpint(manager->pid, ==, 0);
        manager->ready = FALSE;
        manager->pid = fork();
        g_assert_cmpint(manager->pid, >=, 0);
        if (manager->pid == 0)
                exec_service(manager, mode);
}

static void manager_heed(Manager *manager, const char *text, int fd) {
        if (strstr(text, "FDSTORE=1")) {
                g_assert_nonnull(strstr(text, "\nFDNAME=" FD_NAME "\nFDPOLL=0"));
                g_assert_cmpint(fd, >=, 0);
                g_assert_cmpint(manager->kept, <, 0);
                manager->kept = fd;
                manager->n_stored++;
                return;
        }

        g_assert_cmpint(fd, <, 0);
        if (strstr(text, "FDSTOREREMOVE=1")) {
                g_assert_cmpint(manager->kept, >=, 0);
                (void)close(manager->kept);
                manager->kept = -1;
                manager->n_removed++;
        }
        if (strstr(text, "WATCHDOG=1"))
                manager->pinged_usec = g_get_monotonic_time();
        if (strstr(text, "WATCHDOG=trigger"))
                (void)kill(manager->pid, SIGABRT);
        manager->ready = manager->ready || g_str_has_prefix(text, "READY=1");
}

static void manager_read(Manager *manager) {
        char text[8192], control[CMSG_SPACE(sizeof(int))];
        struct iovec iov = { text, sizeof(text) - 1 };
        struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
        struct pollfd polled = { manager->fd, POLLIN, 0 };
        ssize_t n;

        (void)poll(&polled, 1, 5);
        for (;;) {
                struct cmsghdr *header;
                int fd = -1;

                message.msg_control = control;
                message.msg_controllen = sizeof(control);
                n = recvmsg(manager->fd, &message, MSG_CMSG_CLOEXEC);
                if (n < 0)
                        return;
                text[n] = '\0';
                header = CMSG_FIRSTHDR(&message);
                if (header && header->cmsg_type == SCM_RIGHTS)
                        memcpy(&fd, CMSG_DATA(header), sizeof(fd));
                manager_heed(manager, text, fd);
        }
}

#define wait_until(manager, condition)                                                             \
        do {                                                                                       \
                gint64 _limit = g_get_monotonic_time() + LIMIT_USEC;                               \
                while (!(condition)) {                                                             \
                        g_assert_cmpint(g_get_monotonic_time(), <, _limit);                        \
                        manager_read(manager);                                                     \
                }                                                                                  \
        } while (0)

static gboolean is_gone(Manager *manager, int *status) {
        return waitpid(manager->pid, status, WNOHANG) == manager->pid;
}

/* Kills with @number (0: it dies by itself), and waits for the end. */
static void manager_bury(Manager *manager, int number) {
        int status;

        if (number > 0)
                g_assert_cmpint(kill(manager->pid, number), ==, 0);
        wait_until(manager, is_gone(manager, &status));
        manager->pid = 0;
        manager_read(manager);
}

/* The answer to GET @path, or "" as long as there is none. */
static char *get(const Manager *manager, const char *path) {
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        GString *answer = g_string_new(NULL);
        g_autofree char *request = NULL;
        char buffer[4096];
        ssize_t n = -1;
        int fd;

        memcpy(un.sun_path, manager->http_path, strlen(manager->http_path));
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        request = g_strdup_printf("GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
        if (connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0 &&
            send(fd, request, strlen(request), MSG_NOSIGNAL) > 0)
                while ((n = recv(fd, buffer, sizeof(buffer), 0)) > 0)
                        g_string_append_len(answer, buffer, n);
        (void)close(fd);
        return g_string_free(answer, FALSE);
}

static gboolean shows(const Manager *manager, const char *path, const char *pattern) {
        g_autofree char *answer = get(manager, path);

        return g_pattern_match_simple(pattern, answer);
}

static void must_show(const Manager *manager, const char *path, const char *pattern) {
        g_autofree char *answer = get(manager, path);

        if (!g_pattern_match_simple(pattern, answer))
                g_error("'%s' is not in the answer to %s:\n%s", pattern, path, answer);
}

static char *log_of(const Manager *manager) {
        char *text = NULL;

        g_assert_true(g_file_get_contents(manager->log_path, &text, NULL, NULL));
        return text;
}

static guint count(const char *text, const char *word) {
        guint n = 0;

        for (const char *found = text; (found = strstr(found, word)); found++)
                n++;
        return n;
}

static gboolean log_has(const Manager *manager, const char *word) {
        g_autofree char *log = log_of(manager);

        return strstr(log, word) != NULL;
}

static void run_well(Manager *manager) {
        manager_start(manager, "well");
        wait_until(manager, manager->ready);
}

static void test_first_run(void) {
        Manager manager;

        manager_init(&manager);
        run_well(&manager);
        g_assert_cmpuint(manager.n_stored, ==, 1);
        g_assert_false(shows(&manager, "/health", "*previousRun*"));
        must_show(&manager, "/status.json", "*\"run\":1,\"restarts\":0,*\"event\":\"start\"*");
        must_show(&manager, "/status.json",
                  "*\"event\":\"probe\",\"name\":\"engine\",\"from\":\"unknown\",\"to\":\"pass\"*");
        manager_bury(&manager, SIGTERM);
        manager_done(&manager);
}

typedef struct Row {
        const char *mode;
        int signal; /* that the test sends when it is ready; 0: none */
        gboolean as_watchdog;
        const char *shown; /* on the next run's /health */
        const char *logged;
} Row;

/* clang-format off */
static const Row rows[] = {
        { "well", SIGKILL, FALSE,
          "*\"previousRun\":{\"result\":\"killed\",\"reason\":\"it was killed without a word*\"restarts\":1,*",
          "the last time it was killed" },
        { "well", SIGABRT, FALSE,
          "*\"previousRun\":{\"result\":\"abort\",*\"signal\":\"SIGABRT\",*\"stack\":*",
          "the last time it was aborted" },
        { "abort", 0, FALSE,
          "*\"previousRun\":{\"result\":\"abort\",*\"function\":\"*\",\"stack\":*an_abort_with_a_name*",
          "an_abort_with_a_name" },
        { "crash", 0, FALSE,
          "*\"previousRun\":{\"result\":\"crash\",*SIGSEGV*\"function\":\"a_crash_with_a_name+*",
          "it crashed (SIGSEGV) at a_crash_with_a_name+" },
        { "sick", 0, FALSE,
          "*\"previousRun\":{\"result\":\"trigger\",*\"probe\":\"engine\"*",
          "it asked systemd to restart it: not live: engine: beyond help MAINPID=1" },
        { "hang", 0, TRUE,
          "*\"previousRun\":{\"result\":\"watchdog\",*\"stalledIn\":\"probe 'engine'\",\"function\":\"a_hang_with_a_name+*\"stack\":*main+*",
          "in probe 'engine' at a_hang_with_a_name+" },
};
/* clang-format on */

static void test_row(gconstpointer data) {
        const Row *row = data;
        Manager manager;
        g_autofree char *log = NULL;

        manager_init(&manager);
        manager_start(&manager, row->mode);
        wait_until(&manager, manager.ready);
        if (row->as_watchdog) {
                wait_until(&manager, g_get_monotonic_time() - manager.pinged_usec >= WATCHDOG_USEC);
                g_assert_true(log_has(&manager, "The event loop of 'subject' hangs for "));
                g_assert_true(log_has(&manager, "in probe 'engine', at a_hang_with_a_name+"));
                manager_bury(&manager, SIGABRT);
        } else {
                manager_bury(&manager, row->signal);
        }

        run_well(&manager);
        g_assert_cmpuint(manager.n_stored, ==, 1);
        g_assert_cmpuint(manager.n_removed, ==, 0);
        must_show(&manager, "/health", row->shown);
        must_show(&manager, "/status.json", "*\"run\":2,\"restarts\":1,*");
        must_show(&manager, "/status.json", "*\"run\":1,\"event\":\"start\"*");
        log = log_of(&manager);
        g_assert_cmpuint(count(log, "runs again; the last time"), ==, 1);
        if (!strstr(log, row->logged))
                g_error("'%s' is not in:\n%s", row->logged, log);
        manager_bury(&manager, SIGTERM);
        manager_done(&manager);
}

/* An end that was meant is told on /health, and is no reason for a warning. */
static void test_clean_stop(void) {
        Manager manager;

        manager_init(&manager);
        run_well(&manager);
        manager_bury(&manager, SIGTERM);
        run_well(&manager);
        must_show(&manager, "/health",
                  "*\"previousRun\":{\"result\":\"stopped\",*\"restarts\":0,*");
        g_assert_false(log_has(&manager, "runs again"));
        manager_bury(&manager, SIGTERM);
        manager_done(&manager);
}

static void test_many_runs(void) {
        Manager manager;

        manager_init(&manager);
        for (guint i = 0; i < 12; i++) {
                run_well(&manager);
                manager_bury(&manager, i % 3 == 0 ? SIGTERM : SIGKILL);
        }
        run_well(&manager);
        g_assert_cmpuint(manager.n_stored, ==, 1);
        must_show(&manager, "/status.json", "*\"run\":13,\"restarts\":8,*");
        manager_bury(&manager, SIGTERM);
        manager_done(&manager);
}

static void test_maintenance(void) {
        Manager manager;
        gint64 until;

        manager_init(&manager);
        manager_start(&manager, "maintain");
        wait_until(&manager, shows(&manager, "/health", "*\"phase\":\"maintenance\"*"));
        manager_bury(&manager, SIGKILL);
        run_well(&manager);
        must_show(&manager, "/health", "*\"phase\":\"maintenance\"*maintenance: new disk*");
        must_show(&manager, "/readyz", "HTTP/1.1 503*");
        manager_bury(&manager, SIGKILL);

        /* A shorter one replaces it, and runs out while nobody is there. */
        manager_start(&manager, "maintain-shortly");
        wait_until(&manager, shows(&manager, "/health", "*maintenance: a moment*"));
        until = g_get_monotonic_time() + G_USEC_PER_SEC;
        manager_bury(&manager, SIGKILL);
        wait_until(&manager, g_get_monotonic_time() >= until);
        run_well(&manager);
        must_show(&manager, "/health", "*\"phase\":\"running\"*");
        manager_bury(&manager, SIGTERM);
        manager_done(&manager);
}

/* A loop that goes on by itself is in the history, with where it hung. */
static void test_stall_that_ends(void) {
        Manager manager;

        manager_init(&manager);
        manager_start(&manager, "stall");
        wait_until(&manager, shows(&manager, "/status.json",
                                   "*\"event\":\"stall\"*\"text\":\"a_stall_that*"));
        g_assert_true(log_has(&manager, "at a_stall_that_ends+"));
        manager_bury(&manager, SIGKILL);
        run_well(&manager);
        must_show(&manager, "/health", "*\"previousRun\":{\"result\":\"killed\",*");
        g_assert_false(shows(&manager, "/health", "*stalledIn*"));
        manager_bury(&manager, SIGTERM);
        manager_done(&manager);
}

static void garble(RecorderArea *area) {
        guint32 *words = (guint32 *)area;

        for (gsize i = 0; i < sizeof(*area) / 4; i++)
                words[i] = (guint32)g_test_rand_int();
}

static void make_old(RecorderArea *area) {
        area->header.version = 0;
}

static void make_foreign(RecorderArea *area) {
        area->header.service[0] ^= 1;
}

static void make_empty(RecorderArea *area) {
        memset(area, 0, sizeof(*area));
}

static void make_crashed_twice(RecorderArea *area) {
        area->restores = 2 | (guint64)~2U << 32;
}

static void tear_states(RecorderArea *area) {
        area->states[0].run ^= 1;
        area->states[1].run ^= 1;
}

typedef struct Damage {
        const char *name;
        void (*damage)(RecorderArea *area); /* NULL: another file altogether */
        const char *word;
} Damage;

static const Damage damages[] = {
        { "random", garble, "(magic)" },
        { "empty", make_empty, "(magic)" },
        { "old", make_old, "(version)" },
        { "foreign", make_foreign, "(header)" },
        { "crashed-twice", make_crashed_twice, "(restoring it has crashed twice)" },
        { "states", tear_states, "(state)" },
        { "pipe", NULL, "(kind)" },
};

static void damage_record(Manager *manager, const Damage *damage) {
        RecorderArea *area;
        int fds[2];

        if (!damage->damage) {
                g_assert_cmpint(pipe(fds), ==, 0);
                (void)close(manager->kept);
                (void)close(fds[1]);
                manager->kept = fds[0];
                return;
        }

        area = mmap(NULL, sizeof(*area), PROT_READ | PROT_WRITE, MAP_SHARED, manager->kept, 0);
        g_assert_true(area != MAP_FAILED);
        damage->damage(area);
        (void)munmap(area, sizeof(*area));
}

/* One line, a new record, and a service that is as well as ever. */
static void test_damage(gconstpointer data) {
        const Damage *damage = data;
        g_autofree char *log = NULL;
        Manager manager;

        manager_init(&manager);
        run_well(&manager);
        manager_bury(&manager, SIGKILL);
        damage_record(&manager, damage);

        run_well(&manager);
        g_assert_cmpuint(manager.n_removed, ==, 1);
        g_assert_cmpuint(manager.n_stored, ==, 2);
        g_assert_false(shows(&manager, "/health", "*previousRun*"));
        must_show(&manager, "/status.json", "*\"run\":1,*");
        log = log_of(&manager);
        g_assert_cmpuint(count(log, "cannot be used"), ==, 1);
        if (!strstr(log, damage->word))
                g_error("'%s' is not in:\n%s", damage->word, log);

        /* And the new one works. */
        manager_bury(&manager, SIGKILL);
        run_well(&manager);
        must_show(&manager, "/health", "*\"previousRun\":{\"result\":\"killed\"*");
        manager_bury(&manager, SIGTERM);
        manager_done(&manager);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/service/record/first-run", test_first_run);
        for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
                char *path = g_strdup_printf("/service/record/%s-%d", rows[i].mode, rows[i].signal);

                g_test_add_data_func(path, &rows[i], test_row);
                g_free(path);
        }
        g_test_add_func("/service/record/clean-stop", test_clean_stop);
        g_test_add_func("/service/record/many-runs", test_many_runs);
        g_test_add_func("/service/record/maintenance", test_maintenance);
        g_test_add_func("/service/record/stall-that-ends", test_stall_that_ends);
        for (gsize i = 0; i < G_N_ELEMENTS(damages); i++) {
                char *path = g_strdup_printf("/service/record/damage/%s", damages[i].name);

                g_test_add_data_func(path, &damages[i], test_damage);
                g_free(path);
        }
        return g_test_run();
}
