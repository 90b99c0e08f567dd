/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Runs a fuzz target over every file of a corpus folder: what was found once is
 * tried at every test run. Prints how many there were, and fails if there were none.
 */

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define INPUT_MAX (1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *folder, const char *name) {
        char path[4096];
        uint8_t *data;
        size_t size;
        FILE *file;

        (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
        file = fopen(path, "re");
        if (!file)
                return -1;

        data = malloc(INPUT_MAX);
        if (!data) {
                (void)fclose(file);
                return -1;
        }
        size = fread(data, 1, INPUT_MAX, file);
        (void)fclose(file);

        /* An exact copy, so that reading one byte too far is seen. */
        uint8_t *exact = realloc(data, size > 0 ? size : 1);
        if (!exact) {
                free(data);
                return -1;
        }
        (void)LLVMFuzzerTestOneInput(exact, size);
        free(exact);
        return 0;
}

int main(int argc, char *argv[]) {
        struct dirent *entry;
        unsigned n = 0;
        DIR *dir;

        if (argc != 2 || !(dir = opendir(argv[1]))) {
                (void)fprintf(stderr, "usage: %s CORPUS-FOLDER\n", argv[0]);
                return 2;
        }

        while ((entry = readdir(dir)))
                if (entry->d_name[0] != '.') {
                        if (replay_file(argv[1], entry->d_name) < 0) {
                                (void)fprintf(stderr, "cannot read %s/%s\n", argv[1],
                                              entry->d_name);
                                return 1;
                        }
                        n++;
                }

        (void)closedir(dir);
        (void)printf("%u inputs replayed\n", n);
        return n > 0 ? 0 : 1;
}
