/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * HTTP Accept
 *
 * Which media type a client likes best (declared in http-query.h).
 */

#include <string.h>

#include "base/limits.h"
#include "base/macro.h"
#include "report/http-chars.h"
#include "report/http-query.h"

/* One "type/subtype;parameters;q=0.5" of an Accept line. */
typedef struct MediaRange {
        HttpSlice type, subtype;
        HttpSlice parameters; /* with the first ';' */
        int quality;          /* in thousandths */
} MediaRange;

static void skip(HttpSlice *s, size_t n) {
        s->data += n;
        s->length -= n;
}

static void skip_blanks(HttpSlice *s) {
        skip(s, http_chars_span(s->data, s->length, HTTP_CHAR_BLANK));
}

static HttpSlice take_token(HttpSlice *s) {
        HttpSlice token = { .data = s->data };

        token.length = http_chars_span(s->data, s->length, HTTP_CHAR_TOKEN);
        skip(s, token.length);
        return token;
}

static bool take_char(HttpSlice *s, char c) {
        if (s->length == 0 || *s->data != c)
                return false;

        skip(s, 1);
        return true;
}

/* A token, or what stands between quotes, as it is written. */
static HttpSlice take_value(HttpSlice *s) {
        HttpSlice value;

        if (!take_char(s, '"'))
                return take_token(s);

        value.data = s->data;

        while (s->length > 0 && *s->data != '"')
                skip(s, *s->data == '\\' && s->length > 1 ? 2 : 1);

        value.length = (size_t)(s->data - value.data);
        (void)take_char(s, '"');
        return value;
}

/* Takes ";name=value"; false if there is none. */
static bool take_parameter(HttpSlice *s, HttpSlice *ret_name, HttpSlice *ret_value) {
        skip_blanks(s);
        if (!take_char(s, ';'))
                return false;
        skip_blanks(s);
        *ret_name = take_token(s);
        *ret_value = take_char(s, '=') ? take_value(s) : (HttpSlice){};
        return true;
}

/* RFC 9110 12.4.2: 0 to 1 with up to three digits behind the point. Anything else counts as 0. */
static int quality_parse(HttpSlice value) {
        int quality, scale = 100;

        if (value.length == 0 || value.length > 5 || (*value.data != '0' && *value.data != '1'))
                return 0;

        quality = (*value.data - '0') * 1000;
        for (size_t i = 1; i < value.length; i++) {
                char c = value.data[i];

                if (i == 1 ? c != '.' : c < '0' || c > '9')
                        return 0;
                if (i > 1) {
                        quality += (c - '0') * scale;
                        scale /= 10;
                }
        }

        return MIN(quality, 1000);
}

/* Moves past the next comma outside quotes. */
static void skip_element(HttpSlice *s) {
        while (s->length > 0 && *s->data != ',')
                if (*s->data == '"')
                        (void)take_value(s);
                else
                        skip(s, 1);

        (void)take_char(s, ',');
}

/* Takes one range; false if it is malformed (it is passed over then). */
static bool take_range(HttpSlice *s, MediaRange *ret) {
        HttpSlice name, value;
        MediaRange range = { .quality = 1000 };

        skip_blanks(s);
        range.type = take_token(s);
        if (!take_char(s, '/'))
                return false;
        range.subtype = take_token(s);
        if (range.type.length == 0 || range.subtype.length == 0)
                return false;

        range.parameters = (HttpSlice){ .data = s->data };
        for (;;) {
                range.parameters.length = (size_t)(s->data - range.parameters.data);
                if (!take_parameter(s, &name, &value))
                        break;
                if (http_slice_equal_fold(name, "q")) {
                        range.quality = quality_parse(value);
                        break;
                }
        }

        *ret = range;
        return true;
}

static bool slices_equal_fold(HttpSlice a, HttpSlice lower) {
        if (a.length != lower.length)
                return false;

        for (size_t i = 0; i < a.length; i++) {
                char c = a.data[i];

                if (c >= 'A' && c <= 'Z')
                        c = (char)(c | 0x20);
                if (c != lower.data[i])
                        return false;
        }

        return true;
}

static bool has_parameter(HttpSlice parameters, HttpSlice name, HttpSlice value) {
        HttpSlice n, v;

        while (take_parameter(&parameters, &n, &v))
                if (slices_equal_fold(name, n) && slices_equal_fold(value, v))
                        return true;

        return false;
}

/* How exactly @range names @offer: 0 not at all, 1 as "*" + "/" + "*", up to 3 and its parameters.
 */
static unsigned range_fits(const MediaRange *range, const MediaRange *offer) {
        HttpSlice rest = range->parameters, name, value;
        unsigned exact = 3;

        if (http_slice_equal(range->subtype, "*"))
                exact = http_slice_equal(range->type, "*") ? 1 : 2;
        if (exact >= 2 && !slices_equal_fold(range->type, offer->type))
                return 0;
        if (exact == 3 && !slices_equal_fold(range->subtype, offer->subtype))
                return 0;

        while (take_parameter(&rest, &name, &value)) {
                if (name.length == 0)
                        continue;
                if (!has_parameter(offer->parameters, name, value))
                        return 0;
                exact++;
        }

        return exact;
}

int http_accept_quality(HttpSlice accept, const char *offer) {
        HttpSlice text = { .data = offer, .length = strlen(offer) };
        MediaRange wanted, range;
        unsigned best = 0;
        int quality = -1;

        assert(offer);

        if (!take_range(&text, &wanted))
                return -1;

        for (unsigned i = 0; accept.length > 0 && i < HTTP_ACCEPT_RANGES_MAX; i++) {
                bool good = take_range(&accept, &range);

                skip_element(&accept);
                if (!good)
                        continue;

                unsigned exact = range_fits(&range, &wanted);

                if (exact > best) {
                        best = exact;
                        quality = range.quality;
                }
        }

        return quality;
}

size_t http_accept_choose(HttpSlice accept, const char *const *offers, size_t n_offers) {
        int best = 0;
        size_t chosen = 0;

        assert(offers || n_offers == 0);

        for (size_t i = 0; i < n_offers; i++) {
                int quality = http_accept_quality(accept, offers[i]);

                if (quality > best) {
                        best = quality;
                        chosen = i;
                }
        }

        return chosen;
}
