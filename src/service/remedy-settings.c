/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Settings of a Remedy: the calls of remedy.h that change its policy, and the
 * program's part in giving back memory
 */

#include <unistd.h>

#include "service/remedy.h"

#define TIMEOUT_MIN_USEC USEC_PER_MSEC
#define TIMEOUT_MAX_USEC USEC_PER_HOUR
#define COOLDOWN_MAX_USEC (24 * USEC_PER_HOUR)

/* The rung of a remedy that may still be changed. */
static int remedy_changeable(hale_remedy *remedy, Rung **ret) {
        Rung *rung;

        RETURN_IF_FAIL(remedy, -EINVAL);
        RETURN_IF_FAIL(remedy->owner, -ESTALE);
        SERVICE_CHECK(remedy->owner->probe->service);

        rung = &remedy->owner->ladder.rungs[remedy->index];
        RETURN_IF_FAIL(rung->n_runs == 0, -EBUSY);
        *ret = rung;
        return 0;
}

static int remedy_complain(hale_remedy *remedy, const char *what, uint64_t usec, const char *want) {
        char text[USEC_TEXT_MAX];

        service_tell_error(remedy->owner->probe->service,
                           "Remedy '%s' of probe '%s': %s %s is out of range, expected %s",
                           remedy->name, remedy->owner->probe->name, what, usec_format(usec, text),
                           want);
        return -EINVAL;
}

_public_ int hale_remedy_set_blocking(hale_remedy *remedy, int blocking) {
        Rung *rung;
        int r;

        r = remedy_changeable(remedy, &rung);
        if (r < 0)
                return r;
        RETURN_IF_FAIL(remedy->kind == REMEDY_CALLBACK, -EINVAL);

        remedy->blocking = blocking != 0;
        return 0;
}

_public_ int hale_remedy_set_timeout_usec(hale_remedy *remedy, uint64_t timeout_usec) {
        Rung *rung;
        int r;

        r = remedy_changeable(remedy, &rung);
        if (r < 0)
                return r;
        if (timeout_usec < TIMEOUT_MIN_USEC || timeout_usec > TIMEOUT_MAX_USEC)
                return remedy_complain(remedy, "a time-out of", timeout_usec, "1 ms to an hour");

        rung->policy.timeout_usec = timeout_usec;
        return 0;
}

_public_ int
hale_remedy_set_cooldown_usec(hale_remedy *remedy, uint64_t cooldown_usec, uint64_t max_usec) {
        Rung *rung;
        int r;

        r = remedy_changeable(remedy, &rung);
        if (r < 0)
                return r;
        if (cooldown_usec > max_usec || max_usec > COOLDOWN_MAX_USEC)
                return remedy_complain(remedy, "a cooldown of", cooldown_usec,
                                       "at most its own limit, and that at most a day");

        rung->policy.cooldown_usec = cooldown_usec;
        rung->policy.cooldown_max_usec = max_usec;
        rung->cooldown_usec = cooldown_usec;
        return 0;
}

_public_ int hale_remedy_set_budget(hale_remedy *remedy, unsigned runs) {
        uint64_t *times;
        Rung *rung;
        int r;

        r = remedy_changeable(remedy, &rung);
        if (r < 0)
                return r;
        if (runs == 0 || runs > RUNG_BUDGET_MAX) {
                service_tell_error(remedy->owner->probe->service,
                                   "Remedy '%s' of probe '%s': a budget of %u is out of range, "
                                   "expected 1 to %d",
                                   remedy->name, remedy->owner->probe->name, runs, RUNG_BUDGET_MAX);
                return -EINVAL;
        }

        times = calloc(runs, sizeof(*times));
        if (!times)
                return -ENOMEM;

        free(remedy->times);
        remedy->times = times;
        rung->times = times;
        rung->policy.budget = runs;
        return 0;
}

_public_ int hale_service_on_trim(hale_service *service, hale_trim_t trim, void *userdata) {
        SERVICE_CHECK(service);

        service->on_trim = trim;
        service->on_trim_data = userdata;
        return 0;
}
