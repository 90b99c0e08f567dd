# SPDX-License-Identifier: LGPL-2.1-or-later

"""/metrics: a request, against /livez and the copying of as many bytes; and a scrape that
finds nothing ready.

What the copying costs is what the bare epoll responder needs more for an answer of that
length than for a short one."""

import http.client
import time

from .figures import Aim, median
from .http import Server, ask
from .process import Skipped, cpus

PROBES = 95  # beside the service's own five
CONNECTIONS = 16
AGE_SECONDS = 1.05  # a page of metrics is kept for a second


def fetch(server, path):
    """One answer's length and the CPU time that it cost."""
    connection = http.client.HTTPConnection(*server.sock.getsockname(), timeout=10)
    before = server.process.cpu_nsec()
    connection.request("GET", path)
    size = len(connection.getresponse().read())
    spent = server.process.cpu_nsec() - before
    connection.close()
    return size, spent / 1e3


def measure_scrapes(context, board, server):
    """One at a time, so far apart that each is made anew."""
    spent = []
    for n in range(5 if context.quick else 15):
        board.progress("metrics: scrape %d" % (n + 1))
        time.sleep(AGE_SECONDS)
        spent.append(fetch(server, "/metrics")[1])
    return spent


def measure(context, board, hale, bare, long):
    rounds, requests = (4, 1500) if context.quick else (10, 4000)
    rows = {"metrics": [], "livez": [], "short": [], "long": []}
    plan = (("metrics", hale, "/metrics"), ("livez", hale, "/livez"), ("short", bare, "/"),
            ("long", long, "/"))
    for n in range(rounds):
        for key, server, path in plan[n % 4:] + plan[:n % 4]:
            board.progress("metrics: round %d of %d: %s" % (n + 1, rounds, key))
            rows[key].append(
                ask(context, server, CONNECTIONS, requests, path)["server_cpu_us"])
    return rows


def run(context, board):
    if cpus()[0] == cpus()[1]:
        raise Skipped("server and clients need a CPU each, and there is only one")

    servers = [Server("hale", [context.program("service"), "--probes", str(PROBES)],
                      log=context.log("metrics-hale"))]
    try:
        servers[0].wait()
        size, _ = fetch(servers[0], "/metrics")
        servers.append(Server("bare", [context.program("bare-epoll")]))
        servers.append(Server("long", [context.program("bare-epoll"), "--body", str(size)]))
        for server in servers[1:]:
            server.wait()
        rows = measure(context, board, *servers)
        scrapes = measure_scrapes(context, board, servers[0])
        plain = [fetch(servers[0], "/livez")[1] for _ in scrapes]
    finally:
        for server in servers:
            server.stop()

    copying = [l - s for l, s in zip(rows["long"], rows["short"])]
    allowed = [3 * livez + c for livez, c in zip(rows["livez"], copying)]
    board.add("metrics", "/metrics, %d probes: CPU a request" % (PROBES + 5), rows["metrics"],
              "us", allowed, "3 x /livez + copying", Aim("ratio", 1.0),
              detail={"bytes": size, "livez_us": median(rows["livez"]),
                      "copying_us": median(copying)})
    board.say("%d bytes; /livez %.1f us, copying %.1f us" % (
        size, median(rows["livez"]), median(copying)))
    board.add("metrics", "  a scrape alone, made anew: CPU", scrapes, "us", plain,
              "/livez alone")
