/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Symbols: the names of functions, from the file itself
 *
 * Reads .symtab, which has static functions too, and else .dynsym, with pread(2): the
 * file may be anything, or be cut while we read. No lock of the dynamic linker is
 * needed (dladdr(3) takes one), since the thread that hangs may hold it, and no link
 * with -rdynamic. A stripped program has only its exported functions.
 */

#include <stddef.h>
#include <stdint.h>

#include "core/recorder-format.h"

/*
 * The function that @address, in the addresses of the ELF file @fd, is in: its name in
 * @name and how far behind its start in *@ret_offset. Returns 0, -ENOENT if none is
 * known, -ENOEXEC for what is no ELF file of this machine, -E2BIG, or the errno of pread().
 */
int symbol_find(int fd, uint64_t address, char *name, size_t size, uint64_t *ret_offset);

/*
 * Writes @frames as lines "check_engine+0x12 (hale-demo+0x1a52)"; without a symbol
 * "hale-demo+0x1a52", which `addr2line -f -e FILE 0x1a52` resolves where the debug
 * symbols are, and without a module the bare address. In @function goes the innermost
 * one of the program itself, else the innermost of all, or "".
 */
void symbols_write(const RecorderFrames *frames,
                   const RecorderModules *modules,
                   char text[static STACK_TEXT_MAX],
                   char function[static FUNCTION_LENGTH_MAX]);

/* Such lines in one: "pause (libc.so.6+0xd5e30) <- check_engine+0x3a (hale-demo+0x13ea) <- ...". */
#define STACK_LINE_MAX (2 * STACK_TEXT_MAX)

void symbols_join(const char *lines, char text[static STACK_LINE_MAX]);
