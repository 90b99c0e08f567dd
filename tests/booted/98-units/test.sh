#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Summary: the units are clean, hardened, and can be enabled
. /run/booted/lib.sh

verified() { # UNIT: not a word about it
    local output

    output=$(SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no "$1" 2>&1) || { echo "$output"; return 1; }
    [ -z "$output" ] || { echo "$output"; return 1; }
}

services=("${demo%.service}")
# hale-orders is there if its libraries are.
systemctl cat hale-orders.service > /dev/null 2>&1 && services+=(hale-orders)
for service in "${services[@]}"; do
    for unit in "$service.service" "$service-http.socket" "$service-local.socket"; do
        check "$unit verifies" verified "$unit"
    done
    check "$service: its manual page is there" bash -c "page=\$(systemctl show -P Documentation $service) &&
        [[ \$page = *man:* ]] && ls /usr/share/man/man*/$service.*"
    exposure=$(systemd-analyze security --no-pager "$service.service" |
        sed -n 's/.*exposure level[^:]*: \([0-9.]*\) .*/\1/p')
    check "$service: systemd-analyze security says $exposure, at most 1.5" \
        awk "BEGIN { exit !($exposure > 0 && $exposure <= 1.5) }"
done

check "enable takes the sockets along" systemctl --quiet enable $demo
check "all are enabled" systemctl is-enabled $demo hale-demo-http.socket hale-demo-local.socket
check "start takes them along, too" systemctl start $demo
check "both listen" systemctl is-active hale-demo-http.socket hale-demo-local.socket
check "and answer" answers /readyz 200 --unix-socket /run/hale/demo.http
systemctl stop $demo 2> /dev/null
check "stopped, it starts for a request" answers /livez 200
check "disable takes all back" systemctl --quiet disable $demo
