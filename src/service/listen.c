/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Sockets that systemd passed
 *
 * Read once and taken out of the environment, and told apart by their names
 * (FileDescriptorName=), for their order changes from start to start. What is not
 * ours is kept for the program, which asks by name.
 */

#include <errno.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "base/fd.h"
#include "service/service.h"

int service_listen_take(hale_service *service) {
        char **names = NULL;
        int n;

        n = sd_listen_fds_with_names(true, &names);
        if (n < 0)
                return n;
        if (n == 0)
                return 0;

        service->passed = calloc((size_t)n, sizeof(*service->passed));
        for (int i = 0; i < n; i++) {
                if (service->passed)
                        service->passed[service->n_passed++] =
                                (PassedSocket){ .fd = SD_LISTEN_FDS_START + i, .name = names[i] };
                else
                        free(names[i]);
        }
        free(names);
        return service->passed ? 0 : -ENOMEM;
}

int service_listen_next(hale_service *service, const char *name) {
        for (size_t i = 0; i < service->n_passed; i++)
                if (service->passed[i].fd >= 0 && strcmp(service->passed[i].name, name) == 0)
                        return fd_take(&service->passed[i].fd);

        return -ENOENT;
}

void service_listen_done(hale_service *service) {
        for (size_t i = 0; i < service->n_passed; i++) {
                (void)fd_close(service->passed[i].fd);
                free(service->passed[i].name);
        }

        free(service->passed);
        service->passed = NULL;
        service->n_passed = 0;
}

_public_ int hale_service_take_socket(hale_service *service, const char *name) {
        SERVICE_CHECK(service);
        RETURN_IF_FAIL(name, -EINVAL);

        return service_listen_next(service, name);
}
