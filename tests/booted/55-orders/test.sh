#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Summary: a worker, a database and a cache that fail are healed inside hale-orders: one process throughout
. /run/booted/lib.sh
. /run/booted/orders.sh

demo=hale-orders.service
# shellcheck disable=SC2034 # lib.sh uses it
tcp=http://127.0.0.1:9181

missing=$(orders_missing)
if [ -n "$missing" ]; then
    trap - EXIT
    echo "1..0 # SKIP ${missing//$'\n'/; }"
    exit 0
fi

# ---- what is looked at

desk_is() { # PROPERTY VALUE
    local value

    value=$(desk "$1")
    [ "$value" = "$2" ] || { echo "$1 of the desk is $value"; return 1; }
}

link_is() { # LINK PROPERTY VALUE
    local value

    value=$(property "links/$1" Link1 "$2")
    [ "$value" = "$3" ] || { echo "$2 of $1 is $value"; return 1; }
}

said_of_desk() { # PATTERN: how it ended the last time
    # shellcheck disable=SC2053 # a pattern
    [[ $(desk LastExit) == \"$1\" ]] || { desk LastExit; return 1; }
}

desk_runs() { # BUT-NOT-PID: as a process of the unit
    local pid

    pid=$(desk PID)
    echo "the desk is $pid"
    [ "$pid" -gt 0 ] && [ "$pid" != "$1" ] && grep -F "/$demo" "/proc/$pid/cgroup"
}

said() { # MESSAGE-ID PATTERN: since the beginning, in the text of a message
    journalctl --quiet --no-pager --output=cat "_SYSTEMD_UNIT=$demo" "MESSAGE_ID=$1" | grep -e "$2"
}

shop_reads() { # VALUE: what Redis has
    local value

    value=$(redis-cli get orders:open)
    [ "$value" = "$1" ] || { echo "orders:open is '$value'"; return 1; }
}

health_is() { # STATUS
    [ "$(health status)" = "\"$1\"" ] || { body /health; return 1; }
}

is_ready_on_bus() {
    property '' Health1 Ready | grep -x true
}

clients_of_database() { # hale-orders' own
    runuser -u postgres -- psql --quiet --tuples-only --no-align --command="
        SELECT $1 FROM pg_stat_activity WHERE usename = 'hale-orders'"
}

has_no_client() {
    [ "$(clients_of_database 'count(*)')" = 0 ]
}

orders_go_on() { # AFTER WHAT
    check "$1: an order is placed" place_order
    check "$1: and processed" wait_until 30 all_done
}

nobody_restarted() { # DURING WHAT
    check "$1: the same process" is MainPID "$main"
    check "$1: systemd restarted nobody" is NRestarts 0
}

died=91ddca1d0f1a4abb853f1c9582e861c6 restarted=a2638fb9dcf141f0874a719a277325ea
hung=8843c043953645eba600bd256f538425
reopen=(busctl call org.hale.Orders /org/hale/Health1/links/db org.hale.Link1 Reopen)
link_down=37cdbc824aa94a088396eebdae3bd768 link_up=ecd40d683bbe481d93b745c427faf38d

# ---- the start

it_waits_for_its_database() {
    write_databases
    check "Redis starts" systemctl start redis-server
    systemctl start --no-block $demo
    check "HTTP answers while the service starts" wait_until 20 answers /livez 200
    check "the start waits for the database" is ActiveState activating
    check "it is not ready" answers /readyz 503
    check "systemctl status names the link" wait_until 5 mentions StatusText "*db: *"

    check "PostgreSQL starts" systemctl start postgresql || exit 1
    check "and gets a database" make_orders_database || exit 1
    check "the start ends" wait_until 40 is ActiveState active || exit 1
    check "it is ready" wait_until 5 answers /readyz 200
    check "over its local socket, too" answers /readyz 200 --unix-socket /run/hale/orders.http
    check "and on the bus, under its name" wait_until 5 is_ready_on_bus
    check "the shop may read it" wait_until 10 shop_reads yes
    check "the worker is a process of the unit" wait_until 10 desk_runs 0
    main=$(show MainPID)
    orders_go_on "at first"
    nobody_restarted "the start"
}

# ---- the worker

worker_is_killed() {
    local pid before

    pid=$(desk PID) before=$(desk Restarts)
    kill -KILL "$pid"
    check "killed: another desk works" wait_until 20 desk_runs "$pid"
    check "killed: the bus says how it ended" desk_is LastExit '"killed by SIGKILL"'
    check "killed: and how often it was restarted" desk_is Restarts $((before + 1))
    check "killed: the journal says it, with its process" \
        wait_until 5 journal_has MESSAGE_ID=$died "_SYSTEMD_UNIT=$demo" HALE_WORKER=desk "HALE_WORKER_PID=$pid"
    check "killed: in words" said $died "Worker 'desk' died: killed by SIGKILL; starting it again"
    check "killed: and that it runs again, with the number" \
        wait_until 5 journal_has MESSAGE_ID=$restarted HALE_WORKER=desk "HALE_RESTARTS=$((before + 1))"
    orders_go_on "killed"
    nobody_restarted "killed"
}

worker_hangs() {
    local pid

    pid=$(desk PID)
    kill -STOP "$pid"
    check "hung: its heartbeat is missed" wait_until 40 said $hung "Worker 'desk' .*no heartbeat for"
    check "hung: another desk works" wait_until 20 desk_runs "$pid"
    check "hung: the old one is gone" test ! -d "/proc/$pid"
    check "hung: the bus says why" desk_is LastExit '"hung: no heartbeat for 10s, killed"'
    orders_go_on "hung"
    nobody_restarted "hung"
}

memory_cgroup() { # of the unit, in either version; none if there is no controller
    local group

    group=$(show ControlGroup)
    ls -d "/sys/fs/cgroup/memory$group" && return
    [ -e "/sys/fs/cgroup$group/memory.max" ] && echo "/sys/fs/cgroup$group"
} 2> /dev/null

take_memory_in() { # CGROUP
    bash -c 'echo $$ > "$1/cgroup.procs" && exec python3 -c "b\"x\" * 10**9"' sh "$1"
}

killed_by_9() { # COMMAND...
    "$@"
    [ $? = 137 ]
}

# A process from outside fills the memory of the unit; the kernel is told to kill the desk first.
kernel_kills_worker() {
    local pid cgroup before

    cgroup=$(memory_cgroup)
    if [ -z "$cgroup" ]; then
        say "no memory controller here: the OOM killer is left out"
        return
    fi
    pid=$(desk PID) before=$(desk Restarts)
    echo 1000 > "/proc/$pid/oom_score_adj"
    check "OOM: who takes all the memory is killed" killed_by_9 take_memory_in "$cgroup"
    check "OOM: the desk was killed, too" wait_until 20 desk_runs "$pid"
    check "OOM: the bus says by whom" said_of_desk "killed by SIGKILL, probably the kernel*OOM killer"
    check "OOM: once" desk_is Restarts $((before + 1))
    check "OOM: the unit goes on" is ActiveState active
    orders_go_on "OOM"
    nobody_restarted "OOM"
}

strangers_may_only_read() {
    local pid
    local restart=(busctl call org.hale.Orders /org/hale/Health1/workers/desk org.hale.Worker1 Restart)

    pid=$(desk PID)
    check "a stranger may read of the desk" as_nobody \
        busctl get-property org.hale.Orders /org/hale/Health1/workers/desk org.hale.Worker1 LastExit
    check "but not restart it" denied as_nobody "${restart[@]}"
    check "nor reopen a link" denied as_nobody "${reopen[@]}"
    check "nor own the name" denied as_nobody busctl --timeout=5 call \
        org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus RequestName su org.hale.Orders 0
    check "nothing came of it" desk_is PID "$pid"
    check "root may restart the desk" "${restart[@]}"
    check "another desk works" wait_until 20 desk_runs "$pid"
    check "because it was asked to" desk_is LastExit '"exited with status 0"'
    orders_go_on "asked to"
    nobody_restarted "asked to"
}

# ---- the database

database_stops() {
    local pid

    pid=$(desk PID)
    check "stopped: PostgreSQL does not wait for its clients" timeout 20 systemctl stop postgresql
    check "stopped: not ready" wait_until 20 answers /readyz 503
    check "stopped: but live" answers /livez 200
    check "stopped: systemctl status names the link" wait_until 5 mentions StatusText "not ready: *db: *"
    check "stopped: the journal has it" wait_until 5 \
        journal_has MESSAGE_ID=$link_down "_SYSTEMD_UNIT=$demo" HALE_LINK=db
    check "stopped: the bus, too" link_is db Up false
    check "stopped: the shop is told" wait_until 5 shop_reads no
    nobody_restarted "stopped"

    check "started: PostgreSQL is back" systemctl start postgresql
    check "started: ready again" wait_until 60 answers /readyz 200
    check "started: the journal has it" wait_until 5 \
        journal_has MESSAGE_ID=$link_up "_SYSTEMD_UNIT=$demo" HALE_LINK=db
    check "started: the shop is told" wait_until 5 shop_reads yes
    orders_go_on "started"
    check "started: by the same desk" desk_is PID "$pid"
    nobody_restarted "started"
}

connections_are_cut() {
    local before

    check "cut: before it the link is up" wait_until 20 link_is db Up true
    before=$(property links/db Link1 Losses)
    check "cut: PostgreSQL ends its connections, the link's and the desk's" \
        test "$(clients_of_database 'count(pg_terminate_backend(pid)) > 1')" = t
    check "cut: the loss is counted" wait_until 20 link_is db Losses $((before + 1))
    check "cut: connected again" wait_until 30 link_is db Up true
    check "cut: ready again" wait_until 10 answers /readyz 200
    orders_go_on "cut"
    nobody_restarted "cut"
}

link_is_reopened() {
    local before

    before=$(property links/db Link1 Connections)
    check "reopened: as root asks for it" "${reopen[@]}"
    check "reopened: a new connection" wait_until 20 link_is db Connections $((before + 1))
    check "reopened: and ready" wait_until 10 answers /readyz 200
    nobody_restarted "reopened"
}

# ---- the cache

cache_stops() {
    check "without a cache: before it all is well" wait_until 20 health_is pass
    check "without a cache: it stops" timeout 20 systemctl stop redis-server
    check "without a cache: the link is down" wait_until 20 link_is cache Up false
    check "without a cache: that is a warning" wait_until 10 health_is warn
    check "without a cache: which systemctl status tells" wait_until 5 mentions StatusText "ready; *cache: *"
    check "without a cache: it is ready all the same" answers /readyz 200
    orders_go_on "without a cache"

    systemctl start redis-server
    check "with a new cache: connected again" wait_until 60 link_is cache Up true
    check "with a new cache: the shop may read it again" wait_until 10 shop_reads yes
    nobody_restarted "with a new cache"
}

# ---- the end

it_stops() {
    local cgroup pid

    pid=$(desk PID) cgroup=/sys/fs/cgroup/systemd$(show ControlGroup)
    [ -d "$cgroup" ] || cgroup=/sys/fs/cgroup$(show ControlGroup)
    check "before the stop its two processes are in its cgroup" \
        test "$(sort -n "$cgroup/cgroup.procs" | xargs)" = "$main $pid"
    check "stopped within its time" timeout 25 \
        systemctl stop hale-orders-http.socket hale-orders-local.socket $demo
    check "Result=success" is Result success
    check "exit status 0" is ExecMainStatus 0
    check "the desk is gone" test ! -d "/proc/$pid"
    check "no process is left" test ! -s "$cgroup/cgroup.procs"
    check "nothing was killed by systemd" \
        bash -c "! journalctl -q -o cat _PID=1 UNIT=$demo | grep -e 'SIGKILL\|timed out\|remains running'"
    check "the database has no client left" wait_until 10 has_no_client
}

# Its worker dies with it, and only then is it started anew.
main_is_killed() {
    local pid

    systemctl start $demo
    main=$(show MainPID)
    wait_until 10 desk_runs 0
    pid=$(desk PID)
    kill -KILL "$main"
    check "main process killed: systemd restarts it" wait_until 20 is NRestarts 1
    check "main process killed: ready again" wait_until 40 answers /readyz 200
    check "main process killed: its desk died with it" test ! -d "/proc/$pid"
    check "main process killed: another works" wait_until 20 desk_runs "$pid"
    orders_go_on "main process killed"
    systemctl stop hale-orders-http.socket hale-orders-local.socket $demo
}

it_waits_for_its_database
cache_stops
worker_is_killed
worker_hangs
strangers_may_only_read
database_stops
connections_are_cut
link_is_reopened
kernel_kills_worker
it_stops
main_is_killed
