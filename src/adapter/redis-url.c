/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "adapter/redis-url.h"
#include "base/macro.h"

static int hex_digit(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
                return (c | 0x20) - 'a' + 10;

        return -1;
}

/* Copies @n bytes of @text without their %XX. A NUL among them is nobody's. */
static int decode(const char *text, size_t n, char **ret) {
        char *out, *end;

        out = end = malloc(n + 1);
        if (!out)
                return -ENOMEM;

        for (size_t i = 0; i < n; i++) {
                int high = -1, low = -1;

                if (text[i] != '%') {
                        *end++ = text[i];
                        continue;
                }
                if (n - i > 2) {
                        high = hex_digit(text[i + 1]);
                        low = hex_digit(text[i + 2]);
                }
                if (high < 0 || low < 0 || high + low == 0) {
                        free(out);
                        return -EINVAL;
                }
                *end++ = (char)(high << 4 | low);
                i += 2;
        }

        *end = '\0';
        *ret = out;
        return 0;
}

/* A decimal number, the whole of @text. */
static int parse_number(const char *text, unsigned max, unsigned *ret) {
        unsigned value = 0;

        if (!text[0])
                return -EINVAL;

        for (; *text; text++) {
                if (*text < '0' || *text > '9')
                        return -EINVAL;
                value = value * 10 + (unsigned)(*text - '0');
                if (value > max)
                        return -EINVAL;
        }

        *ret = value;
        return 0;
}

/* "[USER]:PASSWORD", or "USER" alone, which needs none. */
static int parse_user(RedisUrl *url, const char *text, size_t n) {
        const char *colon = memchr(text, ':', n);
        size_t n_user = colon ? (size_t)(colon - text) : n;
        int r = 0;

        if (n_user > 0)
                r = decode(text, n_user, &url->user);
        if (r >= 0 && colon)
                r = decode(colon + 1, n - n_user - 1, &url->password);
        return r;
}

static int parse_path(RedisUrl *url, const char *text) {
        const char *query = strchrnul(text, '?');

        if (text[0] != '/')
                return -EINVAL;
        if (*query && strncmp(query, "?db=", 4) != 0)
                return -EINVAL;
        if (*query && parse_number(query + 4, UINT16_MAX, &url->database) < 0)
                return -EINVAL;

        return decode(text, (size_t)(query - text), &url->path);
}

static int parse_host(RedisUrl *url, const char *text) {
        const char *slash = strchrnul(text, '/');
        bool bracket = text[0] == '[';
        const char *host = text + bracket;
        const char *end = host + strcspn(host, bracket ? "]" : ":/");
        const char *rest = end + bracket;
        char port[8] = "";
        unsigned number = REDIS_PORT;

        if (end == host || (bracket && *end != ']') || rest > slash || strchr(text, '?'))
                return -EINVAL;
        if (*slash && slash[1] && parse_number(slash + 1, UINT16_MAX, &url->database) < 0)
                return -EINVAL;

        if (*rest == ':') {
                size_t n = (size_t)(slash - rest - 1);

                if (n >= sizeof(port))
                        return -EINVAL;
                memcpy(port, rest + 1, n);
                if (parse_number(port, UINT16_MAX, &number) < 0 || number == 0)
                        return -EINVAL;
        } else if (rest != slash) {
                return -EINVAL;
        }

        url->port = (uint16_t)number;
        return decode(host, (size_t)(end - host), &url->host);
}

static int redis_url_read(RedisUrl *url, const char *text) {
        bool local = strncmp(text, "unix://", 7) == 0;
        const char *at;
        int r;

        if (!local && strncmp(text, "redis://", 8) != 0)
                return -EINVAL;

        text += local ? 7 : 8;
        at = text + strcspn(text, "@/");
        if (*at == '@') {
                r = parse_user(url, text, (size_t)(at - text));
                if (r < 0)
                        return r;
                text = at + 1;
        }

        return local ? parse_path(url, text) : parse_host(url, text);
}

int redis_url_parse(RedisUrl *url, const char *text) {
        int r;

        assert(url);
        assert(text);

        *url = (RedisUrl){};
        r = redis_url_read(url, text);
        if (r < 0)
                redis_url_done(url);
        return r;
}

void redis_url_done(RedisUrl *url) {
        free(url->user);
        free(url->password);
        free(url->host);
        free(url->path);
        *url = (RedisUrl){};
}
