// Parts of run-model compare: what a side computes or holds, and how two differ.
#ifndef RML_TOOLS_COMPARE_COMPARE_H
#define RML_TOOLS_COMPARE_COMPARE_H

#include "pipelines/compare/layers.h"
#include "tools/options.h"

// A network that runs, or a file of tensors that ran elsewhere.
typedef struct side {
    const char *path;
    const char *network; // built-in, or NULL
    rml_weights *weights;
    rml_model *model; // NULL: stored tensors
    rml_session *session;
    rml_layers layers;
} side;

// Opens what lies at `path`. `network` is the built-in one that it should be, or NULL: then it is
// tried which one fits; a file that fits none holds stored tensors. `function` of an ML Program, or
// NULL.
rml_status side_open(side *s, const char *path, const char *network, const char *function,
                     const common_options *common, rml_error *err);
void side_close(side *s);

// Reads the tensors of a file that holds stored ones.
rml_status side_read(side *s, rml_error *err);

#endif
