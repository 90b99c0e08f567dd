/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * PostgreSQL as a link (libhale-postgres)
 *
 *     r = hale_postgres_add(service, &db, "db", "host=db.example user=orders dbname=orders");
 *     ...
 *     PGconn *connection = hale_postgres_get(db);
 *     if (connection && PQsendQuery(connection, "SELECT ..."))
 *             ...
 *
 * Connects without blocking the loop, resolves names anew at each attempt and off the
 * loop, tries all addresses of all hosts, and asks now and then with an empty query.
 * link.h says the rest.
 */

#include "hale/link.h"

#ifdef __cplusplus
extern "C" {
#endif

struct pg_conn; /* PGconn of libpq-fe.h */

/*
 * Adds a link to the database of @conninfo, as libpq takes it: "host=db dbname=orders" or
 * "postgresql://orders@db/orders", completed from the environment (PGHOST, ...). It is never
 * logged. Where it does not say otherwise: keepalives after 30 s, every 10 s, 3 times;
 * tcp_user_timeout 15 s; gssencmode=disable, for Kerberos blocks.
 *
 * Returns as hale_service_add_link(), and -EINVAL for a @conninfo that does not parse or has a
 * "service", whose host could only be resolved by blocking; $PGSERVICE is one if no host is given.
 */
int hale_postgres_add(hale_service *service,
                      hale_link **ret,
                      const char *name,
                      const char *conninfo);

/*
 * The connection, while it is up; else NULL. It is the link's: do not close it, and do not
 * keep it when you go back to the loop, unless a command is under way; on_change says when it
 * goes, and hale_link_get_generation() whether it is another one.
 *
 * It is in non-blocking mode. A descriptor of your own in the loop is PQsocket(). While
 * you have a command or a transaction under way, hale does not ask; its deadline is yours
 * then, and hale_link_down() or hale_link_reopen() what to do. When hale is asking just now, this
 * waits up to 20 ms for the answer, and returns NULL if it does not come.
 *
 * NULL also for a link of another kind.
 */
struct pg_conn *hale_postgres_get(hale_link *link);

#ifdef __cplusplus
}
#endif
