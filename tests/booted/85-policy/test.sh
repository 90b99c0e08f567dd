#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Summary: everybody may read on the bus; only root and the service's user may change anything
. /run/booted/lib.sh

call() { # AS METHOD [ARGUMENT...]
    local user=$1

    shift
    setpriv --reuid="$user" --regid=nogroup --clear-groups \
        busctl call org.hale.Demo /org/hale/Health1 org.hale.Health1 "$@"
}

systemctl start $demo
check "it has its name" wait_until 5 says Ready "b true"

check "a stranger may read the health" as_nobody busctl get-property \
    org.hale.Demo /org/hale/Health1 org.hale.Health1 Status
check "and introspect" as_nobody busctl introspect org.hale.Demo /org/hale/Health1
check "and list the probes" call nobody ListProbes
check "but not run a probe" denied call nobody RunProbe s disk
check "nor start maintenance" denied call nobody SetMaintenance ts 60000000 no
check "nor set the log level" denied as_nobody busctl set-property org.hale.Demo \
    /org/freedesktop/LogControl1 org.freedesktop.LogControl1 LogLevel s debug
check "nor own the name" denied as_nobody busctl --timeout=5 call org.freedesktop.DBus \
    /org/freedesktop/DBus org.freedesktop.DBus RequestName su org.hale.Demo 0
check "nothing has changed" says Maintenance "b false"

for user in root hale-demo; do
    check "$user may run a probe" call $user RunProbe s disk
    check "$user may start maintenance" call $user SetMaintenance ts 60000000 yes
    check "$user may end it" call $user SetMaintenance ts 0 ""
done
check "a probe that is none is refused by name" bash -c \
    "busctl call org.hale.Demo /org/hale/Health1 org.hale.Health1 RunProbe s nothing 2>&1 | grep -i 'probe'"
