/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A record in plain memory, and shorthands to fill it
 */

#include <glib.h>
#include <string.h>

#include "core/recorder-read.h"

#define SERVICE "subject"

G_GNUC_UNUSED static RecorderArea *area_new(void) {
        RecorderArea *area = aligned_alloc(_Alignof(RecorderArea), sizeof(*area));

        g_assert_nonnull(area);
        memset(area, 0, sizeof(*area));
        recorder_format(area, SERVICE, 1700000000000000);
        return area;
}

/* A probe that went from pass to fail. */
G_GNUC_UNUSED static RecorderEntry entry_of(guint64 usec, const char *name, const char *text) {
        RecorderEntry entry = {
                .usec = usec,
                .realtime_usec = 1700000000000000 + usec,
                .run = 1,
                .kind = RECORD_PROBE,
                .from = HALE_PASS,
                .to = HALE_FAIL,
        };

        g_strlcpy(entry.name, name, sizeof(entry.name));
        g_strlcpy(entry.text, text, sizeof(entry.text));
        return entry;
}

G_GNUC_UNUSED static RecorderState state_of(RecorderLife life) {
        return (RecorderState){
                .run = 7,
                .n_restarts = 2,
                .life = life,
                .status = HALE_PASS,
                .pid = 4242,
                .started_usec = 1000000,
                .started_realtime_usec = 1700000000000000,
                .written_usec = 2000000,
                .written_realtime_usec = 1700000001000000,
                .watchdog_usec = 3000000,
                .reason = "ready; 3 probes pass",
        };
}
