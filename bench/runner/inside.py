#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later

"""inside: the part of the benchmarks that runs in the container, as root, beside a real systemd.

    inside.py heal PROGRAMS REPETITIONS
    inside.py restarts PROGRAMS PROBES RESTARTS

Writes units, drives them, and prints one JSON object as its last line."""

import json
import os
import signal
import subprocess
import sys
import time

UNITS = "/run/systemd/system"
HELD_PORT, OWN_PORT = 8081, 8082
LIMIT = 15.0
POLL = 0.002

# Not hardened, as the aim says: mount namespaces and filters cost 70 ms a start (ProtectSystem=
# and the like), which is systemd's work and not ours. No core dumps: they cost what a disk costs.
SERVICE = """[Unit]
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart=%s
WatchdogSec=10s
Restart=always
RestartSec=0
LimitCORE=0
"""

SOCKET = """[Socket]
ListenStream=127.0.0.1:%d
FileDescriptorName=http
DeferAcceptSec=1s
"""


def systemctl(*args):
    done = subprocess.run(["systemctl", *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False)
    if done.returncode != 0:
        subprocess.run(["journalctl", "--no-pager", "-n", "30", "-o", "cat"], check=False)
        sys.exit("systemctl %s: %s" % (" ".join(args), done.stdout.decode().strip()))
    return done.stdout.decode()


def show(unit, *properties):
    text = systemctl("show", unit, "-p", ",".join(properties))
    return dict(line.split("=", 1) for line in text.strip().split("\n"))


def write_unit(name, text):
    os.makedirs(UNITS, exist_ok=True)
    with open(os.path.join(UNITS, name), "w", encoding="utf-8") as out:
        out.write(text)


def wait_for(what, condition):
    """Asks @condition until it gives something."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(POLL)
    sys.exit("waited %d s in vain for %s" % (LIMIT, what))


def events(path):
    """What the program noted, in order: (nanoseconds, word)."""
    with open(path, encoding="utf-8") as lines:
        return [(int(n), word) for n, word in (line.split() for line in lines)]


def heal_once(unit, path):
    """Makes the service sick. Returns the milliseconds from its failing answer to what followed."""
    pid = int(show(unit, "MainPID")["MainPID"])
    before = len(events(path))
    os.kill(pid, signal.SIGUSR1)
    wait_for(unit + " to be ready again", lambda: any(
        word == "ready" for _, word in events(path)[before:]))

    moments = {word: n for n, word in reversed(events(path)[before:])}
    missing = {"fail", "main"} - moments.keys()
    if missing:
        sys.exit("%s: noted %s, but not %s" % (unit, sorted(moments), sorted(missing)))
    active = wait_for(unit + " to be active", lambda: active_since(unit, moments["fail"]))
    return {
        # Who is stopped by a signal other than SIGABRT notes none; then its end is what we know.
        "act": (moments.get("signal", moments["main"]) - moments["fail"]) / 1e6,
        "main": (moments["main"] - moments["fail"]) / 1e6,
        "active": (active - moments["fail"]) / 1e6,
    }


def active_since(unit, after_nsec):
    """When systemd took READY=1, if that was later than @after_nsec."""
    state = show(unit, "ActiveState", "ActiveEnterTimestampMonotonic")
    nsec = int(state["ActiveEnterTimestampMonotonic"]) * 1000
    return nsec if state["ActiveState"] == "active" and nsec > after_nsec else None


def heal(programs, repetitions):
    paths = {"hale": "/run/events-hale", "bare": "/run/events-bare"}
    write_unit("bench-hale.service", SERVICE % (
        "%s/service --events %s" % (programs, paths["hale"])))
    write_unit("bench-hale.socket", SOCKET % HELD_PORT)
    write_unit("bench-bare.service", SERVICE % ("%s/bare-trigger %s" % (programs, paths["bare"])))
    systemctl("daemon-reload")
    systemctl("start", "bench-hale.socket", "bench-hale.service", "bench-bare.service")

    times = {"hale": [], "bare": []}
    for name in times:
        heal_once("bench-%s.service" % name, paths[name])  # warms the page cache
    for _ in range(int(repetitions)):
        for name, rows in times.items():
            rows.append(heal_once("bench-%s.service" % name, paths[name]))
    return times


def restart_under_load(programs, unit, port, probes, restarts):
    probes, restarts = int(probes), int(restarts)
    load = subprocess.Popen(
        [programs + "/load", "--connect", "127.0.0.1:%d" % port, "--fresh", "--every-usec", "1000",
         "--requests", str(probes), "--connections", "1024"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    began = time.monotonic()
    took = []
    for n in range(restarts):
        time.sleep(max(0, began + (n + 0.5) * probes / 1000 / restarts - time.monotonic()))
        started = time.monotonic()
        systemctl("restart", unit)
        took.append((time.monotonic() - started) * 1e3)
    lasted = time.monotonic() - began
    result = json.loads(load.communicate(timeout=90)[0])
    if result["seconds"] < lasted:
        sys.exit("the probes were over before the last restart")
    result.update(restarts=restarts, restart_ms=sorted(took)[len(took) // 2])
    return result


def restarts_bench(programs, probes, restarts):
    write_unit("bench-held.service", SERVICE % (programs + "/service"))
    write_unit("bench-held.socket", SOCKET % HELD_PORT)
    write_unit("bench-own.service", SERVICE % (
        "%s/service --listen 127.0.0.1:%d" % (programs, OWN_PORT)))
    systemctl("daemon-reload")
    systemctl("start", "bench-held.socket", "bench-held.service", "bench-own.service")
    return {
        "held": restart_under_load(programs, "bench-held.service", HELD_PORT, probes, restarts),
        "own": restart_under_load(programs, "bench-own.service", OWN_PORT, probes, restarts),
    }


def main():
    what = {"heal": heal, "restarts": restarts_bench}[sys.argv[1]]
    print(json.dumps(what(*sys.argv[2:])), flush=True)


if __name__ == "__main__":
    main()
