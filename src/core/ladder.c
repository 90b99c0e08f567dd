/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "base/clock.h"
#include "base/macro.h"
#include "base/names.h"
#include "core/defaults.h"
#include "core/ladder.h"

/* clang-format off */
static const char *const ladder_state_names[] = {
        [LADDER_IDLE]      = "idle",
        [LADDER_FAILING]   = "failing",
        [LADDER_RUNNING]   = "running",
        [LADDER_VERIFYING] = "verifying",
        [LADDER_SPENT]     = "spent",
};

static const char *const rung_outcome_names[] = {
        [RUNG_HEALED]   = "healed",
        [RUNG_NO_HELP]  = "no-help",
        [RUNG_ERROR]    = "error",
        [RUNG_TIMEOUT]  = "timeout",
        [RUNG_CANCELED] = "canceled",
        [RUNG_DONE]     = "done",
};
/* clang-format on */

static_assert(ELEMENTSOF(ladder_state_names) == _LADDER_STATE_MAX, "a state lacks its name");
static_assert(ELEMENTSOF(rung_outcome_names) == _RUNG_OUTCOME_MAX, "an outcome lacks its name");

const char *ladder_state_to_string(LadderState state) {
        return name_table_to_string(ladder_state_names, ELEMENTSOF(ladder_state_names), (int)state);
}

const char *rung_outcome_to_string(RungOutcome outcome) {
        return name_table_to_string(rung_outcome_names, ELEMENTSOF(rung_outcome_names),
                                    (int)outcome);
}

void rung_policy_default(RungPolicy *policy, unsigned after) {
        assert(policy);

        *policy = (RungPolicy){
                .after = after,
                .timeout_usec = REMEDY_TIMEOUT_USEC,
                .cooldown_usec = REMEDY_COOLDOWN_USEC,
                .cooldown_max_usec = REMEDY_COOLDOWN_MAX_USEC,
                .budget = REMEDY_BUDGET,
        };
}

void ladder_init(Ladder *ladder) {
        assert(ladder);

        *ladder = (Ladder){ .state = LADDER_IDLE, .until_usec = USEC_NEVER };
}

bool ladder_is_busy(const Ladder *ladder) {
        assert(ladder);

        return ladder->state == LADDER_RUNNING || ladder->state == LADDER_VERIFYING;
}

int ladder_add(Ladder *ladder, const RungPolicy *policy, uint64_t *times) {
        assert(ladder);
        assert(policy);
        assert(policy->give_up || (times && policy->budget > 0));
        assert(policy->budget <= RUNG_BUDGET_MAX);

        if (ladder->n_rungs >= RUNGS_MAX)
                return -E2BIG;
        if (ladder->n_rungs > 0 && ladder->rungs[ladder->n_rungs - 1].policy.give_up)
                return -EINVAL;
        if (ladder_is_busy(ladder))
                return -EBUSY;

        ladder->rungs[ladder->n_rungs] = (Rung){
                .policy = *policy,
                .times = times,
                .cooldown_usec = policy->cooldown_usec,
        };
        return (int)ladder->n_rungs++;
}

/* The only place that writes @state. */
static void ladder_enter(Ladder *ladder, LadderState state) {
        ladder->state = state;
        if (!ladder_is_busy(ladder))
                ladder->until_usec = USEC_NEVER;
}

/* The trouble is over. */
static void ladder_calm(Ladder *ladder) {
        ladder->turn = 0;
        ladder->n_failures = 0;
        ladder->gave_up = false;
        ladder_enter(ladder, LADDER_IDLE);
}

/* When the budget of @rung has room for one more run: the oldest of the last ones is an hour old.
 */
static uint64_t rung_affordable_at(const Rung *rung) {
        if (rung->n_times < rung->policy.budget)
                return 0;

        return usec_add(rung->times[rung->next], REMEDY_BUDGET_USEC);
}

static LadderWish ladder_begin(Ladder *ladder, unsigned index, uint64_t now_usec) {
        Rung *rung = &ladder->rungs[index];

        assert(now_usec >= rung->ready_usec && now_usec >= rung_affordable_at(rung));

        /* Not needed for so long that what was before is another story. */
        if (now_usec >= usec_add(rung->ready_usec, REMEDY_STABLE_USEC))
                rung->cooldown_usec = rung->policy.cooldown_usec;

        rung->times[rung->next] = now_usec;
        rung->next = (rung->next + 1) % rung->policy.budget;
        rung->n_times = MIN(rung->n_times + 1, rung->policy.budget);
        rung->n_runs++;
        ladder->current = index;
        ladder->generation++;
        ladder->began_usec = now_usec;
        ladder->until_usec = usec_add(now_usec, rung->policy.timeout_usec);
        ladder->result = 0;
        ladder_enter(ladder, LADDER_RUNNING);
        return LADDER_RUN;
}

/* The run itself is over, and what it did is to be seen. */
static void ladder_stop(Ladder *ladder, int result, uint64_t now_usec) {
        Rung *rung = &ladder->rungs[ladder->current];
        uint64_t doubled = usec_add(rung->cooldown_usec, rung->cooldown_usec);

        rung->ready_usec = usec_add(now_usec, rung->cooldown_usec);
        rung->cooldown_usec =
                MIN(doubled, MAX(rung->policy.cooldown_max_usec, rung->policy.cooldown_usec));
        if (result == -ETIMEDOUT)
                rung->n_timeouts++;
        ladder->result = result;
        ladder->ended_usec = now_usec;
        ladder->until_usec = usec_add(now_usec, ladder->verify_usec);
        ladder_enter(ladder, LADDER_VERIFYING);
}

static void ladder_end(Ladder *ladder, RungOutcome outcome, LadderEnd *end) {
        ladder->rungs[ladder->current].n_outcomes[outcome]++;
        *end = (LadderEnd){
                .rung = ladder->current,
                .outcome = outcome,
                .result = ladder->result,
                .duration_usec = usec_sub(ladder->ended_usec, ladder->began_usec),
        };
}

/* It did not help. What was run out of turn changes nothing about whose turn it is. */
static void ladder_end_in_vain(Ladder *ladder, LadderEnd *end) {
        ladder_end(ladder,
                   ladder->result == -ETIMEDOUT ? RUNG_TIMEOUT
                   : ladder->result < 0         ? RUNG_ERROR
                   : ladder->n_failures == 0    ? RUNG_DONE
                                                : RUNG_NO_HELP,
                   end);
        if (ladder->out_of_turn) {
                ladder->out_of_turn = false;
                ladder_enter(ladder, ladder->back == LADDER_IDLE && ladder->n_failures > 0
                                             ? LADDER_FAILING
                                             : ladder->back);
                return;
        }

        ladder->turn = ladder->current + 1;
        ladder_enter(ladder, LADDER_FAILING);
}

void ladder_fails(Ladder *ladder, uint64_t asked_usec, uint64_t verify_usec, uint64_t now_usec) {
        assert(ladder);

        if (ladder->n_rungs == 0)
                return;

        ladder->verify_usec = verify_usec;
        if (ladder->n_failures < UINT32_MAX)
                ladder->n_failures++;
        if (ladder->state == LADDER_IDLE)
                ladder_enter(ladder, LADDER_FAILING);
        else if (ladder->state == LADDER_VERIFYING && asked_usec >= ladder->ended_usec)
                ladder->until_usec = now_usec;
}

void ladder_silent(Ladder *ladder, uint64_t verify_usec, uint64_t now_usec) {
        ladder_fails(ladder, 0, verify_usec, now_usec);
        if (ladder->n_rungs > 0)
                ladder->n_failures = UINT32_MAX;
}

bool ladder_passes(Ladder *ladder, uint64_t asked_usec, bool settled, LadderEnd *ret_end) {
        assert(ladder);
        assert(ret_end);

        if (ladder->state == LADDER_VERIFYING && asked_usec >= ladder->ended_usec) {
                ladder_end(ladder, ladder->n_failures > 0 ? RUNG_HEALED : RUNG_DONE, ret_end);
                ladder->out_of_turn = false;
                ladder_calm(ladder);
                return true;
        }

        /* What flaps does not begin anew with every pass. */
        if (settled && (ladder->state == LADDER_FAILING || ladder->state == LADDER_SPENT))
                ladder_calm(ladder);
        return false;
}

bool ladder_ended(Ladder *ladder, uint32_t generation, int result, uint64_t now_usec) {
        assert(ladder);
        assert(result <= 0);

        if (ladder->state != LADDER_RUNNING || ladder->generation != generation)
                return false;

        ladder_stop(ladder, now_usec >= ladder->until_usec ? -ETIMEDOUT : result, now_usec);
        return true;
}

bool ladder_reset(Ladder *ladder, uint64_t now_usec, LadderEnd *ret_end) {
        bool busy;

        assert(ladder);
        assert(ret_end);

        busy = ladder_is_busy(ladder);
        if (ladder->state == LADDER_RUNNING)
                ladder_stop(ladder, -ECANCELED, now_usec);
        if (busy)
                ladder_end(ladder, RUNG_CANCELED, ret_end);
        ladder->pressed = false;
        ladder->out_of_turn = false;
        ladder_calm(ladder);
        return busy;
}

int ladder_press(Ladder *ladder, unsigned index, uint64_t verify_usec, uint64_t now_usec) {
        const Rung *rung;

        assert(ladder);
        assert(index < ladder->n_rungs);

        rung = &ladder->rungs[index];
        if (ladder_is_busy(ladder) || ladder->pressed)
                return -EBUSY;
        if (ladder->gave_up || rung->policy.give_up)
                return -ESTALE;
        if (now_usec < rung->ready_usec)
                return -EAGAIN;
        if (now_usec < rung_affordable_at(rung))
                return -EDQUOT;

        ladder->current = index;
        ladder->verify_usec = verify_usec;
        ladder->pressed = true;
        return 0;
}

/* When the first of the rungs may be used again. */
static uint64_t ladder_refills_at(const Ladder *ladder) {
        uint64_t at_usec = USEC_NEVER;

        if (ladder->gave_up)
                return USEC_NEVER;

        for (unsigned i = 0; i < ladder->n_rungs; i++) {
                const Rung *rung = &ladder->rungs[i];

                if (!rung->policy.give_up)
                        at_usec = MIN(at_usec, MAX(rung->ready_usec, rung_affordable_at(rung)));
        }

        return at_usec;
}

static LadderWish ladder_spend(Ladder *ladder, bool gave_up) {
        ladder->gave_up = gave_up;
        ladder->turn = 0;
        ladder->n_spent++;
        ladder_enter(ladder, LADDER_SPENT);
        return LADDER_GAVE_UP;
}

/* The first rung from @turn on that may be run; those that may not have been tried, in effect. */
static LadderWish ladder_climb(Ladder *ladder, uint64_t now_usec) {
        for (; ladder->turn < ladder->n_rungs; ladder->turn++) {
                Rung *rung = &ladder->rungs[ladder->turn];

                if (ladder->n_failures < rung->policy.after)
                        return LADDER_WAIT;
                if (rung->policy.give_up)
                        return ladder_spend(ladder, true);

                if (now_usec < rung->ready_usec)
                        rung->n_refused_cooldown++;
                else if (now_usec < rung_affordable_at(rung))
                        rung->n_refused_budget++;
                else
                        return ladder_begin(ladder, ladder->turn, now_usec);
        }

        return ladder_spend(ladder, false);
}

static LadderWish ladder_step_busy(Ladder *ladder, uint64_t now_usec, LadderEnd *ret_end) {
        bool late = now_usec >= ladder->until_usec;

        if (ladder->state == LADDER_RUNNING) {
                if (late)
                        ladder_stop(ladder, -ETIMEDOUT, now_usec);
                return late ? LADDER_LATE : LADDER_WAIT;
        }

        if (!late)
                return LADDER_VERIFY;

        ladder_end_in_vain(ladder, ret_end);
        return LADDER_OVER;
}

LadderWish ladder_step(Ladder *ladder, uint64_t now_usec, LadderEnd *ret_end) {
        assert(ladder);
        assert(ret_end);

        if (ladder_is_busy(ladder))
                return ladder_step_busy(ladder, now_usec, ret_end);

        if (ladder->pressed) {
                ladder->pressed = false;
                ladder->out_of_turn = true;
                ladder->back = ladder->state;
                return ladder_begin(ladder, ladder->current, now_usec);
        }

        if (ladder->state == LADDER_SPENT && now_usec >= ladder_refills_at(ladder)) {
                ladder->n_failures = 0;
                ladder_enter(ladder, LADDER_FAILING);
        }

        return ladder->state == LADDER_FAILING ? ladder_climb(ladder, now_usec) : LADDER_WAIT;
}

uint64_t ladder_deadline(const Ladder *ladder) {
        assert(ladder);

        if (ladder_is_busy(ladder))
                return ladder->until_usec;
        if (ladder->pressed)
                return 0;
        if (ladder->state == LADDER_SPENT)
                return ladder_refills_at(ladder);
        if (ladder->state == LADDER_IDLE)
                return USEC_NEVER;

        return ladder->turn < ladder->n_rungs &&
                               ladder->n_failures < ladder->rungs[ladder->turn].policy.after
                       ? USEC_NEVER
                       : 0;
}

bool ladder_is_healing(const Ladder *ladder) {
        assert(ladder);

        return ladder->n_rungs > 0 && ladder->state != LADDER_SPENT;
}
