/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <link.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/macro.h"
#include "heal/elf-file.h"
#include "heal/modules.h"

/* Where the segments lie; the base is what the loader added to the addresses in the file. */
static void take_range(RecorderModule *module, const struct dl_phdr_info *info) {
        module->base = info->dlpi_addr;
        module->start = UINT64_MAX;

        for (unsigned i = 0; i < info->dlpi_phnum; i++) {
                const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
                uint64_t start = info->dlpi_addr + segment->p_vaddr;

                if (segment->p_type != PT_LOAD)
                        continue;

                module->start = MIN(module->start, start);
                module->end = MAX(module->end, start + segment->p_memsz);
        }
}

static bool take_notes(RecorderModule *module, const struct dl_phdr_info *info) {
        for (unsigned i = 0; i < info->dlpi_phnum; i++) {
                const ElfW(Phdr) *segment = &info->dlpi_phdr[i];

                if (segment->p_type == PT_NOTE &&
                    elf_note_build_id((const void *)(info->dlpi_addr + segment->p_vaddr),
                                      segment->p_memsz, module->id, &module->id_length))
                        return true;
        }

        return false;
}

/* Without a build id: a file that is replaced has another size or time. */
#define IDENTITY_LENGTH 16

static void identity_of_file(const struct stat *st, uint8_t id[static IDENTITY_LENGTH]) {
        uint64_t size = (uint64_t)st->st_size;
        uint64_t nsec = (uint64_t)st->st_mtim.tv_sec * 1000000000U + (uint64_t)st->st_mtim.tv_nsec;

        memcpy(id, &size, sizeof(size));
        memcpy(id + sizeof(size), &nsec, sizeof(nsec));
}

static void take_path(RecorderModule *module, const struct dl_phdr_info *info, bool is_program) {
        const char *path = info->dlpi_name ? info->dlpi_name : "";
        char program[MODULE_PATH_MAX];
        ssize_t n;

        if (is_program) {
                n = readlink("/proc/self/exe", program, sizeof(program) - 1);
                program[n > 0 ? n : 0] = '\0';
                path = program;
        }

        /* One that does not fit names no file. */
        if (strlen(path) < sizeof(module->path))
                memcpy(module->path, path, strlen(path) + 1);
}

static int take_module(struct dl_phdr_info *info, size_t size, void *data) {
        RecorderModules *modules = data;
        RecorderModule *module = &modules->modules[modules->n];
        struct stat st;

        (void)size;
        if (modules->n == MODULES_MAX)
                return 1;

        *module = (RecorderModule){};
        take_range(module, info);
        take_path(module, info, modules->n == 0);
        if (!take_notes(module, info) && module->path[0] == '/' && stat(module->path, &st) == 0) {
                identity_of_file(&st, module->id);
                module->id_length = IDENTITY_LENGTH;
        }

        if (module->start < module->end)
                modules->n++;
        return 0;
}

void modules_take(RecorderModules *modules) {
        assert(modules);

        modules->n = 0;
        (void)dl_iterate_phdr(take_module, modules);
}

const RecorderModule *modules_find(const RecorderModules *modules, uint64_t address) {
        assert(modules);

        for (size_t i = 0; i < modules->n; i++)
                if (address >= modules->modules[i].start && address < modules->modules[i].end)
                        return &modules->modules[i];

        return NULL;
}

bool module_is_file(const RecorderModule *module, int fd) {
        uint8_t id[sizeof(module->id)];
        uint32_t length = 0;
        struct stat st;

        assert(module);

        if (elf_file_build_id(fd, id, &length) < 0) {
                if (fstat(fd, &st) < 0)
                        return false;
                identity_of_file(&st, id);
                length = IDENTITY_LENGTH;
        }

        return module->id_length == length && memcmp(module->id, id, length) == 0;
}
