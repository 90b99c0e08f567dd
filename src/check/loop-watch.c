/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <time.h>

#include "base/clock.h"
#include "base/macro.h"
#include "check/loop-watch.h"

/* Called before each poll; sd_event_now() is still the end of the one before. */
static int on_loop_prepare(sd_event_source *source, void *userdata) {
        LoopWatch *watch = userdata;
        uint64_t woke_usec;

        /* Returns 1 before the first poll: then there is nothing to measure. */
        if (sd_event_now(sd_event_source_get_event(source), CLOCK_MONOTONIC, &woke_usec) != 0) {
                watch->polled_usec = clock_now_usec(CLOCK_MONOTONIC);
                return 0;
        }

        /* The poll was interrupted, by a handler, or by SIGSTOP and SIGCONT (signal(7)): the loop
         * does not count that as having woken, and to us it is one long poll. */
        if (woke_usec == watch->woke_usec)
                return 0;

        watch->woke_usec = woke_usec;
        watch->polled_usec = clock_now_usec(CLOCK_MONOTONIC);
        loop_lag_note(watch->lag, woke_usec, watch->polled_usec);
        return 0;
}

/* The source is there for its prepare callback only: its time never comes. */
static int on_loop_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        (void)source, (void)usec, (void)userdata;
        return 0;
}

int loop_watch_init(LoopWatch *watch, sd_event *event, LoopLag *lag) {
        sd_event_source *source = NULL;
        int r;

        assert(watch);
        assert(event);
        assert(lag);

        r = sd_event_add_time(event, &source, CLOCK_MONOTONIC, USEC_NEVER, 0, on_loop_timer, watch);
        if (r < 0)
                return r;

        r = sd_event_source_set_prepare(source, on_loop_prepare);
        if (r < 0) {
                (void)sd_event_source_disable_unref(source);
                return r;
        }

        (void)sd_event_source_set_description(source, "loop-watch");
        *watch = (LoopWatch){ .lag = lag, .source = source };
        return 0;
}

void loop_watch_done(LoopWatch *watch) {
        if (!watch)
                return;

        watch->source = sd_event_source_disable_unref(watch->source);
}
