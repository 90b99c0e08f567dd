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
check "pinged three times a second or more" wait_until 5 bash -c \
    "[ \$(busctl get-property org.hale.Demo /org/hale/Health1 org.hale.Health1 Pings | cut -d' ' -f2) -ge 3 ]"
sicken hang
check "systemd restarts it" wait_until 10 is NRestarts 1
check "it is ready again" wait_until 10 answers /readyz 200
check "as another process" test "$(show MainPID)" != "$pid"
check "the journal says that the watchdog did it" wait_until 5 bash -c \
    "journalctl -q -o cat _PID=1 UNIT=$demo | grep -q 'Watchdog timeout'"
