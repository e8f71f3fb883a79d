// run-model-media: what `run-model wav2lip` becomes. Not meant to be called by people.
#include "tools/commands.h"
#include "tools/options.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    if (argc < 1 || strcmp(argv[0], "wav2lip") != 0) {
        fprintf(stderr, "run-model-media: is started by run-model wav2lip\n");
        return EXIT_USAGE;
    }
    const int code = cmd_wav2lip(argc, argv);
    if (fflush(stdout) != 0 && code == EXIT_DONE) {
        fprintf(stderr, "run-model: standard output cannot be written\n");
        return EXIT_FAILED;
    }
    return code;
}
