/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/macro.h"
#include "heal/process.h"

/* A child says two words in its life. One that says more is not listened to. */
#define WORDS_MAX 2

/* linux/pidfd.h of 6.9; older kernels answer EINVAL. */
#ifndef PIDFD_SIGNAL_PROCESS_GROUP
#define PIDFD_SIGNAL_PROCESS_GROUP (1U << 2)
#endif

void process_init(Process *process, const ProcessOps *ops, void *owner) {
        assert(process);
        assert(ops);

        *process = (Process){
                .ops = ops,
                .owner = owner,
                .pidfd = -EBADF,
                .socket_fd = -EBADF,
                .beat = BEAT_INIT,
        };
}

static void process_forget(Process *process) {
        process->pidfd_source = sd_event_source_disable_unref(process->pidfd_source);
        process->socket_source = sd_event_source_disable_unref(process->socket_source);
        process->pidfd = fd_close(process->pidfd);
        process->socket_fd = fd_close(process->socket_fd);
        process->pid = 0;
}

static void process_signal(const Process *process, int number) {
        (void)pidfd_send_signal(process->pidfd, number, NULL, 0);
}

/* By its pidfd there is no doubt whose group it is. By its number there is, once somebody else has
 * reaped the child: then only if nobody has the number now, for the kernel gives none away that is
 * still the number of a group. */
static void process_kill_group(const Process *process) {
        if (pidfd_send_signal(process->pidfd, SIGKILL, NULL, PIDFD_SIGNAL_PROCESS_GROUP) >= 0 ||
            errno == ESRCH)
                return;

        siginfo_t info;
        bool ours = waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) == 0;

        if (ours || (getpgid(process->pid) < 0 && errno == ESRCH))
                (void)kill(-process->pid, SIGKILL);
}

static void process_take_status(const Process *process, WorkerExit *end) {
        siginfo_t info = {};

        if (waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
                return;

        end->kind = info.si_code == CLD_EXITED   ? EXIT_STATUS
                    : info.si_code == CLD_DUMPED ? EXIT_CORE
                                                 : EXIT_SIGNAL;
        end->code = info.si_status;
}

static int on_pidfd(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Process *process = userdata;
        const BeatSlot *slot = process->beat.slot;
        WorkerExit end = {
                .kind = EXIT_UNKNOWN,
                .has_result = atomic_load(&slot->returned) != 0,
                .result = atomic_load(&slot->result),
                .reason = process->reason,
                .limit_usec = process->limit_usec,
        };

        (void)source, (void)fd, (void)revents;

        /* While the dead child is not reaped, its number is its own. */
        process_kill_group(process);
        process_take_status(process, &end);

        /* What a crashed program may have left there is no errno. */
        if (end.result < -4095)
                end.has_result = false;

        process_forget(process);
        process->ops->gone(process, &end);
        return 0;
}

static int on_socket(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Process *process = userdata;
        ProcessMessage message;
        ssize_t n;

        (void)revents;

        n = recv(fd, &message, sizeof(message), MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;

        /* Closed, or nothing that a child should say. SIGTERM and SIGKILL reach it all the same. */
        if (n != sizeof(message) || (message.word != WORD_RUNS && message.word != WORD_WAITS) ||
            ++process->n_heard > WORDS_MAX) {
                (void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
                return 0;
        }

        process->ops->heard(process, (ProcessWord)message.word);
        return 0;
}

static int process_watch(Process *process) {
        int r;

        r = sd_event_add_io(process->event, &process->pidfd_source, process->pidfd, EPOLLIN,
                            on_pidfd, process);
        if (r < 0)
                return r;
        (void)sd_event_source_set_description(process->pidfd_source, "hale-worker-end");
        (void)sd_event_source_set_priority(process->pidfd_source, process->priority);

        r = sd_event_add_io(process->event, &process->socket_source, process->socket_fd, EPOLLIN,
                            on_socket, process);
        if (r < 0)
                return r;
        (void)sd_event_source_set_description(process->socket_source, "hale-worker-word");
        return sd_event_source_set_priority(process->socket_source, process->priority);
}

int process_start(Process *process,
                  sd_event *event,
                  int64_t priority,
                  const SpawnImage *image,
                  const char *name,
                  bool spare) {
        _cleanup_close_ int theirs = -EBADF;
        int sockets[2], r;

        assert(process);
        assert(!process_is_alive(process));

        if (!process->beat.slot) {
                r = beat_init(&process->beat);
                if (r < 0)
                        return r;
        }
        beat_clear(process->beat.slot);
        atomic_store(&process->beat.slot->turn, SPARE_TURN(0, spare ? SPARE_WAITS : SPARE_TAKES));

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
                return -errno;
        process->socket_fd = sockets[0];
        theirs = sockets[1];

        r = spawn_image_start(image, name, theirs, process->beat.fd, &process->pid,
                              &process->pidfd);
        if (r < 0) {
                process_forget(process);
                return r;
        }

        atomic_store(&process->beat.slot->watched, 1);
        process->last_pid = process->pid;
        process->event = event;
        process->priority = priority;
        process->n_heard = 0;
        process->reason = REASON_ITSELF;
        process->limit_usec = 0;
        r = process_watch(process);
        if (r < 0)
                process_done(process, 0);

        return r;
}

static void process_say(Process *process, ProcessWord word) {
        const ProcessMessage message = { .word = (uint32_t)word };

        /* One that does not read has been told by other ways. */
        (void)send(process->socket_fd, &message, sizeof(message), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void process_ask(Process *process) {
        assert(process);

        if (!process_is_alive(process))
                return;

        if (process->reason == REASON_ITSELF)
                process->reason = REASON_ASKED;

        /* One that was stopped should hear the rest; and once told, it is left alone. */
        process_signal(process, SIGCONT);
        atomic_store(&process->beat.slot->stop, 1);
        process_say(process, WORD_STOP);
        process_signal(process, SIGTERM);
}

void process_kill(Process *process, ExitReason reason, uint64_t limit_usec) {
        assert(process);

        if (!process_is_alive(process))
                return;

        if (process->reason == REASON_ITSELF || process->reason == REASON_ASKED) {
                process->reason = reason;
                process->limit_usec = limit_usec;
        }

        /* Itself, too, in case it has left its group. */
        process_kill_group(process);
        process_signal(process, SIGKILL);
}

void process_done(Process *process, uint64_t wait_usec) {
        assert(process);

        if (process_is_alive(process)) {
                struct pollfd end = { .fd = process->pidfd, .events = POLLIN };
                const struct timespec wait = {
                        .tv_sec = (time_t)(wait_usec / USEC_PER_SEC),
                        .tv_nsec = (long)(wait_usec % USEC_PER_SEC * NSEC_PER_USEC),
                };
                WorkerExit ignored = {};

                process_kill(process, REASON_ENDED, 0);
                if (ppoll(&end, 1, &wait, NULL) > 0) {
                        process_kill_group(process);
                        process_take_status(process, &ignored);
                }
                process_forget(process);
        }

        beat_done(&process->beat);
}

int process_tell_peer(Process *spare, const Process *active, uint32_t generation) {
        ProcessMessage message = { .word = WORD_PEER, .generation = generation };
        struct iovec part = { .iov_base = &message, .iov_len = sizeof(message) };
        union {
                struct cmsghdr header;
                char buffer[CMSG_SPACE(sizeof(int))];
        } control = {};
        struct msghdr letter = {
                .msg_iov = &part,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };

        assert(spare && process_is_alive(spare));
        assert(active && process_is_alive(active));

        control.header = (struct cmsghdr){
                .cmsg_level = SOL_SOCKET,
                .cmsg_type = SCM_RIGHTS,
                .cmsg_len = CMSG_LEN(sizeof(int)),
        };
        memcpy(CMSG_DATA(&control.header), &active->pidfd, sizeof(int));

        if (sendmsg(spare->socket_fd, &letter, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                return -errno;

        return 0;
}

void process_arm(Process *spare, uint32_t generation) {
        assert(spare && spare->beat.slot);

        atomic_store(&spare->beat.slot->turn, SPARE_TURN(generation, SPARE_ARMED));
}

bool process_disarm(Process *spare, uint32_t generation) {
        uint32_t armed = SPARE_TURN(generation, SPARE_ARMED);

        assert(spare && spare->beat.slot);

        /* It is armed and we are first; or it was never armed; or it has taken over. */
        return atomic_compare_exchange_strong(&spare->beat.slot->turn, &armed,
                                              SPARE_TURN(generation, SPARE_WAITS)) ||
               armed != SPARE_TURN(generation, SPARE_TAKES);
}

int process_go(Process *spare) {
        const ProcessMessage message = { .word = WORD_GO };

        assert(spare && process_is_alive(spare));

        if (send(spare->socket_fd, &message, sizeof(message), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                return -errno;

        return 0;
}
