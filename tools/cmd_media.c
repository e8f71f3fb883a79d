// Commands that read or write video live in a program of their own, run-model-media, beside this
// one: libav brings more than a hundred shared libraries with it, whose loading would cost every
// other command a tenth of a second and 20 MB.
#define _POSIX_C_SOURCE 200809L
#include "tools/commands.h"
#include "tools/options.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM "run-model-media"

#ifdef RML_WITH_LIBAV
static int start(char **argv)
{
    char path[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path - sizeof PROGRAM);
    char *slash = NULL;
    if (length > 0) {
        path[length] = 0;
        slash = strrchr(path, '/');
    }
    if (!slash) {
        fprintf(stderr, "run-model %s: cannot tell which folder this program lies in\n", argv[0]);
        return EXIT_FAILED;
    }
    memcpy(slash + 1, PROGRAM, sizeof PROGRAM);
    // argv[0] is the command's name, and argv ends with NULL as main's does.
    execv(path, argv);
    fprintf(stderr, "run-model %s: cannot start %s: %s\n", argv[0], path, strerror(errno));
    return EXIT_FAILED;
}
#else
static int start(char **argv)
{
    fprintf(stderr,
            "run-model %s: this build can neither read nor write video and sound "
            "(RML_LIBAV is off)\n",
            argv[0]);
    return EXIT_FAILED;
}
#endif

int cmd_wav2lip(int argc, char **argv)
{
    (void)argc;
    return start(argv);
}

int cmd_latent_wav2lip(int argc, char **argv)
{
    (void)argc;
    return start(argv);
}

int cmd_sync(int argc, char **argv)
{
    (void)argc;
    return start(argv);
}
