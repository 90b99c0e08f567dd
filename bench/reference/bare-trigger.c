/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Reference: the bare trigger
 *
 *     bare-trigger EVENTS
 *
 * A service on sd_notify(3) alone, which asks systemd to restart it as soon as
 * SIGUSR1 says that it is sick: nothing that runs under systemd can be restarted
 * for being sick sooner than this.
 */

#include <signal.h>
#include <systemd/sd-daemon.h>

#include "events.h"

int main(int argc, char *argv[]) {
        sigset_t signals;
        int signal_number;

        if (argc != 2 || events_open(argv[1]) < 0)
                return 1;

        (void)sigemptyset(&signals);
        (void)sigaddset(&signals, SIGUSR1);
        (void)sigaddset(&signals, SIGTERM);
        (void)sigprocmask(SIG_BLOCK, &signals, NULL);

        if (sd_notify(0, "READY=1") <= 0)
                return 1;
        events_note("ready");

        while (sigwait(&signals, &signal_number) == 0) {
                if (signal_number == SIGTERM)
                        return 0;
                events_note("fail");
                (void)sd_notify(0, "STATUS=told to be sick\nWATCHDOG=trigger");
        }
        return 1;
}
