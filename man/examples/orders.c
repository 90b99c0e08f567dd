/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <hale/hale.h>
#include <stddef.h>

static unsigned n_waiting; /* what this program works on */

static int check_queue(hale_probe *probe, void *userdata) {
        (void)userdata;
        if (n_waiting > 1000)
                return hale_probe_fail(probe, "%u orders wait", n_waiting);
        return 0;
}

int main(void) {
        hale_service *orders = NULL;
        int r;

        r = hale_service_new(&orders, "orders");
        if (r >= 0)
                r = hale_service_add_probe(orders, NULL, "queue",
                                           HALE_GATE_READY, check_queue, NULL);
        if (r >= 0)
                r = hale_service_add_check(orders, NULL, "db", HALE_GATE_READY,
                                           "tcp://[::1]:5432");
        if (r >= 0)
                r = hale_service_run(orders);
        hale_service_unref(orders);
        return hale_exit_status(r);
}
