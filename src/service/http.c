/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * HTTP: which page is where
 *
 * The table below is the contract of docs/architecture.md; hale-http(7) tells it to
 * people. A path has one segment, or two with the name of a probe.
 */

#include <errno.h>
#include <string.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/names.h"
#include "report/http-address.h"
#include "report/http-query.h"
#include "service/service.h"

/* How long replies under way get at the stop. */
#define HTTP_DRAIN_USEC (1 * USEC_PER_SEC)

typedef struct Page {
        hale_service *service;
        const HttpRequest *request;
        const struct Route *route;
        bool details;
        char name[NAME_LENGTH_MAX + 1]; /* second segment; "" without */
} Page;

typedef struct Route {
        const char *segment;
        int (*answer)(const Page *page, HttpDocument **ret);
        DocumentKind document;
        hale_gate gate;
        bool has_names;
} Route;

/* Names taken out of ?exclude=. */
typedef struct Exclusion {
        char names[EXCLUDES_MAX][NAME_LENGTH_MAX + 1];
        const char *pointers[EXCLUDES_MAX];
        size_t n;
} Exclusion;

static void exclusion_take(Exclusion *exclusion, HttpSlice query) {
        HttpSlice key, value;

        while (exclusion->n < EXCLUDES_MAX && http_query_next(&query, &key, &value)) {
                char *name = exclusion->names[exclusion->n];

                if (!http_slice_equal(key, "exclude") || !value.data)
                        continue;
                if (http_unescape(value, true, name, NAME_LENGTH_MAX + 1) < 0)
                        continue;
                exclusion->pointers[exclusion->n++] = name;
        }
}

static int answer_gate(const Page *page, HttpDocument **ret) {
        hale_service *service = page->service;
        const Route *route = page->route;
        Exclusion exclusion;

        if (page->name[0]) {
                hale_probe *probe = hale_service_find_probe(service, page->name);

                if (!probe)
                        return -ENOENT;
                if (!(probe->is_worker && route->gate == HALE_GATE_LIVE) &&
                    !(probe->health.state.policy.gates & (unsigned)route->gate))
                        return -ENOENT;
                return documents_make_probe(service, &probe->health, route->gate,
                                            http_query_has(page->request->query, "verbose"),
                                            page->details, ret);
        }

        if (page->request->query.length == 0)
                return documents_get(service, route->document, page->details, ret);

        exclusion.n = 0;
        exclusion_take(&exclusion, page->request->query);
        if (exclusion.n > 0)
                return documents_make_gate(service, route->gate, page->details, exclusion.pointers,
                                           exclusion.n, ret);

        return documents_get(service,
                             http_query_has(page->request->query, "verbose")
                                     ? route->document + (DOCUMENT_LIVEZ_VERBOSE - DOCUMENT_LIVEZ)
                                     : route->document,
                             page->details, ret);
}

/* Which shape of JSON: by ?format=, else by what the client likes best. */
static bool wants_actuator(const HttpRequest *request) {
        static const char *const offers[] = {
                "application/health+json",
                "application/json",
                "application/vnd.spring-boot.actuator.v3+json",
                "application/vnd.spring-boot.actuator.v2+json",
        };
        HttpSlice query = request->query, key, value;

        while (http_query_next(&query, &key, &value))
                if (http_slice_equal(key, "format"))
                        return http_slice_equal(value, "actuator");

        return http_accept_choose(request->accept, offers, ELEMENTSOF(offers)) >= 2;
}

/* The status for `warn`: 429 for Consul, whose checks know three states. */
static unsigned wanted_warn(const HttpRequest *request) {
        HttpSlice query = request->query, key, value;

        while (http_query_next(&query, &key, &value))
                if (http_slice_equal(key, "warn") && http_slice_equal(value, "429"))
                        return 429;

        return 200;
}

static int answer_health(const Page *page, HttpDocument **ret) {
        hale_service *service = page->service;
        bool actuator = wants_actuator(page->request);
        unsigned warn = wanted_warn(page->request);
        hale_probe *probe;

        if (page->name[0]) {
                /* Spring Boot's groups. */
                if (strcmp(page->name, "liveness") == 0)
                        return documents_make_group(service, HALE_GATE_LIVE, page->details, ret);
                if (strcmp(page->name, "readiness") == 0)
                        return documents_make_group(service, HALE_GATE_READY, page->details, ret);

                probe = hale_service_find_probe(service, page->name);
                if (!probe)
                        return -ENOENT;
                return documents_make_health_probe(service, &probe->health, page->details, warn,
                                                   ret);
        }

        if (warn == 200)
                return documents_get(service, actuator ? DOCUMENT_ACTUATOR : DOCUMENT_HEALTH,
                                     page->details, ret);

        return documents_make_health(service, page->details, actuator, warn, ret);
}

static int answer_ping(const Page *page, HttpDocument **ret) {
        return documents_get(page->service, DOCUMENT_PING, false, ret);
}

static int answer_history(const Page *page, HttpDocument **ret) {
        return documents_get(page->service, DOCUMENT_HISTORY, page->details, ret);
}

/* Prometheus 3 also says which escapes of names it can undo; ours need none, so all will do. */
#define METRICS_PARAMETERS                                                                         \
        "charset=utf-8;escaping=allow-utf-8;escaping=underscores;escaping=dots;escaping=values"

/* Which format: by ?format=, else by what the client likes best. */
static bool wants_openmetrics(const HttpRequest *request) {
        static const char *const offers[] = {
                "text/plain;version=0.0.4;" METRICS_PARAMETERS,
                "application/openmetrics-text;version=1.0.0;" METRICS_PARAMETERS,
        };
        HttpSlice query = request->query, key, value;

        while (http_query_next(&query, &key, &value))
                if (http_slice_equal(key, "format"))
                        return http_slice_equal(value, "openmetrics");

        return http_accept_choose(request->accept, offers, ELEMENTSOF(offers)) == 1;
}

/* The same for everybody: there are no outputs in it. */
static int answer_metrics(const Page *page, HttpDocument **ret) {
        return documents_get(page->service,
                             wants_openmetrics(page->request) ? DOCUMENT_OPENMETRICS
                                                              : DOCUMENT_METRICS,
                             false, ret);
}

/* clang-format off */
static const Route routes[] = {
        { "livez",    answer_gate,   DOCUMENT_LIVEZ,    HALE_GATE_LIVE,    true  },
        { "readyz",   answer_gate,   DOCUMENT_READYZ,   HALE_GATE_READY,   true  },
        { "healthz",  answer_gate,   DOCUMENT_READYZ,   HALE_GATE_READY,   true  },
        { "startupz", answer_gate,   DOCUMENT_STARTUPZ, HALE_GATE_STARTUP, true  },
        { "health",   answer_health, DOCUMENT_HEALTH,   HALE_GATE_NONE,    true  },
        { "ping",     answer_ping,   DOCUMENT_PING,     HALE_GATE_NONE,    false },
        { "metrics",  answer_metrics, DOCUMENT_METRICS, HALE_GATE_NONE,    false },
        { "status.json", answer_history, DOCUMENT_HISTORY, HALE_GATE_NONE, false },
};
/* clang-format on */

static_assert(ELEMENTSOF(routes) < PAGES_MAX, "no room to count each page, and all others as one");

static const Route *find_route(HttpSlice segment) {
        for (size_t i = 0; i < ELEMENTSOF(routes); i++)
                if (http_slice_equal(segment, routes[i].segment))
                        return &routes[i];

        return NULL;
}

static bool may_see_details(const hale_service *service, const HttpRequest *request) {
        return service->details == HALE_DETAILS_ALWAYS ||
               (service->details == HALE_DETAILS_LOCAL && request->local);
}

/* Finds out which page is asked for, and of which probe. */
static int page_find(Page *page) {
        HttpSlice path = page->request->path, segment;

        if (!http_path_next(&path, &segment))
                return -ENOENT;

        page->route = find_route(segment);
        if (!page->route)
                return -ENOENT;

        /* "/health/" is "/health", as most people mean it. */
        if (http_path_next(&path, &segment) && segment.length > 0) {
                if (!page->route->has_names || http_path_next(&path, &(HttpSlice){}))
                        return -ENOENT;
                if (http_unescape(segment, false, page->name, sizeof(page->name)) < 0)
                        return -ENOENT;
        }

        return 0;
}

/* What the server makes of an error (see http-server.h). */
static unsigned status_of(int result, const HttpDocument *document) {
        if (result >= 0)
                return http_document_status(document);

        return result == -ENOENT ? 404 : result == -ENOMEM ? 503 : 500;
}

static int on_request(const HttpRequest *request, HttpDocument **ret, void *userdata) {
        hale_service *service = userdata;
        uint64_t making_usec = service->documents.making_usec;
        Page page = {
                .service = service,
                .request = request,
                .details = may_see_details(service, request),
        };
        int r;

        r = page_find(&page);
        if (r >= 0)
                r = page.route->answer(&page, ret);

        metrics_count_answer(&service->metrics,
                             page.route ? (size_t)(page.route - routes) : PAGES_MAX - 1,
                             page.route ? page.route->segment : "other", status_of(r, *ret),
                             service->documents.making_usec - making_usec);
        return r;
}

_public_ int hale_service_listen_http(hale_service *service, const char *address) {
        char **addresses, *copy;
        HttpAddresses parsed;
        int r;

        SERVICE_CHECK(service);
        RETURN_IF_FAIL(address, -EINVAL);
        RETURN_IF_FAIL(service->state == SERVICE_NEW, -EBUSY);
        RETURN_IF_FAIL(service->n_addresses < LISTEN_ADDRESSES_MAX, -E2BIG);

        r = http_address_parse(address, &parsed);
        if (r < 0) {
                service_tell_error(
                        service,
                        "Cannot listen on '%s': expected 127.0.0.1:8080, [::1]:8080, 8080 "
                        "or /run/NAME.http",
                        address);
                return r;
        }

        addresses = reallocarray(service->addresses, service->n_addresses + 1, sizeof(*addresses));
        if (!addresses)
                return -ENOMEM;
        service->addresses = addresses;

        copy = strdup(address);
        if (!copy)
                return -ENOMEM;

        service->addresses[service->n_addresses++] = copy;
        return 0;
}

/* Sockets called `http`, else, if none was passed, the addresses of the program. */
static int service_http_open(hale_service *service, unsigned *ret_n) {
        int fd, r;

        *ret_n = 0;
        while ((fd = service_listen_next(service, "http")) >= 0) {
                r = http_server_add_listener(&service->http, fd);
                if (r < 0) {
                        service_tell_error(
                                service,
                                "Descriptor %d was passed as FileDescriptorName=http, but "
                                "cannot be served: %s; expected a listening stream socket",
                                fd, strerror(-r));
                        (void)fd_close(fd);
                        return r;
                }
                (*ret_n)++;
        }
        if (*ret_n > 0)
                return 0;

        for (size_t i = 0; i < service->n_addresses; i++) {
                r = http_server_listen(&service->http, service->addresses[i]);
                if (r < 0) {
                        service_tell_error(service, "Cannot listen on %s: %s",
                                           service->addresses[i], strerror(-r));
                        return r;
                }
                (*ret_n)++;
        }

        return 0;
}

int service_http_start(hale_service *service) {
        unsigned n;
        int r;

        r = http_server_init(&service->http, service->event, NULL, on_request, service);
        if (r < 0)
                return r;
        service->http_open = true;

        r = service_http_open(service, &n);
        if (r < 0)
                return r;

        if (n == 0) {
                (void)journal_log(
                        &service->journal, LOG_INFO,
                        "No socket called 'http' was passed and no address is configured: '%s' "
                        "does not listen for HTTP",
                        service->name);
                service_http_done(service);
                return 0;
        }

        return http_server_start(&service->http, PRIORITY_HTTP);
}

static void on_http_drained(HttpServer *server, void *userdata) {
        hale_service *service = userdata;

        (void)server;
        service_exit_loop(service);
}

void service_http_stop(hale_service *service) {
        if (!service->http_open ||
            http_server_drain(&service->http, HTTP_DRAIN_USEC, on_http_drained, service) == 0)
                service_exit_loop(service);
}

void service_http_done(hale_service *service) {
        if (service->http_open)
                http_server_done(&service->http);
        service->http_open = false;
        documents_done(&service->documents);
}
