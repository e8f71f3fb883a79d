#define _POSIX_C_SOURCE 200809L
#include "tools/find_weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMES_PER_MODEL 5

// File names under which the weights of a network are published or saved by habit.
static const struct {
    const char *model;
    const char *files[NAMES_PER_MODEL];
} known[] = {
    {"wav2lip",
     {"wav2lip.safetensors", "wav2lip.pth", "wav2lip_gan.pth", "checkpoints/wav2lip.pth",
      "checkpoints/wav2lip_gan.pth"}},
    {"s3fd", {"s3fd.safetensors", "s3fd.pth", "s3fd-619a316812.pth"}},
};

static bool look_in(const char *folder, const char *model, char *path)
{
    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
        if (strcmp(known[k].model, model) != 0)
            continue;
        for (int i = 0; i < NAMES_PER_MODEL && known[k].files[i]; i++) {
            struct stat info;
            int length = snprintf(path, FIND_PATH_BYTES, "%s/%s", folder, known[k].files[i]);
            if (length < FIND_PATH_BYTES && stat(path, &info) == 0 && S_ISREG(info.st_mode))
                return true;
        }
    }
    return false;
}

static bool fits(int length)
{
    return length > 0 && length < FIND_PATH_BYTES;
}

static bool user_folder(char *path)
{
    const char *data = getenv("XDG_DATA_HOME");
    if (data && data[0] == '/')
        return fits(snprintf(path, FIND_PATH_BYTES, "%s/run-model", data));
    const char *home = getenv("HOME");
    return home && *home &&
           fits(snprintf(path, FIND_PATH_BYTES, "%s/.local/share/run-model", home));
}

static bool program_folder(char *path)
{
    ssize_t length = readlink("/proc/self/exe", path, FIND_PATH_BYTES - 1);
    if (length <= 0)
        return false;
    path[length] = 0;
    char *slash = strrchr(path, '/');
    if (!slash)
        return false;
    *slash = 0;
    return true;
}

bool weights_home(char *path)
{
    const char *home = getenv("RUN_MODEL_HOME");
    if (home && *home)
        return fits(snprintf(path, FIND_PATH_BYTES, "%s", home));
    return user_folder(path);
}

bool find_weights(const char *model, char *path)
{
    char folder[FIND_PATH_BYTES], beside[FIND_PATH_BYTES];
    const char *home = getenv("RUN_MODEL_HOME");
    if (home && *home && look_in(home, model, path))
        return true;
    if (user_folder(folder) && look_in(folder, model, path))
        return true;
    if (!program_folder(folder))
        return false;
    // build/<preset>/run-model lies two folders below the source tree.
    static const char *const places[] = {"data", "../../data", "../share/run-model"};
    for (int i = 0; i < 3; i++)
        if (fits(snprintf(beside, sizeof beside, "%s/%s", folder, places[i])) &&
            look_in(beside, model, path))
            return true;
    return false;
}
