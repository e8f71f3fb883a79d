// Graph rewrites: one file a pass, run in the order of one table, each of them switchable by name.
#ifndef RML_GRAPH_PASSES_PASSES_H
#define RML_GRAPH_PASSES_PASSES_H

#include "graph/graph.h"

typedef struct rml_pass {
    const char *name;
    bool required; // cannot be switched off: the graph does not run without it
    // Adds the number of rewrites to *changed.
    rml_status (*run)(rml_graph *graph, size_t *changed, rml_error *err);
} rml_pass;

// Passes in the order in which they run. A graph may be given a shorter list where the others
// would find nothing in it.
typedef struct rml_pass_list {
    const rml_pass *pass;
    size_t count;
    // In front of all others, for graphs and for those inside, of results as a device with halves
    // may give them: what computes in f32 is rounded to f16 before anything reads it, so that no
    // pass may make one node of two. NULL: such are not made.
    const rml_pass *round, *round_inside;
} rml_pass_list;

extern const rml_pass_list rml_passes_all, rml_passes_images, rml_passes_sequences;

// Runs the passes but those named in `disabled` (comma separated, or NULL); an unknown name is an
// error. The graph is validated after each. `log` (may be NULL) hears how much each pass changed.
rml_status rml_pass_list_run(const rml_pass_list *list, bool rounded, rml_graph *graph,
                             const char *disabled, rml_log_fn log, void *log_user, rml_error *err);

// Results, inputs and trained numbers of f32 are rounded to f16.
rml_status rml_pass_round_f16(rml_graph *graph, size_t *changed, rml_error *err);
rml_status rml_pass_round_f16_inside(rml_graph *graph, size_t *changed, rml_error *err);

// Nodes whose inputs are all constant become constants.
rml_status rml_pass_fold_const(rml_graph *graph, size_t *changed, rml_error *err);

// Operators on f16 and bf16 compute in f32, and what they hand on stays f32.
rml_status rml_pass_widen(rml_graph *graph, size_t *changed, rml_error *err);

// Batch norm behind a convolution or transposed convolution goes into its weight and bias, computed
// in double.
rml_status rml_pass_fold_bn(rml_graph *graph, size_t *changed, rml_error *err);

// A residual add, and then an activation, behind a convolution or linear become part of it, an
// activation also of binary, group norm and wave_conv. A product x * sigmoid(x) becomes SiLU first.
rml_status rml_pass_fuse_act(rml_graph *graph, size_t *changed, rml_error *err);

// Convolutions that make an inverted residual block become one node.
rml_status rml_pass_fuse_block(rml_graph *graph, size_t *changed, rml_error *err);

// 3x3 convolutions are told when their input is an image enlarged twice by repeating pixels.
rml_status rml_pass_upsample2x(rml_graph *graph, size_t *changed, rml_error *err);

// Gives each image value a layout and inserts reorder nodes where operators disagree.
rml_status rml_pass_layout(rml_graph *graph, size_t *changed, rml_error *err);

// Nodes nobody reads are dead.
rml_status rml_pass_dce(rml_graph *graph, size_t *changed, rml_error *err);

#endif
