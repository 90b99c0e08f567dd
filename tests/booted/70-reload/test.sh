#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Summary: systemctl reload ends in running again, in the same process, and pings go on
. /run/booted/lib.sh

drop_in watchdog <<END
[Service]
WatchdogSec=1s
END
systemctl start $demo
pid=$(show MainPID)
for i in {1..5}; do
    check "reload $i" systemctl reload $demo
    check "ends in active" wait_until 5 is ActiveState active
done
check "the journal has the reload" wait_until 5 journal_has \
    MESSAGE_ID=8c7bf95798b04b3cb186e63cef675874 "_PID=$pid"
check "it is ready" answers /readyz 200
check "it is the same process" is MainPID "$pid"
check "nobody restarted it" is NRestarts 0
