/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The URL of a Redis server
 *
 *     redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]
 *     unix://[[USER]:PASSWORD@]/PATH[?db=DATABASE]
 */

#include <stdint.h>

#define REDIS_PORT 6379

typedef struct RedisUrl {
        char *user, *password; /* NULL: none */
        char *host;            /* NULL: @path */
        char *path;
        uint16_t port;
        unsigned database;
} RedisUrl;

/* Returns 0, -EINVAL, -ENOMEM. */
int redis_url_parse(RedisUrl *url, const char *text);
void redis_url_done(RedisUrl *url);
