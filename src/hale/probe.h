/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Probes
 *
 * A probe is one named question that a service asks itself again and again: "is
 * the queue draining?", "does the database answer?". Its answers, after
 * thresholds and age, are its verdict, and the verdicts of all probes are the
 * health of the service.
 *
 * Three ways to answer, and one may change between them at each run:
 *
 *   - in the callback: return 0 (pass), a negative errno (fail), or the result of
 *     hale_probe_warn() and its sisters, which also take a text;
 *   - later: return HALE_PENDING from the callback and call hale_probe_pass(),
 *     _warn() or _fail() before the timeout;
 *   - pushed: add the probe without a callback and report whenever there is
 *     news, at least once an interval; silence makes it `unknown`.
 *
 * Callbacks run in the event loop, must not block, and may add or drop probes,
 * unless hale_probe_set_blocking() sent them to the thread pool. The same probe
 * never runs twice at once.
 */

#include <stdint.h>

#include "hale/health.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define HALE_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define HALE_PRINTF(text, first)
#endif

typedef struct hale_service hale_service;
typedef struct hale_probe hale_probe;

/* Return values of a callback besides 0 and a negative errno. */
enum {
        HALE_PENDING = 1,  /* the answer comes later */
        HALE_REPORTED = 2, /* hale_probe_pass(), _warn(), _fail() or _unknown() has given it */
};

/*
 * Asks the question. Returns 0 (pass), a negative errno (fail; its text is the
 * output), HALE_PENDING, or HALE_REPORTED. Anything else is taken for a fail.
 */
typedef int (*hale_probe_check_t)(hale_probe *probe, void *userdata);

/*
 * Adds a probe named @name ([a-z0-9-], at most 63 characters) that closes @gates
 * (hale_gate, or-ed) when it fails. @check may be NULL: results are then pushed.
 * With @ret the caller owns a reference; with NULL the probe floats: it lives as
 * long as the service. May be called before and after the service has started.
 *
 * Returns 0, -EEXIST if the name is taken, -EINVAL for a bad name or gate,
 * -E2BIG at the limit of probes, -ENOMEM, -ECHILD in a forked child.
 */
int hale_service_add_probe(hale_service *service,
                           hale_probe **ret,
                           const char *name,
                           int gates,
                           hale_probe_check_t check,
                           void *userdata);

/*
 * Adds a probe that hale asks itself, from a check spec such as
 * "tcp://localhost:5432", "disk:/var?free=5%", "memory:?max=90%" or "loop:".
 * hale-checks(7) lists them all. The rest is as with hale_service_add_probe().
 *
 * Returns also -EINVAL for a spec that does not parse; the log then shows the
 * place and what was expected there.
 */
int hale_service_add_check(hale_service *service,
                           hale_probe **ret,
                           const char *name,
                           int gates,
                           const char *spec);

/* The probe of that name, or NULL. The service keeps the reference. */
hale_probe *hale_service_find_probe(hale_service *service, const char *name);

/* Take and give back a reference. Both take NULL. _unref() returns NULL. */
hale_probe *hale_probe_ref(hale_probe *probe);
hale_probe *hale_probe_unref(hale_probe *probe);
void hale_probe_unrefp(hale_probe **probe);

/*
 * Takes the probe out of its service: it is asked no more, closes nothing more
 * and shows nowhere. References stay valid. Returns 0, or -ESTALE if it was out.
 */
int hale_probe_drop(hale_probe *probe);

/*
 * The time from the end of one run to the start of the next (default: live 10 s,
 * ready 5 s, startup 1 s, others 10 s), at least 1 ms and at most a day. It is
 * jittered by 10 %. For a pushed probe: how often news is expected.
 *
 * Returns 0, or -EINVAL if out of range or below a timeout that was set.
 */
int hale_probe_set_interval_usec(hale_probe *probe, uint64_t interval_usec);

/*
 * How long a run may take (default: live 3 s, others 2 s, never above the
 * interval). A run that takes longer is a fail, and its late answer is not
 * applied. Returns 0, or -EINVAL if 0 or above the interval.
 */
int hale_probe_set_timeout_usec(hale_probe *probe, uint64_t timeout_usec);

/*
 * How many results in a row turn the verdict to fail (default 3; 1 for a pushed
 * probe), and back to pass (default 1; 2 for ready probes that are asked). The
 * first pass of all counts at once. Returns 0, or -EINVAL unless both are 1..1000.
 */
int hale_probe_set_thresholds(hale_probe *probe, unsigned fail_after, unsigned pass_after);

/*
 * Besides, @m fails among the last @n results turn the verdict to fail: catches
 * what flaps. 0, 0 switches it off, which is the default. Returns 0, or -EINVAL
 * unless 1 <= m <= n <= 64.
 */
int hale_probe_set_window(hale_probe *probe, unsigned m, unsigned n);

/*
 * The age at which a result is worth nothing (default 3 intervals + timeout): the
 * verdict is then `unknown`, which closes `ready` and `live`. Returns 0, or
 * -EINVAL if below 5/4 of interval + timeout, which jitter alone may use up.
 */
int hale_probe_set_stale_usec(hale_probe *probe, uint64_t stale_usec);

/*
 * With @blocking not 0 the callback runs in a thread of hale's pool and may
 * block. The deadline holds all the same: a thread that exceeds it is abandoned,
 * counted and shown, its answer dropped, and @userdata must stay valid until it
 * returns. It has a stack of 256 KiB. At most 2 such threads run at once and at most 4 are
 * abandoned; then blocking probes fail with that reason.
 *
 * Returns 0, -EINVAL for a probe without callback, -EBUSY while it runs.
 */
int hale_probe_set_blocking(hale_probe *probe, int blocking);

/*
 * Reports a result, with a text for people (printf-like, or NULL; it is shown as
 * one line of at most 255 bytes). From the callback, as its return value; after
 * HALE_PENDING; or pushed at any time. May be called from any thread; from
 * another than the loop's the newest report of a probe wins.
 *
 * Returns HALE_REPORTED, -ESTALE if the probe has no service any more or its run
 * is past its deadline, -EINVAL.
 */
int hale_probe_pass(hale_probe *probe, const char *format, ...) HALE_PRINTF(2, 3);
int hale_probe_warn(hale_probe *probe, const char *format, ...) HALE_PRINTF(2, 3);
int hale_probe_fail(hale_probe *probe, const char *format, ...) HALE_PRINTF(2, 3);

/*
 * For answers that may come after the deadline: take the number of the run in the
 * callback, and answer with it. A number that is not the present run's is late: it
 * is counted, not applied. (Without it, a late answer would be taken for that of
 * the run that has begun meanwhile.) hale_probe_get_run() returns 0 outside a run;
 * hale_probe_answer() returns as hale_probe_pass() does. Both may be called from
 * any thread.
 */
uint32_t hale_probe_get_run(hale_probe *probe);
int hale_probe_answer(hale_probe *probe, uint32_t run, hale_status status, const char *format, ...)
        HALE_PRINTF(4, 5);

/* The question could not be put: counts for neither side, and the last answer goes on ageing. */
int hale_probe_unknown(hale_probe *probe, const char *format, ...) HALE_PRINTF(2, 3);

/*
 * Attaches what was measured to the result that is reported next: shown as
 * observedValue and observedUnit ("bytes", "percent", "ms", at most 15 bytes) in
 * health+json. From the callback, in whichever thread it runs, or in the loop's
 * thread before a report. Returns 0, or -EINVAL.
 */
int hale_probe_set_value(hale_probe *probe, double value, const char *unit);

/* Asks now instead of at the next interval. Returns 0, -EINPROGRESS while it is being asked,
 * -EOPNOTSUPP for a pushed probe, -ESTALE. */
int hale_probe_run(hale_probe *probe);

/* The name, the verdict, the gates; and the text of the last result ("" if none), which stays
 * valid until the next result. */
const char *hale_probe_get_name(hale_probe *probe);
hale_status hale_probe_get_verdict(hale_probe *probe);
int hale_probe_get_gates(hale_probe *probe);
const char *hale_probe_get_output(hale_probe *probe);

#ifdef __cplusplus
}
#endif
