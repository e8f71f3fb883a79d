// Where weights lie that were not named on the command line.
#ifndef RML_TOOLS_FIND_WEIGHTS_H
#define RML_TOOLS_FIND_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>

#define FIND_PATH_BYTES 4096

// Looks for the weights of a built-in network, in this order: $RUN_MODEL_HOME; the user's data
// folder
// ($XDG_DATA_HOME/run-model or ~/.local/share/run-model); data/ beside the program, the data folder
// of the source tree the program was built in, share/run-model of the place it is installed to.
// True, and the path in `path` (FIND_PATH_BYTES), when there is one.
bool find_weights(const char *model, char *path);

// The folder a message should name as the place to put weights: the first of the list above that
// the environment gives; false when it gives none.
bool weights_home(char *path);

#endif
