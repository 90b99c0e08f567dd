#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs help: --help goes to stdout, fits a terminal and succeeds; an unknown option is refused
on stderr.

usage: check-help.py PROGRAM...
"""

import subprocess
import sys

from findings import Findings

COLUMNS = 80
LIMIT_SEC = 10


def run(program, option, findings):
    try:
        return subprocess.run(
            [program, option], capture_output=True, text=True, stdin=subprocess.DEVNULL,
            timeout=LIMIT_SEC, check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        findings.add(program, 1, f"{option}: {error}")
        return None


def check_help(program, findings):
    if not (said := run(program, "--help", findings)):
        return
    if said.returncode != 0:
        findings.add(program, 1, f"--help ends with status {said.returncode}")
    if not said.stdout.strip():
        findings.add(program, 1, "--help says nothing on stdout")
    if said.stderr:
        findings.add(program, 1, f"--help says on stderr: {said.stderr.strip()}")
    for number, line in enumerate(said.stdout.splitlines(), 1):
        if len(line) > COLUMNS:
            findings.add(program, number, f"--help: {len(line)} columns: {line}")
        if line != line.rstrip():
            findings.add(program, number, "--help: trailing whitespace")


def check_unknown(program, findings):
    if not (said := run(program, "--no-such-option", findings)):
        return
    if said.returncode == 0:
        findings.add(program, 1, "takes an unknown option for a good one")
    if said.returncode < 0:
        findings.add(program, 1, f"dies of signal {-said.returncode} on an unknown option")
    if not said.stderr.strip():
        findings.add(program, 1, "refuses an unknown option without a word on stderr")
    if said.stdout:
        findings.add(program, 1, "refuses an unknown option on stdout")


def main(programs):
    findings = Findings()
    for program in programs:
        check_help(program, findings)
        check_unknown(program, findings)
    return findings.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
