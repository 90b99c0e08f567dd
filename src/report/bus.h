/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Bus
 *
 * Shows the health on D-Bus: org.hale.Health1 at /org/hale/Health1, a probe below
 * it for each HealthProbe, org.freedesktop.LogControl1. dbus/ has the contract.
 * What to show, and what to do when asked, comes from a BusSource, so that this
 * module need not know the service that it speaks for.
 *
 * The bus is optional. Nothing here ever waits for it: a bus that is absent, lost,
 * hung or unwilling to give us our name is told once through on_state(), and tried
 * again for as long as the Bus lives. Messages that it does not take are bounded.
 *
 * Callbacks of the source may free the Bus, but for health(), find_probe() and
 * the other questions, which only answer. In a forked child calls do nothing.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/str.h"
#include "core/health.h"
#include "core/recorder-read.h"

struct sd_event;

typedef struct Bus Bus;

typedef enum BusState {
        BUS_ABSENT,        /* nothing to connect to, or it does not answer; told once */
        BUS_UP,            /* connected; the name is asked for */
        BUS_LOST,          /* was up; connecting anew */
        BUS_NAME_ACQUIRED, /* we can be found */
        BUS_NAME_DENIED,   /* -EEXIST: another has it, we are next; else the policy; told once */
        BUS_NAME_LOST,     /* taken from us; asking again */
        _BUS_STATE_MAX,
} BusState;

/* For log lines: "absent", "up", ... */
const char *bus_state_to_string(BusState state);

typedef struct BusWatchdog {
        uint64_t watchdog_usec; /* 0: no watchdog */
        const char *gate;       /* gate_state_to_string() */
        uint64_t n_pings;
        uint64_t last_ping_usec; /* CLOCK_MONOTONIC; 0: none yet */
} BusWatchdog;

/* A worker, as it is shown. The strings are the source's, and stay while it is looked at. */
typedef struct BusWorker {
        const char *name;
        const char *kind;    /* "process", "thread" */
        const char *restart; /* "permanent", "transient", "temporary" */
        const char *group;   /* "": in none */
        const char *state;   /* hale_worker_state_to_string() */
        const char *exit_text;
        int spare; /* a bool of D-Bus */
        uint32_t pid;
        uint64_t n_restarts, heartbeat_usec, stop_usec;
} BusWorker;

/* A link. As a worker. */
typedef struct BusLink {
        const char *name;
        const char *kind;    /* "kept", or "told": the program connects by itself, and says so */
        const char *state;   /* hale_link_state_to_string() */
        const char *breaker; /* link_breaker_to_string() */
        const char *reason;  /* why it is down; "" if it is up */
        int up;              /* a bool of D-Bus */
        uint32_t generation, n_failures;
        uint64_t since_usec; /* CLOCK_MONOTONIC: when @state began; 0: never yet */
        uint64_t n_attempts, n_ups, n_losses, n_late;
        uint64_t connect_usec, check_interval_usec, check_timeout_usec;
        uint64_t backoff_min_usec, backoff_max_usec;
} BusLink;

typedef struct BusSource {
        /* Questions. */
        const Health *(*health)(void *data);
        const HealthProbe *(*find_probe)(void *data, const char *name);
        void (*watchdog)(void *data, BusWatchdog *ret);

        /* How the run before this one ended, with a sentence; NULL: not known. May be NULL. */
        const PreviousRun *(*previous_run)(void *data, const char **ret_sentence);

        /* Writes the report called @format; -EINVAL if there is none of that name. */
        int (*report)(void *data, const char *format, Text *text);
        const char *report_formats; /* "health+json, text": for the error */

        /* As of syslog(3), and a word: "journal", "console", "auto". The setters may be NULL. */
        int (*get_log_level)(void *data);
        const char *(*get_log_target)(void *data);
        int (*set_log_level)(void *data, int level);
        int (*set_log_target)(void *data, const char *target); /* -EINVAL: no such target */

        /*
         * Starts a run, whose end bus_probe_finished() tells. Returns 0, -ENOENT,
         * -EINPROGRESS (is being asked), -EOPNOTSUPP (pushed), -ESTALE (not asked
         * in this phase).
         */
        int (*run_probe)(void *data, const char *name);

        /* @usec 0 ends it, UINT64_MAX is until ended. @reason is clean, one line. */
        int (*set_maintenance)(void *data, uint64_t usec, const char *reason, uid_t uid);

        /* Workers: how many, the name of each, and all about one. All NULL, or none.
         * restart_worker() returns 0, -ENOENT, or -ESTALE: not running, or a thread that hangs. */
        unsigned (*n_workers)(void *data);
        const char *(*worker_name)(void *data, unsigned index);
        bool (*find_worker)(void *data, const char *name, BusWorker *ret);
        int (*restart_worker)(void *data, const char *name, uid_t uid);

        /* Links, likewise. reopen_link() returns 0, -ENOENT, -EOPNOTSUPP (the program connects
         * it), -EINPROGRESS (on its way already), -ESTALE (does not run). */
        unsigned (*n_links)(void *data);
        const char *(*link_name)(void *data, unsigned index);
        bool (*find_link)(void *data, const char *name, BusLink *ret);
        int (*reopen_link)(void *data, const char *name, uid_t uid);

        /* Returns 0, or as hale_service_inject_fault(). Strings as they came. */
        int (*inject_fault)(void *data,
                            const char *kind,
                            const char *target,
                            uint64_t usec,
                            uid_t uid);

        /* @error is a negative errno, or 0. */
        void (*on_state)(void *data, BusState state, int error);
} BusSource;

/* The strings belong to the caller and outlive the Bus. Only @service is needed. */
typedef struct BusConfig {
        const char *service;
        const char *version, *unit, *invocation_id;
        const char *name;    /* to be owned; NULL: reachable by unique name only */
        const char *address; /* NULL: the system's bus, or the user's */
        bool user;           /* the user's bus: no polkit there */
        uint64_t seed;       /* of the jitter in waiting */
} BusConfig;

/* Reads $DBUS_SYSTEM_BUS_ADDRESS and its like once, here. Returns 0, -EINVAL (bad name), -ENOMEM.
 */
int bus_new(Bus **ret,
            struct sd_event *event,
            int64_t priority,
            const BusConfig *config,
            const BusSource *source,
            void *data);

/* Closes without waiting. Takes NULL, returns NULL. Safe in every callback. */
Bus *bus_free(Bus *bus);
void bus_freep(Bus **bus);

/* Begins to connect; what becomes of it on_state() tells. Returns 0, -EALREADY, -ECHILD, -ENOMEM.
 */
int bus_start(Bus *bus);

/* Tells what is left to tell, answers those who wait, and disconnects, without waiting. */
void bus_stop(Bus *bus);

/* Is our name ours (or, without a name, are we connected)? Only then is anything told. */
bool bus_is_up(const Bus *bus);

/* Status, phase, gates, maintenance or the watchdog's gate may have changed: tells what has. */
void bus_health_changed(Bus *bus);

/* The verdict of @probe was @from. */
void bus_probe_changed(Bus *bus, const HealthProbe *probe, hale_status from);

/* A run of @probe has ended and its state is up to date: answers those who asked for it. */
void bus_probe_finished(Bus *bus, const HealthProbe *probe);

/* State, process, restarts or last exit of the worker have changed. */
void bus_worker_changed(Bus *bus, const char *name);

/* State, reason, generation or attempts of the link have changed; and after it was added. */
void bus_link_changed(Bus *bus, const char *name);
void bus_link_added(Bus *bus, const char *name);

/* After @probe was added, and before it is taken out. */
void bus_probe_added(Bus *bus, const HealthProbe *probe);
void bus_probe_removed(Bus *bus, const HealthProbe *probe);
