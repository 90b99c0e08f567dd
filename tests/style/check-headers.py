#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each public header compiles alone, as strict C99 and as C++.

usage: check-headers.py SRC [HEADER...]     (all of SRC/hale without HEADER)
"""

import pathlib
import subprocess
import sys
import tempfile

from findings import Findings

WARNINGS = ["-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only"]
COMPILERS = [
    ("C99", ["gcc", "-std=c99", "-Wstrict-prototypes", *WARNINGS], ".c"),
    ("C++17", ["g++", "-std=c++17", *WARNINGS], ".cc"),
]


def main(src, headers):
    findings = Findings()
    headers = headers or sorted((src / "hale").glob("*.h"))
    if not headers:
        findings.add(src / "hale", 1, "there are no public headers")

    with tempfile.TemporaryDirectory() as folder:
        for header in headers:
            for language, command, suffix in COMPILERS:
                # Twice: a header must bear that.
                source = pathlib.Path(folder, "alone" + suffix)
                line = f'#include "{header.relative_to(src)}"\n'
                source.write_text(line + line + "int alone(void);\n")
                said = subprocess.run(
                    [*command, f"-I{src}", source], capture_output=True, text=True, check=False
                )
                if said.returncode != 0:
                    findings.add(header, 1, f"does not compile alone as {language}:\n{said.stderr}")
    return findings.finish()


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), [pathlib.Path(p) for p in sys.argv[2:]]))
