/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * AMQP 0-9-1 (RabbitMQ) as a link (libhale-amqp)
 *
 *     r = hale_amqp_add(service, &broker, "broker", "amqp://orders:secret@broker.example/shop");
 *     ...
 *     amqp_connection_state_t connection = hale_amqp_take(broker, 0);
 *     if (connection) {
 *             ... amqp_channel_open(), amqp_basic_publish() ...
 *             hale_amqp_give(broker);
 *     }
 *
 * librabbitmq blocks, so that it connects, asks and closes in hale's pool, and the connection
 * is lent to one thread at a time. Heartbeats are agreed upon (60 s); what hale asks now
 * and then, by opening and closing a channel, keeps them going. link.h says the rest.
 *
 * A broker that runs short of memory or disk listens no more to connections that publish, so that
 * such a link gets no answer and goes down; a new connection is served until it publishes.
 */

#include "hale/link.h"

#ifdef __cplusplus
extern "C" {
#endif

struct amqp_connection_state_t_; /* amqp_connection_state_t of amqp.h points to it */

/*
 * Adds a link to the broker of @url ("amqp://USER:PASSWORD@HOST:PORT/VHOST"), which is never
 * logged. Without "/VHOST" it is the one called "/". There is no TLS. Its check interval should
 * stay below 60 s.
 *
 * Returns as hale_service_add_link(), and -EINVAL for another @url.
 */
int hale_amqp_add(hale_service *service, hale_link **ret, const char *name, const char *url);

/*
 * Lends the connection to this thread, any one, until _give(). NULL while it is down, for a link
 * of another kind, and when others have not given it back after @wait_usec: hale
 * itself has it for as long as a question takes. While it is lent, hale neither asks nor closes
 * it. Calls of librabbitmq block: from the loop, only what is small.
 *
 * The highest channel number of the connection is hale's.
 */
struct amqp_connection_state_t_ *hale_amqp_take(hale_link *link, uint64_t wait_usec);
void hale_amqp_give(hale_link *link);

#ifdef __cplusplus
}
#endif
