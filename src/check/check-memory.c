/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * "memory:": what the control group uses, of the limit at which the OOM killer
 * comes, and what is resident of this process. Used is what the kernel cannot
 * drop at once (without inactive_file), as kubelet counts its working set.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "check/cgroup-memory.h"
#include "check/check-type.h"
#include "core/defaults.h"

enum {
        KEY_MAX,
        KEY_WARN,
        KEY_RSS_MAX,
        KEY_RSS_WARN
};

typedef struct MemoryCheck {
        Check check;
        CgroupMemory cgroup;
        int statm_fd;
        bool has_cgroup;
        Level max, warn;
        uint64_t rss_max, rss_warn;
} MemoryCheck;

/* What was measured. */
typedef struct Memory {
        uint64_t used, limit; /* limit: CGROUP_LIMIT_NONE */
        uint64_t rss;
} Memory;

static const char *check_root(const Check *check) {
        return check->context.root ? check->context.root : "";
}

static int statm_open(const char *root) {
        char path[PATH_MAX];
        int fd;

        (void)snprintf(path, sizeof(path), "%s/proc/self/statm", root);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

/* The second number, in pages (proc(5)). */
static int statm_read(int fd, uint64_t *ret_rss) {
        unsigned long long size, resident;
        char buffer[128];
        ssize_t n;

        n = pread(fd, buffer, sizeof(buffer) - 1, 0);
        if (n < 0)
                return -errno;

        buffer[n] = '\0';
        if (sscanf(buffer, "%llu %llu", &size, &resident) != 2)
                return -EBADMSG;

        *ret_rss = resident * (uint64_t)sysconf(_SC_PAGESIZE);
        return 0;
}

/* Opens what is not open. A machine without memory groups is no error: RSS is what is left. */
static int memory_open(MemoryCheck *self) {
        const char *root = check_root(&self->check);
        int r;

        if (self->statm_fd < 0)
                self->statm_fd = statm_open(root);
        if (self->statm_fd < 0)
                return self->statm_fd;

        if (self->has_cgroup)
                return 0;

        r = cgroup_memory_open(&self->cgroup, root);
        self->has_cgroup = r >= 0;
        return r < 0 && check_error_is_local(-r) ? r : 0;
}

/* The group may be gone, or another one: look once more. */
static int memory_read_cgroup(MemoryCheck *self, CgroupMemoryUsage *ret) {
        int r;

        r = cgroup_memory_read(&self->cgroup, ret);
        if (r >= 0)
                return r;

        cgroup_memory_close(&self->cgroup);
        self->has_cgroup = false;

        r = memory_open(self);
        if (r < 0)
                return r;

        return self->has_cgroup ? cgroup_memory_read(&self->cgroup, ret) : -ENODEV;
}

static int memory_read(MemoryCheck *self, Memory *ret) {
        CgroupMemoryUsage usage = { .limit = CGROUP_LIMIT_NONE };
        uint64_t rss = 0;
        int r;

        r = memory_open(self);
        if (r < 0)
                return r;

        r = statm_read(self->statm_fd, &rss);
        if (r < 0)
                return r;

        usage.working = rss;
        if (self->has_cgroup) {
                r = memory_read_cgroup(self, &usage);
                if (r < 0)
                        return r;
        }

        *ret = (Memory){ .used = usage.working, .limit = usage.limit, .rss = rss };
        return 0;
}

/* A percentage of no limit is never reached. */
static bool level_reached(const Level *level, const Memory *memory) {
        if (level->is_percent && memory->limit == CGROUP_LIMIT_NONE)
                return false;

        return memory->used >= level_of(level, memory->limit);
}

static void memory_judge(const MemoryCheck *self, const Memory *memory, CheckResult *result) {
        char used[SIZE_TEXT_MAX], limit[SIZE_TEXT_MAX], rss[SIZE_TEXT_MAX],
                level[SIZE_TEXT_MAX] = "";
        hale_status status = HALE_PASS;
        char whole[64];

        if (level_reached(&self->max, memory) || memory->rss >= self->rss_max)
                status = HALE_FAIL;
        else if (level_reached(&self->warn, memory) || memory->rss >= self->rss_warn)
                status = HALE_WARN;

        if (status != HALE_PASS) {
                const Level *missed = status == HALE_FAIL ? &self->max : &self->warn;
                Level missed_rss = {
                        .amount = status == HALE_FAIL ? self->rss_max : self->rss_warn,
                };

                (void)level_format(level_reached(missed, memory) ? missed : &missed_rss, true,
                                   level);
        }

        if (memory->limit != CGROUP_LIMIT_NONE)
                (void)snprintf(whole, sizeof(whole), "%s of %s in use (%.0f%%)",
                               size_format(memory->used, used), size_format(memory->limit, limit),
                               percent_of(memory->used, memory->limit));
        else
                (void)snprintf(whole, sizeof(whole), "%s in use, no limit",
                               size_format(memory->used, used));

        (void)check_result_set(result, status, "%s, resident %s%s%s", whole,
                               size_format(memory->rss, rss), level[0] ? "; limit " : "", level);
        check_result_set_value(result, (double)memory->used, "bytes");
}

/* Does the lower of two given levels come first? */
static bool levels_in_order(const SpecValue *low, const SpecValue *high) {
        if (!low->given || !high->given || low->level.is_percent != high->level.is_percent)
                return true;

        return low->level.percent <= high->level.percent &&
               low->level.amount <= high->level.amount && low->number <= high->number;
}

static int memory_check_init(Check *check, const char *text, CheckError *error) {
        MemoryCheck *self = CONTAINER_OF(check, MemoryCheck, check);
        const SpecValue *values = check->spec.values;

        self->cgroup = (CgroupMemory)CGROUP_MEMORY_INIT;
        self->statm_fd = -EBADF;
        self->max = check_get_level(check, KEY_MAX, LEVEL_PERCENT(MEMORY_FAIL_PERCENT));
        self->warn = check_get_level(check, KEY_WARN, LEVEL_PERCENT(MEMORY_WARN_PERCENT));
        self->rss_max = check_get_number(check, KEY_RSS_MAX, UINT64_MAX);
        self->rss_warn = check_get_number(check, KEY_RSS_WARN, UINT64_MAX);

        if (!levels_in_order(&values[KEY_WARN], &values[KEY_MAX]))
                return check_complain(check, text, error, KEY_WARN, "at most that of 'max'",
                                      "the level");
        if (!levels_in_order(&values[KEY_RSS_WARN], &values[KEY_RSS_MAX]))
                return check_complain(check, text, error, KEY_RSS_WARN, "at most that of 'rss_max'",
                                      "the amount");

        /* The first run opens what is read, and later ones again what could not be had: nobody who
         * waits for READY=1 should wait for the kernel's list of mounts. */
        return 0;
}

static int memory_check_start(Check *check, CheckResult *result) {
        MemoryCheck *self = CONTAINER_OF(check, MemoryCheck, check);
        Memory memory;
        int r;

        r = memory_read(self, &memory);
        if (r < 0)
                return check_result_set(result, HALE_UNKNOWN, "cannot read the memory in use: %s",
                                        strerror(-r));

        memory_judge(self, &memory, result);
        return CHECK_ANSWERED;
}

static void memory_check_done(Check *check) {
        MemoryCheck *self = CONTAINER_OF(check, MemoryCheck, check);

        cgroup_memory_close(&self->cgroup);
        self->statm_fd = fd_close(self->statm_fd);
}

const CheckType check_type_memory = {
        .scheme = {
                .name = "memory",
                .place = SPEC_NOWHERE,
                .keys = {
                        [KEY_MAX] = { .name = "max", .kind = SPEC_LEVEL },
                        [KEY_WARN] = { .name = "warn", .kind = SPEC_LEVEL },
                        [KEY_RSS_MAX] = { .name = "rss_max", .kind = SPEC_SIZE },
                        [KEY_RSS_WARN] = { .name = "rss_warn", .kind = SPEC_SIZE },
                },
        },
        .size = sizeof(MemoryCheck),
        .init = memory_check_init,
        .start = memory_check_start,
        .done = memory_check_done,
};
