/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <hale/redis.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "link-bench.h"

#define SCHEME "unix://"
#define ANSWER_LIMIT_MSEC 100

int link_bench_add(hale_service *service, hale_link **ret, const char *target) {
        return hale_redis_add(service, ret, "cache", target);
}

static bool pongs(int fd) {
        struct pollfd answer = { .fd = fd, .events = POLLIN };
        char byte = 0;

        return send(fd, "PING\r\n", 6, MSG_NOSIGNAL) == 6 &&
               poll(&answer, 1, ANSWER_LIMIT_MSEC) > 0 && recv(fd, &byte, 1, 0) == 1 && byte == '+';
}

/* Only for what the runner gives: unix:///PATH. */
bool link_bench_try(const char *target) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        const char *path = target + strlen(SCHEME);
        bool good;
        int fd;

        if (strncmp(target, SCHEME, strlen(SCHEME)) != 0 ||
            strlen(path) >= sizeof(address.sun_path))
                return false;

        memcpy(address.sun_path, path, strlen(path) + 1);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return false;

        good = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && pongs(fd);
        (void)close(fd);
        return good;
}
