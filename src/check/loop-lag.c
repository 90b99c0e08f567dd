/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/clock.h"
#include "base/macro.h"
#include "check/loop-lag.h"

void loop_lag_init(LoopLag *lag) {
        assert(lag);

        *lag = (LoopLag){};
        LIST_INIT(&lag->readers);
}

void loop_lag_note(LoopLag *lag, uint64_t due_usec, uint64_t now_usec) {
        LoopLagReader *reader;

        assert(lag);

        lag->n_notes++;
        lag->last_usec = usec_sub(now_usec, due_usec);
        lag->max_usec = MAX(lag->max_usec, lag->last_usec);
        histogram_note(&lag->histogram, lag->last_usec);

        LIST_FOREACH (reader, &lag->readers, link)
                reader->max_usec = MAX(reader->max_usec, lag->last_usec);
}

void loop_lag_forgive(LoopLag *lag) {
        LoopLagReader *reader;

        assert(lag);

        LIST_FOREACH (reader, &lag->readers, link)
                reader->max_usec = 0;
}

void loop_lag_add_reader(LoopLag *lag, LoopLagReader *reader) {
        assert(lag);
        assert(reader);

        reader->max_usec = 0;
        LIST_INSERT_HEAD(&lag->readers, reader, link);
}

void loop_lag_remove_reader(LoopLagReader *reader) {
        assert(reader);

        LIST_REMOVE(reader, link);
}

uint64_t loop_lag_read(LoopLagReader *reader) {
        uint64_t max_usec;

        assert(reader);

        max_usec = reader->max_usec;
        reader->max_usec = 0;
        return max_usec;
}
