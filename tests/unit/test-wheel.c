/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Wheel
 *
 * Held against a list that is searched from end to end. A node comes out once,
 * never before its deadline, and late by at most about an eighth of the delay it
 * was set with and a tick; what is due earlier comes out earlier, as far as that
 * grain allows. wheel_next() is the time at which wheel_pop() has something, and
 * not a microsecond earlier. Time may crawl or jump by days.
 */

#include <glib.h>

#include "base/clock.h"
#include "base/macro.h"
#include "core/random.h"
#include "core/wheel.h"

#define TICK_USEC ((uint64_t)1024)
#define DAY_USEC (24 * USEC_PER_HOUR)
#define REACH_USEC (700 * DAY_USEC)

typedef struct Node {
        WheelNode node;
        uint64_t at_usec;
        uint64_t latest_usec;
        bool in;
} Node;

/* The rule of the header, computed apart. 8/62: the borders of the grid may lie badly. */
static uint64_t latest(uint64_t at_usec, uint64_t set_usec) {
        uint64_t delay = usec_sub(at_usec, set_usec);

        return usec_add(MAX(at_usec, set_usec), delay / 62 * 8 + TICK_USEC);
}

static void node_set(Wheel *wheel, Node *node, uint64_t at_usec, uint64_t now_usec) {
        wheel_set(wheel, &node->node, at_usec);
        node->at_usec = at_usec;
        node->latest_usec = latest(at_usec, now_usec);
        node->in = at_usec != USEC_NEVER;
        g_assert_cmpint(node->node.slot == WHEEL_NOWHERE, ==, !node->in);
}

static Node *node_pop(Wheel *wheel, uint64_t now_usec) {
        WheelNode *popped = wheel_pop(wheel, now_usec);
        Node *node;

        if (!popped)
                return NULL;

        node = CONTAINER_OF(popped, Node, node);
        g_assert_true(node->in);
        g_assert_cmpuint(node->node.slot, ==, WHEEL_NOWHERE);
        g_assert_cmpuint(node->at_usec, <=, now_usec);
        node->in = false;
        return node;
}

/* Nothing is due now: what is in must not be overdue, and wheel_next() must be in time for it. */
static void check_rest(const Wheel *wheel, const Node *nodes, size_t n, uint64_t now_usec) {
        uint64_t next = wheel_next(wheel), earliest = USEC_NEVER, latest_usec = USEC_NEVER;
        size_t n_in = 0;

        for (size_t i = 0; i < n; i++) {
                if (!nodes[i].in)
                        continue;

                n_in++;
                g_assert_cmpuint(nodes[i].latest_usec, >, now_usec);
                earliest = MIN(earliest, nodes[i].at_usec);
                latest_usec = MIN(latest_usec, nodes[i].latest_usec);
        }

        g_assert_cmpuint(wheel->n_nodes, ==, n_in);
        g_assert_cmpint(next == USEC_NEVER, ==, n_in == 0);
        if (n_in > 0) {
                g_assert_cmpuint(next, >, now_usec);
                g_assert_cmpuint(next, >=, earliest);
                g_assert_cmpuint(next, <=, latest_usec);
        }
}

static uint64_t random_delay(Random *random) {
        static const uint64_t scales[] = { 1,
                                           2 * TICK_USEC,
                                           100 * TICK_USEC,
                                           USEC_PER_SEC,
                                           USEC_PER_MINUTE,
                                           USEC_PER_HOUR,
                                           DAY_USEC,
                                           REACH_USEC };

        return random_between(random, 0, scales[random_below(random, ELEMENTSOF(scales))]);
}

static void random_set(Wheel *wheel, Node *nodes, size_t n, uint64_t now_usec, Random *random) {
        Node *node = &nodes[random_below(random, n)];

        switch (random_below(random, 8)) {
        case 0:
                wheel_remove(wheel, &node->node);
                node->in = false;
                break;
        case 1:
                node_set(wheel, node, USEC_NEVER, now_usec);
                break;
        case 2: /* already past */
                node_set(wheel, node, usec_sub(now_usec, random_delay(random)), now_usec);
                break;
        default:
                node_set(wheel, node, now_usec + random_delay(random), now_usec);
        }
}

/* Takes out all that is due, sets some of it anew meanwhile, and checks the order. */
static void random_pop(Wheel *wheel, Node *nodes, size_t n, uint64_t now_usec, Random *random) {
        uint64_t floor_usec = 0;
        Node *node;

        while ((node = node_pop(wheel, now_usec))) {
                /* Whoever came before this one may not have been sure to come after it. */
                g_assert_cmpuint(node->latest_usec, >=, floor_usec);
                floor_usec = MAX(floor_usec, node->at_usec);

                if (random_below(random, 2) == 0)
                        node_set(wheel, node, now_usec + 1 + random_delay(random), now_usec);
                else if (random_below(random, 8) == 0)
                        wheel_remove(wheel, &nodes[random_below(random, n)].node);

                for (size_t i = 0; i < n; i++)
                        if (nodes[i].in && nodes[i].node.slot == WHEEL_NOWHERE)
                                nodes[i].in = false;
        }
}

static uint64_t random_time(const Wheel *wheel, uint64_t now_usec, Random *random) {
        uint64_t next = wheel_next(wheel);

        switch (random_below(random, 8)) {
        case 0:
                return now_usec + random_below(random, 30 * DAY_USEC);
        case 1:
        case 2:
                return now_usec + random_below(random, 3 * TICK_USEC);
        case 3:
                return now_usec + random_below(random, USEC_PER_SEC);
        default:
                return next == USEC_NEVER ? now_usec : MAX(now_usec, next);
        }
}

static void test_random_walk(void) {
        Node nodes[60];
        static Wheel wheel;

        for (unsigned walk = 0; walk < 60; walk++) {
                Random random = RANDOM_INIT(g_test_rand_int());
                uint64_t now = random_delay(&random);
                size_t n = random_between(&random, 1, ELEMENTSOF(nodes));

                for (size_t i = 0; i < n; i++)
                        nodes[i] = (Node){ .node = WHEEL_NODE_INIT };
                wheel_init(&wheel, now);

                for (unsigned step = 0; step < 1500; step++) {
                        for (uint64_t sets = random_below(&random, 4); sets > 0; sets--)
                                random_set(&wheel, nodes, n, now, &random);

                        now = random_time(&wheel, now, &random);
                        random_pop(&wheel, nodes, n, now, &random);
                        check_rest(&wheel, nodes, n, now);
                }
        }
}

/* One node alone, over all scales: wheel_next() is exactly when it comes out. */
static void test_one(void) {
        Random random = RANDOM_INIT(g_test_rand_int());
        static Wheel wheel;

        for (unsigned i = 0; i < 20000; i++) {
                uint64_t now = random_delay(&random), next;
                Node node = { .node = WHEEL_NODE_INIT };

                wheel_init(&wheel, now);
                node_set(&wheel, &node, now + random_delay(&random), now);

                next = wheel_next(&wheel);
                g_assert_cmpuint(next, <=, node.latest_usec);
                if (next > now) {
                        g_assert_null(wheel_pop(&wheel, now));
                        g_assert_cmpuint(wheel_next(&wheel), ==, next);
                        g_assert_null(wheel_pop(&wheel, next - 1));
                        g_assert_cmpuint(wheel_next(&wheel), ==, next);
                }
                g_assert_true(node_pop(&wheel, next) == &node);
                g_assert_null(wheel_pop(&wheel, next));
                g_assert_cmpuint(wheel_next(&wheel), ==, USEC_NEVER);
        }
}

/* What is set after an idle time, or after a jump, is counted from then. */
static void test_counts_from_now(void) {
        Node node = { .node = WHEEL_NODE_INIT }, other = { .node = WHEEL_NODE_INIT };
        uint64_t now = 10 * DAY_USEC;
        static Wheel wheel;

        wheel_init(&wheel, 0);
        wheel_advance(&wheel, now);
        node_set(&wheel, &node, now + USEC_PER_SEC, now);
        g_assert_cmpuint(wheel_next(&wheel), >=, node.at_usec);
        g_assert_cmpuint(wheel_next(&wheel), <=, node.latest_usec);

        wheel_remove(&wheel, &node.node);

        /* Two are overdue by ten days; the first is set again before the second is out. */
        wheel_init(&wheel, 0);
        node_set(&wheel, &node, USEC_PER_SEC, 0);
        node_set(&wheel, &other, USEC_PER_HOUR, 0);
        g_assert_true(node_pop(&wheel, now) == &node);
        node_set(&wheel, &node, now + USEC_PER_SEC, now);
        g_assert_true(node_pop(&wheel, now) == &other);
        g_assert_null(wheel_pop(&wheel, now));
        g_assert_cmpuint(wheel_next(&wheel), <=, node.latest_usec);

        /* So it is when something is set late, and comes out before the time was told. */
        node_set(&wheel, &other, now - USEC_PER_HOUR, now);
        g_assert_cmpuint(wheel_next(&wheel), <=, now);
        wheel_remove(&wheel, &node.node);
        now += DAY_USEC;
        g_assert_true(node_pop(&wheel, now) == &other);
        node_set(&wheel, &node, now + USEC_PER_SEC, now);
        g_assert_null(wheel_pop(&wheel, now));
        g_assert_cmpuint(wheel_next(&wheel), <=, node.latest_usec);

        /* Telling the time hands nothing out, and loses nothing. */
        wheel_advance(&wheel, now + DAY_USEC);
        g_assert_cmpuint(wheel.n_nodes, ==, 1);
        g_assert_cmpuint(wheel_next(&wheel), <=, now + DAY_USEC);
        wheel_advance(&wheel, now + 2 * DAY_USEC);
        wheel_remove(&wheel, &node.node);
        node.in = false;
        g_assert_cmpuint(wheel_next(&wheel), ==, USEC_NEVER);
        g_assert_cmpuint(wheel.n_nodes, ==, 0);
}

/* Centuries ahead: it may come out early, but seldom, and its owner puts it in again. */
static void test_very_far(void) {
        static const uint64_t far[] = { 3 * 365 * DAY_USEC, 1000 * 365 * DAY_USEC, USEC_NEVER - 1 };
        static Wheel wheel;

        for (size_t i = 0; i < ELEMENTSOF(far); i++) {
                Node node = { .node = WHEEL_NODE_INIT };
                uint64_t next;

                wheel_init(&wheel, 0);
                wheel_set(&wheel, &node.node, far[i]);
                next = wheel_next(&wheel);
                g_assert_cmpuint(next, >=, REACH_USEC);
                g_assert_cmpuint(next, <=, far[i]);
                g_assert_null(wheel_pop(&wheel, next - 1));
                g_assert_true(wheel_pop(&wheel, next) == &node.node);
        }
}

/* Never in, out twice, or in twice: nothing happens that should not. */
static void test_remove(void) {
        Node node = { .node = WHEEL_NODE_INIT };
        static Wheel wheel;

        wheel_init(&wheel, 5);
        wheel_remove(&wheel, &node.node);
        wheel_set(&wheel, &node.node, USEC_NEVER);
        g_assert_cmpuint(wheel.n_nodes, ==, 0);

        wheel_set(&wheel, &node.node, USEC_PER_SEC);
        wheel_set(&wheel, &node.node, USEC_PER_SEC);
        wheel_set(&wheel, &node.node, USEC_PER_HOUR);
        g_assert_cmpuint(wheel.n_nodes, ==, 1);
        g_assert_null(wheel_pop(&wheel, 2 * USEC_PER_SEC));
        wheel_remove(&wheel, &node.node);
        wheel_remove(&wheel, &node.node);
        g_assert_cmpuint(wheel.n_nodes, ==, 0);
        g_assert_cmpuint(wheel_next(&wheel), ==, USEC_NEVER);
        g_assert_null(wheel_pop(&wheel, USEC_PER_HOUR * 2));
}

/*
 * A hundred thousand probes with an interval of 30 s and their jitter, for five
 * minutes: as many rounds as the grid has points, and not as many as there are
 * probes.
 */
static void test_many(void) {
        Random random = RANDOM_INIT(g_test_rand_int());
        const size_t n = 100 * 1000;
        g_autofree Node *nodes = g_new0(Node, n);
        unsigned n_rounds = 0, n_popped = 0;
        static Wheel wheel;
        uint64_t now = 0;

        wheel_init(&wheel, now);
        for (size_t i = 0; i < n; i++) {
                nodes[i].node.slot = WHEEL_NOWHERE;
                node_set(&wheel, &nodes[i], random_below(&random, 5 * USEC_PER_SEC), now);
        }

        while (now < 300 * USEC_PER_SEC) {
                Node *node;

                now = wheel_next(&wheel);
                n_rounds++;
                while ((node = node_pop(&wheel, now))) {
                        g_assert_cmpuint(now, <=, node->latest_usec);
                        n_popped++;
                        node_set(&wheel, node,
                                 now + random_between(&random, 27 * USEC_PER_SEC,
                                                      33 * USEC_PER_SEC),
                                 now);
                }
        }

        g_assert_cmpuint(wheel.n_nodes, ==, n);
        g_assert_cmpuint(n_popped, >, n * 8);
        g_assert_cmpuint(n_popped, <, n * 12);
        g_assert_cmpuint(n_rounds, <, 1000);

        for (size_t i = 0; i < n; i++)
                wheel_remove(&wheel, &nodes[i].node);
        g_assert_cmpuint(wheel.n_nodes, ==, 0);
        g_assert_cmpuint(wheel_next(&wheel), ==, USEC_NEVER);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);

        g_test_add_func("/core/wheel/one", test_one);
        g_test_add_func("/core/wheel/remove", test_remove);
        g_test_add_func("/core/wheel/counts-from-now", test_counts_from_now);
        g_test_add_func("/core/wheel/very-far", test_very_far);
        g_test_add_func("/core/wheel/random-walk", test_random_walk);
        g_test_add_func("/core/wheel/many", test_many);

        return g_test_run();
}
