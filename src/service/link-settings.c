/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Settings of Links: all before the first attempt, for a machine that runs is not rebuilt
 */

#include <errno.h>
#include <unistd.h>

#include "service/link.h"

/* Below, a setting is a busy loop; above, it is a mistake in the unit. */
#define SPAN_MIN_USEC USEC_PER_MSEC
#define SPAN_MAX_USEC (24 * USEC_PER_HOUR)

#define LINK_SETTING_CALL(link)                                                                    \
        do {                                                                                       \
                LINK_CHECK_CALL(link);                                                             \
                RETURN_IF_FAIL((link)->link.state.generation == 0, -EBUSY);                        \
        } while (0)

static bool span_is_valid(uint64_t usec) {
        return usec >= SPAN_MIN_USEC && usec <= SPAN_MAX_USEC;
}

_public_ int hale_link_set_blocking(hale_link *link, int blocking) {
        LINK_SETTING_CALL(link);
        RETURN_IF_FAIL(!link->link.state.policy.told, -EINVAL);

        link->blocking = blocking;
        return 0;
}

_public_ int hale_link_set_connect_timeout_usec(hale_link *link, uint64_t usec) {
        LINK_SETTING_CALL(link);
        RETURN_IF_FAIL(span_is_valid(usec), -EINVAL);

        link->link.state.policy.connect_usec = usec;
        return 0;
}

_public_ int hale_link_set_check_interval_usec(hale_link *link, uint64_t usec) {
        LINK_SETTING_CALL(link);
        RETURN_IF_FAIL(span_is_valid(usec) || usec == USEC_NEVER, -EINVAL);

        link->link.state.policy.check_interval_usec = usec;
        return 0;
}

_public_ int hale_link_set_check_timeout_usec(hale_link *link, uint64_t usec) {
        LINK_SETTING_CALL(link);
        RETURN_IF_FAIL(span_is_valid(usec), -EINVAL);

        link->link.state.policy.check_timeout_usec = usec;
        return 0;
}

_public_ int hale_link_set_backoff_usec(hale_link *link, uint64_t min_usec, uint64_t max_usec) {
        LinkPolicy policy;

        LINK_SETTING_CALL(link);
        RETURN_IF_FAIL(span_is_valid(min_usec) && span_is_valid(max_usec), -EINVAL);
        RETURN_IF_FAIL(min_usec <= max_usec, -EINVAL);

        policy = link->link.state.policy;
        policy.backoff_min_usec = min_usec;
        policy.backoff_max_usec = max_usec;
        link_state_set_policy(&link->link.state, &policy);
        return 0;
}

_public_ int hale_link_set_stable_usec(hale_link *link, uint64_t stable_usec) {
        LINK_SETTING_CALL(link);
        RETURN_IF_FAIL(span_is_valid(stable_usec), -EINVAL);

        link->link.state.policy.stable_usec = stable_usec;
        return 0;
}

_public_ int hale_link_set_breaker(hale_link *link, unsigned failures) {
        LINK_SETTING_CALL(link);

        link->link.state.policy.breaker_after = failures;
        return 0;
}

static void link_apply_gates(hale_link *link) {
        HealthProbe *probe = &link->probe->health;
        Health *health = &link->service->health;
        bool in = link->probe->service; /* the program may have dropped it */

        if (in)
                health_forget(health, probe);
        probe->state.policy.gates =
                (unsigned)link->gates | (link->dangerous ? HALE_GATE_LIVE : HALE_GATE_NONE);
        if (in)
                health_remember(health, probe);
        service_unsettle(link->service);
}

_public_ int hale_link_set_gates(hale_link *link, int gates) {
        LINK_SETTING_CALL(link);
        RETURN_IF_FAIL(!(gates & ~(HALE_GATE_READY | HALE_GATE_STARTUP)), -EINVAL);

        link->gates = gates;
        link_apply_gates(link);
        return 0;
}

_public_ int hale_link_set_gates_live_dangerously(hale_link *link) {
        LINK_SETTING_CALL(link);

        link->dangerous = true;
        link_apply_gates(link);
        (void)journal_send(&link->service->journal, MESSAGE_LINK_GATES_LIVE,
                           (JournalField[]){ { "HALE_LINK", link->name } }, 1,
                           "Link '%s' closes live, too: an outage on its other side restarts '%s' "
                           "again and again",
                           link->name, link->service->name);
        return 0;
}

_public_ int hale_link_on_change(hale_link *link, hale_link_change_t change, void *userdata) {
        LINK_CHECK_CALL(link);

        link->on_change = change;
        link->on_change_data = userdata;
        return 0;
}
