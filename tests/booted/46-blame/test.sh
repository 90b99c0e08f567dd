#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Summary: a loop that hangs is blamed before the watchdog kills, and on the next run's /health
. /run/booted/lib.sh

drop_in watchdog <<END
[Service]
WatchdogSec=2s
END

member() { # MEMBER of previousRun, as JSON
    health previousRun | python3 -c 'import json, sys; print(json.dumps((json.load(sys.stdin) or {}).get(sys.argv[1])))' "$1"
}

shows() { # MEMBER PATTERN
    local value

    value=$(member "$1")
    # shellcheck disable=SC2053 # a pattern is wanted
    [[ $value == $2 ]] || { echo "$1 is $value"; return 1; }
}

stalls() {
    journalctl --quiet --no-pager --output=export MESSAGE_ID=bf660df55a324cad988c0f1059ab7790
}

systemctl start $demo
pid=$(show MainPID)
sicken hang
check "the journal names the function" wait_until 5 eval 'stalls | grep "^HALE_FUNCTION=check_engine+"'
check "while the service still hangs" test "$(show MainPID)" = "$pid"
check "and the probe" eval "stalls | grep \"^HALE_STALLED_IN=probe 'engine'\""
check "and the stack up to main" eval 'stalls | grep "^HALE_STACK=.*check_engine+.* <- .* <- main+"'
check "systemd restarts it" wait_until 10 is NRestarts 1
check "because of its watchdog" wait_until 5 manager_says 'Watchdog timeout'
check "it is ready again" wait_until 10 answers /readyz 200
check "and says that it missed its pings" shows result '"watchdog"'
check "in which function" shows function '"check_engine+*"'
check "in which probe" shows stalledIn "\"probe 'engine'\""
check "with the stack" shows stack '*check_engine+*main+*'
check "and by what signal" shows signal '"SIGABRT"'
check "the bus says the same" wait_until 5 eval 'bus PreviousRun | grep "\"Function\" s \"check_engine+"'
check "one stall was told once" test "$(stalls | grep -c ^MESSAGE_ID=)" = 1
