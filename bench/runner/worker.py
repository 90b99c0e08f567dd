# SPDX-License-Identifier: LGPL-2.1-or-later

"""From the SIGKILL of a worker to its replacement, and how soon a hung one is replaced.

main() of the replacement is what the program can see first: the kernel's exec and the
dynamic linker lie before it, and the references say how much that is. Its function is
called after hale_service_new() and hale_service_run()."""

from . import peers
from .figures import Aim, median
from .process import run_json

HEAP_MIB = 1024
LIMIT_MSEC = 20  # of the heartbeat


def heap_mib():
    """Two services have that heap at the same time; and the machine has other things to do."""
    with open("/proc/meminfo", encoding="utf-8") as lines:
        sizes = dict(line.split(":") for line in lines)
    return HEAP_MIB if int(sizes["MemAvailable"].split()[0]) >> 10 >= 3 * HEAP_MIB else 0


def report_references(board, times):
    fork = times["fork"]["main_msec"]
    for key, name in (("spawn_static", "static"), ("spawn_libc", "C library"),
                      ("spawn_libsystemd", "libsystemd")):
        if key in times:
            board.add("worker", "posix_spawn, %s: main()" % name,
                      times[key]["main_msec"], "ms", fork, "waitpid, fork")


def report_kills(board, times):
    bare, empty = times["spawn_libsystemd"]["main_msec"], times["kill"]["main_msec"]
    for key, heap, reference, name in (("kill", "empty heap", bare, "bare libsystemd"),
                                       ("kill_heap", "1 GiB of heap", empty, "empty heap")):
        if key not in times:
            continue
        board.add("worker", "SIGKILL to the next main(), " + heap, times[key]["main_msec"], "ms",
                  reference, name, Aim("value", 1.3))
        board.add("worker", "  to the worker's function", times[key]["work_msec"], "ms",
                  reference, name, Aim("value", 1.3))
    for key, heap in (("spare", "empty heap"), ("spare_heap", "1 GiB of heap")):
        if key in times:
            board.add("worker", "  warm spare, %s: function" % heap,
                      times[key]["work_msec"], "ms", times["fork"]["main_msec"],
                      "waitpid, fork", Aim("value", 0.6))


def report_hung(board, times):
    for key, name in (("hung", "hung, limit %d ms: beat to next function" % LIMIT_MSEC),
                      ("hung_spare", "  the same with a warm spare")):
        values = times[key]["work_msec"]
        board.add("worker", name, values, "ms", [LIMIT_MSEC] * len(values), "the limit",
                  Aim("value", 40))
    wrong = times["hung"]["false"] + times["hung_spare"]["false"]
    if wrong:
        board.say("%d workers were replaced that did not hang" % wrong)


def run(context, board):
    rounds, heap = 15 if context.quick else 100, heap_mib()
    if heap == 0:
        board.skip("worker", "too little memory for two services with 1 GiB of heap")
    board.progress("worker: %d rounds" % rounds)
    times = run_json([context.program("worker"), "--json", "--rounds=%d" % rounds,
                      "--heap=%d" % heap], limit=240)
    report_references(board, times)
    report_kills(board, times)
    report_hung(board, times)

    # Their own waits make them slow to measure: few rounds.
    mine = times["kill"]["main_msec"]
    for name, values in peers.measure(context, board, 2 if context.quick else 10).items():
        board.add("worker", "%s: SIGKILL to the next main()" % name, values, "ms", mine,
                  "hale's worker", ratio=median(values) / median(mine))
