/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * ELF Files: the little of them that names a function
 *
 * Read with pread(2), never mapped, since a file that is cut meanwhile would end us with
 * SIGBUS. Nothing in it is believed: whatever it says is held against its own size.
 */

#include <link.h>
#include <stdbool.h>
#include <stdint.h>

#define BUILD_ID_MAX 20

typedef struct ElfFile {
        int fd; /* not ours */
        uint64_t size;
        ElfW(Ehdr) header;
} ElfFile;

/* A table of symbols and the names in it. */
typedef struct ElfSymbols {
        uint64_t offset, n;
        uint64_t names_offset, names_size;
} ElfSymbols;

/* Returns 0, -ENOEXEC for what is no ELF file of this machine, or the errno of fstat(), pread(). */
int elf_file_open(ElfFile *file, int fd);

/* .symtab, or with @dynamic .dynsym. Returns 0, -ENOENT, -ENOEXEC, or the errno of pread(). */
int elf_file_symbols(const ElfFile *file, bool dynamic, ElfSymbols *ret);

/* @n bytes at @offset. -ENOEXEC past the end. */
int elf_file_read(const ElfFile *file, uint64_t offset, void *data, size_t n);

/* The build id in a segment of notes. False if there is none. */
bool elf_note_build_id(const void *notes,
                       uint64_t size,
                       uint8_t id[static BUILD_ID_MAX],
                       uint32_t *ret_length);

/* The build id of a file. Returns 0, -ENOENT if it has none, or what elf_file_open() returned. */
int elf_file_build_id(int fd, uint8_t id[static BUILD_ID_MAX], uint32_t *ret_length);
