/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/macro.h"
#include "report/http-chars.h"
#include "report/http-document.h"

#define DATE_NEVER "Thu, 01 Jan 1970 00:00:00 GMT"

static_assert(sizeof(DATE_NEVER) - 1 == HTTP_DATE_LENGTH, "a date does not fit its slot");

/* The lines that come between status line and the rest when they come. */
/* clang-format off */
static const char *const connection_lines[] = {
        [HTTP_REPLY_PLAIN]      = "",
        [HTTP_REPLY_KEEP_ALIVE] = "Connection: keep-alive\r\n",
        [HTTP_REPLY_CLOSE]      = "Connection: close\r\n",
};

static const struct {
        unsigned status;
        const char *reason;
} reasons[] = {
        { 200, "OK"                              },
        { 301, "Moved Permanently"               },
        { 302, "Found"                           },
        { 307, "Temporary Redirect"              },
        { 308, "Permanent Redirect"              },
        { 400, "Bad Request"                     },
        { 403, "Forbidden"                       },
        { 404, "Not Found"                       },
        { 405, "Method Not Allowed"              },
        { 406, "Not Acceptable"                  },
        { 408, "Request Timeout"                 },
        { 413, "Content Too Large"               },
        { 414, "URI Too Long"                    },
        { 417, "Expectation Failed"              },
        { 429, "Too Many Requests"               },
        { 431, "Request Header Fields Too Large" },
        { 500, "Internal Server Error"           },
        { 501, "Not Implemented"                 },
        { 503, "Service Unavailable"             },
        { 504, "Gateway Timeout"                 },
        { 505, "HTTP Version Not Supported"      },
};
/* clang-format on */

static_assert(ELEMENTSOF(connection_lines) == _HTTP_REPLY_KIND_MAX,
              "a kind of reply lacks its line");

/*
 * In @data, one after the other: for KEEP_ALIVE and for CLOSE the status line
 * and their Connection line, to be sent before the rest; then the whole reply.
 */
struct HttpDocument {
        unsigned n_ref;
        unsigned n_held;
        unsigned status;
        uint64_t second; /* of the Date line */
        uint32_t opening_start[_HTTP_REPLY_KIND_MAX];
        uint32_t opening_length[_HTTP_REPLY_KIND_MAX];
        uint32_t rest; /* what follows the status line in the whole reply */
        uint32_t date;
        uint32_t body;
        uint32_t end;
        char data[];
};

const char *http_status_reason(unsigned status) {
        for (size_t i = 0; i < ELEMENTSOF(reasons); i++)
                if (reasons[i].status == status)
                        return reasons[i].reason;

        return "Unknown";
}

static bool value_is_valid(const char *value) {
        size_t n = strlen(value);

        return http_chars_span(value, n, HTTP_CHAR_FIELD) == n;
}

/* Whoever can smuggle a line into the header can write the reply. */
static bool fields_are_valid(const char *fields) {
        while (*fields) {
                const char *end = strstr(fields, "\r\n");
                size_t n;

                if (!end)
                        return false;

                n = http_chars_span(fields, (size_t)(end - fields), HTTP_CHAR_TOKEN);
                if (n == 0 || fields[n] != ':')
                        return false;
                n++;
                n += http_chars_span(fields + n, (size_t)(end - fields) - n, HTTP_CHAR_FIELD);
                if (fields + n != end)
                        return false;

                fields = end + 2;
        }

        return true;
}

/* Writes all but the body, or, without @data, only counts. */
static size_t document_write_head(HttpDocument *document,
                                  char *data,
                                  size_t size,
                                  const char *type,
                                  const char *fields,
                                  size_t length) {
        char status_line[64];
        size_t status_length, n = 0;

        status_length = (size_t)snprintf(status_line, sizeof(status_line), "HTTP/1.1 %u %s\r\n",
                                         document->status, http_status_reason(document->status));

        for (unsigned kind = HTTP_REPLY_KEEP_ALIVE; kind < _HTTP_REPLY_KIND_MAX; kind++) {
                document->opening_start[kind] = (uint32_t)n;
                n += (size_t)snprintf(data ? data + n : NULL, data ? size - n : 0, "%s%s",
                                      status_line, connection_lines[kind]);
                document->opening_length[kind] = (uint32_t)n - document->opening_start[kind];
        }

        document->opening_start[HTTP_REPLY_PLAIN] = (uint32_t)n;
        document->rest = (uint32_t)(n + status_length);
        document->date = document->rest + (uint32_t)strlen("Date: ");

        n += (size_t)snprintf(data ? data + n : NULL, data ? size - n : 0,
                              "%sDate: " DATE_NEVER "\r\n"
                              "%s%s%s"
                              "Content-Length: %zu\r\n"
                              "Cache-Control: no-store\r\n"
                              "X-Content-Type-Options: nosniff\r\n"
                              "%s\r\n",
                              status_line, type ? "Content-Type: " : "", type ? type : "",
                              type ? "\r\n" : "", length, fields ? fields : "");
        return n;
}

int http_document_new(HttpDocument **ret,
                      unsigned status,
                      const char *type,
                      const char *fields,
                      const void *body,
                      size_t length) {
        HttpDocument *document, measure = { .status = status };
        size_t head;

        assert(ret);
        assert(status >= 200 && status <= 599);
        assert(body || length == 0);

        if (length > HTTP_DOCUMENT_MAX)
                return -E2BIG;
        if ((type && !value_is_valid(type)) || (fields && !fields_are_valid(fields)))
                return -EINVAL;
        if ((type && strlen(type) > HTTP_FIELDS_MAX) ||
            (fields && strlen(fields) > HTTP_FIELDS_MAX))
                return -E2BIG;

        head = document_write_head(&measure, NULL, 0, type, fields, length);

        document = malloc(sizeof(*document) + head + MAX(length, (size_t)1));
        if (!document)
                return -ENOMEM;

        *document = (HttpDocument){ .n_ref = 1, .status = status };
        (void)document_write_head(document, document->data, head + 1, type, fields, length);
        if (length > 0)
                memcpy(document->data + head, body, length);
        document->body = (uint32_t)head;
        document->end = (uint32_t)(head + length);

        *ret = document;
        return 0;
}

int http_document_new_status(HttpDocument **ret, unsigned status) {
        char text[64];
        int n;

        n = snprintf(text, sizeof(text), "%u %s\n", status, http_status_reason(status));
        return http_document_new(ret, status, "text/plain; charset=utf-8",
                                 status == 405 ? "Allow: GET, HEAD\r\n" : NULL, text, (size_t)n);
}

HttpDocument *http_document_ref(HttpDocument *document) {
        if (!document)
                return NULL;

        assert(document->n_ref > 0);
        document->n_ref++;
        return document;
}

HttpDocument *http_document_unref(HttpDocument *document) {
        if (!document)
                return NULL;

        assert(document->n_ref > 0);
        if (--document->n_ref == 0) {
                assert(document->n_held == 0);
                free(document);
        }
        return NULL;
}

void http_document_unrefp(HttpDocument **document) {
        http_document_unref(*document);
}

void http_document_hold(HttpDocument *document) {
        assert(document);

        document->n_held++;
}

void http_document_release(HttpDocument *document) {
        assert(document);
        assert(document->n_held > 0);

        document->n_held--;
}

unsigned http_document_status(const HttpDocument *document) {
        assert(document);

        return document->status;
}

const char *http_document_body(const HttpDocument *document, size_t *ret_length) {
        assert(document);
        assert(ret_length);

        *ret_length = document->end - document->body;
        return document->data + document->body;
}

/* Of our own, for strftime() goes by the locale. */
void http_date_update(HttpDate *date, uint64_t realtime_usec) {
        static const char days[] = "SunMonTueWedThuFriSat";
        static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
        uint64_t second = realtime_usec / USEC_PER_SEC;
        time_t t = (time_t)second;
        struct tm tm;
        char text[64];

        assert(date);

        if (date->second == second && date->text[0])
                return;
        if (!gmtime_r(&t, &tm) || tm.tm_year > 9999 - 1900)
                return;

        (void)snprintf(text, sizeof(text), "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
                       days + 3 * tm.tm_wday, tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900,
                       tm.tm_hour, tm.tm_min, tm.tm_sec);
        memcpy(date->text, text, HTTP_DATE_LENGTH);
        date->second = second;
}

void http_document_touch(HttpDocument *document, const HttpDate *date) {
        assert(document);
        assert(date);

        if (document->second == date->second || document->n_held > 0 || !date->text[0])
                return;

        memcpy(document->data + document->date, date->text, HTTP_DATE_LENGTH);
        document->second = date->second;
}

unsigned http_document_parts(const HttpDocument *document,
                             HttpReplyKind kind,
                             bool head,
                             struct iovec parts[static HTTP_REPLY_PARTS_MAX]) {
        uint32_t end = head ? document->body : document->end;
        uint32_t start = document->opening_start[kind];
        char *data = (char *)document->data;

        if (kind == HTTP_REPLY_PLAIN) {
                parts[0] = (struct iovec){ .iov_base = data + start, .iov_len = end - start };
                return 1;
        }

        parts[0] = (struct iovec){ .iov_base = data + start,
                                   .iov_len = document->opening_length[kind] };
        parts[1] = (struct iovec){ .iov_base = data + document->rest,
                                   .iov_len = end - document->rest };
        return 2;
}
