/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Stream Texts: what a stream says about its peer
 *
 * Refused, timed out, unreachable, reset and wrongly answered are different
 * faults with different cures, and read so. All return CHECK_ANSWERED.
 */

#include "check/stream.h"

/* How much an error of connect(2) tells about the peer, above 0; 0 for none. */
unsigned stream_error_rank(int error);

/* The answer came, or the connection was enough. */
int stream_tell_well(const Stream *stream, uint64_t now_usec, CheckResult *result);

/* No target could be connected to; the error that says most is in the stream. */
int stream_tell_unconnected(const Stream *stream, CheckResult *result);

/* The connection broke with @error. */
int stream_tell_broken(const Stream *stream, int error, CheckResult *result);

/* The peer did @what and had not sent the expected text. */
int stream_tell_wrong(const Stream *stream, const char *what, CheckResult *result);

/* The deadline came. */
int stream_tell_timeout(const Stream *stream, CheckResult *result);

/* We lack what is needed to ask: unknown. */
int stream_tell_local_error(int error, CheckResult *result);
