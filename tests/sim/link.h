/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Links of the World
 *
 * A link, the server at its other end, and what hold-link.c knows of the two.
 */

#include "core/link-state.h"
#include "sim/world.h"

#define SIM_LINKS_MAX 3

/* "With the defaults one link makes at most 64 attempts in ten minutes" (hale/link.h). */
#define ATTEMPTS_MAX 64
#define ATTEMPTS_USEC (10 * USEC_PER_MINUTE)

typedef enum Server {
        SERVER_WELL,
        SERVER_REFUSES,
        SERVER_HANGS,    /* takes the connection, and says nothing */
        SERVER_SLOW,     /* answers after the deadline, mostly */
        SERVER_CUTS,     /* what it has just let in */
        SERVER_NAMELESS, /* is not found, and it takes its time to say so */
        SERVER_DEAF,     /* lets in, and answers no check */
        _SERVER_MAX,
} Server;

/* From what happened, and the words of the headers. */
typedef struct ShadowLink {
        bool active, connecting, up, checking;
        bool tried;          /* or told of */
        uint32_t generation; /* of the last attempt */
        uint64_t began_usec, up_usec, heard_usec, asked_usec;
        uint64_t earliest_usec, latest_usec; /* of the next attempt */
        uint64_t wait_usec;                  /* the last that was not among the first few */
        unsigned n_failures;                 /* in a row */
        unsigned n_pauses;                   /* of the open breaker, in this row */
        bool reopened;                       /* the next attempt is somebody's wish */
        bool curing;                         /* a remedy's */
        bool hurried;
        uint64_t well_usec;              /* since then nothing has been in the way of it */
        uint64_t attempts[ATTEMPTS_MAX]; /* of this outage, a ring */
        unsigned n_attempts;
} ShadowLink;

typedef struct SimLink {
        SimProbe *probe;
        LinkPolicy policy;
        unsigned gates;
        LinkState state;
        SimTimer timer;
        bool told; /* that it is down */

        Server server;
        uint64_t calm_usec; /* of the server, at most */

        ShadowLink shadow;
} SimLink;

/* link.c */
void sim_link_random(World *world, SimLink *self, SimProbe *probe);
void sim_links_begin(World *world);
void sim_links_end(World *world);
void sim_links_forgive(World *world); /* nobody ran for a while */
void sim_link_news(World *world, SimLink *self, const Event *event);
void sim_link_tell(World *world, SimLink *self);
LinkChange sim_link_reopen(World *world, SimLink *self);
void sim_server_event(World *world, SimLink *self);

/* hold-link.c */
void hold_link_begin(World *world, SimLink *self);
void hold_link_wish(World *world, SimLink *self, LinkWish wish);
void hold_link_said(World *world, SimLink *self, bool up, uint32_t generation, LinkChange change);
void hold_link_reopened(World *world, SimLink *self, LinkChange change);
void hold_link_hurried(SimLink *self);
void hold_link_server(World *world, SimLink *self);
void hold_link_end(World *world, SimLink *self);
void hold_links_settled(World *world);
