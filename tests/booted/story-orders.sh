# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2034
#
# story-orders.sh: the chapters of a crashed worker and of a lost database, told of hale-orders with
# a PostgreSQL and a Redis. They run as units of the container; on the machine itself, whose
# databases are somebody else's, these chapters are left out.

. "$here/orders.sh"

n_orders=2000
count_orders="runuser -u hale-orders -- psql orders -c 'SELECT count(*) AS placed, count(done) AS processed FROM orders'"

stamp_of() { # UNIT PATTERN: of its last line like that since it was made sick, as microseconds
    journalctl --quiet --unit="$1" --grep="$2" --lines=1 --output=short-unix \
        --since="@$((sick_usec / 1000000)).$(printf %06d $((sick_usec % 1000000)))" |
        sed -n '$s/^\([0-9]*\)\.\([0-9]*\) .*/\1\2/p'
}

was_said() { # UNIT PATTERN
    [ -n "$(stamp_of "$@")" ]
}

some_done() { # hundreds, and not all
    [ "$(sql 'SELECT count(done) > 300 FROM orders')" = t ]
}

orders_start() {
    unit=hale-orders url=http://127.0.0.1:9181
    write_databases
    tell "The next two chapters are told of hale-orders, an example of a real service: orders wait in" \
        "PostgreSQL until its worker, a process called desk, has processed them, and Redis tells a" \
        "shop whether more are taken. Its database is made now, as hale-orders(8) says."
    run "systemctl start postgresql redis-server"
    make_orders_database || bad "there is no database"
    run "systemctl start hale-orders"
    wait_until 10 desk PID
    status
}

worker_crashes() {
    local pid died again look="busctl get-property org.hale.Orders /org/hale/Health1/workers/desk org.hale.Worker1"

    chapter "A worker crashes: it alone is replaced, and no order is lost"
    orders_start
    run "$look State PID"
    pid=$(desk PID)
    tell "$n_orders orders come in, and in the midst of its work the desk is killed:"
    run "runuser -u hale-orders -- psql orders -c 'INSERT INTO orders (placed) SELECT now() FROM generate_series(1, $n_orders)'"
    wait_until 20 some_done
    sick_usec=$(now_usec)
    kill -KILL "$pid"
    shown "kill -9 $pid" ""
    if ! wait_until 20 was_said hale-orders 'desk.*runs again'; then
        bad "the desk is not replaced"
        return
    fi
    died=$(stamp_of hale-orders 'desk.*died')
    again=$(stamp_of hale-orders 'desk.*runs again')
    journal "Worker"
    run "$count_orders"
    good "noticed after $(ms $((died - sick_usec))), and another desk works $(ms $((again - died))) later"
    healed "a worker crashes" $((died - sick_usec)) $((again - died)) no

    wait_until 30 all_done || bad "orders are left"
    tell "The other one does the rest:"
    run "$count_orders"
    run "$look State PID Restarts LastExit"
    run "systemctl show hale-orders -p MainPID -p NRestarts"
}

database_is_lost() {
    local down accepts up

    chapter "The database is lost: no work for now; nobody is restarted; it connects again"
    sick_usec=$(now_usec)
    run "systemctl stop postgresql"
    if ! wait_until 20 answers /readyz 503; then
        bad "/readyz was not closed"
        return
    fi
    down=$(stamp_of hale-orders "Link 'db' is down")
    run "curl -s '$url/readyz?verbose'"
    run "curl -s $url/livez"
    wait_until 5 says 'not ready: *' # it is told once a second at most
    run "systemctl show hale-orders -p ActiveState -p StatusText -p NRestarts"
    tell "The database comes back:"
    run "systemctl start postgresql"
    if ! wait_until 60 answers /readyz 200 || ! wait_until 5 was_said hale-orders "Link 'db' is up"; then
        bad "/readyz stays closed"
        return
    fi
    accepts=$(stamp_of postgresql 'ready to accept connections')
    up=$(stamp_of hale-orders "Link 'db' is up")
    journal "Link|Health"
    good "connected, and ready again $(ms $((up - accepts))) after PostgreSQL accepted connections"
    healed "its database is lost" $((down - sick_usec)) $((up - accepts)) no
    tell "And orders are processed, by the same processes:"
    run "runuser -u hale-orders -- psql orders -c 'INSERT INTO orders DEFAULT VALUES'"
    wait_until 20 all_done || bad "the order is left"
    run "$count_orders"
    run "systemctl show hale-orders -p MainPID -p NRestarts"
}
