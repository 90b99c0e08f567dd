# SPDX-License-Identifier: LGPL-2.1-or-later

"""Database servers from the machine's packages, each in a folder of its own and on a local
socket there, so that no other program's connections meet them. They end with the bench."""

import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile

from .process import STOP_LIMIT, Skipped


class Server:
    """One server, as an unprivileged user if it insists on that and we are root."""

    def __init__(self, user, log):
        self.user = user if os.geteuid() == 0 else None
        self.folder = tempfile.mkdtemp(prefix="hale-bench-")
        self.log, self.process, self.command = log, None, None
        if self.user:
            os.chown(self.folder, pwd.getpwnam(self.user).pw_uid, -1)

    def wrap(self, command):
        """setpriv(1): the other user, and an end that comes with ours."""
        identity = []
        if self.user:
            entry = pwd.getpwnam(self.user)
            identity = ["--reuid=%d" % entry.pw_uid, "--regid=%d" % entry.pw_gid, "--clear-groups"]
        return ["setpriv"] + identity + ["--pdeathsig=KILL", "--"] + command

    def run(self, command):
        """To its end, which must be a good one."""
        done = subprocess.run(self.wrap(command), cwd=self.folder, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
                              check=False)
        if done.returncode != 0:
            raise RuntimeError("%s: exit status %d: %s" % (
                command[0], done.returncode, done.stdout.decode(errors="replace").strip()))

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.wrap(self.command), cwd=self.folder,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def has_ended(self):
        return self.process.poll() is not None

    def end(self, number):
        """Sends the signal and waits for the end."""
        if self.process:
            self.process.send_signal(number)
            try:
                self.process.wait(STOP_LIMIT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def stop(self):
        self.end(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


def postgres_program(name):
    """The newest; Debian keeps them apart by version."""
    found = glob.glob("/usr/lib/postgresql/*/bin/" + name)
    return max(found, key=lambda path: float(path.split("/")[4])) if found else shutil.which(name)


class Postgres(Server):
    def __init__(self, context):
        initdb, postgres = postgres_program("initdb"), postgres_program("postgres")
        if not initdb or not postgres:
            raise Skipped("no PostgreSQL server is installed (package postgresql)")
        if os.geteuid() == 0 and not has_user("postgres"):
            raise Skipped("root may not run PostgreSQL, and there is no user postgres")
        super().__init__("postgres", context.log("postgres"))
        data = os.path.join(self.folder, "data")
        self.target = "host=%s user=orders dbname=postgres" % self.folder
        self.command = [postgres, "-D", data, "-k", self.folder, "-c", "listen_addresses=",
                        "-c", "fsync=off"]
        try:
            self.run([initdb, "-D", data, "-U", "orders", "-A", "trust", "--no-sync",
                      "--locale=C"])
        except (RuntimeError, OSError, subprocess.TimeoutExpired):
            self.stop()
            raise


class Redis(Server):
    def __init__(self, context):
        redis = shutil.which("redis-server")
        if not redis:
            raise Skipped("no Redis server is installed (package redis-server)")
        super().__init__("nobody", context.log("redis"))
        path = os.path.join(self.folder, "socket")
        self.target = "unix://" + path
        self.command = [redis, "--port", "0", "--unixsocket", path, "--save", "",
                        "--appendonly", "no"]


def has_user(name):
    try:
        return bool(pwd.getpwnam(name))
    except KeyError:
        return False
