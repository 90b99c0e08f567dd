/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * "file:/path": whether it is there, of which kind, how old and how large. In the
 * pool, as stat(2) hangs with the server of the file.
 */

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "check/blocking.h"

enum {
        KEY_MAX_AGE,
        KEY_WARN_AGE,
        KEY_MIN_SIZE,
        KEY_MAX_SIZE,
        KEY_MISSING,
        KEY_KIND
};

typedef enum FileKind {
        FILE_ANY,
        FILE_REGULAR,
        FILE_DIRECTORY,
        FILE_SOCKET,
        FILE_FIFO,
        FILE_DEVICE
} FileKind;

static const char *const missing_words[] = { "fail", "warn", "pass", NULL };
static const hale_status missing_status[] = { HALE_FAIL, HALE_WARN, HALE_PASS };

/* clang-format off */
static const char *const kind_words[] = {
        [FILE_ANY]       = "any",
        [FILE_REGULAR]   = "file",
        [FILE_DIRECTORY] = "directory",
        [FILE_SOCKET]    = "socket",
        [FILE_FIFO]      = "fifo",
        [FILE_DEVICE]    = "device",
        NULL
};
/* clang-format on */

static_assert(ELEMENTSOF(missing_words) == ELEMENTSOF(missing_status) + 1,
              "a word lacks its status");

typedef struct FileQuestion {
        uint64_t max_age_usec, warn_age_usec;
        uint64_t min_size, max_size;
        hale_status missing;
        FileKind kind;
        char path[];
} FileQuestion;

typedef struct FileCheck {
        Check check;
        Blocking blocking;
} FileCheck;

static FileKind file_kind(mode_t mode) {
        return S_ISREG(mode)                    ? FILE_REGULAR
               : S_ISDIR(mode)                  ? FILE_DIRECTORY
               : S_ISSOCK(mode)                 ? FILE_SOCKET
               : S_ISFIFO(mode)                 ? FILE_FIFO
               : S_ISCHR(mode) || S_ISBLK(mode) ? FILE_DEVICE
                                                : FILE_ANY;
}

/* A file from the future has no age: the clock was set back, and that is another matter. */
static uint64_t file_age_usec(const struct stat *st) {
        uint64_t now_usec = clock_now_usec(CLOCK_REALTIME);

        if (st->st_mtim.tv_sec < 0)
                return now_usec;

        return usec_sub(now_usec, (uint64_t)st->st_mtim.tv_sec * USEC_PER_SEC +
                                          (uint64_t)st->st_mtim.tv_nsec / NSEC_PER_USEC);
}

static void file_judge(const FileQuestion *question, const struct stat *st, CheckResult *result) {
        char age[USEC_TEXT_MAX], limit[USEC_TEXT_MAX], size[SIZE_TEXT_MAX], bound[SIZE_TEXT_MAX];
        uint64_t age_usec = file_age_usec(st), bytes = (uint64_t)st->st_size;
        FileKind kind = file_kind(st->st_mode);

        (void)usec_format(age_usec, age);
        (void)size_format(bytes, size);

        if (question->kind != FILE_ANY && kind != question->kind)
                (void)check_result_set(result, HALE_FAIL, "%s is no %s", question->path,
                                       kind_words[question->kind]);
        else if (bytes < question->min_size)
                (void)check_result_set(result, HALE_FAIL, "%s has %s, less than %s", question->path,
                                       size, size_format(question->min_size, bound));
        else if (bytes > question->max_size)
                (void)check_result_set(result, HALE_FAIL, "%s has %s, more than %s", question->path,
                                       size, size_format(question->max_size, bound));
        else if (age_usec > question->max_age_usec)
                (void)check_result_set(result, HALE_FAIL, "%s is %s old, more than %s",
                                       question->path, age,
                                       usec_format(question->max_age_usec, limit));
        else if (age_usec > question->warn_age_usec)
                (void)check_result_set(result, HALE_WARN, "%s is %s old, more than %s",
                                       question->path, age,
                                       usec_format(question->warn_age_usec, limit));
        else
                (void)check_result_set(result, HALE_PASS, "%s old, %s", age, size);

        check_result_set_value(result, (double)age_usec / (double)USEC_PER_SEC, "s");
}

static void file_ask(const void *userdata, CheckResult *result) {
        const FileQuestion *question = userdata;
        struct stat st;
        int r;

        do
                r = stat(question->path, &st);
        while (r < 0 && errno == EINTR);

        if (r >= 0)
                file_judge(question, &st, result);
        else if (errno == ENOENT || errno == ENOTDIR)
                (void)check_result_set(result, question->missing, "%s is not there",
                                       question->path);
        else
                (void)check_result_set(result,
                                       check_error_is_local(errno) ? HALE_UNKNOWN : HALE_FAIL,
                                       "%s: %s", question->path, strerror(errno));
}

static int file_check_init(Check *check, const char *text, CheckError *error) {
        FileCheck *self = CONTAINER_OF(check, FileCheck, check);
        size_t n = strlen(check->spec.path) + 1, size = sizeof(FileQuestion) + n;
        FileQuestion *question;

        question = malloc(size);
        if (!question)
                return -ENOMEM;

        *question = (FileQuestion){
                .max_age_usec = check_get_number(check, KEY_MAX_AGE, USEC_NEVER),
                .warn_age_usec = check_get_number(check, KEY_WARN_AGE, USEC_NEVER),
                .min_size = check_get_number(check, KEY_MIN_SIZE, 0),
                .max_size = check_get_number(check, KEY_MAX_SIZE, UINT64_MAX),
                .missing = missing_status[check_get_number(check, KEY_MISSING, 0)],
                .kind = (FileKind)check_get_number(check, KEY_KIND, FILE_ANY),
        };
        memcpy(question->path, check->spec.path, n);
        blocking_init(&self->blocking, file_ask, question, size);

        if (check->spec.values[KEY_WARN_AGE].given &&
            question->warn_age_usec > question->max_age_usec)
                return check_complain(check, text, error, KEY_WARN_AGE, "at most that of 'max_age'",
                                      "the age");
        if (question->min_size > question->max_size)
                return check_complain(check, text, error, KEY_MAX_SIZE,
                                      "at least that of 'min_size'", "the size");
        return 0;
}

static int file_check_start(Check *check, CheckResult *result) {
        return blocking_start(&CONTAINER_OF(check, FileCheck, check)->blocking, check, result);
}

static void file_check_cancel(Check *check, CheckResult *result) {
        blocking_cancel(&CONTAINER_OF(check, FileCheck, check)->blocking, check, result);
}

static void file_check_done(Check *check) {
        blocking_done(&CONTAINER_OF(check, FileCheck, check)->blocking);
}

const CheckType check_type_file = {
        .scheme = {
                .name = "file",
                .place = SPEC_PATH,
                .keys = {
                        [KEY_MAX_AGE] = { .name = "max_age", .kind = SPEC_SPAN },
                        [KEY_WARN_AGE] = { .name = "warn_age", .kind = SPEC_SPAN },
                        [KEY_MIN_SIZE] = { .name = "min_size", .kind = SPEC_SIZE },
                        [KEY_MAX_SIZE] = { .name = "max_size", .kind = SPEC_SIZE },
                        [KEY_MISSING] = { "missing", SPEC_WORD, missing_words },
                        [KEY_KIND] = { "kind", SPEC_WORD, kind_words },
                },
        },
        .flags = CHECK_BLOCKING,
        .size = sizeof(FileCheck),
        .init = file_check_init,
        .start = file_check_start,
        .cancel = file_check_cancel,
        .done = file_check_done,
};
