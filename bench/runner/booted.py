# SPDX-License-Identifier: LGPL-2.1-or-later

"""Under a real systemd: how long healing takes, and whether a restart is noticed.

Boots a throw-away container (tests/booted/boot) in which inside.py does the work."""

import json
import os
import subprocess
import sys

from .figures import Aim
from .process import Skipped

CANNOT_BOOT = 77
BUILD, SOURCE = "/mnt/build", "/mnt/bench"  # in the container


def boot(context, what, *args):
    script = os.path.join(context.source, "..", "tests", "booted", "boot")
    limit = 60 if context.quick else 120
    command = [script, "--limit", str(limit), "--bind", "%s:%s" % (context.build, BUILD),
               "--bind", "%s:%s" % (context.source, SOURCE), "--",
               sys.executable, "-B", SOURCE + "/runner/inside.py", what, BUILD + "/bench"]
    done = subprocess.run(command + list(args), stdin=subprocess.DEVNULL, timeout=limit + 60,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    output = done.stdout.decode(errors="replace").strip().split("\n")
    errors = done.stderr.decode(errors="replace").strip()
    if done.returncode == CANNOT_BOOT:
        raise Skipped(errors.split("\n")[-1])
    if done.returncode != 0 or not output[-1].startswith("{"):
        raise RuntimeError("in the container, exit status %d: %s" % (
            done.returncode, " | ".join((output + errors.split("\n"))[-8:])))
    return json.loads(output[-1])


def run_heal(context, board):
    repetitions = 5 if context.quick else 20
    board.progress("heal: %d repetitions in a container" % repetitions)
    times = boot(context, "heal", str(repetitions))
    hale, bare = times["hale"], times["bare"]
    for key, name, limit in (("act", "live verdict fail to systemd acting", 20),
                             ("main", "  to main() of the next run", None),
                             ("active", "live verdict fail to READY again", 60)):
        board.add("heal", name, [t[key] for t in hale], "ms", [t[key] for t in bare],
                  "bare trigger", limit and Aim("value", limit))
    board.say("%d of %d healed; slowest %.0f ms" % (
        len(hale), repetitions, max(t["active"] for t in hale)))


def run_restarts(context, board):
    probes, restarts = (800, 4) if context.quick else (2000, 10)
    board.progress("restarts: %d restarts under %d probes" % (restarts, probes))
    result = boot(context, "restarts", str(probes), str(restarts))
    held, own = result["held"], result["own"]
    board.add("restarts", "%d probes, %d restarts, socket unit: failed" % (
        probes, held["restarts"]), [failed(held)], "", [failed(own)], "own address",
        Aim("value", 0), detail=held)
    board.say("slowest answer %.0f ms, median %.2f ms; a restart took %.0f ms" % (
        held["max_us"] / 1e3, held["p50_us"] / 1e3, held["restart_ms"]))


def failed(result):
    return sum(result[kind] for kind in ("refused", "broken", "wrong", "late"))
