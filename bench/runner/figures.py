# SPDX-License-Identifier: LGPL-2.1-or-later

"""Figures: what was measured, what it is measured against, and what was aimed at.

A ratio is the median of the rounds' ratios: figure and reference of one round were
taken one after the other, so that what the machine did meanwhile met both alike."""

import json
import os
import platform
import statistics
import sys

OK, MISSED, NO_AIM = "ok", "MISSED", "-"
COLUMNS = "%-44s %14s  %-28s %6s  %-12s %s"


def median(values):
    return statistics.median(values)


def ratio_of(values, references):
    """The median of the rounds' ratios; None where there is nothing to divide by."""
    pairs = [v / r for v, r in zip(values, references) if r]
    return median(pairs) if pairs else None


def number(value):
    """Three digits that count, without a power of ten."""
    if value == int(value) and abs(value) < 1e6:
        return "%d" % value
    magnitude = abs(value)
    return ("%.0f" if magnitude >= 100 else "%.1f" if magnitude >= 10 else
            "%.2f" if magnitude >= 0.095 else "%.3f") % value


class Aim:
    """@of is "ratio" or "value", @limit what it must not pass: at most, or (@least) at least."""

    def __init__(self, of, limit, least=False):
        self.of, self.limit, self.least = of, limit, least

    def met(self, value, ratio):
        actual = ratio if self.of == "ratio" else value
        if actual is None:
            return False
        return actual >= self.limit if self.least else actual <= self.limit

    def text(self, unit):
        sign = ">=" if self.least else "<="
        return "%s %s %s" % (sign, number(self.limit), "x" if self.of == "ratio" else unit)


class Board:
    """The table, as it grows, and the JSON document of the end."""

    def __init__(self, stream=sys.stdout):
        self.stream = stream
        self.figures, self.skipped, self.broken = [], [], []

    def head(self):
        print(COLUMNS % ("FIGURE", "VALUE", "REFERENCE", "RATIO", "AIM", ""), file=self.stream)

    def section(self, name, title):
        self.clear()
        print("\n%s: %s" % (name, title), file=self.stream, flush=True)

    def add(self, bench, name, values, unit, references=None, reference=None, aim=None,
            ratio=None, detail=None):
        """@values and @references are a round each. @reference is the latter's name."""
        value = median(values)
        if ratio is None and references:
            ratio = ratio_of(values, references)
        state = NO_AIM if aim is None else OK if aim.met(value, ratio) else MISSED
        known = median(references) if references else None

        self.figures.append({
            "bench": bench, "figure": name, "value": value, "unit": unit, "rounds": len(values),
            "min": min(values), "max": max(values), "reference": reference,
            "reference_value": known, "ratio": ratio, "state": state,
            "aim": aim and {"of": aim.of, "limit": aim.limit, "least": aim.least},
            "detail": detail,
        })
        self.clear()
        print((COLUMNS % (
            "  " + name, "%s %s" % (number(value), unit),
            "" if known is None else "%s %s" % (reference, number(known)),
            "" if ratio is None else "%.2f" % ratio,
            aim.text(unit) if aim else "", state)).rstrip(), file=self.stream, flush=True)

    def say(self, text):
        """A line of context under the figures."""
        self.clear()
        print("    " + text, file=self.stream, flush=True)

    def skip(self, bench, reason):
        self.skipped.append({"bench": bench, "reason": reason})
        self.clear()
        print("  skipped: %s" % reason, file=self.stream, flush=True)

    def fail(self, bench, error):
        self.broken.append({"bench": bench, "error": error})
        self.clear()
        print("  BROKEN: %s" % error, file=self.stream, flush=True)

    @staticmethod
    def progress(text):
        """What is being done now, on the terminal; gone as soon as there is a figure."""
        if sys.stderr.isatty():
            sys.stderr.write("\r\033[K  ... " + text)
            sys.stderr.flush()

    @staticmethod
    def clear():
        if sys.stderr.isatty():
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()

    def count(self, state):
        return sum(f["state"] == state for f in self.figures)

    def close(self, seconds):
        print("\n%d met, %d missed, %d without aim, %d skipped, %d broken; %.0f s" % (
            self.count(OK), self.count(MISSED), self.count(NO_AIM), len(self.skipped),
            len(self.broken), seconds), file=self.stream)

    def write_json(self, path, seconds, quick):
        document = {
            "machine": {
                "kernel": platform.release(), "arch": platform.machine(),
                "cpus": os.cpu_count(), "model": cpu_model(),
            },
            "quick": quick, "seconds": round(seconds, 1), "figures": self.figures,
            "skipped": self.skipped, "broken": self.broken,
        }
        with open(path, "w", encoding="utf-8") as out:
            json.dump(document, out, indent=2)
            out.write("\n")


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return "unknown"
