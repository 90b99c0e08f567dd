/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * disk: against file systems made up here (statvfs(3) is replaced): full, out of
 * inodes, with neither, gone, and one that hangs, which costs its deadline and
 * one abandoned thread and nothing else.
 */

#include "check-fixture.h"

#include <dlfcn.h>
#include <errno.h>
#include <semaphore.h>
#include <sys/statvfs.h>

#define GIB (UINT64_C(1) << 30)

static struct statvfs made_up;
static int made_up_errno;
static sem_t hanging;

/* Takes the place of libc's: "/made-up" is what the test says, "/hangs" hangs. */
int statvfs(const char *restrict path, struct statvfs *restrict ret) {
        static int (*real)(const char *, struct statvfs *);

        if (strcmp(path, "/hangs") == 0) {
                while (sem_wait(&hanging) < 0)
                        ;
                errno = ESTALE;
                return -1;
        }

        if (strcmp(path, "/made-up") == 0) {
                *ret = made_up;
                errno = made_up_errno;
                return made_up_errno == 0 ? 0 : -1;
        }

        *(void **)&real = dlsym(RTLD_NEXT, "statvfs");
        return real(path, ret);
}

/* Of 100 GiB 10 belong to root; of 1000 inodes all are for everybody. */
static const struct {
        const char *keys;
        uint64_t available; /* GiB, of 90 */
        uint64_t inodes;    /* free, of 1000 */
        hale_status status;
        const char *output;
} disks[] = {
        { "", 45, 500, HALE_PASS, "space: 50.0% free (45.0G); inodes: 50.0% free (500)" },
        { "", 8, 500, HALE_WARN, "space: 8.9% free, less than 10%; inodes: 50.0% free (500)" },
        { "", 4, 500, HALE_FAIL, "space: 4.4% free, less than 5%; inodes: 50.0% free (500)" },
        { "", 45, 90, HALE_WARN, "space: 50.0% free (45.0G); inodes: 9.0% free, less than 10%" },
        { "", 45, 10, HALE_FAIL, "space: 50.0% free (45.0G); inodes: 1.0% free, less than 5%" },
        { "", 0, 0, HALE_FAIL, "space: 0.0% free, less than 5%; inodes: 0.0% free, less than 5%" },
        { "?free=50G", 45, 500, HALE_FAIL,
          "space: 50.0% free (45.0G), less than 50.0G; inodes: 50.0% free (500)" },
        { "?free=1G&warn=50G", 45, 50, HALE_WARN,
          "space: 50.0% free (45.0G), less than 50.0G; inodes: 5.0% free (50)" },
        { "?inodes=501", 45, 500, HALE_FAIL,
          "space: 50.0% free (45.0G); inodes: 50.0% free (500), less than 501" },
        { "?free=0%&inodes=0%&warn=0%", 0, 0, HALE_PASS,
          "space: 0.0% free (0B); inodes: 0.0% free (0)" },
        { "?free=51%25&warn=60%", 45, 500, HALE_FAIL,
          "space: 50.0% free, less than 51%; inodes: 50.0% free, less than 60%" },
};

static void test_levels(void) {
        Fixture fixture;

        fixture_init(&fixture);
        for (size_t i = 0; i < ELEMENTSOF(disks); i++) {
                g_autofree char *spec = g_strconcat("disk:/made-up", disks[i].keys, NULL);

                made_up = (struct statvfs){
                        .f_frsize = 4096,
                        .f_bsize = 65536,
                        .f_blocks = 100 * GIB / 4096,
                        .f_bfree = (disks[i].available + 10) * GIB / 4096,
                        .f_bavail = disks[i].available * GIB / 4096,
                        .f_files = 1000,
                        .f_ffree = disks[i].inodes,
                        .f_favail = disks[i].inodes,
                };
                g_assert_cmpint(fixture_ask(&fixture, spec, PATIENCE_USEC), ==, disks[i].status);
                g_assert_cmpstr(fixture.result.output, ==, disks[i].output);
                g_assert_cmpfloat_with_epsilon(fixture.result.value,
                                               (double)disks[i].available / 0.9, 0.01);
                g_assert_cmpstr(fixture.result.unit, ==, "percent");
        }
        fixture_done(&fixture);
}

static void test_not_counted(void) {
        Fixture fixture;

        fixture_init(&fixture);
        made_up = (struct statvfs){ .f_frsize = 1, .f_blocks = 10, .f_bfree = 5, .f_bavail = 5 };
        fixture_expect(&fixture, "disk:/made-up", HALE_PASS, "space: 50.0% free (5B)");
        g_assert_cmpstr(fixture.result.output, ==, "space: 50.0% free (5B)");

        made_up = (struct statvfs){};
        fixture_expect(&fixture, "disk:/made-up", HALE_PASS, "the file system counts neither");
        g_assert_false(fixture.result.has_value);
        fixture_done(&fixture);
}

static void test_errors(void) {
        Fixture fixture;

        fixture_init(&fixture);
        fixture_expect(&fixture, "disk:/nowhere/at%0Aall", HALE_FAIL,
                       "/nowhere/at all: No such file or directory");
        made_up_errno = EIO;
        fixture_expect(&fixture, "disk:/made-up", HALE_FAIL, "Input/output error");
        made_up_errno = ENOMEM;
        fixture_expect(&fixture, "disk:/made-up", HALE_UNKNOWN, "Cannot allocate memory");
        made_up_errno = 0;

        fixture_refuse(&fixture, "disk:/?free=5%&warn=4%",
                       "disk:/?free=5%&warn=4%: the level at character 21; "
                       "expected at least that of 'free'");
        fixture_refuse(&fixture, "disk:/?free=2G&warn=1G",
                       "disk:/?free=2G&warn=1G: the level at character 21; "
                       "expected at least that of 'free'");
        fixture_refuse(&fixture, "disk:/?inodes=20%&warn=15%",
                       "disk:/?inodes=20%&warn=15%: the level at character 24; "
                       "expected at least that of 'inodes'");
        fixture_done(&fixture);
}

static void test_real(void) {
        Fixture fixture;

        fixture_init(&fixture);
        fixture_expect(&fixture, "disk:/?free=0%&inodes=0%&warn=0%", HALE_PASS, "space: ");
        fixture_expect(&fixture, "disk:/?free=100%&warn=100%", HALE_FAIL, "less than 100%");
        fixture_done(&fixture);
}

/* Asked until the pool is full of stuck threads; then the reason is another. */
static void test_hangs(void) {
        PoolStats stats;
        Fixture fixture;
        Check *check;

        fixture_init(&fixture);
        g_assert_cmpint(sem_init(&hanging, 0, 0), ==, 0);
        check = fixture_check(&fixture, "disk:/hangs");

        for (unsigned i = 0; i < POOL_ABANDONED_MAX; i++) {
                /* Until it hangs for sure: a thread is running it. */
                g_assert_cmpint(check_start(check, 50 * USEC_PER_MSEC, &fixture.result,
                                            fixture_take_answer, &fixture),
                                ==, CHECK_PENDING);
                g_assert_cmpint(check_start(check, 1, &fixture.result, fixture_take_answer,
                                            &fixture),
                                ==, -EINPROGRESS);
                do
                        pool_get_stats(&fixture.pool, &stats);
                while (stats.n_running == 0);
                g_assert_true(check_cancel(check, &fixture.result));
                g_assert_false(check_cancel(check, &fixture.result));
                g_assert_cmpint(fixture.result.status, ==, HALE_FAIL);
                g_assert_cmpstr(fixture.result.output, ==, "/hangs hangs: no answer in 50ms");
        }

        g_assert_true(fixture_ask_check(&fixture, check, USEC_PER_SEC));
        g_assert_cmpint(fixture.result.status, ==, HALE_FAIL);
        g_assert_cmpstr(fixture.result.output, ==,
                        "not asked: 4 earlier blocking calls hang and were given up");
        g_assert_cmpuint(fixture.n_answers, ==, 0);

        /* The check goes while its threads are stuck, and so does the pool. */
        check_free(check);
        fixture_done(&fixture);
        for (unsigned i = 0; i < POOL_ABANDONED_MAX; i++)
                g_assert_cmpint(sem_post(&hanging), ==, 0);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/check/disk/levels", test_levels);
        g_test_add_func("/check/disk/what-is-not-counted-passes", test_not_counted);
        g_test_add_func("/check/disk/errors", test_errors);
        g_test_add_func("/check/disk/real", test_real);
        g_test_add_func("/check/disk/hangs", test_hangs);
        return g_test_run();
}
