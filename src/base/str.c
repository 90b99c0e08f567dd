/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

/* More than any line that is kept, so that what is cut off here is not missed there. */
#define CLEAN_RAW_MAX 4096

void text_done(Text *text) {
        assert(text);

        free(text->data);
        *text = (Text)TEXT_INIT;
}

void text_clear(Text *text) {
        assert(text);

        text->length = 0;
        text->error = 0;
        if (text->data)
                text->data[0] = '\0';
}

/* Makes room for @n more bytes and the terminator. */
static int text_reserve(Text *text, size_t n) {
        size_t want, size;
        char *data;

        if (text->error < 0)
                return text->error;
        if (__builtin_add_overflow(text->length, n + 1, &want) ||
            (text->max > 0 && want - 1 > text->max))
                return text->error = -E2BIG;
        if (want <= text->allocated)
                return 0;

        size = MAX(want, MAX(text->allocated * 2, (size_t)256));
        data = realloc(text->data, size);
        if (!data)
                return text->error = -ENOMEM;

        text->data = data;
        text->allocated = size;
        return 0;
}

int text_append_n(Text *text, const char *data, size_t n) {
        int r;

        assert(text);
        assert(data || n == 0);

        r = text_reserve(text, n);
        if (r < 0)
                return r;

        if (n > 0)
                memcpy(text->data + text->length, data, n);
        text->length += n;
        text->data[text->length] = '\0';
        return 0;
}

int text_append(Text *text, const char *string) {
        assert(string);

        return text_append_n(text, string, strlen(string));
}

int text_appendf(Text *text, const char *format, ...) {
        va_list ap;
        int n, r;

        assert(text);
        assert(format);

        va_start(ap, format);
        n = vsnprintf(NULL, 0, format, ap);
        va_end(ap);
        if (n < 0)
                return text->error = -EINVAL;

        r = text_reserve(text, (size_t)n);
        if (r < 0)
                return r;

        va_start(ap, format);
        (void)vsnprintf(text->data + text->length, (size_t)n + 1, format, ap);
        va_end(ap);
        text->length += (size_t)n;
        return 0;
}

bool str_starts(const char *string, const char *prefix) {
        return strncmp(string, prefix, strlen(prefix)) == 0;
}

/* The smallest code point that may be written in a sequence of each length (RFC 3629, 3). */
static const unsigned utf8_least[] = { 0, 0, 0x80, 0x800, 0x10000 };

size_t utf8_sequence(const char *s, size_t n) {
        const unsigned char *b = (const unsigned char *)s;
        unsigned code;
        size_t length;

        if (n == 0)
                return 0;
        if (b[0] < 0x80)
                return 1;

        length = (b[0] & 0xe0) == 0xc0   ? 2
                 : (b[0] & 0xf0) == 0xe0 ? 3
                 : (b[0] & 0xf8) == 0xf0 ? 4
                                         : 0;
        if (length == 0 || length > n)
                return 0;

        code = b[0] & (0xffU >> (length + 1));
        for (size_t i = 1; i < length; i++) {
                if ((b[i] & 0xc0) != 0x80)
                        return 0;
                code = code << 6 | (b[i] & 0x3fU);
        }

        if (code < utf8_least[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
                return 0;

        return length;
}

/* C0, DEL, C1 (U+0080..9F), LINE and PARAGRAPH SEPARATOR, and the bidirectional controls that
 * make a line read otherwise than it is written. */
static bool is_control(const char *s, size_t length) {
        const unsigned char *b = (const unsigned char *)s;

        if (length == 1)
                return b[0] < 0x20 || b[0] == 0x7f;
        if (length == 2)
                return b[0] == 0xc2 && b[1] < 0xa0;
        if (length == 3 && b[0] == 0xe2 && b[1] == 0x80)
                return b[2] == 0xa8 || b[2] == 0xa9 || (b[2] >= 0xaa && b[2] <= 0xae);
        if (length == 3 && b[0] == 0xe2 && b[1] == 0x81)
                return b[2] >= 0xa6 && b[2] <= 0xa9;

        return false;
}

/* U+FDD0..FDEF and the last two of each plane are valid UTF-8, but systemd takes them for invalid
 * (unichar_is_valid() in its basic/utf8.c): it would drop the STATUS=, sd-bus the message. */
static bool is_noncharacter(const char *s, size_t length) {
        const unsigned char *b = (const unsigned char *)s;

        if (length == 3 && b[0] == 0xef && b[1] == 0xb7)
                return b[2] >= 0x90 && b[2] <= 0xaf;
        if (length == 3)
                return b[0] == 0xef && b[1] == 0xbf && b[2] >= 0xbe;
        if (length == 4)
                return (b[1] & 0x0f) == 0x0f && b[2] == 0xbf && b[3] >= 0xbe;

        return false;
}

size_t str_sanitize_n(const char *input, size_t n, char *buffer, size_t size) {
        size_t out = 0, cut = 0;

        assert(input || n == 0);
        assert(buffer);
        assert(size > 0);

        for (size_t i = 0; i < n;) {
                size_t length = utf8_sequence(input + i, n - i);
                const char *from = input + i;
                size_t step = length;

                if (length == 0 || is_noncharacter(from, length)) {
                        from = "\xef\xbf\xbd";
                        step = MAX(length, (size_t)1);
                        length = 3;
                } else if (is_control(from, length)) {
                        from = " ";
                        length = 1;
                }

                if (out + length > size - 1) {
                        if (size > 4) {
                                memcpy(buffer + cut, "...", 3);
                                out = cut + 3;
                        }
                        break;
                }

                memcpy(buffer + out, from, length);
                out += length;
                if (size > 4 && out <= size - 4)
                        cut = out;
                i += step;
        }

        buffer[out] = '\0';
        return out;
}

size_t str_sanitize(const char *input, char *buffer, size_t size) {
        return str_sanitize_n(input, input ? strlen(input) : 0, buffer, size);
}

size_t str_cut(char *string, size_t n_characters) {
        size_t n = 0, dots = 0, i = 0;

        assert(string);
        assert(n_characters >= 3);

        for (; string[i]; i++) {
                if (((unsigned char)string[i] & 0xc0) == 0x80)
                        continue;
                if (n == n_characters - 3)
                        dots = i;
                if (n++ == n_characters) {
                        memcpy(string + dots, "...", sizeof("..."));
                        return dots + 3;
                }
        }

        return i;
}

static void mask(char *from, size_t n) {
        memset(from, '*', n);
}

/* "host" or "host:1234", as a password that holds an unquoted slash does not look. */
static bool is_host_port(const char *authority, size_t n) {
        const char *colon = *authority == '[' ? NULL : memchr(authority, ':', n);

        if (!colon)
                return true;
        for (const char *c = colon + 1; c < authority + n; c++)
                if (*c < '0' || *c > '9')
                        return false;

        return true;
}

static void redact_userinfo(char *string) {
        for (char *p = string; (p = strstr(p, "//")); p += 2) {
                size_t authority = strcspn(p + 2, "/?# \t\"'");
                char *at = memrchr(p + 2, '@', authority);

                if (!at && !is_host_port(p + 2, authority))
                        at = memrchr(p + 2, '@', strcspn(p + 2, " \t\"'"));

                if (at)
                        mask(p + 2, (size_t)(at - p - 2));
        }
}

void str_redact(char *string) {
        static const char *const keys[] = { "password", "passwd", "pwd", "token", "secret" };

        assert(string);

        redact_userinfo(string);

        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                for (char *p = string; (p = strcasestr(p, keys[i]));) {
                        p += strlen(keys[i]);
                        if (*p == '"' || *p == '\'')
                                p++;
                        size_t gap = strspn(p, " ");

                        if (p[gap] != '=' && p[gap] != ':')
                                continue;
                        p += gap + 1;
                        p += strspn(p, " ");

                        char quote = *p == '\'' || *p == '"' ? *p++ : '\0';
                        char until[] = { quote ? quote : ' ', quote ? '\0' : ',', '&', ';', '\0' };
                        size_t n = strcspn(p, until);

                        mask(p, n);
                        p += n;
                }
}

void str_clean(char *buffer, size_t size, const char *format, va_list ap) {
        char raw[CLEAN_RAW_MAX];

        assert(buffer);
        assert(size > 0);

        buffer[0] = '\0';
        if (!format)
                return;

        (void)vsnprintf(raw, sizeof(raw), format, ap);
        str_redact(raw);
        (void)str_sanitize(raw, buffer, size);
}
