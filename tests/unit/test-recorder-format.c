/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The record: what is written is read; what is torn, old, foreign or random is
 * refused or skipped, and never read as something else.
 */

#include <errno.h>

#include "recorder-fixture.h"

static const char *check_word(const RecorderArea *area, int expected) {
        const char *word = NULL;

        g_assert_cmpint(recorder_check(area, SERVICE, &word), ==, expected);
        return word;
}

static void test_empty_memory(void) {
        RecorderArea *area = area_new();
        RecorderEntry entries[RECORDER_ENTRIES_MAX];
        RecorderState state;

        g_assert_null(check_word(area, 0));
        g_assert_false(recorder_read_state(area, &state));
        g_assert_cmpuint(recorder_read_entries(area, entries), ==, 0);
        g_assert_cmpuint(recorder_last_sequence(area), ==, 0);

        /* Never formatted: killed between the making and the first word. */
        memset(area, 0, sizeof(*area));
        g_assert_cmpstr(check_word(area, -EBADMSG), ==, "magic");
        g_assert_cmpuint(recorder_read_entries(area, entries), ==, 0);
        free(area);
}

static void test_foreign(void) {
        RecorderArea *area = area_new();
        const char *word = NULL;

        area->header.version = 2;
        g_assert_cmpstr(check_word(area, -EPROTONOSUPPORT), ==, "version");
        recorder_format(area, "other", 1);
        g_assert_cmpstr(check_word(area, -EPROTONOSUPPORT), ==, "service");
        g_assert_cmpint(recorder_check(area, "other", &word), ==, 0);
        free(area);
}

/* No bit of the header can be another and go unnoticed. */
static void test_header_bits(void) {
        RecorderArea *area = area_new();

        for (gsize i = 0; i < 8 * sizeof(area->header); i++) {
                guchar *byte = (guchar *)&area->header + i / 8;
                const char *word = NULL;

                *byte ^= (guchar)(1 << i % 8);
                g_assert_cmpint(recorder_check(area, SERVICE, &word), <, 0);
                g_assert_nonnull(word);
                *byte ^= (guchar)(1 << i % 8);
        }
        g_assert_null(check_word(area, 0));
        free(area);
}

static void test_state_in_turn(void) {
        RecorderState state = state_of(LIFE_RUNNING), found;
        RecorderArea *area = area_new();

        recorder_write_state(area, &state);
        state.run = 8;
        recorder_write_state(area, &state);
        g_assert_true(recorder_read_state(area, &found));
        g_assert_cmpuint(found.run, ==, 8);
        g_assert_cmpmem(&found.reason, sizeof(found.reason), &state.reason, sizeof(state.reason));

        /* The third is torn somewhere: the second counts. */
        state.run = 9;
        recorder_write_state(area, &state);
        for (gsize i = 0; i < sizeof(state); i++) {
                guchar *byte = (guchar *)&area->states[state.sequence % 2] + i;

                *byte ^= 0x40;
                g_assert_true(recorder_read_state(area, &found));
                g_assert_cmpuint(found.run, ==, 8);
                *byte ^= 0x40;
        }
        g_assert_true(recorder_read_state(area, &found));
        g_assert_cmpuint(found.run, ==, 9);
        free(area);
}

static void test_ring(void) {
        RecorderEntry entries[RECORDER_ENTRIES_MAX];
        RecorderArea *area = area_new();
        guint64 sequence = 0;
        guint n;

        for (guint i = 1; i <= 1000; i++) {
                RecorderEntry entry = entry_of(i, "db", "connection refused");

                recorder_write_entry(area, &sequence, &entry);
                n = recorder_read_entries(area, entries);
                g_assert_cmpuint(n, ==, MIN(i, RECORDER_ENTRIES_MAX));
                g_assert_cmpuint(entries[0].usec, ==, i);
                g_assert_cmpuint(entries[n - 1].usec, ==, i - n + 1);
        }
        g_assert_cmpstr(entries[0].text, ==, "connection refused");
        g_assert_cmpstr(entries[0].name, ==, "db");
        g_assert_cmpuint(recorder_last_sequence(area), ==, 1000);
        free(area);
}

/* One torn entry is missing, and no other; the next is written over it. */
static void test_torn_entry(void) {
        RecorderEntry entries[RECORDER_ENTRIES_MAX], entry = entry_of(1, "a", "b");
        RecorderArea *area = area_new();
        guint64 sequence = 0;

        for (guint i = 0; i < 10; i++)
                recorder_write_entry(area, &sequence, &entry);
        for (gsize i = 0; i < sizeof(entry); i++) {
                guchar *byte = (guchar *)&area->entries[4] + i;

                *byte ^= 0x01;
                g_assert_cmpuint(recorder_read_entries(area, entries), ==, 9);
                g_assert_cmpuint(entries[5].sequence, ==, 4);
                *byte ^= 0x01;
        }

        memset(&area->entries[9], 0xff, sizeof(entry) / 2);
        g_assert_cmpuint(recorder_last_sequence(area), ==, 9);
        sequence = recorder_last_sequence(area);
        recorder_write_entry(area, &sequence, &entry);
        g_assert_cmpuint(recorder_read_entries(area, entries), ==, 10);
        free(area);
}

/* Written by somebody who can compute a checksum, but not by us. */
static void test_hostile(void) {
        RecorderEntry entries[RECORDER_ENTRIES_MAX], entry = entry_of(1, "", "");
        RecorderState state = state_of(LIFE_RUNNING), found;
        RecorderArea *area = area_new();
        guint64 sequence = 0;

        memset(entry.name, 'n', sizeof(entry.name));
        memcpy(entry.text, "\x1b[31m\nWATCHDOG=trigger\xff", 23);
        recorder_write_entry(area, &sequence, &entry);
        g_assert_cmpuint(recorder_read_entries(area, entries), ==, 1);
        g_assert_cmpuint(strlen(entries[0].name), <, sizeof(entry.name));
        g_assert_cmpstr(entries[0].text, ==, " [31m WATCHDOG=trigger\xef\xbf\xbd");

        /* Sequences near the end of the numbers would make the next one 0. */
        sequence = UINT64_MAX - RECORDER_ENTRIES_MAX;
        recorder_write_entry(area, &sequence, &entry);
        g_assert_cmpuint(recorder_last_sequence(area), ==, 1);

        entry.kind = _RECORDER_KIND_MAX;
        sequence = 1;
        recorder_write_entry(area, &sequence, &entry);
        entry.kind = RECORD_PROBE;
        entry.to = 17;
        recorder_write_entry(area, &sequence, &entry);
        g_assert_cmpuint(recorder_read_entries(area, entries), ==, 1);

        memset(state.reason, 0x0a, sizeof(state.reason));
        recorder_write_state(area, &state);
        g_assert_true(recorder_read_state(area, &found));
        g_assert_cmpuint(strlen(found.reason), <, sizeof(found.reason));
        g_assert_null(strchr(found.reason, '\n'));
        state.life = 99;
        recorder_write_state(area, &state);
        g_assert_true(recorder_read_state(area, &found));
        g_assert_cmpuint(found.life, ==, LIFE_RUNNING);
        free(area);
}

static void test_restores(void) {
        RecorderArea *area = area_new();

        for (guint i = 0; i < 3; i++) {
                g_assert_cmpuint(recorder_restore_begin(area), ==, 0);
                recorder_restore_end(area);
        }
        for (guint i = 0; i < RECORDER_RESTORES_MAX; i++)
                g_assert_cmpuint(recorder_restore_begin(area), ==, i);
        g_assert_cmpuint(recorder_restore_begin(area), ==, RECORDER_RESTORES_MAX);
        g_assert_cmpuint(recorder_restore_begin(area), ==, RECORDER_RESTORES_MAX);

        area->restores = 1; /* without its complement */
        g_assert_cmpuint(recorder_restore_begin(area), ==, RECORDER_RESTORES_MAX);
        free(area);
}

static void test_maintenance_left(void) {
        RecorderState state = state_of(LIFE_RUNNING);

        g_assert_cmpuint(recorder_maintenance_left(&state, 5000000, 0), ==, 0);
        state.maintenance = 1;
        state.maintenance_boottime_usec = 60000000;
        state.maintenance_realtime_usec = 1700000060000000;
        g_assert_cmpuint(recorder_maintenance_left(&state, 10000000, 1), ==, 50000000);
        g_assert_cmpuint(recorder_maintenance_left(&state, 60000000, 1), ==, 0);
        g_assert_cmpuint(recorder_maintenance_left(&state, 90000000, 1), ==, 0);

        /* Booted since: what was written is in the future of that clock. */
        g_assert_cmpuint(recorder_maintenance_left(&state, 1000000, 1700000050000000), ==,
                         10000000);
        state.maintenance_boottime_usec = UINT64_MAX;
        g_assert_cmpuint(recorder_maintenance_left(&state, 90000000, 1), ==, UINT64_MAX);
}

/* Random histories, with random tears: what is read is what a plain list remembers. */
static void test_walk(void) {
        RecorderEntry entries[RECORDER_ENTRIES_MAX];

        for (guint round = 0; round < 200; round++) {
                RecorderArea *area = area_new();
                RecorderState state = state_of(LIFE_RUNNING), found;
                gboolean torn[RECORDER_ENTRIES_MAX] = { FALSE };
                guint64 sequence = 0;
                guint n_whole = 0, n;

                for (gint i = g_test_rand_int_range(1, 700); i > 0; i--) {
                        RecorderEntry entry = entry_of(sequence + 1, "p", "q");

                        recorder_write_entry(area, &sequence, &entry);
                        torn[(sequence - 1) % RECORDER_ENTRIES_MAX] = FALSE;
                        state.lag_max_usec = sequence;
                        recorder_write_state(area, &state);
                }
                for (gint i = g_test_rand_int_range(0, 20); i > 0; i--) {
                        gint place = g_test_rand_int_range(0, RECORDER_ENTRIES_MAX);
                        gint byte = g_test_rand_int_range(0, sizeof(RecorderEntry));

                        torn[place] = TRUE;
                        ((guchar *)&area->entries[place])[byte] ^= 0x10;
                        torn[place] = memcmp(&area->entries[place], &(RecorderEntry){},
                                             sizeof(RecorderEntry)) != 0;
                }

                n = recorder_read_entries(area, entries);
                for (guint i = 0; i < n; i++) {
                        guint place = (guint)((entries[i].sequence - 1) % RECORDER_ENTRIES_MAX);

                        g_assert_cmpuint(entries[i].usec, ==, entries[i].sequence);
                        g_assert_true(i == 0 || entries[i].sequence < entries[i - 1].sequence);
                        n_whole += !torn[place];
                }
                for (guint i = 0; i < MIN(sequence, RECORDER_ENTRIES_MAX); i++)
                        n_whole -= !torn[i];

                /* Two hits of one bit undo each other: then it is read though it was hit. */
                g_assert_cmpint((gint)n_whole, ==, 0);
                g_assert_true(recorder_read_state(area, &found));
                g_assert_cmpuint(found.lag_max_usec, ==, sequence);
                free(area);
        }
}

/* Random bytes, and records with random bytes in them: read without a fault, and clean. */
static void test_random(void) {
        RecorderArea *area = area_new();
        RecorderEntry entries[RECORDER_ENTRIES_MAX];

        for (guint round = 0; round < 300; round++) {
                guint32 *words = (guint32 *)area;
                RecorderState state = state_of(LIFE_RUNNING);
                RecorderModules *modules = g_new(RecorderModules, 1);
                RecorderStall *stall = g_new(RecorderStall, 1);
                PreviousRun previous;
                RecorderFrames frames;
                const char *word;
                char sentence[256];

                for (gsize i = 0; i < sizeof(*area) / 4; i++)
                        words[i] = (guint32)g_test_rand_int();
                if (round % 2 == 0)
                        recorder_format(area, SERVICE, 1);
                g_assert_cmpint(recorder_check(area, SERVICE, &word), ==, -EBADMSG);
                g_assert_cmpstr(word, ==, round % 2 == 0 ? "state" : "magic");
                g_assert_false(recorder_read_state(area, &state));
                g_assert_cmpuint(recorder_read_entries(area, entries), ==, 0);
                g_assert_false(recorder_read_frames(&area->fatal, 7, &frames));
                g_assert_false(recorder_read_stall(area, 7, stall));
                g_assert_false(recorder_read_modules(area, 7, modules));
                recorder_deduce(area, &state, &previous);
                (void)previous_run_sentence(&previous, sentence, sizeof(sentence));
                g_assert_true(g_utf8_validate(sentence, -1, NULL));
                g_free(modules);
                g_free(stall);
        }
        free(area);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/core/recorder/empty-memory", test_empty_memory);
        g_test_add_func("/core/recorder/foreign", test_foreign);
        g_test_add_func("/core/recorder/header-bits", test_header_bits);
        g_test_add_func("/core/recorder/state-in-turn", test_state_in_turn);
        g_test_add_func("/core/recorder/ring", test_ring);
        g_test_add_func("/core/recorder/torn-entry", test_torn_entry);
        g_test_add_func("/core/recorder/hostile", test_hostile);
        g_test_add_func("/core/recorder/restores", test_restores);
        g_test_add_func("/core/recorder/maintenance-left", test_maintenance_left);
        g_test_add_func("/core/recorder/walk", test_walk);
        g_test_add_func("/core/recorder/random", test_random);
        return g_test_run();
}
