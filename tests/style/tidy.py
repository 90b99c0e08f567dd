#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Holds the sources against the rules that no compiler knows: sizes, licence, banned calls.

usage: tidy.py ROOT
"""

import pathlib
import re
import sys

from findings import Findings, files_below, without_comments

FUNCTION_LINES = 70
# First that fits: where, and how many lines a file may have there.
FILE_LINES = [
    (r"^tests/.*\.[ch]$", 700),
    (r"^bench/.*\.[ch]$", 700),
    (r"^src/hale/.*\.h$", 400),
    (r"^src/base/limits\.h$", 400),  # a list, and it grows with all that has a bound
    (r"^src/core/defaults\.h$", 300),  # the same
    (r"\.h$", 200),
    (r"\.c$", 500),
]

# Where, which call, and what to do instead.
BANNED_CALLS = [
    ("", r"v?sprintf|strcpy|strcat|stpcpy|gets|alloca|strdupa|strndupa", "has no bound"),
    ("", r"strtok|atoi|atol|atoll|atof", "is silent about errors"),
    ("", r"sleep|usleep|nanosleep|clock_nanosleep|g_usleep", "wait for the event instead"),
    ("", r"system|popen", "spawn with an argument vector"),
    ("", r"sd_event_set_watchdog", "pings whatever the health is; core/gate decides"),
    ("^src/", r"exit|sd_notifyf?|sd_pid_notify\w*", "return the error; report/notify notifies"),
]

# Put together here, so that this file does not find itself.
UNFINISHED = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX"]) + r")\b")
OF_THIS_MACHINE = re.compile(r"(?<![\w.])/(?:wo" + r"rk|home/\w+)/|/tmp/ha" + r"le/")
LICENSED = r"\.([ch]|py|sh)$|^meson\.build$"


def check_licence(path, lines, findings):
    first = 1 if lines and lines[0].startswith("#!") else 0
    if len(lines) <= first or "SPDX-License-Identifier: LGPL-2.1-or-later" not in lines[first]:
        findings.add(path, first + 1, "the first line names no licence")


def check_words(path, lines, findings):
    for number, line in enumerate(lines, 1):
        if found := UNFINISHED.search(line):
            findings.add(path, number, f"{found[0]}: finish it")
        if found := OF_THIS_MACHINE.search(line):
            findings.add(path, number, f"{found[0]}: a path of one machine")


def check_functions(path, code, findings):
    """A function begins at the first line of its head, and ends at a brace in column 0."""
    start = head = None
    depth = 0
    for number, line in enumerate(code, 1):
        if depth == 0:
            if re.match(r"[A-Za-z_]", line) and head is None:
                head = number
            if line.rstrip().endswith("{"):
                start = head if ")" in line else None
            if not line.strip() or line.rstrip().endswith((";", "}")):
                head = None
        depth += line.count("{") - line.count("}")
        if line.startswith("}"):
            depth = 0
            if start is not None and number - start + 1 > FUNCTION_LINES:
                findings.add(
                    path, start, f"{number - start + 1} lines; a function has {FUNCTION_LINES}"
                )
            start = head = None


def check_calls(path, place, code, findings):
    for number, line in enumerate(code, 1):
        for where, calls, why in BANNED_CALLS:
            found = re.search(rf"(?<![\w.>])({calls})\s*\(", line)
            if found and re.search(where, place):
                findings.add(path, number, f"{found[1]}(): {why}")


def check_length(path, place, lines, findings):
    for where, most in FILE_LINES:
        if re.search(where, place):
            if len(lines) > most:
                findings.add(path, len(lines), f"{len(lines)} lines; {most} are the most here")
            return


def main(root):
    findings = Findings()
    for path in files_below(root, r"\.([ch]|py|sh|md|xml|conf|service|socket|in)$|^meson\.build$"):
        place = path.relative_to(root).as_posix()
        if place.startswith("tests/fuzz/corpus/"):
            continue
        text = path.read_text()
        lines = text.splitlines()
        if re.search(LICENSED, path.name):
            check_licence(path, lines, findings)
        check_words(path, lines, findings)
        if path.suffix in (".c", ".h"):
            code = without_comments(text).splitlines()
            check_length(path, place, lines, findings)
            check_functions(path, code, findings)
            check_calls(path, place, code, findings)
    return findings.finish()


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
