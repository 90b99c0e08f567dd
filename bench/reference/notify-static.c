/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Reference: the least that can say READY=1
 *
 * Linked statically, one datagram, then asleep until a signal ends it: the floor
 * of what the kernel asks for a start.
 */

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(void) {
        const char *path = getenv("NOTIFY_SOCKET");
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd;

        if (!path || strlen(path) >= sizeof(address.sun_path))
                return 1;

        memcpy(address.sun_path, path, strlen(path) + 1);
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || sendto(fd, "READY=1", 7, 0, (struct sockaddr *)&address, sizeof(address)) < 0)
                return 1;

        (void)pause();
        return 0;
}
