/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "adapter/postgres-target.h"
#include "base/macro.h"

/* All options of libpq, and ours. */
#define PG_OPTIONS_MAX 128

/* Three lists of targets, each of a host name or an address, and commas. */
#define PG_LIST_MAX (PG_TARGETS_MAX * 256)

/* clang-format off */
static const struct {
        const char *key, *value, *variable;
} defaults[] = {
        { "keepalives_idle",     "30",      NULL            },
        { "keepalives_interval", "10",      NULL            },
        { "keepalives_count",    "3",       NULL            },
        { "tcp_user_timeout",    "15000",   NULL            },
        { "gssencmode",          "disable", "PGGSSENCMODE"  },
};
/* clang-format on */

static const char *option_value(const PQconninfoOption *options, const char *key) {
        for (const PQconninfoOption *o = options; o->keyword; o++)
                if (strcmp(o->keyword, key) == 0)
                        return o->val && o->val[0] ? o->val : NULL;

        return NULL;
}

/* What was given, else what the environment says. */
static const char *
option_or(const PQconninfoOption *options, const char *key, const char *variable) {
        const char *value = option_value(options, key);

        if (!value)
                value = secure_getenv(variable);
        return value ? value : "";
}

/* The @index-th of a list "a,b,c"; of a list of one, that. */
static char *list_item(const char *list, unsigned index) {
        const char *comma;

        if (!strchr(list, ','))
                return strdup(list);

        for (; index > 0; index--) {
                list = strchrnul(list, ',');
                list += *list == ',';
        }
        comma = strchrnul(list, ',');
        return strndup(list, (size_t)(comma - list));
}

static unsigned list_length(const char *list) {
        unsigned n = 1;

        for (const char *p = list; *p; p++)
                n += *p == ',';
        return n;
}

static int pg_targets_split(PgTargets *self) {
        const char *names = option_or(self->options, "host", "PGHOST");
        const char *addresses = option_or(self->options, "hostaddr", "PGHOSTADDR");
        const char *ports = option_or(self->options, "port", "PGPORT");
        unsigned n = list_length(addresses[0] ? addresses : names);

        if (n > PG_HOSTS_MAX || (addresses[0] && names[0] && list_length(names) != n) ||
            (list_length(ports) != 1 && list_length(ports) != n))
                return -EINVAL;

        for (unsigned i = 0; i < n; i++) {
                PgHost *host = &self->hosts[self->n_hosts++];

                *host = (PgHost){
                        .name = list_item(names, i),
                        .port = list_item(ports, i),
                        .address = list_item(addresses, i),
                };
                if (!host->name || !host->port || !host->address)
                        return -ENOMEM;
        }

        return 0;
}

/* The host would come out of the file of services, and libpq would resolve it. */
static bool pg_targets_need_service(const PgTargets *self) {
        const PQconninfoOption *options = self->options;

        return option_value(options, "service") ||
               (secure_getenv("PGSERVICE") && !option_or(options, "host", "PGHOST")[0] &&
                !option_or(options, "hostaddr", "PGHOSTADDR")[0]);
}

int pg_targets_init(PgTargets *targets, const char *conninfo) {
        char *error = NULL;
        int r;

        assert(targets);
        assert(conninfo);

        *targets = (PgTargets){ .options = PQconninfoParse(conninfo, &error) };
        if (!targets->options) {
                r = error ? -EINVAL : -ENOMEM;
                PQfreemem(error);
                return r;
        }

        r = pg_targets_need_service(targets) ? -EINVAL : pg_targets_split(targets);
        if (r < 0)
                pg_targets_done(targets);
        return r;
}

void pg_targets_done(PgTargets *targets) {
        pg_targets_clear(targets);
        for (unsigned i = 0; i < targets->n_hosts; i++) {
                free(targets->hosts[i].name);
                free(targets->hosts[i].port);
                free(targets->hosts[i].address);
        }
        targets->n_hosts = 0;
        PQconninfoFree(targets->options);
        targets->options = NULL;
}

bool pg_host_is_name(const PgHost *host) {
        /* A path, also in the abstract namespace, is a socket of this machine. */
        return !host->address[0] && host->name[0] && host->name[0] != '/' && host->name[0] != '@';
}

void pg_targets_clear(PgTargets *targets) {
        for (unsigned i = 0; i < targets->n_targets; i++)
                free(targets->targets[i].address);
        targets->n_targets = 0;
}

int pg_targets_add(PgTargets *targets, const PgHost *host, const char *address) {
        char *copy;

        if (targets->n_targets >= PG_TARGETS_MAX)
                return 0;

        copy = strdup(address);
        if (!copy)
                return -ENOMEM;

        targets->targets[targets->n_targets++] = (PgTarget){ .host = host, .address = copy };
        return 0;
}

typedef enum ListKind {
        LIST_NAMES,
        LIST_ADDRESSES,
        LIST_PORTS,
        _LIST_MAX,
} ListKind;

static const char *target_part(const PgTarget *target, ListKind kind) {
        return kind == LIST_NAMES       ? target->host->name
               : kind == LIST_ADDRESSES ? target->address
                                        : target->host->port;
}

/* "a,b,c", beginning with the @turn-th; NULL if nothing would be said by it. */
static const char *pg_targets_list(const PgTargets *self,
                                   ListKind kind,
                                   unsigned turn,
                                   char buffer[static PG_LIST_MAX]) {
        size_t length = 0;
        bool said = false;

        for (unsigned i = 0; i < self->n_targets; i++) {
                const char *part = target_part(&self->targets[(i + turn) % self->n_targets], kind);
                size_t room = PG_LIST_MAX - length;

                if (strlen(part) + 2 > room)
                        break;
                length += (size_t)snprintf(buffer + length, room, "%s%s", i > 0 ? "," : "", part);
                said = said || part[0];
        }

        return said ? buffer : NULL;
}

PGconn *pg_targets_connect(const PgTargets *targets, unsigned turn, const char *application) {
        const char *keys[PG_OPTIONS_MAX + 1] = {}, *values[PG_OPTIONS_MAX + 1] = {};
        static const char *const list_keys[] = {
                [LIST_NAMES] = "host", [LIST_ADDRESSES] = "hostaddr", [LIST_PORTS] = "port"
        };
        char(*lists)[PG_LIST_MAX];
        PGconn *connection;
        unsigned n = 0;

        lists = calloc(_LIST_MAX, sizeof(*lists));
        if (!lists)
                return NULL;

        for (ListKind kind = 0; kind < _LIST_MAX; kind++) {
                keys[n] = list_keys[kind];
                values[n++] = pg_targets_list(targets, kind, turn, lists[kind]);
        }
        for (size_t i = 0; i < ELEMENTSOF(defaults); i++) {
                if (defaults[i].variable && secure_getenv(defaults[i].variable))
                        continue;
                keys[n] = defaults[i].key;
                values[n++] = defaults[i].value;
        }
        keys[n] = "fallback_application_name";
        values[n++] = application;

        /* The last of a key counts; ours but for the targets come first. */
        for (const PQconninfoOption *o = targets->options; o->keyword && n < PG_OPTIONS_MAX; o++) {
                if (!o->val || strcmp(o->keyword, "host") == 0 ||
                    strcmp(o->keyword, "hostaddr") == 0 || strcmp(o->keyword, "port") == 0)
                        continue;
                keys[n] = o->keyword;
                values[n++] = o->val;
        }

        connection = PQconnectStartParams(keys, values, 0);
        free(lists);
        return connection;
}
