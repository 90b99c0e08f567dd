/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <hale/hale.h>
#include <poll.h>
#include <stdio.h>

/* In a process of its own: if that crashes, it is started again. */
static int mailer(hale_worker *worker, void *userdata) {
        struct pollfd wait = { .fd = hale_worker_get_stop_fd(worker),
                               .events = POLLIN };

        (void)userdata;
        while (!hale_worker_should_stop(worker)) {
                fputs("a look into the spool\n", stderr);
                hale_worker_beat(worker);
                (void)poll(&wait, 1, 2000);
        }
        return 0;
}

int main(void) {
        hale_service *service = NULL;
        hale_worker *worker = NULL;
        int r;

        /* All of this runs in the worker's process as well. */
        r = hale_service_new(&service, "mail");
        if (r >= 0)
                r = hale_service_add_worker(service, &worker, "mailer", mailer,
                                            NULL);
        if (r >= 0)
                r = hale_worker_set_heartbeat_usec(worker,
                                                   HALE_WORKER_HEARTBEAT_USEC);
        if (r >= 0)
                r = hale_service_run(service); /* there it calls mailer() */

        hale_worker_unref(worker);
        hale_service_unref(service);
        return hale_exit_status(r);
}
