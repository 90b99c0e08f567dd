/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Redis as a link (libhale-redis)
 *
 *     r = hale_redis_add(service, &cache, "cache", "redis://:secret@cache.example/2");
 *     ...
 *     redisAsyncContext *context = hale_redis_get(cache);
 *     if (context)
 *             (void)redisAsyncCommand(context, on_reply, app, "GET %s", key);
 *
 * Connects without blocking the loop, resolves names anew at each attempt and off the loop,
 * tries all addresses, says AUTH and SELECT, and asks now and then with PING. The events of
 * the connection are served: commands just go. Those that are under way when the connection
 * is lost get a reply of NULL, as hiredis does it. link.h says the rest.
 */

#include "hale/link.h"

#ifdef __cplusplus
extern "C" {
#endif

struct redisAsyncContext; /* of hiredis/async.h */

/*
 * Adds a link to the server of @url, which is never logged:
 *
 *     redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]
 *     unix://[[USER]:PASSWORD@]/PATH[?db=DATABASE]
 *
 * with %XX for what would be taken for a part of it. There is no TLS.
 *
 * Returns as hale_service_add_link(), and -EINVAL for another @url.
 */
int hale_redis_add(hale_service *service, hale_link **ret, const char *name, const char *url);

/*
 * The connection, while it is up; else, and for a link of another kind, NULL. It is the
 * link's: do not free it, nor set its callbacks; its @data is yours. Send a MULTI and all up to its
 * EXEC before you go back to the loop, else a PING of hale's may be among them. A connection that
 * subscribes or monitors is not asked any more. An array of more than 16 million elements ends the
 * connection, for the loop would stand still for it.
 */
struct redisAsyncContext *hale_redis_get(hale_link *link);

#ifdef __cplusplus
}
#endif
