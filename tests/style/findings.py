# SPDX-License-Identifier: LGPL-2.1-or-later
"""What all checkers share: a finding is printed as `path:line: what`, and fails the check."""

import re

# Folders that are no part of the project: builds, caches, version control.
FOREIGN = re.compile(r"^(\.git|\.mypy_cache|__pycache__|build.*|subprojects)$")


class Findings:
    def __init__(self):
        self.lines = []

    def add(self, path, number, what):
        self.lines.append(f"{path}:{number}: {what}")

    def finish(self):
        """Prints all of them, and returns the exit status."""
        for line in self.lines:
            print(line)
        return 1 if self.lines else 0


def files_below(root, pattern):
    """All files below root (a pathlib.Path) whose name matches the regular expression."""
    for path in sorted(root.iterdir()):
        if path.is_symlink():
            continue
        if path.is_dir():
            if not FOREIGN.match(path.name):
                yield from files_below(path, pattern)
        elif re.search(pattern, path.name):
            yield path


def without_comments(text):
    """C without comments and without the insides of strings, with every line where it was."""

    def blank(match):
        found = match[0]
        if found.startswith("/"):
            return re.sub(r"[^\n]", " ", found)
        return found[0] + " " * (len(found) - 2) + found[-1]

    return re.sub(
        r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S
    )


def declared_calls(text):
    """The functions that a public header declares: (name, line of the declaration's first line)."""
    code = re.sub(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", lambda m: re.sub(r"[^\n]", " ", m[0]),
                  without_comments(text), flags=re.M)
    code = re.sub(r'extern\s+" *"\s*\{', lambda m: " " * len(m[0]), code)
    position = 0
    for statement in re.split(r"[;}]", code):
        start = position + len(statement) - len(statement.lstrip())
        position += len(statement) + 1
        name = re.search(r"\b(hale_[a-z0-9_]+)\s*\(", statement)
        if name and not re.search(r"\b(typedef|static)\b", statement):
            yield name[1], code.count("\n", 0, start) + 1
