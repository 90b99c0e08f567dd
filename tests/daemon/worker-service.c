/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A service with workers, as its command line says, for the tests test-worker*
 *
 *     worker-service [--OPTION=VALUE...] NAME:WHAT[,KEY=VALUE...]...
 *
 *   --group=NAME:STRATEGY    0, 1, 2 as in hale_strategy; before its members
 *   --heap=MIB               so much dirty memory in the service
 *   --sigchld=handler|reap|ignore
 *   --drain=USEC
 *   --untidy                 with a blocked signal and a file that would be inherited
 *
 * WHAT is a row of the table in worker-behaviours.c, KEY one of those of settings[]. It does
 * what is asked of it on stdin: "stop", "restart NAME", "show NAME", "fork", "chroot
 * FOLDER". All that happens are lines on stdout and stderr.
 */

#include <errno.h>
#include <fcntl.h>
#include <hale/hale.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "worker-service.h"

static hale_service *service;
static volatile sig_atomic_t n_sigchld, n_reaped;

hale_service *the_service(void) {
        return service;
}

void drop_the_service(void) {
        service = hale_service_unref(service);
}

static hale_group *group;

static int set(hale_worker *worker, const char *key, unsigned long a, unsigned long b) {
        if (strcmp(key, "restart") == 0)
                return hale_worker_set_restart(worker, (hale_restart)a);
        if (strcmp(key, "thread") == 0)
                return hale_worker_set_thread(worker, (int)a);
        if (strcmp(key, "spare") == 0)
                return hale_worker_set_spare(worker, (int)a);
        if (strcmp(key, "heartbeat") == 0)
                return hale_worker_set_heartbeat_usec(worker, a);
        if (strcmp(key, "stop") == 0)
                return hale_worker_set_stop_usec(worker, a);
        if (strcmp(key, "backoff") == 0)
                return hale_worker_set_backoff_usec(worker, a, b);
        if (strcmp(key, "intensity") == 0)
                return hale_worker_set_intensity(worker, (unsigned)a, b);
        if (strcmp(key, "gates") == 0)
                return hale_worker_set_gates(worker, (int)a);
        if (strcmp(key, "grouped") == 0)
                return hale_group_add(group, worker);
        return -EINVAL;
}

/* "NAME:WHAT,KEY=A/B,..." */
static int add_worker(char *text) {
        char *what = strchr(text, ':'), *next, key[32];
        unsigned long a, b;
        hale_worker *worker;
        int r;

        if (!what)
                return -EINVAL;
        *what++ = '\0';
        next = strsep(&what, ",");
        r = hale_service_add_worker(service, &worker, text, find_behaviour(next), NULL);
        while (r >= 0 && (next = strsep(&what, ","))) {
                a = b = 0;
                r = sscanf(next, "%31[a-z]=%lu/%lu", key, &a, &b) < 2 ? -EINVAL
                                                                      : set(worker, key, a, b);
        }
        if (r >= 0)
                (void)hale_worker_unref(worker);
        return r;
}

static void on_sigchld(int number) {
        int saved = errno;

        (void)number;
        n_sigchld++;
        while (waitpid(-1, NULL, WNOHANG) > 0)
                n_reaped++;
        errno = saved;
}

static void count_sigchld(int number) {
        (void)number;
        n_sigchld++;
}

static int be_untidy(void) {
        sigset_t blocked;

        (void)sigemptyset(&blocked);
        (void)sigaddset(&blocked, SIGUSR2);
        (void)sigprocmask(SIG_BLOCK, &blocked, NULL);
        return open("/proc/self/exe", O_RDONLY) < 0 ? -errno : 0;
}

static int set_option(const char *option) {
        unsigned long n;
        char *memory;

        if (sscanf(option, "--heap=%lu", &n) == 1) {
                if (hale_service_is_worker(service))
                        return 0;
                memory = malloc(n << 20);
                if (!memory)
                        return -ENOMEM;
                memset(memory, 1, n << 20);
                __asm__ volatile("" : : "r"(memory) : "memory");
                return 0;
        }
        if (strcmp(option, "--untidy") == 0)
                return hale_service_is_worker(service) ? 0 : be_untidy();
        if (strcmp(option, "--sigchld=handler") == 0)
                return signal(SIGCHLD, count_sigchld) == SIG_ERR ? -errno : 0;
        if (strcmp(option, "--sigchld=reap") == 0)
                return signal(SIGCHLD, on_sigchld) == SIG_ERR ? -errno : 0;
        if (strcmp(option, "--sigchld=ignore") == 0)
                return signal(SIGCHLD, SIG_IGN) == SIG_ERR ? -errno : 0;
        if (sscanf(option, "--drain=%lu", &n) == 1)
                return hale_service_set_drain_usec(service, n);
        if (sscanf(option, "--group=g:%lu", &n) == 1)
                return hale_service_add_group(service, &group, "g", (hale_strategy)n);
        return -EINVAL;
}

static void show(const char *name) {
        hale_worker *worker = hale_service_find_worker(service, name);
        hale_probe *probe = hale_service_find_probe(service, name);

        (void)dprintf(STDOUT_FILENO,
                      "show %s %s pid=%d restarts=%lu verdict=%s gates=%d live=%d ready=%d "
                      "sigchld=%d reaped=%d exit=[%s] output=[%s]\n",
                      name, hale_worker_state_to_string(hale_worker_get_state(worker)),
                      hale_worker_get_pid(worker),
                      (unsigned long)hale_worker_get_n_restarts(worker),
                      hale_status_to_string(hale_probe_get_verdict(probe)),
                      hale_probe_get_gates(probe), hale_service_is_live(service),
                      hale_service_is_ready(service), (int)n_sigchld, (int)n_reaped,
                      hale_worker_get_exit_text(worker), hale_probe_get_output(probe));
}

/* Has all that the service has, and does nothing with it. */
static void fork_idle(void) {
        pid_t pid = fork();

        if (pid == 0)
                for (;;)
                        (void)pause();
        (void)dprintf(STDOUT_FILENO, "forked %d\n", (int)pid);
}

static int on_command(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        char line[128], *command = line, *word, *name;
        ssize_t n = read(fd, line, sizeof(line) - 1);

        (void)revents, (void)userdata;
        if (n <= 0)
                return sd_event_source_set_enabled(source, SD_EVENT_OFF);

        line[n] = '\0';
        while ((word = strsep(&command, "\n"))) {
                name = strchr(word, ' ');
                if (strcmp(word, "stop") == 0)
                        (void)hale_service_stop(service);
                else if (strcmp(word, "fork") == 0)
                        fork_idle();
                else if (name && strncmp(word, "chroot", 6) == 0)
                        (void)dprintf(STDOUT_FILENO, "chroot %d\n", chroot(name + 1));
                else if (name && strncmp(word, "restart", 7) == 0)
                        (void)hale_worker_restart(hale_service_find_worker(service, name + 1));
                else if (name)
                        show(name + 1);
        }
        return 0;
}

int main(int argc, char *argv[]) {
        int r;

        r = hale_service_new(&service, "workers");
        for (int i = 1; r >= 0 && i < argc; i++)
                r = argv[i][0] == '-' ? set_option(argv[i]) : add_worker(argv[i]);
        if (r >= 0 && !hale_service_is_worker(service))
                r = sd_event_add_io(hale_service_get_event(service), NULL, STDIN_FILENO, POLLIN,
                                    on_command, NULL);
        if (r >= 0) {
                if (!hale_service_is_worker(service))
                        say("service", "runs");
                r = hale_service_run(service);
        }

        (void)hale_group_unref(group);
        (void)hale_service_unref(service);
        return hale_exit_status(r);
}
