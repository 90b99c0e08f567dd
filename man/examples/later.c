/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <hale/hale.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>
#include <unistd.h>

/* Sends the run's number to a server that sends back what it gets (UDP 7). */
static int check_echo(hale_probe *probe, void *userdata) {
        const int *fd = userdata;
        uint32_t run = hale_probe_get_run(probe);

        return send(*fd, &run, sizeof(run), MSG_DONTWAIT) < 0 ? -errno
                                                              : HALE_PENDING;
}

/* An answer to an earlier run has another number: it is counted as late. */
static int
on_answer(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        uint32_t run;

        (void)source, (void)revents;
        if (recv(fd, &run, sizeof(run), MSG_DONTWAIT) == sizeof(run))
                hale_probe_answer(userdata, run, HALE_PASS, NULL);
        return 0;
}

static int connect_echo(const char *address) {
        struct sockaddr_in echo = { .sin_family = AF_INET,
                                    .sin_port = htons(7) };
        int fd;

        if (inet_pton(AF_INET, address, &echo.sin_addr) != 1)
                return -EINVAL;
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&echo, sizeof(echo)) < 0)
                return -errno;
        return fd;
}

int main(int argc, char *argv[]) {
        hale_service *service = NULL;
        hale_probe *probe = NULL;
        int fd, r;

        r = fd = connect_echo(argc > 1 ? argv[1] : "127.0.0.1");
        if (r >= 0)
                r = hale_service_new(&service, "later");
        if (r >= 0)
                r = hale_service_add_probe(service, &probe, "echo",
                                           HALE_GATE_READY, check_echo, &fd);
        if (r >= 0)
                r = sd_event_add_io(hale_service_get_event(service), NULL, fd,
                                    EPOLLIN, on_answer, probe);
        if (r >= 0)
                r = hale_service_run(service);

        hale_probe_unref(probe);
        hale_service_unref(service);
        return hale_exit_status(r);
}
