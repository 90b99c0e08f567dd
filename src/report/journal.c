/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macro.h"
#include "base/names.h"
#include "base/str.h"
#include "report/journal-entry.h"
#include "report/journal.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/* Above what a person reads in a line; the fields hold the rest. */
#define MESSAGE_LENGTH_MAX 2048

/* What all fields of one message may add up to. */
#define ENTRY_SIZE_MAX ((JOURNAL_FIELDS_MAX + 8) * (size_t)(JOURNAL_VALUE_MAX + 128))

/* clang-format off */
static const char *const target_names[] = {
        [JOURNAL_AUTO]    = "auto",
        [JOURNAL_NATIVE]  = "journal",
        [JOURNAL_CONSOLE] = "console",
        [JOURNAL_NULL]    = "null",
};
/* clang-format on */

static_assert(ELEMENTSOF(target_names) == _JOURNAL_TARGET_MAX, "a target lacks its name");

const char *journal_target_to_string(JournalTarget target) {
        return name_table_to_string(target_names, ELEMENTSOF(target_names), (int)target);
}

/* $JOURNAL_STREAM is "device:inode" of what systemd gave us as stderr (systemd.exec(5)). It may
 * have been redirected since. */
static bool stream_matches(const char *stream, int fd) {
        uint64_t device, inode;
        struct stat st;
        int n = 0;

        if (!stream || sscanf(stream, "%" SCNu64 ":%" SCNu64 "%n", &device, &inode, &n) != 2 ||
            stream[n])
                return false;
        if (fstat(fd, &st) < 0)
                return false;

        return st.st_dev == device && st.st_ino == inode;
}

int journal_init_with(Journal *journal, const JournalConfig *config) {
        Datagram datagram;
        int r;

        assert(journal);
        assert(config);
        assert(config->name);

        r = datagram_init(&datagram, config->socket ? config->socket : JOURNAL_SOCKET);
        if (r < 0)
                return r;

        *journal = (Journal){
                .datagram = datagram,
                .console_fd = config->console_fd,
                .has_stream = stream_matches(config->stream, config->console_fd),
                .target = JOURNAL_AUTO,
                .max_level = LOG_INFO,
        };
        (void)str_sanitize(config->name, journal->name, sizeof(journal->name));

        /* Now, while there are descriptors. That the journal may be absent is no error. */
        if (journal->has_stream)
                (void)datagram_open(&journal->datagram);
        return 0;
}

void journal_init(Journal *journal, const char *name) {
        int r;

        r = journal_init_with(journal, &(JournalConfig){
                                               .name = name,
                                               .stream = getenv("JOURNAL_STREAM"),
                                               .console_fd = STDERR_FILENO,
                                       });
        assert(r >= 0); /* the path of the system's socket is valid */
        (void)r;
}

void journal_done(Journal *journal) {
        if (!journal)
                return;

        datagram_done(&journal->datagram);
}

int journal_set_target(Journal *journal, const char *word) {
        int target;

        assert(journal);

        target = name_table_from_string(target_names, ELEMENTSOF(target_names), word);
        if (target < 0)
                return target;

        journal->target = (JournalTarget)target;
        return 0;
}

/* The journal reads an entry that is too long for a datagram from a memfd, if that is sealed. */
static int send_memfd(Journal *journal, const Text *entry) {
        _cleanup_close_ int fd = -EBADF;

        fd = memfd_create("hale-journal", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0)
                return -errno;

        for (size_t done = 0; done < entry->length;) {
                ssize_t n = write(fd, entry->data + done, entry->length - done);

                if (n < 0)
                        return -errno;
                done += (size_t)n;
        }

        if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
                return -errno;

        return datagram_send(&journal->datagram, NULL, 0, fd);
}

/* A message on its way. */
typedef struct Outgoing {
        int priority;
        const char *id; /* NULL: none */
        const JournalField *fields;
        size_t n_fields;
        char text[MESSAGE_LENGTH_MAX];
} Outgoing;

static int send_native(Journal *journal, const Outgoing *out) {
        _cleanup_(text_done) Text entry = { .max = ENTRY_SIZE_MAX };
        int r;

        journal_entry_add(&entry, "MESSAGE", out->text);
        journal_entry_add_number(&entry, "PRIORITY", (uint64_t)out->priority);
        if (out->id)
                journal_entry_add(&entry, "MESSAGE_ID", out->id);
        journal_entry_add(&entry, "SYSLOG_IDENTIFIER", journal->name);
        journal_entry_add(&entry, "HALE_SERVICE", journal->name);
        if (journal->n_untold > 0)
                journal_entry_add_number(&entry, "HALE_DROPPED", journal->n_untold);
        for (size_t i = 0; i < out->n_fields; i++)
                if (out->fields[i].value)
                        journal_entry_add(&entry, out->fields[i].name, out->fields[i].value);
        if (entry.error < 0)
                return entry.error;

        r = datagram_send(&journal->datagram, entry.data, entry.length, -EBADF);
        if (r == -EMSGSIZE || r == -ENOBUFS)
                r = send_memfd(journal, &entry);
        return r;
}

/* Would a line go through at once? With POLLERR or POLLHUP nobody reads any more, and write(2)
 * would raise SIGPIPE. */
static bool is_writable(int fd) {
        struct pollfd pollfd = { .fd = fd, .events = POLLOUT };

        return fd >= 0 && poll(&pollfd, 1, 0) == 1 && pollfd.revents == POLLOUT;
}

static int send_console(Journal *journal, const Outgoing *out) {
        char line[CONSOLE_LINE_MAX];
        ssize_t written;
        int n;

        if (!is_writable(journal->console_fd))
                return -EAGAIN;

        /* sd-daemon(3): a prefix gives the priority to a journal, which knows the name; to a
         * person it would be noise. */
        if (journal->has_stream)
                n = snprintf(line, sizeof(line), "<%d>%s\n", out->priority, out->text);
        else
                n = snprintf(line, sizeof(line), "%s: %s\n", journal->name, out->text);
        assert(n > 0 && (size_t)n < sizeof(line));

        written = send(journal->console_fd, line, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (written < 0 && errno == ENOTSOCK)
                written = write(journal->console_fd, line, (size_t)n);

        return written < 0 ? -errno : 0;
}

/* Appends how many were lost before, where there is room left. */
static void tell_dropped(const Journal *journal, Outgoing *out) {
        size_t n = strlen(out->text);

        if (journal->n_untold > 0)
                (void)snprintf(out->text + n, sizeof(out->text) - n,
                               " (%" PRIu64 " earlier message%s lost)", journal->n_untold,
                               journal->n_untold == 1 ? "" : "s");
}

static int journal_deliver(Journal *journal, Outgoing *out) {
        JournalTarget target = journal->target;
        int r;

        if (target == JOURNAL_NULL)
                return 0;
        if (target == JOURNAL_AUTO)
                target = journal->has_stream ? JOURNAL_NATIVE : JOURNAL_CONSOLE;

        tell_dropped(journal, out);

        r = target == JOURNAL_NATIVE ? send_native(journal, out) : -ENOTCONN;

        /* A sandbox may hide the socket, or the journal hang: the plain line may still get there.
         */
        if (r < 0)
                r = send_console(journal, out);
        if (r < 0) {
                journal->n_dropped++;
                journal->n_untold++;
                return r;
        }

        journal->n_sent++;
        journal->n_untold = 0;
        return 0;
}

/* The text is cleaned here once, for every target. Room is left for tell_dropped(). */
static void _printf_(2, 0) format_text(Outgoing *out, const char *format, va_list ap) {
        char raw[MESSAGE_LENGTH_MAX];

        if (vsnprintf(raw, sizeof(raw), format, ap) < 0)
                raw[0] = '\0';
        (void)str_sanitize(raw, out->text, sizeof(out->text) - 64);
        str_redact(out->text);
}

int journal_send(Journal *journal,
                 MessageKind kind,
                 const JournalField fields[],
                 size_t n_fields,
                 const char *format,
                 ...) {
        const MessageType *type = message_type(kind);
        int saved = errno, r;
        Outgoing out;
        va_list ap;

        assert(journal);
        assert(fields || n_fields == 0);
        assert(n_fields <= JOURNAL_FIELDS_MAX);

        if (type->priority > journal->max_level)
                return 0;

        out = (Outgoing){
                .priority = type->priority,
                .id = type->id,
                .fields = fields,
                .n_fields = n_fields,
        };
        va_start(ap, format);
        format_text(&out, format, ap);
        va_end(ap);

        r = journal_deliver(journal, &out);
        errno = saved;
        return r;
}

int journal_logv(Journal *journal, int priority, const char *format, va_list ap) {
        int saved = errno, r;
        Outgoing out;

        assert(journal);

        if (priority > journal->max_level)
                return 0;

        out = (Outgoing){ .priority = priority };
        format_text(&out, format, ap);

        r = journal_deliver(journal, &out);
        errno = saved;
        return r;
}

int journal_log(Journal *journal, int priority, const char *format, ...) {
        va_list ap;
        int r;

        va_start(ap, format);
        r = journal_logv(journal, priority, format, ap);
        va_end(ap);
        return r;
}
