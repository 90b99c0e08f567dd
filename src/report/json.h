/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * JSON Documents
 *
 * The health as application/health+json (draft-inadarei-api-health-check-06) and
 * in the shape of Spring Boot's actuator, of the whole and of one probe. A document
 * is made when what it shows has changed, not when it is asked for, and probe by
 * probe, so that a hundred thousand of them need no tree in memory.
 *
 * The draft knows pass, warn and fail. An unknown verdict is "fail" when it keeps
 * a gate closed, else "warn"; "verdict" has our own word.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "core/health.h"

#define HEALTH_JSON_TYPE "application/health+json"
#define ACTUATOR_JSON_TYPE "application/vnd.spring-boot.actuator.v3+json"

/* Who speaks. NULL is left out, but for @service. */
typedef struct ReportIdentity {
        const char *service;
        const char *unit;
        const char *version; /* of the program */
        const char *hale_version;
        const char *invocation_id;
        uint64_t started_usec; /* CLOCK_MONOTONIC */
        uint64_t started_realtime_usec;
} ReportIdentity;

typedef struct JsonView {
        const ReportIdentity *identity;
        uint64_t realtime_usec;   /* now */
        bool details;             /* outputs, reasons and versions may be shown */
        const char *previous_run; /* a JSON object about how the last run ended, or NULL */
} JsonView;

/* application/health+json. Return 0, -ENOMEM, or -E2BIG past the bound of @text. */
int json_write_health(Text *text, const Health *health, const JsonView *view);
int json_write_health_probe(Text *text,
                            const Health *health,
                            const HealthProbe *probe,
                            const JsonView *view);

/*
 * Spring Boot's shape: the whole (HALE_GATE_NONE), or the groups "liveness" and
 * "readiness" with the probes of that gate. UP goes with 200, DOWN and
 * OUT_OF_SERVICE with 503.
 */
int json_write_actuator(Text *text, const Health *health, hale_gate gate, const JsonView *view);
int json_write_actuator_probe(Text *text, const HealthProbe *probe, const JsonView *view);
