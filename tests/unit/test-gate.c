/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Gate
 *
 * The tables walk every edge of the picture in gate.h. The random walk then holds
 * what a watchdog stands on: no ping unless open and live, one action for one
 * cause, a ping in time whenever live, an end within the grace, silence after
 * STOPPING=1.
 */

#include <glib.h>

#include "base/clock.h"
#include "base/macro.h"
#include "core/defaults.h"
#include "core/gate.h"
#include "core/random.h"

#define WATCHDOG_USEC (30 * USEC_PER_SEC)
#define START_USEC (100 * USEC_PER_SEC)

enum {
        LIVE = 1 << 0,
        HEALING = 1 << 1,
};

typedef struct Step {
        uint64_t after_usec;
        unsigned input;
        unsigned actions;
        GateState state;
} Step;

typedef struct Story {
        const char *name;
        GateConfig config;
        Step steps[8];
        unsigned n_steps;
} Story;

/* clang-format off */
static const Story stories[] = {
        { "pings three times a period", { WATCHDOG_USEC, true }, {
                { 0,                     LIVE,    GATE_PING,                  GATE_OPEN      },
                { 0,                     LIVE,    GATE_NOTHING,               GATE_OPEN      },
                { WATCHDOG_USEC / 3 - 1, LIVE,    GATE_NOTHING,               GATE_OPEN      },
                { 1,                     LIVE,    GATE_PING,                  GATE_OPEN      },
                { WATCHDOG_USEC / 3,     LIVE,    GATE_PING,                  GATE_OPEN      } }, 5 },
        { "nothing to heal: trigger at once, then abort", { WATCHDOG_USEC, true }, {
                { 0,                     LIVE,    GATE_PING,                  GATE_OPEN      },
                { 1,                     0,       GATE_CLOSED | GATE_TRIGGER, GATE_TRIGGERED },
                { TRIGGER_GRACE_USEC - 1, 0,      GATE_NOTHING,               GATE_TRIGGERED },
                { 1,                     0,       GATE_ABORT,                 GATE_ENDED     },
                { USEC_PER_HOUR,         0,       GATE_NOTHING,               GATE_ENDED     },
                { USEC_PER_HOUR,         LIVE,    GATE_NOTHING,               GATE_ENDED     } }, 6 },
        { "healed: the first thing that systemd hears is a ping", { WATCHDOG_USEC, true }, {
                { 0,                     LIVE,    GATE_PING,                  GATE_OPEN      },
                { 1,                     HEALING, GATE_CLOSED,                GATE_WITHHELD  },
                { WATCHDOG_USEC / 2,     HEALING, GATE_NOTHING,               GATE_WITHHELD  },
                { 1,                     LIVE,    GATE_OPENED | GATE_PING,    GATE_OPEN      },
                { WATCHDOG_USEC / 3,     LIVE,    GATE_PING,                  GATE_OPEN      } }, 5 },
        { "remedies spent", { WATCHDOG_USEC, true }, {
                { 0,                     HEALING, GATE_CLOSED,                GATE_WITHHELD  },
                { USEC_PER_SEC,          HEALING, GATE_NOTHING,               GATE_WITHHELD  },
                { USEC_PER_SEC,          0,       GATE_TRIGGER,               GATE_TRIGGERED },
                { 1,                     LIVE,    GATE_NOTHING,               GATE_TRIGGERED },
                { TRIGGER_GRACE_USEC,    LIVE,    GATE_ABORT,                 GATE_ENDED     } }, 5 },
        { "nobody to tell: end at once", { 0, false }, {
                { 0,                     LIVE,    GATE_NOTHING,               GATE_OPEN      },
                { USEC_PER_HOUR,         0,       GATE_CLOSED | GATE_EXIT,    GATE_ENDED     },
                { USEC_PER_HOUR,         LIVE,    GATE_NOTHING,               GATE_ENDED     } }, 3 },
        { "nobody to tell, but something to try", { 0, false }, {
                { 0,                     HEALING, GATE_CLOSED,                GATE_WITHHELD  },
                { USEC_PER_HOUR,         HEALING, GATE_NOTHING,               GATE_WITHHELD  },
                { 1,                     LIVE,    GATE_OPENED,                GATE_OPEN      },
                { 1,                     0,       GATE_CLOSED | GATE_EXIT,    GATE_ENDED     } }, 4 },
        { "a manager without a watchdog", { 0, true }, {
                { 0,                     LIVE,    GATE_NOTHING,               GATE_OPEN      },
                { USEC_PER_HOUR,         LIVE,    GATE_NOTHING,               GATE_OPEN      },
                { 1,                     0,       GATE_CLOSED | GATE_TRIGGER, GATE_TRIGGERED },
                { TRIGGER_GRACE_USEC,    0,       GATE_ABORT,                 GATE_ENDED     } }, 4 },
        { "a late loop does not ping twice", { WATCHDOG_USEC, true }, {
                { 10 * WATCHDOG_USEC,    LIVE,    GATE_PING,                  GATE_OPEN      },
                { 0,                     LIVE,    GATE_NOTHING,               GATE_OPEN      },
                { WATCHDOG_USEC / 3 - 1, LIVE,    GATE_NOTHING,               GATE_OPEN      } }, 3 },
};
/* clang-format on */

static void test_stories(void) {
        for (size_t i = 0; i < ELEMENTSOF(stories); i++) {
                const Story *story = &stories[i];
                uint64_t now = START_USEC;
                Gate gate;

                g_test_message("%s", story->name);
                gate_init(&gate, &story->config, now);
                for (unsigned n = 0; n < story->n_steps; n++) {
                        const Step *step = &story->steps[n];

                        now += step->after_usec;
                        g_assert_cmphex(gate_step(&gate, step->input & LIVE, step->input & HEALING,
                                                  now),
                                        ==, step->actions);
                        g_assert_cmpstr(gate_state_to_string(gate.state), ==,
                                        gate_state_to_string(step->state));
                }
        }
}

static void test_stopping(void) {
        for (unsigned live = 0; live < 2; live++) {
                Gate gate;

                gate_init(&gate, &(GateConfig){ WATCHDOG_USEC, true }, 0);
                (void)gate_step(&gate, live, true, 0);
                gate.stopping = true;
                g_assert_cmpuint(gate_deadline(&gate), ==, USEC_NEVER);
                for (unsigned n = 0; n < 100; n++)
                        g_assert_cmphex(gate_step(&gate, n % 2, n % 3, n * WATCHDOG_USEC), ==, 0);
        }
}

static void test_set_watchdog(void) {
        uint64_t now = START_USEC;
        Gate gate;

        gate_init(&gate, &(GateConfig){ 0, true }, now);
        g_assert_cmphex(gate_step(&gate, true, false, now), ==, 0);
        g_assert_cmpuint(gate_deadline(&gate), ==, USEC_NEVER);

        now += USEC_PER_HOUR;
        gate_set_watchdog(&gate, WATCHDOG_USEC, now);
        g_assert_cmpuint(gate_deadline(&gate), <=, now + WATCHDOG_USEC / 3);
        now = gate_deadline(&gate);
        g_assert_cmphex(gate_step(&gate, true, false, now), ==, GATE_PING);

        /* Shorter: the ping that was far off comes in time for the new period. */
        gate_set_watchdog(&gate, USEC_PER_SEC, now);
        g_assert_cmpuint(gate_deadline(&gate), <=, now + USEC_PER_SEC / 3);

        gate_set_watchdog(&gate, 0, now);
        g_assert_cmpuint(gate_deadline(&gate), ==, USEC_NEVER);
        g_assert_cmphex(gate_step(&gate, true, false, now + USEC_PER_HOUR), ==, 0);
}

/* Periods from a microsecond to all of time make no busy loop and no overflow. */
static void test_extremes(void) {
        static const uint64_t periods[] = { 1,
                                            2,
                                            3,
                                            29999,
                                            30 * USEC_PER_MSEC,
                                            WATCHDOG_USEC,
                                            24 * USEC_PER_HOUR,
                                            UINT64_MAX - 1,
                                            UINT64_MAX };

        for (size_t i = 0; i < ELEMENTSOF(periods); i++) {
                uint64_t now = START_USEC, last;
                Gate gate;

                gate_init(&gate, &(GateConfig){ periods[i], true }, now);
                g_assert_cmphex(gate_step(&gate, true, false, now), ==, GATE_PING);
                for (unsigned n = 0; n < 10; n++) {
                        last = now;
                        now = gate_deadline(&gate);
                        g_assert_cmpuint(now - last, >=, PING_MIN_USEC);
                        g_assert_cmpuint(now - last, <=, PING_MAX_USEC);
                        g_assert_cmpuint(now - last, <=, MAX(periods[i] / 3, PING_MIN_USEC));
                        g_assert_cmphex(gate_step(&gate, true, false, now), ==, GATE_PING);
                }
        }
}

typedef struct Walk {
        Random random;
        Gate gate;
        GateState before;
        uint64_t now, live_since, closed_at, triggered_at;
        uint64_t n_pings, n_triggers;
        unsigned n_ends;
        bool live, healing;
} Walk;

static void walk_check(Walk *walk, unsigned actions) {
        const Gate *gate = &walk->gate;

        /* What may be said, and when. */
        if (actions & GATE_PING)
                g_assert_true(walk->live && gate->state == GATE_OPEN && !gate->stopping &&
                              gate->config.watchdog_usec > 0);
        if (actions & GATE_CLOSED)
                g_assert_true(!walk->live && walk->before == GATE_OPEN);
        if (actions & GATE_OPENED)
                g_assert_true(walk->live && walk->before == GATE_WITHHELD &&
                              gate->state == GATE_OPEN &&
                              (actions & GATE_PING || gate->config.watchdog_usec == 0));
        if (actions & GATE_TRIGGER)
                g_assert_true(!walk->live && !walk->healing && gate->config.managed &&
                              walk->before <= GATE_WITHHELD);
        if (actions & GATE_EXIT)
                g_assert_true(!walk->live && !walk->healing && !gate->config.managed);
        if (actions & GATE_ABORT)
                g_assert_true(walk->before == GATE_TRIGGERED &&
                              walk->now >= walk->triggered_at + TRIGGER_GRACE_USEC);
        if (gate->stopping)
                g_assert_cmphex(actions, ==, 0);

        walk->n_pings += !!(actions & GATE_PING);
        walk->n_triggers += !!(actions & GATE_TRIGGER);
        walk->n_ends += !!(actions & (GATE_EXIT | GATE_ABORT));
        g_assert_cmpuint(gate->n_pings, ==, walk->n_pings);
        g_assert_cmpuint(gate->n_triggers, ==, walk->n_triggers);
        g_assert_cmpuint(walk->n_ends, <=, 1);
        g_assert_cmpint(gate->state == GATE_ENDED, ==, walk->n_ends == 1);

        if (actions & GATE_TRIGGER)
                walk->triggered_at = walk->now;
        if (walk->before != gate->state)
                g_assert_cmpuint(gate->since_usec, ==, walk->now);
}

/* What must be said by now: whoever calls at each deadline misses nothing. */
static void walk_check_owed(const Walk *walk) {
        const Gate *gate = &walk->gate;
        uint64_t watchdog = gate->config.watchdog_usec;

        if (gate->stopping || gate->state == GATE_ENDED)
                return;

        g_assert_cmpint(gate->state == GATE_OPEN, ==, gate->state < GATE_TRIGGERED && walk->live);
        g_assert_cmpint(gate->state == GATE_WITHHELD, ==,
                        gate->state < GATE_TRIGGERED && !walk->live && walk->healing);
        if (gate->state == GATE_OPEN && watchdog > 0)
                g_assert_cmpuint(walk->now - gate->last_ping_usec, <=,
                                 MAX(watchdog / 3, PING_MIN_USEC));
        if (gate->state == GATE_TRIGGERED)
                g_assert_cmpuint(walk->now, <, walk->triggered_at + TRIGGER_GRACE_USEC);
        g_assert_cmpuint(gate_deadline(gate), >, walk->now);
}

static void walk_step(Walk *walk) {
        uint64_t deadline = gate_deadline(&walk->gate);
        unsigned actions;

        switch (random_below(&walk->random, 12)) {
        case 0 ... 1:
                walk->live = !walk->live;
                break;
        case 2 ... 4:
                walk->live = true;
                break;
        case 5:
                walk->healing = !walk->healing;
                break;
        case 6:
                gate_set_watchdog(&walk->gate,
                                  random_below(&walk->random, 3) *
                                          random_below(&walk->random, USEC_PER_MINUTE),
                                  walk->now);
                break;
        case 7:
                walk->now += random_below(&walk->random, USEC_PER_MINUTE);
                break;
        case 8:
                walk->gate.stopping |= random_below(&walk->random, 50) == 0;
                break;
        default:
                if (deadline != USEC_NEVER)
                        walk->now = MAX(walk->now, deadline);
        }

        walk->before = walk->gate.state;
        actions = gate_step(&walk->gate, walk->live, walk->healing, walk->now);
        walk_check(walk, actions);
        walk_check_owed(walk);

        /* Asked again at once, it has nothing to add. */
        g_assert_cmphex(gate_step(&walk->gate, walk->live, walk->healing, walk->now), ==, 0);
}

static void test_random_walk(void) {
        for (unsigned i = 0; i < 3000; i++) {
                Walk walk = { .random = RANDOM_INIT(g_test_rand_int()), .live = true };
                GateConfig config = {
                        .watchdog_usec = random_below(&walk.random, 3) *
                                         random_below(&walk.random, USEC_PER_MINUTE),
                        .managed = random_below(&walk.random, 4) > 0,
                };

                walk.now = random_below(&walk.random, USEC_PER_HOUR);
                walk.healing = random_below(&walk.random, 2);
                gate_init(&walk.gate, &config, walk.now);
                for (unsigned step = 0; step < 150; step++)
                        walk_step(&walk);
        }
}

static void test_names(void) {
        for (int state = 0; state < _GATE_STATE_MAX; state++)
                for (int other = 0; other < state; other++)
                        g_assert_cmpstr(gate_state_to_string((GateState)state), !=,
                                        gate_state_to_string((GateState)other));

        g_assert_null(gate_state_to_string(_GATE_STATE_MAX));
        g_assert_null(gate_state_to_string((GateState)-1));
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);

        g_test_add_func("/core/gate/stories", test_stories);
        g_test_add_func("/core/gate/stopping", test_stopping);
        g_test_add_func("/core/gate/set-watchdog", test_set_watchdog);
        g_test_add_func("/core/gate/extremes", test_extremes);
        g_test_add_func("/core/gate/random-walk", test_random_walk);
        g_test_add_func("/core/gate/names", test_names);

        return g_test_run();
}
