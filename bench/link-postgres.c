/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <hale/postgres.h>
#include <libpq-fe.h>

#include "link-bench.h"

int link_bench_add(hale_service *service, hale_link **ret, const char *target) {
        return hale_postgres_add(service, ret, "db", target);
}

/* A server that starts takes connections, and then says that it is starting: a login counts. */
bool link_bench_try(const char *target) {
        PGconn *connection = PQconnectdb(target);
        bool good = PQstatus(connection) == CONNECTION_OK;

        PQfinish(connection);
        return good;
}
