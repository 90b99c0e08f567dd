#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Summary: SIGTERM is an orderly stop with exit status 0, from every state
. /run/booted/lib.sh

orderly() { # WHEN
    check "$1: stopped within its time" timeout 10 systemctl stop hale-demo-http.socket hale-demo-local.socket $demo
    check "$1: Result=success" is Result success
    check "$1: exit status 0" is ExecMainStatus 0
    check "$1: inactive" is ActiveState inactive
}

systemctl start $demo
orderly "running"

systemctl start $demo
exec {idle}<> /dev/tcp/127.0.0.1/9180
printf 'GET /ping HTTP/1.1\r\nHost: x\r\n\r\n' >&$idle
read -r line <&$idle
check "a connection was served, and stays" test "${line%$'\r'}" = "HTTP/1.1 200 OK"
orderly "with an idle connection"

systemctl start $demo
sicken ready
check "it is not ready" wait_until 10 answers /readyz 503
orderly "not ready"

drop_in dependency <<END
[Service]
Environment=HALE_DEMO_OPTIONS=--depends-on=tcp://127.0.0.1:9190
END
systemctl start --no-block $demo
check "it is starting" wait_until 10 answers /livez 200
orderly "starting"

check "nothing was killed" bash -c "! journalctl -q -o cat _PID=1 UNIT=$demo | grep -e 'SIGKILL\|timed out'"
check "the journal has the stop" wait_until 5 bash -c "journalctl -q -o cat _SYSTEMD_UNIT=$demo | grep -e 'is stopping'"
