// Binding of a network to a weight store: every parameter by its state-dict key, strictly.
//
// A builder asks for each parameter once. What is missing or has the wrong shape is noted and
// replaced by a placeholder, so that building goes on and rml_params_finish can list everything at
// once.
#ifndef RML_MODELS_PARAMS_H
#define RML_MODELS_PARAMS_H

#include "graph/graph.h"
#include "loaders/weights/config.h"
#include "loaders/weights/weights.h"

// How a parameter is filled when there are no weights and random ones are made.
typedef enum rml_init {
    RML_INIT_WEIGHT,            // uniform with the variance of He's rule for dimension 0 as output
    RML_INIT_WEIGHT_TRANSPOSED, // the same, dimension 0 being the input
    RML_INIT_ZERO,
    RML_INIT_ONE,
    RML_INIT_QUARTER
} rml_init;

typedef struct rml_params rml_params;

// Where parameters come from: `weights` is read; or `fill` gets every parameter asked for, made
// from `seed`; with neither, every parameter has its published shape and is zero.
typedef struct rml_params_source {
    const rml_weights *weights;
    rml_weights *fill;
    uint64_t seed;
    const char *config; // as in rml_model_settings
    int64_t *part; // which one is built, of networks that come in parts; the first tells how many
} rml_params_source;

// What `source` points to must outlive the parameters.
rml_status rml_params_create(rml_params **out, rml_graph *graph, const rml_params_source *source,
                             rml_error *err);
void rml_params_destroy(rml_params **params);

// A parameter as a constant of the graph. Dimensions whose bit is set in `free` may differ from
// `shape`, which then gives the published size (used when the parameter is missing or made). The
// shape that is there is that of the value. Where [a,b] is wanted, [a,b,1,1] will do.
rml_value_id rml_params_get(rml_params *params, const char *key, const rml_shape *shape,
                            unsigned free, rml_init init);

// Shape of a tensor of the weights that are read, or NULL: for networks whose depth or kind is told
// by what is there. Without weights to read (rml_params_published) nothing is there.
const rml_shape *rml_params_stored(const rml_params *params, const char *key);
bool rml_params_published(const rml_params *params);

// The settings of the network: the config that is named, or else the config.json that lies with the
// weights, or else an empty one. Never NULL; rml_params_finish tells its error.
rml_config *rml_params_config(rml_params *params);
bool rml_params_config_named(const rml_params *params); // somebody gave one

// For weights inside those of a larger whole, such as a training's: unless the tensor `anchor` is
// there as it is, it is looked for behind each of `prefixes` (NULL behind the last). The first that
// has it stands in front of every key from then on, and tensors without it are not looked at.
void rml_params_scope(rml_params *params, const char *anchor, const char *const *prefixes);

// Tensors whose key begins with `prefix` may be there without being asked for. A literal; at most
// RML_PARAMS_IGNORED of them.
#define RML_PARAMS_IGNORED 8
void rml_params_ignore(rml_params *params, const char *prefix);

rml_graph *rml_params_graph(rml_params *params);
int64_t *rml_params_part(const rml_params *params);

// Counts what was asked for and trained (statistics of batch norm left out).
uint64_t rml_params_trained(const rml_params *params);
// Takes a parameter out of that count.
void rml_params_not_trained(rml_params *params, rml_value_id value);

// Fails when the config does not fit, or with the whole list when a parameter was missing or
// misshapen, or a tensor of the store was not asked for. Counters of batch norm
// ("num_batches_tracked") may be there or not.
rml_status rml_params_finish(rml_params *params, const char *model, rml_error *err);

#endif
