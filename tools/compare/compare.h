// Parts of run-model compare: what a side computes or holds, and how two differ.
#ifndef RML_TOOLS_COMPARE_COMPARE_H
#define RML_TOOLS_COMPARE_COMPARE_H

#include "pipelines/compare/layers.h"
#include "tools/options.h"

// A network that runs, or a file of tensors that ran elsewhere.
typedef struct side {
    bool plain;  // every operator of the file for itself, none made part of another
    bool graphs; // both are graph files: what one makes part of a layer, the other may not
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

// Whether a graph file's numbers take less room than f32 would.
bool side_is_small(const side *s);

// What running tells of a file beside its numbers: warnings of rml_model_check, on stderr.
void side_warn(const side *s, bool quiet);
void side_close(side *s);

// Reads the tensors of a file that holds stored ones.
rml_status side_read(side *s, rml_error *err);

typedef struct compare_settings {
    common_options common;
    const char *paths[2], *network, *function;
    option_list inputs;
    double tolerance;
    bool all;
} compare_settings;

// Runs both sides on the same inputs and keeps their layers and outputs. `inputs` are made, in the
// order of the ports of `a`; the caller frees their data.
rml_status compare_run(const compare_settings *s, side *a, side *b, rml_layer *inputs,
                       rml_error *err);

// Fills inputs that were made up with others, and runs both sides again. *made is false where all
// were given.
rml_status compare_run_others(const compare_settings *s, side *a, side *b, rml_layer *inputs,
                              bool *made, rml_error *err);

// Resizes, fills and runs one side with inputs in the order of the ports of `a`.
rml_status side_run(side *s, const side *a, const rml_layer *inputs, rml_error *err);

// The outputs of both runs that belong together, in the order of A.
typedef struct output_pairs {
    size_t count;
    const rml_layer **left, **right; // NULL where there is none; of one block of memory
    bool *moved;                     // they have different names
} output_pairs;

// Outputs of one name; of other names those that give the same, else of one shape, at their place
// first; else what is at their place. `out` is to be freed unless it fails.
rml_status side_pair_outputs(const side *a, const side *b, output_pairs *out, rml_error *err);
void output_pairs_free(output_pairs *pairs);

// Whether B is to be rounded.
static inline bool rounds(const compare_settings *s)
{
    return s->common.precision == RML_PRECISION_F16_ROUNDED;
}

// What was found out.
typedef struct verdict {
    size_t aligned, by_value, by_order, different, outputs;
    size_t missing;            // outputs of A that B has not
    size_t lonely[2];          // layers with weights of each side that nothing aligns with
    const rml_layer *first[2]; // of each side, the first that differs
    bool first_by_name;
    rml_difference how;
    bool outputs_differ;
    bool others_differ; // with other numbers
    size_t unlike;      // layers that give the same of other weights
    const rml_layer *first_unlike;
    const rml_layer *overflow; // the first of B that is infinite where that of A is not
    float overflow_at;         // what it is in A
} verdict;

// Whether something differs.
bool verdict_differs(const verdict *v);

// How the layers and outputs of two runs differ, without a word; and the same told, of JSON all but
// the end of the object.
rml_status judge(const compare_settings *s, const side *a, const side *b, verdict *v,
                 rml_error *err);
rml_status answer(const compare_settings *s, const side *a, const side *b, verdict *v,
                  rml_error *err);

#endif
