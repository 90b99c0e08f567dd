# SPDX-License-Identifier: LGPL-2.1-or-later

"""The start, from exec to READY=1, and what a service costs while it does nothing."""

import math
import os
import shutil
import subprocess
import time

from .figures import Aim
from .process import NotifySocket, Process, listen, run_json, wait_http

BUS_NAME = "org.hale.Bench"
WATCHDOG_USEC = 30000000
SETTLE_SECONDS = 2.0

# Runs of the service's probes and pings in a second: what it must wake up for. The check probes
# and the live one are asked every 10 s, the ready one every 5 s, all up to 10 % sooner.
PROBE_INTERVALS = (10, 10, 10, 10, 5)
JITTER = 0.1

IDLE_WORKERS = 16

BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path=%s</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/> <allow own="*"/> <allow send_destination="*"/> <allow eavesdrop="false"/>
  </policy>
</busconfig>
"""


class Bus:
    """A private dbus-daemon; None of its names are the machine's."""

    def __init__(self, context):
        self.path = os.path.join(context.work, "bus")
        config = os.path.join(context.work, "bus.conf")
        with open(config, "w", encoding="utf-8") as out:
            out.write(BUS_CONFIG % self.path)
        with open(context.log("dbus-daemon"), "wb") as log:
            self.daemon = subprocess.Popen(
                [shutil.which("dbus-daemon"), "--config-file=" + config, "--nofork",
                 "--print-address"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        self.address = self.daemon.stdout.readline().decode().strip().split(",")[0]
        if not self.address:
            raise RuntimeError("dbus-daemon did not start")

    def stop(self):
        self.daemon.terminate()
        self.daemon.wait(10)
        self.daemon.stdout.close()


def hale_args(context, bus):
    return [context.program("service")] + (["--bus", BUS_NAME] if bus else [])


def measure_start(context, board, bus):
    runs = 15 if context.quick else 60
    programs = {}
    if context.has("notify-static"):
        programs["static"] = [context.program("notify-static")]
    programs.update({
        "libsystemd": [context.program("notify-libsystemd")],
        "hale": hale_args(context, bus),
        "hale-http": hale_args(context, None),
    })
    args = [context.program("start"), str(runs)]
    for program in programs.values():
        args += program + ["---"]
    board.progress("start: %d runs of %d programs" % (runs, len(programs)))
    times = run_json(args[:-1])
    return dict(zip(programs, times))


def report_start(board, times, bus):
    what = "exec to READY=1, HTTP and D-Bus" if bus else "exec to READY=1, HTTP"
    board.add("start", what, times["hale"], "ms", times["libsystemd"], "bare libsystemd",
              Aim("value", 2.0))
    board.add("start", "  the same, as a multiple", times["hale"], "ms", times["libsystemd"],
              "bare libsystemd", Aim("ratio", 1.48))
    board.add("start", "  with HTTP alone", times["hale-http"], "ms", times["libsystemd"],
              "bare libsystemd")
    if "static" in times:
        board.add("start", "  bare libsystemd", times["libsystemd"], "ms", times["static"],
                  "static, one datagram")


def memory_bytes(pid):
    """The sums of /proc/PID/smaps_rollup, by name."""
    sums = {}
    with open("/proc/%d/smaps_rollup" % pid, encoding="utf-8") as lines:
        for line in list(lines)[1:]:
            name, size = line.split(":")
            sums[name] = int(size.split()[0]) * 1024
    return sums


def wakeups(pid):
    """How often the threads of the process went to sleep of their own accord."""
    count = 0
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/status" % (pid, task), encoding="utf-8") as lines:
            count += sum(int(l.split()[1]) for l in lines if l.startswith("voluntary_ctxt"))
    return count


class Idle:
    """A program that has started, answered once if it has HTTP, and is left alone."""

    def __init__(self, context, name, args, http):
        self.notify = NotifySocket(os.path.join(context.work, "notify-" + name))
        self.sock = listen(defer=True) if http else None
        env = {"NOTIFY_SOCKET": self.notify.path, "WATCHDOG_USEC": str(WATCHDOG_USEC)}
        self.process = Process(args, sock=self.sock, env=env, log=context.log("idle-" + name))
        if not self.notify.wait_ready():
            raise RuntimeError("%s sent no READY=1" % name)
        if http and not wait_http(self.sock):
            raise RuntimeError("%s does not answer" % name)

    def mark(self):
        self.wakeups = wakeups(self.process.pid)
        self.cpu = self.process.cpu_nsec()

    def measure(self):
        pid = self.process.pid
        return {"wakeups": wakeups(pid) - self.wakeups, "memory": memory_bytes(pid),
                "cpu_ms": (self.process.cpu_nsec() - self.cpu) / 1e6}

    def stop(self):
        self.process.stop()
        self.notify.close()
        if self.sock:
            self.sock.close()


def wakeup_budget(seconds):
    """The most that pings and probes may come to in so long a time."""
    runs = sum(math.floor(seconds / (i * (1 - JITTER))) + 1 for i in PROBE_INTERVALS)
    return runs + math.floor(seconds / (WATCHDOG_USEC / 3e6)) + 1


def write_back(context, pid):
    """What was built a moment ago is still dirty in the page cache, and would count as the
    process's own dirty memory."""
    with open("/proc/%d/maps" % pid, encoding="utf-8") as lines:
        paths = {line.split(None, 5)[5].strip() for line in lines if "/" in line}
    for path in paths:
        if path.startswith(context.build + "/"):
            fd = os.open(path, os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)


def worker_wakeups(pid):
    """How often all the workers of a service did."""
    with open("/proc/%d/task/%d/children" % (pid, pid), encoding="utf-8") as children:
        pids = [int(child) for child in children.read().split()]
    if len(pids) != IDLE_WORKERS:
        raise RuntimeError("%d workers run, not %d" % (len(pids), IDLE_WORKERS))
    return sum(wakeups(pid) for pid in pids)


def start_idle(context, bus):
    """By name. Workers have no heartbeat unless the program asks for one; whoever does so is told
    to begin with HALE_WORKER_HEARTBEAT_USEC, and costs the service a look every such time."""
    workers = [context.program("service"), "--workers", str(IDLE_WORKERS)]
    idles = {}
    for name, args, http in (
            ("libsystemd", [context.program("notify-libsystemd")], False),
            ("hale", hale_args(context, bus), True), ("workers", workers, True),
            ("beating", workers + ["--beat"], True)):
        try:
            idles[name] = Idle(context, name, args, http)
        except RuntimeError:
            stop_idle(idles)
            raise
    return idles


def stop_idle(idles):
    for idle in idles.values():
        idle.stop()


def measure_idle(context, board, bus):
    """All at the same time: they do nothing. Returns how long, and what each has cost."""
    seconds = 4 if context.quick else 20
    idles = start_idle(context, bus)
    try:
        board.progress("start: %d s of doing nothing" % (SETTLE_SECONDS + seconds))
        time.sleep(SETTLE_SECONDS)
        for name, idle in idles.items():
            write_back(context, idle.process.pid)
            idle.mark()
            if name in ("workers", "beating"):
                idle.worker_wakeups = worker_wakeups(idle.process.pid)
        time.sleep(seconds)
        costs = {name: idle.measure() for name, idle in idles.items()}
        for name in ("workers", "beating"):
            costs[name]["workers"] = (worker_wakeups(idles[name].process.pid) -
                                      idles[name].worker_wakeups)
        return seconds, costs
    finally:
        stop_idle(idles)


def report_idle(board, seconds, costs):
    hale, bare = costs["hale"], costs["libsystemd"]
    for name, key, limit in (("resident memory when idle", "Rss", 3.5),
                             ("private dirty memory when idle", "Private_Dirty", 0.5)):
        board.add("start", name, [hale["memory"][key] / 1e6], "MB", [bare["memory"][key] / 1e6],
                  "bare libsystemd", Aim("value", limit))
    for name, what in (("hale", "wake-ups in %d idle seconds" % seconds),
                       ("workers", "  with %d idle workers" % IDLE_WORKERS),
                       ("beating", "  and a heartbeat on each")):
        board.add("start", what, [costs[name]["wakeups"]], "", [wakeup_budget(seconds)],
                  "pings and probes", Aim("ratio", 1.0), detail={"cpu_ms": costs[name]["cpu_ms"]})
    board.add("start", "  of the %d idle workers together" % IDLE_WORKERS,
              [costs["workers"]["workers"]], "", aim=Aim("value", 0))
    board.say("%.2f ms of CPU in %d idle seconds; proportional share %.2f MB; beating woke %d "
              "workers %d times" % (hale["cpu_ms"], seconds, hale["memory"]["Pss"] / 1e6,
                                    IDLE_WORKERS, costs["beating"]["workers"]))


def count_calls(context, name, args):
    """System calls from exec to READY=1, as strace(1) sees them."""
    trace = os.path.join(context.work, "strace-" + name)
    notify = NotifySocket(os.path.join(context.work, "notify-strace-" + name))
    strace = [shutil.which("strace"), "-f", "-qq", "-o", trace, "-e", "signal=none"]
    process = Process(strace + args, env={"NOTIFY_SOCKET": notify.path},
                      log=context.log("strace-" + name))
    try:
        if not notify.wait_ready():
            raise RuntimeError("%s sent no READY=1 under strace" % name)
    finally:
        process.stop()
        notify.close()
    with open(trace, encoding="utf-8", errors="replace") as lines:
        for n, line in enumerate(lines, 1):
            if "READY=1" in line:
                return n
    raise RuntimeError("%s: no READY=1 in what strace wrote" % name)


def run(context, board):
    bus = None
    if shutil.which("dbus-daemon"):
        bus = Bus(context)
        os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = bus.address
    else:
        board.skip("start", "dbus-daemon is not installed: started without a bus")
    try:
        report_start(board, measure_start(context, board, bus), bus)
        report_idle(board, *measure_idle(context, board, bus))
        if shutil.which("strace"):
            board.add("start", "system calls from exec to READY=1",
                      [count_calls(context, "hale", hale_args(context, bus))], "",
                      [count_calls(context, "libsystemd", [context.program("notify-libsystemd")])],
                      "bare libsystemd")
    finally:
        if bus:
            os.environ.pop("DBUS_SYSTEM_BUS_ADDRESS", None)
            bus.stop()
