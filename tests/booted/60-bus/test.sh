#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Summary: the bus may come late, go and come back: health goes on, and the name returns
. /run/booted/lib.sh

systemctl start $demo
pid=$(show MainPID)
check "it has its name" wait_until 5 says Status 's "pass"'

systemctl stop dbus.socket dbus.service 2> /dev/null
check "without the bus it is live" answers /livez 200
check "and ready" answers /readyz 200
sicken ready
check "and notices what fails" wait_until 10 answers /readyz 503
heal
check "and what recovers" wait_until 10 answers /readyz 200

systemctl start dbus.socket
check "the bus comes back, and so does the name" wait_until 40 says Ready "b true"
systemctl restart dbus.service
check "and again" wait_until 40 says Ready "b true"
check "it is the same process" is MainPID "$pid"
check "nobody restarted it" is NRestarts 0

systemctl stop $demo dbus.socket dbus.service 2> /dev/null
systemctl start $demo
check "started without a bus, it is ready" answers /readyz 200
systemctl start dbus.socket
check "and takes its name when the bus comes" wait_until 40 says Ready "b true"
