// A model of a Core ML file, before the passes: for those who change its ports first.
#ifndef RML_LOADERS_COREML_MODEL_H
#define RML_LOADERS_COREML_MODEL_H

#include "engine/model.h"
#include "loaders/coreml/file.h"

// The graph as imported. The model owns the file, also where this fails.
rml_status rml_coreml_model_from(rml_model **out, rml_coreml *file,
                                 const rml_model_settings *settings, rml_error *err);

// ---- inside -------------------------------------------------------------------------------------

// What a session keeps from run to run.
typedef struct rml_coreml_state {
    const char *name;
    rml_value_id before, after; // an input of the graph, and what takes its place in the next run
} rml_coreml_state;

// Values of the graph by the names that a model's description has for them: its inputs and outputs,
// and in a pipeline what its stages give to one another.
typedef struct rml_coreml_values {
    rml_graph *graph;
    rml_names names; // name -> place
    rml_value_id *value;
    size_t count, capacity;
    rml_coreml_state *state;
    size_t state_count, state_capacity;
    const char *function; // of the program, as wanted; "" for the default, and within pipelines
    uint64_t parameters;  // trained numbers
    rml_meaning classes;  // labels of the last classifier
} rml_coreml_values;

rml_status rml_coreml_set(rml_coreml_values *values, const char *name, rml_value_id value,
                          rml_error *err);
// The labels of a classifier: texts, or numbers where `text` is NULL. Errors are the graph's.
void rml_coreml_set_labels(rml_coreml_values *values, const rml_text *text, const int64_t *number,
                           size_t count);

// Says what an input or output of the graph stands for that is this feature of the description. An
// image that the network does not take for one is an error.
rml_status rml_coreml_mean(rml_coreml_values *values, const rml_coreml_ports *ports, bool output,
                           size_t port, const rml_coreml_feature *feature, rml_error *err);

// Which shapes input `port` of the graph may have, and whether it may be left out.
rml_status rml_coreml_limit(rml_graph *graph, size_t port, const rml_coreml_feature *feature,
                            rml_error *err);

// RML_NO_VALUE where there is none of this name.
rml_value_id rml_coreml_get(const rml_coreml_values *values, const char *name);

// The network of a model: inputs that have no value yet become inputs of the graph.
rml_status rml_mil_import(rml_coreml_values *values, rml_coreml *file,
                          const rml_coreml_model *model, rml_error *err);
rml_status rml_nn_import(rml_coreml_values *values, rml_coreml *file, const rml_coreml_model *model,
                         rml_error *err);
rml_status rml_coreml_nms_import(rml_coreml_values *values, rml_coreml *file,
                                 const rml_coreml_model *model, rml_error *err);

#endif
