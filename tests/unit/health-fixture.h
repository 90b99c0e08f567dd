/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Health Fixture
 *
 * A health with probes whose results were pushed, as the reports see it.
 */

#include <glib.h>

#include "base/clock.h"
#include "core/health.h"

#define FIXTURE_NOW (1000 * USEC_PER_SEC)

/* Adds a probe and gives it one result; HALE_UNKNOWN: none yet. */
static inline void fixture_add(Health *health,
                               HealthProbe *probe,
                               const char *name,
                               unsigned gates,
                               hale_status result,
                               const char *output) {
        Random random = RANDOM_INIT(1);
        ProbeChange change = { 0 };
        ProbePolicy policy;

        probe_policy_default(&policy, gates, true);
        *probe = (HealthProbe){
                .name = name,
                .type = "pushed",
                .output = output,
                .realtime_usec = result == HALE_UNKNOWN ? 0 : 1795416934123456,
        };
        probe_state_init(&probe->state, &policy, FIXTURE_NOW);
        probe_state_activate(&probe->state, FIXTURE_NOW, 0, &random);
        if (result != HALE_UNKNOWN)
                probe_state_push(&probe->state, result, FIXTURE_NOW, &change);
        health_add(health, probe);
}

/* One more result. */
static inline void fixture_push(Health *health, HealthProbe *probe, hale_status result) {
        ProbeChange change = { 0 };

        health_forget(health, probe);
        probe_state_push(&probe->state, result, FIXTURE_NOW, &change);
        health_remember(health, probe);
        (void)health_update(health, FIXTURE_NOW, NULL);
}

/* All probes are there: the start may end. */
static inline void fixture_begin(Health *health) {
        health->begun = true;
        (void)health_update(health, FIXTURE_NOW, NULL);
}
