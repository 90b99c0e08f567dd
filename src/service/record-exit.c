/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Whoever calls exit(3) without a word to us: a library that gives up, a main() that returns. It
 * has ended by itself, and was not killed; only _exit(2) leaves no more than SIGKILL does.
 */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "service/service.h"

static hale_service *watched;

static void on_exit_called(int status, void *userdata) {
        hale_service *service = watched;
        char text[64];

        (void)userdata;

        /* A fork has the same handlers and the same record, but its end is not ours. */
        if (!service || service->pid != getpid() || service->record.state.life == LIFE_TRIGGERED ||
            service->record.state.life == LIFE_GIVEN_UP)
                return;

        (void)snprintf(text, sizeof(text), "exit() was called with status %d", status);
        service_record_ended(service, status == 0 ? 0 : -ECANCELED, text);
}

void service_record_watch_exit(hale_service *service) {
        static bool asked;

        /* The library is linked so that it is never unloaded: the call stays good. */
        watched = service;
        asked = asked || on_exit(on_exit_called, NULL) == 0;
}

void service_record_unwatch_exit(const hale_service *service) {
        if (watched == service)
                watched = NULL;
}
