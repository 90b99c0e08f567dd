/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * This process is a worker: what hale_service_new() and hale_service_run() do then
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "service/worker.h"

static const char *complaint_about_child(int error) {
        switch (error) {
        case -ESRCH:
                return "its service has died";
        case -EPROTO:
                return "its service runs with another version of libhale, and has to be restarted";
        default:
                return strerror(-error);
        }
}

int service_child_init(hale_service *service) {
        int r;

        r = child_take(&service->child);
        if (r < 0) {
                /* Our stderr is the service's, and who reads it should know who speaks. */
                (void)fprintf(stderr, "hale: cannot be the worker that $%s asks for: %s\n",
                              SPAWN_NAME_VARIABLE, complaint_about_child(r));
                return r;
        }

        service->is_worker = r > 0;
        return 0;
}

_public_ int hale_service_is_worker(hale_service *service) {
        return service && service->is_worker;
}

int service_child_run(hale_service *service) {
        Child *child = &service->child;
        hale_worker *worker;
        int r;

        RETURN_IF_FAIL(service->state == SERVICE_NEW, -EBUSY);

        worker = hale_service_find_worker(service, child->name);
        if (!worker) {
                (void)journal_log(&service->journal, LOG_ERR,
                                  "There is no worker '%s' in its own process: the program must "
                                  "add the same workers each time that it runs",
                                  child->name);
                return -ENOENT;
        }

        /* The function may give back the last reference but this. */
        (void)hale_service_ref(service);
        service->state = SERVICE_WORKING;
        r = child_begin(child);
        if (r > 0) {
                service->working = worker;
                r = worker->main(worker, worker->userdata);
                child_end(child, r);
        }

        service->working = NULL;
        service->state = SERVICE_STOPPED;
        (void)hale_service_unref(service);
        return MIN(r, 0);
}

/* A program with a loop of its own goes on to that; it finds that the loop has ended. */
int service_child_start(hale_service *service) {
        int r;

        (void)hale_service_ref(service);
        r = service_child_run(service);
        if (r >= 0)
                r = MIN(sd_event_exit(service->event, 0), 0);
        (void)hale_service_unref(service);
        return r;
}
