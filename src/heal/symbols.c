/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/macro.h"
#include "base/str.h"
#include "heal/elf-file.h"
#include "heal/modules.h"
#include "heal/symbols.h"

/* Symbols read in one go. */
#define CHUNK 256

static bool symbol_holds(const ElfW(Sym) * symbol, uint64_t address) {
        return ELF64_ST_TYPE(symbol->st_info) == STT_FUNC && symbol->st_shndx != SHN_UNDEF &&
               address >= symbol->st_value && address - symbol->st_value < symbol->st_size;
}

static int
read_name(const ElfFile *file, const ElfSymbols *symbols, uint64_t at, char *name, size_t size) {
        char raw[FUNCTION_LENGTH_MAX];
        uint64_t offset;
        size_t n;
        int r;

        if (at >= symbols->names_size ||
            __builtin_add_overflow(symbols->names_offset, at, &offset) || offset >= file->size)
                return -ENOEXEC;

        n = MIN(sizeof(raw), MIN(symbols->names_size - at, file->size - offset));
        r = elf_file_read(file, offset, raw, n);
        if (r < 0)
                return r;

        n = strnlen(raw, n);
        if (n == 0)
                return -ENOENT;

        (void)str_sanitize_n(raw, n, name, size);
        return 0;
}

static int find_in_table(const ElfFile *file,
                         const ElfSymbols *symbols,
                         uint64_t address,
                         char *name,
                         size_t size,
                         uint64_t *ret_offset) {
        ElfW(Sym) chunk[CHUNK];
        int r;

        for (uint64_t i = 0; i < symbols->n; i += CHUNK) {
                size_t n = MIN(symbols->n - i, (uint64_t)CHUNK);
                uint64_t at;

                if (__builtin_add_overflow(symbols->offset, i * sizeof(chunk[0]), &at))
                        return -ENOEXEC;
                r = elf_file_read(file, at, chunk, n * sizeof(chunk[0]));
                if (r < 0)
                        return r;

                for (size_t j = 0; j < n; j++)
                        if (symbol_holds(&chunk[j], address)) {
                                *ret_offset = address - chunk[j].st_value;
                                return read_name(file, symbols, chunk[j].st_name, name, size);
                        }
        }

        return -ENOENT;
}

int symbol_find(int fd, uint64_t address, char *name, size_t size, uint64_t *ret_offset) {
        ElfSymbols symbols;
        ElfFile file;
        int r;

        assert(name && size > 0);
        assert(ret_offset);

        r = elf_file_open(&file, fd);
        if (r < 0)
                return r;

        /* With both there, the first has all that the second has. */
        r = elf_file_symbols(&file, false, &symbols);
        if (r == -ENOENT)
                r = elf_file_symbols(&file, true, &symbols);
        if (r < 0)
                return r;

        return find_in_table(&file, &symbols, address, name, size, ret_offset);
}

/* The file of @module, if it still is what was loaded. */
static int module_open(const RecorderModule *module) {
        _cleanup_close_ int fd = -EBADF;

        /* The vdso has a name but no file. */
        if (module->path[0] != '/')
                return -ENOENT;

        fd = open(module->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        if (!module_is_file(module, fd))
                return -ESTALE;

        return fd_take(&fd);
}

static const char *base_name(const char *path) {
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

/* "function+0x12" in @function, or "". */
static void
find_function(const RecorderModule *module, uint64_t address, char *function, size_t size) {
        _cleanup_close_ int fd = -EBADF;
        char name[FUNCTION_LENGTH_MAX - 24];
        uint64_t offset;

        function[0] = '\0';
        fd = module_open(module);
        if (fd >= 0 && symbol_find(fd, address, name, sizeof(name), &offset) >= 0)
                (void)snprintf(function, size, "%s+0x%" PRIx64, name, offset);
}

static void write_frame(const RecorderModule *module,
                        uint64_t address,
                        const char *function,
                        char line[static 2 * FUNCTION_LENGTH_MAX]) {
        char file[64];

        if (!module || !module->path[0]) {
                (void)snprintf(line, 2 * FUNCTION_LENGTH_MAX, "0x%" PRIx64, address);
                return;
        }

        (void)str_sanitize(base_name(module->path), file, sizeof(file));
        if (function[0])
                (void)snprintf(line, 2 * FUNCTION_LENGTH_MAX, "%s (%s+0x%" PRIx64 ")", function,
                               file, address - module->base);
        else
                (void)snprintf(line, 2 * FUNCTION_LENGTH_MAX, "%s+0x%" PRIx64, file,
                               address - module->base);
}

void symbols_write(const RecorderFrames *frames,
                   const RecorderModules *modules,
                   char text[static STACK_TEXT_MAX],
                   char function[static FUNCTION_LENGTH_MAX]) {
        bool in_program = false;
        size_t length = 0;

        assert(frames);
        assert(modules);

        text[0] = '\0';
        function[0] = '\0';
        for (uint32_t i = 0; i < frames->n_frames; i++) {
                uint64_t address = frames->frames[i];
                const RecorderModule *module = modules_find(modules, address);
                char found[FUNCTION_LENGTH_MAX] = "", line[2 * FUNCTION_LENGTH_MAX];
                size_t n;

                /* A call that never returns may be the last of its function: where it returns to is
                 * then the next one. */
                if (i > 0 || !frames->exact)
                        address--;
                if (module)
                        find_function(module, address - module->base, found, sizeof(found));
                write_frame(module, address, found, line);

                if (found[0] && !in_program && (!function[0] || module == &modules->modules[0])) {
                        in_program = module == &modules->modules[0];
                        memcpy(function, found, sizeof(found));
                }

                n = strlen(line);
                if (length + n + 2 > STACK_TEXT_MAX)
                        return;
                length += (size_t)snprintf(text + length, STACK_TEXT_MAX - length, "%s%s",
                                           length > 0 ? "\n" : "", line);
        }
}

void symbols_join(const char *lines, char text[static STACK_LINE_MAX]) {
        static const char arrow[] = " <- ";
        size_t n = 0;

        assert(lines);

        for (const char *c = lines; *c && n + sizeof(arrow) < STACK_LINE_MAX; c++) {
                if (*c != '\n') {
                        text[n++] = *c;
                        continue;
                }
                memcpy(text + n, arrow, sizeof(arrow) - 1);
                n += sizeof(arrow) - 1;
        }
        text[n] = '\0';
}
