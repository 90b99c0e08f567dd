/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * HTTP Exchange
 *
 * One turn of a connection: read once into the server's buffer, answer what is
 * complete, send all answers at once, put away what is not complete.
 */

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/macro.h"
#include "report/http-connection.h"

/* Reads of one turn while lingering; what comes faster than this may wait. */
#define DRAINS_MAX 4

/* Back into the server's buffer. Returns the number of bytes. */
static size_t exchange_unstash(HttpConnection *connection) {
        size_t n = connection->input_length;

        if (n > 0) {
                memcpy(connection->server->buffer, connection->input, n);
                free(TAKE_PTR(connection->input));
                connection->input_length = 0;
        }

        return n;
}

static int exchange_stash(HttpConnection *connection, const char *data, size_t n) {
        assert(!connection->input);

        if (n == 0)
                return 0;

        connection->input = malloc(n);
        if (!connection->input)
                return -ENOMEM;

        memcpy(connection->input, data, n);
        connection->input_length = n;
        return 0;
}

/* Takes over the reference. NULL: there is no memory even for saying so, and we only close. */
static void exchange_add(HttpConnection *connection, HttpDocument *document, HttpReplyKind kind) {
        HttpServer *server = connection->server;

        if (kind == HTTP_REPLY_CLOSE || !document)
                connection->closing = true;
        if (!document)
                return;

        http_document_touch(document, &server->date);
        http_output_add(&server->output, document, kind,
                        connection->parser.method == HTTP_METHOD_HEAD);

        connection->n_requests++;
        server->counters.n_requests++;
        server->counters.n_status[http_document_status(document) / 100]++;
}

static void exchange_add_refusal(HttpConnection *connection, unsigned status) {
        HttpServer *server = connection->server;

        http_server_count_refusal(server, status);
        connection->linger = true;
        exchange_add(connection, http_server_get_status_document(server, status), HTTP_REPLY_CLOSE);
}

static HttpReplyKind exchange_kind(const HttpConnection *connection) {
        const HttpServer *server = connection->server;

        if (connection->last || connection->reserved || server->draining ||
            connection->n_requests + 1 >= server->limits.requests_max ||
            !http_parser_keeps_alive(&connection->parser))
                return HTTP_REPLY_CLOSE;

        return connection->parser.minor == 0 ? HTTP_REPLY_KEEP_ALIVE : HTTP_REPLY_PLAIN;
}

static unsigned status_from_error(int error) {
        return error == -ENOENT ? 404 : error == -ENOMEM ? 503 : 500;
}

static void exchange_add_answer(HttpConnection *connection, const char *data) {
        HttpServer *server = connection->server;
        const HttpParser *parser = &connection->parser;
        HttpDocument *document = NULL;
        HttpRequest request = {
                .method = parser->method,
                .path = http_span_slice(parser->path, data),
                .query = http_span_slice(parser->query, data),
                .accept = http_span_slice(parser->accept, data),
                .local = connection->peer.local,
        };
        int r;

        /* "http://host" asks for its root (RFC 9112 3.2.1). */
        if (request.path.length == 0)
                request.path = HTTP_SLICE("/");

        r = server->answer(&request, &document, server->userdata);
        if (r < 0)
                document = http_server_get_status_document(server, status_from_error(r));

        exchange_add(connection, document, exchange_kind(connection));
}

/* Answers the requests in @data in their order, as many as fit into one output. Returns how many
 * bytes they were. */
static size_t exchange_answer(HttpConnection *connection, const char *data, size_t n) {
        HttpOutput *output = &connection->server->output;
        size_t used = 0;
        int r;

        while (used < n && !connection->closing && !http_output_is_full(output)) {
                r = http_parser_feed(&connection->parser, data + used, n - used);
                if (r == -EAGAIN)
                        break;
                if (r > 0) {
                        exchange_add_refusal(connection, (unsigned)r);
                        break;
                }

                exchange_add_answer(connection, data + used);
                used += connection->parser.length;
                connection->parser = (HttpParser){};
        }

        return used;
}

/*
 * The end, as the client should see it: after the answer. A socket that is closed
 * with bytes unread in it sends a reset, which may overtake the answer (RFC 9112
 * 9.6); so if there may be any we say that we are done, and listen a while.
 */
static void exchange_end(HttpConnection *connection, bool more) {
        if ((!connection->linger && !more) || connection->last ||
            shutdown(connection->fd, SHUT_WR) < 0) {
                http_connection_close(connection);
                return;
        }

        http_connection_enter(connection, HTTP_CONNECTION_LINGERING, true);
}

/* What the socket has for us after a turn. */
typedef enum ExchangeInput {
        EXCHANGE_EMPTY, /* nothing: the next byte brings an event */
        EXCHANGE_MORE,  /* perhaps something */
        EXCHANGE_ENDED, /* nothing, and there will be nothing */
} ExchangeInput;

static HttpConnectionState exchange_state(const HttpConnection *connection) {
        if (connection->input_length > 0)
                return HTTP_CONNECTION_READING;

        return connection->n_requests > 0 ? HTTP_CONNECTION_IDLE : HTTP_CONNECTION_SILENT;
}

/* The server is about to stop: a request that is already there is the last one. */
static void exchange_take_leave(HttpConnection *connection, ExchangeInput input) {
        if (input == EXCHANGE_MORE)
                http_exchange_receive(connection, 0);
        else
                http_connection_close(connection);
}

/* All answers of this turn are sent. */
static void exchange_go_on(HttpConnection *connection, ExchangeInput input, bool full) {
        bool rest = connection->input_length > 0;

        if (connection->closing)
                exchange_end(connection, input == EXCHANGE_MORE);
        else if (full && rest)
                /* Has had its share; the socket has room, so the next turn comes by itself. */
                http_connection_enter(connection, HTTP_CONNECTION_SENDING, true);
        else if (input == EXCHANGE_ENDED || connection->last)
                http_connection_close(connection);
        else if (connection->server->draining && !rest)
                exchange_take_leave(connection, input);
        else
                http_connection_enter(connection, exchange_state(connection),
                                      input == EXCHANGE_MORE);
}

/* Sends the answers of this turn. @data: what is left of the input. */
static void
exchange_finish(HttpConnection *connection, const char *data, size_t n, ExchangeInput input) {
        HttpOutput *output = &connection->server->output;
        bool full = http_output_is_full(output);
        int r;

        r = http_output_flush(output, connection->fd);
        if (r == -EAGAIN)
                r = http_output_detach(output, &connection->output);
        if (r >= 0 && !connection->closing)
                r = exchange_stash(connection, data, n);
        if (r < 0) {
                http_output_clear(output);
                http_connection_close(connection);
                return;
        }

        if (connection->output)
                http_connection_enter(connection, HTTP_CONNECTION_SENDING, false);
        else
                exchange_go_on(connection, input, full);
}

void http_exchange_receive(HttpConnection *connection, uint32_t revents) {
        HttpServer *server = connection->server;
        ExchangeInput input = EXCHANGE_EMPTY;
        size_t n, room, used;
        ssize_t got;

        n = exchange_unstash(connection);
        room = HTTP_BUFFER_SIZE - n;
        assert(room > 0);

        do
                got = recv(connection->fd, server->buffer + n, room, 0);
        while (got < 0 && errno == EINTR);

        if (got == 0 || (got < 0 && errno != EAGAIN)) {
                http_connection_close(connection);
                return;
        }

        if (got > 0)
                n += (size_t)got;
        if (got == (ssize_t)room)
                input = EXCHANGE_MORE;
        else if (revents & EPOLLRDHUP)
                input = EXCHANGE_ENDED;

        used = exchange_answer(connection, server->buffer, n);
        exchange_finish(connection, server->buffer + used, n - used, input);
}

void http_exchange_refuse(HttpConnection *connection, unsigned status) {
        assert(connection);
        assert(!connection->output);

        free(TAKE_PTR(connection->input));
        connection->input_length = 0;

        exchange_add_refusal(connection, status);
        exchange_finish(connection, NULL, 0, EXCHANGE_EMPTY);
}

/* There is room for what waits to be sent; then for what waits to be answered. */
static void exchange_resume(HttpConnection *connection) {
        HttpServer *server = connection->server;
        size_t n, used;
        int r;

        if (connection->output) {
                r = http_output_flush(connection->output, connection->fd);
                if (r == -EAGAIN)
                        return;
                if (r < 0) {
                        http_connection_close(connection);
                        return;
                }
                connection->output = http_output_free(connection->output);
        }

        n = exchange_unstash(connection);
        used = exchange_answer(connection, server->buffer, n);
        exchange_finish(connection, server->buffer + used, n - used, EXCHANGE_MORE);
}

static void exchange_drain(HttpConnection *connection) {
        HttpServer *server = connection->server;
        ssize_t got;

        for (unsigned i = 0; i < DRAINS_MAX; i++) {
                got = recv(connection->fd, server->buffer, HTTP_BUFFER_SIZE, 0);
                if (got < 0 && (errno == EAGAIN || errno == EINTR))
                        return;

                if (got > 0)
                        connection->n_drained += (size_t)got;
                if (got <= 0 || connection->n_drained > HTTP_LINGER_MAX) {
                        http_connection_close(connection);
                        return;
                }
        }

        http_connection_enter(connection, HTTP_CONNECTION_LINGERING, true);
}

void http_exchange_handle(HttpConnection *connection, uint32_t revents) {
        assert(connection);

        switch (connection->state) {
        case HTTP_CONNECTION_SILENT:
        case HTTP_CONNECTION_IDLE:
        case HTTP_CONNECTION_READING:
                http_exchange_receive(connection, revents);
                break;
        case HTTP_CONNECTION_SENDING:
                exchange_resume(connection);
                break;
        case HTTP_CONNECTION_LINGERING:
                exchange_drain(connection);
                break;
        default:
                /* Closed earlier in this turn, to make room. */
                break;
        }
}
