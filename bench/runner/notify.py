# SPDX-License-Identifier: LGPL-2.1-or-later

"""One ping, and one turn of the loop."""

from .process import cpus, run_json


def rounds_of(context, board, program, count):
    rows = []
    rounds = 2 if context.quick else 5
    for n in range(rounds):
        board.progress("%s: round %d of %d" % (program, n + 1, rounds))
        rows.append(run_json([context.program(program), str(count)], cpu=cpus()[0]))
    return rows


def run_notify(context, board):
    rows = rounds_of(context, board, "ping", 20000 if context.quick else 80000)
    raw = [r["raw_nsec"] / 1e3 for r in rows]
    board.add("notify", "one ping: CPU", [r["notify_nsec"] / 1e3 for r in rows], "us", raw,
              "send(2) alone")
    board.add("notify", "  sd_notify(3)", [r["libsystemd_nsec"] / 1e3 for r in rows], "us", raw,
              "send(2) alone")


def run_loop(context, board):
    rows = rounds_of(context, board, "loop", 50000 if context.quick else 200000)
    board.add("loop", "one turn of sd-event, an eventfd: CPU", [r["io_nsec"] / 1e3 for r in rows],
              "us", [r["epoll_nsec"] / 1e3 for r in rows], "epoll_wait(2), read(2)")
    board.add("loop", "one turn of sd-event, deferred: CPU",
              [r["defer_nsec"] / 1e3 for r in rows], "us")
