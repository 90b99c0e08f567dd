/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Mail: reports from other threads
 *
 * Each probe has room for one report, so that no thread can fill the memory, and
 * the newest wins; an eventfd wakes the loop. One lock for all: it is held for the
 * copying of a few hundred bytes.
 */

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "service/service.h"

static pthread_mutex_t mail_lock = PTHREAD_MUTEX_INITIALIZER;

int probe_post(hale_probe *probe, const Report *report) {
        int r = -ESTALE;

        pthread_mutex_lock(&mail_lock);
        if (probe->service) {
                hale_service *service = probe->service;

                if (!probe->mail)
                        probe->mail = malloc(sizeof(*probe->mail));
                r = probe->mail ? HALE_REPORTED : -ENOMEM;
                if (probe->mail) {
                        *probe->mail = *report;
                        if (!probe->has_mail)
                                TAILQ_INSERT_TAIL(&service->mail, probe, mail_link);
                        probe->has_mail = true;
                        if (service->mail_fd >= 0)
                                (void)eventfd_write(service->mail_fd, 1);
                }
        }
        pthread_mutex_unlock(&mail_lock);

        return r;
}

void probe_mail_drop(hale_probe *probe) {
        pthread_mutex_lock(&mail_lock);
        if (probe->has_mail)
                TAILQ_REMOVE(&probe->service->mail, probe, mail_link);
        probe->has_mail = false;
        probe->service = NULL;
        pthread_mutex_unlock(&mail_lock);
}

/* Takes one report out; the probe comes with a reference. */
static hale_probe *service_mail_take(hale_service *service, Report *ret_report) {
        hale_probe *probe;

        pthread_mutex_lock(&mail_lock);
        probe = TAILQ_FIRST(&service->mail);
        if (probe) {
                TAILQ_REMOVE(&service->mail, probe, mail_link);
                probe->has_mail = false;
                *ret_report = *probe->mail;
                (void)hale_probe_ref(probe);
        }
        pthread_mutex_unlock(&mail_lock);

        return probe;
}

static int on_mail(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        hale_service *service = userdata;
        hale_probe *probe;
        eventfd_t count;
        Report report;

        (void)source, (void)revents;
        (void)hale_service_ref(service);
        (void)eventfd_read(fd, &count);

        while ((probe = service_mail_take(service, &report))) {
                (void)probe_take_report(probe, &report);
                (void)hale_probe_unref(probe);
        }

        service_settle(service);
        (void)hale_service_unref(service);
        return 0;
}

int service_mail_init(hale_service *service) {
        int fd, r;

        fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (fd < 0)
                return -errno;

        /* Threads may have reported before the start: what waits is kept, and wakes the loop. */
        pthread_mutex_lock(&mail_lock);
        service->mail_fd = fd;
        if (!TAILQ_EMPTY(&service->mail))
                (void)eventfd_write(fd, 1);
        pthread_mutex_unlock(&mail_lock);

        r = sd_event_add_io(service->event, &service->mail_source, fd, EPOLLIN, on_mail, service);
        if (r < 0)
                return r;

        (void)sd_event_source_set_description(service->mail_source, "hale-mail");
        return sd_event_source_set_priority(service->mail_source, PRIORITY_PROBE);
}

void service_mail_done(hale_service *service) {
        service->mail_source = sd_event_source_disable_unref(service->mail_source);

        /* A thread that reports meanwhile must not write to what gets this number next. */
        pthread_mutex_lock(&mail_lock);
        service->mail_fd = fd_close(service->mail_fd);
        pthread_mutex_unlock(&mail_lock);
}
