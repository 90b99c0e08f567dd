/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Reference: bare libsystemd
 *
 * What every service pays that links libsystemd and calls sd_notify(3): what
 * libhale adds is measured against it.
 */

#include <systemd/sd-daemon.h>
#include <unistd.h>

int main(void) {
        if (sd_notify(0, "READY=1") <= 0)
                return 1;

        (void)pause();
        return 0;
}
