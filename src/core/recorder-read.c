/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/macro.h"
#include "base/str.h"
#include "core/recorder-read.h"

/* No run gets this far; what does would wrap round. */
#define SEQUENCE_MAX (UINT64_MAX / 2)

/* Text that may be anything, not even terminated, in place. */
static void clean(char *text, size_t size) {
        char copy[STACK_TEXT_MAX];

        assert(size <= sizeof(copy));

        (void)str_sanitize_n(text, strnlen(text, size - 1), copy, size);
        memset(text, 0, size);
        memcpy(text, copy, strlen(copy));
}

/* The same for text of several lines. */
static void clean_lines(char *text, size_t size) {
        char copy[STACK_TEXT_MAX] = "";
        size_t n = 0;

        assert(size <= sizeof(copy));

        text[size - 1] = '\0';
        for (char *line = text, *end; *line && n + 2 < size; line = end) {
                end = line + strcspn(line, "\n");
                n += str_sanitize_n(line, (size_t)(end - line), copy + n, size - n - 1);
                copy[n++] = '\n';
                end += *end == '\n';
        }
        copy[n > 0 ? n - 1 : 0] = '\0';
        memcpy(text, copy, size);
}

static bool state_is_whole(const RecorderState *state, size_t place) {
        return state->checksum == recorder_checksum(state, offsetof(RecorderState, checksum)) &&
               state->sequence % 2 == place && state->sequence < SEQUENCE_MAX &&
               state->life < _RECORDER_LIFE_MAX && state->status <= HALE_FAIL;
}

/* The first state of a record is written right after its header; before, both are zero. */
static bool states_are_damaged(const RecorderArea *area) {
        bool written = false;

        for (size_t i = 0; i < ELEMENTSOF(area->states); i++) {
                if (state_is_whole(&area->states[i], i))
                        return false;
                written = written || area->states[i].sequence > 0 || area->states[i].checksum > 0;
        }

        return written;
}

int recorder_check(const RecorderArea *area, const char *service, const char **ret_word) {
        const RecorderHeader *header;

        assert(area);
        assert(service);
        assert(ret_word);

        header = &area->header;
        if (memcmp(header->magic, RECORDER_MAGIC, sizeof(header->magic)) != 0) {
                *ret_word = "magic";
                return -EBADMSG;
        }
        if (header->version != RECORDER_VERSION) {
                *ret_word = "version";
                return -EPROTONOSUPPORT;
        }
        if (header->checksum != recorder_checksum(header, offsetof(RecorderHeader, checksum)) ||
            header->size != RECORDER_SIZE) {
                *ret_word = "header";
                return -EBADMSG;
        }
        if (strncmp(header->service, service, sizeof(header->service)) != 0) {
                *ret_word = "service";
                return -EPROTONOSUPPORT;
        }
        if (states_are_damaged(area)) {
                *ret_word = "state";
                return -EBADMSG;
        }

        return 0;
}

bool recorder_read_state(const RecorderArea *area, RecorderState *ret) {
        const RecorderState *newest = NULL;

        assert(area);
        assert(ret);

        for (size_t i = 0; i < ELEMENTSOF(area->states); i++)
                if (state_is_whole(&area->states[i], i) &&
                    (!newest || area->states[i].sequence > newest->sequence))
                        newest = &area->states[i];
        if (!newest)
                return false;

        *ret = *newest;
        clean(ret->probe, sizeof(ret->probe));
        clean(ret->reason, sizeof(ret->reason));
        clean(ret->maintenance_reason, sizeof(ret->maintenance_reason));
        return true;
}

static bool entry_is_whole(const RecorderEntry *entry, size_t place) {
        return entry->checksum ==
                       (uint32_t)recorder_checksum(entry, offsetof(RecorderEntry, checksum)) &&
               entry->sequence > 0 && entry->sequence < SEQUENCE_MAX &&
               (entry->sequence - 1) % RECORDER_ENTRIES_MAX == place && entry->kind > RECORD_NONE &&
               entry->kind < _RECORDER_KIND_MAX && entry->from <= HALE_FAIL &&
               entry->to <= HALE_FAIL;
}

uint64_t recorder_last_sequence(const RecorderArea *area) {
        uint64_t last = 0;

        assert(area);

        for (size_t i = 0; i < RECORDER_ENTRIES_MAX; i++)
                if (entry_is_whole(&area->entries[i], i))
                        last = MAX(last, area->entries[i].sequence);

        return last;
}

unsigned recorder_read_entries(const RecorderArea *area,
                               RecorderEntry entries[static RECORDER_ENTRIES_MAX]) {
        uint64_t last = recorder_last_sequence(area);
        unsigned n = 0;

        /* Backwards from the last, round the ring. What is not of this round is left over from
         * before something that was torn, and out of its order. */
        for (uint64_t back = 0; back < MIN(last, RECORDER_ENTRIES_MAX); back++) {
                size_t place = (last - back - 1) % RECORDER_ENTRIES_MAX;
                const RecorderEntry *entry = &area->entries[place];

                if (!entry_is_whole(entry, place) || entry->sequence != last - back)
                        continue;

                entries[n] = *entry;
                clean(entries[n].name, sizeof(entries[n].name));
                clean(entries[n].text, sizeof(entries[n].text));
                n++;
        }

        return n;
}

bool recorder_read_frames(const RecorderFrames *place, uint32_t run, RecorderFrames *ret) {
        assert(place);
        assert(ret);

        if (place->checksum != recorder_checksum(place, offsetof(RecorderFrames, checksum)) ||
            place->run != run || place->n_frames > STACK_FRAMES_MAX)
                return false;

        *ret = *place;
        return true;
}

bool recorder_read_stall(const RecorderArea *area, uint32_t run, RecorderStall *ret) {
        const RecorderStall *stall;

        assert(area);
        assert(ret);

        stall = &area->stall;
        if (stall->checksum != recorder_checksum(stall, offsetof(RecorderStall, checksum)) ||
            stall->run != run ||
            stall->usec <= recorder_read_time(&area->stall_over_usec, USEC_NEVER))
                return false;

        *ret = *stall;
        clean(ret->doing, sizeof(ret->doing));
        clean(ret->function, sizeof(ret->function));
        clean_lines(ret->stack, sizeof(ret->stack));
        return true;
}

bool recorder_read_modules(const RecorderArea *area, uint32_t run, RecorderModules *ret) {
        const RecorderModules *modules;

        assert(area);
        assert(ret);

        modules = &area->modules;
        if (modules->checksum != recorder_checksum(modules, offsetof(RecorderModules, checksum)) ||
            modules->run != run || modules->n > MODULES_MAX)
                return false;

        *ret = *modules;
        for (size_t i = 0; i < ret->n; i++) {
                RecorderModule *module = &ret->modules[i];

                module->path[sizeof(module->path) - 1] = '\0';
                module->id_length = MIN(module->id_length, (uint32_t)sizeof(module->id));
        }
        return true;
}

uint64_t recorder_maintenance_left(const RecorderState *state,
                                   uint64_t boottime_usec,
                                   uint64_t realtime_usec) {
        uint64_t by_boottime, by_realtime;

        assert(state);

        if (!state->maintenance)
                return 0;
        if (state->maintenance_boottime_usec == USEC_NEVER)
                return USEC_NEVER;

        /* Since boot nobody turns that clock. After another boot (a restored machine) it says more
         * than is true, and the wall's clock less wrong. */
        by_boottime = usec_sub(state->maintenance_boottime_usec, boottime_usec);
        by_realtime = usec_sub(state->maintenance_realtime_usec, realtime_usec);
        return state->written_usec <= boottime_usec ? by_boottime : by_realtime;
}
