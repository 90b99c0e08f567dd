/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A process that writes to its record as fast as it can is killed at a random moment,
 * two hundred times: what it leaves can always be read. At most the one thing that was
 * being written is missing, and nothing reads as what it was not.
 */

#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "recorder-fixture.h"

#define N_KILLS 200

/* Every word of an entry follows from its number, so that a mixture would show. */
static RecorderEntry entry_numbered(guint64 number) {
        RecorderEntry entry = entry_of(number, "", "");

        (void)g_snprintf(entry.name, sizeof(entry.name), "n%" G_GUINT64_FORMAT, number * 3);
        (void)g_snprintf(entry.text, sizeof(entry.text),
                         "the text of entry %" G_GUINT64_FORMAT ", which is rather long", number);
        entry.value = number ^ 0x5555;
        return entry;
}

static RecorderState state_numbered(guint64 number) {
        RecorderState state = state_of(LIFE_RUNNING);

        state.lag_max_usec = number;
        state.written_usec = number * 7;
        (void)g_snprintf(state.reason, sizeof(state.reason), "reason %" G_GUINT64_FORMAT, number);
        return state;
}

static void write_for_ever(RecorderArea *area, _Atomic guint64 *counter, guint64 number) {
        guint64 sequence = recorder_last_sequence(area);
        RecorderState state, before = {};

        (void)recorder_read_state(area, &before);
        for (guint64 state_sequence = before.sequence;; number++) {
                RecorderEntry entry = entry_numbered(number);

                recorder_write_entry(area, &sequence, &entry);
                state = state_numbered(number);
                state.sequence = state_sequence;
                recorder_write_state(area, &state);
                state_sequence = state.sequence;
                atomic_store(counter, number);
        }
}

static void check_record(const RecorderArea *area, guint64 number) {
        RecorderEntry entries[RECORDER_ENTRIES_MAX];
        RecorderState state, expected;
        const char *word = NULL;
        guint n;

        g_assert_cmpint(recorder_check(area, SERVICE, &word), ==, 0);
        g_assert_true(recorder_read_state(area, &state));
        g_assert_cmpuint(state.lag_max_usec, >=, number);
        expected = state_numbered(state.lag_max_usec);
        g_assert_cmpuint(state.written_usec, ==, expected.written_usec);
        g_assert_cmpstr(state.reason, ==, expected.reason);

        n = recorder_read_entries(area, entries);
        g_assert_cmpuint(n, >=, MIN(number, RECORDER_ENTRIES_MAX) - 1);
        g_assert_cmpuint(entries[0].usec, >=, number);
        for (guint i = 0; i < n; i++) {
                RecorderEntry entry = entry_numbered(entries[i].usec);

                g_assert_cmpstr(entries[i].name, ==, entry.name);
                g_assert_cmpstr(entries[i].text, ==, entry.text);
                g_assert_cmpuint(entries[i].value, ==, entry.value);
        }
}

static void test_kills(void) {
        int fd = memfd_create("record", MFD_CLOEXEC);
        _Atomic guint64 *counter;
        RecorderArea *area;

        g_assert_cmpint(fd, >=, 0);
        g_assert_cmpint(ftruncate(fd, sizeof(*area) + 4096), ==, 0);
        area = mmap(NULL, sizeof(*area) + 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        g_assert_true(area != MAP_FAILED);
        counter = (void *)(area + 1);
        recorder_format(area, SERVICE, 1);

        for (guint i = 0; i < N_KILLS; i++) {
                guint64 from = atomic_load(counter) + 2;
                guint64 until = from + (guint64)g_test_rand_int_range(1, 600);
                guint n_spins = (guint)g_test_rand_int_range(0, 2000);
                int status;
                pid_t pid = fork();

                g_assert_cmpint(pid, >=, 0);
                if (pid == 0)
                        write_for_ever(area, counter, from);

                while (atomic_load(counter) < until)
                        (void)sched_yield();
                for (guint spin = 0; spin < n_spins; spin++)
                        atomic_signal_fence(memory_order_seq_cst);
                g_assert_cmpint(kill(pid, SIGKILL), ==, 0);
                g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
                g_assert_true(WIFSIGNALED(status));
                check_record(area, atomic_load(counter));
        }

        (void)munmap(area, sizeof(*area) + 4096);
        (void)close(fd);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/core/recorder/kill", test_kills);
        return g_test_run();
}
