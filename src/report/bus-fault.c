/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * InjectFault(): for root and the service's own user; polkit is not asked.
 */

#include <errno.h>

#include "report/bus-object.h"

/* clang-format off */
/* What the source answers when it does not inject a fault. */
static const struct {
        int error;
        const char *name;
        const char *text;
} fault_errors[] = {
        { -EPERM,      ERROR_FAULTS_NOT_ALLOWED,
          "The program does not allow faults to be injected (hale_service_allow_faults())" },
        { -EINVAL,     ERROR_NO_SUCH_FAULT,
          "Expected fail-probe, kill-worker, hang-worker or cut-link and a name, hang-loop and "
          "nothing, or leak and an amount up to 1G" },
        { -ENOENT,     ERROR_NO_SUCH_TARGET,
          "There is nothing of that name" },
        { -ERANGE,     SD_BUS_ERROR_INVALID_ARGS,
          "The duration is out of range, expected 1 ms to 10 minutes in microseconds" },
        { -EALREADY,   SD_BUS_ERROR_FAILED,
          "That fault is being injected already" },
        { -E2BIG,      SD_BUS_ERROR_LIMITS_EXCEEDED,
          "Too many faults are being injected" },
        { -EOPNOTSUPP, SD_BUS_ERROR_NOT_SUPPORTED,
          "That cannot fail in this way: a worker that is a thread cannot be killed" },
        { -ESTALE,     ERROR_NOT_RUNNING,
          "The service, or what is to fail, is not running now" },
};
/* clang-format on */

static int perform_inject_fault(BusCall *call, sd_bus_error *error) {
        const char *kind, *target;
        Bus *bus = call->bus;
        uint64_t usec;
        int r;

        r = sd_bus_message_rewind(call->message, true);
        if (r < 0)
                return r;

        r = sd_bus_message_read(call->message, "sst", &kind, &target, &usec);
        if (r < 0)
                return r;

        r = bus->source->inject_fault(bus->data, kind, target, usec, call->uid);
        for (size_t i = 0; i < ELEMENTSOF(fault_errors); i++) {
                if (fault_errors[i].error == r)
                        return sd_bus_error_set(error, fault_errors[i].name, fault_errors[i].text);
        }

        return r < 0 ? r : 0;
}

int bus_method_inject_fault(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        return bus_call_begin(userdata, message, ACTION_INJECT_FAULT, NULL, perform_inject_fault,
                              error);
}
