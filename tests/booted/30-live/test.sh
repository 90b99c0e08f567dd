#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Summary: a live probe that fails makes systemd restart the service, with the reason for people
. /run/booted/lib.sh

systemctl start $demo
pid=$(show MainPID)
sicken live
check "systemd restarts it" wait_until 15 is NRestarts 1
check "it is ready again" wait_until 10 answers /readyz 200
check "as another process" test "$(show MainPID)" != "$pid"
check "the journal keeps the reason" wait_until 5 \
    manager_says 'Watchdog request (last status: not live: engine: told to be beyond help)'
check "the result was the watchdog" wait_until 5 manager_says "Failed with result 'watchdog'"
check "the probe's failure is in the journal" wait_until 5 journal_has \
    MESSAGE_ID=e19a0c5143bc4ed7802f77b691303db7 HALE_PROBE=engine "_PID=$pid"
check "and that pings were withheld" wait_until 5 journal_has \
    MESSAGE_ID=93afa4b99a8842fa97a3ba72bc36131b "_PID=$pid"
check "and that systemd was asked to act" wait_until 5 journal_has \
    MESSAGE_ID=a7296f24ff9b49e4b6806f2656a13f60 "_PID=$pid"

say "not restarted: the reason stays in systemctl status"
stop
drop_in no-restart <<END
[Service]
Restart=no
END
systemctl start $demo
sicken live
check "systemd ends it" wait_until 15 is ActiveState failed
check "Result=watchdog" is Result watchdog
check "systemctl status shows why" bash -c \
    "systemctl status --no-pager $demo | grep -q 'not live: engine: told to be beyond help'"
check "its sockets are still there" systemctl is-active hale-demo-http.socket hale-demo-local.socket
