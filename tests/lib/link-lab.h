/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A Link in Trouble, for Tests
 *
 * A service with one link and quick questions, whose waits between attempts are the ones that
 * everybody gets. It is held to what a link promises in any trouble: one sentence that says what
 * it is about and no password in any line, attempts that come no closer than the waits allow, an
 * end soon after the cause has ended, a service that is live throughout, and a loop that turns.
 */

#include <stdbool.h>

#include "lib/manager.h"
#include "lib/server.h"

/* A turn of the loop that takes longer was held up by somebody. */
#define LAB_TURN_USEC G_USEC_PER_SEC

/* While the waits are short (four of them) the link is back within this. */
#define LAB_BACK_USEC G_USEC_PER_SEC
#define LAB_YOUNG 4

/* The shortest wait, as in hale/link.h. */
#define LAB_WAIT_USEC (200 * 1000)

#define LAB_PASSWORD "s3cret-word"

typedef int (*LabAdd)(hale_service *service, hale_link **ret, const char *name, const char *url);

typedef struct Lab {
        hale_service *service;
        hale_link *link;
        Capture capture;
        gint64 longest_usec; /* turn of the loop, without its waiting */
        gint64 began_usec;   /* of the trouble */
        guint64 n_before;    /* attempts that had been made then */
        gint64 wait_usec;    /* the shortest between two of them */
} Lab;

G_GNUC_UNUSED static void lab_add(Lab *lab, LabAdd add, const char *url) {
        *lab = (Lab){ .service = service_of_test(), .wait_usec = LAB_WAIT_USEC };
        capture_start(&lab->capture);
        g_assert_cmpint(add(lab->service, &lab->link, "outside", url), ==, 0);
        g_assert_cmpint(hale_link_set_check_interval_usec(lab->link, 50000), ==, 0);
        g_assert_cmpint(hale_link_set_check_timeout_usec(lab->link, 500000), ==, 0);
        g_assert_cmpint(hale_link_set_connect_timeout_usec(lab->link, 2000000), ==, 0);
        g_assert_cmpint(hale_link_set_stable_usec(lab->link, 1000), ==, 0);
}

static void lab_turn(Lab *lab) {
        sd_event *event = hale_service_get_event(lab->service);
        gint64 began;
        int r;

        r = sd_event_prepare(event);
        if (r == 0)
                r = sd_event_wait(event, 20000);
        g_assert_cmpint(r, >=, 0);
        if (r == 0)
                return;

        began = g_get_monotonic_time();
        g_assert_cmpint(sd_event_dispatch(event), >=, 0);
        lab->longest_usec = MAX(lab->longest_usec, g_get_monotonic_time() - began);
}

/* Turns the loop until @condition, and says whether it came before the limit. */
#define lab_until(lab, condition)                                                                  \
        ({                                                                                         \
                gint64 _limit = g_get_monotonic_time() + LIMIT_USEC;                               \
                while (!(condition) && g_get_monotonic_time() < _limit)                            \
                        lab_turn(lab);                                                             \
                (condition);                                                                       \
        })

G_GNUC_UNUSED static void lab_turn_for(Lab *lab, gint64 usec) {
        gint64 until = g_get_monotonic_time() + usec;

        while (g_get_monotonic_time() < until)
                lab_turn(lab);
}

/* Trouble begins now, or has been there from the start. */
G_GNUC_UNUSED static void lab_mark(Lab *lab) {
        lab->began_usec = g_get_monotonic_time();
        lab->n_before = hale_link_get_n_attempts(lab->link);
}

G_GNUC_UNUSED static void lab_start(Lab *lab) {
        lab_mark(lab);
        g_assert_cmpint(hale_service_start(lab->service), ==, 0);
}

/* A link that is up, before whatever happens to it. */
G_GNUC_UNUSED static void lab_up(Lab *lab, LabAdd add, const char *url) {
        lab_add(lab, add, url);
        lab_start(lab);
        g_assert_true(lab_until(lab, hale_link_is_up(lab->link)));
        lab_turn_for(lab, 10000); /* it counts as stable */
}

static guint64 lab_attempts(Lab *lab) {
        return hale_link_get_n_attempts(lab->link) - lab->n_before;
}

/* No more than one at once and then one a wait. */
static void lab_check_attempts(Lab *lab) {
        gint64 usec = g_get_monotonic_time() - lab->began_usec;

        g_assert_cmpuint(lab_attempts(lab), <=, 2 + (guint64)(usec / lab->wait_usec));
}

/* It is down, or still is, and says @reason in a sentence of one line. */
G_GNUC_UNUSED static void lab_falls(Lab *lab, const char *reason) {
        const char *said;

        if (!lab_until(lab, !hale_link_is_up(lab->link) &&
                                    strstr(hale_link_get_reason(lab->link), reason)))
                g_test_message("it says '%s', not '%s'", hale_link_get_reason(lab->link), reason);
        said = hale_link_get_reason(lab->link);
        g_test_message("%s", said);
        g_assert_nonnull(strstr(said, reason));
        g_assert_null(strchr(said, '\n'));
        g_assert_null(strstr(said, LAB_PASSWORD));
        g_assert_true(hale_service_is_live(lab->service));
        lab_check_attempts(lab);
        g_assert_true(lab_until(lab, !hale_service_is_ready(lab->service)));
}

/* The cause lasts a little, and the link does not storm the server. */
G_GNUC_UNUSED static void lab_lasts(Lab *lab) {
        lab_turn_for(lab, 2 * LAB_WAIT_USEC);
        g_assert_false(hale_link_is_up(lab->link));
        lab_check_attempts(lab);
}

/* The cause has ended at @ended_usec. */
G_GNUC_UNUSED static void lab_heals_since(Lab *lab, gint64 ended_usec) {
        gint64 back;

        g_assert_true(lab_until(lab, hale_link_is_up(lab->link)));
        back = MAX(g_get_monotonic_time() - ended_usec, 0);
        g_test_message("back after %.1f ms, at attempt %" G_GUINT64_FORMAT, (double)back / 1000,
                       lab_attempts(lab));
        if (lab_attempts(lab) <= LAB_YOUNG)
                g_assert_cmpint(back, <=, LAB_BACK_USEC);
        lab_check_attempts(lab);
        g_assert_true(lab_until(lab, hale_service_is_ready(lab->service)));
}

G_GNUC_UNUSED static void lab_heals(Lab *lab) {
        lab_heals_since(lab, g_get_monotonic_time());
}

/* What must not end the connection goes on for so long. */
G_GNUC_UNUSED static void lab_stays_up(Lab *lab, gint64 usec) {
        guint64 n = hale_link_get_n_attempts(lab->link);

        lab_turn_for(lab, usec);
        g_assert_true(hale_link_is_up(lab->link));
        g_assert_cmpuint(hale_link_get_n_attempts(lab->link), ==, n);
}

/*
 * Refused for ever: what is ten minutes by default takes six seconds, with the waits that let
 * through most attempts. Returns how many there were.
 */
G_GNUC_UNUSED static guint64 lab_ten_minutes(Lab *lab, LabAdd add, const char *url) {
        lab_add(lab, add, url);
        g_assert_cmpint(hale_link_set_backoff_usec(lab->link, 2000, 120000), ==, 0);
        lab->wait_usec = 2000;
        lab_start(lab);
        lab_turn_for(lab, 6 * G_USEC_PER_SEC);
        g_test_message("refused %" G_GUINT64_FORMAT " times: %s", lab_attempts(lab),
                       hale_link_get_reason(lab->link));
        g_assert_cmpuint(lab_attempts(lab), >, 10);
        g_assert_cmpuint(lab_attempts(lab), <=, 64);
        g_assert_cmpuint(capture_count(&lab->capture, "Link 'outside' is down"), ==, 1);
        return lab_attempts(lab);
}

G_GNUC_UNUSED static void lab_done(Lab *lab) {
        guint n_secrets = capture_count(&lab->capture, LAB_PASSWORD);

        capture_stop(&lab->capture);
        g_assert_cmpuint(n_secrets, ==, 0);
        g_assert_cmpint(lab->longest_usec, <, LAB_TURN_USEC);
        g_assert_true(hale_service_is_live(lab->service));
        lab->link = hale_link_unref(lab->link);
        lab->service = hale_service_unref(lab->service);
}
