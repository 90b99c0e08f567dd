#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lets clang-format 14 say whether the C files are formatted: other versions differ.

usage: check-format.py ROOT [FORMATTER...]
"""

import pathlib
import re
import subprocess
import sys

from findings import files_below

VERSION = "14"


def formatter(names):
    for name in names:
        try:
            said = subprocess.run([name, "--version"], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        if re.search(rf"version {VERSION}\.", said.stdout):
            return name
    return None


def main(root, names):
    program = formatter(names)
    if not program:
        print(f"skipped: there is no clang-format {VERSION}")
        return 77

    files = []
    for folder in ("src", "tests", "bench", "man"):
        if (root / folder).is_dir():
            files += files_below(root / folder, r"\.[ch]$")
    said = subprocess.run(
        [program, "--dry-run", "-Werror", "--style=file", *files],
        stderr=subprocess.PIPE, text=True, check=False,
    )
    found = re.findall(r"^(.*?):(\d+):\d+: error: (.*)$", said.stderr, flags=re.M)
    for path, number, what in found:
        print(f"{path}:{number}: {what}")
    if said.returncode != 0 and not found:
        print(said.stderr)
    return 1 if said.returncode != 0 else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), sys.argv[2:] or ["clang-format-14", "clang-format"]))
