/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Method calls that cannot be answered at once: who calls is asked of the bus,
 * whether that may be of polkit, and what RunProbe() started takes its time.
 * sd_bus_query_sender_privilege() would do the first, but waits for the bus.
 *
 *   begin --> uid? --- root, ourselves ---------> perform --> (run) --> answer
 *               |                                    ^
 *               +----- others: polkit? ------ yes ---+
 *                                      \----- no: AccessDenied
 *
 * A call is on the list until it is answered. bus_call_settle() is the only way
 * off it, but for bus_calls_drop(), when there is nobody left to answer.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "report/bus-private.h"

/* clang-format off */
static const char *const action_ids[] = {
        [ACTION_RUN_PROBE]       = "org.hale.run-probe",
        [ACTION_SET_MAINTENANCE] = "org.hale.set-maintenance",
        [ACTION_SET_LOG]         = "org.hale.set-log-level",
        [ACTION_RESTART_WORKER]  = "org.hale.restart-worker",
        [ACTION_REOPEN_LINK]     = "org.hale.reopen-link",
        [ACTION_INJECT_FAULT]    = NULL, /* nobody but root and ourselves breaks things */
};

/* What the source answers when it cannot run a probe. */
static const struct {
        int error;
        const char *name;
        const char *text; /* after "Probe 'x' " */
} run_errors[] = {
        { -ENOENT,      ERROR_NO_SUCH_PROBE,
          "does not exist; ListProbes() names those that do" },
        { -EINPROGRESS, ERROR_PROBE_BUSY,
          "is being asked right now; read its properties in a moment" },
        { -EOPNOTSUPP,  SD_BUS_ERROR_NOT_SUPPORTED,
          "cannot be asked: the program reports its state by itself" },
        { -ESTALE,      ERROR_NOT_RUNNING,
          "is not asked in this phase of the service" },
};
/* clang-format on */

static_assert(ELEMENTSOF(action_ids) == _ACTION_MAX, "an action lacks its id");

static void bus_call_free(BusCall *call) {
        sd_bus_slot_unref(call->slot);
        sd_bus_message_unref(call->message);
        free(call);
}

static void bus_call_unlink(BusCall *call) {
        Bus *bus = call->bus;

        TAILQ_REMOVE(&bus->calls, call, link);
        bus->n_calls--;
        bus->n_at_polkit -= call->at_polkit;
        bus->n_running -= call->running;
}

static void bus_call_settle(BusCall *call) {
        bus_call_unlink(call);
        bus_call_free(call);
}

static void bus_call_refuse(BusCall *call, const char *name, const char *text) {
        (void)sd_bus_reply_method_errorf(call->message, name, "%s", text);
        bus_call_settle(call);
}

void bus_calls_drop(Bus *bus) {
        BusCall *call;

        while ((call = TAILQ_FIRST(&bus->calls)))
                bus_call_settle(call);
}

void bus_calls_fail(Bus *bus, const char *probe, const char *name, const char *text) {
        BusCall *call, *next;

        for (call = TAILQ_FIRST(&bus->calls); call; call = next) {
                next = TAILQ_NEXT(call, link);
                if (!probe || (call->running && strcmp(call->probe, probe) == 0))
                        bus_call_refuse(call, name, text);
        }
}

/* Still there after the source was called? It may have answered, or closed all. */
static bool bus_call_exists(const Bus *bus, const BusCall *call) {
        const BusCall *other;

        if (bus->dead)
                return false;

        TAILQ_FOREACH (other, &bus->calls, link) {
                if (other == call)
                        return true;
        }

        return false;
}

static void bus_call_perform(BusCall *call) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_release_ Bus *bus = bus_hold(call->bus);
        int r;

        call->slot = sd_bus_slot_unref(call->slot);

        r = call->perform(call, &error);
        if (r > 0 || !bus_call_exists(bus, call))
                return;

        if (r == 0)
                (void)sd_bus_reply_method_return(call->message, NULL);
        else
                (void)sd_bus_reply_method_errno(call->message, r, &error);
        bus_call_settle(call);
}

static int on_polkit_reply(sd_bus_message *reply, void *userdata, sd_bus_error *error _unused_) {
        BusCall *call = userdata;
        int authorized, challenge;
        int r;

        if (sd_bus_message_is_method_error(reply, NULL) > 0) {
                bus_call_refuse(call, SD_BUS_ERROR_ACCESS_DENIED,
                                "Only root and the service's own user may do this; polkit could "
                                "not be asked about others");
                return 1;
        }

        r = sd_bus_message_enter_container(reply, 'r', "bba{ss}");
        if (r >= 0)
                r = sd_bus_message_read(reply, "bb", &authorized, &challenge);

        if (r < 0)
                bus_call_refuse(call, SD_BUS_ERROR_ACCESS_DENIED,
                                "polkit answered what cannot be understood");
        else if (authorized)
                bus_call_perform(call);
        else if (challenge)
                bus_call_refuse(call, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED,
                                "This needs an administrator's password; allow interactive "
                                "authorization, or call as root");
        else
                bus_call_refuse(call, SD_BUS_ERROR_ACCESS_DENIED, "polkit does not allow this");

        return 1;
}

static int polkit_message(BusCall *call, sd_bus_message **ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *question = NULL;
        int interactive, r;

        interactive = sd_bus_message_get_allow_interactive_authorization(call->message) > 0;

        r = sd_bus_message_new_method_call(call->bus->link, &question, "org.freedesktop.PolicyKit1",
                                           "/org/freedesktop/PolicyKit1/Authority",
                                           "org.freedesktop.PolicyKit1.Authority",
                                           "CheckAuthorization");
        if (r < 0)
                return r;

        /* Flag 1 is AllowUserInteraction. The details are for the rules and for the dialog. */
        r = sd_bus_message_append(question, "(sa{sv})sa{ss}us", "system-bus-name", 1, "name", "s",
                                  sd_bus_message_get_sender(call->message),
                                  action_ids[call->action], 2, "service", call->bus->config.service,
                                  "probe", call->probe, interactive, "");
        if (r < 0)
                return r;

        *ret = TAKE_PTR(question);
        return 0;
}

static int bus_call_ask_polkit(BusCall *call) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *question = NULL;
        Bus *bus = call->bus;
        int r;

        r = polkit_message(call, &question);
        if (r < 0)
                return r;

        call->slot = sd_bus_slot_unref(call->slot);
        r = sd_bus_call_async(bus->link, &call->slot, question, on_polkit_reply, call,
                              BUS_POLKIT_USEC);
        if (r < 0)
                return r;

        call->at_polkit = true;
        bus->n_at_polkit++;
        return 0;
}

static int on_uid(sd_bus_message *reply, void *userdata, sd_bus_error *error _unused_) {
        BusCall *call = userdata;
        Bus *bus = call->bus;
        uint32_t uid;

        if (sd_bus_message_is_method_error(reply, NULL) > 0 ||
            sd_bus_message_read(reply, "u", &uid) < 0) {
                bus_call_refuse(call, SD_BUS_ERROR_ACCESS_DENIED,
                                "The bus does not say who you are");
                return 1;
        }

        call->uid = uid;
        if (uid == 0 || uid == bus->uid)
                bus_call_perform(call);
        else if (bus->config.user || !action_ids[call->action])
                bus_call_refuse(call, SD_BUS_ERROR_ACCESS_DENIED,
                                "Only root and the service's own user may do this");
        else if (bus->n_at_polkit >= BUS_POLKIT_MAX)
                bus_call_refuse(call, ERROR_TOO_MANY_CALLS,
                                "Too many others wait for polkit; try again later");
        else if (bus_call_ask_polkit(call) < 0)
                bus_call_refuse(call, SD_BUS_ERROR_NO_MEMORY, "polkit could not be asked");

        return 1;
}

int bus_call_begin(Bus *bus,
                   sd_bus_message *message,
                   BusAction action,
                   const char *probe,
                   BusPerform perform,
                   sd_bus_error *error) {
        const char *sender = sd_bus_message_get_sender(message);
        BusCall *call;
        int r;

        if (bus->n_calls >= BUS_CALLS_MAX)
                return sd_bus_error_set(error, ERROR_TOO_MANY_CALLS,
                                        "Too many calls wait for their answer; try again later");

        call = malloc(sizeof(*call));
        if (!call)
                return -ENOMEM;

        *call = (BusCall){
                .bus = bus,
                .message = sd_bus_message_ref(message),
                .action = action,
                .perform = perform,
        };
        (void)snprintf(call->probe, sizeof(call->probe), "%s", probe ?: "");

        r = sd_bus_call_method_async(bus->link, &call->slot, "org.freedesktop.DBus",
                                     "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                     "GetConnectionUnixUser", on_uid, call, "s", sender ?: "");
        if (r < 0) {
                bus_call_free(call);
                return r;
        }

        TAILQ_INSERT_TAIL(&bus->calls, call, link);
        bus->n_calls++;
        return 1;
}

static int on_calls_timer(sd_event_source *source _unused_, uint64_t usec, void *userdata) {
        BusCall *call, *next;
        Bus *bus = userdata;
        uint64_t at_usec = USEC_NEVER;

        if (!bus->link)
                return 0;

        for (call = TAILQ_FIRST(&bus->calls); call; call = next) {
                next = TAILQ_NEXT(call, link);
                if (!call->running)
                        continue;
                if (call->deadline_usec > usec)
                        at_usec = MIN(at_usec, call->deadline_usec);
                else
                        bus_call_refuse(
                                call, SD_BUS_ERROR_TIMEOUT,
                                "The run goes on; read its end from the probe's properties");
        }

        if (at_usec != USEC_NEVER)
                (void)bus_arm(bus, &bus->calls_source, at_usec, on_calls_timer, "bus-calls");
        return 0;
}

int bus_call_run_probe(BusCall *call, sd_bus_error *error) {
        Bus *bus = call->bus;
        int enabled = SD_EVENT_OFF, r;

        /* Before the run starts, because it may end before run_probe() returns. */
        call->running = true;
        call->deadline_usec = usec_add(bus_now_usec(bus), BUS_RUN_USEC);
        bus->n_running++;

        if (bus->calls_source)
                (void)sd_event_source_get_enabled(bus->calls_source, &enabled);
        if (enabled == SD_EVENT_OFF) {
                r = bus_arm(bus, &bus->calls_source, call->deadline_usec, on_calls_timer,
                            "bus-calls");
                if (r < 0)
                        return r;
        }

        char probe[NAME_LENGTH_MAX + 1];

        memcpy(probe, call->probe, sizeof(probe));
        r = bus->source->run_probe(bus->data, probe);
        if (r >= 0)
                return 1;

        for (size_t i = 0; i < ELEMENTSOF(run_errors); i++) {
                if (run_errors[i].error == r)
                        return sd_bus_error_setf(error, run_errors[i].name, "Probe '%s' %s", probe,
                                                 run_errors[i].text);
        }

        return r;
}

static int answer_run(sd_bus_message *message, const HealthProbe *probe) {
        const ProbeState *state = &probe->state;
        const char *verdict = hale_status_to_string(state->verdict);
        const char *result = hale_status_to_string(state->result);

        if (!probe->unit)
                return sd_bus_reply_method_return(message, "ssta{sv}", result, probe->output,
                                                  state->duration_usec, 1, "Status", "s", verdict);

        return sd_bus_reply_method_return(message, "ssta{sv}", result, probe->output,
                                          state->duration_usec, 3, "Status", "s", verdict, "Value",
                                          "d", probe->value, "ValueUnit", "s", probe->unit);
}

void bus_probe_finished(Bus *bus, const HealthProbe *probe) {
        BusCall *call, *next;

        assert(probe);

        /* Called for each run of each probe: this is the usual way out. */
        if (!bus || bus->n_running == 0 || bus->pid != getpid())
                return;

        for (call = TAILQ_FIRST(&bus->calls); call; call = next) {
                next = TAILQ_NEXT(call, link);
                if (!call->running || strcmp(call->probe, probe->name) != 0)
                        continue;

                (void)answer_run(call->message, probe);
                bus_call_settle(call);
        }
}
