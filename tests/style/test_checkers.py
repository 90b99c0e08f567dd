#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A checker that cannot fail is worth nothing: each is shown something bad that it must find, and
something good that it must let pass."""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).parent
SPDX = "/* SPDX-License-Identifier: LGPL-2.1-or-later */\n"
LAYERS = "hale:\nbase:\ncore: base\nreport!: base core\n\n<systemd/: report\n<glib:\n"
HEADER = "#pragma once\n\n/* Does it. */\nint hale_do(int x);\n"


class Case(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.root)

    def put(self, name, text, mode=0o644):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        return path

    def check(self, checker, *args):
        said = subprocess.run(
            [sys.executable, "-B", HERE / checker, *args],
            capture_output=True, text=True, check=False,
        )
        self.assertEqual(said.stderr, "")
        return said

    def finds(self, what, checker, *args):
        said = self.check(checker, *args)
        self.assertEqual(said.returncode, 1, said.stdout)
        self.assertIn(what, said.stdout)
        self.assertRegex(said.stdout.splitlines()[0], r"^[^:]+:\d+: .")

    def passes(self, checker, *args):
        said = self.check(checker, *args)
        self.assertEqual((said.returncode, said.stdout), (0, ""))


class Layers(Case):
    def setUp(self):
        super().setUp()
        self.put("LAYERS", LAYERS)
        for name in ("hale/hale.h", "base/str.h", "core/gate.h", "report/http-a.h", "report/bus.h"):
            self.put(name, "")

    def includes(self, place, line):
        self.put(place, "\n" + line + "\n")
        return ("check-layers.py", self.root)

    def test_good(self):
        self.includes("core/gate.c", '#include "base/str.h"\n#include "core/gate.h"')
        self.includes("report/http-b.c", '#include "report/http-a.h"\n#include <systemd/sd-bus.h>')
        self.passes(*self.includes("report/bus.c", '#include "hale/hale.h"\n#include <errno.h>'))

    def test_bad(self):
        for place, line, what in (
            ("base/str.c", '#include "core/gate.h"', "str.c:2: base may not include core"),
            ("hale/hale.h", '#include "base/str.h"', "hale may not include base"),
            ("report/bus.c", '#include "report/http-a.h"', "one another"),
            ("core/gate.c", "#include <systemd/sd-bus.h>", "only be included from report"),
            ("core/gate.c", "# include <glib.h>", "only be included from tests"),
            ("core/gate.c", '#include "gate.h"', "not a path below src/"),
            ("new/new.c", "", "LAYERS knows no folder 'new'"),
        ):
            with self.subTest(place=place, line=line):
                self.finds(what, *self.includes(place, line))
                self.put(place, "")
                if place.startswith("new/"):
                    shutil.rmtree(self.root / "new")


class Tidy(Case):
    def test_good(self):
        body = "int f(int a,\n      int b) {\n" + "        a++;\n" * 67 + "}\n"
        quiet = "/* sleep(1) and system() */\nstatic const char s[] = \"atoi(x)\";\n"
        table = "static const int t[] = {\n" + "        1,\n" * 100 + "};\n"
        self.put("src/base/a.c", SPDX + quiet + table + body + "void g(T *t) {\n        t->exit(1);\n}\n")
        self.put("tests/unit/b.c", SPDX + "int main(void) {\n        _exit(1);\n}\n")
        self.put("tests/x.py", "#!/usr/bin/python3\n# " + SPDX[3:-4] + "\n")
        self.put("build-x/y.c", "no licence\n")
        self.passes("tidy.py", self.root)

    def test_bad(self):
        long_body = "int f(int a,\n      int b) {\n" + "        a++;\n" * 68 + "}\n"
        for place, text, what in (
            ("src/a.c", "int x;\n", "a.c:1: the first line names no licence"),
            ("x.sh", "#!/bin/sh\nexit\n", "x.sh:2: the first line names no licence"),
            ("meson.build", "project()\n", "names no licence"),
            ("src/a.c", SPDX + "int x;\n\n" + long_body, "a.c:4: 71 lines"),
            ("src/a.c", SPDX + "int x;\n" * 500, "501 lines; 500"),
            ("src/a.h", SPDX + "int x;\n" * 200, "201 lines; 200"),
            ("src/hale/a.h", SPDX + "int x;\n" * 400, "401 lines; 400"),
            ("tests/a.c", SPDX + "int x;\n" * 700, "701 lines; 700"),
            ("src/a.c", SPDX + "        sprintf(b, x);\n", "a.c:2: sprintf()"),
            ("src/a.c", SPDX + "        x = atoi (b);\n", "atoi()"),
            ("src/a.c", SPDX + "        exit(1);\n", "exit()"),
            ("src/a.c", SPDX + "        (void)sd_notify(0, x);\n", "sd_notify()"),
            ("tests/a.c", SPDX + "        usleep(1);\n", "usleep()"),
            ("tests/a.c", SPDX + "        sd_event_set_watchdog(e, 1);\n", "sd_event_set_watchdog()"),
            ("src/a.c", SPDX + "/* TO" "DO: all of it */\n", "finish it"),
            ("docs/a.md", "FIX" "ME\n", "a.md:1: FIX" "ME: finish it"),
            ("docs/a.md", "see /wo" "rk/main/x\n", "a path of one machine"),
        ):
            with self.subTest(what=what):
                path = self.put(place, text)
                self.finds(what, "tidy.py", self.root)
                path.unlink()


class Format(Case):
    def setUp(self):
        super().setUp()
        self.put(".clang-format", "BasedOnStyle: LLVM\nIndentWidth: 8\n")

    def test_good_and_bad(self):
        path = self.put("src/a.c", "int f(void) { return 1; }\n")
        if self.check("check-format.py", self.root).returncode == 77:
            self.skipTest("there is no clang-format 14")
        self.passes("check-format.py", self.root)
        path.write_text("int f( void ) { return 1; }\n")
        self.finds("a.c:1: code should be", "check-format.py", self.root)

    def test_other_version(self):
        other = self.put("other", "#!/bin/sh\necho clang-format version 15.0.7\n", 0o755)
        said = self.check("check-format.py", self.root, other)
        self.assertEqual(said.returncode, 77)
        self.assertIn("skipped", said.stdout)


class Symbols(Case):
    def library(self, code, names):
        source = self.put("a.c", code)
        symbols = "".join(f"        {name};\n" for name in names)
        self.put("a.sym", "A_1 {\nglobal:\n" + symbols + "local:\n        *;\n};\n")
        subprocess.run(
            ["gcc", "-shared", "-fPIC", f"-Wl,--version-script={self.root}/a.sym", source, "-o",
             self.root / "a.so"], check=True,
        )
        return ("check-symbols.py", self.root / "a.so", self.root / "a.sym", self.root / "hale")

    def test_good(self):
        self.put("hale/a.h", HEADER + "typedef int (*hale_x_t)(int);\n#define HALE_M(x) hale_no(x)\n")
        self.passes(*self.library("int hale_do(int x) { return x; }\nint inner;\n", ["hale_do"]))

    def test_bad(self):
        code = "int hale_do(int x) { return x; }\nint hale_new(void) { return 0; }\n"
        self.put("hale/a.h", HEADER)
        self.finds("hale_new is in no public header", *self.library(code, ["hale_do", "hale_new"]))
        self.finds("hale_gone is listed and not exported",
                   *self.library(code, ["hale_do", "hale_gone"]))
        args = self.library(code, ["hale_do", "hale_new"])
        self.put("a.sym", "A_1 {\nglobal:\n        hale_do;\nlocal:\n        *;\n};\n")
        self.finds("hale_new is exported and not listed", *args)
        self.put("hale/b.h", "/* Not there. */\nvoid hale_promised(\n        int x);\n")
        self.finds("b.h:2: hale_promised is not in a.sym", *args)


class Headers(Case):
    def test_good(self):
        self.put("hale/a.h", HEADER)
        self.passes("check-headers.py", self.root)

    def test_bad(self):
        for text, what in (
            ("#pragma once\nuint32_t hale_x(void);\n", "alone as C99"),
            ("#pragma once\ntypedef enum x { HALE_X = 1, } x; // C99 knows these\nint new;\n", "C++17"),
            ("int hale_x = 1;\n", "alone as C99"),
            ("#pragma once\nint hale_x(void) { return ({ 1; }); }\n", "alone as C99"),
        ):
            with self.subTest(text=text):
                self.put("hale/a.h", text)
                self.finds(what, "check-headers.py", self.root)

    def test_none(self):
        self.finds("there are no public headers", "check-headers.py", self.root)


class Docs(Case):
    def setUp(self):
        super().setUp()
        self.put("hale/a.h", HEADER)
        self.put("m.c", '{ "x", "' + "0" * 32 + '" },\n')
        self.put("c", "-- " + "0" * 32 + "\nSubject: x\n")

    def args(self):
        return ("check-docs.py", "--headers", self.root / "hale", "--messages", self.root / "m.c",
                "--catalog", self.root / "c", "--man", self.put("a.3", ".BR hale_do ()\n"))

    def test_good(self):
        self.put("hale/b.h", "/* Both. */\nint hale_do(int x);\nint hale_do(\n        long x);\n")
        self.passes(*self.args())

    def test_bad(self):
        self.put("hale/b.h", "/* One. */\nint hale_do(int x);\n\nint hale_do(long x);\n")
        self.finds("b.h:4: hale_do() has no comment", *self.args())
        self.put("hale/b.h", "/* Other. */\nint hale_other(int x);\n")
        self.finds("hale_other() is in no man page", *self.args())
        (self.root / "hale/b.h").unlink()
        args = self.args()
        self.put("a.3", "hale_do() hale_gone()\n")
        self.finds("a.3:1: hale_gone() does not exist", *args)

    def test_catalog(self):
        self.put("c", "-- " + "1" * 32 + "\n")
        self.finds("m.c:1: " + "0" * 32 + " is not in the catalog", *self.args())
        self.finds("c:1: " + "1" * 32 + " is no message of ours", *self.args())
        self.put("c", ("-- " + "0" * 32 + "\n") * 2)
        self.finds("explained twice", *self.args())


class Manual(Case):
    ID = "0" * 32

    def args(self, text):
        self.put("a.c", SPDX + "int x;\n.y = '\\n';\n")
        self.put("m.c", '{ "x", "' + self.ID + '" },\n')
        page = self.put("a.7", ".Dd November 23, 2026\n.Dt A 7\n.Os\n.Sh NAME\n.Nm a\n.Nd b\n" + text)
        return ("check-manual.py", "--page", page, "--example", self.root / "a.c",
                "--messages", self.root / "m.c")

    def text(self, code="int x;\n\\&.y = '\\en';", message=ID):
        return f".Sh DESCRIPTION\n.Bd -literal\n{code}\n.Ed\n.Li {message}\n"

    def test_good(self):
        self.passes(*self.args(self.text()))
        self.put("README.md", "```c\nint x;\n.y = '\\n';\n```\n")
        self.passes("check-manual.py", "--text", self.root / "README.md",
                    "--example", self.root / "a.c")

    def test_bad(self):
        self.finds("a.c:1: is not quoted", *self.args(self.text(code="int y;")))
        self.finds("m.c:1: " + self.ID + " is in no man page",
                   *self.args(self.text(message="none")))
        self.finds("a.7:12: " + "1" * 32 + " is no message of ours",
                   *self.args(self.text(message="1" * 32)))
        self.finds("is explained twice", *self.args(self.text() + f".Li {self.ID}\n"))
        args = self.args(self.text())
        self.put("a.c", "int x;\n")
        self.finds("a.c:1: the first line names no licence", *args)

    @unittest.skipUnless(shutil.which("mandoc"), "there is no mandoc")
    def test_lint(self):
        self.finds("a.7:13:", *self.args(self.text() + ".Nosuch\n"))


class Help(Case):
    def program(self, text):
        return self.put("program", "#!/bin/sh\n" + text, 0o755)

    def test_good(self):
        self.passes("check-help.py", self.program(
            'if [ "$1" = --help ]; then echo usage; else echo "what?" >&2; exit 1; fi\n'))

    def test_bad(self):
        refuse = 'if [ "$1" != --help ]; then echo no >&2; exit 1; fi\n'
        for text, what in (
            (refuse + f"echo {'x' * 81}\n", "81 columns"),
            (refuse + "echo usage >&2\n", "nothing on stdout"),
            (refuse + "echo usage; exit 1\n", "ends with status 1"),
            ("echo usage\n", "takes an unknown option for a good one"),
            ("echo usage; [ $1 = --help ]\n", "without a word on stderr"),
            ("[ $1 = --help ] || kill -11 $$\necho usage\n", "dies of signal 11"),
        ):
            with self.subTest(what=what):
                self.finds(what, "check-help.py", self.program(text))
        self.finds("No such file", "check-help.py", self.root / "absent")


class Text(Case):
    def test_good(self):
        self.put("a.c", "int ä;\n")
        self.put("b.py", "")
        self.put("corpus/x.md", "raw \t")
        self.put("blob.bin", b"\xff\t")
        self.passes("check-text.py", self.root)

    def test_bad(self):
        for text, what in (
            ("int x;", "a.c:1: does not end with a newline"),
            ("int x;\n\n", "a.c:2: ends with an empty line"),
            ("\nint x; \n", "a.c:2: trailing whitespace"),
            ("int x;\r\n", "trailing whitespace"),
            ("\tint x;\n", "a.c:1: tab"),
            (b"\nint \xff;\n", "a.c:2: is not UTF-8"),
        ):
            with self.subTest(what=what):
                self.put("a.c", text)
                self.finds(what, "check-text.py", self.root)


if __name__ == "__main__":
    unittest.main()
