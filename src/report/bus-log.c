/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * org.freedesktop.LogControl1, so that `systemctl service-log-level` works.
 *
 * sd-bus asks the bus for the caller's rights before it calls a property's setter,
 * and waits for the answer; and a setter cannot answer later. So a handler of the
 * whole object, which comes before the properties, takes Properties.Set().
 */

#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "base/names.h"
#include "report/bus-object.h"

/* clang-format off */
static const char *const level_names[] = {
        [LOG_EMERG]   = "emerg",
        [LOG_ALERT]   = "alert",
        [LOG_CRIT]    = "crit",
        [LOG_ERR]     = "err",
        [LOG_WARNING] = "warning",
        [LOG_NOTICE]  = "notice",
        [LOG_INFO]    = "info",
        [LOG_DEBUG]   = "debug",
};
/* clang-format on */

static_assert(ELEMENTSOF(level_names) == LOG_DEBUG + 1, "a log level lacks its name");

static int property_get_log_level(sd_bus *link _unused_,
                                  const char *path _unused_,
                                  const char *interface _unused_,
                                  const char *property _unused_,
                                  sd_bus_message *reply,
                                  void *userdata,
                                  sd_bus_error *error _unused_) {
        const Bus *bus = userdata;
        const char *name;

        name = name_table_to_string(level_names, ELEMENTSOF(level_names),
                                    bus->source->get_log_level(bus->data));

        return sd_bus_message_append(reply, "s", name ?: "info");
}

static int property_get_log_target(sd_bus *link _unused_,
                                   const char *path _unused_,
                                   const char *interface _unused_,
                                   const char *property _unused_,
                                   sd_bus_message *reply,
                                   void *userdata,
                                   sd_bus_error *error _unused_) {
        const Bus *bus = userdata;

        return sd_bus_message_append(reply, "s", bus->source->get_log_target(bus->data));
}

static int property_get_identifier(sd_bus *link _unused_,
                                   const char *path _unused_,
                                   const char *interface _unused_,
                                   const char *property _unused_,
                                   sd_bus_message *reply,
                                   void *userdata,
                                   sd_bus_error *error _unused_) {
        const Bus *bus = userdata;

        return sd_bus_message_append(reply, "s", bus->config.service);
}

/* Never reached: on_log_call() takes all that would come here. */
static int property_set_nothing(sd_bus *link _unused_,
                                const char *path _unused_,
                                const char *interface _unused_,
                                const char *property _unused_,
                                sd_bus_message *value _unused_,
                                void *userdata _unused_,
                                sd_bus_error *error _unused_) {
        return -EACCES;
}

static int set_level(Bus *bus, const char *value, sd_bus_error *error) {
        int level;

        level = name_table_from_string(level_names, ELEMENTSOF(level_names), value);
        if (level < 0)
                return sd_bus_error_setf(
                        error, SD_BUS_ERROR_INVALID_ARGS,
                        "No log level is called '%s'; they are emerg, alert, crit, "
                        "err, warning, notice, info and debug",
                        value);

        return bus->source->set_log_level ? bus->source->set_log_level(bus->data, level)
                                          : -EOPNOTSUPP;
}

static int set_target(Bus *bus, const char *value, sd_bus_error *error) {
        int r;

        r = bus->source->set_log_target ? bus->source->set_log_target(bus->data, value)
                                        : -EOPNOTSUPP;
        if (r == -EINVAL)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "This service cannot log to '%s'", value);

        return r;
}

/* Leave was given: takes the same call apart again, and does it. */
static int perform_set(BusCall *call, sd_bus_error *error) {
        const char *property, *value;
        int r;

        r = sd_bus_message_rewind(call->message, true);
        if (r < 0)
                return r;

        r = sd_bus_message_read(call->message, "ssv", NULL, &property, "s", &value);
        if (r < 0)
                return r;

        r = strcmp(property, "LogLevel") == 0 ? set_level(call->bus, value, error)
                                              : set_target(call->bus, value, error);
        if (r == -EOPNOTSUPP)
                return sd_bus_error_setf(error, SD_BUS_ERROR_NOT_SUPPORTED,
                                         "This service does not let %s be set", property);

        return r < 0 ? r : 0;
}

static int on_log_call(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        const char *interface, *property, *value;
        Bus *bus = userdata;
        int r;

        if (sd_bus_message_is_method_call(message, "org.freedesktop.DBus.Properties", "Set") <= 0)
                return 0;

        r = sd_bus_message_read(message, "ss", &interface, &property);
        if (r < 0)
                return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS,
                                        "Expected an interface, a property and a value");

        if (strcmp(interface, LOG_INTERFACE) != 0 ||
            (strcmp(property, "LogLevel") != 0 && strcmp(property, "LogTarget") != 0)) {
                bool known = strcmp(interface, LOG_INTERFACE) == 0 &&
                             strcmp(property, "SyslogIdentifier") == 0;

                return sd_bus_error_setf(error,
                                         known ? SD_BUS_ERROR_PROPERTY_READ_ONLY
                                               : SD_BUS_ERROR_UNKNOWN_PROPERTY,
                                         known ? "%s of %s cannot be set" : "No property %s of %s",
                                         property, interface);
        }

        r = sd_bus_message_read(message, "v", "s", &value);
        if (r < 0)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "%s is a string",
                                         property);

        return bus_call_begin(bus, message, ACTION_SET_LOG, NULL, perform_set, error);
}

/* org.freedesktop.LogControl1(5) */
static const sd_bus_vtable log_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_WRITABLE_PROPERTY("LogLevel",
                                 "s",
                                 property_get_log_level,
                                 property_set_nothing,
                                 0,
                                 SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_WRITABLE_PROPERTY("LogTarget",
                                 "s",
                                 property_get_log_target,
                                 property_set_nothing,
                                 0,
                                 SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("SyslogIdentifier",
                        "s",
                        property_get_identifier,
                        0,
                        SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_VTABLE_END,
};

int bus_export_log(Bus *bus, sd_bus *link) {
        int r;

        r = sd_bus_add_object(link, bus_next_slot(bus), LOG_PATH, on_log_call, bus);
        if (r < 0)
                return r;

        return sd_bus_add_object_vtable(link, bus_next_slot(bus), LOG_PATH, LOG_INTERFACE,
                                        log_vtable, bus);
}
