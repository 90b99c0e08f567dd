/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What must hold of links: one attempt at a time, with a deadline; waits as hale/link.h
 * promises them, so that no outage sees more than 64 attempts in ten minutes; one trial
 * at a time through the breaker, which closes when a connection has lasted; what is late
 * changes nothing; up exactly when the last attempt succeeded and nothing has failed
 * since; `ready` closed as long as it is not, and `live` never, without the flag; and up
 * again soon after the server is.
 */

#include "base/clock.h"
#include "core/defaults.h"
#include "sim/hold.h"
#include "sim/link.h"

static bool is_stable(const World *world, const SimLink *self) {
        return self->shadow.up && world->now - self->shadow.up_usec >= self->policy.stable_usec;
}

/* The longest wait between two attempts. */
static uint64_t wait_max(const LinkPolicy *policy) {
        return MAX(policy->backoff_max_usec,
                   policy->backoff_min_usec + policy->backoff_min_usec / 4);
}

void hold_link_begin(World *world, SimLink *self) {
        ShadowLink *shadow = &self->shadow;

        *shadow = (ShadowLink){
                .active = true,
                .earliest_usec = self->policy.told ? USEC_NEVER : world->now,
                .latest_usec = self->policy.told ? USEC_NEVER : world->now + hold_slack(0),
                .well_usec = world->now,
        };
        self->probe->shadow.gates = self->gates;
}

/* Whatever was held against it is forgotten. */
static void shadow_forgive(ShadowLink *shadow) {
        shadow->n_failures = shadow->n_pauses = shadow->n_attempts = 0;
        shadow->wait_usec = 0;
}

/* The waits as the header promises them, for the failure that has just been counted. */
static void shadow_waits(const SimLink *self, uint64_t *ret_low, uint64_t *ret_high) {
        const LinkPolicy *policy = &self->policy;
        const ShadowLink *shadow = &self->shadow;
        uint64_t min = policy->backoff_min_usec, max = policy->backoff_max_usec, pause = 0;

        if (shadow->n_failures < policy->breaker_after) {
                *ret_low = min;
                *ret_high = min + min / 4;
                return;
        }

        if (policy->breaker_after > 0)
                pause = MIN((2 * min) << MIN(shadow->n_pauses, 20U), MIN(LINK_PAUSE_MAX_USEC, max));
        *ret_low = MAX(min, pause);
        *ret_high = MIN(max, MAX(3 * MAX(shadow->wait_usec, min), pause));
        if (policy->breaker_after > 0 && shadow->n_pauses == 0)
                *ret_high = MAX(*ret_high, MIN(2 * min, max));
}

static void hold_wait(World *world, SimLink *self, uint64_t low, uint64_t high) {
        ShadowLink *shadow = &self->shadow;
        uint64_t wait = link_state_deadline(&self->state) - world->now;

        HOLD(world, wait >= low && wait <= high,
             "link %u waits %" PRIu64 " after %u failures, not %" PRIu64 " to %" PRIu64,
             self->probe->index, wait, shadow->n_failures, low, high);
        shadow->earliest_usec = world->now + wait;
        shadow->latest_usec = shadow->earliest_usec + hold_slack(wait);
}

/* It is not up, or no longer: when may it try again? */
static void shadow_fall(World *world, SimLink *self) {
        const LinkPolicy *policy = &self->policy;
        ShadowLink *shadow = &self->shadow;
        bool lasted = is_stable(world, self);
        uint64_t low, high;

        shadow->up = shadow->connecting = shadow->checking = shadow->curing = false;
        shadow->tried = true;
        if (policy->told)
                return;
        if (lasted) {
                world->sights[SIGHT_LINK_LASTED] += shadow->n_failures > 0;
                shadow_forgive(shadow);
                hold_wait(world, self, 0, policy->backoff_min_usec / 4);
                return;
        }

        shadow->n_failures++;
        shadow_waits(self, &low, &high);
        hold_wait(world, self, low, high);
        if (shadow->n_failures >= policy->breaker_after) {
                shadow->wait_usec = shadow->earliest_usec - world->now;
                shadow->n_pauses++;
        }
}

/* Who wants one now gets one, and no outage has more than so many of the others. */
static void hold_attempts(World *world, SimLink *self) {
        const LinkPolicy *policy = &self->policy;
        ShadowLink *shadow = &self->shadow;
        uint64_t *oldest = &shadow->attempts[shadow->n_attempts % ATTEMPTS_MAX];

        if (shadow->reopened)
                return;

        HOLD(world,
             policy->backoff_min_usec < RECONNECT_MIN_USEC ||
                     policy->backoff_max_usec < RECONNECT_MAX_USEC || policy->breaker_after == 0 ||
                     policy->breaker_after > LINK_BREAKER_AFTER ||
                     shadow->n_attempts < ATTEMPTS_MAX || world->now - *oldest >= ATTEMPTS_USEC,
             "link %u tries too often", self->probe->index);
        *oldest = world->now;
        shadow->n_attempts++;
}

static void hold_open(World *world, SimLink *self) {
        ShadowLink *shadow = &self->shadow;

        HOLD(world, shadow->active && !self->policy.told, "link %u is not to connect",
             self->probe->index);
        HOLD(world, !shadow->connecting && !shadow->up, "link %u connects twice",
             self->probe->index);
        HOLD(world, world->now >= shadow->earliest_usec, "link %u is early", self->probe->index);
        HOLD(world, hold_in_time(world, shadow->latest_usec), "link %u is late",
             self->probe->index);
        HOLD(world, self->state.generation == shadow->generation + 1, "attempt %u",
             self->state.generation);
        hold_attempts(world, self);
        world->sights[SIGHT_LINK_TRIAL] += self->policy.breaker_after > 0 && shadow->n_pauses > 0;

        shadow->generation++;
        shadow->connecting = true;
        shadow->reopened = false;
        shadow->began_usec = world->now;
}

static void hold_limit(World *world, const SimLink *self, uint64_t since_usec, uint64_t limit) {
        HOLD(world, world->now >= since_usec + limit, "link %u gives up early", self->probe->index);
        HOLD(world, hold_in_time(world, since_usec + limit + hold_slack(limit)),
             "link %u gives up late", self->probe->index);
}

static void hold_check(World *world, SimLink *self) {
        ShadowLink *shadow = &self->shadow;
        uint64_t interval = self->policy.check_interval_usec;

        HOLD(world, self->policy.checked && shadow->up && !shadow->checking,
             "link %u is asked out of turn", self->probe->index);
        HOLD(world, shadow->hurried || world->now >= shadow->heard_usec + interval,
             "link %u is asked early", self->probe->index);
        HOLD(world, hold_in_time(world, shadow->heard_usec + interval + hold_slack(interval)),
             "link %u is asked late", self->probe->index);
        shadow->checking = true;
        shadow->hurried = false;
        shadow->asked_usec = world->now;
}

void hold_link_wish(World *world, SimLink *self, LinkWish wish) {
        ShadowLink *shadow = &self->shadow;

        switch (wish) {
        case LINK_OPEN:
                hold_open(world, self);
                break;
        case LINK_CHECK:
                hold_check(world, self);
                break;
        case LINK_GIVE_UP:
                HOLD(world, shadow->connecting, "link %u", self->probe->index);
                hold_limit(world, self, shadow->began_usec, self->policy.connect_usec);
                world->sights[SIGHT_LINK_GAVE_UP]++;
                shadow_fall(world, self);
                break;
        case LINK_UNANSWERED:
                HOLD(world, shadow->up && shadow->checking, "link %u", self->probe->index);
                hold_limit(world, self, shadow->asked_usec, self->policy.check_timeout_usec);
                world->sights[SIGHT_LINK_UNANSWERED]++;
                shadow->well_usec = world->now; /* what was asked before */
                shadow_fall(world, self);
                break;
        case LINK_WAIT:
                HOLD(world, false, "link %u woke for nothing", self->probe->index);
        }
}

static LinkChange expect_said(const SimLink *self, bool up, uint32_t generation) {
        const ShadowLink *shadow = &self->shadow;
        bool down = !shadow->up && !shadow->connecting;

        if ((generation != 0 && generation != shadow->generation) || (down && !self->policy.told))
                return LINK_LATE;
        if (shadow->up)
                return up ? LINK_SAME : LINK_WENT_DOWN;
        if (up)
                return LINK_CAME_UP;

        return down ? LINK_SAME : LINK_FAILED;
}

void hold_link_said(World *world, SimLink *self, bool up, uint32_t generation, LinkChange change) {
        LinkChange expected = expect_said(self, up, generation);
        ShadowLink *shadow = &self->shadow;

        HOLD(world, change == expected, "link %u: %d not %d", self->probe->index, change, expected);
        world->sights[SIGHT_LINK_LATE] += change == LINK_LATE;
        world->sights[SIGHT_LINK_FAILED] += change == LINK_FAILED;
        world->sights[SIGHT_LINK_TOLD] += self->policy.told && change == LINK_CAME_UP;
        world->sights[SIGHT_LINK_CURED] += shadow->curing && change == LINK_CAME_UP;
        if (change == LINK_LATE)
                return;

        shadow->tried = true;
        if (!up) {
                shadow->well_usec = world->now;
                if (change != LINK_SAME)
                        shadow_fall(world, self);
                return;
        }

        shadow->generation += self->policy.told && change == LINK_CAME_UP;
        if (change == LINK_CAME_UP) {
                shadow->up_usec = world->now;
                world->sights[SIGHT_LINK_BACK] += shadow->n_failures > 0;
        }
        shadow->up = true;
        shadow->connecting = shadow->checking = shadow->hurried = shadow->curing = false;
        shadow->heard_usec = world->now;
}

void hold_link_reopened(World *world, SimLink *self, LinkChange change) {
        ShadowLink *shadow = &self->shadow;
        LinkChange expected = !shadow->active || self->policy.told ? LINK_LATE
                              : shadow->connecting                 ? LINK_SAME
                              : shadow->up                         ? LINK_WENT_DOWN
                                                                   : LINK_FAILED;

        HOLD(world, change == expected, "link %u: %d not %d", self->probe->index, change, expected);
        if (change == LINK_LATE || change == LINK_SAME)
                return;

        if (is_stable(world, self))
                shadow_forgive(shadow);
        world->sights[SIGHT_LINK_REOPENED]++;
        shadow->up = shadow->checking = false;
        shadow->reopened = true;
        shadow->earliest_usec = world->now;
        shadow->latest_usec = world->now + hold_slack(0);
        shadow->well_usec = world->now;
}

void hold_link_hurried(SimLink *self) {
        self->shadow.hurried = self->shadow.up && !self->shadow.checking;
}

void hold_link_server(World *world, SimLink *self) {
        self->shadow.well_usec = world->now;
}

void hold_link_end(World *world, SimLink *self) {
        self->shadow.active = self->shadow.up = self->shadow.connecting = false;
        HOLD(world, link_state_deadline(&self->state) == USEC_NEVER, "link %u goes on",
             self->probe->index);
}

/* Nothing is in the way of it: then it is up. */
static void hold_calm(World *world, const SimLink *self) {
        const LinkPolicy *policy = &self->policy;
        const ShadowLink *shadow = &self->shadow;
        uint64_t longest = wait_max(policy) + hold_slack(wait_max(policy)) +
                           2 * (policy->connect_usec + hold_slack(policy->connect_usec));

        if (self->server == SERVER_WELL && !policy->told && !shadow->up)
                HOLD(world,
                     world->now <= MAX(shadow->well_usec, world->books.disturbed_usec) + longest,
                     "link %u does not come back", self->probe->index);
}

/* When it is to be heard of again: the end of an attempt or a check, or the next of them. */
static uint64_t shadow_latest(const SimLink *self) {
        const LinkPolicy *policy = &self->policy;
        const ShadowLink *shadow = &self->shadow;
        uint64_t since = shadow->heard_usec, limit = policy->check_interval_usec;

        if (shadow->connecting) {
                since = shadow->began_usec;
                limit = policy->connect_usec;
        } else if (!shadow->up) {
                return shadow->latest_usec;
        } else if (!policy->checked) {
                return USEC_NEVER;
        } else if (shadow->checking) {
                since = shadow->asked_usec;
                limit = policy->check_timeout_usec;
        }

        return since + limit + hold_slack(limit);
}

static void hold_link_settled(World *world, const SimLink *self) {
        const LinkPolicy *policy = &self->policy;
        const ShadowLink *shadow = &self->shadow;
        const LinkState *state = &self->state;
        bool open = policy->breaker_after > 0 && shadow->n_failures >= policy->breaker_after &&
                    !is_stable(world, self);
        LinkBreaker breaker = !open                              ? BREAKER_CLOSED
                              : shadow->up || shadow->connecting ? BREAKER_HALF
                                                                 : BREAKER_OPEN;

        HOLD(world,
             state->status == (shadow->up           ? LINK_UP
                               : shadow->connecting ? LINK_CONNECTING
                                                    : LINK_DOWN),
             "link %u: %d", self->probe->index, state->status);
        HOLD(world, state->checking == shadow->checking, "link %u", self->probe->index);
        HOLD(world, link_state_breaker(state, world->now) == breaker, "link %u: breaker not %d",
             self->probe->index, breaker);
        HOLD(world,
             self->probe->shadow.verdict == (shadow->up      ? HALE_PASS
                                             : shadow->tried ? HALE_FAIL
                                                             : HALE_UNKNOWN),
             "link %u shows %d", self->probe->index, self->probe->shadow.verdict);
        HOLD(world, shadow->up || !(self->gates & HALE_GATE_READY) || !world->health.summary.ready,
             "ready without link %u", self->probe->index);
        HOLD(world,
             self->gates & HALE_GATE_LIVE ||
                     health_probe_passes(&self->probe->health, HALE_GATE_LIVE),
             "link %u closes live", self->probe->index);

        HOLD(world, policy->told || hold_in_time(world, shadow_latest(self)),
             "link %u has been forgotten", self->probe->index);
        hold_calm(world, self);
        world->sights[SIGHT_LINK_UNREADY] += !shadow->up && self->gates & HALE_GATE_READY;
        world->sights[SIGHT_LINK_DANGEROUS] +=
                !shadow->up && shadow->tried && self->gates & HALE_GATE_LIVE;
}

void hold_links_settled(World *world) {
        for (unsigned i = 0; i < world->n_links; i++)
                if (world->links[i].shadow.active)
                        hold_link_settled(world, &world->links[i]);
}
