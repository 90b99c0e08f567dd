#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Summary: a leak is noticed by the memory probe, long before the kernel kills for it
. /run/booted/lib.sh

systemctl start $demo
sicken leak
check "systemd restarts it" wait_until 30 is NRestarts 1
check "for what the memory probe said" wait_until 5 \
    manager_says 'Watchdog request (last status: not live: memory: .*; limit 48'
check "not for the OOM killer" bash -c "! journalctl -q _TRANSPORT=kernel -g 'oom|Out of memory'"
check "it is ready again" wait_until 10 answers /readyz 200
