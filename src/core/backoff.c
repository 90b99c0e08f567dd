/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/clock.h"
#include "base/macro.h"
#include "core/backoff.h"

void backoff_init(Backoff *backoff, BackoffKind kind, uint64_t min_usec, uint64_t max_usec) {
        assert(backoff);
        assert(min_usec > 0);
        assert(max_usec >= min_usec);

        *backoff = (Backoff){ .kind = kind, .min_usec = min_usec, .max_usec = max_usec };
}

static uint64_t backoff_decorrelated(const Backoff *backoff, Random *random) {
        uint64_t last = MAX(backoff->last_usec, backoff->min_usec);
        uint64_t limit = last > backoff->max_usec / 3 ? backoff->max_usec : last * 3;

        return random_between(random, backoff->min_usec, MIN(limit, backoff->max_usec));
}

static uint64_t backoff_full(const Backoff *backoff, Random *random) {
        uint64_t limit = backoff->min_usec;

        if (backoff->n_attempts == 0)
                return 0;

        for (unsigned i = 1; i < backoff->n_attempts && limit < backoff->max_usec; i++)
                limit = limit > backoff->max_usec / 2 ? backoff->max_usec : limit * 2;

        return random_between(random, 0, limit);
}

uint64_t backoff_next(Backoff *backoff, Random *random) {
        assert(backoff);
        assert(random);

        backoff->last_usec = backoff->kind == BACKOFF_FULL ? backoff_full(backoff, random)
                                                           : backoff_decorrelated(backoff, random);
        if (backoff->n_attempts < UINT32_MAX)
                backoff->n_attempts++;
        return backoff->last_usec;
}

void backoff_reset(Backoff *backoff) {
        assert(backoff);

        backoff->last_usec = 0;
        backoff->n_attempts = 0;
}
