/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/macro.h"
#include "core/defaults.h"
#include "heal/link.h"

/* clang-format off */
static const struct {
        int level, option, value;
} options[] = {
        { SOL_SOCKET,  SO_KEEPALIVE,     1                       },
        { IPPROTO_TCP, TCP_KEEPIDLE,     TCP_KEEPALIVE_IDLE_SEC     },
        { IPPROTO_TCP, TCP_KEEPINTVL,    TCP_KEEPALIVE_INTERVAL_SEC },
        { IPPROTO_TCP, TCP_KEEPCNT,      TCP_KEEPALIVE_PROBES       },
        { IPPROTO_TCP, TCP_USER_TIMEOUT, TCP_UNACKNOWLEDGED_MSEC    },
};
/* clang-format on */

int link_tune_socket(int fd) {
        int protocol = 0;
        socklen_t size = sizeof(protocol);

        if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) < 0)
                return -errno;
        if (protocol != IPPROTO_TCP)
                return 0;

        for (size_t i = 0; i < ELEMENTSOF(options); i++)
                if (setsockopt(fd, options[i].level, options[i].option, &options[i].value,
                               sizeof(options[i].value)) < 0)
                        return -errno;

        return 0;
}
