# SPDX-License-Identifier: LGPL-2.1-or-later

"""HTTP: the server's CPU time for a request, against the bare epoll responder and Go.

The server is alone on its CPU, the load generator on another. The clients' one core
is as busy as the server's, so requests a second say less than CPU time does."""

import os
import shutil
import subprocess

from .figures import Aim, median, ratio_of
from .process import Process, Skipped, address, cpus, listen, run_json, wait_http

CONNECTIONS = (16, 64, 256)
CLOSE_CONNECTIONS = 16
PEER_CONNECTIONS = 32  # from one address; libhale's limit is twice that
FAILURES = ("refused", "broken", "wrong", "late")


class Server:
    def __init__(self, name, args, defer=False, env=None, log=None):
        server_cpu, _ = cpus()
        self.name = name
        self.sock = listen(defer)
        self.process = Process(args, cpu=server_cpu, sock=self.sock, env=env, log=log)

    def wait(self):
        if not wait_http(self.sock):
            raise RuntimeError("%s does not answer" % self.name)

    def stop(self):
        self.process.stop()
        self.sock.close()


def build_go(context):
    """The Go server, built without a network; None where there is no Go."""
    if not shutil.which("go"):
        return None
    binary = os.path.join(context.work, "health-go")
    env = dict(os.environ, GO111MODULE="off", GOFLAGS="", GOPROXY="off", GOTOOLCHAIN="local",
               CGO_ENABLED="0", GOCACHE=os.path.join(context.work, "go-cache"))
    done = subprocess.run(
        ["go", "build", "-o", binary, os.path.join(context.source, "reference", "health.go")],
        env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        timeout=300, check=False)
    if done.returncode != 0:
        raise RuntimeError("go build: " + done.stdout.decode().strip())
    return binary


def start_servers(context):
    bare, service = context.program("bare-epoll"), context.program("service")
    servers = {
        "bare": Server("bare", [bare]),
        "bare-close": Server("bare-close", [bare, "--close"]),
        "bare-defer": Server("bare-defer", [bare, "--close", "--eager"], defer=True),
        "hale": Server("hale", [service], log=context.log("http-hale")),
        "hale-defer": Server("hale-defer", [service], defer=True, log=context.log("http-hale")),
    }
    go = build_go(context)
    if go:
        servers["go"] = Server("go", [go], env={"GOMAXPROCS": "1"}, log=context.log("http-go"))
    return servers


def ask(context, server, connections, requests, path="/livez", fresh=False):
    _, client_cpu = cpus()
    args = [context.program("load"), "--connect", address(server.sock), "--path", path,
            "--connections", str(connections), "--requests", str(requests),
            "--sources", str(-(-connections // PEER_CONNECTIONS)),
            "--pid", str(server.process.pid)]
    result = run_json(args + (["--fresh"] if fresh else []), cpu=client_cpu)
    failed = {kind: result[kind] for kind in FAILURES if result[kind]}
    if failed:
        raise RuntimeError("%s, %s: requests failed: %s" % (server.name, path, failed))
    return result


def plan(servers, quick):
    """What one round asks: key, server, path, connections, requests, fresh."""
    keep, close = (5000, 1500) if quick else (13000, 4000)
    rows = []
    for n in CONNECTIONS:
        rows += [(("livez", name, n), name, "/livez", n, keep, False)
                 for name in ("bare", "hale", "go") if name in servers]
    rows.append((("health", "hale", 64), "hale", "/health", 64, keep, False))
    rows += [(("close", name), name, "/livez", CLOSE_CONNECTIONS, close, True)
             for name in ("bare-close", "bare-defer", "hale", "hale-defer", "go")
             if name in servers]
    return rows


def measure(context, board, servers):
    results = {}
    rounds = 5 if context.quick else 13  # many short ones: neighbours come and go
    rows = plan(servers, context.quick)
    for n in range(rounds):
        # Each round begins elsewhere, so that nobody always comes after the same neighbour.
        shift = n % len(rows)
        for key, name, path, connections, requests, fresh in rows[shift:] + rows[:shift]:
            board.progress("http: round %d of %d: %s" % (n + 1, rounds, " ".join(map(str, key))))
            results.setdefault(key, []).append(
                ask(context, servers[name], connections, requests, path, fresh))
    return results


def cpu_us(results, *key):
    return [r["server_cpu_us"] for r in results[key]]


def middle(results, *key):
    """The other figures of a row: requests a second, and how long they took."""
    return {what: round(median([r[what] for r in results[key]]), 1)
            for what in ("per_second", "p50_us", "p99_us", "client_cpu_us")}


def report_keep_alive(board, results):
    for n in CONNECTIONS:
        board.add("http", "/livez, %d keep-alive: CPU a request" % n,
                  cpu_us(results, "livez", "hale", n), "us", cpu_us(results, "livez", "bare", n),
                  "bare epoll", Aim("ratio", 1.15), detail=middle(results, "livez", "hale", n))

    # The two levels that lie farthest apart, by the rounds that both were measured in.
    levels = [cpu_us(results, "livez", "hale", n) for n in CONNECTIONS]
    dear, cheap = max(((a, b) for a in levels for b in levels), key=lambda p: ratio_of(*p))
    board.add("http", "/livez: dearest of 16, 64, 256", dear, "us", cheap, "the cheapest",
              Aim("ratio", 1.25))
    board.add("http", "/health, 64 keep-alive: CPU a request",
              cpu_us(results, "health", "hale", 64), "us", cpu_us(results, "livez", "hale", 64),
              "/livez", Aim("ratio", 1.25), detail=middle(results, "health", "hale", 64))


def report_close(board, results):
    bare = cpu_us(results, "close", "bare-close")
    board.add("http", "/livez, new connection each, deferred: CPU",
              cpu_us(results, "close", "hale-defer"), "us", bare, "bare epoll",
              Aim("ratio", 0.85), detail=middle(results, "close", "hale-defer"))
    board.add("http", "  the same, not deferred", cpu_us(results, "close", "hale"), "us", bare,
              "bare epoll", detail=middle(results, "close", "hale"))
    board.add("http", "  bare epoll, deferred", cpu_us(results, "close", "bare-defer"), "us", bare,
              "bare epoll", detail=middle(results, "close", "bare-defer"))


def report_go(board, results):
    for n in CONNECTIONS:
        board.add("http", "/livez, %d keep-alive: CPU a request" % n,
                  cpu_us(results, "livez", "hale", n), "us", cpu_us(results, "livez", "go", n),
                  "Go net/http", Aim("ratio", 0.5), detail=middle(results, "livez", "go", n))
    board.add("http", "/livez, new connection each, deferred: CPU",
              cpu_us(results, "close", "hale-defer"), "us", cpu_us(results, "close", "go"),
              "Go net/http")


def say_rates(board, results):
    for key in sorted(results, key=str):
        row = middle(results, *key)
        board.say("%-24s %7.0f requests/s, p50 %6.0f us, p99 %6.0f us" % (
            " ".join(map(str, key)), row["per_second"], row["p50_us"], row["p99_us"]))


def run(context, board):
    if cpus()[0] == cpus()[1]:
        raise Skipped("server and clients need a CPU each, and there is only one")

    servers = start_servers(context)
    try:
        for server in servers.values():
            server.wait()
        results = measure(context, board, servers)
    finally:
        for server in servers.values():
            server.stop()

    report_keep_alive(board, results)
    report_close(board, results)
    if "go" in servers:
        report_go(board, results)
    else:
        board.skip("http", "Go is not installed: no comparison with net/http")
    say_rates(board, results)
