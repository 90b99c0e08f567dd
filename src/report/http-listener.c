/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * HTTP Listener
 *
 * Accepts in batches, and knows what to do when there is nothing left to accept
 * with: the reserved descriptor serves one client at a time, else a connection
 * gives way, else accepting stops for a moment. It never spins on a client that
 * it cannot take.
 */

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/macro.h"
#include "report/http-address.h"
#include "report/http-connection.h"

struct HttpListener {
        HttpSourceKind kind;
        HttpServer *server; /* weak */
        TAILQ_ENTRY(HttpListener) link;
        int fd;
        bool local;
        bool bound; /* by ourselves, not handed in */
        char *path; /* then, if local; else NULL */
        dev_t device;
        ino_t inode;
};

static int listener_watch(HttpListener *listener, int operation, uint32_t events) {
        struct epoll_event event = { .events = events, .data.ptr = listener };

        if (epoll_ctl(listener->server->epoll_fd, operation, listener->fd, &event) < 0)
                return -errno;

        return 0;
}

/* Somebody else may have put a socket of his own there in the meantime. */
static void listener_remove_path(const HttpListener *listener) {
        struct stat st;

        if (listener->path && lstat(listener->path, &st) >= 0 && st.st_dev == listener->device &&
            st.st_ino == listener->inode)
                (void)unlink(listener->path);
}

static void listener_drop(HttpListener *listener) {
        HttpServer *server = listener->server;

        (void)epoll_ctl(server->epoll_fd, EPOLL_CTL_DEL, listener->fd, NULL);
        TAILQ_REMOVE(&server->listeners, listener, link);
        server->n_listeners--;

        listener_remove_path(listener);
        (void)fd_close(listener->fd);
        free(listener->path);
        free(listener);
}

void http_listeners_drop(HttpServer *server) {
        HttpListener *listener;

        assert(server);

        while ((listener = TAILQ_FIRST(&server->listeners)))
                listener_drop(listener);

        server->resume_usec = USEC_NEVER;
}

void http_listeners_pause(HttpServer *server) {
        HttpListener *listener;

        assert(server);

        TAILQ_FOREACH (listener, &server->listeners, link)
                (void)listener_watch(listener, EPOLL_CTL_MOD, 0);

        server->resume_usec = usec_add(server->now_usec, HTTP_PAUSE_USEC);
        http_server_arm(server, server->resume_usec);
}

void http_listeners_resume(HttpServer *server) {
        HttpListener *listener;

        assert(server);

        if (server->reserve_fd < 0)
                server->reserve_fd = fcntl(server->epoll_fd, F_DUPFD_CLOEXEC, 3);

        server->resume_usec = USEC_NEVER;
        TAILQ_FOREACH (listener, &server->listeners, link)
                (void)listener_watch(listener, EPOLL_CTL_MOD, EPOLLIN);
}

/* accept4(2) looks for a descriptor first, and only then whether anybody is there. */
static bool listener_has_client(const HttpListener *listener) {
        struct pollfd poll_fd = { .fd = listener->fd, .events = POLLIN };

        return poll(&poll_fd, 1, 0) > 0;
}

/* Errors of the client, who gave up, or of the network on the way to it; see accept(2). */
static bool error_is_the_clients(int error) {
        static const int errors[] = {
                EINTR,     ECONNABORTED, EPROTO,       EPERM,      ENETDOWN,    ENOPROTOOPT,
                EHOSTDOWN, ENONET,       EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH,
        };

        for (size_t i = 0; i < ELEMENTSOF(errors); i++)
                if (errors[i] == error)
                        return true;

        return false;
}

static int listener_accept(const HttpListener *listener, int *ret_fd, HttpPeer *ret_peer) {
        struct sockaddr_storage address;
        socklen_t length = sizeof(address);
        int fd;

        if (listener->local) {
                fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (fd < 0)
                        return -errno;
                *ret_peer = http_peer_from_local_socket(fd);
        } else {
                fd = accept4(listener->fd, (struct sockaddr *)&address, &length,
                             SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (fd < 0)
                        return -errno;
                *ret_peer = http_peer_from_address((struct sockaddr *)&address, length);
        }

        *ret_fd = fd;
        return 0;
}

/* No descriptor is left. Returns 0 if there may be one now, 1 if there is the reserved one, -EAGAIN
 * if nobody waits for it anyway, -EMFILE if there is none. */
static int listener_find_descriptor(HttpListener *listener) {
        HttpServer *server = listener->server;

        if (!listener_has_client(listener))
                return -EAGAIN;

        server->counters.n_exhausted++;

        if (server->reserve_fd >= 0) {
                server->reserve_fd = fd_close(server->reserve_fd);
                return 1;
        }

        if (!http_connection_evict(server, NULL))
                return -EMFILE;

        /* If that was the client on the reserved one, it is again in reserve. */
        if (server->reserve_fd >= 0) {
                server->reserve_fd = fd_close(server->reserve_fd);
                return 1;
        }

        return 0;
}

/* Takes one client. Returns 0, or -EAGAIN if there is none or it cannot be taken now. */
static int listener_take_one(HttpListener *listener) {
        HttpServer *server = listener->server;
        bool reserved = false;
        HttpPeer peer;
        int fd = -EBADF, r;

        r = listener_accept(listener, &fd, &peer);
        if (r == -EMFILE || r == -ENFILE) {
                r = listener_find_descriptor(listener);
                reserved = r > 0;
                if (r >= 0)
                        r = listener_accept(listener, &fd, &peer);
                if (r < 0 && reserved)
                        server->reserve_fd = fcntl(server->epoll_fd, F_DUPFD_CLOEXEC, 3);
        }

        if (r >= 0)
                http_connection_open(server, fd, &peer, reserved);
        if (r >= 0 || error_is_the_clients(-r))
                return 0;

        /* No descriptor, no memory, or a socket that somebody has shut down. */
        if (r != -EAGAIN)
                http_listeners_pause(server);
        return -EAGAIN;
}

void http_listener_handle(HttpListener *listener) {
        assert(listener);

        for (unsigned i = 0; i < HTTP_ACCEPTS_MAX; i++)
                if (listener_take_one(listener) < 0)
                        break;
}

void http_listeners_finish(HttpServer *server) {
        HttpListener *listener, *next;

        assert(server);

        /* Of a socket of systemd's the queue stays, and is served by who comes next. */
        for (listener = TAILQ_FIRST(&server->listeners); listener; listener = next) {
                next = TAILQ_NEXT(listener, link);
                if (listener->bound)
                        http_listener_handle(listener);
        }

        http_listeners_drop(server);
}

static int socket_get(int fd, int option) {
        socklen_t length = sizeof(int);
        int value;

        if (getsockopt(fd, SOL_SOCKET, option, &value, &length) < 0)
                return -errno;

        return value;
}

/* Returns the family, or -EINVAL if it is not a listening stream socket of a kind that we serve. */
static int socket_check_listening(int fd) {
        int family = socket_get(fd, SO_DOMAIN);

        if (socket_get(fd, SO_TYPE) != SOCK_STREAM || socket_get(fd, SO_ACCEPTCONN) != 1)
                return -EINVAL;
        if (family != AF_UNIX && family != AF_INET && family != AF_INET6)
                return -EINVAL;

        return family;
}

static int fd_prepare(int fd) {
        int flags = fcntl(fd, F_GETFL);

        if (flags < 0 || (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) ||
            fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
                return -errno;

        return 0;
}

static int server_add_listener(HttpServer *server, int fd, HttpListener **ret) {
        HttpListener *listener;
        int family, r;

        if (server->n_listeners >= HTTP_LISTENERS_MAX)
                return -E2BIG;

        family = socket_check_listening(fd);
        if (family < 0)
                return family;

        r = fd_prepare(fd);
        if (r < 0)
                return r;

        /* Handed on to what is accepted, so it costs nothing there: replies to pipelined requests
         * do not wait for the acknowledgement of earlier ones. */
        if (family != AF_UNIX)
                (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));

        listener = malloc(sizeof(*listener));
        if (!listener)
                return -ENOMEM;

        *listener = (HttpListener){
                .kind = HTTP_SOURCE_LISTENER,
                .server = server,
                .fd = fd,
                .local = family == AF_UNIX,
        };

        r = listener_watch(listener, EPOLL_CTL_ADD, EPOLLIN);
        if (r < 0) {
                free(listener);
                return r;
        }

        TAILQ_INSERT_TAIL(&server->listeners, listener, link);
        server->n_listeners++;
        *ret = listener;
        return 0;
}

int http_server_add_listener(HttpServer *server, int fd) {
        HttpListener *listener;

        assert(server);
        assert(fd >= 0);

        if (server->draining)
                return -ESHUTDOWN;

        return server_add_listener(server, fd, &listener);
}

static int server_listen_one(HttpServer *server, const HttpAddress *address) {
        const char *path = http_address_path(address);
        _cleanup_close_ int fd = -EBADF;
        HttpListener *listener;
        struct stat st;
        int r;

        r = http_address_listen(address, &fd);
        if (r < 0)
                return r;

        r = server_add_listener(server, fd, &listener);
        if (r < 0) {
                if (path)
                        (void)unlink(path);
                return r;
        }
        (void)fd_take(&fd);
        listener->bound = true;

        if (!path)
                return 0;

        /* From here on the path goes with the listener. */
        if (lstat(path, &st) >= 0) {
                listener->path = strdup(path);
                listener->device = st.st_dev;
                listener->inode = st.st_ino;
        }
        if (!listener->path) {
                (void)unlink(path);
                listener_drop(listener);
                return -ENOMEM;
        }
        return 0;
}

int http_server_listen(HttpServer *server, const char *text) {
        HttpAddresses addresses;
        unsigned n = 0;
        int r;

        assert(server);
        assert(text);

        if (server->draining)
                return -ESHUTDOWN;

        r = http_address_parse(text, &addresses);
        if (r < 0)
                return r;

        for (unsigned i = 0; i < addresses.n; i++) {
                int q = server_listen_one(server, &addresses.addresses[i]);

                if (q >= 0)
                        n++;
                else
                        r = q;
                /* A family that this machine does not have may be missing; what is taken may not.
                 */
                if (q < 0 && q != -EAFNOSUPPORT && q != -EADDRNOTAVAIL) {
                        for (; n > 0; n--)
                                listener_drop(TAILQ_LAST(&server->listeners, HttpListeners));
                        break;
                }
        }

        return n > 0 ? 0 : r;
}
