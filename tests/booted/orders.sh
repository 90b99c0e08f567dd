# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# orders.sh: what hale-orders needs in a booted machine: PostgreSQL and Redis, each a unit with data
# of its own. The programs are those of the distribution; its clusters, settings and data, which are
# somebody else's, are not touched. All is gone with the machine.

# Why there can be none; nothing if all is there.
orders_missing() {
    [ -x /usr/libexec/hale/hale-orders ] || echo "hale-orders is not installed (built with libpq and hiredis)"
    [ -n "$(postgres_folder)" ] || echo "PostgreSQL is missing (package postgresql)"
    [ -x "$(command -v redis-server)" ] || echo "Redis is missing (package redis-server)"
}

postgres_folder() { # of the newest one; Debian keeps them apart by version
    local program newest=''

    for program in /usr/bin/initdb $(printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort -V); do
        [ -x "$program" ] && newest=${program%/*}
    done
    echo "$newest"
}

# The units have the names of the distribution's, so that those of hale-orders.service hold.
write_databases() {
    local programs

    programs=$(postgres_folder)
    # Debian's starts the clusters of the machine along with postgresql.service.
    mkdir -p /etc/systemd/system-generators
    ln -sfn /dev/null /etc/systemd/system-generators/postgresql-generator
    rm -f /etc/systemd/system/{postgresql,redis-server}.service
    cat > /etc/systemd/system/postgresql.service <<END
[Unit]
Description=PostgreSQL for the orders

[Service]
Type=notify
User=postgres
StateDirectory=orders-postgresql
StateDirectoryMode=0700
RuntimeDirectory=postgresql
ExecStartPre=sh -c 'test -e PG_VERSION || $programs/initdb -D . --auth=peer --locale=C --no-sync'
ExecStart=$programs/postgres -D . -c unix_socket_directories=/run/postgresql -c fsync=off
WorkingDirectory=/var/lib/orders-postgresql
# A fast shutdown: it does not wait until all have left.
KillMode=mixed
KillSignal=SIGINT
END
    cat > /etc/systemd/system/redis-server.service <<END
[Unit]
Description=Redis for the orders

[Service]
Type=notify
DynamicUser=yes
RuntimeDirectory=orders-redis
WorkingDirectory=/run/orders-redis
ExecStart=$(command -v redis-server) --bind 127.0.0.1 --supervised systemd --save ''
END
    systemctl daemon-reload
}

# As hale-orders(8) says it.
make_orders_database() {
    runuser -u postgres -- createuser hale-orders &&
        runuser -u postgres -- createdb --owner=hale-orders orders &&
        sql 'CREATE TABLE orders (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            placed timestamptz NOT NULL DEFAULT now(),
            done timestamptz)'
}

sql() { # QUERY: what it yields
    runuser -u hale-orders -- psql --quiet --no-psqlrc --tuples-only --no-align \
        --dbname=orders --command="$1"
}

place_order() {
    sql 'INSERT INTO orders DEFAULT VALUES'
}

all_done() { # each order has been processed
    [ "$(sql 'SELECT count(*) > 0 AND count(*) = count(done) FROM orders')" = t ]
}

# property OBJECT INTERFACE NAME: of hale-orders on the bus (OBJECT may be ''); its value alone
property() {
    busctl get-property org.hale.Orders "/org/hale/Health1${1:+/$1}" "org.hale.$2" "$3" | cut -d ' ' -f 2-
}

desk() { # PROPERTY: of the worker
    property workers/desk Worker1 "$1"
}
