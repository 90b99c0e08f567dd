/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <hale/hale.h>
#include <pthread.h>
#include <unistd.h>

/* The work, in a thread of its own. It says after each piece that it goes on.
 */
static void *work(void *userdata) {
        hale_probe *beat = userdata;
        char piece[4096];

        while (read(STDIN_FILENO, piece, sizeof(piece)) > 0)
                hale_probe_pass(beat, NULL);
        hale_probe_fail(beat, "there is no more input");
        return NULL;
}

int main(void) {
        hale_service *service = NULL;
        hale_probe *beat = NULL;
        pthread_t thread;
        int r;

        r = hale_service_new(&service, "heartbeat");
        if (r < 0)
                return hale_exit_status(r);

        /* No callback: the thread reports. After 10 s of silence `live` closes.
         */
        r = hale_service_add_probe(service, &beat, "work", HALE_GATE_LIVE, NULL,
                                   NULL);
        if (r >= 0)
                r = hale_probe_set_interval_usec(beat, 2 * 1000 * 1000);
        if (r >= 0)
                r = hale_probe_set_stale_usec(beat, 10 * 1000 * 1000);
        if (r >= 0)
                r = -pthread_create(&thread, NULL, work, beat);
        if (r >= 0)
                r = hale_service_run(service);

        hale_service_unref(service);
        return hale_exit_status(r);
}
