/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Kubernetes Text
 *
 * The bodies of /livez, /readyz and /startupz, in the words of kube-apiserver
 * (its healthz.go): "ok" when the gate is open and nobody asked for more, else a
 * line a probe of that gate and a last line with the outcome.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"
#include "core/health.h"

typedef struct TextQuery {
        hale_gate gate;
        bool verbose;
        bool details;                /* the reasons may be shown */
        const char *const *excludes; /* names from ?exclude=, as they came; more than EXCLUDES_MAX
                                        are ignored */
        size_t n_excludes;
} TextQuery;

/*
 * Writes the body about one gate. A failed probe that is excluded does not count;
 * what the phase closes (starting, maintenance, stopping) cannot be excluded.
 * Without excludes the answer is that of the health itself.
 *
 * Returns true if the gate is open: 200, else 503. @text has the error if there
 * was no memory or no room.
 */
bool text_write_gate(Text *text, const Health *health, const TextQuery *query);

/*
 * The same for one probe of @health, whose part of the gate is @open: "ok", or "NAME
 * failed: reason withheld". Verbose it is the probe's line, with its output where that
 * may be shown, also if it passes: how a worker died before it came back.
 */
void text_write_probe(Text *text,
                      const Health *health,
                      const HealthProbe *probe,
                      const TextQuery *query,
                      bool open);
