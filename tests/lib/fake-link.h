/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A Fake Link for Tests
 *
 * A dependency that does as it is told: answers, hangs, says why. Counts what is asked of
 * it, and holds hale to one close() for each open(). Defines its functions, because each
 * test is one program of one file.
 */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "lib/manager.h"

typedef struct Fake {
        _Atomic int open_result, check_result;
        _Atomic unsigned n_open, n_check, n_close, n_free;
        unsigned n_changed;
        uint32_t generation;
        bool was_up, on_loop;
        bool hangs;       /* under the lock, as is @n_free */
        bool close_hangs; /* it too, then */
        const char *_Atomic says;
} Fake;

/* Not GLib's, which the thread sanitizer does not see. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void fake_wait(Fake *fake) {
        pthread_mutex_lock(&lock);
        while (fake->hangs)
                pthread_cond_wait(&changed, &lock);
        pthread_mutex_unlock(&lock);
}

G_GNUC_UNUSED static void fake_hang(Fake *fake, bool hangs) {
        pthread_mutex_lock(&lock);
        fake->hangs = hangs;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
}

/* The last thread has let go of it. */
static void fake_await_free(Fake *fake) {
        struct timespec limit;

        (void)clock_gettime(CLOCK_MONOTONIC, &limit);
        limit.tv_sec += LIMIT_USEC / G_USEC_PER_SEC;
        pthread_mutex_lock(&lock);
        while (fake->n_free == 0 &&
               pthread_cond_clockwait(&changed, &lock, CLOCK_MONOTONIC, &limit) == 0)
                ;
        g_assert_cmpuint(fake->n_free, ==, 1);
        pthread_mutex_unlock(&lock);
        g_assert_cmpuint(fake->n_open, ==, fake->n_close);
}

static int fake_open(hale_link *link, void *userdata) {
        Fake *fake = userdata;

        g_assert_cmpuint(fake->n_open, ==, fake->n_close);
        fake->n_open++;
        if (fake->on_loop)
                fake->generation = hale_link_get_generation(link);
        fake_wait(fake);
        return fake->says ? hale_link_down(link, "%s", fake->says) : fake->open_result;
}

static int fake_check(hale_link *link, void *userdata) {
        Fake *fake = userdata;

        (void)link;
        fake->n_check++;
        fake_wait(fake);
        return fake->check_result;
}

static void fake_close(hale_link *link, void *userdata) {
        Fake *fake = userdata;

        (void)link;
        if (fake->close_hangs)
                fake_wait(fake);
        fake->n_close++;
        g_assert_cmpuint(fake->n_open, ==, fake->n_close);
}

static void fake_free(void *userdata) {
        pthread_mutex_lock(&lock);
        ((Fake *)userdata)->n_free++;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
}

static const hale_link_ops fake_ops = {
        .open = fake_open,
        .check = fake_check,
        .close = fake_close,
        .free = fake_free,
};

static void fake_on_change(hale_link *link, void *userdata) {
        Fake *fake = userdata;

        fake->n_changed++;
        fake->was_up = hale_link_is_up(link);
}

/* A quick link: attempts after 2 ms, no breaker, stable at once. */
static hale_link *fake_link(hale_service *service, Fake *fake) {
        hale_link *link;

        g_assert_cmpint(hale_service_add_link(service, &link, "db", &fake_ops, fake), ==, 0);
        g_assert_cmpint(hale_link_set_backoff_usec(link, 2000, 5000), ==, 0);
        g_assert_cmpint(hale_link_set_breaker(link, 0), ==, 0);
        g_assert_cmpint(hale_link_set_stable_usec(link, 1000), ==, 0);
        g_assert_cmpint(hale_link_set_connect_timeout_usec(link, 50000), ==, 0);
        g_assert_cmpint(hale_link_set_check_interval_usec(link, 10000), ==, 0);
        g_assert_cmpint(hale_link_set_check_timeout_usec(link, 50000), ==, 0);
        g_assert_cmpint(hale_link_on_change(link, fake_on_change, fake), ==, 0);
        return link;
}

static void finish(hale_service *service, hale_link *link, Fake *fake) {
        hale_link_unref(link);
        hale_service_unref(service);
        fake_await_free(fake);
}
