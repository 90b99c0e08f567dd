/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * "disk:/path": space and inodes that a user who is not root can still have,
 * counted as df(1) does. In the pool, for statvfs(3) hangs with its server.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/str.h"
#include "check/blocking.h"
#include "core/defaults.h"

enum {
        KEY_FREE,
        KEY_INODES,
        KEY_WARN
};

typedef struct DiskQuestion {
        Level free, inodes, warn;
        char path[];
} DiskQuestion;

typedef struct DiskCheck {
        Check check;
        Blocking blocking;
} DiskCheck;

/* One of the two things that run out. */
typedef struct DiskPart {
        const char *name;
        uint64_t available, total;
        Level fail, warn;
        bool bytes;
} DiskPart;

/* Appends how much is free, and how much should be. */
static hale_status disk_part_judge(const DiskPart *part, Text *text) {
        Level available = { .amount = part->available };
        char amount[SIZE_TEXT_MAX];
        const Level *missed = NULL;
        hale_status status = HALE_PASS;

        if (part->available < level_of(&part->fail, part->total)) {
                status = HALE_FAIL;
                missed = &part->fail;
        } else if (part->available < level_of(&part->warn, part->total)) {
                status = HALE_WARN;
                missed = &part->warn;
        }

        (void)text_appendf(text, "%s%s: %.1f%% free", text->length > 0 ? "; " : "", part->name,
                           percent_of(part->available, part->total));
        if (!missed || !missed->is_percent)
                (void)text_appendf(text, " (%s)", level_format(&available, part->bytes, amount));
        if (missed)
                (void)text_appendf(text, ", less than %s",
                                   level_format(missed, part->bytes, amount));
        return status;
}

static void
disk_judge(const DiskQuestion *question, const struct statvfs *fs, CheckResult *result) {
        /* What root alone may use belongs to neither side, as in df(1). */
        DiskPart space = {
                .name = "space",
                .available = fs->f_bavail * fs->f_frsize,
                .total = (fs->f_blocks - fs->f_bfree + fs->f_bavail) * fs->f_frsize,
                .fail = question->free,
                .warn = question->warn,
                .bytes = true,
        };
        DiskPart inodes = {
                .name = "inodes",
                .available = fs->f_favail,
                .total = fs->f_files - fs->f_ffree + fs->f_favail,
                .fail = question->inodes,
                /* An amount of bytes says nothing about inodes. */
                .warn = question->warn.is_percent ? question->warn : (Level){},
        };
        _cleanup_(text_done) Text text = { .max = OUTPUT_LENGTH_MAX };
        hale_status space_status = HALE_PASS, inode_status = HALE_PASS;

        /* btrfs has no fixed number of inodes, and /proc has no blocks either. */
        if (fs->f_blocks > 0)
                space_status = disk_part_judge(&space, &text);
        if (fs->f_files > 0)
                inode_status = disk_part_judge(&inodes, &text);

        (void)check_result_set(result, MAX(space_status, inode_status), "%s",
                               text.length > 0 ? text.data : "the file system counts neither");
        if (fs->f_blocks > 0)
                check_result_set_value(result, percent_of(space.available, space.total), "percent");
}

static void disk_ask(const void *userdata, CheckResult *result) {
        const DiskQuestion *question = userdata;
        struct statvfs fs;
        int r;

        do
                r = statvfs(question->path, &fs);
        while (r < 0 && errno == EINTR);

        if (r < 0)
                (void)check_result_set(result,
                                       check_error_is_local(errno) ? HALE_UNKNOWN : HALE_FAIL,
                                       "%s: %s", question->path, strerror(errno));
        else
                disk_judge(question, &fs, result);
}

/* Is "warn" no stricter than key @index, where the two can be compared? */
static bool warn_is_useless(const Check *check, unsigned index) {
        const SpecValue *warn = &check->spec.values[KEY_WARN], *fail = &check->spec.values[index];

        if (!warn->given || !fail->given || warn->level.is_percent != fail->level.is_percent)
                return false;

        return warn->level.is_percent ? warn->level.percent < fail->level.percent
                                      : warn->level.amount < fail->level.amount;
}

static int disk_check_init(Check *check, const char *text, CheckError *error) {
        DiskCheck *self = CONTAINER_OF(check, DiskCheck, check);
        size_t n = strlen(check->spec.path) + 1, size = sizeof(DiskQuestion) + n;
        DiskQuestion *question;

        if (warn_is_useless(check, KEY_FREE))
                return check_complain(check, text, error, KEY_WARN, "at least that of 'free'",
                                      "the level");
        if (check->spec.values[KEY_WARN].level.is_percent && warn_is_useless(check, KEY_INODES))
                return check_complain(check, text, error, KEY_WARN, "at least that of 'inodes'",
                                      "the level");

        question = malloc(size);
        if (!question)
                return -ENOMEM;

        question->free = check_get_level(check, KEY_FREE, LEVEL_PERCENT(DISK_FAIL_PERCENT));
        question->inodes = check_get_level(check, KEY_INODES, LEVEL_PERCENT(DISK_FAIL_PERCENT));
        question->warn = check_get_level(check, KEY_WARN, LEVEL_PERCENT(DISK_WARN_PERCENT));
        memcpy(question->path, check->spec.path, n);

        blocking_init(&self->blocking, disk_ask, question, size);
        return 0;
}

static int disk_check_start(Check *check, CheckResult *result) {
        return blocking_start(&CONTAINER_OF(check, DiskCheck, check)->blocking, check, result);
}

static void disk_check_cancel(Check *check, CheckResult *result) {
        blocking_cancel(&CONTAINER_OF(check, DiskCheck, check)->blocking, check, result);
}

static void disk_check_done(Check *check) {
        blocking_done(&CONTAINER_OF(check, DiskCheck, check)->blocking);
}

const CheckType check_type_disk = {
        .scheme = {
                .name = "disk",
                .place = SPEC_PATH,
                .keys = {
                        [KEY_FREE] = { .name = "free", .kind = SPEC_LEVEL },
                        [KEY_INODES] = { .name = "inodes", .kind = SPEC_LEVEL },
                        [KEY_WARN] = { .name = "warn", .kind = SPEC_LEVEL },
                },
        },
        .flags = CHECK_BLOCKING,
        .size = sizeof(DiskCheck),
        .init = disk_check_init,
        .start = disk_check_start,
        .cancel = disk_check_cancel,
        .done = disk_check_done,
};
