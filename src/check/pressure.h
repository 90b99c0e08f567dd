/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Pressure: the kernel says that we wait for memory
 *
 * From the best source there is: the file or socket that the service manager names
 * in $MEMORY_PRESSURE_WATCH (systemd 254, https://systemd.io/MEMORY_PRESSURE); a
 * trigger on the memory.pressure of our control group, where we may set one; its
 * averages, looked at whenever asked. Where there is nothing, there is none: it is
 * no reason not to start. What is assigned and makes no sense is not taken, and what
 * never stops to tell of pressure is heard four times in a window.
 */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

typedef enum PressureKind {
        PRESSURE_NONE,
        PRESSURE_ASSIGNED, /* by the manager */
        PRESSURE_TRIGGER,
        PRESSURE_AVERAGES,
        _PRESSURE_KIND_MAX,
} PressureKind;

typedef void (*pressure_handler_t)(void *userdata);

typedef struct PressureConfig {
        const char *watch; /* $MEMORY_PRESSURE_WATCH, or NULL */
        const char *write; /* $MEMORY_PRESSURE_WRITE, or NULL */
        const char *root;  /* before /proc and the mount points; "" but in tests */
} PressureConfig;

typedef struct Pressure {
        PressureKind kind;
        int fd;
        sd_event_source *source;
        pressure_handler_t handler;
        void *userdata;
        uint64_t n_events;
} Pressure;

#define PRESSURE_INIT                                                                              \
        { .fd = -EBADF }

/* Finds the best source. @handler is called on the loop, and may be late or come in vain. */
void pressure_init(Pressure *pressure,
                   sd_event *event,
                   int64_t priority,
                   const PressureConfig *config,
                   pressure_handler_t handler,
                   void *userdata);
void pressure_done(Pressure *pressure);

/* For averages: calls the handler if they are high. Does nothing for the others. */
void pressure_poll(Pressure *pressure);

const char *pressure_kind_to_string(PressureKind kind);
