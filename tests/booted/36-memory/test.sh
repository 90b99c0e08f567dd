#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Summary: near its limit a service gives back memory, and then ends in order: never the OOM killer
. /run/booted/lib.sh

demo=patient.service
cat > /run/systemd/system/$demo <<'UNIT'
[Service]
Type=notify
NotifyAccess=main
KillMode=mixed
ExecStart=/run/built/patient leak
Restart=on-failure
WatchdogSec=30s
MemoryMax=96M
User=hale-demo
UNIT
systemctl daemon-reload

remedy_outcome() {
    journal_has _SYSTEMD_UNIT=$demo HALE_REMEDY=trim
}

said() {
    journalctl --quiet --no-pager --output=cat "_SYSTEMD_UNIT=$demo" | grep -e "$1"
}

systemctl start $demo
pid=$(show MainPID)
check "at 90 % the program is asked for its cache" wait_until 30 said "the cache is given back"
check "and memory is trimmed, with an entry in the journal" wait_until 5 remedy_outcome
check "nobody was restarted for that" is MainPID "$pid"
check "asked again after 30 s" wait_until 60 said "there is nothing to give back"
check "and still the same process, ready" is MainPID "$pid"
check "at 95 % for a minute it ends in order, with its reason" wait_until 90 \
    journal_has MESSAGE_ID=5a26a46247604d9288d0075fceb526d6
check "and is started anew" wait_until 10 is NRestarts 1
check "because of its exit status, not of a signal" \
    wait_until 5 manager_says 'Main process exited, code=exited, status=70'

say "A leak that would reach the limit within seconds is given neither the 30 s nor the minute"
systemctl stop $demo
sed -i 's/patient leak/patient flood/' /run/systemd/system/$demo
systemctl daemon-reload
systemctl reset-failed $demo
systemctl start $demo
since=$(show ActiveEnterTimestamp)
check "it ends in order, and is started anew" wait_until 30 is NRestarts 1
check "after memory was trimmed" wait_until 5 \
    journal_has _SYSTEMD_UNIT=$demo HALE_REMEDY=trim --since "$since"
check "and says how long it would have had" wait_until 5 bash -c "journalctl -q -o cat --since '$since' \
    MESSAGE_ID=5a26a46247604d9288d0075fceb526d6 | grep 'it grows, and reaches the limit in'"
check "because of its exit status, not of a signal" bash -c "! journalctl -q -o cat _PID=1 UNIT=$demo \
    --since '$since' | grep -e 'code=killed' -e 'code=dumped'"
