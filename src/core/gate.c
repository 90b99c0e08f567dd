/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/clock.h"
#include "base/macro.h"
#include "base/names.h"
#include "core/defaults.h"
#include "core/gate.h"

/* clang-format off */
static const char *const gate_state_names[] = {
        [GATE_OPEN]      = "open",
        [GATE_WITHHELD]  = "withheld",
        [GATE_TRIGGERED] = "triggered",
        [GATE_ENDED]     = "ended",
};
/* clang-format on */

static_assert(ELEMENTSOF(gate_state_names) == _GATE_STATE_MAX, "a gate state lacks its name");

void gate_init(Gate *gate, const GateConfig *config, uint64_t now_usec) {
        assert(gate);
        assert(config);

        *gate = (Gate){
                .config = *config,
                .state = GATE_OPEN,
                .ping_usec = config->watchdog_usec > 0 ? now_usec : USEC_NEVER,
                .since_usec = now_usec,
        };
}

static uint64_t gate_interval(const Gate *gate) {
        return CLAMP(gate->config.watchdog_usec / PINGS_PER_WATCHDOG, PING_MIN_USEC, PING_MAX_USEC);
}

void gate_set_watchdog(Gate *gate, uint64_t watchdog_usec, uint64_t now_usec) {
        assert(gate);

        gate->config.watchdog_usec = watchdog_usec;
        gate->ping_usec = watchdog_usec > 0 ? now_usec : USEC_NEVER;
}

/* The only place that writes @state. */
static void gate_enter(Gate *gate, GateState state, uint64_t now_usec) {
        assert(gate->state != state);

        gate->state = state;
        gate->since_usec = now_usec;
}

/* Counts a ping that is due and not sent, and sets the time of the next. */
static bool gate_ping_due(Gate *gate, uint64_t now_usec) {
        if (now_usec < gate->ping_usec)
                return false;

        gate->ping_usec = usec_add(now_usec, gate_interval(gate));
        return true;
}

static unsigned gate_step_open(Gate *gate, bool live, uint64_t now_usec) {
        if (!live) {
                gate_enter(gate, GATE_WITHHELD, now_usec);
                return GATE_CLOSED;
        }

        if (!gate_ping_due(gate, now_usec))
                return GATE_NOTHING;

        gate->last_ping_usec = now_usec;
        gate->n_pings++;
        return GATE_PING;
}

static unsigned gate_step_withheld(Gate *gate, bool live, bool healing, uint64_t now_usec) {
        if (live) {
                /* systemd has gone without for a while: the first thing it hears is a ping. */
                gate_enter(gate, GATE_OPEN, now_usec);
                if (gate->config.watchdog_usec > 0)
                        gate->ping_usec = now_usec;
                return GATE_OPENED | gate_step_open(gate, true, now_usec);
        }

        if (healing) {
                if (gate_ping_due(gate, now_usec))
                        gate->n_withheld++;
                return GATE_NOTHING;
        }

        if (!gate->config.managed) {
                gate_enter(gate, GATE_ENDED, now_usec);
                return GATE_EXIT;
        }

        gate_enter(gate, GATE_TRIGGERED, now_usec);
        gate->n_triggers++;
        return GATE_TRIGGER;
}

static unsigned gate_step_triggered(Gate *gate, uint64_t now_usec) {
        /* Whether live came back no longer matters: systemd has been told, and may act late. */
        if (usec_sub(now_usec, gate->since_usec) < TRIGGER_GRACE_USEC)
                return GATE_NOTHING;

        gate_enter(gate, GATE_ENDED, now_usec);
        return GATE_ABORT;
}

unsigned gate_step(Gate *gate, bool live, bool healing, uint64_t now_usec) {
        unsigned actions = GATE_NOTHING;

        assert(gate);

        if (gate->stopping)
                return GATE_NOTHING;

        if (gate->state == GATE_OPEN)
                actions |= gate_step_open(gate, live, now_usec);
        if (gate->state == GATE_WITHHELD)
                actions |= gate_step_withheld(gate, live, healing, now_usec);
        else if (gate->state == GATE_TRIGGERED)
                actions |= gate_step_triggered(gate, now_usec);

        return actions;
}

uint64_t gate_deadline(const Gate *gate) {
        assert(gate);

        if (gate->stopping || gate->state == GATE_ENDED)
                return USEC_NEVER;
        if (gate->state == GATE_TRIGGERED)
                return usec_add(gate->since_usec, TRIGGER_GRACE_USEC);

        return gate->ping_usec;
}

const char *gate_state_to_string(GateState state) {
        return name_table_to_string(gate_state_names, ELEMENTSOF(gate_state_names), (int)state);
}
