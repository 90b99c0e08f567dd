#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sums up meson's logs: what failed, with its log; what was skipped, and why; and as the last line
`N passed, N failed, N skipped`. A test that speaks TAP counts as many as it says.

usage: summary.py [--passed=STEP | --failed=STEP]... TESTLOG.JSON...
"""

import json
import pathlib
import re
import sys

TAIL_LINES = 30
LINE = re.compile(r"^(not )?ok\b(?P<what>.*?)(?P<skip>#\s*SKIP\S*\s*(?P<reason>.*))?$", re.I)
PLAN_SKIP = re.compile(r"^1\.\.0\b.*#\s*SKIP\S*\s*(?P<reason>.*)$", re.I)
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


class Summary:
    def __init__(self):
        self.counts = {PASSED: 0, FAILED: 0, SKIPPED: 0}
        self.details = []

    def add(self, outcome, name="", detail=""):
        self.counts[outcome] += 1
        if outcome != PASSED:
            self.details.append(f"{outcome}: {name}{': ' if detail else ''}{detail}")

    def finish(self):
        print("\n".join(sorted(self.details)))
        print(", ".join(f"{n} {outcome}" for outcome, n in self.counts.items()))
        return 1 if self.counts[FAILED] or not self.counts[PASSED] else 0


def add_lines(test, summary):
    """Counts the lines of TAP; returns how many of them failed, and whether there was any."""
    failed = seen = 0
    for line in test.get("stdout", "").splitlines():
        if match := PLAN_SKIP.match(line):
            summary.add(SKIPPED, test["name"], match["reason"])
            seen += 1
        elif match := LINE.match(line):
            seen += 1
            name = f"{test['name']}: {match['what'].strip()}"
            if match["skip"]:
                summary.add(SKIPPED, name, match["reason"])
            elif match[1]:
                failed += 1
                summary.add(FAILED, name)
            else:
                summary.add(PASSED)
    return failed, seen > 0


def add_test(test, log, summary):
    name, result = test["name"], test["result"]
    failed, is_tap = add_lines(test, summary)
    output = (test.get("stdout", "") + test.get("stderr", "")).strip().splitlines()
    if result in ("OK", "EXPECTEDFAIL"):
        if not is_tap:
            summary.add(PASSED)
    elif result == "SKIP":
        if not is_tap:
            summary.add(SKIPPED, name, output[-1] if output else "it does not say why")
    else:
        if not failed:
            summary.add(FAILED, name, f"{result.lower()}, exit status {test.get('returncode')}")
        print(f"---- {name}: the last lines; all of them are in {log.with_suffix('.txt')}")
        print("\n".join(output[-TAIL_LINES:]))


def main(args):
    summary = Summary()
    for arg in args:
        if arg.startswith("--"):
            outcome, step = arg[2:].split("=", 1)
            summary.add(outcome, step)
            continue
        log = pathlib.Path(arg)
        if log.exists():
            for line in log.read_text().splitlines():
                add_test(json.loads(line), log, summary)
    return summary.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
