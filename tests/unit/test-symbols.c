/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Addresses become names: static functions of this very program, functions of a library,
 * also when the table of modules was made by another run; and files that are no ELF
 * files, or are cut or garbled at any place, are refused or read, but never believed.
 */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "heal/elf-file.h"
#include "heal/modules.h"
#include "heal/symbols.h"

/* Found by name, though nobody outside of this file can call it. */
static __attribute__((noinline)) int a_static_function(int x) {
        return x * 3 + 1;
}

static RecorderModules *modules_new(void) {
        RecorderModules *modules = g_new0(RecorderModules, 1);

        modules_take(modules);
        g_assert_cmpuint(modules->n, >, 2);
        return modules;
}

static void write_frames(const RecorderModules *modules,
                         const void *const *addresses,
                         guint n,
                         char *text,
                         char *function) {
        RecorderFrames frames = { .n_frames = n, .exact = 1 };

        for (guint i = 0; i < n; i++)
                frames.frames[i] = (guint64)(guintptr)addresses[i];
        symbols_write(&frames, modules, text, function);
}

static void test_modules(void) {
        g_autofree RecorderModules *modules = modules_new();
        g_autofree char *program = g_file_read_link("/proc/self/exe", NULL);
        const RecorderModule *self, *libc;

        self = modules_find(modules, (guint64)(guintptr)a_static_function);
        g_assert_true(self == &modules->modules[0]);
        g_assert_cmpstr(self->path, ==, program);
        libc = modules_find(modules,
                            (guint64)(guintptr)dlsym(RTLD_DEFAULT, "gnu_get_libc_version"));
        g_assert_nonnull(libc);
        g_assert_nonnull(strstr(libc->path, "libc"));
        g_assert_null(modules_find(modules, 1));
        g_assert_null(modules_find(modules, UINT64_MAX));
}

static void test_names(void) {
        g_autofree RecorderModules *modules = modules_new();
        const void *addresses[] = { dlsym(RTLD_DEFAULT, "gnu_get_libc_version"),
                                    (const char *)a_static_function + 3, (void *)1 };
        char text[STACK_TEXT_MAX], function[FUNCTION_LENGTH_MAX], line[STACK_LINE_MAX];
        g_auto(GStrv) lines = NULL;

        g_assert_cmpint(a_static_function(2), ==, 7);
        write_frames(modules, addresses, 3, text, function);
        lines = g_strsplit(text, "\n", -1);
        g_assert_cmpuint(g_strv_length(lines), ==, 3);
        g_assert_true(g_str_has_prefix(lines[0], "gnu_get_libc_version+0x0 (libc"));
        g_assert_true(g_str_has_prefix(lines[1], "a_static_function+0x2 (test-symbols+0x"));
        g_assert_cmpstr(lines[2], ==, "0x0");

        /* The function of the program is the one to name, though it is not the innermost. */
        g_assert_cmpstr(function, ==, "a_static_function+0x2");
        symbols_join(text, line);
        g_assert_nonnull(strstr(line, ") <- a_static_function+0x2 (test-symbols+0x"));
        g_assert_true(g_str_has_suffix(line, " <- 0x0"));
}

/* Another file lies where the code was loaded from: no names, only places. */
static void test_replaced(void) {
        g_autofree RecorderModules *modules = modules_new();
        const void *addresses[] = { a_static_function };
        char text[STACK_TEXT_MAX], function[FUNCTION_LENGTH_MAX];

        modules->modules[0].id[0] ^= 1;
        write_frames(modules, addresses, 1, text, function);
        g_assert_true(g_str_has_prefix(text, "test-symbols+0x"));
        g_assert_cmpstr(function, ==, "");
        modules->modules[0].path[0] = '\0';
        write_frames(modules, addresses, 1, text, function);
        g_assert_true(g_str_has_prefix(text, "0x"));
}

static void test_many_frames(void) {
        g_autofree RecorderModules *modules = modules_new();
        const void *addresses[STACK_FRAMES_MAX];
        char text[STACK_TEXT_MAX], function[FUNCTION_LENGTH_MAX], line[STACK_LINE_MAX];

        for (guint i = 0; i < STACK_FRAMES_MAX; i++)
                addresses[i] = (const char *)a_static_function + 1;
        write_frames(modules, addresses, STACK_FRAMES_MAX, text, function);
        g_assert_cmpuint(strlen(text), <, sizeof(text));
        g_assert_cmpuint(strlen(text), >, STACK_TEXT_MAX / 2);
        symbols_join(text, line);
        g_assert_cmpuint(strlen(line), <, sizeof(line));
}

/* The longest stack that there can be fits into one line, or is cut. */
static void test_join_sizes(void) {
        char lines[STACK_TEXT_MAX], line[STACK_LINE_MAX];

        memset(lines, '\n', sizeof(lines) - 1);
        lines[sizeof(lines) - 1] = '\0';
        symbols_join(lines, line);
        g_assert_cmpuint(strlen(line), <, sizeof(line));
        symbols_join("", line);
        g_assert_cmpstr(line, ==, "");
}

static int file_of(const void *data, gsize n) {
        int fd = open(g_get_tmp_dir(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

        g_assert_cmpint(fd, >=, 0);
        g_assert_cmpint(write(fd, data, n), ==, (gssize)n);
        return fd;
}

static int find_in(const void *data, gsize n, guint64 address) {
        char name[FUNCTION_LENGTH_MAX] = "";
        guint8 id[BUILD_ID_MAX];
        guint32 length;
        guint64 offset;
        int fd = file_of(data, n), r;

        (void)elf_file_build_id(fd, id, &length);
        r = symbol_find(fd, address, name, sizeof(name), &offset);
        if (r >= 0)
                g_assert_true(g_utf8_validate(name, -1, NULL));
        (void)close(fd);
        return r;
}

static void test_no_elf(void) {
        static const char script[] = "#!/bin/sh\nexec true\n";
        int fds[2];
        char name[8];
        guint64 offset;

        g_assert_cmpint(find_in("", 0, 1), ==, -ENOEXEC);
        g_assert_cmpint(find_in(script, sizeof(script), 1), ==, -ENOEXEC);

        /* A pipe, which would keep us waiting. */
        g_assert_cmpint(pipe(fds), ==, 0);
        g_assert_cmpint(symbol_find(fds[0], 1, name, sizeof(name), &offset), ==, -ENOEXEC);
        g_assert_cmpint(symbol_find(-1, 1, name, sizeof(name), &offset), ==, -EBADF);
        (void)close(fds[0]);
        (void)close(fds[1]);
}

static void test_garbled(void) {
        g_autofree RecorderModules *modules = modules_new();
        guint64 address = (guint64)(guintptr)a_static_function - modules->modules[0].base;
        g_autofree char *data = NULL;
        guint n_found = 0;
        gsize n;

        g_assert_true(g_file_get_contents("/proc/self/exe", &data, &n, NULL));
        g_assert_cmpint(find_in(data, n, address), ==, 0);

        for (guint i = 0; i < 60; i++)
                (void)find_in(data, (gsize)g_test_rand_int_range(0, (gint)n), address);

        /* Where it says where everything is: the header, and the table of sections at the end. */
        for (guint i = 0; i < 120; i++) {
                gsize at = i % 2 == 0 ? (gsize)g_test_rand_int_range(0, 64)
                                      : n - (gsize)g_test_rand_int_range(1, 3000);
                char kept = data[at];

                data[at] = (char)g_test_rand_int();
                n_found += find_in(data, n, address) == 0;
                data[at] = kept;
        }
        g_assert_cmpuint(n_found, >, 0);
        g_assert_cmpuint(n_found, <, 120);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/heal/symbols/modules", test_modules);
        g_test_add_func("/heal/symbols/names", test_names);
        g_test_add_func("/heal/symbols/replaced", test_replaced);
        g_test_add_func("/heal/symbols/many-frames", test_many_frames);
        g_test_add_func("/heal/symbols/join-sizes", test_join_sizes);
        g_test_add_func("/heal/symbols/no-elf", test_no_elf);
        g_test_add_func("/heal/symbols/garbled", test_garbled);
        return g_test_run();
}
