#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Summary: a ready probe that fails closes /readyz on every surface, restarts nobody, and recovers
. /run/booted/lib.sh

systemctl start $demo
pid=$(show MainPID)
sicken ready
check "/readyz turns 503" wait_until 10 answers /readyz 503
check "with Retry-After" bash -c "curl -sI $tcp/readyz | grep -qi '^retry-after:'"
check "/readyz?verbose names the probe" bash -c "curl -s '$tcp/readyz?verbose' | grep -q '^\[-\]orders failed'"
check "/readyz/orders is 503" answers /readyz/orders 503
check "/readyz/disk is 200" answers /readyz/disk 200
check "/health is 503" answers /health 503
check "/livez stays 200" answers /livez 200
check "the bus agrees" wait_until 5 says Ready "b false"
check "the bus says fail" says Status 's "fail"'
check "systemctl status says why" wait_until 5 mentions StatusText "*orders: told to take no orders*"
check "the journal says which probe, and why" wait_until 5 journal_has \
    MESSAGE_ID=e19a0c5143bc4ed7802f77b691303db7 HALE_PROBE=orders "HALE_REASON=told to take no orders"

heal
check "it recovers" wait_until 10 answers /readyz 200
check "and says so" wait_until 5 mentions StatusText "ready; *"
check "and in the journal" wait_until 5 journal_has \
    MESSAGE_ID=66471b4c589542d0960e82b5cb5daa5f HALE_PROBE=orders
check "it is the same process" is MainPID "$pid"
check "nobody restarted it" is NRestarts 0
