/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/clock.h"
#include "base/macro.h"
#include "core/defaults.h"
#include "core/strategy.h"

StrategyRange strategy_range(hale_strategy strategy, unsigned dead, unsigned n_members) {
        assert(dead < n_members);

        return (StrategyRange){
                .first = strategy == HALE_ONE_FOR_ALL ? 0 : dead,
                .last = strategy == HALE_ONE_FOR_ONE ? dead : n_members - 1,
        };
}

StrategyRange strategy_join(StrategyRange a, StrategyRange b) {
        return (StrategyRange){ .first = MIN(a.first, b.first), .last = MAX(a.last, b.last) };
}

StrategyStep strategy_next(const StrategyMember members[],
                           StrategyRange range,
                           bool starting,
                           uint64_t at_usec,
                           uint64_t now_usec) {
        assert(members);
        assert(range.first <= range.last);

        for (unsigned i = range.last + 1; !starting && i-- > range.first;)
                if (members[i].alive)
                        return (StrategyStep){ members[i].stopping ? STRATEGY_WAIT : STRATEGY_STOP,
                                               i };

        if (now_usec < at_usec)
                return (StrategyStep){ STRATEGY_SLEEP, range.first };

        for (unsigned i = range.first; i <= range.last; i++)
                if (members[i].wanted && !members[i].alive)
                        return (StrategyStep){ STRATEGY_START, i };

        return (StrategyStep){ STRATEGY_DONE, range.last };
}

uint64_t strategy_stop_share(uint64_t left_usec, uint64_t wanted_usec, unsigned n_left) {
        uint64_t others, fair;

        assert(n_left > 0);

        fair = left_usec / n_left;
        others = (n_left - 1) * MIN(STOP_SHARE_USEC, fair);
        return MIN(wanted_usec, MAX(fair, usec_sub(left_usec, others)));
}
