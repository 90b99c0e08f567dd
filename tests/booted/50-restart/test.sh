#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Summary: ten restarts under 2000 probes, each on a connection of its own: none fails
. /run/booted/lib.sh

# Not one of these restarts is a failure, but systemd counts them all.
drop_in limit <<END
[Unit]
StartLimitBurst=100
END
systemctl start $demo
python3 /run/booted/probe.py 2000 /livez > /run/probes &
prober=$!
for _ in {1..10}; do
    systemctl restart $demo
done
check "ten restarts were ten processes" test "$(manager_says 'Started hale-demo' | wc -l)" -eq 11
check "the probes went on meanwhile" kill -0 $prober
wait $prober
check "2000 of 2000 probes were answered" grep '^2000 of 2000 ' /run/probes
while read -r line; do say "$line"; done < /run/probes
