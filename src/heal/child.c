/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macro.h"
#include "base/names.h"
#include "heal/child.h"
#include "heal/process.h"
#include "heal/spawn.h"

static volatile sig_atomic_t was_terminated;

static void on_terminate(int number) {
        (void)number;
        was_terminated = 1;
}

/* We die with the service. The request is void if it had died before, and after a change of user;
 * and who started us is who made the socket. */
static int child_tie(int socket_fd) {
        struct ucred peer;
        socklen_t size = sizeof(peer);

        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                return -errno;
        if (getsockopt(socket_fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return -EBADF;

        return getppid() == peer.pid ? 0 : -ESRCH;
}

int child_take(Child *ret) {
        const char *name = getenv(SPAWN_NAME_VARIABLE), *fd = getenv(SPAWN_FD_VARIABLE);
        Child child = { .service = getppid(), .socket_fd = SPAWN_SOCKET_FD };
        int r;

        assert(ret);

        if (!name)
                return 0;

        r = !name_is_valid(name) || !fd ? -EINVAL : strcmp(fd, SPAWN_FD_TEXT) != 0 ? -EPROTO : 0;
        (void)snprintf(child.name, sizeof(child.name), "%s", name);
        (void)unsetenv(SPAWN_NAME_VARIABLE);
        (void)unsetenv(SPAWN_FD_VARIABLE);
        if (r < 0)
                return r;

        r = child_tie(child.socket_fd);
        if (r < 0)
                return r;

        r = beat_map(SPAWN_BEAT_FD, &child.slot);
        if (r < 0)
                return r;

        /* The mapping stays. Our own children get neither. */
        (void)close(SPAWN_BEAT_FD);
        (void)fcntl(child.socket_fd, F_SETFD, FD_CLOEXEC);

        /* Executed as /proc/self/exe, it would be called "exe". */
        (void)prctl(PR_SET_NAME, child.name);

        *ret = child;
        return 1;
}

static int child_say(const Child *child, ProcessWord word) {
        const ProcessMessage message = { .word = (uint32_t)word };

        if (send(child->socket_fd, &message, sizeof(message), MSG_NOSIGNAL) < 0)
                return -errno;

        return 0;
}

/* What a spare knows of the worker that it stands by for. */
typedef struct Peer {
        int pidfd;
        uint32_t generation;
} Peer;

static void peer_done(Peer *peer) {
        peer->pidfd = fd_close(peer->pidfd);
}

/* Takes a message from the service, with a descriptor if one came along. Returns its word, 0 if
 * there was none, or a negative errno. */
static int child_hear(const Child *child, Peer *peer) {
        ProcessMessage message = {};
        struct iovec part = { .iov_base = &message, .iov_len = sizeof(message) };
        union {
                struct cmsghdr header;
                char buffer[CMSG_SPACE(sizeof(int))];
        } control;
        struct msghdr letter = {
                .msg_iov = &part,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        const struct cmsghdr *header;
        ssize_t n;

        n = recvmsg(child->socket_fd, &letter, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        if (n != sizeof(message))
                return -ECONNRESET;

        header = CMSG_FIRSTHDR(&letter);
        if (message.word == WORD_PEER && header && header->cmsg_type == SCM_RIGHTS) {
                peer_done(peer);
                memcpy(&peer->pidfd, CMSG_DATA(header), sizeof(int));
                peer->generation = message.generation;
        }

        return (int)message.word;
}

/* The active worker has died. It is our turn if the service has allowed it for this very one. */
static bool child_take_over(const Child *child, Peer *peer) {
        uint32_t armed = SPARE_TURN(peer->generation, SPARE_ARMED);

        peer_done(peer);
        return atomic_compare_exchange_strong(&child->slot->turn, &armed,
                                              SPARE_TURN(peer->generation, SPARE_TAKES));
}

/* Returns 1 when it is our turn, 0 if it will never be. */
static int child_stand_by(const Child *child) {
        _cleanup_(peer_done) Peer peer = { .pidfd = -EBADF };
        int r;

        r = child_say(child, WORD_WAITS);
        if (r < 0)
                return r;

        for (;;) {
                struct pollfd fds[] = {
                        { .fd = child->socket_fd, .events = POLLIN },
                        { .fd = peer.pidfd, .events = POLLIN },
                };

                if (poll(fds, ELEMENTSOF(fds), -1) < 0) {
                        if (errno != EINTR)
                                return -errno;
                        continue;
                }

                /* What the service says comes first: it may be about a new one to watch. */
                if (fds[0].revents) {
                        r = child_hear(child, &peer);
                        if (r == WORD_GO)
                                return 1;
                        if (r == WORD_STOP || r < 0)
                                return 0;
                } else if (fds[1].revents && child_take_over(child, &peer)) {
                        return 1;
                }
        }
}

/* A beat of a forked child would speak for a worker that hangs. */
static Child *the_child;

static void on_fork(void) {
        the_child->slot = NULL;
}

static void catch_terminate(void) {
        /* No SA_RESTART: whatever the worker waits in, it should look up. */
        const struct sigaction action = { .sa_handler = on_terminate };
        struct sigaction old;

        if (sigaction(SIGTERM, NULL, &old) < 0 || old.sa_handler != SIG_DFL)
                return;

        (void)sigaction(SIGTERM, &action, NULL);
}

/* Where the program reaps all children, one that ends at once could be gone before the service has
 * its pidfd, and what it has done would be done again. That is nearly always there by now. */
static void wait_until_watched(const Child *child) {
        while (!atomic_load(&child->slot->watched) && getppid() == child->service)
                (void)poll(NULL, 0, 1);
}

int child_begin(Child *child) {
        int r;

        assert(child);

        /* Once more, in case the program has become another user meanwhile. */
        r = child_tie(child->socket_fd);
        if (r < 0)
                return r;

        wait_until_watched(child);
        if (atomic_load(&child->slot->turn) != SPARE_TURN(0, SPARE_TAKES)) {
                r = child_stand_by(child);
                if (r <= 0)
                        return r;
        }

        catch_terminate();
        the_child = child;
        (void)pthread_atfork(NULL, NULL, on_fork);
        beat_now(child->slot);
        r = child_say(child, WORD_RUNS);
        return r < 0 ? r : 1;
}

void child_end(Child *child, int result) {
        assert(child);

        if (!child->slot)
                return;

        atomic_store(&child->slot->result, result);
        atomic_store(&child->slot->returned, 1);
}

bool child_should_stop(const Child *child) {
        assert(child);

        if (was_terminated)
                return true;

        /* Who has changed its user meanwhile does not die with the service, but has no parent. */
        return child->slot && (atomic_load_explicit(&child->slot->stop, memory_order_relaxed) ||
                               getppid() != child->service);
}
