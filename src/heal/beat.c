/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/macro.h"
#include "heal/beat.h"

#define BEAT_SIZE 4096

/* Newer kernels complain about a memfd that does not say whether it may be executed. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

static_assert(sizeof(BeatSlot) == 64, "a slot is a cache line");

static int beat_memfd(void) {
        const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
        int fd;

        fd = memfd_create("hale-worker", flags | MFD_NOEXEC_SEAL);
        if (fd < 0 && errno == EINVAL)
                fd = memfd_create("hale-worker", flags);

        return fd < 0 ? -errno : fd;
}

int beat_init(Beat *beat) {
        _cleanup_close_ int fd = -EBADF;
        void *page;

        assert(beat);
        assert(!beat->slot);

        fd = beat_memfd();
        if (fd < 0)
                return fd;

        if (ftruncate(fd, BEAT_SIZE) < 0 ||
            fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
                return -errno;

        page = mmap(NULL, BEAT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (page == MAP_FAILED)
                return -errno;

        beat->slot = page;
        beat->fd = fd_take(&fd);
        return 0;
}

void beat_done(Beat *beat) {
        assert(beat);

        if (beat->slot)
                (void)munmap(beat->slot, BEAT_SIZE);
        beat->slot = NULL;
        beat->fd = fd_close(beat->fd);
}

void beat_clear(BeatSlot *slot) {
        assert(slot);

        atomic_store(&slot->beat_usec, 0);
        atomic_store(&slot->stop, 0);
        atomic_store(&slot->turn, 0);
        atomic_store(&slot->returned, 0);
        atomic_store(&slot->result, 0);
        atomic_store(&slot->tid, 0);
        atomic_store(&slot->watched, 0);
}

int beat_map(int fd, BeatSlot **ret) {
        struct stat status;
        void *page;

        assert(ret);

        if (fstat(fd, &status) < 0)
                return -errno;
        if (!S_ISREG(status.st_mode) || status.st_size != BEAT_SIZE)
                return -EBADF;

        page = mmap(NULL, BEAT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (page == MAP_FAILED)
                return -errno;

        *ret = page;
        return 0;
}
