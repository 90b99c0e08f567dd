/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A tick of the lowest level is 1024 usec; each level is eight times coarser than
 * the one below. A deadline goes to the first level whose 64 slots reach it, in
 * the slot of its first tick that is not before it: it lies at least 7/8 of the
 * lower level's range ahead, so that rounding up costs about 1/8 of the delay at
 * most: 8 ticks of that level in 62, where its borders lie badly.
 * 11 levels reach 2^(10+30+6) usec, more than two years; what is farther comes out
 * of the last slot too early, and its owner puts it in again.
 */

#include "base/clock.h"
#include "base/macro.h"
#include "core/wheel.h"

#define TICK_SHIFT 10
#define LEVEL_SHIFT 3
#define SLOT_MASK (WHEEL_SLOTS - 1)
#define SLOT_EXPIRED (WHEEL_NOWHERE - 1)

static_assert(WHEEL_SLOTS == 64, "a level's slots are the bits of one word");

static unsigned level_shift(unsigned level) {
        return level * LEVEL_SHIFT;
}

void wheel_init(Wheel *wheel, uint64_t now_usec) {
        assert(wheel);

        *wheel = (Wheel){ .tick = now_usec >> TICK_SHIFT };
        for (size_t i = 0; i < ELEMENTSOF(wheel->slots); i++)
                TAILQ_INIT(&wheel->slots[i]);
        TAILQ_INIT(&wheel->expired);
}

/*
 * The list whose end must be told if @node is its last. Slots are moved to the
 * expired ones whole, without a visit to each node, which would be a cache miss
 * each: their @slot is then that of old, and only the list's end knows better.
 */
static struct WheelList *wheel_list(Wheel *wheel, const WheelNode *node) {
        bool expired =
                node->slot == SLOT_EXPIRED || wheel->expired.tqh_last == &node->link.tqe_next;

        return expired ? &wheel->expired : &wheel->slots[node->slot];
}

void wheel_remove(Wheel *wheel, WheelNode *node) {
        assert(wheel);
        assert(node);

        if (node->slot == WHEEL_NOWHERE)
                return;

        TAILQ_REMOVE(wheel_list(wheel, node), node, link);
        if (node->slot != SLOT_EXPIRED && TAILQ_EMPTY(&wheel->slots[node->slot]))
                wheel->pending[node->slot / WHEEL_SLOTS] &=
                        ~(UINT64_C(1) << (node->slot % WHEEL_SLOTS));

        node->slot = WHEEL_NOWHERE;
        wheel->n_nodes--;
}

/* Tells the node some places before @node, which is the last of its list, where that is. */
static void wheel_look_ahead(WheelNode *node) {
        WheelNode *behind = node;

        for (unsigned i = 0; behind && i < WHEEL_AHEAD; i++)
                behind = TAILQ_PREV(behind, WheelList, link);

        if (behind)
                behind->ahead = node;
}

static void wheel_insert(Wheel *wheel, WheelNode *node, uint64_t tick) {
        unsigned level = 0;
        uint64_t slot;

        /* At each level the slots up to 63 ahead of the current one are free to use: the one
         * that holds the present tick has been, or is being, handed out. */
        for (; level < WHEEL_LEVELS; level++) {
                unsigned shift = level_shift(level);
                uint64_t round = (UINT64_C(1) << shift) - 1;

                slot = (tick + round) >> shift;
                if (slot - (wheel->tick >> shift) < WHEEL_SLOTS)
                        break;
        }

        if (level == WHEEL_LEVELS) {
                level = WHEEL_LEVELS - 1;
                slot = (wheel->tick >> level_shift(level)) + WHEEL_SLOTS - 1;
        }

        node->slot = (uint16_t)(level * WHEEL_SLOTS + (slot & SLOT_MASK));
        TAILQ_INSERT_TAIL(&wheel->slots[node->slot], node, link);
        wheel_look_ahead(node);
        wheel->pending[level] |= UINT64_C(1) << (slot & SLOT_MASK);
        wheel->n_nodes++;
}

/* What is over already is the next to be handed out. */
static void wheel_insert_expired(Wheel *wheel, WheelNode *node) {
        node->slot = SLOT_EXPIRED;
        TAILQ_INSERT_TAIL(&wheel->expired, node, link);
        wheel->n_nodes++;
}

void wheel_set(Wheel *wheel, WheelNode *node, uint64_t at_usec) {
        uint64_t tick;

        assert(wheel);
        assert(node);

        wheel_remove(wheel, node);
        node->ahead = NULL;
        if (at_usec == USEC_NEVER)
                return;

        tick = (at_usec >> TICK_SHIFT) + ((at_usec & ((1U << TICK_SHIFT) - 1)) != 0);
        if (tick < wheel->tick)
                wheel_insert_expired(wheel, node);
        else
                wheel_insert(wheel, node, tick);
}

/* The first tick at which a slot of @level is due, or UINT64_MAX. */
static uint64_t level_next(const Wheel *wheel, unsigned level) {
        uint64_t bits = wheel->pending[level], base;
        unsigned shift = level_shift(level), from;

        if (!bits)
                return UINT64_MAX;

        base = (wheel->tick + (UINT64_C(1) << shift) - 1) >> shift;
        from = (unsigned)(base & SLOT_MASK);

        /* Turn the word so that bit 0 is the slot that is due next. */
        if (from > 0)
                bits = bits >> from | bits << (WHEEL_SLOTS - from);

        return (base + (unsigned)__builtin_ctzll(bits)) << shift;
}

static uint64_t wheel_next_tick(const Wheel *wheel) {
        uint64_t next = UINT64_MAX;

        for (unsigned level = 0; level < WHEEL_LEVELS; level++)
                next = MIN(next, level_next(wheel, level));

        return next;
}

uint64_t wheel_next(const Wheel *wheel) {
        uint64_t tick;

        assert(wheel);

        if (!TAILQ_EMPTY(&wheel->expired))
                return 0;

        tick = wheel_next_tick(wheel);
        return tick > USEC_NEVER >> TICK_SHIFT ? USEC_NEVER : tick << TICK_SHIFT;
}

/* Moves every slot that is due at exactly wheel->tick to the expired ones. */
static void wheel_expire(Wheel *wheel) {
        for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
                unsigned shift = level_shift(level);
                uint64_t slot = wheel->tick >> shift;
                unsigned index = level * WHEEL_SLOTS + (unsigned)(slot & SLOT_MASK);

                if ((slot << shift) != wheel->tick)
                        break;
                if (!(wheel->pending[level] & UINT64_C(1) << (slot & SLOT_MASK)))
                        continue;

                TAILQ_CONCAT(&wheel->expired, &wheel->slots[index], link);
                wheel->pending[level] &= ~(UINT64_C(1) << (slot & SLOT_MASK));
        }
}

void wheel_advance(Wheel *wheel, uint64_t now_usec) {
        uint64_t now_tick = now_usec >> TICK_SHIFT;

        assert(wheel);

        if (now_tick < wheel->tick) /* as most often, for many are set at one time */
                return;

        for (;;) {
                uint64_t next = wheel_next_tick(wheel);

                if (next > now_tick)
                        break;

                wheel->tick = next;
                wheel_expire(wheel);
                wheel->tick++;
        }

        /* All up to now is out: what comes next is counted from here. */
        wheel->tick = now_tick + 1;
}

WheelNode *wheel_pop(Wheel *wheel, uint64_t now_usec) {
        WheelNode *node;

        assert(wheel);

        /* All that is due comes out at once, before the first is handed out: what its owner sets
         * then is counted from now, and not from where the wheel stood when it was late. */
        if (wheel->tick <= now_usec >> TICK_SHIFT)
                wheel_advance(wheel, now_usec);

        node = TAILQ_FIRST(&wheel->expired);
        if (node)
                wheel_remove(wheel, node);
        return node;
}
