/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Gate
 *
 * Decides about the watchdog: whether the next ping is sent, when pings are
 * withheld, when systemd is asked to act at once, and when to end the process
 * ourselves because nobody acts. It only decides; report/notify sends.
 *
 *   OPEN ---- live lost ----> WITHHELD ---- remedies spent ----> TRIGGERED ---- grace ----> ENDED
 *     ^                          |
 *     +------ live again --------+
 */

#include <stdbool.h>
#include <stdint.h>

typedef enum GateState {
        GATE_OPEN,
        GATE_WITHHELD,  /* no pings; remedies have until WatchdogSec= runs out */
        GATE_TRIGGERED, /* WATCHDOG=trigger was sent; systemd should act any moment */
        GATE_ENDED,
        _GATE_STATE_MAX,
} GateState;

typedef struct GateConfig {
        uint64_t watchdog_usec; /* 0: no watchdog */
        bool managed;           /* there is somebody to send WATCHDOG=trigger to */
} GateConfig;

typedef struct Gate {
        GateConfig config;
        GateState state;
        uint64_t ping_usec;  /* when the next ping is due */
        uint64_t since_usec; /* when @state was entered */
        uint64_t last_ping_usec;
        uint64_t n_pings, n_withheld, n_triggers;
        bool stopping; /* no pings after STOPPING=1, and no verdicts either */
} Gate;

typedef enum GateAction {
        GATE_NOTHING = 0,
        GATE_PING = 1 << 0,
        GATE_CLOSED = 1 << 1,  /* just closed: say so */
        GATE_OPENED = 1 << 2,  /* just opened again: say so */
        GATE_TRIGGER = 1 << 3, /* STATUS=why and WATCHDOG=trigger, in one datagram */
        GATE_ABORT = 1 << 4,   /* nobody acted within the grace: abort() */
        GATE_EXIT = 1 << 5,    /* no manager: stop with the documented exit status */
} GateAction;

void gate_init(Gate *gate, const GateConfig *config, uint64_t now_usec);

/* WATCHDOG_USEC= may change while we run. 0 switches the pings off. */
void gate_set_watchdog(Gate *gate, uint64_t watchdog_usec, uint64_t now_usec);

/*
 * Asks what to do now. @live is the health's; @healing says that a remedy for
 * what closed the gate is still to come. Returns GateActions, or-ed.
 */
unsigned gate_step(Gate *gate, bool live, bool healing, uint64_t now_usec);

/* When to ask again, at the latest; USEC_NEVER: only when live changes. */
uint64_t gate_deadline(const Gate *gate);

const char *gate_state_to_string(GateState state);
