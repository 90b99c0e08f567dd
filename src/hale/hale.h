/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * libhale: services that heal themselves, the systemd way
 *
 * Read service.h first: it shows a whole program. probe.h says how a service asks
 * itself whether it is well, health.h gives the words, and worker.h adds
 * parts that may die alone.
 *
 * Calls return 0 or more, or a negative errno; on failure nothing has changed.
 * Times are microseconds and say so (_usec); UINT64_MAX is "never". Texts are
 * UTF-8. Objects are counted: _ref(), _unref(), and _unrefp() for the cleanup
 * attribute. A call in a forked child returns -ECHILD: children start anew.
 */

#include <stddef.h>

#include "hale/health.h"
#include "hale/link.h"
#include "hale/probe.h"
#include "hale/rehearsal.h"
#include "hale/remedy.h"
#include "hale/service.h"
#include "hale/worker.h"
