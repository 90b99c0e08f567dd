/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Groups of Workers
 *
 * A restart of several is under way for a while: members stop one after the other.
 * core/strategy says the next step each time something has happened.
 */

#include <string.h>

#include "base/names.h"
#include "service/worker.h"

_public_ hale_group *hale_group_ref(hale_group *group) {
        if (group)
                group->n_ref++;

        return group;
}

_public_ hale_group *hale_group_unref(hale_group *group) {
        if (group && --group->n_ref == 0) {
                free(group->name);
                free(group);
        }

        return NULL;
}

_public_ void hale_group_unrefp(hale_group **group) {
        (void)hale_group_unref(*group);
}

/* Takes the group out of its service. */
void group_free(hale_group *group) {
        wheel_remove(&group->service->wheel, &group->timer.node);
        group->service = NULL;
        (void)hale_group_unref(group);
}

static int group_check_arguments(hale_service *service, const char *name, hale_strategy strategy) {
        const char *complaint = name_complaint(name);
        hale_group *group;

        if (!complaint && ((int)strategy < HALE_ONE_FOR_ONE || strategy > HALE_REST_FOR_ONE))
                complaint = "the strategy is none of HALE_ONE_FOR_ONE, _FOR_ALL, HALE_REST_FOR_ONE";
        if (complaint) {
                service_tell_error(service, "Cannot add group '%s': %s", name ? name : "",
                                   complaint);
                return -EINVAL;
        }

        TAILQ_FOREACH (group, &service->workers->groups, link)
                if (strcmp(group->name, name) == 0) {
                        service_tell_error(service,
                                           "Cannot add group '%s': there is one of that name",
                                           name);
                        return -EEXIST;
                }

        return service->workers->n_groups < GROUPS_MAX ? 0 : -E2BIG;
}

_public_ int hale_service_add_group(hale_service *service,
                                    hale_group **ret,
                                    const char *name,
                                    hale_strategy strategy) {
        hale_group *group;
        int r;

        SERVICE_CHECK(service);
        RETURN_IF_FAIL(ret, -EINVAL);
        RETURN_IF_FAIL(service->state == SERVICE_NEW, -EBUSY);

        r = service_workers_init(service);
        if (r < 0)
                return r;

        r = group_check_arguments(service, name, strategy);
        if (r < 0)
                return r;

        group = calloc(1, sizeof(*group));
        if (!group)
                return -ENOMEM;

        group->name = strdup(name);
        if (!group->name) {
                free(group);
                return -ENOMEM;
        }

        group->n_ref = 1;
        group->service = service;
        group->strategy = strategy;
        group->timer = (Timer)TIMER_INIT(group_due, group);
        TAILQ_INSERT_TAIL(&service->workers->groups, group, link);
        service->workers->n_groups++;
        *ret = hale_group_ref(group);
        return 0;
}

_public_ int hale_group_add(hale_group *group, hale_worker *worker) {
        RETURN_IF_FAIL(group, -EINVAL);
        WORKER_CHECK(worker);
        RETURN_IF_FAIL(group->service == worker->service, -EINVAL);
        RETURN_IF_FAIL(worker->service->state == SERVICE_NEW, -EBUSY);
        RETURN_IF_FAIL(!worker->group, -EEXIST);
        RETURN_IF_FAIL(group->n_members < GROUP_MEMBERS_MAX, -E2BIG);

        worker->group = group;
        worker->index = group->n_members;
        group->members[group->n_members++] = worker;
        return 0;
}

bool worker_is_bound(const hale_worker *worker) {
        return worker->group && worker->group->strategy != HALE_ONE_FOR_ONE;
}

/* With @at_usec 0, by hand: then nobody waits, whatever has died before. */
void group_restart(hale_group *group, const hale_worker *worker, uint64_t at_usec) {
        StrategyRange range = strategy_range(group->strategy, worker->index, group->n_members);
        bool joins = group->pending && at_usec > 0;

        group->range = group->pending ? strategy_join(group->range, range) : range;
        group->at_usec = joins ? MAX(group->at_usec, at_usec) : at_usec;
        group->pending = true;
        group->starting = false;
        group_step(group);
}

static void group_look(const hale_group *group, StrategyMember members[static GROUP_MEMBERS_MAX]) {
        for (unsigned i = 0; i < group->n_members; i++) {
                const hale_worker *worker = group->members[i];
                bool lost = worker->state == HALE_WORKER_FAILED && worker_is_alive(worker);

                members[i] = (StrategyMember){
                        .alive = worker->state == HALE_WORKER_STARTING ||
                                 worker->state == HALE_WORKER_RUNNING ||
                                 worker->state == HALE_WORKER_STOPPING || lost,
                        .stopping = worker->state == HALE_WORKER_STOPPING || lost,
                        .wanted = worker->again || (worker->state != HALE_WORKER_FAILED &&
                                                    worker->policy.mode != HALE_RESTART_TEMPORARY),
                };
        }
}

/* One that could not even be started has nothing that could be stopped. */
static void group_stop_member(hale_worker *worker) {
        if (worker_is_alive(worker)) {
                worker_ask(worker, worker->stop_usec);
                return;
        }

        worker->start_error = 0;
        worker_set_timer(worker, &worker->timer, USEC_NEVER);
        worker_enter(worker, HALE_WORKER_WAITING);
}

void group_step(hale_group *group) {
        StrategyMember members[GROUP_MEMBERS_MAX];
        StrategyStep step;

        /* Who goes starts nobody: what is stopped by now stays so. */
        while (group->pending && group->service->state == SERVICE_RUNNING) {
                group_look(group, members);
                step = strategy_next(members, group->range, group->starting, group->at_usec,
                                     service_now());
                switch (step.action) {
                case STRATEGY_STOP:
                        group_stop_member(group->members[step.index]);
                        break;
                case STRATEGY_WAIT:
                        return;
                case STRATEGY_SLEEP:
                        service_set_timer(group->service, &group->timer, group->at_usec);
                        return;
                case STRATEGY_START:
                        group->starting = true;
                        worker_start(group->members[step.index]);
                        break;
                case STRATEGY_DONE:
                        group->pending = false;
                }
        }
}

void group_due(void *userdata) {
        group_step(userdata);
}
