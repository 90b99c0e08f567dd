/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Objects
 *
 * What the files that show something share: where it is, what it is called, and the
 * parts of org.hale.Health1 that are written down with what they are about.
 */

#include "report/bus-private.h"

#define HEALTH_PATH "/org/hale/Health1"
#define PROBES_PATH "/org/hale/Health1/probes"
#define LINKS_PATH "/org/hale/Health1/links"
#define WORKERS_PATH "/org/hale/Health1/workers"
#define LOG_PATH "/org/freedesktop/LogControl1"

#define HEALTH_INTERFACE "org.hale.Health1"
#define PROBE_INTERFACE "org.hale.Probe1"
#define LINK_INTERFACE "org.hale.Link1"
#define WORKER_INTERFACE "org.hale.Worker1"
#define LOG_INTERFACE "org.freedesktop.LogControl1"

/* The objects. Each adds its slots to those of the connection. */
int bus_export_health(Bus *bus, sd_bus *link);
int bus_export_probes(Bus *bus, sd_bus *link);
int bus_export_links(Bus *bus, sd_bus *link);
int bus_export_workers(Bus *bus, sd_bus *link);
int bus_export_log(Bus *bus, sd_bus *link);

/* Where to put the next slot. */
sd_bus_slot **bus_next_slot(Bus *bus);

/* The paths below @prefix of the @n objects that @name names, as sd-bus wants them enumerated. */
int bus_list_paths(const char *prefix,
                   unsigned n,
                   const char *(*name)(void *data, unsigned i),
                   void *data,
                   char ***ret_paths);

/* @ret_path is the caller's to free. */
int bus_probe_path(const char *name, char **ret_path);
int bus_append_gates(sd_bus_message *message, unsigned gates);

/* CLOCK_REALTIME of what is @at_usec on CLOCK_MONOTONIC; 0 and never stay so. */
uint64_t bus_realtime_usec(uint64_t at_usec);

/* bus-previous.c: the property PreviousRun */
int bus_get_previous_run(sd_bus *link,
                         const char *path,
                         const char *interface,
                         const char *property,
                         sd_bus_message *reply,
                         void *userdata,
                         sd_bus_error *error);

/* Methods of org.hale.Health1 that are at home elsewhere. */
int bus_method_list_probes(sd_bus_message *message, void *userdata, sd_bus_error *error);
int bus_method_restart_worker(sd_bus_message *message, void *userdata, sd_bus_error *error);
int bus_method_reopen_link(sd_bus_message *message, void *userdata, sd_bus_error *error);
int bus_method_inject_fault(sd_bus_message *message, void *userdata, sd_bus_error *error);
