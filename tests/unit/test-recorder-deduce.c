/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * How a run ended is deduced from what it left: a row for each end there is, and the
 * sentence that a person reads.
 */

#include <errno.h>
#include <signal.h>

#include "recorder-fixture.h"

#define ELSEWHERE 1
#define ITSELF 4242

typedef struct Row {
        const char *name;
        RecorderLife life;
        int result;
        int signal, code, sender;
        guint64 signal_usec, ping_usec, stall_usec, over_usec, watchdog_usec;
        RunEnd end;
        const char *sentence;
} Row;

/* clang-format off */
static const Row rows[] = {
        { "stopped",        LIFE_STOPPED,   0,       0, 0, 0, 0, 0, 0, 0, 3000000,
          RUN_END_STOPPED,  "it was stopped" },
        { "failed",         LIFE_STOPPED,   -EADDRINUSE, 0, 0, 0, 0, 0, 0, 0, 3000000,
          RUN_END_FAILED,   "it ended by itself: *" },
        { "trigger",        LIFE_TRIGGERED, 0, SIGABRT, SI_USER, ELSEWHERE, 5000000, 4000000, 0, 0, 3000000,
          RUN_END_TRIGGER,  "it asked systemd to restart it: *" },
        { "trigger-killed", LIFE_TRIGGERED, 0,       0, 0, 0, 0, 4000000, 0, 0, 3000000,
          RUN_END_TRIGGER,  "it asked systemd to restart it: *" },
        { "gave-up",        LIFE_GIVEN_UP,  0, SIGABRT, SI_TKILL, ITSELF, 9000000, 1000000, 0, 0, 3000000,
          RUN_END_TRIGGER,  "it asked systemd to restart it: *" },
        { "missed-pings",   LIFE_RUNNING,   0, SIGABRT, SI_USER, ELSEWHERE, 7000000, 4000000, 0, 0, 3000000,
          RUN_END_WATCHDOG, "its watchdog got no pings" },
        { "hung",           LIFE_RUNNING,   0, SIGABRT, SI_USER, ELSEWHERE, 7000000, 4000000, 6000000, 0, 3000000,
          RUN_END_WATCHDOG, "its watchdog got no pings, the event loop hung for 2s in probe 'p' at f+0x1" },
        { "hung-killed",    LIFE_RUNNING,   0,       0, 0, 0, 0, 4000000, 6000000, 0, 3000000,
          RUN_END_WATCHDOG, "its watchdog got no pings, the event loop hung for 2s in probe 'p' at f+0x1" },
        { "hung-before",    LIFE_RUNNING,   0,       0, 0, 0, 0, 6500000, 6000000, 6200000, 3000000,
          RUN_END_KILLED,   "it was killed without a word, or ran out of memory" },
        { "withheld",       LIFE_WITHHELD,  0, SIGABRT, SI_USER, ELSEWHERE, 7000000, 4000000, 0, 0, 3000000,
          RUN_END_WATCHDOG, "its watchdog got no pings: *" },
        { "operator-abort", LIFE_RUNNING,   0, SIGABRT, SI_USER, ELSEWHERE, 4100000, 4000000, 0, 0, 3000000,
          RUN_END_ABORT,    "it was aborted (SIGABRT)" },
        { "own-abort",      LIFE_RUNNING,   0, SIGABRT, SI_TKILL, ITSELF, 9000000, 4000000, 0, 0, 3000000,
          RUN_END_ABORT,    "it was aborted (SIGABRT)" },
        { "no-watchdog",    LIFE_RUNNING,   0, SIGABRT, SI_USER, ELSEWHERE, 9000000, 0, 0, 0, 0,
          RUN_END_ABORT,    "it was aborted (SIGABRT)" },
        { "crash",          LIFE_RUNNING,   0, SIGSEGV, 1, 0, 9000000, 4000000, 0, 0, 3000000,
          RUN_END_CRASH,    "it crashed (SIGSEGV)" },
        { "killed",         LIFE_RUNNING,   0,       0, 0, 0, 0, 4000000, 0, 0, 3000000,
          RUN_END_KILLED,   "it was killed without a word, or ran out of memory" },
        { "killed-early",   LIFE_STARTING,  0,       0, 0, 0, 0, 0, 0, 0, 3000000,
          RUN_END_KILLED,   "it was killed without a word, or ran out of memory, before it was ready" },
        { "killed-at-stop", LIFE_STOPPING,  0,       0, 0, 0, 0, 4000000, 0, 0, 3000000,
          RUN_END_KILLED,   "it was killed without a word, or ran out of memory, on its way out" },
        { "crash-at-stop",  LIFE_STOPPING,  0, SIGSEGV, 1, 0, 9000000, 4000000, 0, 0, 3000000,
          RUN_END_CRASH,    "it crashed (SIGSEGV), on its way out" },
};
/* clang-format on */

static void leave_traces(RecorderArea *area, const Row *row) {
        RecorderFrames frames = {
                .run = 7,
                .usec = row->signal_usec,
                .signal = row->signal,
                .code = row->code,
                .sender = row->sender,
        };
        RecorderStall *stall = g_new0(RecorderStall, 1);

        stall->run = 7;
        stall->usec = row->stall_usec;
        stall->silent_usec = 2000000;
        g_strlcpy(stall->doing, "probe 'p'", sizeof(stall->doing));
        g_strlcpy(stall->function, "f+0x1", sizeof(stall->function));
        g_strlcpy(stall->stack, "f+0x1 (x+0x2)\nmain+0x3 (x+0x4)", sizeof(stall->stack));
        if (row->signal > 0)
                recorder_write_frames(&area->fatal, &frames);
        if (row->stall_usec > 0)
                recorder_write_stall(area, stall);
        recorder_note_time(&area->ping_usec, row->ping_usec);
        recorder_note_time(&area->stall_over_usec, row->over_usec);
        g_free(stall);
}

static void test_row(gconstpointer data) {
        const Row *row = data;
        RecorderArea *area = area_new();
        RecorderState state = state_of(row->life), found;
        PreviousRun previous;
        char sentence[512];

        state.result = row->result;
        state.watchdog_usec = row->watchdog_usec;
        if (row->life != LIFE_STOPPED)
                g_strlcpy(state.reason, "not live: engine: told to be beyond help",
                          sizeof(state.reason));
        else
                state.reason[0] = '\0';
        recorder_write_state(area, &state);
        leave_traces(area, row);
        g_assert_true(recorder_read_state(area, &found));
        recorder_deduce(area, &found, &previous);

        g_assert_cmpstr(run_end_to_string(previous.end), ==, run_end_to_string(row->end));
        g_assert_cmpuint(previous.run, ==, 7);
        g_assert_cmpuint(previous.n_restarts, ==, row->end == RUN_END_STOPPED ? 2 : 3);
        g_assert_cmpint(previous.signal, ==, row->signal);
        g_assert_cmpuint(previous.lived_usec, >=, 1000000);
        g_assert_cmpuint(previous.seen_realtime_usec - previous.started_realtime_usec, ==,
                         previous.lived_usec);
        (void)previous_run_sentence(&previous, sentence, sizeof(sentence));
        if (!g_pattern_match_simple(row->sentence, sentence))
                g_error("'%s' is not '%s'", sentence, row->sentence);
        free(area);
}

/* What another run left in its places is not taken for this one's. */
static void test_of_another_run(void) {
        const Row row = { "", LIFE_RUNNING, 0, SIGSEGV, 1, 0, 9000000, 0, 6000000, 0, 0, 0, "" };
        RecorderState state = state_of(LIFE_RUNNING);
        RecorderArea *area = area_new();
        PreviousRun previous;

        leave_traces(area, &row);
        state.run = 8;
        recorder_write_state(area, &state);
        recorder_deduce(area, &state, &previous);
        g_assert_cmpint(previous.end, ==, RUN_END_KILLED);
        g_assert_cmpuint(previous.stalled_usec, ==, 0);
        g_assert_cmpstr(previous.stack, ==, "");
        free(area);
}

/* It fits into whatever it is given. */
static void test_sentence_sizes(void) {
        PreviousRun previous = {
                .end = RUN_END_CRASH,
                .signal = SIGBUS,
                .reason = "because of something long",
                .doing = "probe 'p'",
                .function = "f",
                .stalled_usec = 1234,
        };
        char sentence[128];

        for (gsize size = 1; size <= sizeof(sentence); size++) {
                memset(sentence, 'x', sizeof(sentence));
                (void)previous_run_sentence(&previous, sentence, size);
                g_assert_cmpuint(strlen(sentence), <, size);
        }
        g_assert_cmpstr(sentence, ==,
                        "it crashed (SIGBUS): because of something long, the event loop hung for "
                        "1ms in probe 'p' at f");
}

/* Where the abort met a loop that turned and had asked for it is nobody's concern; where one hung
 * that had asked before, is. */
static void test_place_of_a_trigger(void) {
        PreviousRun previous = { .end = RUN_END_TRIGGER, .reason = "not live", .function = "main" };
        char sentence[128];

        g_assert_cmpstr(previous_run_sentence(&previous, sentence, sizeof(sentence)), ==,
                        "it asked systemd to restart it: not live");
        previous.stalled_usec = 2000000;
        g_assert_cmpstr(previous_run_sentence(&previous, sentence, sizeof(sentence)), ==,
                        "it asked systemd to restart it: not live, the event loop hung for 2s at "
                        "main");
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
                char *path = g_strdup_printf("/core/recorder/deduce/%s", rows[i].name);

                g_test_add_data_func(path, &rows[i], test_row);
                g_free(path);
        }
        g_test_add_func("/core/recorder/deduce/of-another-run", test_of_another_run);
        g_test_add_func("/core/recorder/deduce/sentence-sizes", test_sentence_sizes);
        g_test_add_func("/core/recorder/deduce/place-of-a-trigger", test_place_of_a_trigger);
        return g_test_run();
}
