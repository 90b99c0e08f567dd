#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Everything that is promised is described: each public call has a comment above it and is named in
a man page; each message id of the journal has an entry in the catalog, and the other way round.

usage: check-docs.py [--headers DIR] [--man PAGE]... [--messages FILE --catalog FILE]
"""

import argparse
import pathlib
import re
import sys

from findings import Findings, declared_calls

ID = r"\b[0-9a-f]{32}\b"


def check_headers(folder, findings):
    calls = {}
    for header in sorted(folder.glob("*.h")):
        text = header.read_text()
        lines = text.splitlines()
        for name, number in declared_calls(text):
            calls[name] = (header, number)
            # Calls that stand together, without a free line, share the comment above them.
            above = number - 1
            while above > 0 and lines[above - 1].strip() and "*/" not in lines[above - 1]:
                above -= 1
            if above == 0 or "*/" not in lines[above - 1]:
                findings.add(header, number, f"{name}() has no comment above it")
    if not calls:
        findings.add(folder, 1, "declares no calls: this checker is broken")
    return calls


def check_pages(calls, pages, findings):
    said = "\n".join(page.read_text() for page in pages)
    said = re.sub(r"\\[-&]", lambda m: "-" if m[0] == r"\-" else "", said)
    for name, (header, number) in calls.items():
        if not re.search(rf"\b{name}\b", said):
            findings.add(header, number, f"{name}() is in no man page")
    known = set(calls)
    for page in pages:
        for number, line in enumerate(page.read_text().splitlines(), 1):
            # Names that are written as calls; types end in _t and take no parentheses.
            for name in re.findall(r"\b(hale_[a-z0-9_]+)\s*\(", line):
                if name not in known and not name.endswith("_t"):
                    findings.add(page, number, f"{name}() does not exist")


def check_catalog(messages, catalog, findings):
    used, explained = {}, {}
    for number, line in enumerate(messages.read_text().splitlines(), 1):
        for found in re.findall(ID, line):
            used.setdefault(found, number)
    for number, line in enumerate(catalog.read_text().splitlines(), 1):
        if found := re.match(rf"-- ({ID})", line):
            if found[1] in explained:
                findings.add(catalog, number, f"{found[1]} is explained twice")
            explained[found[1]] = number

    if not used:
        findings.add(messages, 1, "has no message ids: this checker is broken")
    for found, number in used.items():
        if found not in explained:
            findings.add(messages, number, f"{found} is not in the catalog")
    for found, number in explained.items():
        if found not in used:
            findings.add(catalog, number, f"{found} is no message of ours")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--headers", type=pathlib.Path)
    parser.add_argument("--man", type=pathlib.Path, action="append", default=[])
    parser.add_argument("--messages", type=pathlib.Path)
    parser.add_argument("--catalog", type=pathlib.Path)
    args = parser.parse_args()

    findings = Findings()
    if args.headers:
        calls = check_headers(args.headers, findings)
        if args.man:
            check_pages(calls, args.man, findings)
    if args.messages:
        check_catalog(args.messages, args.catalog, findings)
    return findings.finish()


if __name__ == "__main__":
    sys.exit(main())
