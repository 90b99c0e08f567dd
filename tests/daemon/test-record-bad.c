/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Records that are damaged, old, foreign or none at all, and starts that fail: a service
 * is as well without its record as with it, says so in one line, and forgets nothing that
 * it need not.
 */

#include "lib/record-manager.h"

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

/* Whoever cannot start says so and ends in order: that is no crash of the restoring, however often
 * it happens, and what an operator has said still holds afterwards. */
static void test_cannot_start(void) {
        Manager manager;
        char *path;

        manager_init(&manager);
        manager_start(&manager, "maintain");
        wait_until(&manager, shows(&manager, "/health", "*\"phase\":\"maintenance\"*"));
        manager_bury(&manager, SIGKILL);

        path = manager.http_path;
        manager.http_path = g_build_filename(manager.folder, "nowhere", "http", NULL);
        for (guint i = 0; i < 4; i++) {
                manager_start(&manager, "well");
                manager_bury(&manager, 0);
                g_assert_true(log_has(&manager, "Cannot start service 'subject'"));
        }
        g_free(manager.http_path);
        manager.http_path = path;

        run_well(&manager);
        g_assert_cmpuint(manager.n_removed, ==, 0);
        must_show(&manager, "/health", "*\"phase\":\"maintenance\"*maintenance: new disk*");
        must_show(&manager, "/health", "*\"previousRun\":{\"result\":\"failed\",*");
        must_show(&manager, "/status.json", "*\"run\":6,\"restarts\":5,*");
        manager_bury(&manager, SIGTERM);
        manager_done(&manager);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        for (gsize i = 0; i < G_N_ELEMENTS(damages); i++) {
                char *path = g_strdup_printf("/service/record/damage/%s", damages[i].name);

                g_test_add_data_func(path, &damages[i], test_damage);
                g_free(path);
        }
        g_test_add_func("/service/record/cannot-start", test_cannot_start);
        return g_test_run();
}
