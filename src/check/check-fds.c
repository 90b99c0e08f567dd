/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * "fds:": open descriptors against RLIMIT_NOFILE. From Linux 6.2 on, stat(2) of
 * /proc/self/fd tells their number: it costs a microsecond and no descriptor.
 * Older kernels say 0 there, and listing the folder takes 1 to 4 us an entry:
 * that is left to the pool.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "check/blocking.h"
#include "core/defaults.h"

enum {
        KEY_MAX,
        KEY_WARN
};

typedef struct FdsQuestion {
        Level max, warn;
        char folder[]; /* /proc/self/fd */
} FdsQuestion;

typedef struct FdsCheck {
        Check check;
        Blocking blocking;
} FdsCheck;

static void fds_judge(const FdsQuestion *question, uint64_t n, CheckResult *result) {
        struct rlimit limit = { .rlim_cur = RLIM_INFINITY };
        char level[SIZE_TEXT_MAX];
        const Level *missed = NULL;
        hale_status status = HALE_PASS;

        /* The soft limit is the one that EMFILE comes from, and it may change at any time. */
        (void)getrlimit(RLIMIT_NOFILE, &limit);

        if (n >= level_of(&question->max, limit.rlim_cur)) {
                status = HALE_FAIL;
                missed = &question->max;
        } else if (n >= level_of(&question->warn, limit.rlim_cur)) {
                status = HALE_WARN;
                missed = &question->warn;
        }

        (void)check_result_set(result, status, "%s%llu of %llu descriptors are open%s%s",
                               n >= limit.rlim_cur ? "no descriptors left: " : "",
                               (unsigned long long)n, (unsigned long long)limit.rlim_cur,
                               missed ? "; limit " : "",
                               missed ? level_format(missed, false, level) : "");
        check_result_set_value(result, (double)n, "descriptors");
}

/* Counts the entries of an open folder but for "." and ".."; negative errno. */
static int64_t folder_count(int fd) {
        char buffer[8192];
        int64_t n = 0;
        ssize_t size;

        while ((size = getdents64(fd, buffer, sizeof(buffer))) > 0)
                for (ssize_t at = 0; at < size; n++) {
                        unsigned short length;

                        memcpy(&length, buffer + at + offsetof(struct dirent64, d_reclen),
                               sizeof(length));
                        at += length;
                }

        return size < 0 ? -errno : n - 2;
}

static void fds_ask(const void *userdata, CheckResult *result) {
        const FdsQuestion *question = userdata;
        _cleanup_close_ int fd = -EBADF;
        struct rlimit limit;
        int64_t n;

        fd = open(question->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        n = fd >= 0 ? folder_count(fd) - 1 /* this one */ : -errno;

        /* That there is none left to count with is the answer itself. */
        if (n == -EMFILE && getrlimit(RLIMIT_NOFILE, &limit) == 0)
                n = (int64_t)limit.rlim_cur;

        if (n < 0)
                (void)check_result_set(result, HALE_UNKNOWN, "cannot count descriptors: %s",
                                       strerror((int)-n));
        else
                fds_judge(question, (uint64_t)n, result);
}

static int fds_check_init(Check *check, const char *text, CheckError *error) {
        FdsCheck *self = CONTAINER_OF(check, FdsCheck, check);
        const char *root = check->context.root ? check->context.root : "";
        const SpecValue *max = &check->spec.values[KEY_MAX], *warn = &check->spec.values[KEY_WARN];
        size_t n = strlen(root) + sizeof("/proc/self/fd"), size = sizeof(FdsQuestion) + n;
        FdsQuestion *question;

        if (max->given && warn->given && max->level.is_percent == warn->level.is_percent &&
            (max->level.percent < warn->level.percent || max->level.amount < warn->level.amount))
                return check_complain(check, text, error, KEY_WARN, "at most that of 'max'",
                                      "the level");

        question = malloc(size);
        if (!question)
                return -ENOMEM;

        question->max = check_get_level(check, KEY_MAX, LEVEL_PERCENT(DESCRIPTORS_FAIL_PERCENT));
        question->warn = check_get_level(check, KEY_WARN, LEVEL_PERCENT(DESCRIPTORS_WARN_PERCENT));
        (void)snprintf(question->folder, n, "%s/proc/self/fd", root);

        blocking_init(&self->blocking, fds_ask, question, size);
        return 0;
}

static int fds_check_start(Check *check, CheckResult *result) {
        FdsCheck *self = CONTAINER_OF(check, FdsCheck, check);
        const FdsQuestion *question = self->blocking.question;
        struct stat st;

        if (stat(question->folder, &st) < 0)
                return check_result_set(result, HALE_UNKNOWN, "cannot count descriptors: %s",
                                        strerror(errno));
        if (st.st_size == 0)
                return blocking_start(&self->blocking, check, result);

        fds_judge(question, (uint64_t)st.st_size, result);
        return CHECK_ANSWERED;
}

static void fds_check_cancel(Check *check, CheckResult *result) {
        blocking_cancel(&CONTAINER_OF(check, FdsCheck, check)->blocking, check, result);
}

static void fds_check_done(Check *check) {
        blocking_done(&CONTAINER_OF(check, FdsCheck, check)->blocking);
}

const CheckType check_type_fds = {
        .scheme = {
                .name = "fds",
                .place = SPEC_NOWHERE,
                .keys = {
                        [KEY_MAX] = { .name = "max", .kind = SPEC_LEVEL },
                        [KEY_WARN] = { .name = "warn", .kind = SPEC_LEVEL },
                },
        },
        .size = sizeof(FdsCheck),
        .init = fds_check_init,
        .start = fds_check_start,
        .cancel = fds_check_cancel,
        .done = fds_check_done,
};
