#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Summary: systemctl service-log-level and service-log-target work on the service
. /run/booted/lib.sh

level() { # LEVEL
    [ "$(systemctl service-log-level $demo)" = "$1" ]
}

systemctl start $demo
check "it starts at info" wait_until 5 level info
check "it can be set to debug" systemctl service-log-level $demo debug
check "and is" level debug
check "a level that is none is refused" bash -c "! systemctl service-log-level $demo loud"
check "and changes nothing" level debug
check "at err, a warning is not logged" systemctl service-log-level $demo err
sicken ready
check "the probe fails" wait_until 10 answers /readyz 503
check "silently" bash -c "! journalctl -q -o cat _SYSTEMD_UNIT=$demo | grep 'orders.*fails'"
check "the target has a name" systemctl service-log-target $demo
