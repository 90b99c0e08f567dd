/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Blame without memory
 *
 * A loop may hang in malloc(3), with its lock held; whoever tells of it then must not need any.
 * The sanitizer calls us at each allocation: one that the thread of blame makes is a failure.
 */

#include <stdatomic.h>
#include <sys/syscall.h>

#include "lib/manager.h"
#include "lib/server.h"

/* <sanitizer/allocator_interface.h>, if we are built with it. */
extern int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *,
                                                                       size_t),
                                                     void (*on_free)(const volatile void *))
        __attribute__((weak));

static atomic_bool watching;
static atomic_uint n_foreign;
static pid_t loop_tid;

static void on_malloc(const volatile void *memory, size_t size) {
        (void)memory, (void)size;
        if (atomic_load(&watching) && syscall(SYS_gettid) != loop_tid)
                atomic_fetch_add(&n_foreign, 1);
}

static void on_free(const volatile void *memory) {
        (void)memory;
}

typedef struct Hang {
        Capture capture;
        gboolean told;
} Hang;

static int hangs_once(hale_probe *probe, void *userdata) {
        gint64 until = g_get_monotonic_time() + LIMIT_USEC;
        Hang *hang = userdata;

        (void)probe;
        if (hang->told)
                return 0;

        atomic_store(&watching, 1);
        while (g_get_monotonic_time() < until && !hang->told)
                hang->told = capture_count(&hang->capture, "hangs for") > 0;
        atomic_store(&watching, 0);
        return 0;
}

static void test_no_allocation(void) {
        hale_service *service;
        Manager manager;
        Hang hang = {};

        if (!__sanitizer_install_malloc_and_free_hooks) {
                g_test_skip("nobody tells of allocations without the address sanitizer");
                return;
        }

        manager_init(&manager, NULL);
        service = service_of_test();

        loop_tid = (pid_t)syscall(SYS_gettid);
        g_assert_cmpint(__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free), >, 0);
        capture_start(&hang.capture);
        g_assert_cmpint(hale_service_set_stall_usec(service, 100000), ==, 0);
        g_assert_cmpint(hale_service_add_probe(service, NULL, "p", HALE_GATE_NONE, NULL, NULL), ==,
                        0);
        g_assert_cmpint(hale_service_start(service), ==, 0);
        turn_for(service, 50000);

        /* Now that it runs and has threads of its own. */
        g_assert_cmpint(hale_service_add_probe(service, NULL, "h", HALE_GATE_NONE, hangs_once,
                                               &hang),
                        ==, 0);
        (void)turn_until(service, hang.told);
        capture_stop(&hang.capture);
        g_assert_true(hang.told);
        g_assert_cmpuint(atomic_load(&n_foreign), ==, 0);
        hale_service_unref(service);
        manager_done(&manager);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/service/blame/no-allocation", test_no_allocation);
        return g_test_run();
}
