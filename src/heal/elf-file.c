/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/macro.h"
#include "heal/elf-file.h"

#define NATIVE_CLASS (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)

/* More of them than this is no program that a linker made. */
#define HEADERS_MAX 4096
#define NOTES_SIZE_MAX 4096

int elf_file_read(const ElfFile *file, uint64_t offset, void *data, size_t n) {
        uint64_t end;
        ssize_t got;

        assert(file);
        assert(data);

        if (__builtin_add_overflow(offset, n, &end) || end > file->size)
                return -ENOEXEC;

        do
                got = pread(file->fd, data, n, (off_t)offset);
        while (got < 0 && errno == EINTR);
        if (got < 0)
                return -errno;

        return (size_t)got == n ? 0 : -ENOEXEC;
}

int elf_file_open(ElfFile *file, int fd) {
        struct stat st;
        int r;

        assert(file);

        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -ENOEXEC;

        *file = (ElfFile){ .fd = fd, .size = (uint64_t)st.st_size };
        r = elf_file_read(file, 0, &file->header, sizeof(file->header));
        if (r < 0)
                return r;

        if (memcmp(file->header.e_ident, ELFMAG, SELFMAG) != 0 ||
            file->header.e_ident[EI_CLASS] != NATIVE_CLASS ||
            file->header.e_phentsize != sizeof(ElfW(Phdr)))
                return -ENOEXEC;

        return 0;
}

static int read_section(const ElfFile *file, uint64_t index, ElfW(Shdr) * ret) {
        uint64_t offset;

        if (__builtin_add_overflow(file->header.e_shoff, index * sizeof(*ret), &offset))
                return -ENOEXEC;

        return elf_file_read(file, offset, ret, sizeof(*ret));
}

int elf_file_symbols(const ElfFile *file, bool dynamic, ElfSymbols *ret) {
        unsigned wanted = dynamic ? SHT_DYNSYM : SHT_SYMTAB;
        unsigned n = MIN(file->header.e_shnum, HEADERS_MAX);
        ElfW(Shdr) section, names;
        int r;

        if (n > 0 && file->header.e_shentsize != sizeof(section))
                return -ENOEXEC;

        for (unsigned i = 0; i < n; i++) {
                r = read_section(file, i, &section);
                if (r < 0)
                        return r;
                if (section.sh_type != wanted)
                        continue;
                if (section.sh_entsize != sizeof(ElfW(Sym)) || section.sh_link >= n)
                        return -ENOEXEC;

                r = read_section(file, section.sh_link, &names);
                if (r < 0)
                        return r;

                *ret = (ElfSymbols){
                        .offset = section.sh_offset,
                        .n = MIN(section.sh_size / sizeof(ElfW(Sym)), SYMBOLS_MAX),
                        .names_offset = names.sh_offset,
                        .names_size = names.sh_size,
                };
                return 0;
        }

        return -ENOENT;
}

bool elf_note_build_id(const void *notes,
                       uint64_t size,
                       uint8_t id[static BUILD_ID_MAX],
                       uint32_t *ret_length) {
        const char *data = notes;

        while (size >= sizeof(ElfW(Nhdr))) {
                uint64_t name, all;
                ElfW(Nhdr) note;

                memcpy(&note, data, sizeof(note));
                name = ((uint64_t)note.n_namesz + 3) & ~UINT64_C(3);
                all = sizeof(note) + name + (((uint64_t)note.n_descsz + 3) & ~UINT64_C(3));
                if (all > size)
                        return false;

                if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof("GNU") &&
                    note.n_descsz > 0 && memcmp(data + sizeof(note), "GNU", sizeof("GNU")) == 0) {
                        *ret_length = MIN(note.n_descsz, (uint32_t)BUILD_ID_MAX);
                        memcpy(id, data + sizeof(note) + name, *ret_length);
                        return true;
                }
                data += all;
                size -= all;
        }

        return false;
}

int elf_file_build_id(int fd, uint8_t id[static BUILD_ID_MAX], uint32_t *ret_length) {
        unsigned char notes[NOTES_SIZE_MAX];
        ElfW(Phdr) segment;
        ElfFile file;
        int r;

        assert(ret_length);

        r = elf_file_open(&file, fd);
        if (r < 0)
                return r;

        for (unsigned i = 0; i < MIN(file.header.e_phnum, HEADERS_MAX); i++) {
                size_t size;

                r = elf_file_read(&file, file.header.e_phoff + i * sizeof(segment), &segment,
                                  sizeof(segment));
                if (r < 0)
                        return r;
                if (segment.p_type != PT_NOTE)
                        continue;

                size = MIN(segment.p_filesz, sizeof(notes));
                r = elf_file_read(&file, segment.p_offset, notes, size);
                if (r < 0)
                        return r;
                if (elf_note_build_id(notes, size, id, ret_length))
                        return 0;
        }

        return -ENOENT;
}
