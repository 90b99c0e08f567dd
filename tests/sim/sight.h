/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Sights: what a run has met. A simulation that never meets it proves nothing about it.
 */

typedef enum Sight {
        SIGHT_TIMEOUT,
        SIGHT_LATE,
        SIGHT_STALE,
        SIGHT_UNSTALE,
        SIGHT_WINDOW, /* a verdict that fell for M of N */
        SIGHT_GAP,
        SIGHT_HEALED,
        SIGHT_TRIGGER,
        SIGHT_ABORT,
        SIGHT_EXIT,
        SIGHT_KILL,
        SIGHT_READY_LOST,
        SIGHT_RUNG_HEALED,
        SIGHT_RUNG_IN_VAIN,
        SIGHT_RUNG_TIMEOUT,
        SIGHT_RUNG_LATE,
        SIGHT_RUNG_CANCELED,
        SIGHT_RUNG_REFUSED,
        SIGHT_LADDER_SPENT,
        SIGHT_LADDER_SPARED, /* live was closed, a remedy left, and systemd left alone */

        SIGHT_LINK_FAILED,
        SIGHT_LINK_GAVE_UP,
        SIGHT_LINK_UNANSWERED,
        SIGHT_LINK_CUT,
        SIGHT_LINK_LATE,
        SIGHT_LINK_TOLD,
        SIGHT_LINK_REOPENED,
        SIGHT_LINK_CURED, /* a remedy reopened it, and it came up */
        SIGHT_LINK_TRIAL,
        SIGHT_LINK_LASTED, /* and made up for the failures before */
        SIGHT_LINK_BACK,   /* the server was away */
        SIGHT_LINK_UNREADY,
        SIGHT_LINK_DANGEROUS,

        SIGHT_WORKER_DIED,
        SIGHT_WORKER_ENDED,
        SIGHT_WORKER_NO_BEGIN,
        SIGHT_WORKER_HUNG,
        SIGHT_WORKER_STARVED, /* silent for too long, and excused */
        SIGHT_WORKER_PATIENCE,
        SIGHT_WORKER_TRACED,
        SIGHT_WORKER_SETTLED,
        SIGHT_WORKER_ESCALATED,
        SIGHT_WORKER_FORGIVEN, /* started by hand after that */
        SIGHT_WORKER_CURED,
        SIGHT_WORKER_KILLED, /* did not stop in time */
        SIGHT_THREAD_HUNG,
        SIGHT_THREAD_BACK, /* one that hung has returned */
        SIGHT_GROUP,
        SIGHT_GROUP_JOINED,
        SIGHT_STOP,          /* of all workers, in their order */
        SIGHT_STOP_GIVEN_UP, /* but for one that does not end */
        _SIGHT_MAX,
} Sight;
