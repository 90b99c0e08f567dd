/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Defaults
 *
 * Every number that hale chooses for a service that chose none, with its reason.
 */

#include "base/clock.h"

/* Liveness: the period and thresholds everybody knows from Kubernetes; its time-out of 1 s is
 * known to kill healthy but busy services. */
#define LIVE_INTERVAL_USEC (10 * USEC_PER_SEC)
#define LIVE_TIMEOUT_USEC (3 * USEC_PER_SEC)

/* Readiness moves traffic and is cheap to be wrong about: quicker. */
#define READY_INTERVAL_USEC (5 * USEC_PER_SEC)
#define READY_TIMEOUT_USEC (2 * USEC_PER_SEC)

/* The start is what everybody waits for; TimeoutStartSec= bounds it. */
#define STARTUP_INTERVAL_USEC (1 * USEC_PER_SEC)
#define STARTUP_TIMEOUT_USEC (1 * USEC_PER_SEC)

#define INFO_INTERVAL_USEC (10 * USEC_PER_SEC)
#define INFO_TIMEOUT_USEC (2 * USEC_PER_SEC)

/* One lost answer is an accident, three in a row are not. */
#define FAIL_AFTER 3
#define PASS_AFTER 1

/* Two good answers before traffic comes back stop ping-pong (HAProxy's `rise 2`). */
#define READY_PASS_AFTER 2

/* Whoever pushes a result has thought about it already. */
#define PUSHED_FAIL_AFTER 1
#define PUSHED_PASS_AFTER 1

/* While a verdict is in doubt, ask at this pace: it decides in 3 s instead of 30 s. */
#define FAST_INTERVAL_USEC (1 * USEC_PER_SEC)

/* One lost run is tolerated, three are not: stale after 3 intervals and a time-out. */
#define STALE_INTERVALS 3

/* First runs are spread over at most this, so that a start is no thundering herd, and a long
 * interval does not mean a long blindness. */
#define STAGGER_MAX_USEC (5 * USEC_PER_SEC)

/* Runs drift apart by this part of the interval, either way. */
#define JITTER_PERCENT 10

/* Ping three times a period: one lost or late ping is survived (the man page asks for two). */
#define PINGS_PER_WATCHDOG 3

/* Bounds of the ping interval, against WATCHDOG_USEC=1 and against hours of silence. */
#define PING_MIN_USEC (10 * USEC_PER_MSEC)
#define PING_MAX_USEC USEC_PER_HOUR

/* After WATCHDOG=trigger systemd acts within milliseconds. Whoever has not after this long will
 * not (`systemctl service-watchdogs no`): then we end ourselves. */
#define TRIGGER_GRACE_USEC (5 * USEC_PER_SEC)

/* Each sign of progress at the start or stop buys this much, and all together no more than that:
 * a start that moves may be long, but not endless. */
#define EXTEND_STEP_USEC (15 * USEC_PER_SEC)
#define EXTEND_TOTAL_USEC (10 * USEC_PER_MINUTE)

/* As long as this well and ready, systemd forgets the earlier restarts (RESTART_RESET=1). */
#define STABLE_USEC (10 * USEC_PER_MINUTE)

/* Handlers of the program that answer later. The stop's fits in TimeoutStopSec=30s of our units. */
#define RELOAD_TIMEOUT_USEC (30 * USEC_PER_SEC)
#define STOP_TIMEOUT_USEC (20 * USEC_PER_SEC)
#define DRAIN_MAX_USEC (20 * USEC_PER_SEC)

/* The loop is late: say so long before WatchdogSec= kills for it. */
#define LOOP_LAG_WARN_USEC (200 * USEC_PER_MSEC)
#define LOOP_LAG_FAIL_USEC (5 * USEC_PER_SEC)

/* A loop that hangs is blamed while two thirds of WatchdogSec= are left: a turn that is due with
 * the ping, a third later, is told at three quarters at the latest. */
#define STALLS_PER_WATCHDOG 3

/* Below this a stall is what any busy machine does to a process. */
#define STALL_MIN_USEC (10 * USEC_PER_MSEC)

/* Blame begins once READY=1 is sent, or so long after the start of a service that is not ready. */
#define RECORD_PREPARE_USEC (1 * USEC_PER_SEC)

/* Reconnecting: soon the first time, never a storm, never giving up. */
#define RECONNECT_MIN_USEC (200 * USEC_PER_MSEC)
#define RECONNECT_MAX_USEC (30 * USEC_PER_SEC)

/* CLOCK_BOOTTIME ahead of CLOCK_MONOTONIC, or our own tick behind it, by more than this: the
 * machine or the process was asleep. */
#define GAP_USEC (2 * USEC_PER_SEC)

/* Memory of the control group, of its limit: 80 % is worth a look, at 95 % the OOM killer is near.
 */
#define MEMORY_WARN_PERCENT 80
#define MEMORY_FAIL_PERCENT 95

/* Descriptors, of RLIMIT_NOFILE: beyond 95 % the next burst of clients meets EMFILE. */
#define DESCRIPTORS_WARN_PERCENT 80
#define DESCRIPTORS_FAIL_PERCENT 95

/* Free space and inodes that a disk should have left: ext4 keeps 5 % back for root, too. */
#define DISK_WARN_PERCENT 10
#define DISK_FAIL_PERCENT 5

/* Workers: at once the first time, then as kubelet's crash loop with 1 s to 60 s (KEP-4603). */
#define WORKER_BACKOFF_MIN_USEC (1 * USEC_PER_SEC)
#define WORKER_BACKOFF_MAX_USEC (60 * USEC_PER_SEC)

/* A wait below this is none: a spare may take over by itself. */
#define RESTART_AT_ONCE_USEC USEC_PER_MSEC

/* OTP's 1 in 5 s trips on a hiccup; six deaths in a minute are no hiccup. */
#define WORKER_RESTARTS 5
#define WORKER_WINDOW_USEC (60 * USEC_PER_SEC)

/* Not the first success, but a run of this length says that it works again. */
#define WORKER_STABLE_USEC (60 * USEC_PER_SEC)

/* From the exec to hale_service_run(): the program's own beginning, on a slow disk. */
#define WORKER_START_USEC (30 * USEC_PER_SEC)

/* A worker finishes what it is at within this, or loses it. */
#define WORKER_STOP_USEC (5 * USEC_PER_SEC)

/* What SIGKILL may take; beyond it the process hangs in the kernel, and is reported. */
#define WORKER_KILL_USEC (5 * USEC_PER_SEC)

/* At the very end, how long the service itself waits for those that it has killed. */
#define WORKERS_REAP_USEC (1 * USEC_PER_SEC)

/* At the stop all workers share what the stop handler left of STOP_TIMEOUT_USEC, and at least
 * this, which fits into TimeoutStopSec=30s after a handler that used up all. */
#define WORKERS_STOP_MIN_USEC (5 * USEC_PER_SEC)

/* None of the workers that are stopped one after the other is left with less, if there is as much.
 */
#define STOP_SHARE_USEC (500 * USEC_PER_MSEC)

/* A silent worker is excused while it is starved, but not for more than so many limits. */
#define HEARTBEAT_PATIENCE 10

/* Links: whoever has not let us in by then will not do so this time. */
#define LINK_CONNECT_USEC (5 * USEC_PER_SEC)

/* A dead peer behind a silent network is noticed within the two together. The answer is an empty
 * one, so that only a server that is at its end needs seconds for it, and then it is not helped by
 * all its clients connecting anew: hence not less. */
#define LINK_CHECK_INTERVAL_USEC (10 * USEC_PER_SEC)
#define LINK_CHECK_TIMEOUT_USEC (5 * USEC_PER_SEC)

/* Not the first success, but a connection of this age says that it works again. */
#define LINK_STABLE_USEC (10 * USEC_PER_SEC)

/* After so many failures in a row the breaker opens: only single trials are let through. */
#define LINK_BREAKER_AFTER 5

/* The pause before a trial is at least this, once it has grown so far: 5 failures, 5 trials while
 * it doubles from 400 ms, and then 49 in the rest of ten minutes make 59 attempts, below 64. */
#define LINK_PAUSE_MAX_USEC (12 * USEC_PER_SEC)

/* Half-open connections: three probes every 10 s after 30 s of silence (the kernel waits 2 h), and
 * unacknowledged data for 15 s at most. */
#define TCP_KEEPALIVE_IDLE_SEC 30
#define TCP_KEEPALIVE_INTERVAL_SEC 10
#define TCP_KEEPALIVE_PROBES 3
#define TCP_UNACKNOWLEDGED_MSEC 15000

/* Remedies: what takes longer than this in a loop or a pool is itself a fault. */
#define REMEDY_TIMEOUT_USEC (30 * USEC_PER_SEC)

/* A remedy that is needed again within minutes does not heal: wait longer each time, up to an
 * hour, and not more often than six times in one (monit's `N restarts within M cycles`). */
#define REMEDY_COOLDOWN_USEC (60 * USEC_PER_SEC)
#define REMEDY_COOLDOWN_MAX_USEC USEC_PER_HOUR
#define REMEDY_BUDGET 6
#define REMEDY_BUDGET_USEC USEC_PER_HOUR

/* So long after it could have been used again and was not, a remedy cools down as at first. */
#define REMEDY_STABLE_USEC (10 * USEC_PER_MINUTE)

/* Memory: giving back begins between the warning and the failure, after three samples, and again
 * every 30 s as systemd's own services do. Who is at 95 % for a minute after it goes in order,
 * before the kernel kills. */
#define MEMORY_TRIM_PERCENT 90
#define MEMORY_TRIM_SAMPLES 3
#define MEMORY_TRIM_COOLDOWN_USEC (30 * USEC_PER_SEC)
#define MEMORY_RESTART_USEC (60 * USEC_PER_SEC)

/* Who grows so fast that the limit is that near is not given the three samples or the minute: a
 * stop in order takes a second or two, and there are to be a few looks before it. Growth is what is
 * more than the kernel's own batches and one big allocation, in bytes (or a percent of the limit)
 * and in time. Looking opens nothing and reads three small files: at most ten times a second. */
#define MEMORY_SOON_USEC (5 * USEC_PER_SEC)
#define MEMORY_GROWTH_USEC (250 * USEC_PER_MSEC)
#define MEMORY_GROWTH_BYTES ((uint64_t)512 * 1024)
#define MEMORY_LOOK_USEC (100 * USEC_PER_MSEC)

/* PSI: some task waits for memory for 200 ms in 2 s, which is what systemd chose (PRESSURE.md); a
 * window of 2 s is what the kernel grants the unprivileged. As an average that is 10 %. */
#define PRESSURE_STALL_USEC (200 * USEC_PER_MSEC)
#define PRESSURE_WINDOW_USEC (2 * USEC_PER_SEC)
#define PRESSURE_PERCENT 10
