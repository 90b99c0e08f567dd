/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Modules: the files that code was loaded from
 *
 * With this table an address can be told as a place in a file, later and in another
 * process as well: each file is known by its build id, or, without one, by size and time.
 */

#include "core/recorder-format.h"

/* Fills in what is loaded now; the program itself comes first. Waits for dlopen(3) in other
 * threads. */
void modules_take(RecorderModules *modules);

/* The one that @address is in, or NULL. */
const RecorderModule *modules_find(const RecorderModules *modules, uint64_t address);

/* Is the file at @fd still the one that was loaded? */
bool module_is_file(const RecorderModule *module, int fd);
