# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# lib.sh: what the scenarios share. Sourced first thing inside the booted machine; speaks TAP, and
# at a failure shows what systemd and the journal know.
#
# Nothing here sleeps for a guessed time: wait_until asks every 20 ms, and gives up at its limit.

set -u
demo=hale-demo.service
tcp=http://127.0.0.1:9180
drop_ins=/run/systemd/system/$demo.d
n_checks=0 n_failed=0

say() {
    echo "# $*"
}

# check CLAIM COMMAND...: one line of TAP; what the command printed, only if it failed
check() {
    local claim=$1 output

    shift
    n_checks=$((n_checks + 1))
    if output=$("$@" 2>&1); then
        echo "ok $n_checks - $claim"
        return
    fi
    n_failed=$((n_failed + 1))
    echo "not ok $n_checks - $claim"
    printf '%s\n' "$*" "$output" | sed 's/^/#   /'
    return 1
}

# wait_until LIMIT COMMAND...: LIMIT in seconds
wait_until() {
    local deadline=$(($(now_ms) + $1 * 1000))

    shift
    until "$@" > /dev/null 2>&1; do
        if [ "$(now_ms)" -ge $deadline ]; then
            "$@" # once more, for what it prints
            return
        fi
        sleep 0.02
    done
}

now_ms() {
    echo $((${EPOCHREALTIME/./} / 1000))
}

finish() {
    local status=$?

    if [ $status -ne 0 ] || [ $n_failed -gt 0 ]; then
        {
            systemctl status --no-pager --full --lines=0 $demo
            journalctl --no-pager --output=short-precise --boot _TRANSPORT=kernel + _PID=1 + _SYSTEMD_UNIT=$demo
        } 2>&1 | tail -n 60 | sed 's/^/# /'
    fi
    [ $status -eq 0 ] || echo "Bail out! the scenario ended with status $status"
    echo "1..$n_checks"
    [ $n_failed -eq 0 ] || exit 1
}
trap finish EXIT

# ---- the service

# drop_in NAME: settings for the demo from standard input
drop_in() {
    mkdir -p "$drop_ins"
    cat > "$drop_ins/$1.conf"
    systemctl daemon-reload
}

sicken() {
    touch "/run/hale-demo/sick.$1"
}

heal() {
    rm -f /run/hale-demo/sick.*
}

stop() { # service and sockets
    systemctl stop hale-demo-http.socket hale-demo-local.socket $demo
}

# start_dependency, stop_dependency: something that listens on TCP port 9190
start_dependency() {
    printf '[Socket]\nListenStream=127.0.0.1:9190\nAccept=yes\n' \
        > /run/systemd/system/dependency.socket
    printf '[Service]\nStandardInput=socket\nExecStart=cat\n' \
        > /run/systemd/system/dependency@.service
    systemctl daemon-reload
    systemctl start dependency.socket
}

stop_dependency() {
    systemctl stop dependency.socket
}

show() { # a property of the unit
    systemctl show --property "$1" --value $demo
}

is() { # PROPERTY VALUE
    local value

    value=$(show "$1")
    [ "$value" = "$2" ] || { echo "$1 is '$value'"; return 1; }
}

mentions() { # PROPERTY PATTERN
    # shellcheck disable=SC2053 # a pattern is wanted
    [[ $(show "$1") == $2 ]] || { echo "$1 is '$(show "$1")'"; return 1; }
}

# ---- HTTP

body() { # PATH [curl's options]
    local path=$1

    shift
    curl --silent --show-error --max-time 5 "$@" "$tcp$path"
}

code() { # PATH [curl's options]
    body "$@" --output /dev/null --write-out '%{http_code}\n'
}

answers() { # PATH CODE [curl's options]
    local path=$1 expected=$2 got

    shift 2
    got=$(code "$path" "$@")
    [ "$got" = "$expected" ] || { echo "$path answers $got"; return 1; }
}

health() { # a member of /health, as JSON
    body /health | python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin).get(sys.argv[1])))' "$1"
}

# ---- D-Bus and journal

bus() { # PROPERTY
    busctl get-property org.hale.Demo /org/hale/Health1 org.hale.Health1 "$1"
}

says() { # PROPERTY VALUE, as busctl writes them
    local value

    value=$(bus "$1")
    [ "$value" = "$2" ] || { echo "$1 is $value"; return 1; }
}

as_nobody() { # COMMAND...
    setpriv --reuid=nobody --regid=nogroup --clear-groups "$@"
}

# denied COMMAND...: by the service or the bus, for want of rights
denied() {
    local output

    if output=$("$@" 2>&1); then
        echo "it was allowed: $output"
        return 1
    fi
    case $output in
    *[Aa]ccess*denied* | *"not permitted"* | *[Pp]ermission* | *"uthorization"* | *"uthentication"*) ;;
    *) echo "another error: $output"; return 1 ;;
    esac
}

manager_says() { # PATTERN: what systemd logged about the unit
    journalctl --quiet --no-pager --output=cat _PID=1 UNIT=$demo | grep -e "$1"
}

# journal_has FIELD=VALUE...: an entry with all of these
journal_has() {
    [ -n "$(journalctl --quiet --no-pager --output=cat --lines=1 "$@")" ]
}
