/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The two halves of worker-service: worker-service.c sets up and is spoken to,
 * worker-behaviours.c has what the workers do.
 */

#include <hale/hale.h>

/* A line "WHAT NAME PID" on stdout. */
void say(const char *what, const char *name);

/* NULL if there is none of that name. */
hale_worker_main_t find_behaviour(const char *name);

hale_service *the_service(void);

/* Gives back main()'s reference. */
void drop_the_service(void);
