# SPDX-License-Identifier: LGPL-2.1-or-later

"""Links: how soon one is up again when its server accepts again, and how often it tries in an
outage.

A server is stopped, or killed, and started again while the link's waits are still short. A
client that has nothing to do with libhale tries every millisecond; the time counts from the
beginning of the last attempt that was refused to it, which is a little before the server
accepts, to the link's being up, which is after its login."""

import random
import select
import signal
import subprocess
import time

from .figures import Aim
from .process import Skipped, end_with_parent, run_json
from .servers import Postgres, Redis

AIM_MSEC = 300
LIMIT = 20.0
POLL = 0.01

# The first attempt comes at once, and four more in a row of about 225 ms each; then the breaker
# opens.
YOUNG_ATTEMPTS = 5

# Servers are started after so many seconds at most, at another time of the waits each time.
PAUSE_SECONDS = 0.25


class Lines:
    """What a measuring program says, line by line, as lists of words."""

    def __init__(self, args, log):
        with open(log, "ab") as errors:
            self.process = subprocess.Popen(args, stdin=subprocess.DEVNULL, bufsize=0,
                                            stdout=subprocess.PIPE, stderr=errors,
                                            preexec_fn=end_with_parent)
        self.buffer = b""

    def read(self, limit):
        """The next line, or None if there is none so far."""
        end = time.monotonic() + limit
        while b"\n" not in self.buffer:
            rest = max(0, end - time.monotonic())
            if not select.select([self.process.stdout], [], [], rest)[0]:
                return None
            more = self.process.stdout.read(4096)
            if not more:
                raise RuntimeError("%s has ended" % " ".join(self.process.args[:2]))
            self.buffer += more
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.decode().split()

    def wait(self, word, limit=LIMIT):
        """The numbers of the next line that begins with @word."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            line = self.read(end - time.monotonic())
            if line and line[0] == word:
                return [int(number) for number in line[1:]]
        raise RuntimeError("%s: no '%s' within %d s" % (
            " ".join(self.process.args[:2]), word, limit))

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Outage:
    """One link to one server, and what happened the last time that the server was away."""

    def __init__(self, context, kind, server):
        self.program = context.program("link-" + kind)
        self.server, self.log, self.link = server, context.log("link-" + kind), None

    def begin(self):
        self.server.start()
        self.wait_accepted()
        self.link = Lines([self.program, "serve", self.server.target], self.log)
        self.link.wait("up")

    def watch(self):
        return Lines([self.program, "watch", self.server.target], self.log)

    def wait_accepted(self, watch=None):
        """The client's "answered". A server whose killed predecessor still has children does not
        start: once more then."""
        watch = watch or self.watch()
        end = time.monotonic() + LIMIT
        try:
            while time.monotonic() < end:
                line = watch.read(POLL)
                if line and line[0] == "answered":
                    return [int(number) for number in line[1:]]
                if self.server.has_ended():
                    self.server.start()
        finally:
            watch.stop()
        raise RuntimeError("the server does not start; see its log")

    def happen(self, number):
        """Ends the server with this signal and starts it again. Returns how many milliseconds
        the link was behind it, at most, how sure that is, and the link's attempts."""
        self.server.end(number)
        _, before = self.link.wait("down")
        watch = self.watch()
        watch.wait("refused")
        time.sleep(random.uniform(0, PAUSE_SECONDS))
        self.server.start()
        answered, refused, _ = self.wait_accepted(watch)
        up, attempts = self.link.wait("up")
        return (max(up - refused, 0) / 1e6, (answered - refused) / 1e6, attempts - before)

    def stop(self):
        if self.link:
            self.link.stop()


def measure(board, outage, name, number, repetitions):
    """Until so many happened while the waits were short; what took longer is another matter."""
    backs, unsure, n_old = [], [], 0
    while len(backs) < repetitions and n_old <= repetitions:
        board.progress("links: %s, %d of %d" % (name, len(backs) + 1, repetitions))
        back, gap, attempts = outage.happen(number)
        if attempts > YOUNG_ATTEMPTS:
            n_old += 1
        else:
            backs.append(back)
            unsure.append(gap)
    if not backs:
        raise RuntimeError("%s: the server takes too long to start" % name)
    return backs, max(unsure), n_old


def report(board, name, backs, unsure, n_old):
    detail = {"uncertain_ms": round(unsure, 2), "too_long": n_old}
    board.add("links", name + ": link up after", backs, "ms", aim=Aim("value", AIM_MSEC),
              detail=detail)
    board.add("links", "  the worst of %d" % len(backs), [max(backs)], "ms",
              aim=Aim("value", AIM_MSEC))
    board.say("the server accepted up to %.1f ms later than counted%s" % (
        unsure, "; %d outages were too long to count" % n_old if n_old else ""))


def run_kind(context, board, kind, make, stop_signal):
    if not context.has("link-" + kind):
        raise Skipped("built without libhale-%s; its client library must be there when %s is "
                      "made" % (kind, context.build))
    server = make(context)
    outage = Outage(context, kind, server)
    try:
        outage.begin()
        for what, number in (("stopped", stop_signal), ("killed", signal.SIGKILL)):
            name = "%s %s, started" % (kind, what)
            report(board, name,
                   *measure(board, outage, name, number, 3 if context.quick else 10))
    finally:
        outage.stop()
        server.stop()


def report_attempts(context, board):
    seeds = 100000 if context.quick else 1000000
    board.progress("links: %d outages of ten minutes" % seeds)
    kinds = run_json([context.program("link-attempts"), str(seeds)])
    board.add("links", "attempts in 10 virtual min of the core, worst",
              [max(kind["worst"] for kind in kinds.values())], "",
              [max(kind["mean"] for kind in kinds.values())], "on average", Aim("value", 64),
              detail=dict(kinds, seeds=seeds))
    board.say("%d seeds each: " % seeds + ", ".join(
        "%s %d" % (name, kind["worst"]) for name, kind in kinds.items()))


def run(context, board):
    # SIGINT is PostgreSQL's fast shutdown: it does not wait for its clients.
    for kind, make, stop_signal in (("postgres", Postgres, signal.SIGINT),
                                    ("redis", Redis, signal.SIGTERM)):
        try:
            run_kind(context, board, kind, make, stop_signal)
        except Skipped as reason:
            board.skip("links", str(reason))
    report_attempts(context, board)
