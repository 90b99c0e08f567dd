#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Summary: a rehearsal is for root and the service's own user, shows everywhere, and ends by itself
. /run/booted/lib.sh

call() { # AS KIND TARGET USEC
    local user=$1

    shift
    setpriv --reuid="$user" --regid=nogroup --clear-groups \
        busctl call org.hale.Demo /org/hale/Health1 org.hale.Health1 InjectFault sst "$@"
}

refused() { # PATTERN AS KIND TARGET USEC: with an error that says so
    local pattern=$1 output

    shift
    if output=$(call "$@" 2>&1); then
        echo "it was allowed: $output"
        return 1
    fi
    [[ $output == *$pattern* ]] || { echo "another error: $output"; return 1; }
}

said() {
    journalctl --quiet --no-pager --output=cat "_SYSTEMD_UNIT=$demo" | grep -e "$1"
}

report_says() {
    busctl --json=short call org.hale.Demo /org/hale/Health1 org.hale.Health1 GetReport s health+json \
        | grep -e "$1"
}

systemctl start $demo
check "the demo has its name" wait_until 5 says Ready "b true"
check "a service that does not allow it says so, even to root" refused \
    "does not allow faults" root hang-loop "" 1000000
check "and nothing is on" says Rehearsal 's ""'
stop

demo=patient.service
cat > /run/systemd/system/$demo <<'UNIT'
[Service]
Type=notify
NotifyAccess=main
KillMode=mixed
ExecStart=/run/built/patient
Restart=on-failure
RestartSec=100ms
WatchdogSec=3s
User=hale-demo
UNIT
systemctl daemon-reload
systemctl start $demo
pid=$(show MainPID)
check "one that allows it is up" wait_until 10 says Ready "b true"

for kind in "fail-probe engine" "hang-loop ''" "kill-worker mailer" "leak 16M"; do
    eval "check 'a stranger may not: $kind' refused 'Access denied' nobody $kind 1000000"
done
check "an unknown kind is refused" refused "hang-worker" root explode engine 1000000
check "so is a target that is none" refused "nothing of that name" root fail-probe nobody 1000000
check "and more than ten minutes" refused "10 minutes" root fail-probe memory 600000001
check "and too large a leak" refused "up to 1G" root leak 2G 1000000
check "nothing has happened" says Rehearsal 's ""'

check "the service's own user may" call hale-demo fail-probe memory 3000000
check "D-Bus shows it" wait_until 2 says Rehearsal 's "fail-probe memory"'
check "so does health+json" report_says 'rehearsal.*fail-probe memory'
check "so does systemctl status" wait_until 5 mentions StatusText 'REHEARSAL (fail-probe memory)*'
check "so does the journal" journal_has MESSAGE_ID=b7a6ff09907f4e22b0967986d260f0a4 HALE_TARGET=memory
check "it ends by itself" wait_until 10 says Rehearsal 's ""'
check "and the health is as before" wait_until 5 says Status 's "pass"'

check "root kills a worker" call root kill-worker mailer 1000000
check "it is told" wait_until 5 journal_has HALE_WORKER=mailer MESSAGE_ID=a2638fb9dcf141f0874a719a277325ea
check "and stops one" wait_until 5 call root hang-worker mailer 8000000
check "which is found hanging" wait_until 15 journal_has HALE_WORKER=mailer MESSAGE_ID=8843c043953645eba600bd256f538425
check "nobody restarted the service for its worker" is MainPID "$pid"

check "root closes live" wait_until 10 call root fail-probe engine 20000000
check "and systemd restarts the service" wait_until 20 is NRestarts 1
check "for a reason that says what it was" manager_says "Watchdog request (last status: REHEARSAL (.*fail-probe engine): not live"
check "afterwards it is well" wait_until 20 says Status 's "pass"'

check "root hangs the loop" call root hang-loop "" 20000000
check "the watchdog ends it" wait_until 20 is NRestarts 2
check "and it is well again" wait_until 20 says Status 's "pass"'

# Of a field that a message lacks the journal shows the name.
check "no explanation lacks a field" bash -c "
    ! journalctl -q -x _SYSTEMD_UNIT=$demo |
        grep -E '^░░.*(HALE_(TARGET|REASON|OUTCOME|WORKER_PID|STALLED_IN|FUNCTION)([^=A-Z_]|\$)|@[A-Z_]+@)'"
