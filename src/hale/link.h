/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Links
 *
 * A link is a connection to something outside, such as a database, that hale keeps
 * up: it connects, asks now and then whether the other side still answers, and
 * connects anew when it does not, for ever. The program brings the functions that
 * know how:
 *
 *     static int queue_open(hale_link *link, void *userdata) {
 *             ... begin to connect, and return at once ...
 *             return HALE_PENDING;    // hale_link_up() or hale_link_down() follows
 *     }
 *
 *     static const hale_link_ops queue_ops = {
 *             .open = queue_open,
 *             .check = queue_check,
 *             .close = queue_close,
 *     };
 *
 *     r = hale_service_add_link(service, &link, "queue", &queue_ops, &queue);
 *
 * For PostgreSQL, Redis and AMQP there are libraries that bring them along: see
 * postgres.h, redis.h and amqp.h.
 *
 * What hale adds: a deadline for each attempt and each question; short waits at
 * first and growing ones then, spread so that the clients of a server that comes
 * back do not come all at once; a breaker that after five failures in a row lets
 * single trials through only. With the defaults one link makes at most 64 attempts
 * in ten minutes, however ill the other side is.
 *
 * A link is also a probe of its name, of the type "link". While it is not up that
 * fails and closes `ready`: the service gets no work that it cannot do. It does not
 * close `live`, for to restart the clients of a database does not heal the database.
 *
 * All calls are for the thread of the loop, but for those that a blocking callback
 * needs: hale_link_down(), _get_name(), _ref() and _unref().
 */

#include <stdint.h>

#include "hale/probe.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sd_event_source;

typedef struct hale_link hale_link;

typedef enum hale_link_state {
        HALE_LINK_DOWN, /* and waits for the next attempt */
        HALE_LINK_CONNECTING,
        HALE_LINK_UP,
} hale_link_state;

/* The word for it ("connecting"); NULL for a value that is none. */
const char *hale_link_state_to_string(hale_link_state state);

/*
 * How to connect. The structure must outlive the link; any function may be NULL.
 *
 *   open   begins a connection: returns 0 (it is up), HALE_PENDING (hale_link_up() or
 *          hale_link_down() says so later), HALE_REPORTED (they have said so already),
 *          or a negative errno. Without it the program connects by itself, and tells.
 *   check  asks the other side for a sign of life over the connection, a real round
 *          trip. The same results; anything but "up" means that the connection is lost.
 *   close  leaves nothing of the connection, or of the attempt. Called exactly once for
 *          each open(), whatever became of it, and before the next. After it nothing may
 *          be told of that connection any more.
 *   changed  as hale_link_on_change(), for a library that leaves that to the program: comes
 *          before it, and in the loop's thread for blocking links, too.
 *   free   called once, when nothing is called any more: @userdata may go.
 */
typedef struct hale_link_ops {
        int (*open)(hale_link *link, void *userdata);
        int (*check)(hale_link *link, void *userdata);
        void (*close)(hale_link *link, void *userdata);
        void (*changed)(hale_link *link, void *userdata);
        void (*free)(void *userdata);
} hale_link_ops;

/*
 * Adds a link and a probe of the same name. @ops NULL: the program connects by
 * itself. With @ret the caller owns a reference; with NULL the link floats: it lives
 * as long as the service. The link connects when the service starts, or at once if it
 * has started.
 *
 * Returns 0, -EEXIST if a probe or link has the name, -EINVAL, -E2BIG at the limit of
 * 256, -ESTALE when the service stops or has stopped, -ENOMEM, -ECHILD in a forked child.
 */
int hale_service_add_link(hale_service *service,
                          hale_link **ret,
                          const char *name,
                          const hale_link_ops *ops,
                          void *userdata);

/* The link of that name, or NULL. The service keeps the reference. */
hale_link *hale_service_find_link(hale_service *service, const char *name);

/* Take and give back a reference. Both take NULL. _unref() returns NULL. */
hale_link *hale_link_ref(hale_link *link);
hale_link *hale_link_unref(hale_link *link);
void hale_link_unrefp(hale_link **link);

/*
 * It is up; it is not, with a reason for people (printf-like, or NULL). From open() and
 * check() (which then return HALE_REPORTED), after their HALE_PENDING, and at any other
 * time when the program knows better: a query failed because the server is gone.
 *
 * Return HALE_REPORTED, -ESTALE if that is over (nothing is being connected), -EPERM in
 * another thread, -EINVAL.
 */
int hale_link_up(hale_link *link);
int hale_link_down(hale_link *link, const char *format, ...) HALE_PRINTF(2, 3);

/*
 * For news that may come late: hale_link_get_generation() numbers the attempts, and with
 * them the connections, from 1. hale_link_answer() is hale_link_up() for @result 0, and
 * hale_link_down() with the text of that negative errno otherwise, but only if
 * @generation is the present one: otherwise it is counted, and returns -ESTALE.
 */
uint32_t hale_link_get_generation(hale_link *link);
int hale_link_answer(hale_link *link, uint32_t generation, int result);

/*
 * Closes the connection and makes a new one at once; or does not wait any longer for
 * the next attempt. Returns 0, -EINPROGRESS while it is connecting, -EOPNOTSUPP without
 * open(), -ESTALE when the service does not run, -EPERM in another thread.
 */
int hale_link_reopen(hale_link *link);

/*
 * Settings: before the first attempt, which is made when the service has started, or, for a
 * link that was added later, when the loop turns next.
 *
 * With @blocking not 0, open(), check() and close() run in a thread of hale's pool, one
 * at a time, and may block; HALE_PENDING is then no answer. The deadlines hold all the
 * same: a thread that exceeds one is abandoned and counted, and the link stays down
 * until it returns, so that no link holds more than one. @userdata must stay valid until
 * the free function was called. A call that waits without end of its own is never freed.
 *
 * Returns 0, -EINVAL without open(), -EBUSY after the first attempt.
 */
int hale_link_set_blocking(hale_link *link, int blocking);

/*
 * The deadline of an attempt (5 s); how often it is checked (10 s; UINT64_MAX: never) and
 * how long that may take (5 s). Between 1 ms and a day. Return 0, -EINVAL, -EBUSY.
 */
int hale_link_set_connect_timeout_usec(hale_link *link, uint64_t usec);
int hale_link_set_check_interval_usec(hale_link *link, uint64_t usec);
int hale_link_set_check_timeout_usec(hale_link *link, uint64_t usec);

/*
 * The waits between attempts: @min_usec (200 ms, and up to a quarter more) for the first
 * few, then somewhere between that and three times the last wait, up to @max_usec (30 s).
 * A connection that has lasted for @stable_usec (10 s) makes up for the failures before;
 * it is connected anew at once when it is lost.
 *
 * After @failures in a row (5; 0: never) the breaker opens: the pause before each trial
 * grows to at least 12 s, or @max_usec.
 *
 * Return 0, -EINVAL unless 1 ms <= min <= max <= 1 day, -EBUSY.
 */
int hale_link_set_backoff_usec(hale_link *link, uint64_t min_usec, uint64_t max_usec);
int hale_link_set_stable_usec(hale_link *link, uint64_t stable_usec);
int hale_link_set_breaker(hale_link *link, unsigned failures);

/*
 * What the link's probe closes while it is not up: HALE_GATE_READY (the default),
 * HALE_GATE_STARTUP, both, or nothing for what the service can do without. Returns 0,
 * -EBUSY, -EINVAL, also for HALE_GATE_LIVE:
 */
int hale_link_set_gates(hale_link *link, int gates);

/*
 * Closes `live`, too, while the link is down: when the other side has an outage, this
 * service, and every one that does the same, is restarted again and again until it is
 * over. Only for a connection that a new process can make and this one cannot. Is
 * written to the log. Returns 0, -EBUSY.
 */
int hale_link_set_gates_live_dangerously(hale_link *link);

/*
 * Called when the link has come up (ask hale_link_is_up()) and when it has gone down,
 * before close(): time to let go of what belongs to the connection. May use the link,
 * hale_link_reopen() too.
 */
typedef void (*hale_link_change_t)(hale_link *link, void *userdata);
int hale_link_on_change(hale_link *link, hale_link_change_t change, void *userdata);

/* What to know of it. _is_up() returns 1 or 0. _get_reason(): why it is not up, "" if it is or
 * was not tried yet; valid until the next change. _get_n_attempts(): since the service started. */
int hale_link_is_up(hale_link *link);
hale_link_state hale_link_get_state(hale_link *link);
const char *hale_link_get_name(hale_link *link);
const char *hale_link_get_reason(hale_link *link);
uint64_t hale_link_get_n_attempts(hale_link *link);
hale_service *hale_link_get_service(hale_link *link);

/* The userdata of a link that was added with just these @ops, else NULL: for libraries that bring
 * the functions, to tell their own links from others. */
void *hale_link_get_userdata(hale_link *link, const hale_link_ops *ops);

/*
 * Helps for open().
 *
 * _resolve(): asks for the addresses of @host in the pool, for names are resolved anew
 * at each attempt and getaddrinfo(3) blocks. Then calls @resolved, unless the attempt is
 * over, with up to 16 of them in numbers ("192.0.2.1", "fe80::1%eth0"); or with none and
 * why, for hale_link_down(). From within, for numbers, and when nobody can be asked because
 * the last lookup of this link, or the whole pool, is stuck. One at a time. Returns 0,
 * -EINVAL, -EBUSY, -ESTALE when it is not connecting, -EPERM in another thread, -ENOMEM.
 *
 * _give_way(): for the handler of a source of yours that reads what the server sends, to be
 * called at its start. A server that sends without end keeps the source always ready, and
 * the deadlines of the link and the ping of the watchdog, which come later in the loop, would
 * never have their turn: each 32nd call disables the source until everybody has had one. @source
 * is where you keep it, NULL once it is gone; close() ends it. Returns 1 if it was disabled, else
 * 0, -EINVAL, -EPERM, -ESTALE, -ENOMEM.
 *
 * _tune_socket(): TCP keepalive (after 30 s, 3 times every 10 s) and TCP_USER_TIMEOUT
 * (15 s), so that a peer that vanished is noticed; does nothing to other sockets.
 * Returns 0, or what setsockopt(2) returned.
 */
typedef void (*hale_link_resolved_t)(hale_link *link,
                                     const char *const *addresses,
                                     unsigned n_addresses,
                                     const char *error,
                                     void *userdata);
int hale_link_resolve(hale_link *link, const char *host, hale_link_resolved_t resolved);
int hale_link_give_way(hale_link *link, struct sd_event_source **source);
int hale_link_tune_socket(int fd);

#ifdef __cplusplus
}
#endif
