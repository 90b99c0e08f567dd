/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/macro.h"
#include "report/notify.h"

int notify_init(Notify *notify, const char *address) {
        int r;

        assert(notify);

        *notify = (Notify)NOTIFY_INIT;
        if (!address || !address[0])
                return 0;

        r = datagram_init(&notify->datagram, address);
        if (r < 0)
                return r;

        r = datagram_open(&notify->datagram);
        if (r < 0)
                notify->last_error = r;
        return 0;
}

void notify_done(Notify *notify) {
        if (!notify)
                return;

        datagram_done(&notify->datagram);
}

bool notify_is_managed(const Notify *notify) {
        assert(notify);

        return notify->datagram.address_length > 0;
}

/* One attempt; the only place that counts, and that decides when to try again. */
static int notify_send(Notify *notify, const char *data, size_t n, int fd, uint64_t now_usec) {
        int r;

        r = datagram_send(&notify->datagram, data, n, fd);
        if (r < 0) {
                notify->n_failed++;
                notify->last_error = r;
                notify->retry_usec =
                        CLAMP(notify->retry_usec * 2, NOTIFY_RETRY_MIN_USEC, NOTIFY_RETRY_MAX_USEC);
                notify->retry_at_usec = usec_add(now_usec, notify->retry_usec);
                return r;
        }

        notify->n_sent++;
        notify->retry_usec = 0;
        notify->retry_at_usec = 0;
        return 0;
}

/* Sends @verb, with the newest status if @with_status. */
static int
notify_say(Notify *notify, NotifyVerb verb, uint64_t usec, bool with_status, uint64_t now_usec) {
        char message[NOTIFY_MESSAGE_MAX];
        size_t n;
        int r;

        n = notify_format(message, verb, usec, with_status ? notify->status : NULL);
        r = notify_send(notify, message, n, -EBADF, now_usec);
        if (r < 0 || !with_status)
                return r;

        memcpy(notify->told, notify->status, sizeof(notify->told));
        notify->status_waits = false;
        notify->status_at_usec = usec_add(now_usec, STATUS_INTERVAL_USEC);
        return 0;
}

static int notify_send_states(Notify *notify, uint64_t now_usec) {
        int r;

        while (notify->n_queue > 0) {
                const NotifyState *next = &notify->queue[0];

                /* The status is the newest, so it belongs to the newest state. */
                r = notify_say(notify, next->verb, next->usec,
                               notify->n_queue == 1 && notify->status_waits, now_usec);
                if (r < 0)
                        return r;

                notify->n_queue--;
                memmove(notify->queue, notify->queue + 1,
                        notify->n_queue * sizeof(notify->queue[0]));
        }

        return 0;
}

/* What besides the states must not be lost. */
static int notify_send_requests(Notify *notify, uint64_t now_usec) {
        int r;

        if (notify->trigger_waits) {
                r = notify_say(notify, NOTIFY_TRIGGER, 0, true, now_usec);
                if (r < 0)
                        return r;
                notify->trigger_waits = false;
        }

        if (notify->extend_usec > 0) {
                r = notify_say(notify, NOTIFY_EXTEND, notify->extend_usec, false, now_usec);
                if (r < 0)
                        return r;
                notify->extend_usec = 0;
        }

        if (notify->reset_waits) {
                r = notify_say(notify, NOTIFY_RESTART_RESET, 0, false, now_usec);
                if (r < 0)
                        return r;
                notify->reset_waits = false;
        }

        return 0;
}

static void notify_send_all(Notify *notify, uint64_t now_usec) {
        if (!notify_is_managed(notify))
                return;
        if (notify_send_states(notify, now_usec) < 0 || notify_send_requests(notify, now_usec) < 0)
                return;

        if (notify->status_waits && now_usec >= notify->status_at_usec)
                (void)notify_say(notify, NOTIFY_STATUS, 0, true, now_usec);
}

void notify_flush(Notify *notify, uint64_t now_usec) {
        assert(notify);

        if (now_usec >= notify->retry_at_usec)
                notify_send_all(notify, now_usec);
}

uint64_t notify_deadline(const Notify *notify) {
        assert(notify);

        if (!notify_is_managed(notify))
                return USEC_NEVER;
        if (notify->n_queue > 0 || notify->trigger_waits || notify->extend_usec > 0 ||
            notify->reset_waits)
                return notify->retry_at_usec;
        if (notify->status_waits)
                return MAX(notify->status_at_usec, notify->retry_at_usec);

        return USEC_NEVER;
}

/* Makes @text the newest status. It waits if systemd does not know it. */
static void notify_set_status(Notify *notify, const char *text) {
        (void)notify_clean_status(text, text ? strlen(text) : 0, notify->status);
        notify->status_waits = strcmp(notify->status, notify->told) != 0;
}

static bool queue_ends_with(const Notify *notify, unsigned back, NotifyVerb verb) {
        return notify->n_queue >= back && notify->queue[notify->n_queue - back].verb == verb;
}

/*
 * Appends a state. What still waits and means nothing any more gives way, so
 * that the longest queue is READY, RELOADING, READY, STOPPING.
 */
static int notify_state(Notify *notify,
                        NotifyVerb verb,
                        uint64_t usec,
                        const char *status,
                        uint64_t now_usec) {
        if (!notify_is_managed(notify) || notify->stopping)
                return 0;

        if (queue_ends_with(notify, 1, verb))
                notify->n_queue--;
        else if (verb == NOTIFY_RELOADING && queue_ends_with(notify, 1, NOTIFY_READY) &&
                 queue_ends_with(notify, 2, NOTIFY_RELOADING))
                notify->n_queue -= 2;

        assert(notify->n_queue < NOTIFY_QUEUE_MAX);
        notify->queue[notify->n_queue++] = (NotifyState){ .verb = verb, .usec = usec };

        /* More time was for what has come to its end now; later it would extend the watchdog. */
        notify->extend_usec = 0;

        if (status) {
                notify_set_status(notify, status);
                notify->status_waits = true;
        }

        notify_send_all(notify, now_usec);
        return 0;
}

int notify_ready(Notify *notify, const char *status, uint64_t now_usec) {
        assert(notify);

        return notify_state(notify, NOTIFY_READY, 0, status, now_usec);
}

int notify_reloading(Notify *notify, const char *status, uint64_t now_usec) {
        assert(notify);

        return notify_state(notify, NOTIFY_RELOADING, now_usec, status, now_usec);
}

int notify_stopping(Notify *notify, const char *status, uint64_t now_usec) {
        int r;

        assert(notify);

        r = notify_state(notify, NOTIFY_STOPPING, 0, status, now_usec);
        notify->stopping = true;
        return r;
}

int notify_status(Notify *notify, const char *text, uint64_t now_usec) {
        assert(notify);

        /* The reason of a trigger that waits is the last word. */
        if (!notify_is_managed(notify) || notify->trigger_waits)
                return 0;

        notify_set_status(notify, text);
        notify_flush(notify, now_usec);
        return 0;
}

int notify_watchdog(Notify *notify, uint64_t now_usec) {
        int r;

        assert(notify);

        if (!notify_is_managed(notify) || notify->stopping)
                return 0;

        r = notify_say(notify, NOTIFY_WATCHDOG, 0, false, now_usec);
        if (r < 0) {
                notify->n_dropped++;
                return r;
        }

        notify_send_all(notify, now_usec);
        return 1;
}

int notify_trigger(Notify *notify, const char *why, uint64_t now_usec) {
        assert(notify);

        if (!notify_is_managed(notify))
                return 0;

        notify_set_status(notify, why);
        notify->trigger_waits = true;
        notify_send_all(notify, now_usec);
        return 0;
}

int notify_extend(Notify *notify, uint64_t usec, uint64_t now_usec) {
        assert(notify);

        if (!notify_is_managed(notify))
                return 0;

        notify->extend_usec = usec;
        notify_send_all(notify, now_usec);
        return 0;
}

int notify_restart_reset(Notify *notify, uint64_t now_usec) {
        assert(notify);

        if (!notify_is_managed(notify))
                return 0;

        notify->reset_waits = true;
        notify_send_all(notify, now_usec);
        return 0;
}

/* sd_notify(3): ASCII, no control characters, no colon. */
static bool fdname_is_valid(const char *name) {
        size_t n = name ? strnlen(name, FDNAME_LENGTH_MAX + 1) : 0;

        if (n == 0 || n > FDNAME_LENGTH_MAX)
                return false;

        for (size_t i = 0; i < n; i++)
                if (name[i] <= ' ' || name[i] >= 0x7f || name[i] == ':')
                        return false;

        return true;
}

static int notify_send_fd(Notify *notify, const char *assignment, int fd, const char *name) {
        char message[NOTIFY_MESSAGE_MAX];
        int n, r;

        if (!fdname_is_valid(name))
                return -EINVAL;
        if (!notify_is_managed(notify))
                return 0;

        /* With FDPOLL=0 systemd keeps it until we say otherwise, whatever becomes of it. */
        n = snprintf(message, sizeof(message), "%s=1\nFDNAME=%s%s", assignment, name,
                     fd >= 0 ? "\nFDPOLL=0" : "");
        r = datagram_send(&notify->datagram, message, (size_t)n, fd);
        if (r < 0) {
                notify->n_failed++;
                notify->n_dropped++;
                notify->last_error = r;
                return r;
        }

        notify->n_sent++;
        return 0;
}

int notify_fdstore(Notify *notify, int fd, const char *name) {
        assert(notify);
        assert(fd >= 0);

        return notify_send_fd(notify, "FDSTORE", fd, name);
}

int notify_fdstore_remove(Notify *notify, const char *name) {
        assert(notify);

        return notify_send_fd(notify, "FDSTOREREMOVE", -EBADF, name);
}
