/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Wheel: the scheduler
 *
 * Holds the deadlines of all probes and answers with one: when to wake next.
 * Adding and removing cost the same whether there are ten or a hundred thousand.
 *
 * A deadline is rounded up to a grid that is coarser the farther away it is (by
 * about one eighth of the delay at most, as in the kernel's timer wheel of 2016),
 * never earlier than asked, but for deadlines more than two years ahead. That
 * bounds the work and makes probes of like intervals wake the process together.
 * Nodes are never moved between levels.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define WHEEL_LEVELS 11
#define WHEEL_SLOTS 64

/* With very many nodes the time goes into waiting for memory, each for the link of the one before.
 * So each knows the address of one that comes some places later: to be prefetched, never read. */
#define WHEEL_AHEAD 4

typedef struct WheelNode {
        TAILQ_ENTRY(WheelNode) link;
        const struct WheelNode *ahead; /* a hint: WHEEL_AHEAD places behind us; may be long gone */
        uint16_t slot; /* level * WHEEL_SLOTS + slot; WHEEL_NOWHERE when not in a wheel */
} WheelNode;

#define WHEEL_NOWHERE UINT16_MAX
#define WHEEL_NODE_INIT                                                                            \
        { .slot = WHEEL_NOWHERE }

TAILQ_HEAD(WheelList, WheelNode);

typedef struct Wheel {
        uint64_t tick; /* all before this one have been handed out */
        uint64_t pending[WHEEL_LEVELS];
        struct WheelList slots[WHEEL_LEVELS * WHEEL_SLOTS];
        struct WheelList expired; /* taken out of their slots, not yet handed out */
        size_t n_nodes;
} Wheel;

void wheel_init(Wheel *wheel, uint64_t now_usec);

/*
 * Tells the time. Delays are counted from the latest time told, so tell it before
 * wheel_set() where no wheel_pop() has: after ten idle seconds a delay of one would
 * be rounded like one of eleven.
 */
void wheel_advance(Wheel *wheel, uint64_t now_usec);

/* Puts @node in at @at_usec, taking it out first where it was. USEC_NEVER only takes it out. */
void wheel_set(Wheel *wheel, WheelNode *node, uint64_t at_usec);
void wheel_remove(Wheel *wheel, WheelNode *node);

/* The next node that is due at @now_usec, taken out; NULL when there is none. */
WheelNode *wheel_pop(Wheel *wheel, uint64_t now_usec);

/* When wheel_pop() will next have something, or USEC_NEVER. */
uint64_t wheel_next(const Wheel *wheel);
