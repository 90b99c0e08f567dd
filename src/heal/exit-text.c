/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/macro.h"
#include "heal/exit-text.h"

bool exit_is_success(const WorkerExit *end) {
        assert(end);

        if (end->reason != REASON_ITSELF && end->reason != REASON_ASKED)
                return false;
        if (end->kind == EXIT_STATUS)
                return end->code == 0;

        return (end->kind == EXIT_RETURNED || end->kind == EXIT_UNKNOWN) && end->has_result &&
               end->result >= 0;
}

/* clang-format off */
const char *const exit_words[_EXIT_WORD_MAX] = {
        [EXIT_WORD_SUCCESS]  = "success",
        [EXIT_WORD_STATUS]   = "status",
        [EXIT_WORD_SIGNAL]   = "signal",
        [EXIT_WORD_CORE]     = "core",
        [EXIT_WORD_OOM]      = "oom",
        [EXIT_WORD_HUNG]     = "hung",
        [EXIT_WORD_NO_STOP]  = "no-stop",
        [EXIT_WORD_NO_START] = "no-start",
        [EXIT_WORD_UNKNOWN]  = "unknown",
};

static const ExitWord words_of_kinds[_EXIT_KIND_MAX] = {
        [EXIT_STATUS]   = EXIT_WORD_STATUS,
        [EXIT_SIGNAL]   = EXIT_WORD_SIGNAL,
        [EXIT_CORE]     = EXIT_WORD_CORE,
        [EXIT_RETURNED] = EXIT_WORD_STATUS,
        [EXIT_UNKNOWN]  = EXIT_WORD_UNKNOWN,
        [EXIT_NO_START] = EXIT_WORD_NO_START,
};
/* clang-format on */

ExitWord exit_word(const WorkerExit *end) {
        assert(end);
        assert(end->kind < _EXIT_KIND_MAX);

        if (end->reason == REASON_HUNG)
                return EXIT_WORD_HUNG;
        if (end->reason == REASON_NO_STOP)
                return EXIT_WORD_NO_STOP;
        if (end->reason == REASON_NO_BEGIN)
                return EXIT_WORD_NO_START;
        if (exit_is_success(end))
                return EXIT_WORD_SUCCESS;
        if (end->kind == EXIT_SIGNAL && end->oom && end->code == SIGKILL)
                return EXIT_WORD_OOM;

        return words_of_kinds[end->kind];
}

static const char *signal_name(int number, char buffer[static 32]) {
        const char *name = sigabbrev_np(number);

        if (name)
                (void)snprintf(buffer, 32, "SIG%s", name);
        else
                (void)snprintf(buffer, 32, "signal %d", number);

        return buffer;
}

/* What its function returned, if that is more than the status says. */
static const char *result_words(const WorkerExit *end, char buffer[static 128]) {
        buffer[0] = '\0';
        if (end->has_result && end->result < 0)
                (void)snprintf(buffer, 128, " (%s)", strerror(-end->result));

        return buffer;
}

static void describe_kind(const WorkerExit *end, char *buffer, size_t size) {
        char name[32], words[128];

        switch (end->kind) {
        case EXIT_STATUS:
                (void)snprintf(buffer, size, "exited with status %d%s", end->code,
                               result_words(end, words));
                break;
        case EXIT_SIGNAL:
                (void)snprintf(buffer, size, "killed by %s%s", signal_name(end->code, name),
                               end->oom && end->code == SIGKILL
                                       ? ", probably the kernel's OOM killer"
                                       : "");
                break;
        case EXIT_CORE:
                (void)snprintf(buffer, size, "killed by %s (core dumped)",
                               signal_name(end->code, name));
                break;
        case EXIT_RETURNED:
                (void)snprintf(buffer, size, end->result < 0 ? "failed%s" : "returned%s",
                               result_words(end, words));
                break;
        case EXIT_NO_START:
                (void)snprintf(buffer, size, "could not be started: %s",
                               end->code == -ENOENT ? "there is no /proc/self/exe"
                                                    : strerror(-end->code));
                break;
        case EXIT_UNKNOWN:
        default:
                (void)snprintf(buffer, size,
                               "ended%s; its status was taken by somebody else's wait()",
                               result_words(end, words));
        }
}

const char *exit_describe(const WorkerExit *end, char *buffer, size_t size) {
        char limit[USEC_TEXT_MAX];

        assert(end);
        assert(buffer && size > 0);

        (void)usec_format(end->limit_usec, limit);
        switch (end->reason) {
        case REASON_HUNG:
                (void)snprintf(buffer, size, "hung: no heartbeat for %s, killed", limit);
                break;
        case REASON_NO_STOP:
                (void)snprintf(buffer, size, "did not stop within %s, killed", limit);
                break;
        case REASON_NO_BEGIN:
                (void)snprintf(buffer, size, "did not reach hale_service_run() within %s, killed",
                               limit);
                break;
        case REASON_ENDED:
                (void)snprintf(buffer, size, "killed with its service");
                break;
        case REASON_ITSELF:
        case REASON_ASKED:
        default:
                describe_kind(end, buffer, size);
        }

        return buffer;
}
