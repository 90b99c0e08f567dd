# SPDX-License-Identifier: LGPL-2.1-or-later

"""Other supervisors, of those that are installed: how long from the SIGKILL of what they
supervise to main() of its next process.

Each runs in a folder of its own and knows nothing of the machine's services. What it
supervises is the reference program that links libsystemd: about what a worker of libhale
has to load. runsv waits a second before it starts again what has not lived for one, so each is
let live for longer; s6-supervise and supervisord take their second all the same."""

import os
import select
import shutil
import signal
import struct
import time

from .process import Process

WORD = struct.Struct("i4xQQQ")  # bench/word.h
LIVED_SECONDS = 1.2
LIMIT = 10.0

SUPERVISORD = """[supervisord]
nodaemon=true
logfile=%(folder)s/log
logfile_maxbytes=0
pidfile=%(folder)s/pid
childlogdir=%(folder)s

[program:word]
command=%(program)s
autorestart=true
stdout_logfile=/dev/null
stderr_logfile=/dev/null
stdout_logfile_maxbytes=0
stderr_logfile_maxbytes=0
"""


def run_folder(folder, program):
    """What runsv(8) and s6-supervise(1) want: a folder with a program called "run"."""
    os.symlink(program, os.path.join(folder, "run"))
    return [folder]


def supervisord_arguments(folder, program):
    path = os.path.join(folder, "conf")
    with open(path, "w", encoding="utf-8") as out:
        out.write(SUPERVISORD % {"folder": folder, "program": program})
    return ["-c", path]


# Debian's package, its program, and what makes its arguments.
PEERS = (("runit", "runsv", run_folder), ("s6", "s6-supervise", run_folder),
         ("supervisor", "supervisord", supervisord_arguments))


def installed(program):
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


class Peer:
    """One supervisor and the words of what it supervises."""

    def __init__(self, context, name, program, arguments):
        folder = os.path.join(context.work, "peer-" + name)
        words = os.path.join(context.work, "words-" + name)
        os.mkdir(folder)
        os.mkfifo(words)
        self.name = program
        # For writing, too: it has no end then, whoever comes and goes.
        self.words = os.open(words, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self.process = Process(
            [installed(program)] + arguments(folder, context.program("first-word-libsystemd")),
            env={"BENCH_WORDS": words}, log=context.log("peer-" + name))

    def hear(self):
        if not select.select([self.words], [], [], LIMIT)[0]:
            raise RuntimeError("%s has not started anything for %d s" % (self.name, LIMIT))
        self.pid, main_nsec, _, _ = WORD.unpack(os.read(self.words, WORD.size))
        return main_nsec

    def kill(self):
        """Milliseconds from the kill to the next main()."""
        time.sleep(max(0, self.begun + LIVED_SECONDS - time.monotonic()))
        before = time.monotonic_ns()
        os.kill(self.pid, signal.SIGKILL)
        took = (self.hear() - before) / 1e6
        self.begun = time.monotonic()
        return took

    def wait_begun(self):
        self.hear()
        self.begun = time.monotonic()

    def stop(self):
        self.process.stop()
        os.close(self.words)


def measure(context, board, rounds):
    """What to say of each that is there, by its program's name: milliseconds a round."""
    peers, times = [], {}
    try:
        for name, program, arguments in PEERS:
            if installed(program):
                peers.append(Peer(context, name, program, arguments))
            else:
                board.skip("worker", "%s is not installed (package %s)" % (program, name))
        for peer in peers:
            peer.wait_begun()
        for n in range(rounds):
            for peer in peers:
                board.progress("worker: %s, round %d of %d" % (peer.name, n + 1, rounds))
                times.setdefault(peer.name, []).append(peer.kill())
    finally:
        for peer in peers:
            peer.stop()
    return times
