#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Summary: READY=1 comes after the ready probes have passed, and then every surface says the same
. /run/booted/lib.sh

drop_in dependency <<END
[Service]
Environment=HALE_DEMO_OPTIONS=--depends-on=tcp://127.0.0.1:9190
END
systemctl start --no-block $demo
check "HTTP answers while the service starts" wait_until 10 answers /livez 200
check "the start waits for a dependency that is down" is ActiveState activating
check "it is not ready" answers /readyz 503
check "nor is it on the bus" wait_until 5 says Ready "b false"
check "systemctl status says why" wait_until 5 mentions StatusText "*dependency*"

start_dependency
check "the dependency comes, and the start ends" wait_until 10 is ActiveState active
check "it is ready" answers /readyz 200
check "STATUS= says so" wait_until 5 mentions StatusText "ready; *"
check "systemctl status shows it" bash -c "systemctl status --no-pager $demo | grep -q 'Status: \"ready; '"
check "it was never restarted" is NRestarts 0

for path in /livez /readyz /startupz /healthz /health /ping; do
    check "$path over IPv4" answers $path 200
    check "$path over the local socket" answers $path 200 --unix-socket /run/hale/demo.http
done
tcp='http://[::1]:9180' check "/readyz over IPv6" answers /readyz 200
check "/health says pass" test "$(health status)" = '"pass"'
check "the bus says pass" says Status 's "pass"'
check "the bus says running" says Phase 's "running"'
check "the journal has the message of the start" \
    wait_until 5 journal_has MESSAGE_ID=69b8aa2f67914a5082d7d41eb385a00f _SYSTEMD_UNIT=$demo
check "pings are sent" says WatchdogGate 's "open"'
