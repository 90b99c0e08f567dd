/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Runs of Probes
 *
 * Asks when the core says so, by callback, in the pool or through a check, and
 * takes the answers to the core. A probe may be dropped by its own callback, which
 * is why runs hold a reference.
 */

#include <stdio.h>
#include <string.h>

#include "core/defaults.h"
#include "service/service.h"

void probe_schedule(hale_probe *probe) {
        service_set_timer(probe->service, &probe->timer,
                          probe_state_deadline(&probe->health.state));
}

void probe_activate(hale_probe *probe, uint64_t now_usec, uint64_t spread_usec) {
        hale_service *service = probe->service;

        probe_cancel(probe);
        if (probe->remedies)
                remedies_reset(probe);
        health_forget(&service->health, &probe->health);
        probe_state_activate(&probe->health.state, now_usec, spread_usec, &service->random);
        health_remember(&service->health, &probe->health);
        probe_schedule(probe);
}

static void probe_deactivate(hale_probe *probe) {
        hale_service *service = probe->service;

        probe_cancel(probe);
        if (probe->remedies)
                remedies_reset(probe);
        health_forget(&service->health, &probe->health);
        probe_state_deactivate(&probe->health.state);
        health_remember(&service->health, &probe->health);
        probe_schedule(probe);
}

/* Is it this probe's turn, in the present phase? Startup probes come first and alone; when one
 * that does nothing else has passed, it has said all it can. */
static bool probe_wanted(const hale_probe *probe) {
        const ProbeState *state = &probe->health.state;
        unsigned gates = state->policy.gates;

        if (probe->service->health.stopping)
                return state->active;
        if (!probe->service->health.started)
                return gates & HALE_GATE_STARTUP;

        return gates != HALE_GATE_STARTUP || !state->passed_once;
}

/* Who waits for a service to become ready should not wait for a lot to be drawn. */
static uint64_t probe_spread(const hale_probe *probe) {
        const ProbePolicy *policy = &probe->health.state.policy;

        if (policy->gates & (HALE_GATE_READY | HALE_GATE_STARTUP))
                return 0;

        return MIN(policy->interval_usec, STAGGER_MAX_USEC);
}

void service_activate_probes(hale_service *service, uint64_t now_usec, bool anew) {
        HealthProbe *health;

        TAILQ_FOREACH (health, &service->health.probes, link) {
                hale_probe *probe = health->owner;
                bool wanted = probe_wanted(probe);

                if (wanted && (anew || !health->state.active))
                        probe_activate(probe, now_usec, probe_spread(probe));
                else if (!wanted && health->state.active)
                        probe_deactivate(probe);
        }

        service_unsettle(service);
}

void service_deactivate_probes(hale_service *service) {
        HealthProbe *health;

        TAILQ_FOREACH (health, &service->health.probes, link)
                probe_deactivate(health->owner);
}

/* Lets go of a run under way: nobody will hear its answer. */
void probe_cancel(hale_probe *probe) {
        if (probe->job)
                probe_pool_abandon(probe);
        if (probe->check)
                (void)check_cancel(probe->check, NULL);
}

static void probe_keep_output(hale_probe *probe, const char *output) {
        if (strcmp(probe->health.output, output) == 0)
                return;

        free(probe->output);
        probe->output = output[0] ? strdup(output) : NULL;
        probe->health.output = probe->output ? probe->output : "";
}

static void probe_keep(hale_probe *probe, const Report *report) {
        const ProbeState *state = &probe->health.state;

        probe->health.realtime_usec = state->finished_usec + probe->service->realtime_usec;
        probe_keep_output(probe, report ? report->output : "");
        probe->health.unit = NULL;
        if (report && report->has_value) {
                memcpy(probe->unit, report->unit, sizeof(probe->unit));
                probe->health.unit = probe->unit;
                probe->health.value = report->value;
        }
}

static void probe_changed(hale_probe *probe, const ProbeChange *change) {
        hale_service *service = probe->service;

        service->results_revision++;
        if (!change->verdict && !change->first)
                return;

        service->health.revision++;
        service_unsettle(service);
        if (change->verdict)
                service_tell_probe(service, probe, change);
}

/* Counts how long the run took. With very many probes only the first of them have the memory for
 * it; the metrics could not show more. */
static void probe_count(hale_probe *probe) {
        hale_service *service = probe->service;
        HealthProbe *health = &probe->health;

        if (!health->durations) {
                if (service->metrics.n_histograms >= HISTOGRAMS_MAX)
                        return;
                health->durations = calloc(1, sizeof(*health->durations));
                if (!health->durations)
                        return;
                service->metrics.n_histograms++;
        }

        histogram_note(health->durations, health->state.duration_usec);
}

/* What a probe answers that fails for a rehearsal. */
static const Report rehearsal_report = {
        .status = HALE_FAIL,
        .given = true,
        .output = "REHEARSAL: told to fail on purpose",
};

void probe_conclude(hale_probe *probe,
                    uint32_t generation,
                    hale_status status,
                    const Report *report) {
        hale_service *service = probe->service;
        ProbeState *state = &probe->health.state;
        ProbeChange change;
        bool taken;

        if (!service)
                return;

        if (probe->told_to_fail) {
                report = &rehearsal_report;
                status = report->status;
        }

        health_forget(&service->health, &probe->health);
        taken = probe_state_end(state, generation, status, service->clock_usec, &service->random,
                                &change);
        health_remember(&service->health, &probe->health);
        if (!taken)
                return;

        probe->timed_out = false;
        probe_count(probe);
        probe_keep(probe, report);
        probe_changed(probe, &change);
        probe_schedule(probe);

        if (service->bus)
                bus_probe_finished(service->bus, &probe->health);
        if (probe->remedies)
                remedies_answered(probe, status);
}

static void probe_called(hale_probe *probe, uint32_t generation, int result, Report *report) {
        probe->service->clock_usec = service_now();

        if (result == HALE_PENDING && !report->given) {
                probe_schedule(probe);
                return;
        }

        report_from_result(report, result == HALE_PENDING ? HALE_REPORTED : result);
        probe_conclude(probe, generation, report->status,
                       report->output[0] || report->has_value ? report : NULL);
}

/* Calls the program's callback on the loop. */
static void probe_call(hale_probe *probe, uint32_t generation) {
        Report report;
        int r;

        report.given = false;
        report.has_value = false;
        report.output[0] = '\0';

        (void)hale_probe_ref(probe);
        probe->answer = &report;
        r = probe->callback(probe, probe->userdata);
        probe->answer = NULL;

        /* It may have dropped the probe, or stopped the service. */
        if (probe->service)
                probe_called(probe, generation, r, &report);

        (void)hale_probe_unref(probe);
}

static void report_from_check(Report *report, const CheckResult *result) {
        *report = (Report){
                .status = result->status,
                .given = true,
                .has_value = result->has_value,
                .value = result->value,
        };
        (void)snprintf(report->unit, sizeof(report->unit), "%s", result->unit ? result->unit : "");
        memcpy(report->output, result->output, sizeof(report->output));
}

static void on_check_done(Check *check, const CheckResult *result, void *userdata) {
        hale_probe *probe = userdata;
        Report report;

        (void)check;

        report_from_check(&report, result);
        probe->service->clock_usec = service_now();
        probe_conclude(probe, probe->health.state.generation, report.status, &report);
        if (!probe->service->in_tick)
                service_settle(probe->service);
}

static void probe_ask_check(hale_probe *probe, uint32_t generation) {
        CheckResult result;
        Report report = { .status = HALE_UNKNOWN, .given = true };
        int r;

        r = check_start(probe->check, probe->health.state.policy.timeout_usec, &result,
                        on_check_done, probe);
        if (r == CHECK_PENDING)
                return;

        if (r == CHECK_ANSWERED)
                report_from_check(&report, &result);
        else
                (void)snprintf(report.output, sizeof(report.output), "cannot ask: %s",
                               strerror(-r));

        probe->service->clock_usec = service_now();
        probe_conclude(probe, generation, report.status, &report);
}

static void probe_ask_pool(hale_probe *probe, uint32_t generation) {
        Report report = { .status = HALE_FAIL, .given = true };
        int r;

        r = probe_pool_start(probe, generation);
        if (r >= 0)
                return;

        (void)snprintf(report.output, sizeof(report.output), "%s",
                       r == -EAGAIN ? "all threads for blocking probes are stuck" : strerror(-r));
        probe_conclude(probe, generation, report.status, &report);
}

static void probe_ask(hale_probe *probe, uint64_t now_usec) {
        uint32_t generation = probe_state_begin(&probe->health.state, now_usec);

        blame_enter("probe", probe->name);

        /* Meanwhile the deadline waits in the wheel; a quick answer moves it on. */
        if (probe->check) {
                probe_schedule(probe);
                probe_ask_check(probe, generation);
        } else if (probe->blocking) {
                probe_schedule(probe);
                probe_ask_pool(probe, generation);
        } else {
                probe_call(probe, generation);
        }
        blame_leave();
}

static void probe_ran_out_of_time(hale_probe *probe) {
        Report report = { .status = HALE_FAIL, .given = true };
        char text[USEC_TEXT_MAX];

        CheckResult result;

        if (probe->check && check_cancel(probe->check, &result))
                report_from_check(&report, &result);
        else
                (void)snprintf(report.output, sizeof(report.output), "no answer within %s",
                               usec_format(probe->health.state.policy.timeout_usec, text));
        probe->timed_out = true;
        probe_cancel(probe);
        probe_keep(probe, &report);
}

void probe_due(void *userdata) {
        hale_probe *probe = userdata;
        hale_service *service = probe->service;
        ProbeChange change;
        ProbeWish wish;

        health_forget(&service->health, &probe->health);
        wish = probe_state_tick(&probe->health.state, service->clock_usec, &service->random,
                                &change);
        health_remember(&service->health, &probe->health);

        if (wish == PROBE_RUN) {
                probe_ask(probe, service->clock_usec);
                return;
        }

        if (wish == PROBE_TIMEOUT) {
                probe_count(probe);
                probe_ran_out_of_time(probe);
                probe_changed(probe, &change);
                if (service->bus)
                        bus_probe_finished(service->bus, &probe->health);
                if (probe->remedies)
                        remedies_answered(probe, HALE_FAIL);
        } else if (wish == PROBE_STALE) {
                probe_changed(probe, &change);
                if (probe->remedies)
                        remedies_silent(probe);
        }

        probe_schedule(probe);
}

static void probe_push(hale_probe *probe, const Report *report) {
        hale_service *service = probe->service;
        ProbeChange change;

        if (probe->told_to_fail) {
                if (probe->withheld)
                        *probe->withheld = *report;
                report = &rehearsal_report;
        }

        health_forget(&service->health, &probe->health);
        probe_state_push(&probe->health.state, report->status, service->clock_usec, &change);
        health_remember(&service->health, &probe->health);

        probe_keep(probe, report);
        probe_changed(probe, &change);
        probe_schedule(probe);
        if (probe->remedies)
                remedies_answered(probe, report->status);
}

int probe_take_report(hale_probe *probe, const Report *report) {
        hale_service *service = probe->service;
        ProbeState *state = &probe->health.state;

        if (!service)
                return -ESTALE;

        service->clock_usec = service_now();
        if (report->run != 0 && (!state->running || report->run != state->generation)) {
                state->n_late++;
                return -ESTALE;
        }
        if (state->running && !probe->job && !probe->check) {
                probe_conclude(probe, state->generation, report->status, report);
                return HALE_REPORTED;
        }
        if (probe->timed_out) {
                probe->timed_out = false;
                state->n_late++;
                return -ESTALE;
        }

        probe_push(probe, report);
        return HALE_REPORTED;
}
