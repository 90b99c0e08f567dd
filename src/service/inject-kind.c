/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Kinds of Faults: how to break things, and how to leave them alone again
 *
 * Nothing here pretends but fail-probe: a loop that is said to hang does hang, and a
 * leak fills real pages.
 */

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "check/size.h"
#include "service/inject.h"

/* How fast a leak grows, and how often a link is looked at that may have come back. */
#define LEAK_STEP ((size_t)1024 * 1024)
#define LEAK_USEC (5 * USEC_PER_MSEC)
#define CUT_USEC (100 * USEC_PER_MSEC)

/* ---- fail-probe ---- */

static int check_probe(hale_service *service, const char *target, uint64_t *ret_amount) {
        hale_probe *probe = hale_service_find_probe(service, target);

        (void)ret_amount;
        RETURN_IF_FAIL(probe, -ENOENT);
        return probe->health.state.active ? 0 : -ESTALE;
}

/* What was told may not be told again: it is kept until the end. */
static int fail_pushed(hale_probe *probe) {
        Report *said;

        said = malloc(sizeof(*said));
        if (!said)
                return -ENOMEM;

        *said = (Report){ .status = probe->health.state.result, .given = true };
        (void)snprintf(said->output, sizeof(said->output), "%s", probe->health.output);
        probe->told_to_fail = true;
        (void)probe_take_report(probe, said);
        probe->withheld = said;
        return 0;
}

/* What is pushed fails now; what is asked, with the answer to being asked now. */
static int begin_fail_probe(Injection *injection) {
        hale_probe *probe = hale_service_find_probe(injection->service, injection->target);

        if (!probe)
                return -ENOENT;
        if (probe->health.state.policy.pushed)
                return fail_pushed(probe);

        probe->told_to_fail = true;
        (void)hale_probe_run(probe);
        return 0;
}

static void end_fail_probe(Injection *injection) {
        hale_probe *probe = hale_service_find_probe(injection->service, injection->target);

        if (!probe)
                return;

        probe->told_to_fail = false;
        if (probe->withheld)
                (void)probe_take_report(probe, probe->withheld);
        else if (!probe->health.state.policy.pushed)
                (void)hale_probe_run(probe);
        free(TAKE_PTR(probe->withheld));
}

/* ---- hang-loop ---- */

static int check_nothing(hale_service *service, const char *target, uint64_t *ret_amount) {
        (void)service, (void)ret_amount;
        return target[0] ? -EINVAL : 0;
}

/* Has a name of its own, for whoever reads the stack. */
static __attribute__((noinline)) void rehearsal_hangs(uint64_t until_usec) {
        uint64_t now_usec;

        while ((now_usec = service_now()) < until_usec)
                (void)poll(NULL, 0, (int)((until_usec - now_usec) / USEC_PER_MSEC + 1));
}

static int begin_hang_loop(Injection *injection) {
        rehearsal_hangs(injection->until_usec);
        return 0;
}

/* ---- workers ---- */

static int check_worker(hale_service *service, const char *target, uint64_t *ret_amount) {
        hale_worker *worker = hale_service_find_worker(service, target);

        (void)ret_amount;
        RETURN_IF_FAIL(worker, -ENOENT);
        RETURN_IF_FAIL(hale_worker_get_state(worker) == HALE_WORKER_RUNNING, -ESTALE);
        return hale_worker_get_pid(worker) > 0 ? 0 : -EOPNOTSUPP;
}

static int signal_pidfd(int pidfd, int signal_number) {
        return syscall(SYS_pidfd_send_signal, pidfd, signal_number, NULL, 0) < 0 ? -errno : 0;
}

/* The worker is our child and not waited for yet by anybody but this thread: the number is its. */
static int open_worker(Injection *injection) {
        hale_worker *worker = hale_service_find_worker(injection->service, injection->target);

        injection->pid = worker ? hale_worker_get_pid(worker) : 0;
        if (injection->pid <= 0)
                return -ESRCH;

        injection->pidfd = (int)syscall(SYS_pidfd_open, injection->pid, 0);
        return injection->pidfd < 0 ? -errno : 0;
}

static int begin_kill_worker(Injection *injection) {
        int r;

        r = open_worker(injection);
        return r < 0 ? r : signal_pidfd(injection->pidfd, SIGKILL);
}

static int begin_hang_worker(Injection *injection) {
        int r;

        r = open_worker(injection);
        return r < 0 ? r : signal_pidfd(injection->pidfd, SIGSTOP);
}

/* It may have been killed for it, as it should. */
static void end_hang_worker(Injection *injection) {
        if (injection->pidfd >= 0)
                (void)signal_pidfd(injection->pidfd, SIGCONT);
}

/* ---- cut-link ---- */

static int check_link(hale_service *service, const char *target, uint64_t *ret_amount) {
        (void)ret_amount;
        return hale_service_find_link(service, target) ? 0 : -ENOENT;
}

static int begin_cut_link(Injection *injection) {
        hale_link *link = hale_service_find_link(injection->service, injection->target);

        if (link && hale_link_is_up(link))
                (void)hale_link_down(link, "REHEARSAL: the connection was cut on purpose");
        return 0;
}

/* ---- leak ---- */

typedef struct InjectionLeak {
        struct InjectionLeak *next;
        char bytes[LEAK_STEP];
} InjectionLeak;

static int check_leak(hale_service *service, const char *target, uint64_t *ret_amount) {
        uint64_t amount;
        int r;

        (void)service;
        r = size_parse(target, &amount);
        if (r < 0 || amount == 0 || amount > LEAK_MAX)
                return -EINVAL;

        *ret_amount = amount;
        return 0;
}

/* A piece more; its pages are written to, so that they exist. */
static int begin_leak(Injection *injection) {
        InjectionLeak *leak;

        if (injection->amount == 0)
                return 0;

        leak = malloc(sizeof(*leak));
        if (!leak)
                return -ENOMEM;

        leak->next = injection->leaks;
        injection->leaks = leak;
        explicit_bzero(leak->bytes, sizeof(leak->bytes));
        injection->amount -= MIN(injection->amount, (uint64_t)LEAK_STEP);
        return 0;
}

static void end_leak(Injection *injection) {
        while (injection->leaks) {
                InjectionLeak *leak = injection->leaks;

                injection->leaks = leak->next;
                free(leak);
        }
}

/* clang-format off */
const InjectionKind injection_kinds[] = {
        { "fail-probe",  check_probe,   begin_fail_probe,  USEC_NEVER, end_fail_probe  },
        { "hang-loop",   check_nothing, begin_hang_loop,   USEC_NEVER, NULL            },
        { "kill-worker", check_worker,  begin_kill_worker, USEC_NEVER, NULL            },
        { "hang-worker", check_worker,  begin_hang_worker, USEC_NEVER, end_hang_worker },
        { "cut-link",    check_link,    begin_cut_link,    CUT_USEC,   NULL            },
        { "leak",        check_leak,    begin_leak,        LEAK_USEC,  end_leak        },
};
/* clang-format on */

const size_t n_injection_kinds = ELEMENTSOF(injection_kinds);
