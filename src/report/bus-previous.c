/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * org.hale.Health1: how the run before this one ended, as a dictionary that has only
 * what is known.
 */

#include <string.h>

#include "report/bus-object.h"

static int append_number(sd_bus_message *reply, const char *key, uint64_t value) {
        return value > 0 ? sd_bus_message_append(reply, "{sv}", key, "t", value) : 0;
}

static int append_text(sd_bus_message *reply, const char *key, const char *value) {
        return value[0] ? sd_bus_message_append(reply, "{sv}", key, "s", value) : 0;
}

static int append_stack(sd_bus_message *reply, const char *stack) {
        char *lines[STACK_FRAMES_MAX + 1] = { NULL };
        char copy[STACK_TEXT_MAX], *rest = copy, *line;
        size_t n = 0;
        int r;

        if (!stack[0])
                return 0;

        memcpy(copy, stack, sizeof(copy));
        while (n < STACK_FRAMES_MAX && (line = strsep(&rest, "\n")))
                lines[n++] = line;

        r = sd_bus_message_open_container(reply, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(reply, "s", "Stack");
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_append_strv(reply, lines);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r;
}

static int append_run(sd_bus_message *reply, const PreviousRun *run, const char *sentence) {
        int r;

        r = sd_bus_message_append(reply, "{sv}{sv}{sv}{sv}", "Result", "s",
                                  run_end_to_string(run->end), "Reason", "s", sentence, "Run", "u",
                                  run->run, "Restarts", "u", run->n_restarts);
        if (r >= 0)
                r = append_number(reply, "StartedUSec", run->started_realtime_usec);
        if (r >= 0)
                r = append_number(reply, "LastSeenUSec", run->seen_realtime_usec);
        if (r >= 0)
                r = append_number(reply, "LivedUSec", run->lived_usec);
        if (r >= 0 && run->signal > 0)
                r = sd_bus_message_append(reply, "{sv}", "Signal", "i", run->signal);
        if (r >= 0)
                r = append_text(reply, "Probe", run->probe);
        if (r >= 0)
                r = append_number(reply, "StalledUSec", run->stalled_usec);
        if (r >= 0)
                r = append_text(reply, "StalledIn", run->doing);
        if (r >= 0)
                r = append_text(reply, "Function", run->function);
        if (r >= 0)
                r = append_stack(reply, run->stack);
        return r;
}

int bus_get_previous_run(sd_bus *link _unused_,
                         const char *path _unused_,
                         const char *interface _unused_,
                         const char *property _unused_,
                         sd_bus_message *reply,
                         void *userdata,
                         sd_bus_error *error _unused_) {
        const Bus *bus = userdata;
        const PreviousRun *run = NULL;
        const char *sentence = "";
        int r;

        if (bus->source->previous_run)
                run = bus->source->previous_run(bus->data, &sentence);

        r = sd_bus_message_open_container(reply, 'a', "{sv}");
        if (r < 0)
                return r;

        if (run)
                r = append_run(reply, run, sentence);
        if (r < 0)
                return r;

        return sd_bus_message_close_container(reply);
}
