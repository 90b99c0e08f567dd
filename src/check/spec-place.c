/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <arpa/inet.h>
#include <limits.h>
#include <sys/un.h>

#include "base/limits.h"
#include "base/str.h"
#include "check/spec-parser.h"

/* RFC 1035, 2.3.4: 255 octets on the wire are 253 characters. */
#define HOST_LENGTH_MAX 253

#define SOCKET_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

#define PORT_EXPECTED "a number from 1 to 65535"

static int parse_path(SpecParser *parser, const char *end, size_t max, const char **ret) {
        const char *at = parser->p, *path;
        int r;

        r = spec_decode_text(parser, at, (size_t)(end - at), &path);
        if (r < 0)
                return r;
        if (strlen(path) > max)
                return spec_complain(parser, at, "a shorter one",
                                     "a path of %zu bytes, %zu too many,", strlen(path),
                                     strlen(path) - max);

        parser->p = end;
        *ret = path;
        return 0;
}

static int parse_port(SpecParser *parser, const char *end, uint16_t *ret_port) {
        const char *at = parser->p;
        char buffer[SPEC_FOUND_MAX];
        unsigned port = 0;

        if (*at != ':')
                return spec_complain(parser, at, "':' and " PORT_EXPECTED, "no port");

        at++;
        for (const char *c = at; c < end; c++) {
                port = port * 10 + (unsigned)(*c - '0');
                if (*c < '0' || *c > '9' || port > UINT16_MAX) {
                        port = 0;
                        break;
                }
        }
        if (port == 0)
                return spec_complain(parser, at, PORT_EXPECTED, "port '%s'",
                                     spec_found(at, (size_t)(end - at), buffer));

        *ret_port = (uint16_t)port;
        parser->p = end;
        return 0;
}

/* "fe80::1", or "fe80::1%eth0", in which RFC 6874 writes the '%' as %25. */
static bool is_ipv6(const char *host) {
        const char *zone = strchrnul(host, '%');
        char address[INET6_ADDRSTRLEN];
        size_t n = (size_t)(zone - host);
        struct in6_addr in6;

        if (n >= sizeof(address) || (*zone && !zone[1]))
                return false;

        memcpy(address, host, n);
        address[n] = '\0';
        return inet_pton(AF_INET6, address, &in6) == 1;
}

static int parse_bracketed(SpecParser *parser, const char *end, const char **ret_host) {
        const char *at = parser->p + 1, *close;
        char buffer[SPEC_FOUND_MAX];
        int r;

        close = memchr(at, ']', (size_t)(end - at));
        if (!close)
                return spec_complain(parser, end, "']' after the IPv6 address", "no ']'");

        r = spec_decode_text(parser, at, (size_t)(close - at), ret_host);
        if (r < 0)
                return r;
        if (!is_ipv6(*ret_host))
                return spec_complain(parser, at, "an IPv6 address such as ::1", "'%s'",
                                     spec_found(at, (size_t)(close - at), buffer));

        parser->p = close + 1;
        return 0;
}

static bool is_host_character(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '.' || c == '_';
}

static int parse_name(SpecParser *parser, const char *end, const char **ret_host) {
        const char *at = parser->p, *p = at;
        char buffer[SPEC_FOUND_MAX];
        int r;

        while (p < end && is_host_character(*p))
                p++;

        if (p < end && *p != ':') {
                size_t n = utf8_sequence(p, (size_t)(end - p));

                return spec_complain(parser, p, "letters, digits, '-', '.', or ':' and a port",
                                     "'%s' in the host", spec_found(p, MAX(n, (size_t)1), buffer));
        }
        if (p < end && memchr(p + 1, ':', (size_t)(end - p - 1)))
                return spec_complain(parser, at, "an IPv6 address in brackets, as in [::1]:80",
                                     "'%s'", spec_found(at, (size_t)(end - at), buffer));
        if (p == at)
                return spec_complain(parser, at, "a name or an address", "no host");
        if (p - at > HOST_LENGTH_MAX)
                return spec_complain(parser, at, "at most 253", "a host of %zd characters", p - at);

        r = spec_decode_text(parser, at, (size_t)(p - at), ret_host);
        if (r < 0)
                return r;

        parser->p = p;
        return 0;
}

/* "//host:port", and a path where the scheme takes one. */
static int parse_peer(SpecParser *parser, CheckSpec *spec, const char *end) {
        const char *authority;
        int r;

        if (!str_starts(parser->p, "//"))
                return spec_complain(parser, parser->p, "//host:port", "no '//'");

        parser->p += 2;
        authority = memchr(parser->p, '/', (size_t)(end - parser->p));
        if (!authority)
                authority = end;

        if (memchr(parser->p, '@', (size_t)(authority - parser->p)))
                return spec_complain(parser, parser->p, "host:port", "user information");

        if (*parser->p == '[')
                r = parse_bracketed(parser, authority, &spec->host);
        else
                r = parse_name(parser, authority, &spec->host);
        if (r < 0)
                return r;

        r = parse_port(parser, authority, &spec->port);
        if (r < 0)
                return r;

        if (spec->scheme->place == SPEC_URL)
                return parse_path(parser, end, SPEC_LENGTH_MAX, &spec->path);
        if (authority < end)
                return spec_complain(parser, authority, "'?' or the end", "a path");

        return 0;
}

static int parse_socket(SpecParser *parser, CheckSpec *spec, const char *end) {
        if (*parser->p != '/' && (*parser->p != '@' || parser->p + 1 == end))
                return spec_complain(parser, parser->p, "/path or @name", "no path");

        return parse_path(parser, end, SOCKET_PATH_MAX, &spec->path);
}

static int parse_file(SpecParser *parser, CheckSpec *spec, const char *end) {
        /* As in file:///etc/passwd; there is no host between the slashes. */
        if (str_starts(parser->p, "///"))
                parser->p += 2;
        if (parser->p[0] != '/' || parser->p[1] == '/')
                return spec_complain(parser, parser->p, "one that starts with one '/'",
                                     "no absolute path");

        return parse_path(parser, end, PATH_MAX - 1, &spec->path);
}

static int parse_nowhere(SpecParser *parser, CheckSpec *spec, const char *end) {
        char buffer[SPEC_FOUND_MAX];

        (void)spec;

        if (parser->p < end)
                return spec_complain(parser, parser->p, "'?' or the end", "'%s'",
                                     spec_found(parser->p, (size_t)(end - parser->p), buffer));

        return 0;
}

int spec_parse_place(SpecParser *parser, CheckSpec *spec) {
        static int (*const parse[])(SpecParser *, CheckSpec *, const char *) = {
                [SPEC_NOWHERE] = parse_nowhere, [SPEC_PATH] = parse_file,
                [SPEC_SOCKET] = parse_socket,   [SPEC_PEER] = parse_peer,
                [SPEC_URL] = parse_peer,
        };

        static_assert(ELEMENTSOF(parse) == _SPEC_PLACE_MAX, "a kind of place lacks its parser");

        return parse[spec->scheme->place](parser, spec, strchrnul(parser->p, '?'));
}
