/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/macro.h"
#include "report/recorder.h"

/* Since Linux 6.3; older headers lack it, older kernels refuse it. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

#define SIZE_SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

static int recorder_map(Recorder *recorder, int fd) {
        int flags = fd >= 0 ? MAP_SHARED : MAP_SHARED | MAP_ANONYMOUS;
        void *memory;

        /* Just -1 where there is none: valgrind accepts no other. */
        memory = mmap(NULL, RECORDER_SIZE, PROT_READ | PROT_WRITE, flags, fd >= 0 ? fd : -1, 0);
        if (memory == MAP_FAILED)
                return -errno;

        *recorder = (Recorder){ .area = memory, .fd = fd };
        return 0;
}

static int refuse(int error, const char *word, const char **ret_word) {
        *ret_word = word;
        return error;
}

int recorder_adopt(Recorder *recorder, int fd, const char **ret_word) {
        struct stat st;
        int seals, flags, r;

        assert(recorder);
        assert(fd >= 0);
        assert(ret_word);

        if (fstat(fd, &st) < 0)
                return refuse(-errno, "descriptor", ret_word);

        /* Only files in memory have seals, and only a memfd has more than the one that forbids
         * them all. */
        seals = fcntl(fd, F_GET_SEALS);
        if (!S_ISREG(st.st_mode) || seals < 0 || st.st_nlink != 0)
                return refuse(-EMEDIUMTYPE, "kind", ret_word);
        if (st.st_uid != geteuid())
                return refuse(-EPERM, "owner", ret_word);
        if (st.st_size != (off_t)RECORDER_SIZE)
                return refuse(-EFBIG, "size", ret_word);

        flags = fcntl(fd, F_GETFL);
        if ((seals & SIZE_SEALS) != SIZE_SEALS || (seals & F_SEAL_WRITE) ||
            (flags & O_ACCMODE) != O_RDWR)
                return refuse(-EPERM, "seals", ret_word);

        r = recorder_map(recorder, fd);
        if (r < 0)
                return refuse(r, "mapping", ret_word);

        return 0;
}

static int recorder_memfd(void) {
        _cleanup_close_ int fd = -EBADF;

        fd = memfd_create(RECORDER_FD_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
        if (fd < 0 && errno == EINVAL)
                fd = memfd_create(RECORDER_FD_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0)
                return -errno;

        if (ftruncate(fd, (off_t)RECORDER_SIZE) < 0)
                return -errno;

        if (fcntl(fd, F_ADD_SEALS, SIZE_SEALS | F_SEAL_SEAL) < 0)
                return -errno;

        return fd_take(&fd);
}

int recorder_create(Recorder *recorder, const char *service, bool kept) {
        int fd = -EBADF, r;

        assert(recorder);
        assert(service);

        if (kept)
                fd = recorder_memfd();

        r = recorder_map(recorder, fd < 0 ? -EBADF : fd);
        if (r < 0) {
                (void)fd_close(fd);
                return r;
        }

        recorder_format(recorder->area, service, clock_now_usec(CLOCK_REALTIME));
        return 0;
}

void recorder_done(Recorder *recorder) {
        if (!recorder)
                return;

        if (recorder->area)
                (void)munmap(recorder->area, RECORDER_SIZE);
        (void)fd_close(recorder->fd);
        *recorder = (Recorder)RECORDER_INIT;
}
