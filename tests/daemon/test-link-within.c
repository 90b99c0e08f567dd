/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a program does from within the functions of its link
 *
 * From each function, everything that a program may do, and some that it should not:
 * say up and down, reopen, add links, drop the probe, stop the service, give back
 * its last reference. Whatever it was, close() follows each open() once, the loop goes on
 * turning, and nothing is touched that is gone.
 */

#include <stdbool.h>

#include "lib/manager.h"

typedef enum Place {
        WITHIN_OPEN,
        WITHIN_CHECK,
        WITHIN_CLOSE,
        WITHIN_CHANGED,
        WITHIN_ON_CHANGE_UP,
        WITHIN_ON_CHANGE_DOWN,
        WITHIN_RESOLVED,
        _PLACE_MAX,
} Place;

/* How the functions answer. */
typedef enum Way {
        AT_ONCE,
        LATER,
        BLOCKING, /* in the pool, where they do nothing but that */
        _WAY_MAX,
} Way;

typedef struct Program {
        hale_service *service; /* a reference, until it is given back from within */
        hale_link *link;
        Place place;
        void (*act)(struct Program *program);
        guint n_acts, n_open, n_close;
        gint n_free;
        Way way;
} Program;

static void program_act(Program *program, Place place) {
        if (place != program->place || program->n_acts > 0)
                return;

        program->n_acts++;
        program->act(program);
}

static int answer(Program *program) {
        return program->way == LATER ? HALE_PENDING : 0;
}

static void on_resolved(hale_link *link,
                        const char *const *addresses,
                        unsigned n_addresses,
                        const char *error,
                        void *userdata) {
        (void)addresses, (void)n_addresses, (void)error;
        program_act(userdata, WITHIN_RESOLVED);
        (void)hale_link_up(link);
}

static int program_open(hale_link *link, void *userdata) {
        Program *program = userdata;
        int r;

        g_assert_cmpuint(program->n_open, ==, program->n_close);
        program->n_open++;
        program_act(program, WITHIN_OPEN);
        if (program->place != WITHIN_RESOLVED)
                return answer(program);

        r = hale_link_resolve(link, program->way == LATER ? "localhost" : "127.0.0.1", on_resolved);
        return r < 0 ? r : HALE_PENDING;
}

static int program_check(hale_link *link, void *userdata) {
        Program *program = userdata;

        (void)link;
        g_assert_cmpuint(program->n_open, ==, program->n_close + 1);
        program_act(program, WITHIN_CHECK);
        return answer(program);
}

static void program_close(hale_link *link, void *userdata) {
        Program *program = userdata;

        (void)link;
        program->n_close++;
        g_assert_cmpuint(program->n_open, ==, program->n_close);
        program_act(program, WITHIN_CLOSE);
}

static void program_changed(hale_link *link, void *userdata) {
        (void)link;
        program_act(userdata, WITHIN_CHANGED);
}

static void program_free(void *userdata) {
        Program *program = userdata;

        g_assert_cmpuint(program->n_open, ==, program->n_close);
        g_atomic_int_inc(&program->n_free);
}

static const hale_link_ops ops = {
        .open = program_open,
        .check = program_check,
        .close = program_close,
        .changed = program_changed,
        .free = program_free,
};

static void on_change(hale_link *link, void *userdata) {
        program_act(userdata, hale_link_is_up(link) ? WITHIN_ON_CHANGE_UP : WITHIN_ON_CHANGE_DOWN);
}

static void say_up(Program *program) {
        (void)hale_link_up(program->link);
}

static void say_down(Program *program) {
        (void)hale_link_down(program->link, "on purpose");
}

static void say_down_and_up(Program *program) {
        say_down(program);
        say_up(program);
}

static void reopen(Program *program) {
        (void)hale_link_reopen(program->link);
}

static void add_links(Program *program) {
        for (guint i = 0; i < 3; i++) {
                char *name = g_strdup_printf("more%u", i);

                (void)hale_service_add_link(program->service, NULL, name, NULL, NULL);
                g_free(name);
        }
}

static void drop_probe(Program *program) {
        (void)hale_probe_drop(hale_service_find_probe(program->service, "db"));
}

static void stop(Program *program) {
        (void)hale_service_stop(program->service);
}

static void let_go(Program *program) {
        hale_service *service = g_steal_pointer(&program->service);

        program->link = hale_link_unref(program->link);
        hale_service_unref(service);
}

static void keep_the_link_alone(Program *program) {
        hale_service *service = g_steal_pointer(&program->service);

        hale_service_unref(service);
        (void)hale_link_up(program->link);
        (void)hale_link_reopen(program->link);
        (void)hale_link_get_reason(program->link);
}

static void run(Program *program) {
        struct sd_event *event = NULL;
        gint64 until;

        program->service = service_of_test();
        event = sd_event_ref(hale_service_get_event(program->service));
        g_assert_cmpint(hale_service_add_link(program->service, &program->link, "db", &ops,
                                              program),
                        ==, 0);
        g_assert_cmpint(hale_link_set_backoff_usec(program->link, 1000, 2000), ==, 0);
        g_assert_cmpint(hale_link_set_breaker(program->link, 0), ==, 0);
        g_assert_cmpint(hale_link_set_connect_timeout_usec(program->link, 4000), ==, 0);
        g_assert_cmpint(hale_link_set_check_interval_usec(program->link, 1000), ==, 0);
        g_assert_cmpint(hale_link_set_check_timeout_usec(program->link, 2000), ==, 0);
        g_assert_cmpint(hale_link_set_blocking(program->link, program->way == BLOCKING), ==, 0);
        g_assert_cmpint(hale_link_on_change(program->link, on_change, program), ==, 0);
        g_assert_cmpint(hale_service_start(program->service), ==, 0);

        /* Until it has done it, and for some attempts more. */
        until = g_get_monotonic_time() + LIMIT_USEC;
        for (guint i = 0; i < 30; i++) {
                if (sd_event_get_state(event) == SD_EVENT_FINISHED)
                        break;
                g_assert_cmpint(sd_event_run(event, 1000), >=, 0);
                if (program->service && i >= 15 && program->n_acts == 0 &&
                    hale_link_is_up(program->link))
                        (void)hale_link_down(program->link, "so that it closes");
                if (program->way == LATER && program->service && i % 3 == 2)
                        (void)hale_link_up(program->link);
                if (program->n_acts == 0 && g_get_monotonic_time() < until)
                        i = MIN(i, 16);
        }
        g_assert_cmpuint(program->n_acts, ==, 1);

        hale_link_unref(program->link);
        hale_service_unref(program->service);
        (void)sd_event_unref(event);

        /* A thread may be the last to let go of it. */
        while (g_atomic_int_get(&program->n_free) == 0 && g_get_monotonic_time() < until)
                g_thread_yield();
        g_assert_cmpint(g_atomic_int_get(&program->n_free), ==, 1);
        g_assert_cmpuint(program->n_open, ==, program->n_close);
}

static void test_within(gconstpointer data) {
        void (*act)(Program * program) = *(void (*const *)(Program *))data;

        for (Place place = 0; place < _PLACE_MAX; place++)
                for (Way way = 0; way < _WAY_MAX; way++) {
                        Program program = { .place = place, .act = act, .way = way };
                        bool on_loop = way != BLOCKING || place == WITHIN_CHANGED ||
                                       place == WITHIN_ON_CHANGE_UP ||
                                       place == WITHIN_ON_CHANGE_DOWN;

                        if (!on_loop)
                                continue;
                        g_test_message("place %d, way %d", (int)place, (int)way);
                        run(&program);
                }
}

/* clang-format off */
static const struct {
        void (*act)(Program *program); /* first: test_within() gets the address of it */
        const char *name;
} acts[] = {
        { say_up,              "up"                  },
        { say_down,            "down"                },
        { say_down_and_up,     "down-and-up"         },
        { reopen,              "reopen"              },
        { add_links,           "add-links"           },
        { drop_probe,          "drop-its-probe"      },
        { stop,                "stop"                },
        { let_go,              "last-reference"      },
        { keep_the_link_alone, "last-but-the-link's" },
};
/* clang-format on */

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        for (gsize i = 0; i < G_N_ELEMENTS(acts); i++) {
                char *path = g_strconcat("/service/link/within/", acts[i].name, NULL);

                g_test_add_data_func(path, &acts[i].act, test_within);
                g_free(path);
        }
        return g_test_run();
}
