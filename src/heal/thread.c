/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macro.h"
#include "heal/thread.h"

struct Thread {
        BeatSlot slot;
        const ThreadOps *ops;
        void *owner;
        sd_event_source *source; /* the loop's alone */
        bool begun;              /* and that it knows of it */
        int news_fd, stop_fd;
        _Atomic unsigned n_ref; /* the loop's, and the thread's */
};

static void thread_unref(Thread *thread) {
        if (atomic_fetch_sub(&thread->n_ref, 1) > 1)
                return;

        (void)fd_close(thread->news_fd);
        (void)fd_close(thread->stop_fd);
        free(thread);
}

static void *thread_main(void *argument) {
        Thread *thread = argument;
        const ThreadOps *ops = thread->ops;
        void *owner = thread->owner;

        atomic_store(&thread->slot.tid, gettid());
        beat_now(&thread->slot);
        (void)eventfd_write(thread->news_fd, 1);
        atomic_store(&thread->slot.result, ops->work(owner));
        atomic_store(&thread->slot.returned, 1);
        (void)eventfd_write(thread->news_fd, 1);
        thread_unref(thread);
        ops->release(owner);
        return NULL;
}

/* It has begun, or it is done: but for its last few instructions, which touch only what is
 * counted. On a starved machine both are seen at once. */
static int on_news(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Thread *thread = userdata;
        bool returned;
        eventfd_t n;

        (void)source, (void)revents;

        (void)eventfd_read(fd, &n);
        returned = atomic_load(&thread->slot.returned);

        /* Whoever hears that it has begun may let it go. */
        atomic_fetch_add(&thread->n_ref, 1);
        if (!thread->begun) {
                thread->begun = true;
                thread->ops->begun(thread->owner);
        }
        if (returned && thread->source) {
                (void)sd_event_source_set_enabled(thread->source, SD_EVENT_OFF);
                thread->ops->done(thread->owner, atomic_load(&thread->slot.result));
        }
        thread_unref(thread);
        return 0;
}

static int thread_create(Thread *thread) {
        pthread_attr_t attributes;
        sigset_t all, old;
        pthread_t id;
        int r;

        r = pthread_attr_init(&attributes);
        if (r != 0)
                return -r;

        (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        (void)sigfillset(&all);
        (void)pthread_sigmask(SIG_BLOCK, &all, &old);
        r = pthread_create(&id, &attributes, thread_main, thread);
        (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
        (void)pthread_attr_destroy(&attributes);
        return -r;
}

static int thread_prepare(Thread *thread, sd_event *event, int64_t priority) {
        int r;

        thread->news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        thread->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (thread->news_fd < 0 || thread->stop_fd < 0)
                return -errno;

        r = sd_event_add_io(event, &thread->source, thread->news_fd, EPOLLIN, on_news, thread);
        if (r < 0)
                return r;

        (void)sd_event_source_set_description(thread->source, "hale-worker-thread");
        return sd_event_source_set_priority(thread->source, priority);
}

int thread_start(Thread **ret,
                 sd_event *event,
                 int64_t priority,
                 const ThreadOps *ops,
                 void *owner) {
        Thread *thread;
        int r;

        assert(ret);
        assert(ops);

        thread = aligned_alloc(_Alignof(Thread), sizeof(*thread));
        if (!thread)
                return -ENOMEM;

        *thread = (Thread){
                .ops = ops,
                .owner = owner,
                .news_fd = -EBADF,
                .stop_fd = -EBADF,
                .n_ref = 1,
        };

        /* To be seen before the thread first runs. */
        *ret = thread;
        r = thread_prepare(thread, event, priority);
        if (r >= 0) {
                atomic_fetch_add(&thread->n_ref, 1);
                r = thread_create(thread);
                if (r < 0)
                        thread_unref(thread);
        }
        if (r < 0)
                *ret = thread_free(thread);

        return r;
}

void thread_detach(Thread *thread) {
        assert(thread);

        thread->source = sd_event_source_disable_unref(thread->source);
}

Thread *thread_free(Thread *thread) {
        if (!thread)
                return NULL;

        thread_detach(thread);
        thread_unref(thread);
        return NULL;
}

void thread_ask(Thread *thread) {
        assert(thread);

        atomic_store(&thread->slot.stop, 1);
        (void)eventfd_write(thread->stop_fd, 1);
}

BeatSlot *thread_slot(Thread *thread) {
        assert(thread);

        return &thread->slot;
}

int thread_stop_fd(const Thread *thread) {
        assert(thread);

        return thread->stop_fd;
}
