#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the library exports, what its symbol map lists and what the public headers declare are the
same calls.

usage: check-symbols.py LIBRARY MAP HEADERS
"""

import pathlib
import re
import subprocess
import sys

from findings import Findings, declared_calls


def exported(library):
    said = subprocess.run(
        ["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True
    )
    for line in said.stdout.splitlines():
        _, kind, name = line.split(maxsplit=2)
        # Versions are absolute; sanitizers and the C runtime bring names with underscores.
        if kind != "A" and not name.startswith("_"):
            yield name.split("@")[0]


def listed(text):
    """The names of the global parts of a map, with their lines."""
    is_global = False
    for number, line in enumerate(text.splitlines(), 1):
        line = re.sub(r"/\*.*?\*/|#.*", "", line)
        for word in re.findall(r"\w+:|\*|[A-Za-z_]\w*(?=\s*;)", line):
            if word.endswith(":"):
                is_global = word == "global:"
            elif is_global and word != "*":
                yield word, number


def main(library, symbol_map, headers):
    findings = Findings()
    in_library = set(exported(library))
    in_map = dict(listed(symbol_map.read_text()))
    in_headers = {}
    for header in sorted(headers.glob("*.h")) if headers.is_dir() else [headers]:
        # What stands on the library has a map of its own.
        if headers.is_dir() and (symbol_map.parent / "adapter" / f"{header.stem}.sym").is_file():
            continue
        for name, number in declared_calls(header.read_text()):
            in_headers[name] = (header, number)

    for name, number in in_map.items():
        if name not in in_library:
            findings.add(symbol_map, number, f"{name} is listed and not exported")
        if name not in in_headers:
            findings.add(symbol_map, number, f"{name} is in no public header")
    for name in sorted(in_library - in_map.keys()):
        findings.add(symbol_map, 1, f"{name} is exported and not listed")
    for name, (header, number) in in_headers.items():
        if name not in in_map:
            findings.add(header, number, f"{name} is not in {symbol_map.name}")
    if not in_map or not in_headers:
        findings.add(symbol_map, 1, "found no symbols at all: this checker is broken")
    return findings.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])))
