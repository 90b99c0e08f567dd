/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Calls
 *
 * Method calls that wait for leave, or for what they have asked for, and the errors
 * that they are answered with. bus-call.c keeps them; a method begins one, and says
 * what to do when its caller has turned out to be one who may.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

#include "base/limits.h"
#include "report/bus.h"

#define ERROR_NO_SUCH_PROBE "org.hale.Error.NoSuchProbe"
#define ERROR_NO_SUCH_WORKER "org.hale.Error.NoSuchWorker"
#define ERROR_NO_SUCH_LINK "org.hale.Error.NoSuchLink"
#define ERROR_PROBE_BUSY "org.hale.Error.ProbeBusy"
#define ERROR_NOT_RUNNING "org.hale.Error.NotRunning"
#define ERROR_INVALID_FORMAT "org.hale.Error.InvalidFormat"
#define ERROR_TOO_MANY_CALLS "org.hale.Error.TooManyCalls"
#define ERROR_FAULTS_NOT_ALLOWED "org.hale.Error.FaultsNotAllowed"
#define ERROR_NO_SUCH_FAULT "org.hale.Error.NoSuchFault"
#define ERROR_NO_SUCH_TARGET "org.hale.Error.NoSuchTarget"

/* What calls need leave for; each is a polkit action. */
typedef enum BusAction {
        ACTION_RUN_PROBE,
        ACTION_SET_MAINTENANCE,
        ACTION_SET_LOG,
        ACTION_RESTART_WORKER,
        ACTION_REOPEN_LINK,
        ACTION_INJECT_FAULT, /* polkit is not asked */
        _ACTION_MAX,
} BusAction;

typedef struct BusCall BusCall;

/*
 * Does what the caller was given leave for. Returns 0 (done: an empty reply), 1
 * (the call waits on; or was answered), or a negative errno with @error for the
 * caller. May find the Bus dead when it comes back from the source.
 */
typedef int (*BusPerform)(BusCall *call, sd_bus_error *error);

/* A method call that is not answered yet. */
struct BusCall {
        TAILQ_ENTRY(BusCall) link;
        Bus *bus;
        sd_bus_message *message;
        sd_bus_slot *slot; /* of what we ask the bus or polkit */
        BusAction action;
        BusPerform perform;
        uid_t uid;
        bool at_polkit;
        bool running;                    /* waits for the end of a run of @probe */
        uint64_t deadline_usec;          /* of the run */
        char probe[NAME_LENGTH_MAX + 1]; /* or worker, or link: they are probes of their names */
};

TAILQ_HEAD(BusCalls, BusCall);

/* Keeps a method call, finds out who calls and whether that may be, then performs it. Returns
 * what the method returns: 1, or a negative errno with @error. */
int bus_call_begin(Bus *bus,
                   sd_bus_message *message,
                   BusAction action,
                   const char *probe,
                   BusPerform perform,
                   sd_bus_error *error);

/* The method RunProbe() and Run(), with leave. */
int bus_call_run_probe(BusCall *call, sd_bus_error *error);

/* Answers all calls with @name and @text, and those of one probe only if @probe is not NULL. */
void bus_calls_fail(Bus *bus, const char *probe, const char *name, const char *text);
void bus_calls_drop(Bus *bus);
