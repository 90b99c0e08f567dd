/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What the bus is fed from
 */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "service/link.h"
#include "service/worker.h"

static const Health *source_health(void *data) {
        return &((hale_service *)data)->health;
}

static const HealthProbe *source_find_probe(void *data, const char *name) {
        hale_probe *probe = hale_service_find_probe(data, name);

        return probe ? &probe->health : NULL;
}

static void source_watchdog(void *data, BusWatchdog *ret) {
        const Gate *gate = &((hale_service *)data)->gate;

        *ret = (BusWatchdog){
                .watchdog_usec = gate->config.watchdog_usec,
                .gate = gate_state_to_string(gate->state),
                .n_pings = gate->n_pings,
                .last_ping_usec = gate->last_ping_usec,
        };
}

static const PreviousRun *source_previous_run(void *data, const char **ret_sentence) {
        const Record *record = &((hale_service *)data)->record;

        *ret_sentence = record->previous_sentence;
        return record->previous;
}

static int source_report(void *data, const char *format, Text *text) {
        return documents_report(data, format, text);
}

static int source_get_log_level(void *data) {
        return ((hale_service *)data)->journal.max_level;
}

static int source_set_log_level(void *data, int level) {
        ((hale_service *)data)->journal.max_level = level;
        return 0;
}

static const char *source_get_log_target(void *data) {
        return journal_target_to_string(((hale_service *)data)->journal.target);
}

static int source_set_log_target(void *data, const char *target) {
        return journal_set_target(&((hale_service *)data)->journal, target);
}

static int source_run_probe(void *data, const char *name) {
        hale_probe *probe = hale_service_find_probe(data, name);

        return probe ? hale_probe_run(probe) : -ENOENT;
}

static int source_set_maintenance(void *data, uint64_t usec, const char *reason, uid_t uid) {
        hale_service *service = data;

        (void)journal_log(&service->journal, LOG_NOTICE,
                          "Maintenance of '%s' was %s over D-Bus by uid %u", service->name,
                          usec == 0 ? "ended" : "asked for", (unsigned)uid);
        return hale_service_set_maintenance(service, usec, reason);
}

static int
source_inject_fault(void *data, const char *kind, const char *target, uint64_t usec, uid_t uid) {
        hale_service *service = data;
        int r;

        r = hale_service_inject_fault(service, kind, target, usec);
        if (r >= 0)
                (void)journal_log(&service->journal, LOG_NOTICE,
                                  "The rehearsal of '%s' was asked for over D-Bus by uid %u",
                                  service->name, (unsigned)uid);
        return r;
}

/* clang-format off */
static const struct {
        MessageKind kind;
        int level; /* for a plain line where kind is _MESSAGE_KIND_MAX */
        const char *text;
} bus_messages[] = {
        [BUS_ABSENT]        = { _MESSAGE_KIND_MAX, LOG_INFO,    "No D-Bus: '%s' cannot be asked there (%s)"     },
        [BUS_UP]            = { _MESSAGE_KIND_MAX, LOG_DEBUG,   "Connected to the bus: '%s'%.0s"                },
        [BUS_LOST]          = { MESSAGE_BUS_LOST,  0,           "'%s' lost the bus, and connects anew (%s)"     },
        [BUS_NAME_ACQUIRED] = { MESSAGE_BUS_BACK,  0,           "'%s' can be asked over D-Bus again%.0s"        },
        [BUS_NAME_DENIED]   = { _MESSAGE_KIND_MAX, LOG_WARNING, "'%s' may not have its bus name (%s)"           },
        [BUS_NAME_LOST]     = { MESSAGE_BUS_LOST,  0,           "The bus name of '%s' was taken from it (%s)"   },
};
/* clang-format on */

static_assert(ELEMENTSOF(bus_messages) == _BUS_STATE_MAX, "a state of the bus lacks its message");

static void source_on_state(void *data, BusState state, int error) {
        hale_service *service = data;
        bool again = service->bus_was_lost;
        char text[256];

        service->bus_was_lost = state == BUS_LOST || state == BUS_NAME_LOST ||
                                (service->bus_was_lost && state != BUS_NAME_ACQUIRED);
        if (state == BUS_NAME_ACQUIRED && !again)
                return;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void)snprintf(text, sizeof(text), bus_messages[state].text, service->name,
                       strerror(-error));
#pragma GCC diagnostic pop
        if (bus_messages[state].kind == _MESSAGE_KIND_MAX)
                (void)journal_log(&service->journal, bus_messages[state].level, "%s", text);
        else
                (void)journal_send(&service->journal, bus_messages[state].kind, NULL, 0, "%s",
                                   text);
}

static unsigned source_n_workers(void *data) {
        const struct Workers *workers = ((hale_service *)data)->workers;

        return workers ? workers->n_workers : 0;
}

static const char *source_worker_name(void *data, unsigned index) {
        const hale_worker *worker = TAILQ_FIRST(&((hale_service *)data)->workers->list);

        while (index-- > 0)
                worker = TAILQ_NEXT(worker, link);
        return worker->name;
}

static bool source_find_worker(void *data, const char *name, BusWorker *ret) {
        static const char *const restarts[] = { "permanent", "transient", "temporary" };
        const hale_worker *worker = hale_service_find_worker(data, name);

        if (!worker)
                return false;

        *ret = (BusWorker){
                .name = worker->name,
                .kind = worker->is_thread ? "thread" : "process",
                .restart = restarts[worker->policy.mode],
                .group = worker->group ? worker->group->name : "",
                .state = hale_worker_state_to_string(worker->state),
                .exit_text = worker->exit_text,
                .spare = worker->spare.wanted,
                .pid = (uint32_t)worker->active->pid,
                .n_restarts = worker->restart.n_total,
                .heartbeat_usec = worker->heartbeat_usec,
                .stop_usec = worker->stop_usec,
        };
        return true;
}

static int source_restart_worker(void *data, const char *name, uid_t uid) {
        hale_worker *worker = hale_service_find_worker(data, name);

        if (!worker)
                return -ENOENT;

        (void)journal_log(&worker->service->journal, LOG_NOTICE,
                          "A restart of worker '%s' was asked for over D-Bus by uid %u", name,
                          (unsigned)uid);
        return hale_worker_restart(worker);
}

static unsigned source_n_links(void *data) {
        return ((hale_service *)data)->n_links;
}

static const char *source_link_name(void *data, unsigned index) {
        const hale_link *link = TAILQ_FIRST(&((hale_service *)data)->links);

        while (index-- > 0)
                link = TAILQ_NEXT(link, entry);
        return link->name;
}

static bool source_find_link(void *data, const char *name, BusLink *ret) {
        hale_link *link = hale_service_find_link(data, name);

        if (!link)
                return false;

        const LinkState *state = &link->link.state;
        const LinkPolicy *policy = &state->policy;

        *ret = (BusLink){
                .name = link->name,
                .kind = policy->told ? "told" : "kept",
                .state = link_status_to_string(state->status),
                .breaker = link_breaker_to_string(link_state_breaker(state, service_now())),
                .reason = hale_link_get_reason(link),
                .up = state->status == LINK_UP,
                .generation = state->generation,
                .n_failures = state->n_failures,
                .since_usec = state->since_usec,
                .n_attempts = state->n_attempts_total,
                .n_ups = state->n_ups,
                .n_losses = state->n_losses,
                .n_late = state->n_late,
                .connect_usec = policy->connect_usec,
                .check_interval_usec = policy->checked ? policy->check_interval_usec : 0,
                .check_timeout_usec = policy->check_timeout_usec,
                .backoff_min_usec = policy->backoff_min_usec,
                .backoff_max_usec = policy->backoff_max_usec,
        };
        return true;
}

static int source_reopen_link(void *data, const char *name, uid_t uid) {
        hale_link *link = hale_service_find_link(data, name);

        if (!link)
                return -ENOENT;

        (void)journal_log(&link->service->journal, LOG_NOTICE,
                          "A new connection of link '%s' was asked for over D-Bus by uid %u", name,
                          (unsigned)uid);
        return hale_link_reopen(link);
}

static const BusSource bus_source = {
        .health = source_health,
        .find_probe = source_find_probe,
        .watchdog = source_watchdog,
        .previous_run = source_previous_run,
        .report = source_report,
        .report_formats = DOCUMENTS_FORMATS,
        .get_log_level = source_get_log_level,
        .get_log_target = source_get_log_target,
        .set_log_level = source_set_log_level,
        .set_log_target = source_set_log_target,
        .run_probe = source_run_probe,
        .set_maintenance = source_set_maintenance,
        .n_workers = source_n_workers,
        .worker_name = source_worker_name,
        .find_worker = source_find_worker,
        .restart_worker = source_restart_worker,
        .n_links = source_n_links,
        .link_name = source_link_name,
        .find_link = source_find_link,
        .reopen_link = source_reopen_link,
        .inject_fault = source_inject_fault,
        .on_state = source_on_state,
};

/* Inside a user's manager the user's bus is the one where the unit is looked for. */
static bool runs_for_user(void) {
        /* systemd.exec(5): only a user's manager sets it. */
        return secure_getenv("MANAGERPID") && getuid() != 0;
}

int service_bus_start(hale_service *service) {
        const BusConfig config = {
                .service = service->name,
                .version = service->version,
                .unit = service->unit,
                .invocation_id = service->invocation_id,
                .name = service->bus_name,
                .user = runs_for_user(),
                .seed = random_next(&service->random),
        };
        int r;

        if (!service->bus_name)
                return 0;

        r = bus_new(&service->bus, service->event, PRIORITY_BUS, &config, &bus_source, service);
        if (r < 0)
                return r;

        return bus_start(service->bus);
}
