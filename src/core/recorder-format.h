/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Recorder Format
 *
 * How the flight recorder lies in memory. A process that writes to it may be killed
 * at any instruction, and what is left must still be readable:
 *
 *   header    written once, before anything else
 *   states    two slots that are written in turn; the newer one that is whole counts
 *   entries   a ring; one that was being written is skipped, all others stay
 *   the rest  parts with one writer each (the ping, the stall, the fatal signal), so
 *             that a thread or a signal handler never waits for another
 *
 * Every part has a checksum of its own, or is one word that is stored at once and checks
 * itself. The record comes back from systemd, so a reader copies it, believes nothing, and
 * gives out clean text only. It never leaves the machine: numbers have the order of its bytes.
 *
 * recorder-read.h is the reading. Nothing here allocates, locks or looks at a clock, and what is
 * marked so may be called in a signal handler.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/macro.h"
#include "hale/health.h"

#define RECORDER_MAGIC "HALEREC"
#define RECORDER_VERSION 1

/* A record whose restoring crashed so often is dropped. */
#define RECORDER_RESTORES_MAX 2

/* What an entry tells. The numbers are part of the format. */
typedef enum RecorderKind {
        RECORD_NONE,
        RECORD_START, /* of a run; @text: how the one before ended */
        RECORD_STOP,
        RECORD_HEALTH, /* of the whole; @from and @to are statuses */
        RECORD_PROBE,  /* @name; @from and @to are statuses */
        RECORD_GATE,
        RECORD_REMEDY,
        RECORD_WORKER,
        RECORD_LINK,
        RECORD_LAG,   /* @value: how long the loop was held up; a new maximum */
        RECORD_STALL, /* @value: how long the loop hung; @text: in what */
        RECORD_GAP,   /* @value: how long nothing ran */
        RECORD_MAINTENANCE,
        RECORD_FAULT,   /* injected on purpose */
        RECORD_SKIPPED, /* @value: changes of the kind @name that were too many to record */
        _RECORDER_KIND_MAX,
} RecorderKind;

/* Where in its life the process was when it wrote last. Part of the format. */
typedef enum RecorderLife {
        LIFE_STARTING,
        LIFE_RUNNING,
        LIFE_WITHHELD,  /* lost `live`; remedies have their time */
        LIFE_TRIGGERED, /* has asked systemd to act */
        LIFE_GIVEN_UP,  /* nobody acted: ends itself */
        LIFE_STOPPING,
        LIFE_STOPPED, /* the mark of an end that was meant */
        _RECORDER_LIFE_MAX,
} RecorderLife;

/* 192 bytes. */
typedef struct RecorderEntry {
        uint64_t sequence; /* from 1; it also says which place in the ring is its own */
        uint64_t usec;     /* CLOCK_MONOTONIC */
        uint64_t realtime_usec;
        uint64_t value;
        uint32_t run;
        uint16_t kind;
        uint8_t from, to; /* hale_status */
        char name[NAME_LENGTH_MAX + 1];
        char text[RECORDER_TEXT_MAX];
        uint32_t checksum;
} RecorderEntry;

typedef struct RecorderState {
        uint64_t sequence;
        uint32_t run;        /* from 1 */
        uint32_t n_restarts; /* ends that were not meant, so far */
        uint32_t life;       /* RecorderLife */
        uint32_t status;     /* hale_status */
        int32_t pid;
        int32_t result; /* of hale_service_run(), once stopped */
        uint64_t started_usec, started_realtime_usec;
        uint64_t written_usec, written_realtime_usec;
        uint64_t watchdog_usec;
        uint64_t lag_max_usec;
        uint64_t maintenance_boottime_usec; /* when it ends, CLOCK_BOOTTIME; USEC_NEVER: is ended */
        uint64_t maintenance_realtime_usec; /* the same on CLOCK_REALTIME */
        uint32_t maintenance;
        uint32_t reserved;
        char probe[NAME_LENGTH_MAX + 1]; /* the one that closed the gate */
        char reason[OUTPUT_LENGTH_MAX];  /* the last: of the gate, or of the status */
        char maintenance_reason[OUTPUT_LENGTH_MAX];
        uint64_t checksum;
} RecorderState;

/* Addresses, as a signal handler can take them. */
typedef struct RecorderFrames {
        uint64_t usec;
        uint32_t run;
        int32_t signal;
        int32_t code;   /* si_code */
        int32_t sender; /* process, for the codes that have one */
        uint32_t n_frames;
        uint32_t exact; /* the first is the instruction itself, not where a call returns to */
        uint64_t frames[STACK_FRAMES_MAX];
        uint64_t checksum;
} RecorderFrames;

/* What the helper thread saw of a stall. */
typedef struct RecorderStall {
        uint64_t usec; /* when it was seen */
        uint64_t silent_usec;
        uint32_t run;
        uint32_t reserved;
        char doing[2 * (NAME_LENGTH_MAX + 1)]; /* "probe 'engine'"; "": the program's own */
        char function[FUNCTION_LENGTH_MAX];    /* "" if not known */
        char stack[STACK_TEXT_MAX];            /* lines */
        uint64_t checksum;
} RecorderStall;

/* A file that code was loaded from. */
typedef struct RecorderModule {
        uint64_t base;       /* what to take off an address for the one in the file */
        uint64_t start, end; /* of its code and data */
        uint8_t id[20];      /* its build id, or what else it is known by */
        uint32_t id_length;
        char path[MODULE_PATH_MAX];
} RecorderModule;

typedef struct RecorderModules {
        uint32_t run, n;
        RecorderModule modules[MODULES_MAX];
        uint64_t checksum;
} RecorderModules;

typedef struct RecorderHeader {
        char magic[8];
        uint32_t version;
        uint32_t size;
        uint64_t created_realtime_usec;
        char service[NAME_LENGTH_MAX + 1];
        uint64_t checksum;
} RecorderHeader;

/* The whole. Parts begin where they do for ever; what is between them is zero. */
typedef struct RecorderArea {
        RecorderHeader header;
        _Alignas(256) _Atomic uint64_t restores; /* the number, and its complement above it */
        _Atomic uint64_t ping_usec;              /* the last, CLOCK_MONOTONIC; see _note_time() */
        _Atomic uint64_t stall_over_usec;        /* when the loop turned again */
        _Alignas(512) RecorderState states[2];
        _Alignas(512) RecorderFrames fatal; /* of the signal that ended it */
        _Alignas(512) RecorderFrames hung;  /* of the stalled loop */
        _Alignas(512) RecorderStall stall;
        _Alignas(512) RecorderModules modules;
        _Alignas(4096) RecorderEntry entries[RECORDER_ENTRIES_MAX];
} RecorderArea;

static_assert(sizeof(RecorderEntry) == 192, "the format of entries is fixed");
static_assert(sizeof(RecorderArea) == RECORDER_SIZE, "the size of the record is fixed");
static_assert(offsetof(RecorderArea, entries) == 16384, "the ring has its place");

/* A number that changes with each bit of the data. May be called in a signal handler. */
uint64_t recorder_checksum(const void *data, size_t n);

/* Makes an empty record in memory that is zero. */
void recorder_format(RecorderArea *area, const char *service, uint64_t realtime_usec);

/* Write the state, and an entry. The caller keeps both and sets all but sequence and checksum;
 * *@sequence is that of the last one written. One thread only. */
void recorder_write_state(RecorderArea *area, RecorderState *state);
void recorder_write_entry(RecorderArea *area, uint64_t *sequence, const RecorderEntry *entry);

/* May be called in a signal handler, and by the one writer of each part in any thread. */
void recorder_write_frames(RecorderFrames *place, const RecorderFrames *frames);
void recorder_write_stall(RecorderArea *area, const RecorderStall *stall);
void recorder_write_modules(RecorderArea *area, const RecorderModules *modules);

/* A time in one word, stored at once: seven bytes, and one that checks them. If they are not as
 * they were, reading gives @otherwise. */
void recorder_note_time(_Atomic uint64_t *word, uint64_t usec);
uint64_t recorder_read_time(const _Atomic uint64_t *word, uint64_t otherwise);

/* Brackets restoring. _begin() returns how often it was begun and did not end before; at
 * RECORDER_RESTORES_MAX the record is to be dropped. */
unsigned recorder_restore_begin(RecorderArea *area);
void recorder_restore_end(RecorderArea *area);

/* "probe", "gate", ...; NULL for a value that is none. */
const char *recorder_kind_to_string(RecorderKind kind);
