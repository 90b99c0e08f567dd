/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * How a run ended, from what it left
 */

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/macro.h"
#include "base/names.h"
#include "core/recorder-read.h"

/* clang-format off */
static const char *const end_names[] = {
        [RUN_END_UNKNOWN]  = "unknown",
        [RUN_END_STOPPED]  = "stopped",
        [RUN_END_FAILED]   = "failed",
        [RUN_END_TRIGGER]  = "trigger",
        [RUN_END_WATCHDOG] = "watchdog",
        [RUN_END_ABORT]    = "abort",
        [RUN_END_CRASH]    = "crash",
        [RUN_END_KILLED]   = "killed",
};
/* clang-format on */

static_assert(ELEMENTSOF(end_names) == _RUN_END_MAX, "an end lacks its name");

const char *run_end_to_string(RunEnd end) {
        return name_table_to_string(end_names, ELEMENTSOF(end_names), (int)end);
}

bool run_end_is_restart(RunEnd end) {
        return end != RUN_END_UNKNOWN && end != RUN_END_STOPPED;
}

/* All that the record says of one run. */
typedef struct Evidence {
        const RecorderState *state;
        uint64_t ping_usec;
        bool has_signal, has_stall;
        RecorderFrames signal;
        RecorderStall stall;
} Evidence;

static void evidence_gather(const RecorderArea *area, const RecorderState *state, Evidence *ret) {
        *ret = (Evidence){
                .state = state,
                .ping_usec = MAX(recorder_read_time(&area->ping_usec, 0), state->started_usec),
        };
        ret->has_signal = recorder_read_frames(&area->fatal, state->run, &ret->signal) &&
                          ret->signal.signal > 0;
        ret->has_stall = recorder_read_stall(area, state->run, &ret->stall);
}

/* Nine tenths, for systemd counts from when it read the ping and not from when it was sent. */
static bool is_watchdogs(const Evidence *evidence) {
        uint64_t watchdog_usec = evidence->state->watchdog_usec;

        if (watchdog_usec == 0)
                return false;
        if (evidence->has_stall)
                return true;

        return evidence->has_signal &&
               usec_sub(evidence->signal.usec, evidence->ping_usec) >= watchdog_usec / 10 * 9;
}

static bool came_from_elsewhere(const Evidence *evidence) {
        return evidence->signal.code == SI_USER && evidence->signal.sender != evidence->state->pid;
}

static RunEnd deduce_end(const Evidence *evidence) {
        const RecorderState *state = evidence->state;
        bool triggered = state->life == LIFE_TRIGGERED || state->life == LIFE_GIVEN_UP;

        if (state->life == LIFE_STOPPED)
                return state->result < 0 ? RUN_END_FAILED : RUN_END_STOPPED;

        if (!evidence->has_signal)
                return triggered                ? RUN_END_TRIGGER
                       : is_watchdogs(evidence) ? RUN_END_WATCHDOG
                                                : RUN_END_KILLED;

        if (evidence->signal.signal != SIGABRT)
                return RUN_END_CRASH;
        if (triggered)
                return RUN_END_TRIGGER;

        return came_from_elsewhere(evidence) && is_watchdogs(evidence) ? RUN_END_WATCHDOG
                                                                       : RUN_END_ABORT;
}

static uint64_t last_seen_usec(const Evidence *evidence) {
        uint64_t usec = MAX(evidence->state->written_usec, evidence->ping_usec);

        if (evidence->has_signal)
                usec = MAX(usec, evidence->signal.usec);
        if (evidence->has_stall)
                usec = MAX(usec, evidence->stall.usec);

        return usec;
}

void recorder_deduce(const RecorderArea *area, const RecorderState *state, PreviousRun *ret) {
        Evidence evidence;

        assert(area);
        assert(state);
        assert(ret);

        evidence_gather(area, state, &evidence);
        *ret = (PreviousRun){
                .end = deduce_end(&evidence),
                .run = state->run,
                .n_restarts = state->n_restarts,
                .signal = evidence.has_signal ? evidence.signal.signal : 0,
                .result = state->result,
                .started_realtime_usec = state->started_realtime_usec,
                .lived_usec = usec_sub(last_seen_usec(&evidence), state->started_usec),
                .starting = state->life == LIFE_STARTING,
                .stopping = state->life == LIFE_STOPPING,
        };
        ret->seen_realtime_usec = usec_add(state->started_realtime_usec, ret->lived_usec);
        if (run_end_is_restart(ret->end) && ret->n_restarts < UINT32_MAX)
                ret->n_restarts++;

        if (state->life >= LIFE_WITHHELD && state->life <= LIFE_GIVEN_UP) {
                memcpy(ret->probe, state->probe, sizeof(ret->probe));
                memcpy(ret->reason, state->reason, sizeof(ret->reason));
        } else if (ret->end == RUN_END_FAILED) {
                memcpy(ret->reason, state->reason, sizeof(ret->reason));
        }

        /* Whoever was asked to stop, and hung then, has ended for that. */
        if (evidence.has_stall && ret->end != RUN_END_STOPPED) {
                ret->stalled_usec = evidence.stall.silent_usec;
                memcpy(ret->doing, evidence.stall.doing, sizeof(ret->doing));
                memcpy(ret->function, evidence.stall.function, sizeof(ret->function));
                memcpy(ret->stack, evidence.stall.stack, sizeof(ret->stack));
        }
}

/* A sentence in the making. What no longer fits is left out in one piece. */
typedef struct Sentence {
        char *buffer;
        size_t size, length;
} Sentence;

static void sentence_add(Sentence *sentence, const char *format, ...) _printf_(2, 3);

static void sentence_add(Sentence *sentence, const char *format, ...) {
        size_t room = sentence->size - sentence->length;
        char *end = sentence->buffer + sentence->length;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vsnprintf(end, room, format, ap);
        va_end(ap);

        if (n < 0 || (size_t)n >= room)
                *end = '\0';
        else
                sentence->length += (size_t)n;
}

/* " in probe 'x' at function", or what of it is known. Where the signal met a loop that turned, and
 * had asked for it, is of no interest. */
static void add_place(const PreviousRun *previous, Sentence *sentence) {
        char duration[USEC_TEXT_MAX];

        if (previous->end == RUN_END_TRIGGER && previous->stalled_usec == 0)
                return;

        if (previous->stalled_usec > 0)
                sentence_add(sentence, ", the event loop hung for %s",
                             usec_format(previous->stalled_usec / USEC_PER_MSEC * USEC_PER_MSEC,
                                         duration));
        if (previous->doing[0])
                sentence_add(sentence, " in %s", previous->doing);
        if (previous->function[0])
                sentence_add(sentence, " at %s", previous->function);
}

static void add_cause(const PreviousRun *previous, Sentence *sentence) {
        const char *name = NULL;

        if (previous->end == RUN_END_ABORT || previous->end == RUN_END_CRASH)
                name = sigabbrev_np(previous->signal);
        if (name)
                sentence_add(sentence, " (SIG%s)", name);
        if (previous->reason[0])
                sentence_add(sentence, ": %s", previous->reason);
        else if (previous->end == RUN_END_FAILED && previous->result < 0)
                sentence_add(sentence, ": %s", strerror(-previous->result));
}

const char *previous_run_sentence(const PreviousRun *previous, char *buffer, size_t size) {
        /* clang-format off */
        static const char *const sentences[] = {
                [RUN_END_UNKNOWN]  = "nothing is known of it",
                [RUN_END_STOPPED]  = "it was stopped",
                [RUN_END_FAILED]   = "it ended by itself",
                [RUN_END_TRIGGER]  = "it asked systemd to restart it",
                [RUN_END_WATCHDOG] = "its watchdog got no pings",
                [RUN_END_ABORT]    = "it was aborted",
                [RUN_END_CRASH]    = "it crashed",
                [RUN_END_KILLED]   = "it was killed without a word, or ran out of memory",
        };
        /* clang-format on */
        Sentence sentence = { .buffer = buffer, .size = size };

        static_assert(ELEMENTSOF(sentences) == _RUN_END_MAX, "an end lacks its sentence");
        assert(previous);
        assert(buffer && size > 0);

        buffer[0] = '\0';
        sentence_add(&sentence, "%s", sentences[previous->end]);
        add_cause(previous, &sentence);
        add_place(previous, &sentence);
        if (previous->starting || previous->stopping)
                sentence_add(&sentence,
                             previous->starting ? ", before it was ready" : ", on its way out");
        return buffer;
}
