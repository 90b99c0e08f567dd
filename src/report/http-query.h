/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * HTTP Query
 *
 * For those who answer requests: takes paths and queries apart, undoes their
 * escapes, and finds out which of several media types a client likes best.
 */

#include <stdbool.h>
#include <stddef.h>

#include "report/http-parse.h"

/*
 * Takes the next segment of a path ("/readyz/db": "readyz", then "db"), raw.
 * Returns false at its end. A slash at the end yields an empty last segment.
 */
bool http_path_next(HttpSlice *path, HttpSlice *ret_segment);

/*
 * Takes the next "key=value" of a query, raw. Returns false at its end. Empty
 * parts are passed over; without a '=' the value is empty and its data NULL.
 */
bool http_query_next(HttpSlice *query, HttpSlice *ret_key, HttpSlice *ret_value);

/* True if @key is in the query, with or without a value. */
bool http_query_has(HttpSlice query, const char *key);

/*
 * Undoes the escapes of a segment of a path into @buffer, terminated. Returns the
 * length, -EINVAL for a bad escape or a control character (NUL above all), or
 * -ENOBUFS if it does not fit. In a query (@plus) a '+' is a space.
 */
int http_unescape(HttpSlice raw, bool plus, char *buffer, size_t size);

/*
 * Which of @offers ("type/subtype", with parameters if need be, in lower case)
 * the client that sent @accept likes best (RFC 9110 12.5.1): the highest quality
 * of the most specific range that fits. Of equals the first. If it likes none,
 * or did not say: 0, for an answer that nobody asked for still tells more than
 * a 406.
 */
size_t http_accept_choose(HttpSlice accept, const char *const *offers, size_t n_offers);

/* The quality of one offer, 0 to 1000; -1 if no range fits it. */
int http_accept_quality(HttpSlice accept, const char *offer);
