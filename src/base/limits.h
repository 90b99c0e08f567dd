/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Limits
 *
 * Every queue, list and buffer has a bound, and every bound stands here with
 * its reason.
 */

#include "base/clock.h"

/* A DNS label (RFC 1035 2.3.4), and short enough for every surface. */
#define NAME_LENGTH_MAX 63

/* What a probe may say about itself: one line for a person, not a dump. */
#define OUTPUT_LENGTH_MAX 256

/* 100 000 are measured; ten times that is a mistake in a loop, not a service. */
#define PROBES_MAX 1000000

/* STATUS= is one line of `systemctl status`. */
#define STATUS_LENGTH_MAX 200

/* PID 1 reads every update; more than one a second is noise to a person as well. */
#define STATUS_INTERVAL_USEC USEC_PER_SEC
