/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The Ladder of Memory
 *
 * One remedy, trim, which is run out of turn: when the rule of core/memory-rule says
 * so, and when the kernel says that we wait for memory. What comes after it is no
 * remedy but the end in order, with a status for which systemd starts us anew.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check/cgroup-memory.h"
#include "check/cgroup-path.h"
#include "check/pressure.h"
#include "core/defaults.h"
#include "core/memory-rule.h"
#include "heal/oom.h"
#include "service/remedy.h"

struct MemoryLadder {
        struct Remedies *owner; /* weak */
        MemoryRule rule;
        CgroupMemory cgroup;
        bool has_cgroup;
        OomWatch oom;
        Pressure pressure;
        bool hears; /* of it */
        Timer restart_timer;
        bool restarting;
};

static void memory_open(MemoryLadder *self) {
        CgroupPath path;

        if (self->has_cgroup)
                return;

        self->has_cgroup = cgroup_memory_open(&self->cgroup, "") >= 0;
        if (self->has_cgroup && self->oom.fd < 0 && cgroup_path_find(&path, "") >= 0)
                (void)oom_watch_open(&self->oom, path.path, path.v1);
}

static bool memory_read(MemoryLadder *self, CgroupMemoryUsage *ret) {
        memory_open(self);
        if (self->has_cgroup && cgroup_memory_read(&self->cgroup, ret) >= 0)
                return true;

        if (self->has_cgroup)
                cgroup_memory_close(&self->cgroup);
        self->has_cgroup = false;
        return false;
}

static void memory_press(MemoryLadder *self) {
        hale_probe *probe = self->owner->probe;

        if (ladder_press(&self->owner->ladder, 0, remedies_patience(probe), service_now()) >= 0)
                remedies_arm(self->owner);
}

static void on_memory_pressure(void *userdata) {
        MemoryLadder *self = userdata;

        self->owner->probe->service->metrics.n_memory_pressures++;
        if (self->owner->probe->health.state.active)
                memory_press(self);
}

/* What the probe said, and how long that can go on. */
static void memory_reason(const MemoryLadder *self, char reason[static OUTPUT_LENGTH_MAX]) {
        uint64_t left_usec = self->rule.left_usec;
        char left[USEC_TEXT_MAX];
        int n;

        n = snprintf(reason, OUTPUT_LENGTH_MAX, "%s", self->owner->probe->health.output);
        if (left_usec <= MEMORY_SOON_USEC && n >= 0 && n < OUTPUT_LENGTH_MAX)
                (void)snprintf(reason + n, OUTPUT_LENGTH_MAX - (size_t)n,
                               "; it grows, and reaches the limit in %s",
                               usec_format(left_usec, left));
}

static void memory_restart(void *userdata) {
        MemoryLadder *self = userdata;
        hale_probe *probe = self->owner->probe;
        hale_service *service = probe->service;
        char reason[OUTPUT_LENGTH_MAX];

        if (service->state != SERVICE_RUNNING)
                return;

        memory_reason(self, reason);
        (void)journal_send(&service->journal, MESSAGE_MEMORY_RESTART,
                           (JournalField[]){
                                   { "HALE_PROBE", probe->name },
                                   { "HALE_REASON", reason },
                           },
                           2, "'%s' ends in order, to be started anew before the kernel kills: %s",
                           service->name, reason);
        service_record_reason(service, &probe->health, reason);
        service->stop_result = -ENOTRECOVERABLE;
        (void)hale_service_stop(service);
}

/* A leak does not wait for the interval. */
static void memory_hurry(hale_probe *probe, uint64_t after_usec) {
        uint64_t due_usec = usec_add(probe->service->clock_usec, after_usec);
        ProbeState *state = &probe->health.state;

        if (state->due_usec != USEC_NEVER && due_usec < state->due_usec) {
                state->due_usec = due_usec;
                probe_schedule(probe);
        }
}

hale_status memory_ladder_look(struct Remedies *owner, hale_status result) {
        MemoryLadder *self = owner->memory;
        hale_probe *probe = owner->probe;
        CgroupMemoryUsage usage;
        MemoryAdvice advice;

        pressure_poll(&self->pressure);
        if (result == HALE_UNKNOWN || !memory_read(self, &usage))
                return HALE_UNKNOWN;

        /* Our trim is over, and this answer was asked for because of it. */
        if (owner->ladder.state == LADDER_VERIFYING)
                memory_rule_trimmed(&self->rule, owner->ladder.ended_usec);

        advice = memory_rule_look(&self->rule, usage.working, usage.limit,
                                  oom_watch_look(&self->oom), probe->service->clock_usec);
        memory_hurry(probe, memory_rule_look_again(&self->rule));
        if (advice == MEMORY_CALM)
                return HALE_PASS;

        if (advice == MEMORY_TRIM)
                memory_press(self);
        if (advice == MEMORY_RESTART && !self->restarting) {
                self->restarting = true;
                service_set_timer(probe->service, &self->restart_timer, 0);
        }
        return HALE_FAIL;
}

void memory_ladder_reset(struct Remedies *owner) {
        memory_rule_init(&owner->memory->rule);
}

MemoryLadder *memory_ladder_free(MemoryLadder *self) {
        if (!self)
                return NULL;

        wheel_remove(&self->owner->probe->service->wheel, &self->restart_timer.node);
        if (self->hears)
                self->owner->probe->service->metrics.n_memory_watches--;
        pressure_done(&self->pressure);
        oom_watch_close(&self->oom);
        if (self->has_cgroup)
                cgroup_memory_close(&self->cgroup);
        free(self);
        return NULL;
}

static int memory_ladder_new(MemoryLadder **ret, struct Remedies *owner) {
        hale_service *service = owner->probe->service;
        MemoryLadder *self;

        self = malloc(sizeof(*self));
        if (!self)
                return -ENOMEM;

        *self = (MemoryLadder){
                .owner = owner,
                .cgroup = CGROUP_MEMORY_INIT,
                .oom = OOM_WATCH_INIT,
                .pressure = PRESSURE_INIT,
                .restart_timer = TIMER_INIT(memory_restart, self),
        };
        memory_rule_init(&self->rule);
        *ret = self;

        /* A worker is asked nothing. */
        if (service->is_worker)
                return 0;

        memory_open(self);
        pressure_init(&self->pressure, service->event, PRIORITY_PROBE,
                      &(PressureConfig){
                              .watch = secure_getenv("MEMORY_PRESSURE_WATCH"),
                              .write = secure_getenv("MEMORY_PRESSURE_WRITE"),
                      },
                      on_memory_pressure, self);
        self->hears = self->pressure.kind != PRESSURE_NONE;
        service->metrics.n_memory_watches += self->hears;
        (void)journal_log(&service->journal, LOG_DEBUG, "Memory pressure is known from: %s",
                          pressure_kind_to_string(self->pressure.kind));
        return 0;
}

_public_ int hale_probe_add_memory_ladder(hale_probe *probe) {
        RungPolicy policy;
        hale_remedy *trim;
        int r;

        PROBE_CHECK(probe);
        RETURN_IF_FAIL(probe->service->state == SERVICE_NEW, -EBUSY);

        if (strcmp(probe->health.type, "memory") != 0 || probe->remedies ||
            probe->health.state.policy.gates & HALE_GATE_LIVE) {
                service_tell_error(probe->service,
                                   "Probe '%s' cannot have the ladder of memory: expected a "
                                   "memory: check that does not close 'live', without remedies",
                                   probe->name);
                return -EINVAL;
        }

        rung_policy_default(&policy, MEMORY_TRIM_SAMPLES);
        policy.cooldown_usec = MEMORY_TRIM_COOLDOWN_USEC;
        policy.cooldown_max_usec = MEMORY_TRIM_COOLDOWN_USEC;
        policy.budget = (unsigned)(USEC_PER_HOUR / MEMORY_TRIM_COOLDOWN_USEC);
        r = remedies_add(probe, "trim", REMEDY_TRIM, &policy, &trim);
        if (r < 0)
                return r;

        /* It is not its turn by counting, but when it is pressed. */
        probe->remedies->ladder.rungs[0].policy.after = UINT32_MAX;
        r = memory_ladder_new(&probe->remedies->memory, probe->remedies);
        if (r < 0)
                remedies_drop(probe);
        return r;
}
