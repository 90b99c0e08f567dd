#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Summary: a leak ends the demo in order before its limit is reached, and it is started anew
. /run/booted/lib.sh

# The last 5 %, in which it has to see that nothing helps, are more than it loses at a time (2 MB).
drop_in limit <<END
[Service]
MemoryMax=64M
END
systemctl start $demo
if [[ $(show MemoryCurrent) != [0-9]* ]]; then
    trap - EXIT
    echo "1..0 # SKIP no memory controller here"
    exit 0
fi
next_run_knows() {
    health previousRun | grep -e 'reaches the limit in'
}

sicken leak
check "systemd restarts it" wait_until 60 is NRestarts 1
check "because of its exit status, not of a signal" \
    wait_until 5 manager_says 'Main process exited, code=exited, status=70'
check "which the journal explains, with what the memory probe said" \
    wait_until 5 journal_has MESSAGE_ID=5a26a46247604d9288d0075fceb526d6 "_SYSTEMD_UNIT=$demo" HALE_PROBE=memory
check "and the next run knows it" wait_until 10 next_run_knows
check "it was trimmed before" journal_has "_SYSTEMD_UNIT=$demo" HALE_REMEDY=trim
check "it is ready again" wait_until 10 answers /readyz 200
