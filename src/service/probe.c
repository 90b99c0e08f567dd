/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Probes of a Service: the calls of probe.h that make and drop them
 *
 * Who keeps whom: the service holds one reference for as long as the probe is in
 * it, and takes it back at the drop. With @ret the caller has one as well; with
 * NULL the probe floats.
 */

#include <search.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/names.h"
#include "service/service.h"

static int compare_names(const void *a, const void *b) {
        return strcmp(((const hale_probe *)a)->name, ((const hale_probe *)b)->name);
}

static hale_probe *service_lookup(hale_service *service, const char *name) {
        hale_probe key = { .name = (char *)name };
        void *found = tfind(&key, &service->names, compare_names);

        return found ? *(hale_probe **)found : NULL;
}

_public_ hale_probe *hale_service_find_probe(hale_service *service, const char *name) {
        return service && name ? service_lookup(service, name) : NULL;
}

static void probe_free(hale_probe *probe) {
        assert(!probe->service);

        (void)check_free(probe->check); /* one that never came into the service */
        free(probe->mail);
        free(probe->withheld);
        free(probe->output);
        free(probe->health.durations);
        free(probe->name);
        free(probe);
}

_public_ hale_probe *hale_probe_ref(hale_probe *probe) {
        if (probe)
                (void)__atomic_add_fetch(&probe->n_ref, 1, __ATOMIC_RELAXED);

        return probe;
}

_public_ hale_probe *hale_probe_unref(hale_probe *probe) {
        if (probe && __atomic_sub_fetch(&probe->n_ref, 1, __ATOMIC_ACQ_REL) == 0)
                probe_free(probe);

        return NULL;
}

_public_ void hale_probe_unrefp(hale_probe **probe) {
        (void)hale_probe_unref(*probe);
}

static int probe_new(hale_probe **ret, const char *name, int gates, bool pushed) {
        hale_probe *probe;
        ProbePolicy policy;

        probe = malloc(sizeof(*probe));
        if (!probe)
                return -ENOMEM;

        *probe = (hale_probe){
                .n_ref = 1,
                .name = strdup(name),
                .timer = TIMER_INIT(probe_due, probe),
        };
        if (!probe->name) {
                free(probe);
                return -ENOMEM;
        }

        probe_policy_default(&policy, (unsigned)gates, pushed);
        probe_state_init(&probe->health.state, &policy, service_now());
        probe->health.name = probe->name;
        probe->health.output = "";
        probe->health.type = pushed ? "pushed" : "callback";
        probe->health.owner = probe;

        *ret = probe;
        return 0;
}

/* What is wrong with the arguments of a new probe, said to the log. */
static int probe_check_arguments(hale_service *service, const char *name, int gates) {
        const int all = HALE_GATE_LIVE | HALE_GATE_READY | HALE_GATE_STARTUP;
        const char *complaint = name_complaint(name);

        if (complaint) {
                service_tell_error(service, "Cannot add probe '%s': %s", name ? name : "",
                                   complaint);
                return -EINVAL;
        }
        if (gates & ~all) {
                service_tell_error(service,
                                   "Cannot add probe '%s': 0x%x is not made of HALE_GATE_*", name,
                                   (unsigned)gates);
                return -EINVAL;
        }
        if (service_lookup(service, name)) {
                service_tell_error(service, "Cannot add probe '%s': there is one of that name",
                                   name);
                return -EEXIST;
        }
        if (service->health.n_probes >= PROBES_MAX) {
                service_tell_error(service, "Cannot add probe '%s': there are %u already", name,
                                   service->health.n_probes);
                return -E2BIG;
        }

        return 0;
}

/* Puts a made probe into the service, which takes the caller's reference. */
static int service_take_probe(hale_service *service, hale_probe **ret, hale_probe *probe) {
        if (!tsearch(probe, &service->names, compare_names))
                return -ENOMEM;

        probe->service = service;
        probe->floating = !ret;
        health_add(&service->health, &probe->health);

        if (service->state == SERVICE_RUNNING) {
                probe_activate(probe, service_now(), 0);
                bus_probe_added(service->bus, &probe->health);
                service_unsettle(service);
        }

        if (ret)
                *ret = hale_probe_ref(probe);

        return 0;
}

_public_ int hale_service_add_probe(hale_service *service,
                                    hale_probe **ret,
                                    const char *name,
                                    int gates,
                                    hale_probe_check_t check,
                                    void *userdata) {
        _cleanup_(hale_probe_unrefp) hale_probe *probe = NULL;
        int r;

        SERVICE_CHECK(service);

        r = probe_check_arguments(service, name, gates);
        if (r < 0)
                return r;

        r = probe_new(&probe, name, gates, !check);
        if (r < 0)
                return r;

        probe->callback = check;
        probe->userdata = userdata;

        r = service_take_probe(service, ret, probe);
        if (r < 0)
                return r;

        TAKE_PTR(probe);
        return 0;
}

_public_ int hale_service_add_check(hale_service *service,
                                    hale_probe **ret,
                                    const char *name,
                                    int gates,
                                    const char *spec) {
        _cleanup_(hale_probe_unrefp) hale_probe *probe = NULL;
        CheckError error = {};
        int r;

        SERVICE_CHECK(service);
        RETURN_IF_FAIL(spec, -EINVAL);

        r = probe_check_arguments(service, name, gates);
        if (r < 0)
                return r;

        r = probe_new(&probe, name, gates, false);
        if (r < 0)
                return r;

        r = service_checks_init(service);
        if (r < 0)
                return r;

        r = check_new(&probe->check, spec, &service->check_context, &error);
        if (r < 0) {
                service_tell_error(service, "Cannot add probe '%s': %s", name, error.text);
                return r;
        }

        probe->health.type = check_get_scheme(probe->check);
        r = service_take_probe(service, ret, probe);
        if (r < 0)
                return r;

        TAKE_PTR(probe);
        return 0;
}

/* Takes the probe out of everything that knows it, and gives the service's reference back. */
static void probe_unlink(hale_probe *probe) {
        hale_service *service = probe->service;

        probe_cancel(probe);
        remedies_drop(probe);
        probe->check = check_free(probe->check);
        probe_mail_drop(probe);
        wheel_remove(&service->wheel, &probe->timer.node);
        health_remove(&service->health, &probe->health);
        if (probe->health.durations)
                service->metrics.n_histograms--;
        (void)tdelete(probe, &service->names, compare_names);
        hale_probe_unref(probe);
}

_public_ int hale_probe_drop(hale_probe *probe) {
        hale_service *service;

        RETURN_IF_FAIL(probe, -EINVAL);
        RETURN_IF_FAIL(probe->service, -ESTALE);
        SERVICE_CHECK(probe->service);

        service = probe->service;
        if (service->bus)
                bus_probe_removed(service->bus, &probe->health);
        probe_unlink(probe);
        service_unsettle(service);
        return 0;
}

void service_drop_probes(hale_service *service) {
        HealthProbe *probe;

        while ((probe = TAILQ_FIRST(&service->health.probes)))
                probe_unlink(probe->owner);
}

_public_ int hale_probe_run(hale_probe *probe) {
        PROBE_CHECK(probe);
        RETURN_IF_FAIL(!probe->health.state.policy.pushed, -EOPNOTSUPP);
        RETURN_IF_FAIL(probe->health.state.active, -ESTALE);

        if (!probe_state_hurry(&probe->health.state, service_now()))
                return -EINPROGRESS;

        probe_schedule(probe);
        return 0;
}

_public_ const char *hale_probe_get_name(hale_probe *probe) {
        return probe ? probe->name : NULL;
}

_public_ hale_status hale_probe_get_verdict(hale_probe *probe) {
        return probe ? probe->health.state.verdict : HALE_UNKNOWN;
}

_public_ int hale_probe_get_gates(hale_probe *probe) {
        return probe ? (int)probe->health.state.policy.gates : HALE_GATE_NONE;
}

_public_ const char *hale_probe_get_output(hale_probe *probe) {
        return probe ? probe->health.output : "";
}
