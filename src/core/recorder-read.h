/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Reading a Record
 *
 * Takes a record apart, be it whole, torn, old, foreign or random bytes, and makes out
 * how the run that wrote it ended. To be called on a copy that nobody else writes to.
 *
 * Nobody tells a process why it died: it is deduced from what it wrote last. A mark is
 * left by an end that was meant, by WATCHDOG=trigger, and by fatal signals; the
 * watchdog's SIGABRT is known by the pings that were missing. What leaves nothing,
 * SIGKILL and the OOM killer, is "killed".
 */

#include "core/recorder-format.h"

/* How a run ended. */
typedef enum RunEnd {
        RUN_END_UNKNOWN,  /* there was none, or it left no state */
        RUN_END_STOPPED,  /* as it was asked to */
        RUN_END_FAILED,   /* by itself, with an error */
        RUN_END_TRIGGER,  /* lost `live`, and asked systemd to act */
        RUN_END_WATCHDOG, /* systemd missed the pings */
        RUN_END_ABORT,    /* SIGABRT, of its own or from elsewhere */
        RUN_END_CRASH,    /* another fatal signal */
        RUN_END_KILLED,   /* without a word */
        _RUN_END_MAX,
} RunEnd;

/* "stopped", "watchdog", ...; NULL for a value that is none. */
const char *run_end_to_string(RunEnd end);

/* Was this end not meant? */
bool run_end_is_restart(RunEnd end);

/* The run before this one, in clean text. */
typedef struct PreviousRun {
        RunEnd end;
        uint32_t run;
        uint32_t n_restarts; /* ends that were not meant, with this one */
        int signal;          /* 0: none is known */
        int result;
        uint64_t started_realtime_usec;
        uint64_t seen_realtime_usec; /* the last sign of life */
        uint64_t lived_usec;         /* from the start to that */
        uint64_t stalled_usec;       /* how long the loop had hung when that was seen; 0: did not */
        bool starting, stopping;     /* it was not ready so far; it was on its way out anyhow */
        char probe[NAME_LENGTH_MAX + 1];
        char reason[OUTPUT_LENGTH_MAX];
        char doing[2 * (NAME_LENGTH_MAX + 1)];
        char function[FUNCTION_LENGTH_MAX];
        char stack[STACK_TEXT_MAX]; /* lines; "" */
} PreviousRun;

/*
 * Can this be read at all, by a service called @service? Returns 0; -EBADMSG for what
 * is damaged or no record; -EPROTONOSUPPORT for one of another version or service.
 * *@ret_word then says in a word what is wrong with it.
 */
int recorder_check(const RecorderArea *area, const char *service, const char **ret_word);

/* The newest state that is whole, with clean text. False if there is none. */
bool recorder_read_state(const RecorderArea *area, RecorderState *ret);

/* All entries that are whole, the newest first, with clean text. Returns their number. */
unsigned recorder_read_entries(const RecorderArea *area,
                               RecorderEntry entries[static RECORDER_ENTRIES_MAX]);

/* The greatest sequence of an entry that is whole; 0 if there is none. */
uint64_t recorder_last_sequence(const RecorderArea *area);

/* Frames, with a number of them that can be believed. False if they are not whole or not of @run.
 */
bool recorder_read_frames(const RecorderFrames *place, uint32_t run, RecorderFrames *ret);
bool recorder_read_stall(const RecorderArea *area, uint32_t run, RecorderStall *ret);

/* The same for the files of code; their paths are terminated, and may be anything else. */
bool recorder_read_modules(const RecorderArea *area, uint32_t run, RecorderModules *ret);

/*
 * How the run of @state ended. Stack and function are those that were written while it
 * lived; those of a fatal signal are still addresses: see recorder_read_frames().
 */
void recorder_deduce(const RecorderArea *area, const RecorderState *state, PreviousRun *ret);

/* One sentence for people, "its watchdog got no pings: the event loop hung in ...". */
const char *previous_run_sentence(const PreviousRun *previous, char *buffer, size_t size);

/* How long maintenance has still to go, on the clock that can be believed; 0: it is over. */
uint64_t recorder_maintenance_left(const RecorderState *state,
                                   uint64_t boottime_usec,
                                   uint64_t realtime_usec);
