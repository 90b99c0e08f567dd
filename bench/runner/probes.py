# SPDX-License-Identifier: LGPL-2.1-or-later

"""A hundred thousand probes in a service, and the core alone."""

import os
import re
import time

from .figures import Aim
from .process import NotifySocket, Process, cpus, run_json

PROBES = 100000
SETTLE_SECONDS = 3.0
START_LIMIT = 30.0


def cpu_percent(processes, seconds):
    before = [p.cpu_nsec() for p in processes]
    started = time.monotonic()
    time.sleep(seconds)
    elapsed = time.monotonic() - started
    return [(p.cpu_nsec() - b) / elapsed / 1e7 for p, b in zip(processes, before)]


def measure_service(context, board):
    """Both at once, on a CPU each: what the machine does meanwhile meets both."""
    server_cpu, client_cpu = cpus()
    rounds, seconds = (2, 2) if context.quick else (4, 3)
    log = context.log("probes-hale")
    notify = NotifySocket(os.path.join(context.work, "notify-probes"))
    hale = Process([context.program("service"), "--probes", str(PROBES)], cpu=server_cpu,
                   env={"NOTIFY_SOCKET": notify.path}, log=log)
    bare = Process([context.program("bare-wheel"), str(PROBES)], cpu=client_cpu)
    try:
        board.progress("probes: %d probes start" % PROBES)
        if not notify.wait_ready(START_LIMIT):
            raise RuntimeError("the service with %d probes sent no READY=1" % PROBES)
        ready = time.monotonic()
        board.progress("probes: %d probes for %d s" % (PROBES, rounds * seconds))
        time.sleep(SETTLE_SECONDS)
        pairs = [cpu_percent((hale, bare), seconds) for _ in range(rounds)]
        lasted = time.monotonic() - ready
    finally:
        bare.stop()
        hale.stop()
        notify.close()
    return [p[0] for p in pairs], [p[1] for p in pairs], asked(log) / lasted


def asked(log):
    """How often the service called its probes, as it says at its end."""
    with open(log, encoding="utf-8") as lines:
        found = re.search(r"asked (\d+) times", lines.read())
    if not found:
        raise RuntimeError("the service did not say how often it asked; see its log")
    return int(found.group(1))


def run(context, board):
    server_cpu, _ = cpus()
    hale, bare, rate = measure_service(context, board)
    board.add("probes", "%d one-second probes: CPU" % PROBES, hale, "%", bare, "bare wheel",
              Aim("value", 1.5), detail={"runs_per_second": round(rate)})
    board.say("%.0f callbacks a second" % rate)

    rounds, results = (2, 1000000) if context.quick else (5, 3000000)
    for probes in (1000, PROBES):
        rows = []
        for n in range(rounds):
            board.progress("probes: core, %d probes, round %d of %d" % (probes, n + 1, rounds))
            rows.append(run_json([context.program("core"), str(probes), str(results)],
                                 cpu=server_cpu))
        # Millions a second, from nanoseconds each.
        board.add("probes", "core: results a second, %d probes" % probes,
                  [1e3 / r["nsec"] for r in rows], "M/s",
                  [1e3 / r["reference_nsec"] for r in rows], "a call each",
                  Aim("value", 5, least=True))
