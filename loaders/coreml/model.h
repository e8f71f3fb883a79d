// A model of a Core ML file, before the passes: for those who change its ports first.
#ifndef RML_LOADERS_COREML_MODEL_H
#define RML_LOADERS_COREML_MODEL_H

#include "engine/model.h"
#include "loaders/coreml/file.h"

// The graph as imported. The model owns the file, also where this fails.
rml_status rml_coreml_model_from(rml_model **out, rml_coreml *file,
                                 const rml_model_settings *settings, rml_error *err);

// Inside: the network of a program, or of layers, in a graph that is empty. `*parameters`: trained
// numbers.
rml_status rml_mil_import(rml_graph *graph, rml_coreml *file, const rml_coreml_model *model,
                          uint64_t *parameters, rml_error *err);
rml_status rml_nn_import(rml_graph *graph, rml_coreml *file, const rml_coreml_model *model,
                         uint64_t *parameters, rml_error *err);

#endif
