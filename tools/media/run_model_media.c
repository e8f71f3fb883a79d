// run-model-media: what the commands of run-model that read video become. Not meant to be called by
// people.
#include "tools/commands.h"
#include "tools/options.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    int code;
    if (argc > 0 && strcmp(argv[0], "wav2lip") == 0) {
        code = cmd_wav2lip(argc, argv);
    } else if (argc > 0 && strcmp(argv[0], "latent-wav2lip") == 0) {
        code = cmd_latent_wav2lip(argc, argv);
    } else if (argc > 0 && strcmp(argv[0], "sync") == 0) {
        code = cmd_sync(argc, argv);
    } else {
        fprintf(stderr, "run-model-media: is started by run-model wav2lip, latent-wav2lip and "
                        "sync\n");
        return EXIT_USAGE;
    }
    if (fflush(stdout) != 0 && code == EXIT_DONE) {
        fprintf(stderr, "run-model: standard output cannot be written\n");
        return EXIT_FAILED;
    }
    return code;
}
