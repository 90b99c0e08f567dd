/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Links: what src/service/link*.c and heal/link.c do with core/link-state, against
 * servers that come and go
 */

#include "base/clock.h"
#include "core/defaults.h"
#include "sim/link.h"

typedef enum Answer {
        ANSWER_GOOD,
        ANSWER_BAD,
        ANSWER_NEVER,
} Answer;

/* How a server meets an attempt and a check, and within how many eighths of their time. */
/* clang-format off */
static const struct {
        Answer open, check;
        unsigned eighths;
        bool cuts;
} servers[] = {
        [SERVER_WELL]     = { ANSWER_GOOD,  ANSWER_GOOD,  1,  false },
        [SERVER_REFUSES]  = { ANSWER_BAD,   ANSWER_BAD,   1,  false },
        [SERVER_HANGS]    = { ANSWER_NEVER, ANSWER_NEVER, 0,  false },
        [SERVER_SLOW]     = { ANSWER_GOOD,  ANSWER_GOOD,  32, false },
        [SERVER_CUTS]     = { ANSWER_GOOD,  ANSWER_GOOD,  1,  true  },
        [SERVER_NAMELESS] = { ANSWER_BAD,   ANSWER_GOOD,  16, false },
        [SERVER_DEAF]     = { ANSWER_GOOD,  ANSWER_NEVER, 1,  false },
};
/* clang-format on */

static_assert(ELEMENTSOF(servers) == _SERVER_MAX, "a server lacks its ways");

static void link_due(World *world, void *owner);

static uint64_t random_span(World *world, uint64_t limit_usec) {
        return random_between(&world->chance, USEC_PER_MSEC,
                              limit_usec >> random_below(&world->chance, 10));
}

static void policy_random(World *world, LinkPolicy *policy) {
        Random *chance = &world->chance;

        link_policy_default(policy);
        policy->told = world_chance(world, 150);
        policy->checked = !policy->told && world_chance(world, 850);
        if (world_chance(world, 600))
                return;

        policy->connect_usec = random_span(world, 20 * USEC_PER_SEC);
        policy->check_interval_usec = USEC_PER_SEC + random_span(world, USEC_PER_MINUTE);
        policy->check_timeout_usec = random_span(world, 20 * USEC_PER_SEC);
        policy->backoff_min_usec = random_span(world, 20 * USEC_PER_SEC);
        policy->backoff_max_usec =
                policy->backoff_min_usec + random_below(chance, 2 * USEC_PER_MINUTE);
        policy->stable_usec = random_span(world, USEC_PER_MINUTE);
        policy->breaker_after = (unsigned)random_below(chance, 8);
}

void sim_link_random(World *world, SimLink *self, SimProbe *probe) {
        static const unsigned gates[] = { HALE_GATE_READY, HALE_GATE_READY, HALE_GATE_NONE,
                                          HALE_GATE_STARTUP | HALE_GATE_READY };

        *self = (SimLink){ .probe = probe, .server = SERVER_WELL };
        policy_random(world, &self->policy);
        self->gates = gates[random_below(&world->chance, ELEMENTSOF(gates))];
        if (world_chance(world, 60))
                self->gates |= HALE_GATE_LIVE; /* dangerously */
        self->calm_usec = USEC_PER_MINUTE << random_below(&world->chance, 8);
        self->timer = (SimTimer)SIM_TIMER_INIT(link_due, self);
        probe->link = self;
        probe_policy_default(&probe->health.state.policy, self->gates, true);
        probe->health.state.policy.stale_usec = USEC_NEVER;
        event_add(world, (Event){ .kind = EVENT_SERVER, .probe = probe->index },
                  random_below(&world->chance, self->calm_usec));
}

static void link_arm(World *world, SimLink *self) {
        world_set_timer(world, &self->timer, link_state_deadline(&self->state));
}

static void link_show(World *world, SimLink *self) {
        bool up = self->state.status == LINK_UP;

        if (up || self->told)
                sim_probe_tell(world, self->probe, up ? HALE_PASS : HALE_FAIL);
}

static void link_conclude(World *world, SimLink *self, LinkChange change) {
        if (change == LINK_LATE)
                return;

        if (change == LINK_CAME_UP)
                self->told = false;
        else if (change != LINK_SAME || self->state.status != LINK_UP)
                self->told = true;
        link_show(world, self);
        link_arm(world, self);
}

/* The program says so, of attempt @generation, or (0) of whichever there is. */
static LinkChange link_say(World *world, SimLink *self, bool up, uint32_t generation) {
        LinkChange change;

        change = up ? link_state_up(&self->state, generation, world->now)
                    : link_state_down(&self->state, generation, world->now, &world->jitter);
        world_note(world, up ? "link is up" : "link is down", self->probe->index, change);
        hold_link_said(world, self, up, generation, change);
        link_conclude(world, self, change);
        return change;
}

/* Lets the connection that has just come up end soon. */
static void link_cut_soon(World *world, SimLink *self, uint64_t limit_usec) {
        event_add(world,
                  (Event){ .kind = EVENT_LINK,
                           .probe = self->probe->index,
                           .generation = self->state.generation,
                           .run = ANSWER_BAD },
                  random_below(&world->chance, limit_usec));
}

static void link_take(World *world, SimLink *self, Answer answer, uint32_t generation) {
        bool up = answer == ANSWER_GOOD;
        bool was_up = self->state.status == LINK_UP;
        LinkChange change;

        /* Who has closed what came before need not number what comes. */
        if (generation == self->state.generation && self->state.status != LINK_DOWN &&
            world_chance(world, 300))
                generation = 0;

        change = link_say(world, self, up, generation);
        world->sights[SIGHT_LINK_CUT] += was_up && change == LINK_WENT_DOWN;
        if (change == LINK_CAME_UP && servers[self->server].cuts)
                link_cut_soon(world, self, self->policy.stable_usec * 3 / 2);
}

void sim_link_news(World *world, SimLink *self, const Event *event) {
        link_take(world, self, (Answer)event->run, event->generation);
}

/* Asks the server, with an attempt or a check. */
static void link_ask(World *world, SimLink *self, Answer answer, uint64_t limit_usec) {
        uint64_t latency =
                random_below(&world->chance, limit_usec * servers[self->server].eighths / 8);

        if (answer == ANSWER_NEVER)
                return;
        if (latency == 0 || world_chance(world, 200)) {
                link_take(world, self, answer, self->state.generation); /* from within */
                return;
        }

        event_add(world,
                  (Event){ .kind = EVENT_LINK,
                           .probe = self->probe->index,
                           .generation = self->state.generation,
                           .run = answer },
                  latency);
}

static void link_due(World *world, void *owner) {
        SimLink *self = owner;
        LinkWish wish = link_state_tick(&self->state, world->now, &world->jitter);

        world_note(world, "link", self->probe->index, wish);
        hold_link_wish(world, self, wish);
        switch (wish) {
        case LINK_OPEN:
                link_ask(world, self, servers[self->server].open, self->policy.connect_usec);
                break;
        case LINK_CHECK:
                link_ask(world, self, servers[self->server].check, self->policy.check_timeout_usec);
                break;
        case LINK_GIVE_UP:
                link_conclude(world, self, LINK_FAILED);
                break;
        case LINK_UNANSWERED:
                link_conclude(world, self, LINK_WENT_DOWN);
                break;
        case LINK_WAIT:
                break;
        }
        link_arm(world, self);
}

/* The program has news of its own: of a link that it makes by itself, or a query that failed. */
void sim_link_tell(World *world, SimLink *self) {
        bool up = servers[self->server].open == ANSWER_GOOD && !world_chance(world, 100);

        if (self->policy.told)
                (void)link_say(world, self, up, 0);
        else if (world_chance(world, 300))
                link_take(world, self, ANSWER_BAD, self->state.generation);

        world_push_event(world, EVENT_TELL, random_below(&world->chance, 5 * USEC_PER_MINUTE),
                         self->probe->index);
}

LinkChange sim_link_reopen(World *world, SimLink *self) {
        LinkChange change = link_state_reopen(&self->state, world->now);

        world_note(world, "reopen", self->probe->index, change);
        hold_link_reopened(world, self, change);
        if (change == LINK_WENT_DOWN)
                link_conclude(world, self, change);
        link_arm(world, self);
        return change;
}

/* The server gets well or ill; connections that there are may end by it, or seem to go on. */
void sim_server_event(World *world, SimLink *self) {
        Server before = self->server;

        self->server = SERVER_WELL;
        if (before == SERVER_WELL || world_chance(world, 200))
                self->server = (Server)random_below(&world->chance, _SERVER_MAX);
        world_note(world, "server", self->probe->index, self->server);
        hold_link_server(world, self);
        if (self->server != SERVER_WELL && world->alive && world_chance(world, 500))
                link_cut_soon(world, self, USEC_PER_SEC);

        event_add(world, (Event){ .kind = EVENT_SERVER, .probe = self->probe->index },
                  random_below(&world->chance, self->server == SERVER_WELL ? self->calm_usec
                                                                           : 15 * USEC_PER_MINUTE));
}

void sim_links_begin(World *world) {
        for (unsigned i = 0; i < world->n_links; i++) {
                SimLink *self = &world->links[i];

                self->told = false;
                self->timer.node = (WheelNode)WHEEL_NODE_INIT;
                link_state_init(&self->state, &self->policy);
                link_state_start(&self->state, world->now);
                hold_link_begin(world, self);
                link_arm(world, self);
                world_push_event(world, EVENT_TELL, random_below(&world->chance, USEC_PER_MINUTE),
                                 self->probe->index);
        }
}

void sim_links_end(World *world) {
        for (unsigned i = world->n_links; i-- > 0;) {
                SimLink *self = &world->links[i];

                link_state_stop(&self->state, world->now);
                hold_link_end(world, self);
                link_arm(world, self);
                if (!self->policy.told)
                        (void)link_say(world, self, true, self->state.generation);
                (void)sim_link_reopen(world, self);
        }
}

void sim_links_forgive(World *world) {
        for (unsigned i = 0; i < world->n_links; i++) {
                SimLink *self = &world->links[i];

                link_show(world, self);
                link_state_hurry(&self->state, world->now);
                hold_link_hurried(self);
                link_arm(world, self);
        }
}
