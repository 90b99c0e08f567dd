/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One byte of a record that is not what was stored, be it any: what is read is what was
 * once stored, or nothing. Never is it something else.
 */

#include <stdatomic.h>

#include "recorder-fixture.h"

#define N_ENTRIES 300 /* round the ring once */
#define SAMPLES 3000
#define PARTS_SIZE 4096

/* The parts that may be missing. */
enum {
        WITHOUT_NEW_STATE = 1,
        WITHOUT_SIGNAL = 2,
        WITHOUT_STALL = 4,
        WITHOUT_PING = 8,
        WITHOUTS = 16,
};

typedef struct World {
        RecorderArea *area;
        RecorderState states[2]; /* as written */
        RecorderEntry entries[N_ENTRIES + 1];
        PreviousRun previous[WITHOUTS];
} World;

static void world_fill(World *world) {
        RecorderFrames frames = { .usec = 5500000, .run = 7, .signal = 6, .n_frames = 2 };
        RecorderStall stall = { .usec = 5000000, .silent_usec = 900000, .run = 7 };
        guint64 sequence = 0;

        world->area = area_new();
        for (guint i = 0; i < G_N_ELEMENTS(world->states); i++) {
                world->states[i] = state_of(LIFE_RUNNING);
                world->states[i].written_usec += i * 1000000;
                world->states[i].sequence = i;
                recorder_write_state(world->area, &world->states[i]);
        }
        for (guint i = 1; i <= N_ENTRIES; i++) {
                world->entries[i] = entry_of(i, "db", "connection refused");
                recorder_write_entry(world->area, &sequence, &world->entries[i]);
        }
        recorder_write_frames(&world->area->fatal, &frames);
        g_strlcpy(stall.doing, "probe 'engine'", sizeof(stall.doing));
        recorder_write_stall(world->area, &stall);
        recorder_note_time(&world->area->ping_usec, 4000000);
        recorder_note_time(&world->area->stall_over_usec, 3000000);
}

/* What can be made of it when one part or the other is not whole. */
static void world_deduce(World *world) {
        RecorderArea *area = area_new();

        for (guint without = 0; without < WITHOUTS; without++) {
                RecorderState state;

                memcpy(area, world->area, sizeof(*area));
                if (without & WITHOUT_NEW_STATE)
                        area->states[world->states[1].sequence % 2].checksum ^= 1;
                if (without & WITHOUT_SIGNAL)
                        area->fatal.checksum ^= 1;
                if (without & WITHOUT_STALL)
                        area->stall.checksum ^= 1;
                if (without & WITHOUT_PING)
                        atomic_store(&area->ping_usec, 0);
                g_assert_true(recorder_read_state(area, &state));
                recorder_deduce(area, &state, &world->previous[without]);
        }
        free(area);
}

static gboolean was_written(const World *world, const RecorderEntry *found) {
        const RecorderEntry *entry;

        if (found->sequence < 1 || found->sequence > N_ENTRIES)
                return FALSE;

        entry = &world->entries[found->sequence];
        return entry->usec == found->usec && entry->kind == found->kind &&
               strcmp(entry->name, found->name) == 0 && strcmp(entry->text, found->text) == 0;
}

static gboolean was_deduced(const World *world, const PreviousRun *found) {
        for (guint i = 0; i < WITHOUTS; i++)
                if (memcmp(&world->previous[i], found, sizeof(*found)) == 0)
                        return TRUE;

        return FALSE;
}

static void look(const World *world, gsize place) {
        static RecorderEntry entries[RECORDER_ENTRIES_MAX];
        const char *word = NULL;
        PreviousRun previous;
        RecorderState state;
        guint n;

        if (recorder_check(world->area, SERVICE, &word) < 0) {
                g_assert_nonnull(word);
                return;
        }

        g_assert_true(recorder_read_state(world->area, &state));
        if (state.written_usec != world->states[0].written_usec)
                g_assert_cmpuint(state.written_usec, ==, world->states[1].written_usec);
        g_assert_cmpstr(state.reason, ==, world->states[0].reason);

        n = recorder_read_entries(world->area, entries);
        g_assert_cmpuint(n, >=, RECORDER_ENTRIES_MAX - 1);
        for (guint i = 0; i < n; i++)
                g_assert_true(was_written(world, &entries[i]));

        recorder_deduce(world->area, &state, &previous);
        if (!was_deduced(world, &previous))
                g_error("byte %zu makes something of it that was never so", place);
}

static void flip(World *world, gsize place) {
        guint8 *byte = (guint8 *)world->area + place, was = *byte;

        *byte ^= (guint8)(1U << g_test_rand_int_range(0, 8));
        look(world, place);
        *byte = (guint8)g_test_rand_int();
        look(world, place);
        *byte = was;
}

static void test_flip(void) {
        World *world = g_new0(World, 1);

        world_fill(world);
        world_deduce(world);
        look(world, 0);
        for (gsize place = 0; place < PARTS_SIZE; place++)
                flip(world, place);
        for (guint i = 0; i < SAMPLES; i++)
                flip(world, (gsize)g_test_rand_int_range(PARTS_SIZE, RECORDER_SIZE));
        free(world->area);
        g_free(world);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/core/recorder/flip", test_flip);
        return g_test_run();
}
