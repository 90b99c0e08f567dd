/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Strategy: the restart of a group
 *
 * Given the members in their order, who of them is to be restarted and what they
 * are doing, says the next step: stop one (the last first, and only when those
 * after it are gone), wait, or start one (the first first, when all are gone).
 */

#include <stdbool.h>
#include <stdint.h>

#include "hale/worker.h"

/* From and including @first to and including @last. */
typedef struct StrategyRange {
        unsigned first, last;
} StrategyRange;

typedef struct StrategyMember {
        bool alive;    /* there is still something of it */
        bool stopping; /* and it has been asked to stop */
        bool wanted;   /* to be started with the others */
} StrategyMember;

typedef enum StrategyAction {
        STRATEGY_STOP,  /* ask member @index to stop */
        STRATEGY_WAIT,  /* until a member is gone */
        STRATEGY_SLEEP, /* until the time of the restart has come */
        STRATEGY_START, /* start member @index */
        STRATEGY_DONE,  /* all that is wanted is alive */
} StrategyAction;

typedef struct StrategyStep {
        StrategyAction action;
        unsigned index;
} StrategyStep;

/* Who is restarted when member @dead of @n_members has died. */
StrategyRange strategy_range(hale_strategy strategy, unsigned dead, unsigned n_members);

/* Both, when a second member dies before the restart for the first is done. */
StrategyRange strategy_join(StrategyRange a, StrategyRange b);

/*
 * The next step. @starting: the starts have begun, and whoever is alive from now
 * on is one that was started. Each step is to be done before asking again.
 */
StrategyStep strategy_next(const StrategyMember members[],
                           StrategyRange range,
                           bool starting,
                           uint64_t at_usec,
                           uint64_t now_usec);

/*
 * How long one of @n_left that are stopped in turn may take, when it may @wanted_usec
 * and there are @left_usec for all: nobody's time is cut short unless the others need it,
 * and each gets at least STOP_SHARE_USEC or its fair part.
 */
uint64_t strategy_stop_share(uint64_t left_usec, uint64_t wanted_usec, unsigned n_left);
