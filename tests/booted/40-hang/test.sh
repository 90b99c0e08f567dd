#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Summary: a loop that hangs sends no pings; systemd's watchdog kills and restarts the service
. /run/booted/lib.sh

drop_in watchdog <<END
[Service]
WatchdogSec=1s
END
systemctl start $demo
pid=$(show MainPID)
pings() { # at least N
    [ "$(bus Pings | cut -d ' ' -f 2)" -ge "$1" ]
}
check "it is pinged" wait_until 5 pings 3
sicken hang
check "systemd restarts it" wait_until 10 is NRestarts 1
check "it is ready again" wait_until 10 answers /readyz 200
check "as another process" test "$(show MainPID)" != "$pid"
check "the journal says that the watchdog did it" wait_until 5 manager_says 'Watchdog timeout'
