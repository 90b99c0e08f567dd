#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Summary: systemctl service-watchdogs no: systemd does nothing, so the process ends itself
. /run/booted/lib.sh

systemctl start $demo
pid=$(show MainPID)
systemctl service-watchdogs no
sicken live
check "systemd was asked to act" wait_until 10 mentions StatusText "not live: engine*"
check "it answers while it waits" answers /livez 503
check "then the process aborts itself, and is restarted" wait_until 20 is NRestarts 1
check "by SIGABRT" wait_until 5 manager_says 'code=\(killed\|dumped\), status=6/ABRT'
check "not by systemd's watchdog" bash -c "! journalctl -q -o cat _PID=1 UNIT=$demo | grep \"result 'watchdog'\""
check "it is ready again" wait_until 10 answers /readyz 200
check "as another process" test "$(show MainPID)" != "$pid"
systemctl service-watchdogs yes
