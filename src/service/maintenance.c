/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Maintenance: `ready` closed on purpose
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "service/service.h"

static void maintenance_tell(hale_service *service, MessageKind kind, const char *what) {
        const Health *health = &service->health;

        (void)journal_send(&service->journal, kind,
                           (JournalField[]){ { "HALE_REASON", health->maintenance_reason } }, 1,
                           "Maintenance of '%s' %s%s%s", service->name, what,
                           health->maintenance_reason[0] ? ": " : "", health->maintenance_reason);
}

static void maintenance_end(hale_service *service, const char *how) {
        Health *health = &service->health;

        if (!health->maintenance)
                return;

        maintenance_tell(service, MESSAGE_MAINTENANCE_OFF, how);
        service_set_timer(service, &service->maintenance_timer, USEC_NEVER);
        health->maintenance = false;
        health->maintenance_reason = "";
        free(service->maintenance_reason);
        service->maintenance_reason = NULL;
        service_record_maintenance(service, "ended");
}

void service_maintenance_over(void *userdata) {
        maintenance_end(userdata, "has run out");
        service_unsettle(userdata);
}

static int maintenance_begin(hale_service *service, uint64_t usec, const char *reason) {
        Health *health = &service->health;
        char clean[OUTPUT_LENGTH_MAX], text[USEC_TEXT_MAX], what[64];
        char *copy;

        (void)str_sanitize(reason ? reason : "", clean, sizeof(clean));
        copy = strdup(clean);
        if (!copy)
                return -ENOMEM;

        free(service->maintenance_reason);
        service->maintenance_reason = copy;
        health->maintenance_reason = copy;
        health->maintenance = true;
        health->maintenance_until_usec = usec_add(service_now(), usec);
        service_set_timer(service, &service->maintenance_timer, health->maintenance_until_usec);

        (void)snprintf(what, sizeof(what), "begins%s%s", usec == USEC_NEVER ? "" : " for ",
                       usec == USEC_NEVER ? "" : usec_format(usec, text));
        maintenance_tell(service, MESSAGE_MAINTENANCE_ON, what);
        service_record_maintenance(service, "begun");
        return 0;
}

_public_ int
hale_service_set_maintenance(hale_service *service, uint64_t usec, const char *reason) {
        int r = 0;

        SERVICE_CHECK(service);
        RETURN_IF_FAIL(!service->is_worker, -ESTALE);

        if (usec == 0)
                maintenance_end(service, "has ended");
        else
                r = maintenance_begin(service, usec, reason);
        if (r < 0)
                return r;

        service->health.revision++;
        service_unsettle(service);
        return 0;
}
