# SPDX-License-Identifier: LGPL-2.1-or-later

"""Processes under measurement: started on a CPU of their own, with the sockets
that a socket unit would pass, and ended by their id."""

import ctypes
import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import time

# From <linux/in.h>; the value is DeferAcceptSec=, in seconds.
TCP_DEFER_ACCEPT = 9
LISTEN_FD = 3
MANAGERS = ("LISTEN_", "NOTIFY_SOCKET", "WATCHDOG_")
START_LIMIT = 10.0
STOP_LIMIT = 10.0


# From <linux/prctl.h>.
PR_SET_PDEATHSIG = 1
prctl = ctypes.CDLL(None).prctl


class Skipped(Exception):
    """A benchmark that this machine cannot run; the text says why."""


def cpus():
    """The CPU of servers and the CPU of clients: the same one where there is only one."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def end_with_parent():
    """For a child, before its exec: it ends with us, however we do."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def cpu_nsec(pid):
    """CPU time of all threads of the process so far (clock_getcpuclockid(3))."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def listen(defer=False):
    """A listening TCP socket on the loopback, with the backlog that systemd gives."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if defer:
        sock.setsockopt(socket.IPPROTO_TCP, TCP_DEFER_ACCEPT, 1)
    sock.bind(("127.0.0.1", 0))
    sock.listen(4096)
    sock.setblocking(False)
    return sock


def address(sock):
    return "%s:%d" % sock.getsockname()


class NotifySocket:
    """A manager's end of $NOTIFY_SOCKET."""

    def __init__(self, path):
        self.path = path
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(path)

    def wait_ready(self, limit=START_LIMIT):
        end = time.monotonic() + limit
        while time.monotonic() < end:
            ready, _, _ = select.select([self.sock], [], [], end - time.monotonic())
            if ready and b"READY=1" in self.sock.recv(4096).split(b"\n"):
                return True
        return False

    def drain(self):
        """Takes what has come meanwhile, and returns the lines."""
        lines = []
        while select.select([self.sock], [], [], 0)[0]:
            lines += self.sock.recv(4096).decode(errors="replace").split("\n")
        return lines

    def close(self):
        self.sock.close()
        os.unlink(self.path)


class Process:
    """One program, pinned to @cpu (None: anywhere), with @sock as descriptor 3."""

    def __init__(self, args, cpu=None, sock=None, env=None, log=None):
        self.args = args
        # Nothing of what a manager of our own may have given us.
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(MANAGERS)}
        self.pid = os.fork()
        if self.pid == 0:
            self._become(args, cpu, sock, dict(inherited, **(env or {})), log)

    @staticmethod
    def _become(args, cpu, sock, env, log):
        try:
            os.setsid()
            end_with_parent()
            out = os.open(log or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            for target in (1, 2):
                os.dup2(out, target)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            if cpu is not None:
                os.sched_setaffinity(0, {cpu})
            if sock is not None:
                # Python's descriptors are all close-on-exec; this one is not.
                if sock.fileno() != LISTEN_FD:
                    os.dup2(sock.fileno(), LISTEN_FD)
                else:
                    fcntl.fcntl(LISTEN_FD, fcntl.F_SETFD, 0)
                env.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES="http")
            os.execve(args[0], args, env)
        finally:
            os._exit(127)

    def cpu_nsec(self):
        return cpu_nsec(self.pid)

    def alive(self):
        return self.pid is not None and os.waitid(
            os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def stop(self, limit=STOP_LIMIT):
        """SIGTERM to the process and what it started (strace leaves its child behind), SIGKILL
        to who does not heed it. Returns the wait status."""
        if self.pid is None:
            return None
        # Not reaped yet, so that its group is its own whatever has become of it.
        pidfd = os.pidfd_open(self.pid)
        self._signal_group(signal.SIGTERM)
        if not select.select([pidfd], [], [], limit)[0]:
            self._signal_group(signal.SIGKILL)
        os.close(pidfd)
        _, status = os.waitpid(self.pid, 0)
        self.pid = None
        return status

    def _signal_group(self, number):
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            os.kill(self.pid, number)  # it has not come as far as setsid(2)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def run_json(args, cpu=None, limit=90):
    """Runs a measuring program and returns what it printed, parsed."""
    def prepare():
        end_with_parent()
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})

    done = subprocess.run(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          preexec_fn=prepare, stderr=subprocess.PIPE, timeout=limit, check=False)
    if done.returncode != 0:
        raise RuntimeError("%s: exit status %d: %s" % (
            os.path.basename(args[0]), done.returncode, done.stderr.decode().strip()))
    return json.loads(done.stdout)


def wait_http(sock, limit=START_LIMIT):
    """Waits until the server behind the listening socket answers 200."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        try:
            with socket.create_connection(sock.getsockname(), timeout=1) as client:
                client.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
                               b"Connection: close\r\n\r\n")
                if client.recv(64).startswith(b"HTTP/1.1 200"):
                    return True
        except OSError:
            pass
        time.sleep(0.02)
    return False
