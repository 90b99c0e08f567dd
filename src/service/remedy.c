/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Remedies: the calls of remedy.h that add them, and what they are asked
 */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/names.h"
#include "core/defaults.h"
#include "service/remedy.h"

#define AFTER_MAX 1000U

static void remedy_free(hale_remedy *remedy) {
        (void)hale_worker_unref(remedy->worker);
        (void)hale_link_unref(remedy->link);
        free(remedy->times);
        free(remedy->name);
        free(remedy);
}

_public_ hale_remedy *hale_remedy_ref(hale_remedy *remedy) {
        if (remedy)
                (void)__atomic_add_fetch(&remedy->n_ref, 1, __ATOMIC_RELAXED);

        return remedy;
}

_public_ hale_remedy *hale_remedy_unref(hale_remedy *remedy) {
        if (remedy && __atomic_sub_fetch(&remedy->n_ref, 1, __ATOMIC_ACQ_REL) == 0)
                remedy_free(remedy);

        return NULL;
}

_public_ void hale_remedy_unrefp(hale_remedy **remedy) {
        (void)hale_remedy_unref(*remedy);
}

static int remedies_new(hale_probe *probe) {
        struct Remedies *self;

        if (probe->remedies)
                return 0;

        self = malloc(sizeof(*self));
        if (!self)
                return -ENOMEM;

        *self = (struct Remedies){
                .probe = probe,
                .timer = TIMER_INIT(remedies_due, self),
                .poll_usec = USEC_NEVER,
        };
        ladder_init(&self->ladder);
        probe->remedies = self;
        probe->service->metrics.n_ladders++;
        return 0;
}

void remedies_drop(hale_probe *probe) {
        struct Remedies *self = TAKE_PTR(probe->remedies);
        hale_service *service = probe->service;

        if (!self)
                return;

        service->metrics.n_ladders--;
        remedies_cancel(self);
        if (self->busy)
                TAILQ_REMOVE(&service->busy_remedies, self, link);
        wheel_remove(&service->wheel, &self->timer.node);
        self->memory = memory_ladder_free(self->memory);
        for (unsigned i = 0; i < self->ladder.n_rungs; i++) {
                self->rungs[i]->owner = NULL;
                (void)hale_remedy_unref(self->rungs[i]);
        }
        free(self);
}

static int remedy_new(hale_remedy **ret, const char *name, unsigned budget) {
        hale_remedy *remedy;

        remedy = malloc(sizeof(*remedy));
        if (!remedy)
                return -ENOMEM;

        *remedy = (hale_remedy){
                .n_ref = 1,
                .name = strdup(name),
                .times = calloc(MAX(budget, 1U), sizeof(*remedy->times)),
        };
        if (!remedy->name || !remedy->times) {
                remedy_free(remedy);
                return -ENOMEM;
        }

        *ret = remedy;
        return 0;
}

/* What is wrong with a new remedy, said to the log. */
static int remedy_check_arguments(hale_probe *probe, const char *name, unsigned after) {
        const struct Remedies *self = probe->remedies;
        const char *complaint = name_complaint(name);

        if (complaint) {
                service_tell_error(probe->service, "Cannot add remedy '%s' to probe '%s': %s",
                                   name ? name : "", probe->name, complaint);
                return -EINVAL;
        }
        if (after == 0 || after > AFTER_MAX) {
                service_tell_error(probe->service,
                                   "Cannot add remedy '%s' to probe '%s': after %u failures, "
                                   "expected 1 to %u",
                                   name, probe->name, after, AFTER_MAX);
                return -EINVAL;
        }
        for (unsigned i = 0; self && i < self->ladder.n_rungs; i++) {
                if (strcmp(self->rungs[i]->name, name) == 0) {
                        service_tell_error(
                                probe->service,
                                "Cannot add remedy '%s' to probe '%s': it has one of that name",
                                name, probe->name);
                        return -EEXIST;
                }
        }

        return 0;
}

int remedies_add(hale_probe *probe,
                 const char *name,
                 RemedyKind kind,
                 const RungPolicy *policy,
                 hale_remedy **ret) {
        _cleanup_(hale_remedy_unrefp) hale_remedy *remedy = NULL;
        struct Remedies *self;
        int r;

        r = remedy_check_arguments(probe, name, policy->after);
        if (r < 0)
                return r;

        r = remedy_new(&remedy, name, policy->budget);
        if (r < 0)
                return r;

        /* The last that can fail of a probe that has none yet: no empty ladder is left behind. */
        r = remedies_new(probe);
        if (r < 0)
                return r;

        self = probe->remedies;
        r = ladder_add(&self->ladder, policy, remedy->times);
        if (r < 0) {
                service_tell_error(probe->service, "Cannot add remedy '%s' to probe '%s': %s", name,
                                   probe->name,
                                   r == -EINVAL  ? "the ladder ends with give-up"
                                   : r == -E2BIG ? "the ladder is full"
                                                 : "one is under way");
                return r;
        }

        remedy->kind = kind;
        remedy->owner = self;
        remedy->index = (unsigned)r;
        self->rungs[r] = remedy;
        *ret = TAKE_PTR(remedy);
        return 0;
}

/* Adds one with what is usual, and gives the caller a reference if that is wanted. */
static int remedies_add_usual(hale_probe *probe,
                              hale_remedy **ret,
                              const char *name,
                              RemedyKind kind,
                              unsigned after,
                              hale_remedy **ret_remedy) {
        RungPolicy policy;
        int r;

        rung_policy_default(&policy, after);
        policy.give_up = kind == REMEDY_GIVE_UP;
        r = remedies_add(probe, name, kind, &policy, ret_remedy);
        if (r < 0)
                return r;

        if (ret)
                *ret = hale_remedy_ref(*ret_remedy);
        return 0;
}

_public_ int hale_probe_add_remedy(hale_probe *probe,
                                   hale_remedy **ret,
                                   const char *name,
                                   unsigned after,
                                   hale_remedy_t callback,
                                   void *userdata) {
        hale_remedy *remedy;
        int r;

        PROBE_CHECK(probe);
        RETURN_IF_FAIL(callback, -EINVAL);

        r = remedies_add_usual(probe, ret, name, REMEDY_CALLBACK, after, &remedy);
        if (r < 0)
                return r;

        remedy->callback = callback;
        remedy->userdata = userdata;
        return 0;
}

_public_ int hale_probe_add_trim(hale_probe *probe, hale_remedy **ret, unsigned after) {
        hale_remedy *remedy;

        PROBE_CHECK(probe);

        return remedies_add_usual(probe, ret, "trim", REMEDY_TRIM, after, &remedy);
}

_public_ int hale_probe_add_restart_worker(hale_probe *probe,
                                           hale_remedy **ret,
                                           unsigned after,
                                           hale_worker *worker) {
        char name[2 * NAME_LENGTH_MAX];
        hale_remedy *remedy;
        int r;

        PROBE_CHECK(probe);
        RETURN_IF_FAIL(worker, -EINVAL);
        RETURN_IF_FAIL(hale_service_find_worker(probe->service, hale_worker_get_name(worker)) ==
                               worker,
                       -EINVAL);

        (void)snprintf(name, sizeof(name), "restart-%.*s",
                       NAME_LENGTH_MAX - (int)strlen("restart-"), hale_worker_get_name(worker));
        r = remedies_add_usual(probe, ret, name, REMEDY_RESTART_WORKER, after, &remedy);
        if (r < 0)
                return r;

        remedy->worker = hale_worker_ref(worker);
        return 0;
}

_public_ int
hale_probe_add_reopen_link(hale_probe *probe, hale_remedy **ret, unsigned after, hale_link *link) {
        char name[2 * NAME_LENGTH_MAX];
        hale_remedy *remedy;
        int r;

        PROBE_CHECK(probe);
        RETURN_IF_FAIL(link, -EINVAL);
        RETURN_IF_FAIL(hale_link_get_service(link) == probe->service, -EINVAL);

        (void)snprintf(name, sizeof(name), "reopen-%.*s", NAME_LENGTH_MAX - (int)strlen("reopen-"),
                       hale_link_get_name(link));
        r = remedies_add_usual(probe, ret, name, REMEDY_REOPEN_LINK, after, &remedy);
        if (r < 0)
                return r;

        remedy->link = hale_link_ref(link);
        return 0;
}

_public_ int hale_probe_add_give_up(hale_probe *probe, unsigned after) {
        hale_remedy *remedy;

        PROBE_CHECK(probe);

        return remedies_add_usual(probe, NULL, "give-up", REMEDY_GIVE_UP, after, &remedy);
}

static const Rung *remedy_rung(const hale_remedy *remedy) {
        return remedy && remedy->owner ? &remedy->owner->ladder.rungs[remedy->index] : NULL;
}

_public_ const char *hale_remedy_get_name(hale_remedy *remedy) {
        return remedy ? remedy->name : NULL;
}

_public_ hale_probe *hale_remedy_get_probe(hale_remedy *remedy) {
        return remedy && remedy->owner ? remedy->owner->probe : NULL;
}

_public_ uint64_t hale_remedy_get_n_runs(hale_remedy *remedy) {
        const Rung *rung = remedy_rung(remedy);

        return rung ? rung->n_runs : 0;
}

_public_ uint64_t hale_remedy_get_n_healed(hale_remedy *remedy) {
        const Rung *rung = remedy_rung(remedy);

        return rung ? rung->n_outcomes[RUNG_HEALED] : 0;
}
