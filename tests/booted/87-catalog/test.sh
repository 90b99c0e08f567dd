#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Summary: journalctl -x tells an administrator what each message means
. /run/booted/lib.sh

explains() { # MESSAGE_ID PATTERN
    journalctl --quiet --no-pager --catalog _SYSTEMD_UNIT=$demo MESSAGE_ID="$1" | grep -e "$2"
}

systemctl start $demo
check "it is ready" wait_until 5 answers /readyz 200
check "the start is explained" wait_until 5 explains 69b8aa2f67914a5082d7d41eb385a00f 'Subject: '
sicken ready
check "a probe fails" wait_until 10 answers /readyz 503
check "that is explained" wait_until 5 explains e19a0c5143bc4ed7802f77b691303db7 'Subject: .*orders'
check "no field is left blank" bash -c \
    "! journalctl -q -x _SYSTEMD_UNIT=$demo HALE_PROBE=orders | grep '^░░.*@[A-Z_]*@'"
