#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Holds every #include below src/ against src/LAYERS.

usage: check-layers.py SRC
"""

import pathlib
import re
import sys

from findings import Findings, files_below


class Layers:
    def __init__(self, text):
        self.allowed, self.sealed, self.foreign = {}, set(), {}
        for line in text.splitlines():
            line = line.split("#")[0].strip()
            if not line:
                continue
            name, _, rest = line.partition(":")
            if name.startswith("<"):
                self.foreign[name] = rest.split()
                continue
            layer = name.rstrip("!")
            self.allowed[layer] = {"hale", *rest.split()} - {layer}
            if name.endswith("!"):
                self.sealed.add(layer)

    def complaint(self, root, place, target, quoted):
        """Why the file at place (relative to root) may not include target, or None."""
        layer = place.parts[0]
        if not quoted:
            for prefix, places in self.foreign.items():
                if f"<{target}>".startswith(prefix) and not place.as_posix().startswith(
                    tuple(places)
                ):
                    return f"<{target}> may only be included from {', '.join(places) or 'tests'}"
            return None

        if not (root / target).is_file():
            return f'"{target}" is not a path below src/'
        other = target.split("/")[0]
        if other != layer:
            if other not in self.allowed[layer]:
                return f"{layer} may not include {other}"
            return None
        if layer in self.sealed and module(place) != module(pathlib.PurePath(target)):
            return f"modules of {layer} may not include one another's headers"
        return None


def module(path):
    """http-accept.c and http-parse.h are of the module http."""
    return path.stem.split("-")[0]


def main(root):
    layers = Layers((root / "LAYERS").read_text())
    findings = Findings()

    for path in files_below(root, r"\.[ch]$"):
        place = path.relative_to(root)
        if place.parts[0] not in layers.allowed:
            findings.add(path, 1, f"LAYERS knows no folder '{place.parts[0]}'")
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if not (found := re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)):
                continue
            if why := layers.complaint(root, place, found[2], found[1] == '"'):
                findings.add(path, number, why)
    return findings.finish()


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
