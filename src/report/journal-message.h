/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Journal Messages
 *
 * The kinds of messages that an administrator may meet, each with the id under
 * which `journalctl -x` finds the explanation in units/hale.catalog and
 * `journalctl MESSAGE_ID=…` finds the message. An id is never changed or reused.
 */

typedef enum MessageKind {
        MESSAGE_SERVICE_READY,
        MESSAGE_STATUS_CHANGED, /* to pass, and below to worse: the same id, more urgent */
        MESSAGE_STATUS_WARN,
        MESSAGE_STATUS_FAIL,
        MESSAGE_PROBE_FAILED,
        MESSAGE_PROBE_RECOVERED,
        MESSAGE_PROBE_TIMED_OUT,
        MESSAGE_PROBE_STALE,
        MESSAGE_PROBE_WARNS,
        MESSAGE_PROBE_PASSES, /* for the first time */
        MESSAGE_GATE_CLOSED,
        MESSAGE_GATE_OPENED,
        MESSAGE_WATCHDOG_TRIGGERED,
        MESSAGE_GIVING_UP,
        MESSAGE_LOOP_LATE,
        MESSAGE_RELOAD_DONE,
        MESSAGE_RELOAD_FAILED,
        MESSAGE_MAINTENANCE_ON,
        MESSAGE_MAINTENANCE_OFF,
        MESSAGE_CONFIGURATION_ERROR,
        MESSAGE_STOPPING,
        MESSAGE_STOPPED,
        MESSAGE_GAP,
        MESSAGE_LOOP_STALLED,
        MESSAGE_RESTARTED_AFTER,
        MESSAGE_BUS_LOST,
        MESSAGE_BUS_BACK,
        MESSAGE_POOL_EXHAUSTED,
        MESSAGE_HTTP_TROUBLE,
        MESSAGE_LINK_DOWN,
        MESSAGE_LINK_UP, /* again */
        MESSAGE_LINK_GATES_LIVE,
        MESSAGE_WORKER_DIED,
        MESSAGE_WORKER_RESTARTED,
        MESSAGE_WORKER_ENDED,     /* and is not started again */
        MESSAGE_WORKER_HUNG,      /* no heartbeat */
        MESSAGE_WORKER_STUCK,     /* does not begin, stop or die in time */
        MESSAGE_WORKER_ESCALATED, /* restarts do not help */
        MESSAGE_REMEDY_HEALED,
        MESSAGE_REMEDY_FAILED,
        MESSAGE_REMEDY_DONE, /* with nothing to heal, or broken off */
        MESSAGE_REMEDIES_SPENT,
        MESSAGE_MEMORY_RESTART,
        MESSAGE_REHEARSAL_BEGUN,
        MESSAGE_REHEARSAL_ENDED,
        _MESSAGE_KIND_MAX,
} MessageKind;

typedef struct MessageType {
        const char *name; /* for people and tests */
        const char *id;   /* 32 lower-case hexadecimal digits */
        int priority;     /* syslog(3) */
} MessageType;

const MessageType *message_type(MessageKind kind);
