/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a program does from within its remedies
 *
 * A remedy, the trim callback, and the link that a remedy reopens: each does what a
 * program may do, and some things that it should not. Whatever it was, the loop goes on
 * turning, the ladder comes to an end, and nothing is touched that is gone.
 */

#include <errno.h>
#include <stdbool.h>

#include "lib/manager.h"

typedef enum Place {
        WITHIN_REMEDY,
        WITHIN_TRIM,
        WITHIN_LINK_DOWN,
        WITHIN_LINK_UP,
        _PLACE_MAX,
} Place;

typedef struct Program {
        hale_service *service; /* as all below, a reference, until it is given back from within */
        hale_probe *probe, *other;
        hale_link *link;
        hale_remedy *remedy;
        Place place;
        void (*act)(struct Program *program);
        guint n_acts;
        bool ill, has_begun;
        int result; /* of the remedy */
} Program;

static void program_act(Program *program, Place place) {
        if (place != program->place || program->n_acts > 0 || !program->has_begun)
                return;

        program->n_acts++;
        program->act(program);
}

static int ask(hale_probe *probe, void *userdata) {
        return ((Program *)userdata)->ill ? hale_probe_fail(probe, "ill") : 0;
}

static int well(hale_probe *probe, void *userdata) {
        (void)probe, (void)userdata;
        return 0;
}

static int treat(hale_remedy *remedy, void *userdata) {
        Program *program = userdata;

        program->remedy = program->remedy ? program->remedy : hale_remedy_ref(remedy);
        program->has_begun = true;
        program_act(program, WITHIN_REMEDY);
        return program->result;
}

static void on_trim(hale_service *service, void *userdata) {
        (void)service;
        program_act(userdata, WITHIN_TRIM);
}

static int link_open(hale_link *link, void *userdata) {
        (void)link, (void)userdata;
        return 0;
}

static const hale_link_ops ops = { .open = link_open };

static void on_change(hale_link *link, void *userdata) {
        program_act(userdata, hale_link_is_up(link) ? WITHIN_LINK_UP : WITHIN_LINK_DOWN);
}

static void stop(Program *program) {
        (void)hale_service_stop(program->service);
}

static void drop_probe(Program *program) {
        (void)hale_probe_drop(program->probe);
}

static void drop_all(Program *program) {
        (void)hale_probe_drop(program->probe);
        (void)hale_probe_drop(program->other);
        (void)hale_probe_drop(hale_service_find_probe(program->service, "db"));
}

static void add_remedies(Program *program) {
        int r;

        r = hale_probe_add_remedy(program->probe, NULL, "late", 1, treat, program);
        g_assert_true(r == 0 || r == -EBUSY);
        r = hale_probe_add_remedy(program->other, NULL, "late", 1, treat, program);
        g_assert_cmpint(r, ==, 0);
}

static void answer_twice(Program *program) {
        (void)hale_remedy_done(program->remedy, 0);
        (void)hale_remedy_done(program->remedy, -EIO);
        (void)hale_remedy_answer(program->remedy, 4711, 0);
        (void)hale_remedy_answer(program->remedy, UINT32_MAX, 0);
}

static void reopen(Program *program) {
        (void)hale_link_reopen(program->link);
        (void)hale_link_reopen(program->link);
}

static void ask_again(Program *program) {
        (void)hale_probe_run(program->probe);
        (void)hale_probe_fail(program->probe, "from within");
}

static void let_go(Program *program) {
        hale_service *service = g_steal_pointer(&program->service);

        program->probe = hale_probe_unref(program->probe);
        program->other = hale_probe_unref(program->other);
        program->link = hale_link_unref(program->link);
        program->remedy = hale_remedy_unref(program->remedy);
        hale_service_unref(service);
}

static void
add_probe(Program *program, hale_probe **ret, const char *name, hale_probe_check_t check) {
        g_assert_cmpint(hale_service_add_probe(program->service, ret, name, HALE_GATE_READY, check,
                                               program),
                        ==, 0);
        g_assert_cmpint(hale_probe_set_interval_usec(*ret, 5000), ==, 0);
        g_assert_cmpint(hale_probe_set_thresholds(*ret, 1, 1), ==, 0);
}

static void run(Program *program) {
        struct sd_event *event;
        gint64 until;

        program->service = service_of_test();
        event = sd_event_ref(hale_service_get_event(program->service));
        g_assert_cmpint(hale_service_add_link(program->service, &program->link, "db", &ops,
                                              program),
                        ==, 0);
        g_assert_cmpint(hale_link_on_change(program->link, on_change, program), ==, 0);
        g_assert_cmpint(hale_service_on_trim(program->service, on_trim, program), ==, 0);
        add_probe(program, &program->probe, "patient", ask);
        add_probe(program, &program->other, "other", well);
        g_assert_cmpint(hale_probe_add_remedy(program->probe, NULL, "treat", 1, treat, program), ==,
                        0);
        g_assert_cmpint(hale_probe_add_trim(program->probe, NULL, 1), ==, 0);
        g_assert_cmpint(hale_probe_add_reopen_link(program->probe, NULL, 1, program->link), ==, 0);
        g_assert_cmpint(hale_service_start(program->service), ==, 0);
        g_assert_true(turn_until(program->service, hale_service_is_ready(program->service)));

        program->ill = true;
        until = g_get_monotonic_time() + LIMIT_USEC;
        while (program->n_acts == 0) {
                g_assert_cmpint(g_get_monotonic_time(), <, until);
                g_assert_cmpint(sd_event_run(event, 20000), >=, 0);
                if (program->remedy && program->result == HALE_PENDING)
                        (void)hale_remedy_done(program->remedy, 0);
        }
        for (guint i = 0; i < 20 && sd_event_get_state(event) != SD_EVENT_FINISHED; i++)
                g_assert_cmpint(sd_event_run(event, 5000), >=, 0);

        hale_remedy_unref(program->remedy);
        hale_link_unref(program->link);
        hale_probe_unref(program->other);
        hale_probe_unref(program->probe);
        hale_service_unref(program->service);
        (void)sd_event_unref(event);
}

static void test_within(gconstpointer data) {
        static const int results[] = { 0, HALE_PENDING, -EIO, 42 };
        void (*act)(Program * program) = *(void (*const *)(Program *))data;

        for (Place place = 0; place < _PLACE_MAX; place++)
                for (gsize i = 0; i < G_N_ELEMENTS(results); i++) {
                        Program program = { .place = place, .act = act, .result = results[i] };

                        g_test_message("place %d, result %d", (int)place, results[i]);
                        run(&program);
                }
}

/* clang-format off */
static const struct {
        void (*act)(Program *program); /* first: test_within() gets the address of it */
        const char *name;
} acts[] = {
        { stop,         "stop"            },
        { drop_probe,   "drop-its-probe"  },
        { drop_all,     "drop-all-probes" },
        { add_remedies, "add-remedies"    },
        { answer_twice, "answer-twice"    },
        { reopen,       "reopen"          },
        { ask_again,    "ask-again"       },
        { let_go,       "last-reference"  },
};
/* clang-format on */

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        for (gsize i = 0; i < G_N_ELEMENTS(acts); i++) {
                char *path = g_strconcat("/service/remedy/within/", acts[i].name, NULL);

                g_test_add_data_func(path, &acts[i].act, test_within);
                g_free(path);
        }
        return g_test_run();
}
