/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/fd.h"
#include "base/macro.h"
#include "base/names.h"
#include "check/cgroup-path.h"
#include "check/pressure.h"
#include "core/defaults.h"

/* What systemd gives is a line; more is a mistake. */
#define WRITE_MAX 512

/* Events in a window that are listened to. */
#define PRESSURE_EVENTS_MAX 4

/* clang-format off */
static const char *const kind_names[] = {
        [PRESSURE_NONE]     = "none",
        [PRESSURE_ASSIGNED] = "assigned",
        [PRESSURE_TRIGGER]  = "trigger",
        [PRESSURE_AVERAGES] = "averages",
};
/* clang-format on */

static_assert(ELEMENTSOF(kind_names) == _PRESSURE_KIND_MAX, "a kind lacks its name");

const char *pressure_kind_to_string(PressureKind kind) {
        return name_table_to_string(kind_names, ELEMENTSOF(kind_names), (int)kind);
}

static int base64_value(char c) {
        static const char letters[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        const char *p = c ? strchr(letters, c) : NULL;

        return p ? (int)(p - letters) : -EINVAL;
}

/* Returns the length, -EINVAL, or -E2BIG. RFC 4648 section 4. */
static ssize_t base64_decode(const char *text, char buffer[static WRITE_MAX]) {
        size_t n = strlen(text), length = 0;
        uint32_t bits = 0;

        if (n % 4 != 0)
                return -EINVAL;
        while (n > 0 && text[n - 1] == '=')
                n--;
        if (n % 4 == 1)
                return -EINVAL;

        for (size_t i = 0; i < n; i++) {
                int value = base64_value(text[i]);

                if (value < 0)
                        return -EINVAL;
                bits = bits << 6 | (uint32_t)value;
                if (i % 4 == 0)
                        continue;
                if (length >= WRITE_MAX)
                        return -E2BIG;
                buffer[length++] = (char)(bits >> (6 - i % 4 * 2));
        }

        return (ssize_t)length;
}

static void pressure_close(Pressure *pressure) {
        pressure->source = sd_event_source_disable_unref(pressure->source);
        pressure->fd = fd_close(pressure->fd);
        pressure->kind = PRESSURE_NONE;
}

static int on_pressure(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Pressure *pressure = userdata;
        char ignored[256];

        (void)source;

        /* A pipe or a socket: what is written there has no meaning, but its end has. */
        if (revents & EPOLLIN && read(fd, ignored, sizeof(ignored)) == 0)
                revents = EPOLLHUP;

        /* The group, or whoever told us, is gone. Of a group that was removed the kernel says so
         * together with EPOLLPRI, and without end. */
        if (revents & (EPOLLERR | EPOLLHUP)) {
                pressure_close(pressure);
                return 0;
        }

        pressure->n_events++;
        pressure->handler(pressure->userdata);
        return 0;
}

static int connect_to(const char *path) {
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        _cleanup_close_ int fd = -EBADF;

        if (strlen(path) >= sizeof(un.sun_path))
                return -ENAMETOOLONG;
        memcpy(un.sun_path, path, strlen(path));

        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (const struct sockaddr *)&un, sizeof(un)) < 0)
                return -errno;

        return fd_take(&fd);
}

/* Opens what the manager named, and says which event to wait for. */
static int open_assigned(const char *path, const char *write_text, uint32_t *ret_events) {
        char line[WRITE_MAX];
        _cleanup_close_ int fd = -EBADF;
        ssize_t n = 0;
        struct stat st;

        if (path[0] != '/' || stat(path, &st) < 0)
                return path[0] != '/' ? -EINVAL : -errno;
        if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode))
                return -EBADF;

        if (write_text)
                n = base64_decode(write_text, line);
        if (n < 0)
                return (int)n;

        /* A pipe is opened for writing, too, so that it does not end with its last writer. */
        fd = S_ISSOCK(st.st_mode) ? connect_to(path)
                                  : open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return S_ISSOCK(st.st_mode) ? fd : -errno;
        if (n > 0 && !S_ISFIFO(st.st_mode) && write(fd, line, (size_t)n) != n)
                return -EIO;

        *ret_events = S_ISREG(st.st_mode) ? EPOLLPRI : EPOLLIN;
        return fd_take(&fd);
}

/* Our group's file, with a trigger if that is granted. */
static int open_group(const char *root, PressureKind *ret_kind) {
        char path[PATH_MAX + NAME_MAX], line[64];
        CgroupPath group;
        int fd, n, r;

        r = cgroup_path_find(&group, root);
        if (r < 0)
                return r;

        (void)snprintf(path, sizeof(path), "%s/memory.pressure", group.path);
        n = snprintf(line, sizeof(line), "some %" PRIu64 " %" PRIu64, PRESSURE_STALL_USEC,
                     PRESSURE_WINDOW_USEC);

        fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
        if (fd >= 0 && write(fd, line, (size_t)n + 1) >= 0) {
                *ret_kind = PRESSURE_TRIGGER;
                return fd;
        }

        (void)fd_close(fd);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        *ret_kind = PRESSURE_AVERAGES;
        return fd < 0 ? -errno : fd;
}

/* Keeps @fd, if it can be waited for. Returns 0, or what sd_event_add_io(3) returned. */
static int
pressure_watch(Pressure *pressure, sd_event *event, int64_t priority, int fd, uint32_t events) {
        int r;

        r = sd_event_add_io(event, &pressure->source, fd, events, on_pressure, pressure);
        if (r < 0) {
                (void)fd_close(fd);
                return r;
        }

        pressure->fd = fd;
        (void)sd_event_source_set_description(pressure->source, "hale-pressure");
        (void)sd_event_source_set_priority(pressure->source, priority);

        /* The kernel tells once in a window. Somebody else may never come to an end. */
        (void)sd_event_source_set_ratelimit(pressure->source, PRESSURE_WINDOW_USEC,
                                            PRESSURE_EVENTS_MAX);
        return 0;
}

void pressure_init(Pressure *pressure,
                   sd_event *event,
                   int64_t priority,
                   const PressureConfig *config,
                   pressure_handler_t handler,
                   void *userdata) {
        uint32_t events = 0;
        PressureKind kind;
        int fd = -EBADF;

        assert(pressure);
        assert(config);
        assert(handler);

        *pressure = (Pressure){ .fd = -EBADF, .handler = handler, .userdata = userdata };

        /* The manager's way to say that nobody is to watch. */
        if (config->watch && strcmp(config->watch, "/dev/null") == 0)
                return;

        if (config->watch)
                fd = open_assigned(config->watch, config->write, &events);
        if (fd >= 0 && pressure_watch(pressure, event, priority, fd, events) >= 0) {
                pressure->kind = PRESSURE_ASSIGNED;
                return;
        }

        /* What was assigned makes no sense: our own group does. */
        fd = open_group(config->root ? config->root : "", &kind);
        if (fd < 0)
                return;

        if (kind == PRESSURE_AVERAGES)
                pressure->fd = fd;
        else if (pressure_watch(pressure, event, priority, fd, EPOLLPRI) < 0)
                return;
        pressure->kind = kind;
}

void pressure_done(Pressure *pressure) {
        assert(pressure);

        pressure_close(pressure);
}

void pressure_poll(Pressure *pressure) {
        unsigned percent;
        char text[128];
        ssize_t n;

        assert(pressure);

        if (pressure->kind != PRESSURE_AVERAGES)
                return;

        n = pread(pressure->fd, text, sizeof(text) - 1, 0);
        if (n <= 0) {
                pressure_close(pressure);
                return;
        }

        /* "some avg10=12.34 avg60=…": the whole number is enough. */
        text[n] = '\0';
        if (sscanf(text, "some avg10=%u", &percent) != 1 || percent < PRESSURE_PERCENT)
                return;

        pressure->n_events++;
        pressure->handler(pressure->userdata);
}
