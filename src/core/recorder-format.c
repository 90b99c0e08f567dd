/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/macro.h"
#include "base/names.h"
#include "core/recorder-format.h"

/* clang-format off */
static const char *const kind_names[] = {
        [RECORD_NONE]        = "none",
        [RECORD_START]       = "start",
        [RECORD_STOP]        = "stop",
        [RECORD_HEALTH]      = "health",
        [RECORD_PROBE]       = "probe",
        [RECORD_GATE]        = "gate",
        [RECORD_REMEDY]      = "remedy",
        [RECORD_WORKER]      = "worker",
        [RECORD_LINK]        = "link",
        [RECORD_LAG]         = "lag",
        [RECORD_STALL]       = "stall",
        [RECORD_GAP]         = "gap",
        [RECORD_MAINTENANCE] = "maintenance",
        [RECORD_FAULT]       = "fault",
        [RECORD_SKIPPED]     = "skipped",
};
/* clang-format on */

static_assert(ELEMENTSOF(kind_names) == _RECORDER_KIND_MAX, "a kind of entry lacks its name");

const char *recorder_kind_to_string(RecorderKind kind) {
        return name_table_to_string(kind_names, ELEMENTSOF(kind_names), (int)kind);
}

/* Word by word: it is taken of each entry, and of some 4 KiB when a loop hangs. Not zero for
 * zeros, so that memory that was never written is not whole. */
uint64_t recorder_checksum(const void *data, size_t n) {
        const unsigned char *bytes = data;
        uint64_t sum = UINT64_C(0x9e3779b97f4a7c15) ^ n;

        while (n > 0) {
                uint64_t word = 0;
                size_t part = MIN(n, sizeof(word));

                memcpy(&word, bytes, part);
                sum = (sum ^ word) * UINT64_C(0xff51afd7ed558ccd);
                sum ^= sum >> 32;
                bytes += part;
                n -= part;
        }

        return sum * UINT64_C(0xc4ceb9fe1a85ec53) ^ sum >> 29;
}

/* What was stored before is in memory before what is stored after it: the compiler may not mix
 * them, and what a processor has done is not undone by a signal. */
static void settle(void) {
        atomic_signal_fence(memory_order_seq_cst);
}

static void put(void *place, const void *data, size_t n) {
        settle();
        memcpy(place, data, n);
        settle();
}

void recorder_format(RecorderArea *area, const char *service, uint64_t realtime_usec) {
        RecorderHeader header = {
                .magic = RECORDER_MAGIC,
                .version = RECORDER_VERSION,
                .size = RECORDER_SIZE,
                .created_realtime_usec = realtime_usec,
        };

        assert(area);
        assert(service);

        (void)snprintf(header.service, sizeof(header.service), "%s", service);
        header.checksum = recorder_checksum(&header, offsetof(RecorderHeader, checksum));
        recorder_restore_end(area);
        put(&area->header, &header, sizeof(header));
}

void recorder_write_state(RecorderArea *area, RecorderState *state) {
        assert(area);
        assert(state);

        state->sequence++;
        state->checksum = recorder_checksum(state, offsetof(RecorderState, checksum));
        put(&area->states[state->sequence % ELEMENTSOF(area->states)], state, sizeof(*state));
}

void recorder_write_entry(RecorderArea *area, uint64_t *sequence, const RecorderEntry *entry) {
        RecorderEntry written;

        assert(area);
        assert(sequence);
        assert(entry);

        written = *entry;
        written.sequence = ++*sequence;
        written.checksum = (uint32_t)recorder_checksum(&written, offsetof(RecorderEntry, checksum));
        put(&area->entries[(written.sequence - 1) % RECORDER_ENTRIES_MAX], &written,
            sizeof(written));
}

void recorder_write_frames(RecorderFrames *place, const RecorderFrames *frames) {
        uint64_t checksum = recorder_checksum(frames, offsetof(RecorderFrames, checksum));

        put(place, frames, offsetof(RecorderFrames, checksum));
        place->checksum = checksum;
        settle();
}

void recorder_write_stall(RecorderArea *area, const RecorderStall *stall) {
        uint64_t checksum = recorder_checksum(stall, offsetof(RecorderStall, checksum));

        put(&area->stall, stall, offsetof(RecorderStall, checksum));
        area->stall.checksum = checksum;
        settle();
}

void recorder_write_modules(RecorderArea *area, const RecorderModules *modules) {
        uint64_t checksum = recorder_checksum(modules, offsetof(RecorderModules, checksum));

        put(&area->modules, modules, offsetof(RecorderModules, checksum));
        area->modules.checksum = checksum;
        settle();
}

#define TIME_MASK (UINT64_MAX >> 8)

static uint64_t time_with_check(uint64_t usec) {
        uint64_t check = 0;

        for (unsigned i = 0; i < 7; i++)
                check ^= usec >> 8 * i & 0xff;

        return usec | check << 56;
}

void recorder_note_time(_Atomic uint64_t *word, uint64_t usec) {
        assert(word);

        atomic_store(word, time_with_check(usec & TIME_MASK));
}

uint64_t recorder_read_time(const _Atomic uint64_t *word, uint64_t otherwise) {
        uint64_t value;

        assert(word);

        value = atomic_load(word);
        return value == time_with_check(value & TIME_MASK) ? value & TIME_MASK : otherwise;
}

static uint64_t restores_from_number(unsigned n) {
        return n | (uint64_t)~n << 32;
}

unsigned recorder_restore_begin(RecorderArea *area) {
        uint64_t word;
        unsigned n;

        assert(area);

        word = atomic_load(&area->restores);
        n = (unsigned)(word & UINT32_MAX);

        /* One that contradicts itself was not written by us. */
        if (word != restores_from_number(n) || n >= RECORDER_RESTORES_MAX)
                return RECORDER_RESTORES_MAX;

        atomic_store(&area->restores, restores_from_number(n + 1));
        return n;
}

void recorder_restore_end(RecorderArea *area) {
        assert(area);

        atomic_store(&area->restores, restores_from_number(0));
}
