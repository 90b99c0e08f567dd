#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Summary: a journal that hangs or is gone stops nobody: health goes on
. /run/booted/lib.sh

drop_in watchdog <<END
[Service]
WatchdogSec=2s
END
systemctl start $demo
pid=$(show MainPID)

# Four changes of a verdict, each with its messages, while nobody reads the journal's socket.
flap() {
    local i

    for i in 1 2; do
        sicken ready
        check "$1: failure $i is noticed" wait_until 10 answers /readyz 503
        heal
        check "$1: recovery $i is noticed" wait_until 10 answers /readyz 200
    done
}

systemctl kill --signal=SIGSTOP systemd-journald.service
check "the journal's socket is full" timeout 10 python3 /run/booted/fill-journal.py
flap "journald is stopped"
systemctl kill --signal=SIGCONT systemd-journald.service
systemctl kill --signal=SIGKILL systemd-journald.service
check "the killed journald is back" wait_until 10 journal_has _SYSTEMD_UNIT=$demo
flap "journald was killed"
check "and has what happened since" wait_until 10 journal_has _SYSTEMD_UNIT=$demo HALE_PROBE=orders
check "it is the same process" is MainPID "$pid"
check "nobody restarted it" is NRestarts 0
