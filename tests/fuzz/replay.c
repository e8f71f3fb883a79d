// Gives every file of a corpus folder to a fuzz target, without libFuzzer:
//   replay_<target> FOLDER
// Also each file's first half, since cut files are the most common damage.
#define _DEFAULT_SOURCE
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_INPUT_BYTES ((size_t)1 << 20)

// The input lies in a block of exactly its size, so that a sanitizer sees reads past its end.
static void give(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    if (!exact)
        exit(1);
    memcpy(exact, data, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static int replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(MAX_INPUT_BYTES);
    if (!file || !data) {
        printf("%s: cannot read\n", path);
        return 1;
    }
    size_t size = fread(data, 1, MAX_INPUT_BYTES, file);
    fclose(file);
    give(data, size);
    give(data, size / 2);
    free(data);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        printf("usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    DIR *folder = opendir(argv[1]);
    if (!folder) {
        printf("%s: cannot open\n", argv[1]);
        return 1;
    }
    int files = 0, failures = 0;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char path[1024];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        failures += replay(path);
        files++;
    }
    closedir(folder);
    printf("%d files replayed\n", files);
    return failures || files == 0;
}
