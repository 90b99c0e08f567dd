/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Events: what is to come, the earliest first, in a heap
 */

#include "sim/world.h"

static bool event_before(const Event *a, const Event *b) {
        return a->at_usec != b->at_usec ? a->at_usec < b->at_usec : a->order < b->order;
}

void event_insert(World *world, const Event *event) {
        size_t i = world->n_events++;

        if (world->n_events > world->n_events_allocated) {
                world->n_events_allocated = MAX(2 * world->n_events_allocated, (size_t)64);
                world->events = realloc(world->events, world->n_events_allocated * sizeof(Event));
                if (!world->events)
                        world_fail(world, "no memory");
        }

        for (; i > 0 && event_before(event, &world->events[(i - 1) / 2]); i = (i - 1) / 2)
                world->events[i] = world->events[(i - 1) / 2];
        world->events[i] = *event;
}

Event event_take(World *world) {
        Event first = world->events[0], last = world->events[--world->n_events];
        size_t i = 0, child;

        while ((child = 2 * i + 1) < world->n_events) {
                if (child + 1 < world->n_events &&
                    event_before(&world->events[child + 1], &world->events[child]))
                        child++;
                if (!event_before(&world->events[child], &last))
                        break;
                world->events[i] = world->events[child];
                i = child;
        }
        world->events[i] = last;
        return first;
}

void event_add(World *world, Event event, uint64_t after_usec) {
        event.at_usec = world->now + after_usec;
        event.order = ++world->order;
        event.incarnation = world->incarnation;
        event.life = world->probes[event.probe].life;
        event_insert(world, &event);
}

void world_push_event(World *world, EventKind kind, uint64_t after_usec, unsigned probe) {
        event_add(world, (Event){ .kind = kind, .probe = probe }, after_usec);
}
