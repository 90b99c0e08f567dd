/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * org.hale.Worker1. As with probes, the objects exist only while somebody looks at
 * them; what is looked at is copied out of the source for as long as that takes.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/bus-object.h"

static int worker_path(const char *name, char **ret_path) {
        return sd_bus_path_encode(WORKERS_PATH, name, ret_path);
}

/* ProbePath: the probe of the same name, which says how the worker is. */
static int property_get_probe(sd_bus *link _unused_,
                              const char *path _unused_,
                              const char *interface _unused_,
                              const char *property _unused_,
                              sd_bus_message *reply,
                              void *userdata,
                              sd_bus_error *error _unused_) {
        const BusWorker *worker = userdata;
        _cleanup_free_ char *probe = NULL;
        int r;

        r = bus_probe_path(worker->name, &probe);
        if (r < 0)
                return r;

        return sd_bus_message_append(reply, "o", probe);
}

static int perform_restart(BusCall *call, sd_bus_error *error) {
        char name[NAME_LENGTH_MAX + 1];
        Bus *bus = call->bus;
        int r;

        /* The call may be gone when the source comes back. */
        memcpy(name, call->probe, sizeof(name));
        r = bus->source->restart_worker(bus->data, name, call->uid);
        if (r == -ENOENT)
                return sd_bus_error_setf(error, ERROR_NO_SUCH_WORKER, "There is no worker '%s'",
                                         name);
        if (r == -ESTALE)
                return sd_bus_error_setf(error, ERROR_NOT_RUNNING,
                                         "Worker '%s' cannot be restarted: the service does not "
                                         "run, or the worker is a thread that hangs",
                                         name);

        return MIN(r, 0);
}

static int method_restart(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        const BusWorker *worker = userdata;
        sd_bus *link = sd_bus_message_get_bus(message);
        Bus *bus = sd_bus_slot_get_userdata(sd_bus_get_current_slot(link));

        return bus_call_begin(bus, message, ACTION_RESTART_WORKER, worker->name, perform_restart,
                              error);
}

int bus_method_restart_worker(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        Bus *bus = userdata;
        const char *name;
        BusWorker worker;
        int r;

        r = sd_bus_message_read(message, "s", &name);
        if (r < 0)
                return r;

        if (!bus->source->find_worker || !bus->source->find_worker(bus->data, name, &worker))
                return sd_bus_error_setf(error, ERROR_NO_SUCH_WORKER, "There is no worker '%s'",
                                         name);

        return bus_call_begin(bus, message, ACTION_RESTART_WORKER, name, perform_restart, error);
}

#define IN_WORKER(member) offsetof(BusWorker, member)
#define EMITS SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
#define FIXED SD_BUS_VTABLE_PROPERTY_CONST

/* Mirrors dbus/org.hale.Worker1.xml; test-bus-contract compares the two. */
/* clang-format off */
static const sd_bus_vtable worker_vtable[] = {
        SD_BUS_VTABLE_START(0),

        SD_BUS_PROPERTY("Name",    "s", NULL, IN_WORKER(name), FIXED),
        SD_BUS_PROPERTY("Kind",    "s", NULL, IN_WORKER(kind), FIXED),
        SD_BUS_PROPERTY("Restart", "s", NULL, IN_WORKER(restart), FIXED),
        SD_BUS_PROPERTY("Group",   "s", NULL, IN_WORKER(group), FIXED),
        SD_BUS_PROPERTY("Spare",   "b", NULL, IN_WORKER(spare), FIXED),
        SD_BUS_PROPERTY("Probe",   "o", property_get_probe, 0, FIXED),

        SD_BUS_PROPERTY("State",    "s", NULL, IN_WORKER(state), EMITS),
        SD_BUS_PROPERTY("PID",      "u", NULL, IN_WORKER(pid), EMITS),
        SD_BUS_PROPERTY("Restarts", "t", NULL, IN_WORKER(n_restarts), EMITS),
        SD_BUS_PROPERTY("LastExit", "s", NULL, IN_WORKER(exit_text), EMITS),

        SD_BUS_PROPERTY("HeartbeatUSec", "t", NULL, IN_WORKER(heartbeat_usec), FIXED),
        SD_BUS_PROPERTY("StopUSec",      "t", NULL, IN_WORKER(stop_usec), FIXED),

        SD_BUS_METHOD("Restart", NULL, NULL, method_restart, SD_BUS_VTABLE_UNPRIVILEGED),

        SD_BUS_VTABLE_END,
};
/* clang-format on */

static int find_worker(sd_bus *link _unused_,
                       const char *path,
                       const char *interface _unused_,
                       void *userdata,
                       void **ret_found,
                       sd_bus_error *error _unused_) {
        _cleanup_free_ char *name = NULL;
        Bus *bus = userdata;
        int r;

        if (!bus->source->find_worker)
                return 0;

        r = sd_bus_path_decode(path, WORKERS_PATH, &name);
        if (r <= 0)
                return r;
        if (!bus->source->find_worker(bus->data, name, &bus->worker))
                return 0;

        *ret_found = &bus->worker;
        return 1;
}

static int enumerate_workers(sd_bus *link _unused_,
                             const char *prefix _unused_,
                             void *userdata,
                             char ***ret_paths,
                             sd_bus_error *error _unused_) {
        Bus *bus = userdata;
        unsigned n = bus->source->n_workers ? bus->source->n_workers(bus->data) : 0;

        /* At most WORKERS_MAX: no answer is too large. */
        return bus_list_paths(WORKERS_PATH, n, bus->source->worker_name, bus->data, ret_paths);
}

void bus_worker_changed(Bus *bus, const char *name) {
        _cleanup_free_ char *path = NULL;

        assert(name);

        if (!bus_is_up(bus))
                return;

        _cleanup_release_ Bus *held = bus_hold(bus);

        if (!bus_may_tell_one(held) || worker_path(name, &path) < 0)
                return;

        (void)sd_bus_emit_properties_changed(held->link, path, WORKER_INTERFACE, "State", "PID",
                                             "Restarts", "LastExit", NULL);
}

int bus_export_workers(Bus *bus, sd_bus *link) {
        int r;

        r = sd_bus_add_node_enumerator(link, bus_next_slot(bus), WORKERS_PATH, enumerate_workers,
                                       bus);
        if (r < 0)
                return r;

        return sd_bus_add_fallback_vtable(link, bus_next_slot(bus), WORKERS_PATH, WORKER_INTERFACE,
                                          worker_vtable, find_worker, bus);
}
