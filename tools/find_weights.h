// The weights a command works with: those that were named, or those that lie where people and this
// project put them.
#ifndef RML_TOOLS_FIND_WEIGHTS_H
#define RML_TOOLS_FIND_WEIGHTS_H

#include "runmodel.h"

#define FIND_PATH_BYTES 4096

typedef struct weights_source {
    const char *what; // the name of a network, "ffdnet_gray", or "detector": a light one of faces
    const char *path; // what was named, or `found`; NULL: neither
    char found[FIND_PATH_BYTES];
} weights_source;

// `named` may be NULL; then they are looked for, in this order: $RUN_MODEL_HOME; the user's data
// folder ($XDG_DATA_HOME/run-model or ~/.local/share/run-model); what this project ships, in
// data/weights of the source tree the program was built in, or in share/run-model of the place it
// is installed to. False when there are none. `s` keeps pointers into itself: it must not be
// copied.
bool weights_choose(weights_source *s, const char *what, const char *named);

// What a command line says of a network, before anything is opened.
typedef struct network_names {
    const char *model; // a built-in network, or a graph file
    const char *weights, *config, *function;
} network_names;

// Whether the names go together; *is_file: the model is a graph file. EXIT_DONE, or EXIT_USAGE
// after saying what is wrong.
int network_check(const char *command, const network_names *names, bool *is_file);

// A network that runs, with what it stands on.
typedef struct network {
    weights_source source;
    rml_weights *weights; // NULL: of a graph file
    rml_model *model;
    rml_session *session; // opened by those who want it plain
} network;

// Makes the model of the network `name` of the chosen weights, or of the graph file at
// source.path where `name` is NULL. What stands there on failure is closed with the rest.
rml_status network_open(network *n, const char *name, const rml_model_settings *settings,
                        bool quiet, rml_error *err);
void network_close(network *n);

// Opens them. Unless `quiet`, says on stderr which file was found and what a file notes of itself.
rml_status weights_source_open(rml_weights **out, const weights_source *s, bool quiet,
                               rml_error *err);

// The usage error for weights that are neither named nor found; `flag` names them.
int weights_missing(const char *command, const char *what, const char *flag);

#endif
