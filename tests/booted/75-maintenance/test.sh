#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Summary: maintenance closes ready on every surface, with its reason, and ends by itself
. /run/booted/lib.sh

maintain() { # USEC REASON
    busctl call org.hale.Demo /org/hale/Health1 org.hale.Health1 SetMaintenance ts "$1" "$2"
}

systemctl start $demo
check "it has its name" wait_until 5 says Ready "b true"
check "root may ask for maintenance" maintain 60000000 "moving the racks"
check "/readyz turns 503" wait_until 5 answers /readyz 503
check "/livez stays 200" answers /livez 200
check "the bus says so" says Phase 's "maintenance"'
check "with the reason" says MaintenanceReason 's "moving the racks"'
check "systemctl status says why" wait_until 5 mentions StatusText "*moving the racks*"
check "the journal says why" wait_until 5 journal_has \
    MESSAGE_ID=ed31efec954c4364a4c1af7566e5fc45 "HALE_REASON=moving the racks"
check "it can be ended" maintain 0 ""
check "/readyz is 200 again" wait_until 5 answers /readyz 200

check "for one second" maintain 1000000 "a moment"
check "/readyz turns 503" wait_until 5 answers /readyz 503
check "and 200 by itself" wait_until 5 answers /readyz 200
check "nobody restarted it" is NRestarts 0
