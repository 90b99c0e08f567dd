/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Runs of Remedies
 *
 * The answers of a probe go to its ladder; whatever the ladder wants then is done from
 * a timer of its own, and not from within the answer, because it calls the program.
 */

#include <string.h>
#include <unistd.h>

#include "core/defaults.h"
#include "service/remedy.h"

/* How often a worker or a link is looked at that is being restarted or reopened. */
#define POLL_USEC (20 * USEC_PER_MSEC)

void remedies_arm(struct Remedies *self) {
        hale_service *service = self->probe->service;

        service_set_timer(service, &self->timer,
                          MIN(ladder_deadline(&self->ladder), self->poll_usec));
}

/* A probe that is asked may be in the middle of a run, which says nothing; then it is asked anew.
 * One that tells by itself is given its interval. */
uint64_t remedies_patience(const hale_probe *probe) {
        const ProbePolicy *policy = &probe->health.state.policy;

        return policy->pushed ? usec_add(policy->interval_usec, policy->timeout_usec)
                              : usec_add(2 * policy->timeout_usec, FAST_INTERVAL_USEC);
}

/* Lets go of the present run. */
void remedies_cancel(struct Remedies *self) {
        self->poll_usec = USEC_NEVER;
        if (self->job)
                remedy_job_abandon(self);
}

static void remedies_heard(struct Remedies *self) {
        if (self->closed_live && self->ladder.state == LADDER_IDLE)
                remedies_close_live(self, false);
        remedies_mark(self);

        /* An answer to what was asked before the remedy was done: ask again. */
        if (self->ladder.state == LADDER_VERIFYING)
                service_set_timer(self->probe->service, &self->timer, 0);
        else
                remedies_arm(self);
}

void remedies_answered(hale_probe *probe, hale_status result) {
        struct Remedies *self = probe->remedies;
        const ProbeState *state = &probe->health.state;
        uint64_t now_usec = probe->service->clock_usec;
        uint64_t asked_usec = state->policy.pushed ? now_usec : state->started_usec;
        LadderEnd end;

        if (self->memory)
                result = memory_ladder_look(self, result);
        if (result == HALE_UNKNOWN)
                return;

        if (result == HALE_FAIL)
                ladder_fails(&self->ladder, asked_usec, remedies_patience(probe), now_usec);
        else if (ladder_passes(&self->ladder, asked_usec,
                               self->memory || state->verdict != HALE_FAIL, &end))
                remedies_tell_end(self, &end);

        remedies_heard(self);
}

void remedies_silent(hale_probe *probe) {
        struct Remedies *self = probe->remedies;

        ladder_silent(&self->ladder, remedies_patience(probe), probe->service->clock_usec);
        remedies_heard(self);
}

void remedies_reset(hale_probe *probe) {
        struct Remedies *self = probe->remedies;
        LadderEnd end;

        remedies_cancel(self);
        if (self->memory)
                memory_ladder_reset(self);
        if (ladder_reset(&self->ladder, service_now(), &end))
                remedies_tell_end(self, &end);
        remedies_heard(self);
}

/* ---- the kinds ---- */

static int run_callback(hale_remedy *remedy) {
        int r;

        if (remedy->blocking)
                return remedy_job_start(remedy, remedy->owner->ladder.generation);

        blame_enter("remedy", remedy->name);
        r = remedy->callback(remedy, remedy->userdata);
        blame_leave();
        return r;
}

/* First what the program can do without, and then what the allocator keeps. */
static int run_trim(hale_remedy *remedy) {
        uint32_t generation = remedy->owner->ladder.generation;
        hale_service *service = remedy->owner->probe->service;

        if (service->on_trim)
                service->on_trim(service, service->on_trim_data);
        if (!remedy->owner)
                return 0;

        return remedy_job_start(remedy, generation);
}

static int run_restart_worker(hale_remedy *remedy) {
        int r;

        r = hale_worker_restart(remedy->worker);
        if (r < 0)
                return r;

        if (remedy->owner)
                remedy->owner->poll_usec = usec_add(service_now(), POLL_USEC);
        return HALE_PENDING;
}

static int run_reopen_link(hale_remedy *remedy) {
        int r;

        r = hale_link_reopen(remedy->link);
        if (r < 0 && r != -EINPROGRESS)
                return r;

        if (remedy->owner)
                remedy->owner->poll_usec = usec_add(service_now(), POLL_USEC);
        return HALE_PENDING;
}

/* clang-format off */
static int (*const runs[])(hale_remedy *remedy) = {
        [REMEDY_CALLBACK]       = run_callback,
        [REMEDY_TRIM]           = run_trim,
        [REMEDY_RESTART_WORKER] = run_restart_worker,
        [REMEDY_REOPEN_LINK]    = run_reopen_link,
        [REMEDY_GIVE_UP]        = NULL, /* is the ladder's end, not a run */
};
/* clang-format on */

static_assert(ELEMENTSOF(runs) == _REMEDY_KIND_MAX, "a kind of remedy lacks its run");

/* What has become of a worker or a link: HALE_PENDING, 0, or a negative errno. */
static int remedy_poll(const hale_remedy *remedy) {
        if (remedy->worker) {
                hale_worker_state state = hale_worker_get_state(remedy->worker);

                return state == HALE_WORKER_RUNNING                                ? 0
                       : state == HALE_WORKER_ENDED || state == HALE_WORKER_FAILED ? -ECHILD
                                                                                   : HALE_PENDING;
        }

        return hale_link_is_up(remedy->link)                               ? 0
               : hale_link_get_state(remedy->link) == HALE_LINK_CONNECTING ? HALE_PENDING
                                                                           : -ENOTCONN;
}

/* The run of @generation has ended, if that is the present one. Returns 0 or -ESTALE. */
int remedy_end(hale_remedy *remedy, uint32_t generation, int result) {
        struct Remedies *self = remedy->owner;
        hale_service *service;

        if (!self || self->ladder.current != remedy->index)
                return -ESTALE;

        service = self->probe->service;
        service->clock_usec = service_now();
        if (!ladder_ended(&self->ladder, generation, result > 0 ? -EINVAL : result,
                          service->clock_usec))
                return -ESTALE;

        self->poll_usec = USEC_NEVER;
        service_set_timer(service, &self->timer, 0);
        return 0;
}

/* Calls the program; @remedy's probe, and all that belongs to it, may be gone afterwards. */
static void remedy_begin(hale_remedy *remedy) {
        uint32_t generation = remedy->owner->ladder.generation;
        int r;

        remedies_mark(remedy->owner);
        (void)hale_remedy_ref(remedy);
        r = runs[remedy->kind](remedy);
        if (r != HALE_PENDING)
                (void)remedy_end(remedy, generation, r);
        (void)hale_remedy_unref(remedy);
}

_public_ int hale_remedy_answer(hale_remedy *remedy, uint32_t run, int result) {
        RETURN_IF_FAIL(remedy, -EINVAL);
        RETURN_IF_FAIL(result <= 0, -EINVAL);
        RETURN_IF_FAIL(on_loop_thread, -EPERM);
        RETURN_IF_FAIL(remedy->owner, -ESTALE);
        SERVICE_CHECK(remedy->owner->probe->service);
        RETURN_IF_FAIL(!remedy->owner->job, -ESTALE);

        return remedy_end(remedy, run, result);
}

_public_ uint32_t hale_remedy_get_run(hale_remedy *remedy) {
        const struct Remedies *self = remedy ? remedy->owner : NULL;

        return self && self->ladder.state == LADDER_RUNNING && self->ladder.current == remedy->index
                       ? self->ladder.generation
                       : 0;
}

_public_ int hale_remedy_done(hale_remedy *remedy, int result) {
        RETURN_IF_FAIL(remedy, -EINVAL);
        RETURN_IF_FAIL(on_loop_thread, -EPERM);

        return hale_remedy_answer(remedy, hale_remedy_get_run(remedy), result);
}

/* ---- the ladder's wishes ---- */

/* Asks whether it helped. A probe that tells by itself may have told already, while we were at it.
 */
static void remedies_verify(struct Remedies *self) {
        ProbeState *state = &self->probe->health.state;
        LadderEnd end;

        if (!state->policy.pushed) {
                if (probe_state_hurry(state, self->probe->service->clock_usec))
                        probe_schedule(self->probe);
                return;
        }

        if (state->answered_usec >= self->ladder.began_usec && state->result != HALE_FAIL &&
            state->result != HALE_UNKNOWN &&
            ladder_passes(&self->ladder, self->ladder.ended_usec, state->verdict != HALE_FAIL,
                          &end))
                remedies_tell_end(self, &end);
}

static void remedies_spent(struct Remedies *self) {
        remedies_tell_spent(self);
        if (self->ladder.gave_up)
                remedies_close_live(self, true);

        /* The gate waited for us. */
        service_unsettle(self->probe->service);
}

/* Does one wish. Returns false when there is nothing more to do for now. */
static bool remedies_do(struct Remedies *self, LadderWish wish, const LadderEnd *end) {
        switch (wish) {
        case LADDER_RUN:
                remedy_begin(self->rungs[self->ladder.current]);
                return true;
        case LADDER_LATE:
                remedies_cancel(self);
                return true;
        case LADDER_OVER:
                remedies_tell_end(self, end);
                return true;
        case LADDER_GAVE_UP:
                remedies_spent(self);
                return true;
        case LADDER_VERIFY:
                remedies_verify(self);
                return false;
        case LADDER_WAIT:
        default:
                return false;
        }
}

static void remedies_poll(struct Remedies *self) {
        hale_remedy *remedy = self->rungs[self->ladder.current];
        int r;

        if (self->probe->service->clock_usec < self->poll_usec)
                return;

        r = remedy_poll(remedy);
        if (r == HALE_PENDING)
                self->poll_usec = usec_add(self->probe->service->clock_usec, POLL_USEC);
        else
                (void)remedy_end(remedy, self->ladder.generation, r);
}

void remedies_due(void *userdata) {
        struct Remedies *self = userdata;
        hale_probe *probe = hale_probe_ref(self->probe);
        hale_service *service = probe->service;
        LadderEnd end;
        bool more;

        do {
                /* A service that goes does not repair itself. */
                more = false;
                if (service->state != SERVICE_RUNNING || service->health.stopping)
                        break;

                service->clock_usec = service_now();
                remedies_poll(self);
                more = remedies_do(self, ladder_step(&self->ladder, service->clock_usec, &end),
                                   &end);
        } while (more && probe->remedies == self);

        if (probe->remedies == self) {
                remedies_mark(self);
                if (service->state == SERVICE_RUNNING && !service->health.stopping)
                        remedies_arm(self);
        }
        (void)hale_probe_unref(probe);
}
