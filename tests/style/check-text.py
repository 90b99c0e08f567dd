#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Text files are UTF-8, end with one newline, and have no trailing whitespace, tabs or carriage
returns.

usage: check-text.py ROOT
"""

import pathlib
import re
import sys

from findings import Findings, files_below

TEXT = (
    r"\.([ch]|py|sh|md|xml|conf|service|socket|in|ini|catalog|sym|policy|sysusers|[1-8])$"
    r"|^(meson\.build|meson_options\.txt|LAYERS|README|\.clang-format|\.editorconfig|\.gitignore)$"
)
TABS_ALLOWED = r"\.(catalog|md|[1-8])$|^COPYING$"


def check(path, findings):
    data = path.read_bytes()
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        findings.add(path, data.count(b"\n", 0, error.start) + 1, "is not UTF-8")
        return

    lines = text.split("\n")
    if data and lines[-1]:
        findings.add(path, len(lines), "does not end with a newline")
    if len(lines) > 2 and not lines[-2].strip():
        findings.add(path, len(lines) - 1, "ends with an empty line")
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            findings.add(path, number, "trailing whitespace")
        if "\t" in line and not re.search(TABS_ALLOWED, path.name):
            findings.add(path, number, "tab")


def main(root):
    findings = Findings()
    for path in files_below(root, TEXT):
        if "corpus" not in path.relative_to(root).parts:
            check(path, findings)
    return findings.finish()


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
