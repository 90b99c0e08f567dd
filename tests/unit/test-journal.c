/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Journal
 *
 * Held against a datagram socket in place of journald's and a reader of its
 * format: every message arrives whole, with its fields, each of them one line;
 * what cannot be sent is counted and told; a journal that hangs, goes or comes
 * back, and a stderr that nobody reads, never block. And the catalog explains
 * every id that there is, and no other.
 */

#include <endian.h>
#include <fcntl.h>
#include <glib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <syslog.h>

#include "base/fd.h"
#include "base/macro.h"
#include "datagram-fixture.h"
#include "report/journal-entry.h"
#include "report/journal.h"

/* The tests run in the build folder, or by hand in the source's. */
static char *catalog_path(void) {
        const char *root = g_getenv("HALE_SOURCE_ROOT");

        return g_build_filename(root ? root : ".", "units", "hale.catalog", NULL);
}

/* The fields of an entry; a format error fails the test. */
static GHashTable *parse_entry(const char *data, gsize n) {
        GHashTable *fields = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        const char *end = data + n;

        while (data < end) {
                const char *eol = memchr(data, '\n', (gsize)(end - data)), *equal;
                char *name, *value;

                g_assert_nonnull(eol);
                equal = memchr(data, '=', (gsize)(eol - data));
                if (equal) {
                        name = g_strndup(data, (gsize)(equal - data));
                        value = g_strndup(equal + 1, (gsize)(eol - equal - 1));
                        data = eol + 1;
                } else {
                        guint64 size;

                        name = g_strndup(data, (gsize)(eol - data));
                        g_assert_cmpint(end - eol, >, 9);
                        memcpy(&size, eol + 1, 8);
                        size = le64toh(size);
                        g_assert_cmpuint(size, <=, (gsize)(end - eol - 10));
                        value = g_strndup(eol + 9, size);
                        g_assert_cmpint(eol[9 + size], ==, '\n');
                        data = eol + 10 + size;
                }
                g_assert_true(journal_field_name_is_valid(name));
                g_assert_true(g_hash_table_insert(fields, name, value));
        }

        return fields;
}

typedef struct World {
        Receiver receiver;
        int console[2]; /* a pipe in place of stderr */
        Journal journal;
} World;

static void world_init(World *world, const char *target) {
        g_autofree char *stream = NULL;
        struct stat st;

        receiver_init(&world->receiver);
        g_assert_cmpint(pipe2(world->console, O_CLOEXEC), ==, 0);
        g_assert_cmpint(fcntl(world->console[0], F_SETFL, O_NONBLOCK), ==, 0);
        g_assert_cmpint(fstat(world->console[1], &st), ==, 0);
        stream = g_strdup_printf("%" G_GUINT64_FORMAT ":%" G_GUINT64_FORMAT, (guint64)st.st_dev,
                                 (guint64)st.st_ino);

        g_assert_cmpint(journal_init_with(&world->journal,
                                          &(JournalConfig){
                                                  .name = "orders",
                                                  .socket = world->receiver.path,
                                                  .stream = target ? NULL : stream,
                                                  .console_fd = world->console[1],
                                          }),
                        ==, 0);
        if (target)
                g_assert_cmpint(journal_set_target(&world->journal, target), ==, 0);
}

static void world_done(World *world) {
        journal_done(&world->journal);
        receiver_done(&world->receiver);
        (void)close(world->console[0]);
        if (world->console[1] >= 0)
                (void)close(world->console[1]);
}

static void expect_console(World *world, const char *expected) {
        char line[CONSOLE_LINE_MAX + 1];
        ssize_t n = read(world->console[0], line, sizeof(line) - 1);

        if (!expected) {
                g_assert_cmpint(n, <, 0);
                return;
        }
        g_assert_cmpint(n, >, 0);
        line[n] = '\0';
        g_assert_cmpstr(line, ==, expected);
}

static GHashTable *take_entry(World *world) {
        gsize n = 0;
        g_autofree char *data = receiver_take(&world->receiver, &n);

        g_assert_nonnull(data);
        return parse_entry(data, n);
}

#define expect_field(fields, name, expected)                                                       \
        g_assert_cmpstr(g_hash_table_lookup((fields), (name)), ==, (expected))

static void test_fields(void) {
        static const JournalField fields[] = {
                { "HALE_PROBE", "db" },
                { "HALE_REASON", "refused\nMESSAGE=forged\npassword=x" },
                { "HALE_GATE", NULL },
        };
        World world;

        world_init(&world, NULL);
        g_assert_true(world.journal.has_stream);
        g_assert_cmpint(journal_send(&world.journal, MESSAGE_PROBE_FAILED, fields, 3,
                                     "Probe '%s' fails: %s", "db", "line\nbreak"),
                        ==, 0);

        g_autoptr(GHashTable) entry = take_entry(&world);
        expect_field(entry, "MESSAGE", "Probe 'db' fails: line break");
        expect_field(entry, "MESSAGE_ID", "e19a0c5143bc4ed7802f77b691303db7");
        expect_field(entry, "PRIORITY", "4");
        expect_field(entry, "SYSLOG_IDENTIFIER", "orders");
        expect_field(entry, "HALE_SERVICE", "orders");
        expect_field(entry, "HALE_PROBE", "db");
        expect_field(entry, "HALE_REASON", "refused MESSAGE=forged password=*");
        g_assert_cmpuint(g_hash_table_size(entry), ==, 7);
        expect_console(&world, NULL);
        world_done(&world);
}

static void test_log_and_errno(void) {
        World world;

        world_init(&world, "journal");
        errno = ENOSPC;
        g_assert_cmpint(journal_log(&world.journal, LOG_NOTICE, "no id: %m"), ==, 0);
        g_assert_cmpint(errno, ==, ENOSPC);

        g_autoptr(GHashTable) entry = take_entry(&world);
        expect_field(entry, "MESSAGE", "no id: No space left on device");
        expect_field(entry, "PRIORITY", "5");
        expect_field(entry, "MESSAGE_ID", NULL);
        world_done(&world);
}

static void test_level_and_targets(void) {
        World world;

        world_init(&world, "null");
        g_assert_cmpint(journal_log(&world.journal, LOG_ERR, "x"), ==, 0);
        receiver_expect(&world.receiver, NULL);
        expect_console(&world, NULL);

        g_assert_cmpint(journal_set_target(&world.journal, "console"), ==, 0);
        g_assert_cmpint(journal_log(&world.journal, LOG_ERR, "one\ntwo"), ==, 0);
        receiver_expect(&world.receiver, NULL);
        expect_console(&world, "orders: one two\n");

        /* Not a stream into the journal: "auto" is the console. */
        g_assert_cmpint(journal_set_target(&world.journal, "auto"), ==, 0);
        g_assert_cmpint(journal_log(&world.journal, LOG_DEBUG, "not at this level"), ==, 0);
        expect_console(&world, NULL);
        world.journal.max_level = LOG_DEBUG;
        g_assert_cmpint(journal_log(&world.journal, LOG_DEBUG, "but at this"), ==, 0);
        expect_console(&world, "orders: but at this\n");
        world.journal.max_level = LOG_CRIT;
        g_assert_cmpint(journal_send(&world.journal, MESSAGE_STOPPED, NULL, 0, "x"), ==, 0);
        expect_console(&world, NULL);

        g_assert_cmpint(journal_set_target(&world.journal, "kmsg"), ==, -EINVAL);
        g_assert_cmpint(world.journal.target, ==, JOURNAL_AUTO);
        g_assert_cmpstr(journal_target_to_string(JOURNAL_NATIVE), ==, "journal");
        g_assert_null(journal_target_to_string(_JOURNAL_TARGET_MAX));
        world_done(&world);
}

static void test_stream_must_match(void) {
        static const char *const streams[] = { NULL, "", "1:2", "x", "1:2:3", "-1:-1" };

        for (gsize i = 0; i < G_N_ELEMENTS(streams); i++) {
                Journal journal;

                g_assert_cmpint(journal_init_with(&journal, &(JournalConfig){ .name = "x",
                                                                              .stream = streams[i],
                                                                              .console_fd = 2 }),
                                ==, 0);
                g_assert_false(journal.has_stream);
                journal_done(&journal);
        }
}

/* A full journal: the line goes to stderr, with its priority; when that is full too, it is lost,
 * counted, and told. */
static void test_dropped_are_told(void) {
        static const char page[4096] = { 0 };
        World world;
        guint full;

        world_init(&world, NULL);
        full = receiver_fill(&world.receiver);
        g_assert_cmpint(journal_log(&world.journal, LOG_ERR, "over stderr"), ==, 0);
        expect_console(&world, "<3>over stderr\n");

        g_assert_cmpint(fcntl(world.console[1], F_SETFL, O_NONBLOCK), ==, 0);
        while (write(world.console[1], page, sizeof(page)) > 0)
                ;
        g_assert_cmpint(fcntl(world.console[1], F_SETFL, 0), ==, 0);
        g_assert_cmpint(journal_log(&world.journal, LOG_ERR, "lost"), ==, -EAGAIN);
        g_assert_cmpint(journal_send(&world.journal, MESSAGE_GAP, NULL, 0, "lost"), ==, -EAGAIN);
        g_assert_cmpuint(world.journal.n_dropped, ==, 2);

        receiver_drain(&world.receiver, full);
        g_assert_cmpint(journal_log(&world.journal, LOG_ERR, "again"), ==, 0);
        g_autoptr(GHashTable) first = take_entry(&world);
        expect_field(first, "MESSAGE", "again (2 earlier messages lost)");
        expect_field(first, "HALE_DROPPED", "2");

        g_assert_cmpint(journal_log(&world.journal, LOG_ERR, "and on"), ==, 0);
        g_autoptr(GHashTable) second = take_entry(&world);
        expect_field(second, "MESSAGE", "and on");
        expect_field(second, "HALE_DROPPED", NULL);
        g_assert_cmpuint(world.journal.n_dropped, ==, 2);
        g_assert_cmpuint(world.journal.n_sent, ==, 3);
        world_done(&world);
}

static void test_journal_restarts(void) {
        World world;

        world_init(&world, NULL);
        receiver_close(&world.receiver);
        g_assert_cmpint(journal_log(&world.journal, LOG_ERR, "without a journal"), ==, 0);
        expect_console(&world, "<3>without a journal\n");
        receiver_open(&world.receiver);
        g_assert_cmpint(journal_log(&world.journal, LOG_ERR, "with one"), ==, 0);
        g_autoptr(GHashTable) entry = take_entry(&world);
        expect_field(entry, "MESSAGE", "with one");
        world_done(&world);
}

/* Nobody reads stderr any more: no SIGPIPE. */
static void test_console_without_reader(void) {
        World world;

        world_init(&world, "console");
        (void)close(world.console[0]);
        g_assert_cmpint(journal_log(&world.journal, LOG_ERR, "x"), ==, -EAGAIN);
        (void)close(world.console[1]);
        g_assert_cmpint(journal_log(&world.journal, LOG_ERR, "x"), ==, -EAGAIN);
        g_assert_cmpuint(world.journal.n_dropped, ==, 2);

        g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, world.console), ==, 0);
        world.journal.console_fd = world.console[1];
        g_assert_cmpint(journal_log(&world.journal, LOG_ERR, "over a socket"), ==, 0);
        expect_console(&world, "orders: over a socket (2 earlier messages lost)\n");
        world_done(&world);
}

static void test_large_by_memfd(void) {
        g_autofree char *large = g_strnfill(JOURNAL_VALUE_MAX * 2, 'x');
        JournalField fields[8];
        struct stat st;
        World world;
        gsize n = 0;

        for (gsize i = 0; i < G_N_ELEMENTS(fields); i++)
                fields[i] = (JournalField){ g_strdup_printf("HALE_X%" G_GSIZE_FORMAT, i), large };

        world_init(&world, "journal");
        g_assert_cmpint(journal_send(&world.journal, MESSAGE_GAP, fields, G_N_ELEMENTS(fields),
                                     "big"),
                        ==, 0);
        g_autofree char *datagram = receiver_take(&world.receiver, &n);
        g_assert_nonnull(datagram);
        g_assert_cmpuint(n, ==, 0);
        g_assert_cmpint(world.receiver.passed_fd, >=, 0);
        g_assert_cmpint(fcntl(world.receiver.passed_fd, F_GET_SEALS), ==,
                        F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);

        g_assert_cmpint(fstat(world.receiver.passed_fd, &st), ==, 0);
        g_autofree char *data = g_malloc((gsize)st.st_size);
        g_assert_cmpint(pread(world.receiver.passed_fd, data, (gsize)st.st_size, 0), ==,
                        st.st_size);
        g_autoptr(GHashTable) entry = parse_entry(data, (gsize)st.st_size);
        expect_field(entry, "MESSAGE", "big");
        g_assert_cmpuint(strlen(g_hash_table_lookup(entry, "HALE_X7")), ==, JOURNAL_VALUE_MAX - 1);

        for (gsize i = 0; i < G_N_ELEMENTS(fields); i++)
                g_free((char *)fields[i].name);
        world_done(&world);
}

static void test_entry_takes_any_bytes(void) {
        Text entry = TEXT_INIT;

        journal_entry_add_data(&entry, "A", "one\ntwo\n", 8);
        journal_entry_add_data(&entry, "B", "", 0);
        journal_entry_add_number(&entry, "C", UINT64_MAX);
        g_assert_cmpmem(entry.data, (int)entry.length,
                        "A\n\x08\0\0\0\0\0\0\0one\ntwo\n\nB=\nC=18446744073709551615\n", 45);

        g_autoptr(GHashTable) fields = parse_entry(entry.data, entry.length);
        expect_field(fields, "A", "one\ntwo\n");
        expect_field(fields, "B", "");
        text_done(&entry);
}

static void test_entry_random(void) {
        for (guint round = 0; round < 500; round++) {
                gsize n = (gsize)g_test_rand_int_range(0, 2000);
                g_autofree char *value = g_malloc(n + 1);
                Text entry = TEXT_INIT;

                for (gsize i = 0; i < n; i++)
                        value[i] = (char)g_test_rand_int_range(g_test_rand_bit() ? 1 : 0x80, 256);
                value[n] = '\0';
                journal_entry_add(&entry, "HALE_REASON", value);
                journal_entry_add_data(&entry, "RAW", value, n);

                g_autoptr(GHashTable) fields = parse_entry(entry.data, entry.length);
                const char *clean = g_hash_table_lookup(fields, "HALE_REASON");
                g_assert_true(g_utf8_validate(clean, -1, NULL));
                g_assert_null(strchr(clean, '\n'));
                expect_field(fields, "RAW", value);
                text_done(&entry);
        }
}

static void test_field_names(void) {
        g_autofree char *longest = g_strnfill(64, 'A'), *too_long = g_strnfill(65, 'A');

        g_assert_true(journal_field_name_is_valid("HALE_PROBE"));
        g_assert_true(journal_field_name_is_valid("A1_"));
        g_assert_true(journal_field_name_is_valid(longest));
        g_assert_false(journal_field_name_is_valid(too_long));
        g_assert_false(journal_field_name_is_valid("_PID"));
        g_assert_false(journal_field_name_is_valid("1A"));
        g_assert_false(journal_field_name_is_valid("hale"));
        g_assert_false(journal_field_name_is_valid("A=B"));
        g_assert_false(journal_field_name_is_valid(""));
        g_assert_false(journal_field_name_is_valid(NULL));
}

static void test_types(void) {
        for (MessageKind a = 0; a < _MESSAGE_KIND_MAX; a++) {
                const MessageType *type = message_type(a);

                g_assert_cmpuint(strlen(type->id), ==, 32);
                g_assert_cmpuint(strspn(type->id, "0123456789abcdef"), ==, 32);
                g_assert_cmpint(type->priority, >=, LOG_CRIT);
                g_assert_cmpint(type->priority, <=, LOG_DEBUG);

                /* Only the overall status has several urgencies under one id. */
                for (MessageKind b = 0; b < a; b++) {
                        g_assert_cmpstr(type->name, !=, message_type(b)->name);
                        if (!g_str_has_prefix(type->name, "status-"))
                                g_assert_cmpstr(type->id, !=, message_type(b)->id);
                }
        }
}

static void test_catalog(void) {
        g_autofree char *text = NULL, *path = catalog_path();
        g_auto(GStrv) lines = NULL;
        g_autoptr(GHashTable) ids = g_hash_table_new(g_str_hash, g_str_equal);
        const char *entry = NULL;
        guint n_headers = 0;

        g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
        g_assert_true(g_utf8_validate(text, -1, NULL));
        lines = g_strsplit(text, "\n", -1);

        for (char **line = lines; *line; line++) {
                g_assert_cmpint(g_utf8_strlen(*line, -1), <=, 76);
                if (g_str_has_prefix(*line, "-- ")) {
                        g_assert_true(!entry || n_headers == 3);
                        entry = *line + 3;
                        n_headers = 0;
                        g_test_message("%s", entry);
                        g_assert_true(g_hash_table_add(ids, (gpointer)entry));
                } else if (entry && (g_str_has_prefix(*line, "Subject: ") ||
                                     g_strcmp0(*line, "Defined-By: hale") == 0 ||
                                     g_str_has_prefix(*line, "Documentation: man:hale(3)"))) {
                        n_headers++;
                }
        }
        g_assert_cmpuint(n_headers, ==, 3);

        for (MessageKind kind = 0; kind < _MESSAGE_KIND_MAX; kind++) {
                g_test_message("%s", message_type(kind)->name);
                g_assert_true(g_hash_table_contains(ids, message_type(kind)->id));
        }
        for (MessageKind kind = 0; kind < _MESSAGE_KIND_MAX; kind++)
                (void)g_hash_table_remove(ids, message_type(kind)->id);
        g_assert_cmpuint(g_hash_table_size(ids), ==, 0);
}

/* journalctl itself must read it, and find each id in what it made of it. */
static void test_catalog_is_accepted(void) {
        g_autofree char *root = g_dir_make_tmp("hale-XXXXXX", NULL), *journalctl = NULL, *in = NULL,
                        *command = NULL, *list = NULL, *errors = NULL, *path = catalog_path();
        int status;

        journalctl = g_find_program_in_path("journalctl");
        if (!journalctl) {
                (void)g_rmdir(root);
                g_test_skip("there is no journalctl");
                return;
        }

        in = g_shell_quote(path);
        command = g_strdup_printf("sh -ec \"mkdir -p %s/usr/lib/systemd/catalog; "
                                  "cp %s %s/usr/lib/systemd/catalog/; "
                                  "journalctl --update-catalog --root=%s; "
                                  "journalctl --list-catalog --no-pager --root=%s; rm -r %s\"",
                                  root, in, root, root, root, root);
        g_assert_true(g_spawn_command_line_sync(command, &list, &errors, &status, NULL));
        g_assert_cmpstr(errors, ==, "");
        g_assert_cmpint(status, ==, 0);

        for (MessageKind kind = 0; kind < _MESSAGE_KIND_MAX; kind++)
                g_assert_nonnull(strstr(list, message_type(kind)->id));
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);

        g_test_add_func("/report/journal/fields", test_fields);
        g_test_add_func("/report/journal/log-and-errno", test_log_and_errno);
        g_test_add_func("/report/journal/level-and-targets", test_level_and_targets);
        g_test_add_func("/report/journal/stream-must-match", test_stream_must_match);
        g_test_add_func("/report/journal/dropped-are-told", test_dropped_are_told);
        g_test_add_func("/report/journal/journal-restarts", test_journal_restarts);
        g_test_add_func("/report/journal/console-without-reader", test_console_without_reader);
        g_test_add_func("/report/journal/large-by-memfd", test_large_by_memfd);
        g_test_add_func("/report/journal/entry-takes-any-bytes", test_entry_takes_any_bytes);
        g_test_add_func("/report/journal/entry-random", test_entry_random);
        g_test_add_func("/report/journal/field-names", test_field_names);
        g_test_add_func("/report/journal/types", test_types);
        g_test_add_func("/report/journal/catalog", test_catalog);
        g_test_add_func("/report/journal/catalog-is-accepted", test_catalog_is_accepted);

        return g_test_run();
}
