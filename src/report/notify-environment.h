/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Notify Environment
 *
 * What systemd told us in the environment, taken out of it at once: a child that
 * inherited $NOTIFY_SOCKET could speak in our name, and one that inherited
 * $WATCHDOG_USEC would think that it is watched. $LISTEN_* is not touched here.
 */

#include <stdbool.h>
#include <stdint.h>

typedef struct NotifyEnvironment {
        char *address;          /* of $NOTIFY_SOCKET; NULL: there is no manager */
        uint64_t watchdog_usec; /* 0: nobody waits for pings */

        /* $WATCHDOG_PID names another process. The pings may still be wanted (PrivatePIDs= shows
         * systemd's number for us, not ours), so watchdog_usec is kept: ping, and warn. */
        bool watchdog_foreign;

        const char *complaint; /* what is wrong with it, for a log line; NULL: nothing */
} NotifyEnvironment;

#define NOTIFY_ENVIRONMENT_INIT                                                                    \
        { .address = NULL }

/*
 * Reads and unsets NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. To be called
 * once, before there are threads. Values that make no sense are as if absent,
 * with a complaint. Returns 0 or -ENOMEM (nothing was unset then).
 */
int notify_environment_take(NotifyEnvironment *ret);

void notify_environment_done(NotifyEnvironment *environment);
