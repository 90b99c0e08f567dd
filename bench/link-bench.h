/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Links under Measurement
 *
 * What link-service.c needs to know of one kind of server.
 */

#include <hale/hale.h>
#include <stdbool.h>

int link_bench_add(hale_service *service, hale_link **ret, const char *target);

/* One attempt of a client that is not libhale, without waiting: whether the server took it in, up
 * to where it answers commands. */
bool link_bench_try(const char *target);
