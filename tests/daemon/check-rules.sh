#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# check-rules.sh RULES TESTS: promtool judges the alerts, and tries them on made-up series.

set -e
if ! command -v promtool > /dev/null; then
    echo "skipped: promtool is missing (package prometheus)"
    exit 77
fi
promtool check rules --lint-fatal "$1"
promtool test rules "$2"
