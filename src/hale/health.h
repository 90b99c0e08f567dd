/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Health: the words
 *
 * There is one health in a process, and every surface (HTTP, D-Bus, systemctl
 * status, the journal, the calls below service.h) shows that one.
 *
 * The vocabulary is that of Kubernetes: a probe that gates `live` says that only
 * a restart can help; one that gates `ready` says that the service should get no
 * work for the moment; one that gates `startup` says that it has not come up yet.
 */

#ifdef __cplusplus
extern "C" {
#endif

/* What a probe answered, what hale makes of its answers, and how the whole is doing. */
typedef enum hale_status {
        HALE_UNKNOWN, /* never asked, could not be asked, or asked too long ago */
        HALE_PASS,
        HALE_WARN, /* works, but somebody should look; closes nothing */
        HALE_FAIL,
} hale_status;

/* Where the service is in its life. */
typedef enum hale_phase {
        HALE_STARTING, /* until every startup and ready probe has passed once */
        HALE_RUNNING,
        HALE_RELOADING,
        HALE_MAINTENANCE, /* somebody closed `ready` on purpose */
        HALE_STOPPING,
} hale_phase;

/* What a failing probe closes. May be or-ed; 0 only informs. */
typedef enum hale_gate {
        HALE_GATE_NONE = 0,
        HALE_GATE_LIVE = 1 << 0,    /* pings to systemd stop, and the service is restarted */
        HALE_GATE_READY = 1 << 1,   /* /readyz turns 503; nobody is restarted */
        HALE_GATE_STARTUP = 1 << 2, /* the other probes wait until it has passed once */
} hale_gate;

/*
 * The word for a value ("pass", "running"), as all surfaces write it; NULL for a
 * value that is none. The string is static.
 */
const char *hale_status_to_string(hale_status status);
const char *hale_phase_to_string(hale_phase phase);

#ifdef __cplusplus
}
#endif
