#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Summary: a start that makes no more progress times out; a wrong option is not retried
. /run/booted/lib.sh

drop_in options <<END
[Service]
Environment=HALE_DEMO_OPTIONS=--depends-on=tcp://127.0.0.1:9190
TimeoutStartSec=2s
Restart=no
END
# The other probes pass at once, which is progress and worth 15 s more; nothing passes after that.
systemctl start --no-block $demo
check "systemctl status says what it waits for" wait_until 5 mentions StatusText "*waiting for dependency*"
begin=$(now_ms)
check "the start fails" wait_until 30 is Result timeout
elapsed=$(($(now_ms) - begin))
check "15 s after the last progress, not later ($elapsed ms)" test $elapsed -lt 17000
check "it has failed" wait_until 5 is ActiveState failed
check "the journal says what it waited for" wait_until 5 journal_has HALE_PROBE=dependency HALE_STATE=fail

drop_in options <<END
[Service]
Environment=HALE_DEMO_OPTIONS=--depends-on=tpc://127.0.0.1:9190
Restart=on-failure
END
systemctl reset-failed
check "a wrong check spec fails the start" bash -c "! systemctl start $demo"
check "with EX_CONFIG" is ExecMainStatus 78
check "for good" is ActiveState failed
check "without another start" is NRestarts 0
check "the journal shows the place" wait_until 5 bash -c \
    "journalctl -q -o cat _SYSTEMD_UNIT=$demo + SYSLOG_IDENTIFIER=hale-demo | grep -e 'tpc'"
