/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Memory: the group is found in every layout that machines and containers have,
 * tried on trees of files made for it, and the levels are judged against the
 * smallest limit. At the end the machine's own.
 */

#include "check-fixture.h"

#include <glib/gstdio.h>

#define MIB (UINT64_C(1) << 20)

typedef struct File {
        const char *path, *text;
} File;

/* A machine: its files, and what memory: should say. 100 MiB of RSS everywhere. */
typedef struct Layout {
        const char *name;
        File files[14];
        const char *spec;
        hale_status status;
        uint64_t used;
        const char *output;
} Layout;

#define CGROUP "proc/self/cgroup"
#define MOUNTS "proc/self/mountinfo"
#define STATM                                                                                      \
        { "proc/self/statm", "50000 25600 300 1 0 900 0\n" }

#define MOUNT_V2 "35 31 0:32 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
#define MOUNT_V1 "36 31 0:33 / /sys/fs/cgroup/memory rw shared:5 - cgroup cgroup rw,memory\n"
#define MOUNT_UNIFIED "34 31 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
#define MOUNT_NOISE                                                                                \
        "22 1 8:1 / / rw - ext4 /dev/root rw\n33 31 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup " \
        "rw,cpu\n"

/* clang-format off */
static const Layout layouts[] = {
        { "v2: the parent's limit is the smaller one", {
                STATM, { CGROUP, "0::/system.slice/x.service\n" }, { MOUNTS, MOUNT_NOISE MOUNT_V2 },
                { "sys/fs/cgroup/system.slice/x.service/memory.current", "209715200\n" },
                { "sys/fs/cgroup/system.slice/x.service/memory.stat",
                  "anon 1\nfile 2\ninactive_anon 9\ninactive_file 52428800\n" },
                { "sys/fs/cgroup/system.slice/x.service/memory.max", "max\n" },
                { "sys/fs/cgroup/system.slice/memory.max", "209715200\n" } },
          "memory:", HALE_PASS, 150 * MIB, "150M of 200M in use (75%), resident 100M" },
        { "v2: warn", {
                STATM, { CGROUP, "0::/x\n" }, { MOUNTS, MOUNT_V2 },
                { "sys/fs/cgroup/x/memory.current", "94371840\n" },
                { "sys/fs/cgroup/x/memory.stat", "inactive_file 0\n" },
                { "sys/fs/cgroup/x/memory.max", "104857600\n" } },
          "memory:", HALE_WARN, 90 * MIB, "90.0M of 100M in use (90%), resident 100M; limit 80%" },
        { "v2: fail", {
                STATM, { CGROUP, "0::/x\n" }, { MOUNTS, MOUNT_V2 },
                { "sys/fs/cgroup/x/memory.current", "104857600\n" },
                { "sys/fs/cgroup/x/memory.stat", "inactive_file 0\n" },
                { "sys/fs/cgroup/x/memory.max", "104857600\n" } },
          "memory:", HALE_FAIL, 100 * MIB, "100M of 100M in use (100%), resident 100M; limit 95%" },
        { "v2: no limit anywhere passes and says so", {
                STATM, { CGROUP, "0::/x\n" }, { MOUNTS, MOUNT_V2 },
                { "sys/fs/cgroup/x/memory.current", "104857600\n" },
                { "sys/fs/cgroup/x/memory.stat", "inactive_file 0\n" },
                { "sys/fs/cgroup/x/memory.max", "max\n" } },
          "memory:?max=1%", HALE_PASS, 100 * MIB, "100M in use, no limit, resident 100M" },
        { "v2: bytes need no limit", {
                STATM, { CGROUP, "0::/x\n" }, { MOUNTS, MOUNT_V2 },
                { "sys/fs/cgroup/x/memory.current", "104857600\n" },
                { "sys/fs/cgroup/x/memory.stat", "inactive_file 0\n" },
                { "sys/fs/cgroup/x/memory.max", "max\n" } },
          "memory:?max=100M&warn=50M", HALE_FAIL, 100 * MIB,
          "100M in use, no limit, resident 100M; limit 100M" },
        { "v2: more cache than in use is no negative number", {
                STATM, { CGROUP, "0::/x\n" }, { MOUNTS, MOUNT_V2 },
                { "sys/fs/cgroup/x/memory.current", "1048576\n" },
                { "sys/fs/cgroup/x/memory.stat", "inactive_file 2097152\n" },
                { "sys/fs/cgroup/x/memory.max", "max\n" } },
          "memory:", HALE_PASS, 0, "0B in use" },
        { "v2: namespace of its own", {
                STATM, { CGROUP, "0::/\n" }, { MOUNTS, MOUNT_V2 },
                { "sys/fs/cgroup/memory.current", "104857600\n" },
                { "sys/fs/cgroup/memory.stat", "inactive_file 0\n" },
                { "sys/fs/cgroup/memory.max", "209715200\n" } },
          "memory:", HALE_PASS, 100 * MIB, "100M of 200M in use (50%)" },
        { "v2: a container's bind mount without a namespace", {
                STATM, { CGROUP, "0::/docker/abc/inner\n" },
                { MOUNTS, "35 31 0:32 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n" },
                { "sys/fs/cgroup/inner/memory.current", "104857600\n" },
                { "sys/fs/cgroup/inner/memory.stat", "inactive_file 0\n" },
                { "sys/fs/cgroup/inner/memory.max", "max\n" },
                { "sys/fs/cgroup/memory.max", "209715200\n" },
                { "sys/fs/memory.max", "1\n" } },
          "memory:", HALE_PASS, 100 * MIB, "100M of 200M in use (50%)" },
        { "v2: a mount that is not above us is not taken for ours", {
                STATM, { CGROUP, "0::/docker/abcd\n" },
                { MOUNTS, "35 31 0:32 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n" },
                { "sys/fs/cgroup/memory.current", "1\n" },
                { "sys/fs/cgroup/d/memory.current", "1\n" } },
          "memory:", HALE_PASS, 100 * MIB, "100M in use, no limit, resident 100M" },
        { "v2: a mount from outside of the namespace", {
                STATM, { CGROUP, "0::/../other\n" }, { MOUNTS, MOUNT_V2 },
                { "sys/fs/other/memory.current", "1\n" } },
          "memory:", HALE_PASS, 100 * MIB, "100M in use, no limit" },
        { "v2: a mount point with a space", {
                STATM, { CGROUP, "0::/x\n" },
                { MOUNTS, "35 31 0:32 / /sys/fs/c\\040g rw - cgroup2 cgroup2 rw\n" },
                { "sys/fs/c g/x/memory.current", "104857600\n" },
                { "sys/fs/c g/x/memory.stat", "inactive_file 0\n" },
                { "sys/fs/c g/x/memory.max", "209715200\n" } },
          "memory:", HALE_PASS, 100 * MIB, "100M of 200M in use (50%)" },
        { "hybrid: memory is with v1, and unlimited", {
                STATM, { CGROUP, "9:name=systemd:/a\n4:cpu,memory:/a/b\n0::/a\n" },
                { MOUNTS, MOUNT_UNIFIED MOUNT_NOISE MOUNT_V1 },
                { "sys/fs/cgroup/unified/a/memory.current", "1\n" },
                { "sys/fs/cgroup/memory/a/b/memory.usage_in_bytes", "157286400\n" },
                { "sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n" },
                { "sys/fs/cgroup/memory/a/b/memory.stat",
                  "inactive_file 1\n"
                  "hierarchical_memory_limit 9223372036854771712\n"
                  "total_inactive_file 52428800\n" } },
          "memory:", HALE_PASS, 100 * MIB, "100M in use, no limit" },
        { "v1: the limit of a group above that cannot be seen", {
                STATM, { CGROUP, "4:memory:/a\n" }, { MOUNTS, MOUNT_V1 },
                { "sys/fs/cgroup/memory/a/memory.usage_in_bytes", "104857600\n" },
                { "sys/fs/cgroup/memory/a/memory.limit_in_bytes", "9223372036854771712\n" },
                { "sys/fs/cgroup/memory/a/memory.stat",
                  "hierarchical_memory_limit 125829120\ntotal_inactive_file 0\n" } },
          "memory:", HALE_WARN, 100 * MIB, "100M of 120M in use (83%)" },
        { "hybrid: no controller for memory at all", {
                STATM, { CGROUP, "9:name=systemd:/\n0::/\n" }, { MOUNTS, MOUNT_UNIFIED },
                { "sys/fs/cgroup/unified/cgroup.procs", "1\n" } },
          "memory:", HALE_PASS, 100 * MIB, "100M in use, no limit, resident 100M" },
        { "RSS has limits of its own", {
                STATM, { CGROUP, "" }, { MOUNTS, "" } },
          "memory:?rss_warn=50M&rss_max=200M", HALE_WARN, 100 * MIB,
          "100M in use, no limit, resident 100M; limit 50.0M" },
        { "RSS fails", {
                STATM, { CGROUP, "" }, { MOUNTS, "" } },
          "memory:?rss_max=100M", HALE_FAIL, 100 * MIB, "limit 100M" },
        { "lines that are none", {
                STATM, { CGROUP, "\nx\n:\n::\n1:memory\n0::relative\n" },
                { MOUNTS, "\n1 2 3\n - \n" MOUNT_V2 } },
          "memory:", HALE_PASS, 100 * MIB, "100M in use, no limit" },
        { "nothing can be read: unknown", {
                { CGROUP, "0::/\n" } },
          "memory:", HALE_UNKNOWN, 0, "cannot read the memory in use: No such file or directory" },
};
/* clang-format on */

static void write_file(const char *root, const File *file) {
        g_autofree char *path = g_build_filename(root, file->path, NULL);
        g_autofree char *folder = g_path_get_dirname(path);

        g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
        g_assert_true(g_file_set_contents(path, file->text, -1, NULL));
}

static void remove_tree(const char *path) {
        GDir *dir = g_dir_open(path, 0, NULL);
        const char *name;

        while (dir && (name = g_dir_read_name(dir))) {
                g_autofree char *below = g_build_filename(path, name, NULL);
                remove_tree(below);
        }
        if (dir)
                g_dir_close(dir);
        g_assert_cmpint(g_remove(path), ==, 0);
}

static char *make_root(const File *files) {
        char *root = g_dir_make_tmp("hale-memory-XXXXXX", NULL);

        g_assert_nonnull(root);
        for (; files->path; files++)
                write_file(root, files);
        return root;
}

static void test_layouts(void) {
        for (size_t i = 0; i < ELEMENTSOF(layouts); i++) {
                const Layout *layout = &layouts[i];
                g_autofree char *root = make_root(layout->files);
                unsigned n_fds = count_fds();
                Fixture fixture;

                g_test_message("%s", layout->name);
                fixture_init(&fixture);
                fixture.context.root = root;
                fixture_expect(&fixture, layout->spec, layout->status, layout->output);
                if (layout->status != HALE_UNKNOWN) {
                        g_assert_cmpfloat(fixture.result.value, ==, (double)layout->used);
                        g_assert_cmpstr(fixture.result.unit, ==, "bytes");
                }
                fixture_done(&fixture);
                g_assert_cmpuint(count_fds(), ==, n_fds);
                remove_tree(root);
        }
}

/* The process is moved, and the files of its old group yield nothing any more. */
static void test_moved(void) {
        g_autofree char *root = make_root(layouts[1].files);
        const char *current = "sys/fs/cgroup/x/memory.current";
        g_autofree char *path = g_build_filename(root, current, NULL);
        const File moved[] = {
                { CGROUP, "0::/y\n" },
                { "sys/fs/cgroup/y/memory.current", "20971520\n" },
                { "sys/fs/cgroup/y/memory.stat", "inactive_file 0\n" },
                { "sys/fs/cgroup/y/memory.max", "104857600\n" },
        };
        Fixture fixture;
        Check *check;

        fixture_init(&fixture);
        fixture.context.root = root;
        check = fixture_check(&fixture, "memory:");
        (void)fixture_ask_check(&fixture, check, USEC_PER_SEC);
        g_assert_cmpint(fixture.result.status, ==, HALE_WARN);

        g_assert_cmpint(truncate(path, 0), ==, 0);
        g_assert_cmpint(g_remove(path), ==, 0);
        for (size_t i = 0; i < ELEMENTSOF(moved); i++)
                write_file(root, &moved[i]);

        (void)fixture_ask_check(&fixture, check, USEC_PER_SEC);
        g_assert_cmpint(fixture.result.status, ==, HALE_PASS);
        g_assert_cmpfloat(fixture.result.value, ==, (double)(20 * MIB));

        check_free(check);
        fixture_done(&fixture);
        remove_tree(root);
}

static void test_own(void) {
        Fixture fixture;

        fixture_init(&fixture);
        g_assert_cmpint(fixture_ask(&fixture, "memory:?rss_max=1K", USEC_PER_SEC), ==, HALE_FAIL);
        g_assert_cmpfloat(fixture.result.value, >, 0);
        g_assert_cmpint(fixture_ask(&fixture, "memory:?max=1024T", USEC_PER_SEC), !=, HALE_UNKNOWN);
        fixture_done(&fixture);
}

static void test_refused(void) {
        Fixture fixture;

        fixture_init(&fixture);
        fixture_refuse(&fixture, "memory:?warn=95%&max=90%",
                       "memory:?warn=95%&max=90%: the level at character 14; "
                       "expected at most that of 'max'");
        fixture_refuse(&fixture, "memory:?rss_max=1M&rss_warn=2M",
                       "memory:?rss_max=1M&rss_warn=2M: the amount at character 29; "
                       "expected at most that of 'rss_max'");
        fixture_done(&fixture);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/check/memory/every-layout", test_layouts);
        g_test_add_func("/check/memory/moved-to-another-group", test_moved);
        g_test_add_func("/check/memory/of-this-process", test_own);
        g_test_add_func("/check/memory/refused", test_refused);
        return g_test_run();
}
