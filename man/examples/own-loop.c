/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <hale/hale.h>
#include <stdio.h>
#include <systemd/sd-event.h>

static void on_change(hale_service *service, void *userdata) {
        (void)userdata;
        printf("%s, %s\n",
               hale_phase_to_string(hale_service_get_phase(service)),
               hale_status_to_string(hale_service_get_health(service)));
}

int main(void) {
        sd_event *event = NULL;
        hale_service *service = NULL;
        int r;

        /* Blocks the signals: so before any thread is started. */
        r = hale_service_new(&service, "own-loop");
        if (r >= 0)
                r = sd_event_new(&event);
        if (r >= 0)
                r = hale_service_attach(service, event);
        if (r >= 0)
                r = hale_service_on_change(service, on_change, NULL);
        if (r >= 0)
                r = hale_service_add_check(service, NULL, "loop",
                                           HALE_GATE_LIVE, "loop:");
        if (r >= 0)
                r = hale_service_start(service);
        if (r >= 0)
                r = sd_event_loop(
                        event); /* until SIGTERM or hale_service_stop() */
        if (r >= 0 && !hale_service_is_live(service))
                r = -ENOTRECOVERABLE;

        hale_service_unref(service);
        sd_event_unref(event);
        return hale_exit_status(r);
}
