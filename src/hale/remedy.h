/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Remedies
 *
 * A remedy is something that hale does when a probe fails, before anybody is
 * restarted. The remedies of a probe form a ladder: the first is tried after so many
 * failures, and the probe is asked at once whether it helped; if not, it is the turn
 * of the next.
 *
 *     static int empty_cache(hale_remedy *remedy, void *userdata) {
 *             cache_clear(userdata);
 *             return 0;
 *     }
 *
 *     r = hale_probe_add_remedy(probe, NULL, "empty-cache", 1, empty_cache, &cache);
 *     if (r >= 0)
 *             r = hale_probe_add_reopen_link(probe, NULL, 2, database);
 *     if (r >= 0)
 *             r = hale_probe_add_give_up(probe, 5);
 *
 * While a live probe fails, systemd's watchdog is not pinged; but as long as a remedy
 * is left, systemd is not asked to act either. When the ladder is spent, it is.
 * Remedies of other probes than live ones are tried again, slowly, when they may.
 *
 * Each remedy has a deadline (30 s), a cooldown from the end of a run to the next (60 s,
 * doubling up to an hour, and as at first after ten minutes without need) and an hourly
 * budget (6). One that cools down or has used up its budget is passed over. Each run is
 * written to the journal, with what came of it.
 *
 * All calls are for the thread of the loop, but for _ref(), _unref() and _get_name().
 */

#include <stdint.h>

#include "hale/link.h"
#include "hale/probe.h"
#include "hale/worker.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hale_remedy hale_remedy;

/*
 * Does it. Returns 0 (done), HALE_PENDING (hale_remedy_done() follows), or a negative
 * errno (could not be done). Runs in the loop and must not block, unless
 * hale_remedy_set_blocking() sent it to the pool, where HALE_PENDING is no answer. May
 * drop the probe.
 */
typedef int (*hale_remedy_t)(hale_remedy *remedy, void *userdata);

/*
 * Adds a remedy called @name ([a-z0-9-]) at the end of the ladder of @probe; its turn
 * comes after @after failed answers (1 to 1000) and when all before it were tried. With
 * @ret the caller owns a reference; with NULL it lives as long as the probe is in its
 * service.
 *
 * Returns 0, -EINVAL (bad name or number, or something above give-up), -EEXIST if the ladder
 * has one of that name, -E2BIG above 8, -EBUSY while one is under way, -ESTALE, -ENOMEM.
 */
int hale_probe_add_remedy(hale_probe *probe,
                          hale_remedy **ret,
                          const char *name,
                          unsigned after,
                          hale_remedy_t remedy,
                          void *userdata);

/*
 * Built in; the rest is as with hale_probe_add_remedy().
 *
 * _trim(): asks the program to give back memory (hale_service_on_trim()), and then the
 *   allocator (malloc_trim(3), in the pool). Called "trim".
 * _restart_worker(): restarts @worker, and is done when it runs. "restart-NAME".
 * _reopen_link(): opens @link anew, and is done when it is up. "reopen-NAME".
 * _give_up(): the end of the ladder: from then on the probe closes `live` while it
 *   fails, whatever it closed before. "give-up".
 *
 * @worker and @link must be of the same service, else -EINVAL.
 */
int hale_probe_add_trim(hale_probe *probe, hale_remedy **ret, unsigned after);
int hale_probe_add_restart_worker(hale_probe *probe,
                                  hale_remedy **ret,
                                  unsigned after,
                                  hale_worker *worker);
int hale_probe_add_reopen_link(hale_probe *probe,
                               hale_remedy **ret,
                               unsigned after,
                               hale_link *link);
int hale_probe_add_give_up(hale_probe *probe, unsigned after);

/*
 * For a `memory:` check that does not close `live`: at 90 % of the limit of the control
 * group, three answers in a row, memory is trimmed, again and again every 30 s; also at
 * once when the kernel says that the service waits for memory (PSI). If it is at 95 % or
 * more for a minute after that, or the kernel has begun to kill for it, the service is
 * stopped in order and exits with status 70, so that Restart=on-failure starts it anew.
 * When it grows so fast that the limit is 5 s away, it is trimmed from 80 % on, and goes at
 * 95 % without the minute. Without a limit nothing is done.
 *
 * Before the start. Returns 0, -EINVAL for another check or one that closes `live` or has a
 * ladder, -EBUSY, -ENOMEM.
 */
int hale_probe_add_memory_ladder(hale_probe *probe);

/* Take and give back a reference. Both take NULL. _unref() returns NULL. */
hale_remedy *hale_remedy_ref(hale_remedy *remedy);
hale_remedy *hale_remedy_unref(hale_remedy *remedy);
void hale_remedy_unrefp(hale_remedy **remedy);

/*
 * The end of a run that said HALE_PENDING: @result is 0 or a negative errno. _done() ends the
 * present run, _answer() only that of number @run, which hale_remedy_get_run() gave to
 * the callback: for an end that may come after the deadline, in the middle of the next run.
 *
 * Return 0, -ESTALE if that run is over, -EPERM in another thread, -EINVAL.
 */
int hale_remedy_done(hale_remedy *remedy, int result);
int hale_remedy_answer(hale_remedy *remedy, uint32_t run, int result);
uint32_t hale_remedy_get_run(hale_remedy *remedy);

/*
 * Settings; before the first run. They return 0, -EINVAL if out of range, -EBUSY after it.
 *
 * _set_blocking(): with @blocking not 0 it runs in a thread of hale's pool, and may
 *   block. A thread that exceeds the deadline is abandoned and counted, and userdata must
 *   stay valid until it returns. Not for those that are built in.
 * _set_timeout_usec(): 1 ms to an hour. _set_cooldown_usec(): up to a day; @max_usec is
 *   where it stops doubling. _set_budget(): runs in an hour, 1 to 360.
 */
int hale_remedy_set_blocking(hale_remedy *remedy, int blocking);
int hale_remedy_set_timeout_usec(hale_remedy *remedy, uint64_t timeout_usec);
int hale_remedy_set_cooldown_usec(hale_remedy *remedy, uint64_t cooldown_usec, uint64_t max_usec);
int hale_remedy_set_budget(hale_remedy *remedy, unsigned runs);

/* What to know of it. _get_probe(): NULL once that is out of its service. The numbers are since
 * it was added. */
const char *hale_remedy_get_name(hale_remedy *remedy);
hale_probe *hale_remedy_get_probe(hale_remedy *remedy);
uint64_t hale_remedy_get_n_runs(hale_remedy *remedy);
uint64_t hale_remedy_get_n_healed(hale_remedy *remedy);

/* Called, in the loop, to ask the program to give back memory that it can do without: caches, spare
 * buffers. Must not block. NULL: none. Returns 0. */
typedef void (*hale_trim_t)(hale_service *service, void *userdata);
int hale_service_on_trim(hale_service *service, hale_trim_t trim, void *userdata);

#ifdef __cplusplus
}
#endif
