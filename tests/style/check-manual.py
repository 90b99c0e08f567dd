#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The manual is what it says: mandoc (where there is one) finds nothing wrong with its pages, each
example is quoted word for word, and each message of the journal is explained with its id.

usage: check-manual.py [--page PAGE]... [--text FILE]... [--example FILE]... [--messages FILE]
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys

from findings import Findings

ID = r"\b[0-9a-f]{32}\b"


def lint(pages, findings):
    said = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning", *map(str, pages)],
        capture_output=True, text=True, check=False,
    )
    for path, number, what in re.findall(
        r"^mandoc: (.*?):(\d+):\d+: (.*)$", said.stdout + said.stderr, flags=re.M
    ):
        findings.add(path, number, what)
    if said.returncode > 4:
        findings.add("mandoc", 1, f"ends with status {said.returncode}")


def plain(page):
    """What a reader sees of a literal block."""
    text = re.sub(r"^\\&(?=[.'])", "", page.read_text(), flags=re.M)
    return text.replace(r"\e", "\\")


def check_examples(examples, texts, findings):
    for example in examples:
        first, code = example.read_text().split("\n", 1)
        if "SPDX" not in first:
            findings.add(example, 1, "the first line names no licence")
        if not any(code.strip("\n") in text for text in texts):
            findings.add(example, 1, "is not quoted as it is in any page")


def check_messages(messages, pages, findings):
    used = {}
    for number, line in enumerate(messages.read_text().splitlines(), 1):
        for found in re.findall(ID, line):
            used.setdefault(found, number)
    if not used:
        findings.add(messages, 1, "has no message ids: this checker is broken")

    explained = set()
    for page in pages:
        for number, line in enumerate(page.read_text().splitlines(), 1):
            # Where an id is explained; elsewhere it may be an example.
            if found := re.match(rf"\.Li ({ID})$", line):
                if found[1] in explained:
                    findings.add(page, number, f"{found[1]} is explained twice")
                explained.add(found[1])
                if found[1] not in used:
                    findings.add(page, number, f"{found[1]} is no message of ours")
    for found, number in used.items():
        if found not in explained:
            findings.add(messages, number, f"{found} is in no man page")


def main():
    parser = argparse.ArgumentParser()
    for name in ("page", "text", "example"):
        parser.add_argument(f"--{name}", type=pathlib.Path, action="append", default=[])
    parser.add_argument("--messages", type=pathlib.Path)
    args = parser.parse_args()

    findings = Findings()
    if args.page and shutil.which("mandoc"):
        lint(args.page, findings)
    check_examples(
        args.example, [plain(p) for p in args.page] + [t.read_text() for t in args.text], findings
    )
    if args.messages:
        check_messages(args.messages, args.page, findings)
    return findings.finish()


if __name__ == "__main__":
    sys.exit(main())
