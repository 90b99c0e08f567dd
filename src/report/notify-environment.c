/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/macro.h"
#include "report/notify-environment.h"

/* Digits only: strtoull(3) would take "-1", " 7" and "0x7" as well. */
static int parse_u64(const char *text, uint64_t *ret) {
        uint64_t value = 0;

        if (!text[0])
                return -EINVAL;

        for (const char *c = text; *c; c++)
                if (!isdigit((unsigned char)*c) || __builtin_mul_overflow(value, 10, &value) ||
                    __builtin_add_overflow(value, (uint64_t)(*c - '0'), &value))
                        return -EINVAL;

        *ret = value;
        return 0;
}

/* As sd_watchdog_enabled(3), but for the process number that is not ours. */
static void read_watchdog(NotifyEnvironment *environment) {
        const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
        uint64_t value, number;

        if (!usec)
                return;

        if (parse_u64(usec, &value) < 0 || value == 0 || value == UINT64_MAX) {
                environment->complaint = "$WATCHDOG_USEC is not a time in microseconds; "
                                         "no pings are sent";
                return;
        }

        environment->watchdog_usec = value;
        if (!pid)
                return;

        if (parse_u64(pid, &number) < 0 || number == 0) {
                environment->complaint = "$WATCHDOG_PID is not the number of a process; "
                                         "taking the watchdog for ours";
        } else if (number != (uint64_t)getpid()) {
                environment->watchdog_foreign = true;
                environment->complaint = "$WATCHDOG_PID names another process than this one; "
                                         "pinging all the same";
        }
}

int notify_environment_take(NotifyEnvironment *ret) {
        NotifyEnvironment environment = NOTIFY_ENVIRONMENT_INIT;
        const char *address;

        assert(ret);

        address = getenv("NOTIFY_SOCKET");
        if (address && address[0]) {
                environment.address = strdup(address);
                if (!environment.address)
                        return -ENOMEM;
        }

        read_watchdog(&environment);

        (void)unsetenv("NOTIFY_SOCKET");
        (void)unsetenv("WATCHDOG_USEC");
        (void)unsetenv("WATCHDOG_PID");

        *ret = environment;
        return 0;
}

void notify_environment_done(NotifyEnvironment *environment) {
        assert(environment);

        free(environment->address);
        *environment = (NotifyEnvironment)NOTIFY_ENVIRONMENT_INIT;
}
