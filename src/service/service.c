/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Service: making one, and what it is asked and told before the start
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syslog.h>
#include <sysexits.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/names.h"
#include "core/defaults.h"
#include "service/service.h"

/* There is one health in a process. */
static hale_service *the_service;

static int block_signals(void) {
        sigset_t set;

        (void)sigemptyset(&set);
        (void)sigaddset(&set, SIGTERM);
        (void)sigaddset(&set, SIGINT);
        (void)sigaddset(&set, SIGHUP);
        return -pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* Where they are closed, the next that is opened would be what everybody writes messages to. */
static void open_standard_descriptors(void) {
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
                if (fcntl(fd, F_GETFD) < 0)
                        (void)open("/dev/null", O_RDWR | O_NOCTTY); /* the lowest: this one */
}

static void service_identify(hale_service *service) {
        const char *invocation = getenv("INVOCATION_ID");

        service->unit = unit_of_self();
        if (invocation && strlen(invocation) == 32)
                (void)snprintf(service->invocation_id, sizeof(service->invocation_id), "%s",
                               invocation);

        service->identity = (ReportIdentity){
                .service = service->name,
                .unit = service->unit,
                .invocation_id = service->invocation_id[0] ? service->invocation_id : NULL,
                .hale_version = HALE_VERSION,
        };
}

static void service_free(hale_service *service) {
        service_record_done(service);
        service_end_rehearsal(service);
        service_workers_done(service);
        service_links_drop(service);
        service_drop_probes(service);
        service_sources_done(service);
        for (size_t i = 0; i < service->n_addresses; i++)
                free(service->addresses[i]);
        free(service->addresses);
        service_listen_done(service);
        pool_done(&service->pool);
        notify_done(&service->notify);
        journal_done(&service->journal);
        notify_environment_done(&service->environment);
        (void)sd_event_unref(service->event);
        free(service->progress);
        free(service->maintenance_reason);
        free(service->bus_name);
        free(service->version);
        free(service->unit);
        free(service->name);
        if (the_service == service)
                the_service = NULL;
        free(service);
}

_public_ hale_service *hale_service_ref(hale_service *service) {
        if (service)
                service->n_ref++;

        return service;
}

_public_ hale_service *hale_service_unref(hale_service *service) {
        /* A forked child has the memory, but neither the loop nor the descriptors are its own. */
        if (!service || service->pid != getpid())
                return NULL;

        assert(service->n_ref > 0);
        if (--service->n_ref > 0)
                return NULL;

        /* What is called at the end may take a reference, and gives it back in vain. */
        service->n_ref = 1;
        service_free(service);
        return NULL;
}

_public_ void hale_service_unrefp(hale_service **service) {
        (void)hale_service_unref(*service);
}

static int service_init(hale_service *service, const char *name) {
        int passed, r;

        service->name = strdup(name);
        if (!service->name)
                return -ENOMEM;

        open_standard_descriptors();

        /* Before anything else is opened that could be taken for a socket that was passed. */
        passed = service_listen_take(service);
        if (passed == -ENOMEM)
                return passed;

        r = service_child_init(service);
        if (r < 0)
                return r;

        if (!service->is_worker)
                r = block_signals();
        if (r < 0)
                return r;

        r = sd_event_default(&service->event);
        if (r < 0)
                return r;

        journal_init(&service->journal, service->name);
        r = notify_environment_take(&service->environment);
        if (r < 0)
                return r;

        if (passed < 0)
                (void)journal_log(
                        &service->journal, LOG_WARNING,
                        "$LISTEN_FDS promises sockets that are not there, and is ignored: %s",
                        strerror(-passed));

        if (!service->is_worker)
                service_identify(service);
        wheel_init(&service->wheel, service_now());
        loop_lag_init(&service->lag);
        loop_lag_add_reader(&service->lag, &service->lag_reader);
        health_init(&service->health, service_now());
        service->health.rehearsal = service->rehearsal;
        service->random = (Random)RANDOM_INIT(service_now() ^ (uint64_t)service->pid << 32);
        return 0;
}

_public_ int hale_service_new(hale_service **ret, const char *name) {
        _cleanup_(hale_service_unrefp) hale_service *service = NULL;
        int r;

        RETURN_IF_FAIL(ret, -EINVAL);
        RETURN_IF_FAIL(!the_service, -EEXIST);

        if (!name_is_valid(name)) {
                (void)fprintf(stderr, "hale: cannot make a service called '%s': %s\n",
                              name ? name : "", name_complaint(name));
                return -EINVAL;
        }

        service = calloc(1, sizeof(*service));
        if (!service)
                return -ENOMEM;

        service->n_ref = 1;
        service->pid = getpid();
        service->mail_fd = -EBADF;
        service->details = HALE_DETAILS_LOCAL;
        service->journal = (Journal)JOURNAL_INIT;
        service->notify = (Notify)NOTIFY_INIT;
        service->record = (Record)RECORD_INIT;
        TAILQ_INIT(&service->health.probes);
        TAILQ_INIT(&service->mail);
        TAILQ_INIT(&service->links);
        TAILQ_INIT(&service->busy_remedies);
        TAILQ_INIT(&service->injections);
        service_timers_init(service);
        on_loop_thread = true;

        r = service_init(service, name);
        if (r < 0)
                return r;

        the_service = service;
        *ret = TAKE_PTR(service);
        return 0;
}

_public_ int hale_service_attach(hale_service *service, struct sd_event *event) {
        SERVICE_CHECK(service);
        RETURN_IF_FAIL(event, -EINVAL);
        RETURN_IF_FAIL(service->state == SERVICE_NEW, -EBUSY);
        RETURN_IF_FAIL(!service->pool.core, -EBUSY);

        (void)sd_event_unref(service->event);
        service->event = sd_event_ref(event);
        return 0;
}

_public_ struct sd_event *hale_service_get_event(hale_service *service) {
        return service ? service->event : NULL;
}

/* Replaces a string of the configuration, which is closed once the service has started. */
static int service_set_string(hale_service *service, char **field, const char *value) {
        char *copy;

        RETURN_IF_FAIL(value && value[0], -EINVAL);
        RETURN_IF_FAIL(service->state == SERVICE_NEW, -EBUSY);

        copy = strdup(value);
        if (!copy)
                return -ENOMEM;

        free(*field);
        *field = copy;
        return 0;
}

_public_ int hale_service_set_version(hale_service *service, const char *version) {
        int r;

        SERVICE_CHECK(service);

        r = service_set_string(service, &service->version, version);
        service->identity.version = service->version;
        return r;
}

_public_ int hale_service_set_bus_name(hale_service *service, const char *name) {
        SERVICE_CHECK(service);
        RETURN_IF_FAIL(name, -EINVAL);

        if (!sd_bus_service_name_is_valid(name) || name[0] == ':') {
                service_tell_error(
                        service,
                        "'%s' is not a bus name; expected something like org.example.Orders", name);
                return -EINVAL;
        }

        return service_set_string(service, &service->bus_name, name);
}

_public_ int hale_service_set_http_details(hale_service *service, hale_details details) {
        SERVICE_CHECK(service);
        RETURN_IF_FAIL(details >= HALE_DETAILS_NEVER && details <= HALE_DETAILS_ALWAYS, -EINVAL);
        RETURN_IF_FAIL(service->state == SERVICE_NEW, -EBUSY);

        service->details = details;
        return 0;
}

_public_ int hale_service_set_drain_usec(hale_service *service, uint64_t usec) {
        SERVICE_CHECK(service);
        RETURN_IF_FAIL(usec <= DRAIN_MAX_USEC, -EINVAL);

        service->drain_usec = usec;
        return 0;
}

_public_ hale_status hale_service_get_health(hale_service *service) {
        return service ? service->health.summary.status : HALE_UNKNOWN;
}

_public_ hale_phase hale_service_get_phase(hale_service *service) {
        return service ? service->health.summary.phase : HALE_STARTING;
}

_public_ int hale_service_is_live(hale_service *service) {
        return service && service->health.summary.live;
}

_public_ int hale_service_is_ready(hale_service *service) {
        return service && service->health.summary.ready;
}

_public_ int hale_service_is_started(hale_service *service) {
        return service && service->health.summary.started;
}

_public_ const char *hale_service_get_name(hale_service *service) {
        return service ? service->name : NULL;
}

#define SERVICE_HANDLER(function, type, field)                                                     \
        _public_ int function(hale_service *service, type handler, void *userdata) {               \
                SERVICE_CHECK(service);                                                            \
                service->field = handler;                                                          \
                service->field##_data = userdata;                                                  \
                return 0;                                                                          \
        }

SERVICE_HANDLER(hale_service_on_reload, hale_reload_t, on_reload)
SERVICE_HANDLER(hale_service_on_stop, hale_stop_t, on_stop)
SERVICE_HANDLER(hale_service_on_change, hale_change_t, on_change)

/* clang-format off */
static const struct {
        int error;
        int status;
} exit_statuses[] = {
        { -ENOTRECOVERABLE, EX_SOFTWARE },
        { -EINVAL,          EX_CONFIG   },
        { -EEXIST,          EX_CONFIG   },
        { -E2BIG,           EX_CONFIG   },
        { -EACCES,          EX_NOPERM   },
        { -EPERM,           EX_NOPERM   },
};
/* clang-format on */

_public_ int hale_exit_status(int result) {
        if (result >= 0)
                return EXIT_SUCCESS;

        for (size_t i = 0; i < ELEMENTSOF(exit_statuses); i++)
                if (exit_statuses[i].error == result)
                        return exit_statuses[i].status;

        return EX_OSERR;
}
