/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Rehearsals: faults on purpose, for a while, and for everybody to see
 */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "service/inject.h"

/* The answer to who asked for it goes out before a fault that stops the loop begins. */
#define BEGIN_USEC (50 * USEC_PER_MSEC)

_public_ int hale_service_allow_faults(hale_service *service, int allow) {
        SERVICE_CHECK(service);

        service->faults_allowed = allow != 0;
        return 0;
}

_public_ int hale_service_is_rehearsing(hale_service *service) {
        return service && !TAILQ_EMPTY(&service->injections);
}

static const char *injection_text(const Injection *injection, char buffer[static INJECTION_MAX]) {
        (void)snprintf(buffer, INJECTION_MAX, "%s%s%s", injection->kind->name,
                       injection->target[0] ? " " : "", injection->target);
        return buffer;
}

/* What is on, "fail-probe db, leak 64M", for all surfaces. */
static void service_note_rehearsal(hale_service *service) {
        const Injection *injection;
        char one[INJECTION_MAX];
        size_t n = 0;

        service->rehearsal[0] = '\0';
        TAILQ_FOREACH (injection, &service->injections, link) {
                (void)snprintf(service->rehearsal + n, sizeof(service->rehearsal) - n, "%s%s",
                               n > 0 ? ", " : "", injection_text(injection, one));
                n = strlen(service->rehearsal);
        }

        service->health.revision++;
        service->results_revision++;
        service_unsettle(service);
}

static void injection_tell(const Injection *injection,
                           MessageKind kind,
                           const char *format,
                           const char *detail) {
        hale_service *service = injection->service;
        char text[INJECTION_MAX], event[2 * RECORDER_TEXT_MAX];

        (void)snprintf(event, sizeof(event), "%s%s%s%s", format, injection->target[0] ? ": " : "",
                       injection->target, detail);
        service_record_event(service, RECORD_FAULT, injection->kind->name, 0, event);
        (void)journal_send(&service->journal, kind,
                           (JournalField[]){
                                   { "HALE_FAULT", injection->kind->name },
                                   { "HALE_TARGET", injection->target },
                           },
                           2, "REHEARSAL of '%s' %s: %s%s", service->name, format,
                           injection_text(injection, text), detail);
}

static void injection_free(Injection *injection) {
        hale_service *service = injection->service;

        wheel_remove(&service->wheel, &injection->timer.node);
        TAILQ_REMOVE(&service->injections, injection, link);
        service->n_injections--;
        if (injection->kind->end)
                injection->kind->end(injection);
        injection->pidfd = fd_close(injection->pidfd);
        injection->over = true;
        if (!injection->in_begin)
                free(injection);
        service_note_rehearsal(service);
}

static void injection_due(void *userdata) {
        Injection *injection = userdata;
        const InjectionKind *kind = injection->kind;
        hale_service *service = injection->service;
        uint64_t now_usec;
        int r;

        if (service_now() >= injection->until_usec) {
                injection_tell(injection, MESSAGE_REHEARSAL_ENDED, "is over", "");
                injection_free(injection);
                return;
        }

        injection->in_begin = true;
        r = kind->begin(injection);
        injection->in_begin = false;
        if (injection->over) { /* the program has stopped the service for it */
                free(injection);
                return;
        }

        if (r < 0) {
                char detail[128];

                (void)snprintf(detail, sizeof(detail), " (%s)", strerror(-r));
                injection_tell(injection, MESSAGE_REHEARSAL_ENDED, "is broken off", detail);
                injection_free(injection);
                return;
        }

        now_usec = service_now();
        service_set_timer(service, &injection->timer,
                          MIN(usec_add(now_usec, kind->again_usec), injection->until_usec));
}

static const InjectionKind *find_kind(const char *name) {
        for (size_t i = 0; i < n_injection_kinds; i++)
                if (strcmp(injection_kinds[i].name, name) == 0)
                        return &injection_kinds[i];

        return NULL;
}

static bool
service_has_injection(const hale_service *service, const InjectionKind *kind, const char *target) {
        const Injection *injection;

        TAILQ_FOREACH (injection, &service->injections, link)
                if (injection->kind == kind && strcmp(injection->target, target) == 0)
                        return true;

        return false;
}

static int injection_new(hale_service *service,
                         const InjectionKind *kind,
                         const char *target,
                         uint64_t amount,
                         uint64_t usec) {
        Injection *injection;
        char text[USEC_TEXT_MAX], detail[USEC_TEXT_MAX + 8];

        injection = malloc(sizeof(*injection));
        if (!injection)
                return -ENOMEM;

        *injection = (Injection){
                .service = service,
                .kind = kind,
                .timer = TIMER_INIT(injection_due, injection),
                .until_usec = usec_add(service_now(), usec_add(usec, BEGIN_USEC)),
                .amount = amount,
                .pidfd = -EBADF,
        };
        (void)snprintf(injection->target, sizeof(injection->target), "%s", target);
        TAILQ_INSERT_TAIL(&service->injections, injection, link);
        service->n_injections++;

        (void)snprintf(detail, sizeof(detail), ", for %s", usec_format(usec, text));
        injection_tell(injection, MESSAGE_REHEARSAL_BEGUN, "begins", detail);
        service_note_rehearsal(service);
        service_set_timer(service, &injection->timer, usec_add(service_now(), BEGIN_USEC));
        return 0;
}

_public_ int hale_service_inject_fault(hale_service *service,
                                       const char *kind_name,
                                       const char *target,
                                       uint64_t usec) {
        const InjectionKind *kind;
        uint64_t amount = 0;
        int r;

        SERVICE_CHECK(service);
        RETURN_IF_FAIL(kind_name && target, -EINVAL);
        RETURN_IF_FAIL(service->faults_allowed, -EPERM);
        RETURN_IF_FAIL(service->state == SERVICE_RUNNING, -ESTALE);

        kind = find_kind(kind_name);
        RETURN_IF_FAIL(kind && strlen(target) <= NAME_LENGTH_MAX, -EINVAL);
        RETURN_IF_FAIL(usec >= INJECTION_MIN_USEC && usec <= INJECTION_MAX_USEC, -ERANGE);
        RETURN_IF_FAIL(!service_has_injection(service, kind, target), -EALREADY);
        RETURN_IF_FAIL(service->n_injections < INJECTIONS_MAX, -E2BIG);

        r = kind->check(service, target, &amount);
        if (r < 0)
                return r;

        return injection_new(service, kind, target, amount, usec);
}

void service_end_rehearsal(hale_service *service) {
        Injection *injection;

        while ((injection = TAILQ_FIRST(&service->injections)))
                injection_free(injection);
}
